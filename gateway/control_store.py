"""What the control keeps in the outbox's file: proposals, refusals, commands to devices, devices' states.

Everything is committed before anybody is told, so that a gateway killed at any point goes on where it was: a
command without an answer is sent again under the same id.
"""

import sqlite3
from typing import Final, NamedTuple

from contracts.hour import DAY_S, format_time_utc
from contracts.setpoint import SignedProposal
from gateway.outbox import transaction
from gateway.setpoint_messages import Answer, Command, DeviceState, Source, read_state

KEPT_REFUSALS: Final = 1000
"""Of optimisers, and as many of others, who may send anything and cannot push the former out."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS control_proposals (
    id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, optimiser TEXT NOT NULL, sequence INTEGER NOT NULL,
    valid_from_s INTEGER NOT NULL, valid_until_s INTEGER NOT NULL, accepted_s INTEGER NOT NULL,
    document BLOB NOT NULL, UNIQUE (optimiser, sequence)
);
CREATE TABLE IF NOT EXISTS control_setpoints (
    proposal INTEGER NOT NULL REFERENCES control_proposals, device TEXT NOT NULL, start_s INTEGER NOT NULL,
    until_s INTEGER NOT NULL, power_w INTEGER NOT NULL, PRIMARY KEY (proposal, device, start_s)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS control_refusals (
    id INTEGER PRIMARY KEY, refused_s INTEGER NOT NULL, optimiser TEXT, digest BLOB, kind TEXT NOT NULL,
    detail TEXT NOT NULL, document BLOB
);
CREATE TABLE IF NOT EXISTS control_commands (
    id INTEGER PRIMARY KEY AUTOINCREMENT, device TEXT NOT NULL, from_s INTEGER NOT NULL,
    until_s INTEGER NOT NULL, setpoint_w INTEGER NOT NULL, source TEXT NOT NULL,
    proposal INTEGER REFERENCES control_proposals, created_s INTEGER NOT NULL, sent_s INTEGER,
    sends INTEGER NOT NULL DEFAULT 0, acknowledged_s INTEGER, outcome TEXT, answer_w INTEGER,
    detail TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS control_commands_by_device ON control_commands (device, until_s);
CREATE INDEX IF NOT EXISTS control_commands_open ON control_commands (until_s) WHERE outcome IS NULL;
CREATE TABLE IF NOT EXISTS control_states (
    device TEXT PRIMARY KEY, state BLOB NOT NULL, heard_s INTEGER NOT NULL
) WITHOUT ROWID;
"""


class Target(NamedTuple):
    """What a device should do over an interval."""

    device: str
    from_s: int
    until_s: int
    setpoint_w: int
    source: Source
    proposal: int | None
    """Row of the proposal."""


class ControlStore:
    """One connection's view; it serves one thread at a time. Writes raise OutboxUnusable, OutboxFull."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        with transaction(connection):
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)

    def accepted(self, digest: bytes) -> int | None:
        """When a proposal was accepted, Unix seconds; None when it was not."""
        row = self._db.execute(
            "SELECT accepted_s FROM control_proposals WHERE digest = ?", (digest,)
        ).fetchone()
        return None if row is None else int(row[0])

    def last_sequence(self, optimiser: str) -> int:
        """Sequence of the newest accepted proposal of an optimiser; 0 when there is none."""
        row = self._db.execute(
            "SELECT coalesce(max(sequence), 0) FROM control_proposals WHERE optimiser = ?", (optimiser,)
        ).fetchone()
        return int(row[0])

    def accept(self, signed: SignedProposal, optimiser: str, now_s: int) -> None:
        """Keep a proposal; from now on it governs while it is valid, until a newer one does.

        Its document stays for ever; its set-points as rows only for a day after they ended.
        """
        proposal = signed.proposal
        with transaction(self._db):
            row = self._db.execute(
                "INSERT INTO control_proposals (digest, optimiser, sequence, valid_from_s, valid_until_s, "
                "accepted_s, document) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    signed.digest,
                    optimiser,
                    proposal.sequence,
                    proposal.valid_from_s,
                    proposal.valid_until_s,
                    now_s,
                    signed.to_json(),
                ),
            ).lastrowid
            self._db.execute(
                "DELETE FROM control_setpoints WHERE proposal IN (SELECT id FROM control_proposals "
                "WHERE valid_until_s < ? AND id >= (SELECT min(proposal) FROM control_setpoints))",
                (now_s - DAY_S,),
            )
            self._db.executemany(
                "INSERT INTO control_setpoints VALUES (?, ?, ?, ?, ?)",
                [(row, s.device, s.start_s, s.end_s, s.power_w) for s in proposal.setpoints],
            )

    def refuse(
        self, now_s: int, optimiser: str | None, digest: bytes | None, kind: str, detail: str, document: bytes
    ) -> None:
        """Keep a refusal: the latest ones of known optimisers with their documents, and of all others."""
        with transaction(self._db):
            self._db.execute(
                "INSERT INTO control_refusals (refused_s, optimiser, digest, kind, detail, document) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (now_s, optimiser, digest, kind, detail, document if optimiser else None),
            )
            self._db.execute(
                "DELETE FROM control_refusals WHERE (optimiser IS NULL) = ?1 AND id <= (SELECT id FROM "
                "control_refusals WHERE (optimiser IS NULL) = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                (optimiser is None, KEPT_REFUSALS),
            )

    def planned(self, device: str, time_s: int) -> Target | None:
        """What the newest proposal that is valid at `time_s` says of a device; None when nothing."""
        row = self._db.execute(
            "SELECT s.start_s, s.until_s, s.power_w, s.proposal FROM control_setpoints s WHERE s.proposal = "
            "(SELECT max(id) FROM control_proposals WHERE valid_from_s <= ?1 AND valid_until_s > ?1) "
            "AND s.device = ?2 AND s.start_s <= ?1 AND s.until_s > ?1",
            (time_s, device),
        ).fetchone()
        return None if row is None else Target(device, row[0], row[1], row[2], "proposal", row[3])

    def governing(self, time_s: int) -> bytes | None:
        """Digest of the proposal that governs at `time_s`."""
        row = self._db.execute(
            "SELECT digest FROM control_proposals WHERE valid_from_s <= ?1 AND valid_until_s > ?1 "
            "ORDER BY id DESC LIMIT 1",
            (time_s,),
        ).fetchone()
        return None if row is None else bytes(row[0])

    def newest_command(self, device: str, time_s: int) -> Target | None:
        """The command that holds for a device at a time."""
        row = self._db.execute(
            "SELECT from_s, until_s, setpoint_w, source, proposal FROM control_commands "
            "WHERE device = ?1 AND from_s <= ?2 AND until_s > ?2 ORDER BY id DESC LIMIT 1",
            (device, time_s),
        ).fetchone()
        return None if row is None else Target(device, *row)

    def command(self, targets: list[Target], now_s: int) -> None:
        """Make commands of targets; older ones without an answer that they replace need none any more."""
        with transaction(self._db):
            for target in targets:
                self._db.execute(
                    "UPDATE control_commands SET outcome = 'superseded' WHERE outcome IS NULL "
                    "AND device = ? AND from_s >= ? AND until_s <= ?",
                    (target.device, target.from_s, target.until_s),
                )
                self._db.execute(
                    "INSERT INTO control_commands (device, from_s, until_s, setpoint_w, source, proposal, "
                    "created_s) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (*target, now_s),
                )

    def expire(self, now_s: int) -> list[tuple[int, str]]:
        """Give up commands whose interval is over without an answer; (id, device) of each."""
        rows = self._db.execute(
            "SELECT id, device FROM control_commands WHERE outcome IS NULL AND until_s <= ?", (now_s,)
        ).fetchall()
        if rows:
            with transaction(self._db):
                self._db.executemany(
                    "UPDATE control_commands SET outcome = 'expired' WHERE id = ? AND outcome IS NULL",
                    [(row[0],) for row in rows],
                )
        return [(int(row[0]), str(row[1])) for row in rows]

    def unanswered(self) -> list[Command]:
        """Commands that no device has answered and that still hold, oldest first."""
        rows = self._db.execute(
            "SELECT c.id, c.device, c.from_s, c.until_s, c.setpoint_w, c.source, p.digest "
            "FROM control_commands c LEFT JOIN control_proposals p ON p.id = c.proposal "
            "WHERE c.outcome IS NULL ORDER BY c.id"
        )
        return [
            Command(
                row[0],
                row[1],
                format_time_utc(row[2]),
                format_time_utc(row[3]),
                row[4],
                row[5],
                None if row[6] is None else "0x" + row[6].hex(),
            )
            for row in rows
        ]

    def sent(self, numbers: list[int], now_s: int) -> None:
        """Note that commands were handed to the broker."""
        with transaction(self._db):
            self._db.executemany(
                "UPDATE control_commands SET sends = sends + 1, sent_s = coalesce(sent_s, ?) WHERE id = ?",
                [(now_s, number) for number in numbers],
            )

    def answer(self, device: str, answer: Answer, now_s: int) -> bool:
        """Note a device's answer; whether it was the first to a command of that device."""
        with transaction(self._db):
            changed = self._db.execute(
                "UPDATE control_commands SET acknowledged_s = ?, answer_w = ?, detail = ?, outcome = "
                "CASE WHEN outcome IS NULL OR outcome = 'expired' THEN ? ELSE outcome END "
                "WHERE id = ? AND device = ? AND acknowledged_s IS NULL",
                (now_s, answer.setpoint_w, answer.detail[:500], answer.status, answer.id, device),
            ).rowcount
        return changed == 1

    def put_state(self, device: str, state: DeviceState, now_s: int) -> None:
        """Keep what a device declares of itself, in place of what it declared before."""
        with transaction(self._db):
            self._db.execute(
                "INSERT OR REPLACE INTO control_states VALUES (?, ?, ?)", (device, state.to_json(), now_s)
            )

    def state(self, device: str) -> DeviceState | None:
        """What a device declared last."""
        row = self._db.execute("SELECT state FROM control_states WHERE device = ?", (device,)).fetchone()
        return None if row is None else read_state(row[0])
