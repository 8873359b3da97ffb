"""Baseline, response and pay of demand response in exact numbers, as domain.md §7 states them.

The contracts (Flexibility.sol, Baseline.sol) repeat all of it to the last Wh and micro-euro. M is a
district's net import at its boundary in one UTC hour, import - export, Wh, signed. Hours are
`unix time // 3600`, days `unix time // 86400`. No hour that ended after the event was opened counts: once it
is known, a district can inflate its load.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor
from typing import Final

from contracts.hour import HOUR_S, HOURS_PER_DAY, day_of, day_of_hour, hour_of_day
from contracts.response import BaselineMethod

LOOK_BACK_DAYS: Final = 45
"""Only days within so many before the day of the opening are similar days."""
MOST_DAYS: Final = 10
LEAST_DAYS: Final = 5
"""With fewer similar days there is no baseline; `high_5_of_10` uses so many."""
WINDOW_HOURS: Final = 3
"""Length of the window of the same-day adjustment; it ends one hour before the event."""
MOST_ADJUSTMENT: Final = Fraction(1, 5)
"""Of the mean size of M over the chosen days' event hours."""


class EventInvalid(ValueError):
    """Hours that are no event: none, or on more than one UTC day, or opened after it began."""


@dataclass(frozen=True, slots=True)
class History:
    """What is known of a district: its hours, and which days are special."""

    net_import_wh: Mapping[int, int]
    """M of the complete hours by hour. An hour that is not in it is not complete."""
    first_day: int = 0
    """First day with a boundary: earlier days are no similar days."""
    event_days: frozenset[int] = frozenset()
    """Days on which the district took part in an event."""
    holidays: frozenset[int] = frozenset()

    def is_rest_day(self, day: int) -> bool:
        """Whether `day` is a Saturday, a Sunday or a holiday."""
        return (day + 3) % 7 >= 5 or day in self.holidays


@dataclass(frozen=True, slots=True)
class Baseline:
    """A district's baseline for the hours of an event, with what it is made of. Energies in Wh."""

    days: tuple[int, ...]
    """Days used, ascending; without a baseline the similar days that there are."""
    values_wh: tuple[tuple[int, ...], ...]
    """M of each of these days in the event hours."""
    replaced: frozenset[tuple[int, int]]
    """Day and place of the values that stand in for an hour that is not complete."""
    means_wh: tuple[Fraction, ...]
    adjustment_wh: Fraction | None
    """None: the event was opened before the window of the adjustment had ended, or there is no baseline."""
    baseline_wh: tuple[int, ...] | None
    """Mean plus adjustment, rounded once: down to reduce, up to increase. None: there is no baseline."""
    reason: str | None = None
    """Why there is none."""


@dataclass(frozen=True, slots=True)
class _Hours:
    """The hours that count, each with what stands in for it when it is not complete."""

    complete: Mapping[int, int]
    opened_s: int
    open_day: int
    _least: dict[tuple[int, bool], int | None] = field(default_factory=dict)

    def ended(self, hour: int) -> bool:
        return (hour + 1) * HOUR_S <= self.opened_s

    def value(self, hour: int, lowest: bool) -> int | None:
        """M of the hour, or the lowest (highest) complete M of its clock hour within the 45 days."""
        found = self.complete.get(hour)
        return self._stand_in(hour_of_day(hour), lowest) if found is None else found

    def _stand_in(self, clock: int, lowest: bool) -> int | None:
        if (clock, lowest) not in self._least:
            hours = (
                day * HOURS_PER_DAY + clock
                for day in range(self.open_day - LOOK_BACK_DAYS, self.open_day + 1)
            )
            known = [self.complete[hour] for hour in hours if self.ended(hour) and hour in self.complete]
            self._least[clock, lowest] = (min(known) if lowest else max(known)) if known else None
        return self._least[clock, lowest]


def similar_days(history: History, hours: range, opened_s: int) -> list[int]:
    """The most recent similar days, at most ten, the latest first (domain.md §7).

    Days from 45 before the opening's on whose event hours had all ended at the opening, of the same kind as
    the event's day, with a boundary and without an event of this district. Raises EventInvalid.
    """
    event_day = _event_day(hours, opened_s)
    ends_s = (hours[-1] - event_day * HOURS_PER_DAY + 1) * HOUR_S
    open_day = day_of(opened_s)
    rests = history.is_rest_day(event_day)
    found: list[int] = []
    for day in range(open_day, open_day - LOOK_BACK_DAYS - 1, -1):
        if day < history.first_day or len(found) == MOST_DAYS:
            break
        has_ended = day * HOURS_PER_DAY * HOUR_S + ends_s <= opened_s
        if has_ended and history.is_rest_day(day) == rests and day not in history.event_days:
            found.append(day)
    return found


def compute_baseline(
    history: History, method: BaselineMethod, increase: bool, hours: range, opened_s: int
) -> Baseline:
    """The baseline of the event `hours` (consecutive, of one UTC day) opened at `opened_s` (domain.md §7).

    An hour that is not complete counts with the value least favourable to the district. Raises EventInvalid.
    """
    days = similar_days(history, hours, opened_s)
    if len(days) < LEAST_DAYS:
        reason = f"{len(days)} similar days before the opening, {LEAST_DAYS} are needed"
        return Baseline(tuple(reversed(days)), (), frozenset(), (), None, None, reason)
    known = _Hours(history.net_import_wh, opened_s, day_of(opened_s))
    event_day = day_of_hour(hours[0])
    values: dict[int, tuple[int, ...]] = {}
    for day in days:
        shifted = [hour + (day - event_day) * HOURS_PER_DAY for hour in hours]
        found = [known.value(hour, lowest=not increase) for hour in shifted]
        if None in found:
            clock = hour_of_day(shifted[found.index(None)])
            return _none(
                days, f"no complete hour at {clock:02}:00 UTC in the {LOOK_BACK_DAYS} days before the opening"
            )
        values[day] = tuple(value for value in found if value is not None)
    if method is BaselineMethod.HIGH_FIVE_OF_TEN:
        # Of equal sums the more recent day comes first: sorting keeps the order.
        days = sorted(days, key=lambda day: sum(values[day]), reverse=not increase)[:LEAST_DAYS]
    days = sorted(days)
    chosen = [values[day] for day in days]
    means = tuple(Fraction(sum(column), len(days)) for column in zip(*chosen, strict=True))
    adjustment = None
    if opened_s >= (hours[0] - 1) * HOUR_S:
        raw = _raw_adjustment(known, days, event_day, hours[0], increase)
        if raw is None:
            return _none(
                days, f"no complete hour like one of the {WINDOW_HOURS} that the adjustment compares"
            )
        most = MOST_ADJUSTMENT * Fraction(
            sum(abs(value) for row in chosen for value in row), len(days) * len(hours)
        )
        adjustment = max(-most, min(most, raw))
    rounded = ceil if increase else floor
    return Baseline(
        days=tuple(days),
        values_wh=tuple(chosen),
        replaced=frozenset(
            (day, place)
            for day in days
            for place, hour in enumerate(hours)
            if hour + (day - event_day) * HOURS_PER_DAY not in history.net_import_wh
        ),
        means_wh=means,
        adjustment_wh=adjustment,
        baseline_wh=tuple(rounded(mean + (adjustment or 0)) for mean in means),
    )


def _event_day(hours: range, opened_s: int) -> int:
    if not hours or hours.step != 1 or day_of_hour(hours[0]) != day_of_hour(hours[-1]):
        raise EventInvalid("an event is 1 to 24 consecutive hours of one UTC day")
    if opened_s > hours[0] * HOUR_S:
        raise EventInvalid("an event is opened before it begins")
    return day_of_hour(hours[0])


def _none(days: Iterable[int], reason: str) -> Baseline:
    return Baseline(tuple(sorted(days)), (), frozenset(), (), None, None, reason)


def _raw_adjustment(
    known: _Hours, days: Sequence[int], event_day: int, start: int, increase: bool
) -> Fraction | None:
    """Mean of the window less the chosen days' mean in the same clock hours, which may lie on the day before.

    What stands in for a hidden hour lowers it (increase: raises it) on either side of the difference.
    """
    window = range(start - 1 - WINDOW_HOURS, start - 1)
    now = [known.value(hour, lowest=not increase) for hour in window]
    then = [
        known.value(hour + (day - event_day) * HOURS_PER_DAY, lowest=increase)
        for day in days
        for hour in window
    ]
    if None in now or None in then:
        return None
    mean_now = Fraction(sum(value for value in now if value is not None), len(now))
    return mean_now - Fraction(sum(value for value in then if value is not None), len(then))


def response_wh(
    baseline_wh: int | None,
    net_import_wh: int | None,
    capacity_wh: int,
    increase: bool,
    sensitivity_wh: int,
    claimed_wh: int = 0,
) -> int:
    """What counts of a district's response in one hour, Wh (domain.md §§6, 7).

    `baseline_wh` is None without a baseline and `net_import_wh` for an hour that is not complete: nothing
    counts. `claimed_wh` is certified elsewhere or sold: to reduce, of the export only the rest counts.
    """
    if baseline_wh is None or net_import_wh is None:
        return 0
    response = net_import_wh - baseline_wh if increase else baseline_wh - net_import_wh
    if not increase:
        export_wh = max(0, -net_import_wh)
        response = min(response, max(0, baseline_wh) + export_wh - min(export_wh, claimed_wh))
    response = max(0, min(response, capacity_wh))
    return response if response >= sensitivity_wh else 0


def hour_pay_micro_eur(
    price_micro_eur_per_kwh: int, requested_wh: int, responses_wh: Sequence[int]
) -> list[int]:
    """What each district gets for one hour, micro-euro, rounded down; together never above the budget."""
    total_wh = sum(responses_wh)
    paid_wh = min(total_wh, requested_wh)
    return [
        price_micro_eur_per_kwh * paid_wh * response // (1000 * total_wh) if total_wh else 0
        for response in responses_wh
    ]


def hour_penalty_micro_eur(penalty_micro_eur_per_kwh: int, capacity_wh: int, response: int) -> int:
    """Penalty for one hour, micro-euro: for what is missing to nine tenths of the enrolled capacity."""
    return penalty_micro_eur_per_kwh * max(0, 9 * capacity_wh // 10 - response) // 1000


def deposit_micro_eur(penalty_micro_eur_per_kwh: int, capacity_wh: int, hour_count: int) -> int:
    """What a district puts up, micro-euro: the greatest possible penalty of the event."""
    return hour_count * hour_penalty_micro_eur(penalty_micro_eur_per_kwh, capacity_wh, 0)
