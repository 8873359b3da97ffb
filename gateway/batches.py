"""The life of batches in the outbox: signed, submitted, on chain, final or refused.

A batch that is *refused* never used its sequence; its hours keep the reason until new data or
`ped gateway resend` touches them again.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from contracts.hour import HOURS_PER_DAY, first_hour
from contracts.reading import RECORD_BYTES, unpack_private


class State(StrEnum):
    """How far a batch has come."""

    SIGNED = "signed"
    SUBMITTED = "submitted"
    ON_CHAIN = "on chain"
    FINAL = "final"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch as the outbox keeps it."""

    id: int
    private: bool
    day: int
    sequence: int
    replaces: int
    hour_bits: int
    payload: bytes
    changed_members: int
    state: State
    signature: bytes
    signer: str
    reason: str
    transaction_hash: bytes | None
    block: int | None
    changed_s: int

    def holds(self, hour: int) -> bool:
        """Whether the batch records `hour`."""
        place = hour - first_hour(self.day)
        return 0 <= place < HOURS_PER_DAY and bool(self.hour_bits >> place & 1)

    @property
    def hours(self) -> list[int]:
        """Hours that the batch records, ascending."""
        first = first_hour(self.day)
        return [first + place for place in range(HOURS_PER_DAY) if self.hour_bits >> place & 1]

    def sections(self) -> dict[int, bytes]:
        """Packed section of each hour of an open batch."""
        unit = len(self.payload) // self.hour_bits.bit_count()
        first = first_hour(self.day)
        parts = [self.payload[place : place + unit] for place in range(0, len(self.payload), unit)]
        return {first + part[0]: part for part in parts}

    @property
    def point_count(self) -> int:
        """Records per hour of an open batch."""
        return (len(self.payload) // self.hour_bits.bit_count() - 1) // RECORD_BYTES


_COLUMNS: Final = (
    "id, private, day, sequence, replaces, hours, payload, changed_members, state, signature, signer, "
    "reason, transaction_hash, block, changed_s"
)


def hour_bits(hours: Iterable[int]) -> int:
    """Bit h set for each hour h of its day."""
    bits = 0
    for hour in hours:
        bits |= 1 << hour % HOURS_PER_DAY
    return bits


def private_hours(payload: bytes, day: int) -> list[int]:
    """Hours of a private payload."""
    return [first_hour(day) + section.hour_of_day for section in unpack_private(payload)]


class Batches:
    """Reads and writes of batches; writes belong into a `transaction`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def touched(self) -> dict[tuple[bool, int], dict[int, int]]:
        """(private, day) -> hour -> since when its records may have changed."""
        result: dict[tuple[bool, int], dict[int, int]] = {}
        for private, hour, since_s in self._db.execute("SELECT private, hour, since_s FROM touched"):
            result.setdefault((bool(private), hour // HOURS_PER_DAY), {})[hour] = since_s
        return result

    def touch(self, private: bool, hours: Iterable[int], now_s: int) -> None:
        """Have the records of these hours looked at again."""
        self._db.executemany(
            "INSERT OR IGNORE INTO touched VALUES (?, ?, ?)", [(private, hour, now_s) for hour in hours]
        )

    def untouch(self, private: bool, hours: Iterable[int]) -> None:
        """These hours have been looked at."""
        self._db.executemany(
            "DELETE FROM touched WHERE private = ? AND hour = ?", [(private, hour) for hour in hours]
        )

    def live(self, private: bool, day: int) -> list[StoredBatch]:
        """Batches of a stream's day that are or will be on the chain, by sequence."""
        return self._select("private = ? AND day = ? AND state != 'refused' ORDER BY sequence", private, day)

    def refused(self, private: bool, day: int) -> list[StoredBatch]:
        """Refused batches of a stream's day, the latest first."""
        return self._select("private = ? AND day = ? AND state = 'refused' ORDER BY id DESC", private, day)

    def in_state(self, *states: State) -> list[StoredBatch]:
        """Batches in any of these states, by day and sequence."""
        marks = ", ".join("?" * len(states))
        return self._select(f"state IN ({marks}) ORDER BY day, private, sequence", *states)

    def counts(self) -> dict[str, int]:
        """Number of batches by state."""
        return dict(self._db.execute("SELECT state, count(*) FROM batches GROUP BY state"))

    def add(
        self,
        private: bool,
        day: int,
        sequence: int,
        replaces: int,
        hours: Sequence[int],
        payload: bytes,
        changed_members: int,
        signature: bytes,
        signer: str,
        now_s: int,
        state: State = State.SIGNED,
        block: int | None = None,
    ) -> int:
        """Store a signed batch; its row."""
        row = self._db.execute(
            "INSERT INTO batches (private, day, sequence, replaces, hours, payload, changed_members, state, "
            "signature, signer, block, created_s, changed_s) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                private,
                day,
                sequence,
                replaces,
                hour_bits(hours),
                payload,
                changed_members,
                state,
                signature,
                signer,
                block,
                now_s,
                now_s,
            ),
        ).lastrowid
        assert row is not None
        return row

    def set_state(
        self,
        batch: StoredBatch,
        state: State,
        now_s: int,
        reason: str = "",
        transaction_hash: bytes | None = None,
        block: int | None = None,
    ) -> None:
        """Note that a batch reached a state."""
        self._db.execute(
            "UPDATE batches SET state = ?, reason = ?, transaction_hash = coalesce(?, transaction_hash), "
            "block = ?, changed_s = ? WHERE id = ?",
            (state, reason, transaction_hash, block, now_s, batch.id),
        )

    def set_signature(self, batch: StoredBatch, signature: bytes, signer: str, now_s: int) -> None:
        """Put another signature under a batch, after a rotation of keys."""
        self._db.execute(
            "UPDATE batches SET signature = ?, signer = ?, changed_s = ? WHERE id = ?",
            (signature, signer, now_s, batch.id),
        )

    def void(self, batch: StoredBatch, now_s: int) -> None:
        """Give up a batch that is not on the chain; its hours will be made into another."""
        self._db.execute("DELETE FROM batches WHERE id = ?", (batch.id,))
        self.touch(batch.private, batch.hours, now_s)

    def add_leaves(self, batch: int, rows: Iterable[tuple[int, int, int, int, bytes]]) -> None:
        """Keep (hour, point, supply_wh, draw_wh, salt) behind a private batch's roots."""
        self._db.executemany("INSERT INTO leaves VALUES (?, ?, ?, ?, ?, ?)", [(batch, *row) for row in rows])

    def leaves(self, batch: int, hour: int) -> dict[int, tuple[int, int, bytes]]:
        """Point row -> (supply_wh, draw_wh, salt) of an hour of a private batch."""
        rows = self._db.execute(
            "SELECT point, supply_wh, draw_wh, salt FROM leaves WHERE batch = ? AND hour = ?", (batch, hour)
        )
        return {row[0]: row[1:] for row in rows}

    def _select(self, condition: str, *values: object) -> list[StoredBatch]:
        rows = self._db.execute(f"SELECT {_COLUMNS} FROM batches WHERE {condition}", values).fetchall()
        return [_stored(*row) for row in rows]


def _stored(id: int, private: int, *values: Any) -> StoredBatch:
    batch = StoredBatch(id, bool(private), *values)
    return replace(batch, state=State(batch.state))


def holders(live: Iterable[StoredBatch]) -> dict[int, StoredBatch]:
    """Hour -> the batch that holds it, of batches by ascending sequence."""
    result: dict[int, StoredBatch] = {}
    for batch in live:
        for hour in batch.hours:
            result[hour] = batch
    return result
