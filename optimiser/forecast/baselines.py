"""Baselines that are hard to beat: persistence, and the same clock hour of similar days (domain.md §7).

A point model gives points for many origins at once, each from the values before its origin alone: position
`o` of the grid is the first interval that a forecast with origin `o` does not know.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal, Protocol

import numpy as np

from optimiser.forecast.grid import Floats, Grid, Integers

FRIDAY = 4
_EPOCH = date(1970, 1, 1)


class PointModel(Protocol):
    """One value per origin and step; NaN where the history holds nothing to go by."""

    @property
    def name(self) -> str:
        """Method and its settings."""
        ...

    @property
    def days(self) -> int:
        """Days of history that a forecast looks back on."""
        ...

    def points(self, grid: Grid, origins: Integers, steps: int) -> Floats:
        """Values of shape (origins, steps)."""
        ...

    def scale(self, grid: Grid, origins: Integers, steps: int) -> Floats:
        """What errors grow with, known ahead (clear-sky value), else 1. Shape (origins, steps)."""
        ...


def targets_of(origins: Integers, steps: int) -> Integers:
    """Positions that are forecast, of shape (origins, steps)."""
    return origins[:, None] + np.arange(steps)


def values_before(grid: Grid, positions: Integers, origins: Integers) -> Floats:
    """Values at `positions` (origins first); NaN where the origin does not know them (yet)."""
    limit = origins.reshape(-1, *[1] * (positions.ndim - 1))
    there = (positions >= 0) & (positions < np.minimum(limit, grid.values.size))
    found = np.full(positions.shape, np.nan)
    found[there] = grid.values[positions[there]]
    return found


@dataclass(frozen=True)
class Persistence:
    """The last value (`hour`), or the newest value of the same clock time of a day or a week before.

    A missing value is replaced by the one of the period before, seven times at most; the last value counts
    for a day.
    """

    period: Literal["hour", "day", "week"] = "day"

    @property
    def name(self) -> str:
        """Method and its settings."""
        return f"persistence (last {self.period})"

    @property
    def days(self) -> int:
        """Days of history that a forecast looks back on."""
        return {"hour": 1, "day": 8, "week": 56}[self.period]

    def points(self, grid: Grid, origins: Integers, steps: int) -> Floats:
        """Values of shape (origins, steps)."""
        if self.period == "hour":
            back = origins[:, None] - 1 - np.arange(grid.per_day)
            return np.repeat(_first_known(values_before(grid, back, origins))[:, None], steps, axis=1)
        length = grid.per_day * (7 if self.period == "week" else 1)
        lead = np.arange(steps)
        newest = targets_of(origins, steps) - (lead // length + 1) * length
        candidates = newest[:, :, None] - length * np.arange(8)
        return _first_known(values_before(grid, candidates, origins))

    def scale(self, grid: Grid, origins: Integers, steps: int) -> Floats:
        """1 everywhere."""
        return np.ones((origins.size, steps))


@dataclass(frozen=True)
class SimilarDays:
    """Mean or median over the last `count` similar days of the same clock time, within `days` days.

    Similar day as in domain.md §7: weekday, or weekend and holiday, in UTC. `alike` takes all days as similar
    (generation does not know weekends).
    """

    count: int = 10
    days: int = 45
    statistic: Literal["mean", "median"] = "mean"
    alike: bool = False
    holidays: frozenset[date] = frozenset()

    @property
    def name(self) -> str:
        """Method and its settings."""
        kind = "days" if self.alike else "similar days"
        return f"{self.statistic} of the last {self.count} {kind}"

    def points(self, grid: Grid, origins: Integers, steps: int) -> Floats:
        """Values of shape (origins, steps)."""
        targets = targets_of(origins, steps)
        candidates = targets[:, :, None] - grid.per_day * np.arange(1, self.days + 1)
        values = values_before(grid, candidates, origins)
        if not self.alike:
            kind = self._is_free(grid, int(targets.max()) + 1)
            alike = kind[candidates.clip(min=0)] == kind[targets][:, :, None]
            values = np.where(alike, values, np.nan)
        known = ~np.isnan(values)
        chosen = known & (np.cumsum(known, axis=2) <= self.count)
        if self.statistic == "mean":
            number = chosen.sum(axis=2)
            total = np.where(chosen, values, 0).sum(axis=2)
            mean: Floats = np.divide(total, number, out=np.full(number.shape, np.nan), where=number > 0)
            return mean
        return _median(np.where(chosen, values, np.nan))

    def _is_free(self, grid: Grid, size: int) -> Integers:
        day = (grid.first + np.arange(size)) // grid.per_day
        weekday = (day + 3) % 7  # day 0 was a Thursday
        holidays = [(holiday - _EPOCH).days for holiday in self.holidays]
        return ((weekday > FRIDAY) | np.isin(day, holidays)).astype(np.int64)

    def scale(self, grid: Grid, origins: Integers, steps: int) -> Floats:
        """1 everywhere."""
        return np.ones((origins.size, steps))


@dataclass(frozen=True)
class Corrected:
    """Another model plus its newest error (mean over the last `recent_hours`, one step ahead), which fades
    with `fade_hours`: what makes this morning different from other mornings lasts for some hours.
    """

    model: PointModel
    fade_hours: float = 6.0
    recent_hours: int = 1

    @property
    def name(self) -> str:
        """Method and its settings."""
        return f"{self.model.name}, corrected by the last {self.recent_hours} h"

    @property
    def days(self) -> int:
        """Days of history that a forecast looks back on."""
        return self.model.days + 1

    def points(self, grid: Grid, origins: Integers, steps: int) -> Floats:
        """Values of shape (origins, steps); without a known error those of the model."""
        back = np.arange(1, self.recent_hours * grid.per_hour + 1)
        recent = origins[:, None] - back
        foreseen = self.model.points(grid, recent.clip(min=0).ravel(), 1).reshape(recent.shape)
        error = values_before(grid, recent, origins) - foreseen
        known = ~np.isnan(error)
        number = known.sum(axis=1)
        newest = np.where(known, error, 0).sum(axis=1) / np.maximum(number, 1)
        weight = np.exp(-(np.arange(steps) + 0.5) / grid.per_hour / self.fade_hours)
        corrected: Floats = self.model.points(grid, origins, steps) + newest[:, None] * weight
        return corrected

    def scale(self, grid: Grid, origins: Integers, steps: int) -> Floats:
        """That of the model."""
        return self.model.scale(grid, origins, steps)


def _median(values: Floats) -> Floats:
    """Median over the last axis of what is not NaN; NaN of nothing."""
    ordered = np.sort(values, axis=-1)  # NaN last
    number = (~np.isnan(values)).sum(axis=-1)
    low = np.take_along_axis(ordered, np.maximum(number - 1, 0)[..., None] // 2, axis=-1)[..., 0]
    high = np.take_along_axis(ordered, (number // 2)[..., None].clip(max=values.shape[-1] - 1), axis=-1)[
        ..., 0
    ]
    return np.where(number > 0, (low + high) / 2, np.nan)


def _first_known(candidates: Floats) -> Floats:
    """The first value over the last axis that is not NaN; NaN if there is none."""
    place = np.argmax(~np.isnan(candidates), axis=-1)
    found: Floats = np.take_along_axis(candidates, place[..., None], axis=-1)[..., 0]
    return found


def same_clock_time(grid: Grid, origin: int, steps: int) -> Floats:
    """Last resort: mean of the known values of the same clock time before `origin`, else of all."""
    known = grid.values[:origin]
    if np.isnan(known).all():
        return np.full(steps, np.nan)
    slot = (grid.first + np.arange(known.size)) % grid.per_day
    there = ~np.isnan(known)
    number = np.bincount(slot[there], minlength=grid.per_day)
    total = np.bincount(slot[there], weights=known[there], minlength=grid.per_day)
    mean = np.where(number > 0, total / np.maximum(number, 1), known[there].mean())
    return np.asarray(mean[(grid.first + origin + np.arange(steps)) % grid.per_day], dtype=np.float64)
