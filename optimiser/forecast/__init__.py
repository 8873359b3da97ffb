"""Forecasts of load, generation, factors and prices, with quantiles, and their back-test.

`Baseline(Corrected(SimilarDays(count=5)))` (load, prices), `Baseline(Corrected(Persistence("day"), 12))`
(factors), `Baseline(ClearSky(site))` (generation) and `Learned(model)` are forecasters:
`forecast(history, issued_at, steps)` gives a `Forecast`.
"""

from optimiser.forecast.backtest import Score, backtest, scores_table
from optimiser.forecast.baselines import Corrected, Persistence, PointModel, SimilarDays
from optimiser.forecast.clear_sky import ClearSky, Site
from optimiser.forecast.forecaster import Baseline
from optimiser.forecast.grid import HistoryInvalid
from optimiser.forecast.learned import Learned
from optimiser.forecast.perfect import PerfectForesight
from optimiser.forecast.result import DEFAULT_LEVELS, Forecast, Forecaster

__all__ = [
    "DEFAULT_LEVELS",
    "Baseline",
    "ClearSky",
    "Corrected",
    "Forecast",
    "Forecaster",
    "HistoryInvalid",
    "Learned",
    "PerfectForesight",
    "Persistence",
    "PointModel",
    "Score",
    "SimilarDays",
    "Site",
    "backtest",
    "scores_table",
]
