"""What a forecast is, and what a forecaster does: the one interface that dispatch uses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import pandas as pd

from optimiser.forecast.grid import Floats, HistoryInvalid

DEFAULT_LEVELS = (0.1, 0.5, 0.9)


@dataclass(frozen=True)
class Forecast:
    """The next intervals as they were foreseen at `issued_at`, in the unit of the history.

    method: how it was made, with the fallback where one was needed.
    index: UTC start labels. median: one value per label. quantiles: level to values, levels ascending, values
    ascending in the level.
    """

    method: str
    issued_at: pd.Timestamp
    index: pd.DatetimeIndex
    median: Floats
    quantiles: dict[float, Floats]

    def to_frame(self) -> pd.DataFrame:
        """A table: `median` and one column per level, such as `q10`."""
        columns = {f"q{level * 100:g}": values for level, values in self.quantiles.items()}
        return pd.DataFrame({"median": self.median, **columns}, index=self.index)

    def with_known(self, known: pd.Series[Any]) -> Forecast:
        """The same with what is known ahead (a published day-ahead price) in place of what was foreseen."""
        given = known.reindex(self.index).to_numpy(dtype=np.float64, na_value=np.nan)
        there = ~np.isnan(given)
        if not there.any():
            return self
        return replace(
            self,
            method=f"{self.method}; {int(there.sum())} of {there.size} steps known ahead",
            median=np.where(there, given, self.median),
            quantiles={level: np.where(there, given, values) for level, values in self.quantiles.items()},
        )


class Forecaster(Protocol):
    """Forecasts one series from what had ended at `issued_at` alone; same arguments, same result.

    Keep one forecaster per series: it remembers what it learned from it.
    """

    @property
    def name(self) -> str:
        """Method and its settings, for tables."""
        ...

    def forecast(self, history: pd.Series[Any], issued_at: pd.Timestamp, steps: int) -> Forecast:
        """The `steps` intervals from `issued_at` on. Raises HistoryInvalid."""
        ...


def require_levels(levels: tuple[float, ...]) -> tuple[float, ...]:
    """Levels in ascending order, the median among them. Raises HistoryInvalid for a level outside (0, 1)."""
    for level in levels:
        if not 0 < level < 1:
            raise HistoryInvalid(f"quantile level {level} is not between 0 and 1")
    return tuple(sorted({*levels, 0.5}))


def labels(issued_at: pd.Timestamp, steps: int, step_s: int) -> pd.DatetimeIndex:
    """UTC start labels of `steps` intervals from `issued_at` on. Raises HistoryInvalid for no step."""
    if steps < 1:
        raise HistoryInvalid(f"{steps} steps are nothing to forecast; ask for at least 1")
    return pd.date_range(issued_at, periods=steps, freq=pd.Timedelta(seconds=step_s))
