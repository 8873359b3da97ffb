"""Outlooks for the rolling horizon: from forecasters, or from the truth (perfect foresight, for comparison
only)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd

from optimiser.dispatch.state import Outlook
from optimiser.forecast import Baseline, ClearSky, Corrected, Forecaster, Persistence, SimilarDays, Site
from optimiser.forecast.grid import DAY_S, HOUR_S, Floats

HISTORY_DAYS = 120
PUBLICATION_H = 20
"""UTC hour after which the next day's prices are known (Spain's PVPC appears at 20:15 local time)."""
PRICES = ("buy_eur_per_kwh", "sell_eur_per_kwh")
FACTORS = ("pef_average", "pef_import", "pef_export")


class Foresight(Protocol):
    """Gives the outlook from a step of the truth on."""

    def outlook(self, step: int, steps: int) -> Outlook:
        """The `steps` steps from `step` on, as foreseen when it begins."""
        ...


def repeated(truth: Outlook, before: int, after: int) -> Outlook:
    """The truth with itself before and after it, as if every year were the same (MODEL.md §1)."""
    cut = {
        name: np.take(getattr(truth, name), np.arange(-before, truth.steps + after), mode="wrap")
        for name in Outlook.SERIES
    }
    return Outlook(truth.start_s - before * truth.step_s, truth.step_s, method=truth.method, **cut)


class TrueOutlook:
    """Perfect foresight of the horizon."""

    def __init__(self, truth: Outlook, horizon: int) -> None:
        self._all = repeated(truth, 0, horizon)

    def outlook(self, step: int, steps: int) -> Outlook:
        """What will really be."""
        return self._all.part(step, step + steps)


@dataclass(frozen=True)
class Forecasters:
    """One forecaster per series; prices are known ahead until the end of the published day."""

    load_kw: Forecaster
    pv_kw: Forecaster
    factors: Forecaster
    outdoor_degc: Forecaster
    prices: Forecaster

    @classmethod
    def usual(cls, step_s: int, site: Site | None = None) -> Forecasters:
        """Baselines that are hard to beat: similar days, clear-sky scaling (with a site), persistence."""
        free = (None, None)
        sun = ClearSky(site) if site else SimilarDays(count=7, alike=True)
        return cls(
            load_kw=Baseline(Corrected(SimilarDays(count=5)), step_s=step_s),
            pv_kw=Baseline(sun, step_s=step_s),
            factors=Baseline(Corrected(Persistence("day"), fade_hours=12), step_s=step_s),
            outdoor_degc=Baseline(Persistence("day"), step_s=step_s, bounds=free),
            prices=Baseline(Persistence("day"), step_s=step_s, bounds=free),
        )


class ForecastOutlook:
    """Forecasts from what was measured before each step; the year before the first is the same year again.

    Load and generation are forecast at every step; factors, temperature and prices at midnight and when
    the next day's prices are published.
    """

    def __init__(self, truth: Outlook, horizon: int, forecasters: Forecasters) -> None:
        self._per_day = DAY_S // truth.step_s
        before = min(HISTORY_DAYS * self._per_day, truth.steps)
        self._offset = before
        self._all = repeated(truth, before, horizon + self._per_day)
        self._index = pd.to_datetime(self._all.starts_s, unit="s", utc=True)
        self._series: dict[str, pd.Series[Any]] = {
            name: pd.Series(getattr(self._all, name), index=self._index) for name in Outlook.SERIES
        }
        self._forecasters = forecasters
        self._daily: dict[str, Floats] = {}
        self._daily_from = 0

    def outlook(self, step: int, steps: int) -> Outlook:
        """What is foreseen from the steps before `step`."""
        truth, place = self._all, self._offset + step
        start_s = truth.start_s + place * truth.step_s
        since = step - self._daily_from
        renewed = start_s % DAY_S in (0, PUBLICATION_H * HOUR_S) or not 0 <= since < self._per_day
        if not self._daily or (renewed and since):
            self._daily, self._daily_from = self._make_daily(place, steps + self._per_day), step
            since = 0
        found = {name: values[since : since + steps] for name, values in self._daily.items()}
        found["load_kw"] = self._forecast("load_kw", self._forecasters.load_kw, place, steps)
        found["pv_kw"] = self._forecast("pv_kw", self._forecasters.pv_kw, place, steps)
        return Outlook(start_s, truth.step_s, method="forecast", **found)

    def _forecast(self, name: str, forecaster: Forecaster, place: int, steps: int) -> Floats:
        return forecaster.forecast(self._series[name].iloc[:place], self._index[place], steps).median

    def _make_daily(self, place: int, steps: int) -> dict[str, Floats]:
        given, issued = self._forecasters, self._index[place]
        found = {name: self._forecast(name, given.factors, place, steps) for name in FACTORS}
        found["pef_average"] = np.minimum(found["pef_average"], found["pef_import"])
        found["pef_export"] = np.minimum(found["pef_export"], found["pef_import"])
        found["outdoor_degc"] = self._forecast("outdoor_degc", given.outdoor_degc, place, steps)
        known_until = issued.normalize() + pd.Timedelta(days=2 if issued.hour >= PUBLICATION_H else 1)
        known = min(steps, int((known_until - issued).total_seconds()) // self._all.step_s)
        for name in PRICES:
            values = self._forecast(name, given.prices, place, steps).copy()
            values[:known] = self._series[name].to_numpy()[place : place + known]
            found[name] = values
        return found
