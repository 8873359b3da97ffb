"""Hourly records out of what the outbox holds (domain.md §2)."""

import sqlite3
from typing import NamedTuple

from contracts.hour import HOUR_S
from contracts.point import Kind
from contracts.reading import Record
from gateway.acceptance import PointRule, point_rule
from gateway.config import GatewayConfig
from gateway.metering import MISSING, Amount, Sample, interval_hour, record, register_hours, total
from gateway.outbox import exchanges


class PointHour(NamedTuple):
    """A point's hour: the record and the amounts that it comes from (None: channel not metered)."""

    record: Record
    supply: Amount | None
    draw: Amount | None

    @property
    def reason(self) -> str:
        """Why the hour is not measured, in words."""
        return "; ".join(amount.reason for amount in (self.supply, self.draw) if amount and amount.reason)


class Point(NamedTuple):
    """A configured point with its row in the outbox."""

    row: int
    rule: PointRule

    @property
    def serial(self) -> str:
        """Serial of the meter."""
        return self.rule.table.serial

    @property
    def kind(self) -> Kind:
        """Role and carrier."""
        return self.rule.table.declaration().kind


class Records:
    """Makes records from one connection's view of the outbox."""

    def __init__(self, config: GatewayConfig, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._rules = [point_rule(point) for point in config.points]
        self._by_serial = {rule.table.serial: rule for rule in self._rules}

    def points(self, private: bool, day: int) -> list[Point]:
        """Points of a stream in force on a day, in the configured order; row 0: nothing was ever stored."""
        rows: dict[str, int] = dict(self._db.execute("SELECT serial, id FROM points"))
        return [
            Point(rows.get(rule.table.serial, 0), rule)
            for rule in self._rules
            if rule.table.private == private and rule.in_force(day)
        ]

    def point(self, serial: str) -> Point | None:
        """A configured point."""
        rule = self._by_serial.get(serial)
        if rule is None:
            return None
        row = self._db.execute("SELECT id FROM points WHERE serial = ?", (serial,)).fetchone()
        return Point(row[0] if row else 0, rule)

    def hours(self, points: list[Point], hours: list[int]) -> dict[int, list[PointHour]]:
        """Hour -> the points' hours, in the order of `points`; `hours` belong to one UTC day."""
        first, end = min(hours), max(hours) + 1
        found: dict[str, dict[int, PointHour]] = {}
        intervals = self._intervals(first, end)
        for point in points:
            if point.rule.table.posts == "register":
                found[point.serial] = self._register_hours(point, first, end)
            else:
                found[point.serial] = _interval_hours(point, intervals.get(point.row, {}))
        return {
            hour: [found[point.serial].get(hour) or _missing(point) for point in points] for hour in hours
        }

    def _intervals(self, first: int, end: int) -> dict[int, dict[int, list[tuple[int | None, int | None]]]]:
        """Point row -> hour -> energies of its intervals."""
        result: dict[int, dict[int, list[tuple[int | None, int | None]]]] = {}
        for start_s, point, supply_wh, draw_wh in self._db.execute(
            "SELECT start_s, point, supply_wh, draw_wh FROM intervals WHERE start_s >= ? AND start_s < ?",
            (first * HOUR_S, end * HOUR_S),
        ):
            by_hour = result.setdefault(point, {})
            by_hour.setdefault(start_s // HOUR_S, []).append((supply_wh, draw_wh))
        return result

    def _register_hours(self, point: Point, first: int, end: int) -> dict[int, PointHour]:
        channels = [
            [self._register(point, obis, first, end) for obis in sorted(registers)]
            for registers in (point.rule.supply, point.rule.draw)
        ]
        result = {}
        for hour in range(first, end):
            supply, draw = (
                total([amounts.get(hour, MISSING) for amounts in registers]) if registers else None
                for registers in channels
            )
            result[hour] = PointHour(record(supply, draw), supply, draw)
        return result

    def _register(self, point: Point, obis: str, first: int, end: int) -> dict[int, Amount]:
        """Amounts of a register's hours, from two boundaries before to one after those asked for."""
        series = (point.row, obis)
        before = self._db.execute(
            "SELECT min(hour) FROM (SELECT DISTINCT hour FROM samples WHERE point = ? AND obis = ? "
            "AND hour <= ? ORDER BY hour DESC LIMIT 2)",
            (*series, first),
        ).fetchone()[0]
        after = self._db.execute(
            "SELECT min(hour) FROM samples WHERE point = ? AND obis = ? AND hour >= ?", (*series, end)
        ).fetchone()[0]
        rows = self._db.execute(
            "SELECT hour, time_s, value_wh FROM samples "
            "WHERE point = ? AND obis = ? AND hour BETWEEN ? AND ?",
            (*series, first if before is None else before, end if after is None else after),
        )
        samples = [(hour, Sample(time_s, value_wh)) for hour, time_s, value_wh in rows]
        return register_hours(samples, point.rule.register, exchanges(self._db, *series))


def _interval_hours(
    point: Point, by_hour: dict[int, list[tuple[int | None, int | None]]]
) -> dict[int, PointHour]:
    expected = HOUR_S // point.rule.table.interval_s
    result = {}
    for hour, energies in by_hour.items():
        supply, draw = (
            interval_hour([wh for pair in energies if (wh := pair[side]) is not None], expected)
            if registers
            else None
            for side, registers in enumerate((point.rule.supply, point.rule.draw))
        )
        result[hour] = PointHour(record(supply, draw), supply, draw)
    return result


def _missing(point: Point) -> PointHour:
    supply = MISSING if point.rule.supply else None
    draw = MISSING if point.rule.draw else None
    return PointHour(record(supply, draw), supply, draw)
