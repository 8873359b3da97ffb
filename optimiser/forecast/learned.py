"""A learned forecast: gradient-boosted trees with quantile loss (scikit-learn) on the errors of a baseline.

Trees cannot go beyond what they saw, so they learn what the baseline leaves: its error, in units of its
scale, from calendar (clock time, weekday), lead time, the baseline's own value and its
recent errors (last value, last 3 h, last 24 h, same clock time of the last day).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import ThreadpoolController

from optimiser.forecast.baselines import Persistence, PointModel, targets_of
from optimiser.forecast.conformal import HORIZON_HOURS, past_origins, quantiles_of
from optimiser.forecast.forecaster import Baseline, points_with_fallback
from optimiser.forecast.grid import DAY_S, HOUR_S, Floats, Grid, Integers, grid_before
from optimiser.forecast.result import DEFAULT_LEVELS, Forecast, labels

FEWEST_DAYS = 28
"""With less history than this the baseline answers."""
RETRY_DAYS = 7
MOST_ROWS = 8_000
HELD_OUT_WEEK = 4
"""Every fourth week is not shown to the trees, to check their quantiles against."""
FRIDAY = 4
_threads = ThreadpoolController()


@dataclass(frozen=True)
class _Fit:
    """Trees per level, and what is added so that held-out errors lie beyond them as rarely as promised."""

    models: tuple[HistGradientBoostingRegressor, ...]
    corrections: Floats


class Learned:
    """Quantile-loss trees on `base`, fitted again every `refit_days` days on the last `train_days` days.

    Each level is shifted by the conformal quantile of its misses in every fourth week, which the trees have
    not seen (conformalised quantile regression, Romano et al. 2019, one side at a time).
    With fewer than 28 days of history the baseline answers, and the forecast's `method` says so.
    """

    def __init__(
        self,
        base: PointModel,
        *,
        step_s: int = 3600,
        levels: Sequence[float] = DEFAULT_LEVELS,
        train_days: int = 365,
        refit_days: int = 28,
        bounds: tuple[float | None, float | None] = (0.0, None),
    ) -> None:
        """Raises HistoryInvalid for a step that does not divide an hour and a level outside (0, 1)."""
        self._baseline = Baseline(base, step_s=step_s, levels=levels, bounds=bounds)
        self.base = base
        self.step_s = step_s
        self.levels = self._baseline.levels
        self.train_days = train_days
        self.refit_days = refit_days
        self.bounds = bounds
        self._fitted: dict[int, _Fit | None] = {}

    @property
    def name(self) -> str:
        """Method and its settings, for tables."""
        return f"learned (trees on {self.base.name})"

    def forecast(self, history: pd.Series[Any], issued_at: pd.Timestamp, steps: int) -> Forecast:
        """The `steps` intervals from `issued_at` on, from those that ended by then. Raises HistoryInvalid."""
        fit = self._fit(history, issued_at)
        if fit is None:
            plain = self._baseline.forecast(history, issued_at, steps)
            method = f"{self.name}; fewer than {FEWEST_DAYS} days known: {plain.method}"
            return Forecast(method, issued_at, plain.index, plain.median, plain.quantiles)
        index = labels(issued_at, steps, self.step_s)
        grid = grid_before(history, issued_at, self.base.days + 3, self.step_s)
        points, notes = points_with_fallback(self.base, grid, steps)
        origin = np.array([grid.values.size])
        rows = _features(self.base, grid, origin, steps, points[None, :])[0]
        scale = self.base.scale(grid, origin, steps)[0]
        with _threads.limit(limits=1):
            errors = np.stack([model.predict(rows) for model in fit.models]) + fit.corrections[:, None]
        values = np.sort(points + scale * errors, axis=0)
        values = np.clip(values, *self.bounds) if self.bounds != (None, None) else values
        median = values[self.levels.index(0.5)]
        method = "; ".join([self.name, *notes])
        return Forecast(method, issued_at, index, median, dict(zip(self.levels, values, strict=True)))

    def _fit(self, history: pd.Series[Any], issued_at: pd.Timestamp) -> _Fit | None:
        """The fit of the last renewal, or while there is none of the last week; None with little history."""
        day = int(issued_at.timestamp()) // DAY_S
        for renewed in dict.fromkeys((day - day % self.refit_days, day - day % RETRY_DAYS)):
            if renewed not in self._fitted:
                at = pd.Timestamp(renewed * DAY_S, unit="s", tz="UTC")
                grid = grid_before(history, at, self.train_days + self.base.days, self.step_s)
                self._fitted = {
                    known: fit
                    for known, fit in self._fitted.items()
                    if abs(known - renewed) <= self.refit_days
                }
                self._fitted[renewed] = self._learn(grid)
            if self._fitted[renewed] is not None:
                return self._fitted[renewed]
        return None

    def _learn(self, grid: Grid) -> _Fit | None:
        if (~np.isnan(grid.values)).sum() < FEWEST_DAYS * grid.per_day:
            return None
        days = min(self.train_days, grid.values.size // grid.per_day - RETRY_DAYS)
        origins = past_origins(grid, days)
        steps = HORIZON_HOURS * grid.per_hour
        origins = origins[origins + steps <= grid.values.size]
        points = self.base.points(grid, origins, steps)
        scale = self.base.scale(grid, origins, steps)
        targets = targets_of(origins, steps)
        error = np.divide(
            grid.values[targets] - points, scale, out=np.full(scale.shape, np.nan), where=scale > 0
        )
        features = _features(self.base, grid, origins, steps, points)
        usable = ~np.isnan(error)
        week = (grid.first + targets) // (7 * grid.per_day)
        unseen = usable & (week % HELD_OUT_WEEK == 0)
        if not unseen.any() or unseen.sum() == usable.sum():
            return None
        chooser = np.random.default_rng(0)
        rows = _choose(usable & ~unseen, scale, chooser)
        checked = _choose(unseen, scale, chooser)
        with _threads.limit(
            limits=1
        ):  # a thread per core is slower for so few rows, and dispatch needs the cores
            models = tuple(_trees(level).fit(features[rows], error[rows]) for level in self.levels)
            corrections = [
                float(quantiles_of(error[checked] - model.predict(features[checked]), (level,))[0])
                for level, model in zip(self.levels, models, strict=True)
            ]
        return _Fit(models, np.array(corrections))


def _trees(level: float) -> HistGradientBoostingRegressor:
    return HistGradientBoostingRegressor(
        loss="quantile",
        quantile=level,
        max_iter=60,
        learning_rate=0.1,
        max_leaf_nodes=12,
        min_samples_leaf=50,
        max_bins=63,
        early_stopping=False,
        random_state=0,
    )


def _choose(
    usable: NDArray[np.bool_], scale: Floats, chooser: np.random.Generator
) -> tuple[Integers, Integers]:
    """Places of at most MOST_ROWS usable rows, in proportion to the scale that multiplies their error."""
    first, second = np.nonzero(usable)
    if first.size > MOST_ROWS:
        weight = scale[first, second]
        kept = chooser.choice(first.size, MOST_ROWS, p=weight / weight.sum())
        first, second = first[kept], second[kept]
    return first, second


def _features(base: PointModel, grid: Grid, origins: Integers, steps: int, points: Floats) -> Floats:
    """Shape (origins, steps, features); all known at the origin."""
    errors = _recent_errors(base, grid, int(origins.min()))
    targets = targets_of(origins, steps)
    per_day = grid.per_day
    absolute = grid.first + targets
    day = absolute // per_day
    weekday = (day + 3) % 7
    lead = np.broadcast_to(np.arange(steps), targets.shape)
    yesterday = targets - (lead // per_day + 1) * per_day
    columns = [
        absolute % per_day * grid.step_s / HOUR_S,
        weekday,
        weekday > FRIDAY,
        lead / grid.per_hour,
        points,
        Persistence("day").points(grid, origins, steps) - points,
        errors.last(origins, 1)[:, None],
        errors.last(origins, 3 * grid.per_hour)[:, None],
        errors.last(origins, per_day)[:, None],
        errors.at(yesterday),
    ]
    return np.stack([np.broadcast_to(column, targets.shape) for column in columns], axis=2).astype(np.float64)


@dataclass(frozen=True)
class _Errors:
    """Errors of the baseline one step ahead, per position of the grid; NaN where unknown or in the dark."""

    values: Floats
    totals: Floats
    numbers: Floats

    def at(self, positions: Integers) -> Floats:
        return np.where(positions >= 0, self.values[positions.clip(min=0)], np.nan)

    def last(self, origins: Integers, length: int) -> Floats:
        start = (origins - length).clip(min=0)
        number = self.numbers[origins] - self.numbers[start]
        total = self.totals[origins] - self.totals[start]
        mean: Floats = np.divide(total, number, out=np.full(number.shape, np.nan), where=number > 0)
        return mean


def _recent_errors(base: PointModel, grid: Grid, earliest_origin: int) -> _Errors:
    """Errors from one day before the earliest origin on."""
    start = max(0, earliest_origin - grid.per_day)
    values = np.full(grid.values.size, np.nan)
    places = np.arange(start, grid.values.size, dtype=np.int64)
    scale = base.scale(grid, places, 1)[:, 0]
    values[places] = np.divide(
        grid.values[places] - base.points(grid, places, 1)[:, 0],
        scale,
        out=np.full(scale.shape, np.nan),
        where=scale > 0,
    )
    known = ~np.isnan(values)
    totals = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0))])
    numbers = np.concatenate([[0.0], np.cumsum(known)]).astype(np.float64)
    return _Errors(values, totals, numbers)
