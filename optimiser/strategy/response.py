"""How much to enrol in a demand-response event, and why (domain.md §7).

What will count in an hour is `clamp(B - M, 0, enrolled)`, and M is what the district would have drawn anyway
less what its devices deliver. So the forecast decides: `deliverable` is the response that is exceeded in each
event hour with the chosen confidence; never more is enrolled. Less is enrolled where the expected penalty of
the last Wh outweighs its pay: expected pay less expected penalty over equally likely values of the forecast.
Both are piecewise linear in the enrolment, so trying their corners finds the best.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import Any

from contracts.baseline import (
    LEAST_DAYS,
    Baseline,
    History,
    compute_baseline,
    deposit_micro_eur,
    hour_pay_micro_eur,
    hour_penalty_micro_eur,
    response_wh,
)
from contracts.hour import format_hour_utc
from contracts.response import BaselineMethod
from optimiser.forecast import Forecast
from optimiser.strategy.reason import AdviceInvalid, Reason

SCENARIOS = 20
SCENARIO_LEVELS = tuple((2 * number + 1) / (2 * SCENARIOS) for number in range(SCENARIOS))
"""Levels of equally likely values of net import."""


@dataclass(frozen=True)
class Event:
    """What an event asks for, as far as enrolment depends on it. Prices micro-euro per kWh."""

    hours: range
    """Unix time // 3600."""
    opened_s: int
    increase: bool
    method: BaselineMethod
    requested_wh: int
    """Per hour, over all districts."""
    price_micro_eur_per_kwh: int
    penalty_micro_eur_per_kwh: int


@dataclass(frozen=True)
class ResponseAdvice:
    """What to enrol; 0: do not. Energies Wh per hour, money micro-euro over the whole event."""

    district_id: str
    capacity_wh: int
    deliverable_wh: int
    """Response that the forecast exceeds in each event hour with the confidence."""
    baseline_wh: tuple[int, ...] | None
    deposit_micro_eur: int
    expected_pay_micro_eur: int
    expected_penalty_micro_eur: int
    reasons: tuple[Reason, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "district": self.district_id,
            "enrol": self.capacity_wh > 0,
            "capacity_wh": self.capacity_wh,
            "deliverable_wh": self.deliverable_wh,
            "baseline_wh": None if self.baseline_wh is None else list(self.baseline_wh),
            "deposit_micro_eur": self.deposit_micro_eur,
            "expected_pay_micro_eur": self.expected_pay_micro_eur,
            "expected_penalty_micro_eur": self.expected_penalty_micro_eur,
            "reasons": [reason.to_json() for reason in self.reasons],
        }


def advise_response(
    district_id: str,
    event: Event,
    history: History,
    forecast: Forecast,
    flexible_wh: int,
    *,
    shortfall: Fraction,
    sensitivity_wh: int = 100,
    sold_wh: Mapping[int, int] | None = None,
) -> ResponseAdvice:
    """Advice for an event whose hours `forecast` has, at SCENARIO_LEVELS, `shortfall` and 1 - it, of what is
    drawn without the event. `flexible_wh` is what the devices deliver in every hour; `sold_wh` is what is
    sold of the export of each hour, which does not count again (domain.md §6).

    Raises AdviceInvalid, contracts.baseline.EventInvalid.
    """
    if not 0 < shortfall < Fraction(1, 2):
        raise AdviceInvalid(f"probability of a shortfall {float(shortfall)}; give more than 0, less than 0.5")
    baseline = compute_baseline(history, event.method, event.increase, event.hours, event.opened_s)
    reasons = [_baseline_reason(baseline, event)]
    if baseline.baseline_wh is None:
        return _none(district_id, 0, None, reasons)
    reasons.append(
        Reason("The devices deliver so much in every hour of the event", flexible_wh, "Wh", "devices given")
    )
    sold = sold_wh or {}
    sign = 1 if event.increase else -1

    def counted(place: int, net_import: float, capacity_wh: int) -> int:
        drawn = (
            floor(net_import + sign * flexible_wh) if event.increase else -floor(-net_import) - flexible_wh
        )
        return response_wh(
            (baseline.baseline_wh or ())[place],
            drawn,
            capacity_wh,
            event.increase,
            sensitivity_wh,
            sold.get(event.hours[place], 0),
        )

    unfavourable = float(shortfall) if event.increase else float(1 - shortfall)
    careful = _values(forecast, event.hours, unfavourable)
    unlimited = 2**32 - 1
    each = [counted(place, value, unlimited) for place, value in enumerate(careful)]
    deliverable = min(each)
    weakest = event.hours[each.index(deliverable)]
    reasons.append(
        Reason(
            f"With {1 - float(shortfall):.0%} in each hour so much counts at least; the weakest hour is "
            f"{format_hour_utc(weakest)}: baseline {baseline.baseline_wh[each.index(deliverable)]} Wh, "
            f"foreseen net import at that quantile {careful[each.index(deliverable)]:.0f} Wh",
            deliverable,
            "Wh",
            f"forecast: {forecast.method}",
        )
    )
    columns = [_values(forecast, event.hours, level) for level in SCENARIO_LEVELS]
    rows = [[counted(place, column[place], unlimited) for column in columns] for place in range(len(careful))]
    most = min(deliverable, event.requested_wh)
    corners = {value for row in rows for value in (*row, *(10 * each // 9 for each in row)) if value <= most}
    best = max(
        sorted({0, most, *corners}), key=lambda capacity: sum(_expected(rows, capacity, event, (1, -1)))
    )
    if best < sensitivity_wh:
        best = 0
    pay, penalty = _expected(rows, best, event, (1, 1))
    reasons.append(
        Reason(
            "Expected pay less expected penalty is greatest at this enrolment; a kWh missing to nine tenths "
            f"of it costs {event.penalty_micro_eur_per_kwh} micro-EUR, a delivered one earns at most "
            f"{event.price_micro_eur_per_kwh}",
            best,
            "Wh",
            f"{SCENARIOS} equally likely values of the forecast in each hour (domain.md §7)",
        )
    )
    if best == 0:
        reasons.append(Reason("Do not enrol: nothing of it can be relied on", None, "", "all of the above"))
        return _none(district_id, deliverable, baseline.baseline_wh, reasons)
    deposit = deposit_micro_eur(event.penalty_micro_eur_per_kwh, best, len(event.hours))
    reasons.append(
        Reason("Deposit: the greatest possible penalty", deposit, "micro-EUR", "event (domain.md §7)")
    )
    return ResponseAdvice(
        district_id, best, deliverable, baseline.baseline_wh, deposit, pay, penalty, tuple(reasons)
    )


def _none(
    district_id: str, deliverable: int, baseline_wh: tuple[int, ...] | None, reasons: Sequence[Reason]
) -> ResponseAdvice:
    return ResponseAdvice(district_id, 0, deliverable, baseline_wh, 0, 0, 0, tuple(reasons))


def _baseline_reason(baseline: Baseline, event: Event) -> Reason:
    source = f"hours before the opening, {event.method.label} (domain.md §7)"
    if baseline.baseline_wh is None:
        claim = f"There is no baseline, so nothing would be paid: {baseline.reason}. Do not enrol"
        return Reason(claim, len(baseline.days), f"days of {LEAST_DAYS}", source)
    mean = sum(baseline.baseline_wh) / len(baseline.baseline_wh)
    claim = f"The baseline, net import to be measured against, from {len(baseline.days)} days"
    if baseline.replaced:
        claim += f"; {len(baseline.replaced)} incomplete hours count with their least favourable value"
    return Reason(claim, mean, "Wh per hour", source)


def _values(forecast: Forecast, hours: range, level: float) -> list[float]:
    values = {
        int(label.timestamp()) // 3600: float(value)
        for label, value in zip(forecast.index, forecast.quantiles[level], strict=True)
    }
    missing = next((hour for hour in hours if hour not in values), None)
    if missing is not None:
        raise AdviceInvalid(f"{format_hour_utc(missing)} is not among the hours that are forecast")
    return [values[hour] for hour in hours]


def _expected(
    rows: Sequence[Sequence[int]], capacity_wh: int, event: Event, signs: tuple[int, int]
) -> tuple[int, int]:
    """Mean pay and penalty over the values of each hour, each times its sign, as if alone in the event."""
    pay = penalty = 0
    for row in rows:
        for value in row:
            counts = min(value, capacity_wh)
            pay += hour_pay_micro_eur(event.price_micro_eur_per_kwh, event.requested_wh, [counts])[0]
            penalty += hour_penalty_micro_eur(event.penalty_micro_eur_per_kwh, capacity_wh, counts)
    return signs[0] * pay // SCENARIOS, signs[1] * penalty // SCENARIOS
