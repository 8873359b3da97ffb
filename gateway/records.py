"""Hourly records out of what the outbox holds (domain.md §2)."""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from contracts.hour import HOUR_S
from contracts.point import Kind
from contracts.reading import Record
from gateway.acceptance import PointRule, point_rule
from gateway.config import GatewayConfig
from gateway.intervals import Interval
from gateway.metering import MISSING, Amount, Sample, interval_hour, record, register_hours, total
from gateway.outbox import exchanges


class PointHour(msgspec.Struct, frozen=True, gc=False):
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
        if not hours:
            return {}
        registers = {
            point.row: self._register_hours(point, min(hours), max(hours) + 1)
            for point in points
            if point.row and point.rule.interval_s is None
        }
        shapes = [
            (point.row, HOUR_S // point.rule.table.interval_s, bool(point.rule.supply), bool(point.rule.draw))
            for point in points
        ]
        result = {}
        for hour in hours:
            energies = self._intervals(hour)
            result[hour] = [
                registers[row][hour]
                if row in registers
                else _interval_hour(energies.get(row, ()), expected, supply, draw)
                for row, expected, supply, draw in shapes
            ]
        return result

    def lacking(self, points: list[Point], hours: list[int]) -> set[int]:
        """Those of `hours`, of one UTC day, in which intervals of `points` are missing.

        Counted, not read: it is asked whenever readings came, mostly of a day that is still coming in.
        """
        posting = [point for point in points if point.rule.interval_s is not None]
        if not posting or not hours:
            return set()
        expected = sum(HOUR_S // point.rule.table.interval_s for point in posting)
        rows = msgspec.json.encode([point.row for point in posting]).decode()
        counts = dict(
            self._db.execute(
                "SELECT start_s / ?, count(*) FROM intervals WHERE start_s >= ? AND start_s < ? "
                "AND point IN (SELECT value FROM json_each(?)) GROUP BY 1",
                (HOUR_S, min(hours) * HOUR_S, (max(hours) + 1) * HOUR_S, rows),
            )
        )
        return {hour for hour in hours if counts.get(hour, 0) < expected}

    def _intervals(self, hour: int) -> dict[int, list[Interval]]:
        """Point row -> energies of its intervals in an hour."""
        result: dict[int, list[Interval]] = {}
        for point, supply_wh, draw_wh in self._db.execute(
            "SELECT point, supply_wh, draw_wh FROM intervals WHERE start_s >= ? AND start_s < ?",
            (hour * HOUR_S, (hour + 1) * HOUR_S),
        ):
            if point in result:
                result[point].append((supply_wh, draw_wh))
            else:
                result[point] = [(supply_wh, draw_wh)]
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


def _interval_hour(
    energies: Sequence[Interval], expected: int, has_supply: bool, has_draw: bool
) -> PointHour:
    """Hour of a point that posts energies, from its intervals, of `expected` ones."""
    supply = draw = None
    if has_supply:
        supply = interval_hour([pair[0] for pair in energies if pair[0] is not None], expected)
    if has_draw:
        draw = interval_hour([pair[1] for pair in energies if pair[1] is not None], expected)
    return PointHour(record(supply, draw), supply, draw)
