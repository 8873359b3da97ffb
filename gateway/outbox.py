"""The durable outbox of a gateway: one SQLite file (WAL, synchronous=FULL).

It holds what devices were told is safe: intervals and register values, exactly as metered, with the message
they came in; then the batches made of them and how far each has come. Everything that a receipt promises is
committed before the receipt is sent; everything that goes to the chain is committed before it is sent.
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gateway.metering import Exchange, Sample

SCHEMA_VERSION: Final = 1
KEPT_REFUSALS: Final = 10_000

_SCHEMA: Final = """
CREATE TABLE messages (
    id INTEGER PRIMARY KEY, device TEXT NOT NULL, message_id TEXT NOT NULL, received_s INTEGER NOT NULL
);
CREATE TABLE points (id INTEGER PRIMARY KEY, serial TEXT NOT NULL UNIQUE);
CREATE TABLE intervals (
    start_s INTEGER NOT NULL, point INTEGER NOT NULL REFERENCES points, supply_wh INTEGER, draw_wh INTEGER,
    message INTEGER NOT NULL, PRIMARY KEY (start_s, point)
) WITHOUT ROWID;
CREATE TABLE samples (
    point INTEGER NOT NULL REFERENCES points, obis TEXT NOT NULL, time_s INTEGER NOT NULL,
    value_wh INTEGER NOT NULL, hour INTEGER, message INTEGER NOT NULL, PRIMARY KEY (point, obis, time_s)
) WITHOUT ROWID;
CREATE INDEX samples_by_hour ON samples (point, obis, hour) WHERE hour IS NOT NULL;
CREATE TABLE superseded (
    point INTEGER NOT NULL, channel TEXT NOT NULL, time_s INTEGER NOT NULL, old_wh INTEGER NOT NULL,
    new_wh INTEGER NOT NULL, message INTEGER NOT NULL
);
CREATE TABLE exchanges (
    point INTEGER NOT NULL, obis TEXT NOT NULL, time_s INTEGER NOT NULL, final_wh INTEGER, first_wh INTEGER,
    reason TEXT NOT NULL, declared_s INTEGER NOT NULL, PRIMARY KEY (point, obis, time_s)
) WITHOUT ROWID;
CREATE TABLE refusals (
    id INTEGER PRIMARY KEY, point TEXT NOT NULL, hour INTEGER NOT NULL, device TEXT NOT NULL,
    message_id TEXT NOT NULL, detail TEXT NOT NULL, refused_s INTEGER NOT NULL,
    UNIQUE (point, hour, device, detail)
);
CREATE TABLE answers (
    device TEXT NOT NULL, key TEXT NOT NULL, digest TEXT NOT NULL, answer BLOB NOT NULL,
    answered_s INTEGER NOT NULL, PRIMARY KEY (device, key)
) WITHOUT ROWID;
CREATE TABLE touched (
    private INTEGER NOT NULL, hour INTEGER NOT NULL, since_s INTEGER NOT NULL, PRIMARY KEY (private, hour)
) WITHOUT ROWID;
CREATE TABLE batches (
    id INTEGER PRIMARY KEY, private INTEGER NOT NULL, day INTEGER NOT NULL, sequence INTEGER NOT NULL,
    replaces INTEGER NOT NULL, hours INTEGER NOT NULL, payload BLOB NOT NULL,
    changed_members INTEGER NOT NULL, state TEXT NOT NULL, signature BLOB NOT NULL, signer TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '', transaction_hash BLOB, block INTEGER,
    created_s INTEGER NOT NULL, changed_s INTEGER NOT NULL
);
CREATE INDEX batches_by_day ON batches (private, day, sequence);
CREATE INDEX batches_by_state ON batches (state, day, sequence);
CREATE TABLE leaves (
    batch INTEGER NOT NULL REFERENCES batches ON DELETE CASCADE, hour INTEGER NOT NULL,
    point INTEGER NOT NULL, supply_wh INTEGER NOT NULL, draw_wh INTEGER NOT NULL, salt BLOB NOT NULL,
    PRIMARY KEY (batch, hour, point)
) WITHOUT ROWID;
"""


class OutboxUnusable(RuntimeError):
    """The outbox cannot be opened or written; nothing of the attempt was kept."""


class OutboxFull(OutboxUnusable):
    """The disk is full; nothing of the attempt was kept, and it may be repeated when there is room."""


def connect(path: Path) -> sqlite3.Connection:
    """A connection to the outbox at `path`, made when it is not there. Raises OutboxUnusable.

    A connection serves one thread at a time.
    """
    try:
        connection = sqlite3.connect(
            path, timeout=30, isolation_level=None, check_same_thread=False, factory=_Connection
        )
        connection.turns = _turns(path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        with transaction(connection):
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                for statement in _SCHEMA.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            elif version != SCHEMA_VERSION:
                raise OutboxUnusable(f"{path} has schema {version}; this gateway reads {SCHEMA_VERSION}")
    except sqlite3.Error as error:
        raise OutboxUnusable(f"cannot open the outbox {path}: {error}") from None
    return connection


class _Turns:
    """Lets the threads of this process write to one outbox in turn.

    With SQLite alone a thread that begins again at once starves one that waits, which polls ever more rarely.
    """

    def __init__(self) -> None:
        self._next = threading.Lock()
        self._writing = threading.Lock()

    @contextmanager
    def take(self) -> Iterator[None]:
        """Wait for those who came before."""
        with self._next:
            self._writing.acquire()
        try:
            yield
        finally:
            self._writing.release()


class _Connection(sqlite3.Connection):
    turns: _Turns


_turns_of: Final[dict[Path, _Turns]] = {}


def _turns(path: Path) -> _Turns:
    return _turns_of.setdefault(path.resolve(), _Turns())


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing. Raises OutboxFull or OutboxUnusable for what SQLite cannot do."""
    assert isinstance(connection, _Connection), "made by connect()"
    with connection.turns.take(), _transaction(connection):
        yield


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing. Raises OutboxFull or OutboxUnusable for what SQLite cannot do."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("COMMIT")
    except BaseException as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if isinstance(error, sqlite3.Error):
            if error.sqlite_errorcode in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE):
                raise OutboxFull(f"the outbox has no room: {error}; free space on its disk") from error
            raise OutboxUnusable(f"the outbox cannot be written: {error}") from error
        raise


class Intake:
    """Writes of the intake; every call belongs into a `transaction`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def add_message(self, device: str, message_id: str, received_s: int) -> int:
        """Row of a message that carries readings."""
        cursor = self._db.execute(
            "INSERT INTO messages (device, message_id, received_s) VALUES (?, ?, ?)",
            (device, message_id, received_s),
        )
        row = cursor.lastrowid
        assert row is not None
        return row

    def point_row(self, serial: str) -> int:
        """Row of a metering point, made when it is new."""
        return _point_row(self._db, serial)

    def sample(self, point: int, obis: str, time_s: int) -> int | None:
        """Stored value of a register at a time."""
        row = self._db.execute(
            "SELECT value_wh FROM samples WHERE point = ? AND obis = ? AND time_s = ?", (point, obis, time_s)
        ).fetchone()
        return None if row is None else row[0]

    def samples_before(self, point: int, obis: str, time_s: int, count: int) -> list[Sample]:
        """The nearest samples before a time, nearest first."""
        rows = self._db.execute(
            "SELECT time_s, value_wh FROM samples WHERE point = ? AND obis = ? AND time_s < ? "
            "ORDER BY time_s DESC LIMIT ?",
            (point, obis, time_s, count),
        )
        return [Sample(*row) for row in rows]

    def samples_after(self, point: int, obis: str, time_s: int, count: int) -> list[Sample]:
        """The nearest samples after a time, nearest first."""
        rows = self._db.execute(
            "SELECT time_s, value_wh FROM samples WHERE point = ? AND obis = ? AND time_s > ? "
            "ORDER BY time_s LIMIT ?",
            (point, obis, time_s, count),
        )
        return [Sample(*row) for row in rows]

    def put_sample(self, point: int, obis: str, sample: Sample, hour: int | None, message: int) -> None:
        """Store a register value, in place of what is there; `hour` is the boundary that it stands for."""
        self._db.execute(
            "INSERT OR REPLACE INTO samples VALUES (?, ?, ?, ?, ?, ?)",
            (point, obis, sample.time_s, sample.value_wh, hour, message),
        )

    def boundary_hours(self, point: int, obis: str, hour: int) -> tuple[int | None, int | None]:
        """Boundaries with a value before `hour` and, two further, after it (None where there is none)."""
        before = self._db.execute(
            "SELECT max(hour) FROM samples WHERE point = ? AND obis = ? AND hour < ?", (point, obis, hour)
        ).fetchone()[0]
        after = self._db.execute(
            "SELECT max(hour) FROM (SELECT DISTINCT hour FROM samples WHERE point = ? AND obis = ? "
            "AND hour > ? ORDER BY hour LIMIT 2)",
            (point, obis, hour),
        ).fetchone()[0]
        return before, after

    def supersede(
        self, point: int, channel: str, time_s: int, old_wh: int, new_wh: int, message: int
    ) -> None:
        """Keep the value that a correction replaces."""
        self._db.execute(
            "INSERT INTO superseded VALUES (?, ?, ?, ?, ?, ?)",
            (point, channel, time_s, old_wh, new_wh, message),
        )

    def put_exchange(self, point: int, obis: str, exchange: Exchange, reason: str, now_s: int) -> None:
        """Store the declaration of an exchange or reset, in place of an earlier one for that time."""
        self._db.execute(
            "INSERT OR REPLACE INTO exchanges VALUES (?, ?, ?, ?, ?, ?, ?)",
            (point, obis, *exchange, reason, now_s),
        )

    def exchanges(self, point: int, obis: str) -> list[Exchange]:
        """Declared exchanges of a register, by time."""
        return exchanges(self._db, point, obis)

    def touch(self, hours: Mapping[tuple[bool, int], int]) -> None:
        """Note (private, hour) whose records may have changed, and since when (Unix seconds)."""
        self._db.executemany(
            "INSERT OR IGNORE INTO touched VALUES (?, ?, ?)",
            [(*hour, since_s) for hour, since_s in hours.items()],
        )

    def refuse(self, rows: Iterable[tuple[str, int, str, str, str, int]]) -> None:
        """Keep (point, hour, device, message_id, detail, refused_s) of refused readings, the latest ones."""
        self._db.executemany(
            "INSERT OR IGNORE INTO refusals (point, hour, device, message_id, detail, refused_s) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            rows,
        )
        self._db.execute(
            "DELETE FROM refusals WHERE id <= (SELECT max(id) FROM refusals) - ?", (KEPT_REFUSALS,)
        )

    def answer(self, device: str, key: str) -> tuple[str, bytes] | None:
        """Digest of the request and the answer that were given for an Idempotency-Key."""
        row = self._db.execute(
            "SELECT digest, answer FROM answers WHERE device = ? AND key = ?", (device, key)
        ).fetchone()
        return None if row is None else (row[0], row[1])

    def keep_answer(self, device: str, key: str, digest: str, answer: bytes, now_s: int) -> None:
        """Keep an answer for a week."""
        self._db.execute("DELETE FROM answers WHERE answered_s < ?", (now_s - 7 * 86_400,))
        self._db.execute(
            "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?)", (device, key, digest, answer, now_s)
        )


def _point_row(connection: sqlite3.Connection, serial: str) -> int:
    row = connection.execute("SELECT id FROM points WHERE serial = ?", (serial,)).fetchone()
    if row is not None:
        return int(row[0])
    inserted = connection.execute("INSERT INTO points (serial) VALUES (?)", (serial,)).lastrowid
    assert inserted is not None
    return inserted


def exchanges(connection: sqlite3.Connection, point: int, obis: str) -> list[Exchange]:
    """Declared exchanges of a register, by time."""
    rows = connection.execute(
        "SELECT time_s, final_wh, first_wh FROM exchanges WHERE point = ? AND obis = ? ORDER BY time_s",
        (point, obis),
    )
    return [Exchange(*row) for row in rows]
