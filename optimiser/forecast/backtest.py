"""Back-test: forecasts issued through a year as they would have been then, against what came, in scores.

Scores per method and group of lead times: mean absolute error (MAE) and root mean square error (RMSE) of the
median, in the unit of the series; skill = 1 - MAE / MAE of the best persistence of the same group (positive:
better than every persistence); pinball loss, the mean over the levels of `(level - [y < q]) (y - q)`; and
coverage, the share of truths between the lowest and the highest level (promised: their difference).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from optimiser.forecast.baselines import Persistence
from optimiser.forecast.forecaster import Baseline
from optimiser.forecast.grid import HOUR_S, Floats, HistoryInvalid
from optimiser.forecast.result import Forecaster, labels

LEAD_GROUPS = ((0, 1), (1, 6), (6, 24), (24, 48))
"""Lead times in hours: the interval that starts `low <= lead < high` hours after the forecast was issued."""


@dataclass(frozen=True)
class Score:
    """Scores of one method in one group of lead times; energies and prices in the unit of the series."""

    method: str
    lead_hours: str
    count: int
    mae: float
    rmse: float
    skill: float
    pinball: float
    coverage: float
    promised: float


def persistences(step_s: int, bounds: tuple[float | None, float | None]) -> dict[str, Forecaster]:
    """The methods that skill is measured against."""
    return {
        model.name: Baseline(model, step_s=step_s, bounds=bounds)
        for model in (Persistence("hour"), Persistence("day"), Persistence("week"))
    }


def origins_between(start: pd.Timestamp, end: pd.Timestamp, every_hours: int) -> pd.DatetimeIndex:
    """Times of issue; 23 or 25 hours apart meet every clock hour."""
    return pd.date_range(start, end, freq=pd.Timedelta(hours=every_hours), inclusive="left")


def backtest(
    series: pd.Series[Any],
    forecasters: Sequence[Forecaster],
    *,
    start: pd.Timestamp,
    end: pd.Timestamp,
    step_s: int = 3600,
    hours: int = 48,
    every_hours: int = 23,
    bounds: tuple[float | None, float | None] = (0.0, None),
) -> list[Score]:
    """Scores of the three persistences and of `forecasters`, issued in `[start, end)` every `every_hours`.

    Methods are compared on the same pairs of issue and interval; missing truths count for none. Raises
    HistoryInvalid when no truth is there to compare with.
    """
    references = persistences(step_s, bounds)
    methods: dict[str, Forecaster] = {**references, **{each.name: each for each in forecasters}}
    issues = origins_between(start, end, every_hours)
    steps = hours * HOUR_S // step_s
    truth = _truth(series, issues, steps, step_s)
    if np.isnan(truth).all():
        raise HistoryInvalid(f"the series has no value after a forecast issued from {start} to {end}")
    foreseen = {name: _foreseen(method, series, issues, steps) for name, method in methods.items()}
    lead_hours = np.arange(steps) * step_s / HOUR_S
    scores = []
    for low, high in LEAD_GROUPS:
        inside = (lead_hours >= low) & (lead_hours < high)
        if inside.any():
            scores += _group_scores(
                f"{low}-{high}",
                truth[:, inside],
                {
                    name: {level: values[:, inside] for level, values in levels.items()}
                    for name, levels in foreseen.items()
                },
                list(references),
            )
    return scores


def scores_table(scores: Sequence[Score]) -> pd.DataFrame:
    """One row per method and group of lead times."""
    return pd.DataFrame([asdict(score) for score in scores])


def _truth(series: pd.Series[Any], issues: pd.DatetimeIndex, steps: int, step_s: int) -> Floats:
    return np.stack(
        [
            series.reindex(labels(issue, steps, step_s)).to_numpy(dtype=np.float64, na_value=np.nan)
            for issue in issues
        ]
    )


def _foreseen(
    method: Forecaster, series: pd.Series[Any], issues: pd.DatetimeIndex, steps: int
) -> dict[float, Floats]:
    found = [method.forecast(series, issue, steps).quantiles for issue in issues]
    return {level: np.stack([each[level] for each in found]) for level in found[0]}


def _group_scores(
    lead_hours: str, truth: Floats, foreseen: Mapping[str, Mapping[float, Floats]], references: list[str]
) -> list[Score]:
    there = ~np.isnan(truth)
    actual = truth[there]
    if actual.size == 0:
        return []
    mae = {name: float(np.abs(levels[0.5][there] - actual).mean()) for name, levels in foreseen.items()}
    best = min(mae[name] for name in references)
    scores = []
    for name, levels in foreseen.items():
        error = levels[0.5][there] - actual
        low, high = min(levels), max(levels)
        inside = (actual >= levels[low][there]) & (actual <= levels[high][there])
        losses = [
            np.maximum(level * (actual - values[there]), (level - 1) * (actual - values[there])).mean()
            for level, values in levels.items()
        ]
        scores.append(
            Score(
                name,
                lead_hours,
                int(actual.size),
                mae[name],
                float(np.sqrt((error**2).mean())),
                1 - mae[name] / best if best > 0 else float("nan"),
                float(np.mean(losses)),
                float(inside.mean()),
                high - low,
            )
        )
    return scores
