"""Which readings are taken: the rules at intake (domain.md §2), against the configuration and the outbox.

A reading is taken, is a duplicate of what is stored (and changes nothing), or is refused with the values that
speak against it. A different value for the same time is a conflict: `corrects_wh` must name the stored value.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from contracts.hour import CLOCK_SKEW_S, HOUR_S, day_of, format_time_utc, hour_of, parse_day
from gateway.config import GatewayConfig, PointTable
from gateway.intervals import Interval, Intervals
from gateway.metering import MAX_GAP_HOURS, Register, Sample, allowed_wh, boundary_hour, difference_wh
from gateway.outbox import Intake
from gateway.payload import Reading

FOREVER_DAY: Final = 2**32


class Refused(Exception):
    """A reading that is not taken. `kind` is a word for programs, the text is for people."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail


class Taken(NamedTuple):
    """A reading that is safe in the outbox."""

    duplicate: bool
    note: str = ""
    """What the sender should know, for example that a register went down."""


NEW: Final = Taken(duplicate=False)
DUPLICATE: Final = Taken(duplicate=True)
NOTHING_STORED: Final[Interval] = (None, None)


@dataclass(frozen=True, slots=True)
class PointRule:
    """What the rules need to know of a metering point."""

    table: PointTable
    device: str
    private: bool
    interval_s: int | None
    """Length of the intervals whose energies the point posts; None for one that posts registers."""
    supply: frozenset[str]
    draw: frozenset[str]
    interval_cap_wh: int
    register: Register
    from_day: int
    until_day: int

    def in_force(self, day: int) -> bool:
        """Whether the point belongs to the boundary on a UTC day."""
        return self.from_day <= day < self.until_day


def point_rule(point: PointTable) -> PointRule:
    """The rules of a configured point."""
    cap_wh = point.declaration().cap_wh
    supply, draw = point.channels()
    counts = 10**point.register_digits if point.register_digits else 2**32
    return PointRule(
        table=point,
        device=point.device,
        private=point.private,
        interval_s=point.interval_s if point.posts == "energy" else None,
        supply=frozenset(supply),
        draw=frozenset(draw),
        interval_cap_wh=cap_wh * point.interval_s // HOUR_S,
        register=Register(counts * point.register_unit_wh, cap_wh),
        from_day=parse_day(point.from_day) if point.from_day else 0,
        until_day=parse_day(point.until_day) if point.until_day else FOREVER_DAY,
    )


@dataclass(slots=True)
class Changes:
    """What the readings of a transaction change beside themselves."""

    message: int = 0
    """Row of the message that is being read."""
    touched: dict[tuple[bool, int], int] = field(default_factory=dict)
    """(private, hour) whose records change -> since when."""

    def touch(self, private: bool, hour: int, now_s: int) -> None:
        """The records of an hour change."""
        self.touched.setdefault((private, hour), now_s)


class Acceptance:
    """Applies the rules to one reading after the other, inside a transaction of the outbox."""

    def __init__(self, config: GatewayConfig, outbox: Intake, intervals: Intervals) -> None:
        self._district = config.gateway.district
        self._outbox = outbox
        self._intervals = intervals
        self._rules = {point.serial: point_rule(point) for point in config.points}
        self._rows: dict[str, int] = {}

    def take(self, device: str, reading: Reading, now_s: int, changes: Changes) -> Taken:
        """Take a reading of `device`. Raises Refused; then the reading changed nothing."""
        rule = self._rules.get(reading.point)
        if rule is None:
            raise Refused("unknown-point", f"point {reading.point!r} is not configured at this gateway")
        if rule.device != device:
            raise Refused(
                "wrong-device",
                f"device {device!r} may not post point {reading.point}, which belongs to another device",
            )
        if reading.district is not None and reading.district.lower() != self._district:
            raise Refused(
                "wrong-district",
                f"the name says district {reading.district!r}, this gateway is in {self._district!r}",
            )
        if not rule.in_force(day_of(reading.time_s)):
            raise Refused(
                "not-in-force",
                f"point {reading.point} is not part of the boundary at {format_time_utc(reading.time_s)}",
            )
        if reading.register_wh is not None:
            return self._register(rule, reading, reading.register_wh, now_s, changes)
        return self._interval(rule, reading, now_s, changes)

    def row(self, serial: str) -> int:
        """Row of a configured point."""
        row = self._rows.get(serial)
        if row is None:
            row = self._rows[serial] = self._outbox.point_row(serial)
        return row

    def forget(self) -> None:
        """To be called when a transaction was rolled back: rows made in it are gone."""
        self._rows.clear()
        self._intervals.forget()

    def _interval(self, rule: PointRule, reading: Reading, now_s: int, changes: Changes) -> Taken:
        serial, interval_s = reading.point, rule.interval_s
        if interval_s is None:
            raise Refused("wrong-form", f"point {serial} posts register values, not energies of intervals")
        if reading.interval_s is not None and reading.interval_s != interval_s:
            raise Refused(
                "wrong-interval",
                f"interval_s {reading.interval_s} is not the {interval_s} s of point {serial}",
            )
        start_s = reading.time_s
        if start_s % interval_s:
            raise Refused(
                "misaligned",
                f"interval start {format_time_utc(start_s)} is not a multiple of {interval_s} s, UTC",
            )
        _not_from_the_future(start_s + interval_s, now_s)
        supply_wh, draw_wh = _channels(rule, reading)
        if (supply_wh or 0) > rule.interval_cap_wh or (draw_wh or 0) > rule.interval_cap_wh:
            raise Refused(
                "implausible",
                f"{max(supply_wh or 0, draw_wh or 0)} Wh in {interval_s} s at point {serial}; its nameplate "
                f"of {rule.table.nameplate_w} W allows at most {rule.interval_cap_wh} Wh",
            )
        point = self._rows.get(serial) or self.row(serial)
        stored = self._intervals.get(point, start_s)
        merged: Interval = supply_wh, draw_wh
        if stored is not None or reading.corrects_wh is not None:
            before, place = stored or NOTHING_STORED, (point, start_s)
            merged = (
                self._merged("supply", supply_wh, before[0], place, reading, changes.message),
                self._merged("draw", draw_wh, before[1], place, reading, changes.message),
            )
        if merged == (stored or NOTHING_STORED):
            return DUPLICATE
        self._intervals.put(point, start_s, merged, changes.message)
        changes.touch(rule.private, hour_of(start_s), now_s)
        return NEW

    def _merged(
        self,
        channel: str,
        sent: int | None,
        stored: int | None,
        place: tuple[int, int],
        reading: Reading,
        message: int,
    ) -> int | None:
        """The value to store for a channel. Raises Refused for a conflict."""
        if sent is None or sent == stored:
            return stored
        _require_agreement(reading, stored, sent)
        if stored is not None:
            self._outbox.supersede(place[0], channel, place[1], stored, sent, message)
        return sent

    def _register(
        self, rule: PointRule, reading: Reading, value_wh: int, now_s: int, changes: Changes
    ) -> Taken:
        table = rule.table
        if table.posts != "register":
            raise Refused(
                "wrong-form", f"point {table.serial} posts energies of intervals, not register values"
            )
        if any(value is not None for value in (reading.supply_wh, reading.draw_wh, reading.energy_wh)):
            raise Refused("wrong-form", "a register value and an energy are both given; give one")
        obis = _register_of(rule, reading.obis)
        _not_from_the_future(reading.time_s, now_s)
        if value_wh >= rule.register.modulus_wh:
            raise Refused(
                "implausible",
                f"register {obis} of {table.serial} cannot show {value_wh} Wh; it rolls over at "
                f"{rule.register.modulus_wh} Wh",
            )
        point = self.row(table.serial)
        sample = Sample(reading.time_s, value_wh)
        stored = self._outbox.sample(point, obis, sample.time_s)
        if stored == value_wh:
            return DUPLICATE
        _require_agreement(reading, stored, value_wh)
        note = self._plausible(rule, point, obis, sample)
        if stored is not None:
            self._outbox.supersede(point, obis, sample.time_s, stored, value_wh, changes.message)
        hour = boundary_hour(sample.time_s, table.sample_tolerance_s)
        self._outbox.put_sample(point, obis, sample, hour, changes.message)
        if hour is not None:
            before, after = self._outbox.boundary_hours(point, obis, hour)
            first = hour if before is None else max(before, hour - MAX_GAP_HOURS)
            end = hour if after is None else min(after, hour + 2 * MAX_GAP_HOURS)
            for touched in range(first, end):
                changes.touch(rule.private, touched, now_s)
        return Taken(duplicate=False, note=note)

    def _plausible(self, rule: PointRule, point: int, obis: str, sample: Sample) -> str:
        """A note when the register went down unexplained. Raises Refused for a jump above the cap."""
        exchanges = self._outbox.exchanges(point, obis)
        note = ""
        before = self._outbox.samples_before(point, obis, sample.time_s, 2)
        if before:
            counted = difference_wh(before[0], sample, rule.register, exchanges)
            if counted is None:
                note = (
                    f"register {obis} of {rule.table.serial} went down from {before[0].value_wh} to "
                    f"{sample.value_wh} Wh: the interval is missing until the exchange is declared"
                )
            elif not self._fits(rule, before[0], sample, counted):
                fallen = (
                    len(before) == 2 and difference_wh(before[1], before[0], rule.register, exchanges) is None
                )
                earlier = difference_wh(before[1], sample, rule.register, exchanges) if fallen else None
                if earlier is None or not self._fits(rule, before[1], sample, earlier):
                    raise _jump(rule, obis, before[0], sample, counted)
        for after in self._outbox.samples_after(point, obis, sample.time_s, 1):
            counted = difference_wh(sample, after, rule.register, exchanges)
            if counted is not None and not self._fits(rule, sample, after, counted):
                raise _jump(rule, obis, sample, after, counted)
        return note

    @staticmethod
    def _fits(rule: PointRule, earlier: Sample, later: Sample, counted_wh: int) -> bool:
        resolution_wh = rule.table.register_unit_wh
        return counted_wh <= allowed_wh(earlier, later, rule.register) + resolution_wh


def _jump(rule: PointRule, obis: str, earlier: Sample, later: Sample, counted_wh: int) -> Refused:
    return Refused(
        "implausible",
        f"register {obis} of {rule.table.serial} counted {counted_wh} Wh from "
        f"{format_time_utc(earlier.time_s)} ({earlier.value_wh} Wh) to {format_time_utc(later.time_s)} "
        f"({later.value_wh} Wh); its nameplate of {rule.table.nameplate_w} W allows at most "
        f"{allowed_wh(earlier, later, rule.register)} Wh; declare the exchange if the meter was exchanged",
    )


def _not_from_the_future(time_s: int, now_s: int) -> None:
    if time_s > now_s + CLOCK_SKEW_S:
        raise Refused(
            "future",
            f"time {format_time_utc(time_s)} is {time_s - now_s} s in the future (now "
            f"{format_time_utc(now_s)}, allowed skew {CLOCK_SKEW_S} s); check the device's clock",
        )


def _require_agreement(reading: Reading, stored: int | None, sent: int) -> None:
    if reading.corrects_wh is None and stored is not None:
        raise Refused(
            "conflict",
            f"{format_time_utc(reading.time_s)} of point {reading.point} holds {stored} Wh, this says "
            f"{sent} Wh; send it with corrects_wh {stored} to replace",
        )
    if reading.corrects_wh is not None and reading.corrects_wh != stored:
        held = "nothing" if stored is None else f"{stored} Wh"
        raise Refused(
            "conflict",
            f"corrects_wh {reading.corrects_wh}, but {format_time_utc(reading.time_s)} of point "
            f"{reading.point} holds {held}",
        )


def _channels(rule: PointRule, reading: Reading) -> tuple[int | None, int | None]:
    """Energies sent for supply and draw. Raises Refused."""
    supply_wh, draw_wh = reading.supply_wh, reading.draw_wh
    if reading.energy_wh is not None:
        if supply_wh is not None or draw_wh is not None:
            raise Refused("wrong-form", "energy_wh stands beside supply_wh or draw_wh; give one form")
        if _register_of(rule, reading.obis) in rule.supply:
            supply_wh = reading.energy_wh
        else:
            draw_wh = reading.energy_wh
    if supply_wh is None and draw_wh is None:
        raise Refused("wrong-form", "no energy: give supply_wh, draw_wh, energy_wh or a register value")
    if reading.corrects_wh is not None and supply_wh is not None and draw_wh is not None:
        raise Refused("wrong-form", "corrects_wh names one value; send supply_wh and draw_wh one by one")
    if supply_wh and not rule.supply:
        raise _wrong_channel(rule, "supply", supply_wh)
    if draw_wh and not rule.draw:
        raise _wrong_channel(rule, "draw", draw_wh)
    return supply_wh if rule.supply else None, draw_wh if rule.draw else None


def _wrong_channel(rule: PointRule, channel: str, energy_wh: int) -> Refused:
    return Refused(
        "wrong-channel",
        f"{channel}_wh {energy_wh} Wh, but point {rule.table.serial} ({rule.table.kind}) meters no {channel}",
    )


def _register_of(rule: PointRule, obis: str | None) -> str:
    """Register that a reading means. Raises Refused."""
    registers = rule.supply | rule.draw
    if obis is None and len(registers) == 1:
        (obis,) = registers
    if obis is None or obis not in registers:
        found = "no OBIS code" if obis is None else f"OBIS code {obis}"
        raise Refused(
            "unknown-register",
            f"{found} in a reading of point {rule.table.serial}, which has {', '.join(sorted(registers))}",
        )
    return obis
