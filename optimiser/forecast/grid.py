"""A history on a regular grid of intervals: what was known when a forecast was issued, and nothing later.

Histories are pandas Series indexed by the UTC START label of each interval; NaN, and a label that is not
there, mean missing, never zero (domain.md §2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

DAY_S = 86_400
HOUR_S = 3_600

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class HistoryInvalid(ValueError):
    """A history that cannot be used, or that holds nothing to forecast from; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Values of consecutive intervals of `step_s` seconds; `first` counts intervals since 1970."""

    values: Floats
    first: int
    step_s: int

    @property
    def per_day(self) -> int:
        """Intervals in a day."""
        return DAY_S // self.step_s

    @property
    def per_hour(self) -> int:
        """Intervals in an hour."""
        return HOUR_S // self.step_s


def require_step(step_s: int) -> None:
    """Raises HistoryInvalid unless intervals of `step_s` seconds divide an hour evenly."""
    if step_s <= 0 or HOUR_S % step_s:
        raise HistoryInvalid(f"step_s {step_s} does not divide an hour; use 3600 or 900")


def seconds_of(issued_at: pd.Timestamp, step_s: int) -> int:
    """Unix seconds of a UTC time on the grid. Raises HistoryInvalid for local time and between steps."""
    if issued_at.tzinfo is None or issued_at.utcoffset() != pd.Timedelta(0):
        raise HistoryInvalid(f"issued_at {issued_at} is not in UTC; give a time with the zone UTC")
    seconds = issued_at.timestamp()
    if seconds % step_s:
        raise HistoryInvalid(f"issued_at {issued_at} is not at the start of an interval of {step_s} s")
    return int(seconds)


def grid_before(history: pd.Series[Any], issued_at: pd.Timestamp, days: int, step_s: int) -> Grid:
    """The last `days` days that were known at `issued_at`: every interval that had ended by then.

    Missing intervals are NaN; the grid begins with the first label when the history is shorter. Raises
    HistoryInvalid for labels that are not UTC, doubled, unsorted or off the grid, and for infinite values.
    """
    end_s = seconds_of(issued_at, step_s)
    index = history.index
    if not isinstance(index, pd.DatetimeIndex) or index.tz is None or str(index.tz) != "UTC":
        raise HistoryInvalid("the history's index is not in UTC; index it by the UTC start of each interval")
    if not index.is_monotonic_increasing:
        raise HistoryInvalid("the history is not sorted by time; sort it, one value per interval")
    stop = int(index.searchsorted(issued_at))
    start = int(index.searchsorted(issued_at - pd.Timedelta(days=days)))
    labels_s = index[start:stop].as_unit("s").asi8
    if labels_s.size == 0:
        return Grid(np.empty(0), end_s // step_s, step_s)
    first = int(labels_s[0]) // step_s
    places, rest = np.divmod(labels_s, step_s)
    if rest.any():
        culprit = pd.Timestamp(int(labels_s[np.flatnonzero(rest)[0]]), unit="s", tz="UTC")
        raise HistoryInvalid(f"{culprit} in the history is not at the start of an interval of {step_s} s")
    if (np.diff(places) == 0).any():
        culprit = pd.Timestamp(int(labels_s[np.flatnonzero(np.diff(places) == 0)[0]]), unit="s", tz="UTC")
        raise HistoryInvalid(f"{culprit} is in the history twice; keep one value per interval")
    known = history.iloc[start:stop].to_numpy(dtype=np.float64, na_value=np.nan)
    if np.isinf(known).any():
        raise HistoryInvalid("the history holds an infinite value; leave it NaN when it is missing")
    values = np.full(end_s // step_s - first, np.nan)
    values[places - first] = known
    return Grid(values, first, step_s)
