"""A point model as a forecaster: fallbacks for what it cannot say, and quantiles from its past errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from optimiser.forecast.baselines import Persistence, PointModel, same_clock_time
from optimiser.forecast.conformal import Offsets, calibrate
from optimiser.forecast.grid import DAY_S, Floats, Grid, HistoryInvalid, grid_before, require_step
from optimiser.forecast.result import DEFAULT_LEVELS, Forecast, labels, require_levels

FALLBACKS: tuple[PointModel, ...] = (Persistence("day"), Persistence("hour"))
LONGEST_FALLBACK_DAYS = 45


class Baseline:
    """Forecasts with a point model (persistence, similar days, clear-sky scaling).

    Quantiles come from the model's errors in the last `calibration_days` days and are renewed every
    `refit_days` days, at UTC midnights that do not depend on when it was asked, so the same arguments give
    the same forecast. Values stay inside `bounds` (None: no bound); loads and generation end at zero.

    Fallbacks, named in the forecast's `method`: where the model has no value, persistence by day, then by
    hour, then the mean of the same clock time; without past errors, the quantiles are the range of all known
    values.
    """

    def __init__(
        self,
        model: PointModel,
        *,
        step_s: int = 3600,
        levels: Sequence[float] = DEFAULT_LEVELS,
        calibration_days: int = 60,
        refit_days: int = 7,
        bounds: tuple[float | None, float | None] = (0.0, None),
    ) -> None:
        """Raises HistoryInvalid for a step that does not divide an hour and a level outside (0, 1)."""
        require_step(step_s)
        self.model = model
        self.step_s = step_s
        self.levels = require_levels(tuple(levels))
        self.calibration_days = calibration_days
        self.refit_days = refit_days
        self.bounds = bounds
        self._fitted: dict[int, Offsets | None] = {}

    @property
    def name(self) -> str:
        """Method and its settings, for tables."""
        return self.model.name

    def forecast(self, history: pd.Series[Any], issued_at: pd.Timestamp, steps: int) -> Forecast:
        """The `steps` intervals from `issued_at` on, from the intervals that ended by then.

        Raises HistoryInvalid when nothing is known or the history is not one of the grid.
        """
        index = labels(issued_at, steps, self.step_s)
        grid = grid_before(history, issued_at, max(self.model.days, LONGEST_FALLBACK_DAYS), self.step_s)
        points, notes = points_with_fallback(self.model, grid, steps)
        origin = np.array([grid.values.size])
        offsets = self._offsets(history, issued_at)
        if offsets is None:
            notes.append("quantiles: range of the known values, no past errors yet")
            values = _range(grid, points, self.levels)
        else:
            scale = self.model.scale(grid, origin, steps)[0]
            values = points + offsets.at(grid, int(origin[0]), steps) * scale
        values = np.clip(values, *self.bounds) if self.bounds != (None, None) else values
        median = values[self.levels.index(0.5)]
        method = "; ".join([self.name, *notes])
        return Forecast(method, issued_at, index, median, dict(zip(self.levels, values, strict=True)))

    def _offsets(self, history: pd.Series[Any], issued_at: pd.Timestamp) -> Offsets | None:
        """Errors known at the last renewal, or, while there are none, at the last midnight."""
        day = int(issued_at.timestamp()) // DAY_S
        for renewed in dict.fromkeys((day - day % self.refit_days, day)):
            if renewed not in self._fitted:
                at = pd.Timestamp(renewed * DAY_S, unit="s", tz="UTC")
                days = self.calibration_days + self.model.days
                grid = grid_before(history, at, days, self.step_s)
                self._fitted = {
                    known: offsets
                    for known, offsets in self._fitted.items()
                    if renewed - self.refit_days < known < renewed + self.refit_days
                }
                self._fitted[renewed] = calibrate(self.model, grid, self.calibration_days, self.levels)
            if self._fitted[renewed] is not None:
                return self._fitted[renewed]
        return None


def points_with_fallback(model: PointModel, grid: Grid, steps: int) -> tuple[Floats, list[str]]:
    """One forecast from the end of the grid, and what had to stand in for the model, in words.

    Raises HistoryInvalid when nothing at all is known.
    """
    if grid.values.size == 0 or np.isnan(grid.values).all():
        raise HistoryInvalid(
            f"nothing is known in the {max(model.days, LONGEST_FALLBACK_DAYS)} days before the forecast; "
            "give a history (missing is not zero)"
        )
    origin = np.array([grid.values.size])
    points = model.points(grid, origin, steps)[0]
    notes: list[str] = []
    for fallback in FALLBACKS:
        missing = np.isnan(points)
        if not missing.any():
            return points, notes
        found = fallback.points(grid, origin, steps)[0]
        filled = int((missing & ~np.isnan(found)).sum())
        if filled:
            points = np.where(missing, found, points)
            notes.append(f"{filled} of {steps} steps: {fallback.name}")
    missing = np.isnan(points)
    if missing.any():
        points = np.where(missing, same_clock_time(grid, grid.values.size, steps), points)
        notes.append(f"{int(missing.sum())} of {steps} steps: mean of the same clock time")
    return points, notes


def _range(grid: Grid, points: Floats, levels: tuple[float, ...]) -> Floats:
    lowest = np.minimum(points, np.nanmin(grid.values))
    highest = np.maximum(points, np.nanmax(grid.values))
    return np.stack([points if level == 0.5 else lowest if level < 0.5 else highest for level in levels])
