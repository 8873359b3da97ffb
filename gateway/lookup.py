"""Where is a reading now? Received, recorded, signed, submitted, on chain, final, or refused and why."""

import sqlite3
from typing import Any, Final

from contracts.hour import HOUR_S, day_of_hour, format_day, format_hour_utc, format_time_utc, hour_start
from contracts.reading import unpack_open
from gateway.batches import Batches, StoredBatch, holders
from gateway.config import GatewayConfig
from gateway.records import Point, PointHour, Records

UNKNOWN: Final = "unknown"
RECEIVED: Final = "received"
RECORDED: Final = "recorded"
REFUSED: Final = "refused"


class PointUnknown(LookupError):
    """No point of that serial is configured."""


class Lookup:
    """Answers from one connection to the outbox."""

    def __init__(self, config: GatewayConfig, connection: sqlite3.Connection) -> None:
        self._config = config
        self._db = connection
        self._records = Records(config, connection)
        self._batches = Batches(connection)

    def where(self, serial: str, hour: int, now_s: int) -> dict[str, Any]:
        """Everything about a point's hour. Raises PointUnknown.

        `state` is the furthest that the hour has come: unknown (nothing came), received (the hour is not
        closed), recorded (closed, not in a batch yet), signed, submitted, on chain, final, or refused with
        `reason`. `record` is what the outbox says now, `batch` holds what was sent.
        """
        point = self._records.point(serial)
        if point is None:
            known = ", ".join(entry.serial for entry in self._config.points)
            raise PointUnknown(f"point {serial!r} is not configured at this gateway; there are {known}")
        private, day = point.rule.table.private, day_of_hour(hour)
        found = self._records.hours([point], [hour])[hour][0]
        holder = holders(self._batches.live(private, day)).get(hour)
        refused = next((batch for batch in self._batches.refused(private, day) if batch.holds(hour)), None)
        touched = hour in self._batches.touched().get((private, day), {})
        refusals = self._refusals(serial, hour)
        state, reason = self._state(point, found, hour, now_s, holder, refused, touched, bool(refusals))
        return {
            "point": serial,
            "hour_utc": format_hour_utc(hour),
            "state": state,
            "reason": reason or (refusals[0]["detail"] if state == REFUSED else found.reason),
            "record": {
                "status": found.record.status.name.lower(),
                "supply_wh": found.record.supply_wh,
                "draw_wh": found.record.draw_wh,
            },
            "batch": None if holder is None else self._batch(holder, point, hour),
            "changed_since_batch": touched and holder is not None,
            "messages": self._messages(point, hour),
            "refusals": refusals,
        }

    def _state(
        self,
        point: Point,
        found: PointHour,
        hour: int,
        now_s: int,
        holder: StoredBatch | None,
        refused: StoredBatch | None,
        touched: bool,
        refusals: bool,
    ) -> tuple[str, str]:
        if refused is not None and not touched and (holder is None or refused.id > holder.id):
            return REFUSED, refused.reason
        if holder is not None:
            return str(holder.state), holder.reason
        if self._messages(point, hour):
            return (RECORDED if hour_start(hour + 1) <= now_s else RECEIVED), found.reason
        return (REFUSED, "") if refusals else (UNKNOWN, "no reading of this hour came")

    def _batch(self, batch: StoredBatch, point: Point, hour: int) -> dict[str, Any]:
        content: dict[str, Any] = {
            "stream": "private" if batch.private else "open",
            "day": format_day(batch.day),
            "sequence": batch.sequence,
            "replaces": batch.replaces,
            "signer": batch.signer,
            "transaction": None if batch.transaction_hash is None else "0x" + batch.transaction_hash.hex(),
            "block": batch.block,
            "changed_utc": format_time_utc(batch.changed_s),
        }
        if not batch.private:
            points = self._records.points(False, batch.day)
            index = next((i for i, other in enumerate(points) if other.serial == point.serial), None)
            if index is not None and len(points) == batch.point_count:
                (section,) = unpack_open(batch.sections()[hour], len(points))
                record = section.records[index]
                content["record"] = {
                    "status": record.status.name.lower(),
                    "supply_wh": record.supply_wh,
                    "draw_wh": record.draw_wh,
                }
        return content

    def _messages(self, point: Point, hour: int) -> list[dict[str, Any]]:
        """The messages that carried the point's readings of the hour, its end included for registers."""
        rows = self._db.execute(
            "SELECT DISTINCT m.device, m.message_id, m.received_s FROM messages m WHERE m.id IN ("
            "SELECT message FROM intervals WHERE point = ?1 AND start_s >= ?2 AND start_s < ?3 UNION "
            "SELECT message FROM samples WHERE point = ?1 AND time_s >= ?2 AND time_s <= ?3) ORDER BY m.id",
            (point.row, hour_start(hour), hour_start(hour) + HOUR_S),
        )
        return [
            {"device": device, "id": message_id, "received_utc": format_time_utc(received_s)}
            for device, message_id, received_s in rows
        ]

    def _refusals(self, serial: str, hour: int) -> list[dict[str, Any]]:
        rows = self._db.execute(
            "SELECT device, message_id, detail, refused_s FROM refusals WHERE point = ? AND hour = ? "
            "ORDER BY id DESC LIMIT 20",
            (serial, hour),
        )
        return [
            {"device": row[0], "id": row[1], "detail": row[2], "refused_utc": format_time_utc(row[3])}
            for row in rows
        ]

    def latest_refusals(self, limit: int = 20) -> list[dict[str, Any]]:
        """The latest refused readings, whatever point; a household's values are left out."""
        private = {point.serial for point in self._config.points if point.private}
        rows = self._db.execute(
            "SELECT point, device, detail, refused_s FROM refusals ORDER BY id DESC LIMIT ?", (limit,)
        )
        return [
            {
                "point": row[0],
                "device": row[1],
                "detail": "a reading of a private point" if row[0] in private else row[2],
                "refused_utc": format_time_utc(row[3]),
            }
            for row in rows
        ]

    def batch_counts(self) -> dict[str, int]:
        """Number of batches by state."""
        return self._batches.counts()

    def refused_batches(self) -> list[dict[str, Any]]:
        """Batches that the Ledger refused, the latest first."""
        rows = self._db.execute(
            "SELECT private, day, sequence, reason FROM batches WHERE state = 'refused' "
            "ORDER BY id DESC LIMIT 20"
        )
        return [
            {
                "stream": "private" if row[0] else "open",
                "day": format_day(row[1]),
                "sequence": row[2],
                "reason": row[3],
            }
            for row in rows
        ]

    def waiting_hours(self) -> int:
        """Hours whose records are not in a batch yet, or changed since."""
        return int(self._db.execute("SELECT count(*) FROM touched").fetchone()[0])
