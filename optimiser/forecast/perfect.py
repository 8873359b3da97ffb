"""Perfect foresight: reads the future from the data. For comparison only, and labelled so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from optimiser.forecast.grid import HistoryInvalid, require_step, seconds_of
from optimiser.forecast.result import DEFAULT_LEVELS, Forecast, labels


class PerfectForesight:
    """What really happened in `series`, at every level; the history that is given is not looked at."""

    name = "PERFECT FORESIGHT (comparison only)"

    def __init__(self, series: pd.Series[Any], *, step_s: int = 3600) -> None:
        require_step(step_s)
        self.series = series
        self.step_s = step_s

    def forecast(self, history: pd.Series[Any], issued_at: pd.Timestamp, steps: int) -> Forecast:
        """The true values from `issued_at` on. Raises HistoryInvalid where the series has none."""
        seconds_of(issued_at, self.step_s)
        index = labels(issued_at, steps, self.step_s)
        values = self.series.reindex(index).to_numpy(dtype=np.float64, na_value=np.nan)
        if np.isnan(values).any():
            first = index[int(np.flatnonzero(np.isnan(values))[0])]
            raise HistoryInvalid(f"the series has no value at {first}, so there is nothing to foresee")
        return Forecast(self.name, issued_at, index, values, dict.fromkeys(DEFAULT_LEVELS, values))
