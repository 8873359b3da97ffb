"""Days until status is lost: the rolling-year balance of a district projected forward, with its uncertainty.

The verdict of midnight W counts the window `[S, W)` of one year (domain.md §4). From one midnight to the next
one day leaves, which is known, and one comes, which is foreseen; so the first months of the projection are
mostly known. Known days count as the verdict counts them: with their lower bound of the balance and their
upper bound of GHG, so incomplete days are as unfavourable as domain.md says. Days to come are complete.

How the days to come are foreseen, and what that leaves out, is said in `optimiser.coming_days`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.hour import HOURS_PER_DAY, window_start
from optimiser.balances import BalancesInvalid, Day, Factors
from optimiser.coming_days import YEAR_DAYS, coming_days

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MWH_PER_KWH = 1_000_000
"""mWh_PE per kWh_PE, and mg per kg."""
COMPLETE_PERCENT = 90
BLOCK_COUNT, BLOCK_LENGTH = 12, 30
SHARES = (0.1, 0.5, 0.9)
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Point:
    """The verdict of one coming midnight. Quantiles are over paths; probabilities are between 0 and 1."""

    window_end: date
    balance_q10_kwh_pe: float
    balance_q50_kwh_pe: float
    balance_q90_kwh_pe: float
    ghg_q50_kg: float
    probability_not_positive: float
    """That the verdict of this midnight fails: balance not above zero, net GHG above zero, or incomplete."""
    probability_lost_by: float
    """That a verdict up to this midnight fails."""


@dataclass(frozen=True)
class Remedy:
    """What keeps the status with probability `confidence` at every midnight up to the horizon; what brings it
    back by the horizon, where it is lost already.

    At once: so much more primary energy before the first critical midnight; per day: so much on each day
    from now on. None without factors to turn primary energy into energy. Incomplete hours are not mended
    with energy.
    """

    confidence: float
    at_once_kwh_pe: float
    per_day_kwh_pe: float
    export_kwh_per_day: float | None
    """More export at the marginal factor (dispatch, storage, generation; not sold with its attributes)."""
    import_avoided_kwh_per_day: float | None
    """Less import for load at the average factor."""
    ghg_per_day_kg: float


@dataclass(frozen=True)
class Outlook:
    """The projection; dates are UTC midnights. `crosses` is the first midnight at which a quantile of the
    balance is not above zero (None: not within the horizon), `lost_by` the first by which the status is lost
    with that probability.
    """

    known_until: date
    """The first day that is not known: the midnight of the newest verdict."""
    horizon: date
    status: bool
    """Whether the newest verdict is positive."""
    reason: str
    balance_kwh_pe: float
    """Lower bound over the newest window, which decides."""
    ghg_kg: float
    crosses_q10: date | None
    crosses_q50: date | None
    crosses_q90: date | None
    lost_by_10_percent: date | None
    lost_by_50_percent: date | None
    lost_by_90_percent: date | None
    probability_lost: float
    """By the horizon."""
    remedy: Remedy
    sentences: tuple[str, ...]
    """For an operator."""
    years_known: float
    paths: int
    seed: int
    points: tuple[Point, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values: dates as ISO 8601."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value


def outlook(
    days: Sequence[Day],
    *,
    factors: Factors | None = None,
    horizon_days: int = YEAR_DAYS,
    paths: int = 2_000,
    confidence: float = 0.9,
    seed: int = 0,
) -> Outlook:
    """Project the verdicts of the `horizon_days` midnights after the last known day.

    Raises BalancesInvalid for a day that is missing or doubled, and for less than a year of days.
    """
    if not 0 < confidence < 1:
        raise BalancesInvalid(f"confidence {confidence}; give a probability between 0 and 1")
    ahead = project(days, horizon_days=horizon_days, paths=paths, seed=seed)
    return _describe(
        ahead.known,
        ahead.now,
        ahead.incomplete_now,
        ahead.windows,
        ahead.incomplete,
        factors,
        confidence,
        paths,
        seed,
    )


@dataclass(frozen=True)
class Projection:
    """The rolling years that end at each of the coming midnights, on every path that was drawn."""

    known: Sequence[Day]
    """Consecutive days."""
    now: Floats
    """Balance, kWh_PE, and GHG, kg CO2e, of the newest window, as the verdict counts them."""
    incomplete_now: bool
    windows: Floats
    """The same of the coming windows, of shape (paths, midnights, 2)."""
    incomplete: NDArray[np.bool_]
    """Whether a coming window has too few complete hours."""

    @property
    def known_until(self) -> date:
        """The first day that is not known; the first coming window ends a day later."""
        return self.known[-1].day + timedelta(days=1)

    @property
    def status(self) -> bool:
        """Whether the newest verdict is positive (domain.md §4)."""
        return bool(self.now[0] > 0 and self.now[1] <= 0 and not self.incomplete_now)


def project(days: Sequence[Day], *, horizon_days: int, paths: int, seed: int) -> Projection:
    """Draw the windows of the `horizon_days` midnights after the last known day. Raises BalancesInvalid."""
    if not 1 <= horizon_days <= YEAR_DAYS:
        raise BalancesInvalid(f"horizon of {horizon_days} days; between 1 and {YEAR_DAYS} can be projected")
    if paths < 100:
        raise BalancesInvalid(f"{paths} paths; give at least 100")
    known = _consecutive(days)
    first = _number(known[0].day)
    end = first + len(known)
    if window_start(end) < first:
        raise BalancesInvalid(
            f"the days {known[0].day} to {known[-1].day} are no full year; the first verdict needs the days "
            f"from {_date(window_start(end))} on (domain.md §4)"
        )
    judged = _column(known, ("lower_mwh_pe", "ghg_upper_mg")) / MWH_PER_KWH
    balances = _column(known, ("balance_mwh_pe", "ghg_mg")) / MWH_PER_KWH
    complete = np.array([day.complete_hours for day in known], dtype=np.int64)
    future = coming_days(balances, complete == HOURS_PER_DAY, first, paths, seed)[:, :horizon_days]
    windows = _windows(judged, future, first, end, horizon_days)
    hours = np.concatenate([complete, np.full(horizon_days, HOURS_PER_DAY)])
    incomplete = np.array([_incomplete(hours, first, end + ahead) for ahead in range(1, horizon_days + 1)])
    now = (judged[window_start(end) - first :]).sum(axis=0)
    return Projection(known, now, _incomplete(hours, first, end), windows, incomplete)


def _consecutive(days: Sequence[Day]) -> list[Day]:
    known = sorted(days, key=lambda day: day.day)
    if not known:
        raise BalancesInvalid("no day with a balance; the outlook needs a year of them")
    for before, after in pairwise(known):
        if after.day == before.day:
            raise BalancesInvalid(f"{after.day} is there twice; give each day once")
        if after.day != before.day + timedelta(days=1):
            missing = before.day + timedelta(days=1)
            raise BalancesInvalid(
                f"{missing} has no balance; missing is not zero, so give it or start after it"
            )
    return known


def _number(day: date) -> int:
    return (day - _EPOCH).days


def _date(number: int) -> date:
    return _EPOCH + timedelta(days=number)


def _column(days: Sequence[Day], names: tuple[str, str]) -> Floats:
    return np.array([[getattr(day, name) for name in names] for day in days], dtype=np.float64)


def _windows(judged: Floats, future: Floats, first: int, end: int, horizon_days: int) -> Floats:
    """Sums over the rolling years that end 1 to `horizon_days` midnights ahead: (paths, midnights, 2)."""
    cumulative = np.concatenate([np.zeros((1, 2)), np.cumsum(judged, axis=0)])
    starts = np.array([window_start(end + ahead) - first for ahead in range(1, horizon_days + 1)])
    sums: Floats = cumulative[-1] - cumulative[starts] + np.cumsum(future, axis=1)
    return sums


def _incomplete(complete_hours: Integers, first: int, end: int) -> bool:
    """Whether the window before `end`, or one of its blocks, has too few complete hours (domain.md §4)."""
    stop = end - first
    window = complete_hours[window_start(end) - first : stop]
    blocks = [
        complete_hours[stop - (number + 1) * BLOCK_LENGTH : stop - number * BLOCK_LENGTH]
        for number in range(BLOCK_COUNT)
    ]
    return any(
        100 * int(part.sum()) < COMPLETE_PERCENT * HOURS_PER_DAY * part.size for part in (window, *blocks)
    )


def _describe(
    known: Sequence[Day],
    now: Floats,
    incomplete_now: bool,
    windows: Floats,
    incomplete: NDArray[np.bool_],
    factors: Factors | None,
    confidence: float,
    paths: int,
    seed: int,
) -> Outlook:
    end = _number(known[-1].day) + 1
    count = windows.shape[1]
    midnights = [_date(end + ahead) for ahead in range(1, count + 1)]
    fails = (windows[:, :, 0] <= 0) | (windows[:, :, 1] > 0) | incomplete
    status = bool(now[0] > 0 and now[1] <= 0 and not incomplete_now)
    lost_by = np.logical_or.accumulate(fails, axis=1).mean(axis=0) if status else np.ones(count)
    not_positive = fails.mean(axis=0)
    low, middle, high = np.quantile(windows[:, :, 0], SHARES, axis=0)
    ghg_middle = np.median(windows[:, :, 1], axis=0)
    points = tuple(
        Point(*row)
        for row in zip(
            midnights,
            low.tolist(),
            middle.tolist(),
            high.tolist(),
            ghg_middle.tolist(),
            not_positive.tolist(),
            lost_by.tolist(),
            strict=True,
        )
    )
    reasons = [
        text
        for holds, text in (
            (now[0] <= 0, "the lower bound of the balance is not above zero"),
            (now[1] > 0, "net GHG is above zero"),
            (incomplete_now, "too few complete hours"),
        )
        if holds
    ]
    remedy = _remedy(windows if status else windows[:, -1:], count, factors, confidence)
    crosses = [_first(midnights, path <= 0) for path in (low, middle, high)]
    losses = [_first(midnights, lost_by >= share) for share in SHARES]
    return Outlook(
        _date(end),
        midnights[-1],
        status,
        "; ".join(reasons) or "positive",
        float(now[0]),
        float(now[1]),
        crosses[0],
        crosses[1],
        crosses[2],
        losses[0],
        losses[1],
        losses[2],
        float(lost_by[-1]),
        remedy,
        _sentences(status, reasons, now, midnights[-1], losses, lost_by, remedy, not_positive, midnights),
        round(len(known) / YEAR_DAYS, 2),
        paths,
        seed,
        points,
    )


def _first(midnights: Sequence[date], holds: NDArray[np.bool_]) -> date | None:
    places = np.flatnonzero(holds)
    return midnights[int(places[0])] if places.size else None


def _remedy(windows: Floats, last: int, factors: Factors | None, confidence: float) -> Remedy:
    """Least additions with which the share `confidence` of the paths holds at every midnight given."""
    days = np.arange(last - windows.shape[1] + 1, last + 1)
    short = np.maximum(-windows[:, :, 0], 0)
    at_once = float(np.quantile(short.max(axis=1), confidence, method="higher"))
    per_day = float(np.quantile((short / days).max(axis=1), confidence, method="higher"))
    ghg = np.maximum(windows[:, :, 1], 0)
    ghg_per_day = float(np.quantile((ghg / days).max(axis=1), confidence, method="higher"))
    export = per_day / factors.marginal if factors and factors.marginal > 0 else None
    avoided = per_day / factors.average if factors and factors.average > 0 else None
    return Remedy(confidence, at_once, per_day, export, avoided, ghg_per_day)


def _sentences(
    status: bool,
    reasons: Sequence[str],
    now: Floats,
    horizon: date,
    losses: Sequence[date | None],
    lost_by: Floats,
    remedy: Remedy,
    not_positive: Floats,
    midnights: Sequence[date],
) -> tuple[str, ...]:
    sentences = []
    if status:
        sentences.append(
            f"The district is positive by {now[0]:,.0f} kWh of primary energy over the last year."
        )
        sentences.append(f"It loses its status by {horizon} with a probability of {lost_by[-1]:.0%}.")
        early, middle = (
            None if lost is None else f"{lost}, {(lost - midnights[0]).days + 1} days from now"
            for lost in losses[:2]
        )
        if middle is not None:
            sentences.append(
                f"More likely than not it is lost by {middle}"
                + (f"; with one chance in ten already by {early}." if early else ".")
            )
        elif early is not None:
            sentences.append(f"With one chance in ten it is lost by {early}.")
    else:
        sentences.append(
            f"The newest verdict is not positive: {' and '.join(reasons)} ({now[0]:,.0f} kWh_PE)."
        )
        regained = _first(midnights, not_positive < 0.5)
        sentences.append(
            f"More likely than not a verdict is positive from {regained}."
            if regained
            else f"No verdict until {horizon} is more likely positive than not."
        )
    if remedy.per_day_kwh_pe > 0:
        aim = "hold it until" if status else "regain it by"
        words = f"To {aim} {horizon} with {remedy.confidence:.0%}: {remedy.per_day_kwh_pe:,.1f} kWh of "
        words += f"primary energy more per day (or {remedy.at_once_kwh_pe:,.0f} kWh at once)"
        if remedy.export_kwh_per_day is not None and remedy.import_avoided_kwh_per_day is not None:
            words += f", which is {remedy.export_kwh_per_day:,.1f} kWh more export at the marginal factor, "
            words += f"or {remedy.import_avoided_kwh_per_day:,.1f} kWh less import at the average factor"
        sentences.append(words + ".")
    elif status:
        sentences.append(f"Nothing more is needed to hold it until {horizon} with {remedy.confidence:.0%}.")
    if remedy.ghg_per_day_kg > 0:
        sentences.append(f"Net GHG must fall by {remedy.ghg_per_day_kg:,.1f} kg CO2e per day.")
    return tuple(sentences)
