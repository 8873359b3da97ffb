"""What was proposed, accepted, sent, acknowledged and done, side by side for each interval of each device."""

import csv
import io
import sqlite3
from typing import Any, Final

import msgspec

from contracts.hour import HOUR_S, format_time_utc, hour_of
from contracts.reading import Status
from gateway.config import GatewayConfig, PointTable
from gateway.records import Records
from gateway.setpoint_messages import read_state

COLUMNS: Final = (
    "device",
    "from_utc",
    "until_utc",
    "source",
    "proposal",
    "setpoint_w",
    "id",
    "state",
    "sends",
    "sent_utc",
    "acknowledged_utc",
    "answer_w",
    "done_w",
    "difference_w",
    "detail",
)


class Comparison:
    """Answers from one connection to the outbox. Powers are W, positive where the device draws."""

    def __init__(self, config: GatewayConfig, connection: sqlite3.Connection) -> None:
        self._config = config
        self._db = connection
        self._records = Records(config, connection)
        serials = {table.device: table.point for table in config.controllable}
        points = {point.serial: point for point in config.points}
        self._meters = {device: points[serial] for device, serial in serials.items()}

    def rows(self, from_s: int, until_s: int) -> list[dict[str, Any]]:
        """Commands whose interval overlaps a span of Unix seconds, by device and time.

        `state` is waiting, sent, accepted, clipped or refused (by the device), expired (it never answered) or
        superseded by a newer one. `done_w` is the mean power that the device's meter counted over the whole
        interval, None until all of it has been read; `difference_w` is done less asked.
        """
        found = self._db.execute(
            "SELECT c.device, c.from_s, c.until_s, c.source, p.digest, c.setpoint_w, c.id, c.outcome, "
            "c.sends, c.sent_s, c.acknowledged_s, c.answer_w, c.detail, "
            "EXISTS (SELECT 1 FROM control_commands n WHERE n.device = c.device AND n.id > c.id "
            "AND n.from_s < c.until_s AND n.until_s > c.from_s) "
            "FROM control_commands c LEFT JOIN control_proposals p ON p.id = c.proposal "
            "WHERE c.until_s > ? AND c.from_s < ? ORDER BY c.device, c.from_s, c.id",
            (from_s, until_s),
        ).fetchall()
        return [self._row(*row) for row in found]

    def _row(
        self,
        device: str,
        from_s: int,
        until_s: int,
        source: str,
        digest: bytes | None,
        setpoint_w: int,
        number: int,
        outcome: str | None,
        sends: int,
        sent_s: int | None,
        acknowledged_s: int | None,
        answer_w: int | None,
        detail: str,
        superseded: int,
    ) -> dict[str, Any]:
        meter = self._meters.get(device)
        done_w = None if superseded or meter is None else self.done_w(meter, from_s, until_s)
        state = outcome or ("sent" if sends else "waiting")
        return {
            "device": device,
            "from_utc": format_time_utc(from_s),
            "until_utc": format_time_utc(until_s),
            "source": source,
            "proposal": None if digest is None else "0x" + digest.hex(),
            "setpoint_w": setpoint_w,
            "id": number,
            "state": "superseded" if superseded else state,
            "sends": sends,
            "sent_utc": None if sent_s is None else format_time_utc(sent_s),
            "acknowledged_utc": None if acknowledged_s is None else format_time_utc(acknowledged_s),
            "answer_w": answer_w,
            "done_w": done_w,
            "difference_w": None if done_w is None else done_w - setpoint_w,
            "detail": detail,
        }

    def done_w(self, meter: PointTable, from_s: int, until_s: int) -> int | None:
        """Mean power of a meter over an interval (draw less supply); None unless all of it was measured."""
        if meter.posts == "register":
            energies = self._hour_of_registers(meter, from_s, until_s)
        else:
            energies = self._intervals(meter, from_s, until_s)
        if energies is None:
            return None
        supply_wh, draw_wh = energies
        return round((draw_wh - supply_wh) * HOUR_S / (until_s - from_s))

    def _intervals(self, meter: PointTable, from_s: int, until_s: int) -> tuple[int, int] | None:
        count, supplies, draws, supply_wh, draw_wh = self._db.execute(
            "SELECT count(*), count(supply_wh), count(draw_wh), total(supply_wh), total(draw_wh) "
            "FROM intervals WHERE point = (SELECT id FROM points WHERE serial = ?) "
            "AND start_s >= ? AND start_s < ?",
            (meter.serial, from_s, until_s),
        ).fetchone()
        has_supply, has_draw = (bool(registers) for registers in meter.channels())
        complete = (
            count * meter.interval_s == until_s - from_s
            and from_s % meter.interval_s == 0
            and (not has_supply or supplies == count)
            and (not has_draw or draws == count)
        )
        return (int(supply_wh), int(draw_wh)) if complete else None

    def _hour_of_registers(self, meter: PointTable, from_s: int, until_s: int) -> tuple[int, int] | None:
        point = self._records.point(meter.serial)
        if point is None or not point.row or from_s % HOUR_S or until_s - from_s != HOUR_S:
            return None
        record = self._records.hours([point], [hour_of(from_s)])[hour_of(from_s)][0].record
        return (record.supply_wh, record.draw_wh) if record.status is Status.MEASURED else None

    def proposals(self, limit: int = 50) -> list[dict[str, Any]]:
        """The newest accepted proposals."""
        rows = self._db.execute(
            "SELECT digest, optimiser, sequence, valid_from_s, valid_until_s, accepted_s "
            "FROM control_proposals ORDER BY id DESC LIMIT ?",
            (limit,),
        )
        return [
            {
                "proposal": "0x" + digest.hex(),
                "optimiser": optimiser,
                "sequence": sequence,
                "valid_from_utc": format_time_utc(valid_from_s),
                "valid_until_utc": format_time_utc(valid_until_s),
                "accepted_utc": format_time_utc(accepted_s),
            }
            for digest, optimiser, sequence, valid_from_s, valid_until_s, accepted_s in rows
        ]

    def refusals(self, limit: int = 50) -> list[dict[str, Any]]:
        """The newest refused proposals, and why."""
        rows = self._db.execute(
            "SELECT refused_s, optimiser, digest, kind, detail FROM control_refusals "
            "ORDER BY id DESC LIMIT ?",
            (limit,),
        )
        return [
            {
                "refused_utc": format_time_utc(refused_s),
                "optimiser": optimiser,
                "proposal": None if digest is None else "0x" + digest.hex(),
                "type": f"urn:ped:problem:{kind}",
                "detail": detail,
            }
            for refused_s, optimiser, digest, kind, detail in rows
        ]

    def devices(self) -> list[dict[str, Any]]:
        """Devices that take set-points: their limits here, and what they declared last."""
        heard = {
            device: (read_state(state), heard_s)
            for device, state, heard_s in self._db.execute(
                "SELECT device, state, heard_s FROM control_states"
            )
        }
        result = []
        for table in self._config.controllable:
            state, heard_s = heard.get(table.device, (None, None))
            result.append(
                {
                    **table.model_dump(mode="json"),
                    "declared": None if state is None else msgspec.to_builtins(state),
                    "heard_utc": None if heard_s is None else format_time_utc(heard_s),
                }
            )
        return result

    def document(self, digest: bytes) -> bytes | None:
        """An accepted proposal as it was signed."""
        row = self._db.execute(
            "SELECT document FROM control_proposals WHERE digest = ?", (digest,)
        ).fetchone()
        return None if row is None else bytes(row[0])

    def summary(self) -> dict[str, Any]:
        """Counts, for the status page; no reading and no set-point of anybody in it."""
        counts = self._db.execute(
            "SELECT coalesce(outcome, CASE WHEN sends > 0 THEN 'sent' ELSE 'waiting' END), count(*) "
            "FROM control_commands GROUP BY 1 ORDER BY 1"
        )
        newest = self._db.execute(
            "SELECT device, source FROM control_commands WHERE id IN "
            "(SELECT max(id) FROM control_commands GROUP BY device) ORDER BY device"
        )
        return {
            "proposals": self._db.execute("SELECT count(*) FROM control_proposals").fetchone()[0],
            "commands": dict(counts),
            "follows": dict(newest),
            "refusals": [
                {"refused_utc": entry["refused_utc"], "type": entry["type"]} for entry in self.refusals(5)
            ],
        }


def to_csv(rows: list[dict[str, Any]]) -> str:
    """Rows as CSV with a head line; empty where there is no value."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
