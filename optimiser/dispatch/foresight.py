"""Outlooks for the rolling horizon: from forecasters, or from the truth (perfect foresight, for comparison only)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd

from optimiser.dispatch.state import Outlook
from optimiser.forecast import Baseline, ClearSky, Forecaster, Persistence, SimilarDays, Site
from optimiser.forecast.grid import DAY_S, Floats

HISTORY_DAYS = 120
PUBLICATION_H = 20
"""UTC hour after which the next day's prices are known (Spain's PVPC appears at 20:15 local time)."""
PRICES = ("buy_eur_per_kwh", "sell_eur_per_kwh")


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
    pef_average: Forecaster
    outdoor_degc: Forecaster
    prices: Forecaster

    @classmethod
    def usual(cls, step_s: int, site: Site | None = None) -> Forecasters:
        """Baselines that are hard to beat: similar days, clear-sky scaling (with a site), persistence."""
        free = (None, None)
        sun = ClearSky(site) if site else SimilarDays(count=7, alike=True)
        return cls(
            load_kw=Baseline(SimilarDays(), step_s=step_s),
            pv_kw=Baseline(sun, step_s=step_s),
            pef_average=Baseline(SimilarDays(count=5, alike=True), step_s=step_s),
            outdoor_degc=Baseline(Persistence("day"), step_s=step_s, bounds=free),
            prices=Baseline(Persistence("day"), step_s=step_s, bounds=free),
        )


class ForecastOutlook:
    """Forecasts from what was measured before each step; the year before the first is the same year again."""

    def __init__(self, truth: Outlook, horizon: int, forecasters: Forecasters, every: int = 1) -> None:
        """`every`: forecasts are renewed every so many steps, and used for the steps in between."""
        before = min(HISTORY_DAYS * DAY_S // truth.step_s, truth.steps)
        self._offset = before
        self._all = repeated(truth, before, horizon + every)
        self._index = pd.to_datetime(self._all.starts_s, unit="s", utc=True)
        self._series: dict[str, pd.Series[Any]] = {
            name: pd.Series(getattr(self._all, name), index=self._index) for name in Outlook.SERIES
        }
        self._forecasters = forecasters
        self._every = every
        self._made: dict[str, Floats] = {}
        self._made_at = -1

    def outlook(self, step: int, steps: int) -> Outlook:
        """What is foreseen from the steps before `step`."""
        at = step - step % self._every
        if at != self._made_at:
            self._made, self._made_at = self._make(at, steps + self._every - 1), at
        first = step - at
        cut = {name: values[first : first + steps] for name, values in self._made.items()}
        truth = self._all
        return Outlook(
            truth.start_s + (self._offset + step) * truth.step_s, truth.step_s, method="forecast", **cut
        )

    def _make(self, step: int, steps: int) -> dict[str, Floats]:
        place = self._offset + step
        issued = self._index[place]
        found: dict[str, Floats] = {}
        given = self._forecasters
        for name, forecaster in (
            ("load_kw", given.load_kw),
            ("pv_kw", given.pv_kw),
            ("pef_average", given.pef_average),
            ("outdoor_degc", given.outdoor_degc),
        ):
            found[name] = forecaster.forecast(self._series[name].iloc[:place], issued, steps).median
        known_until = issued.normalize() + pd.Timedelta(days=2 if issued.hour >= PUBLICATION_H else 1)
        known = int((known_until - issued).total_seconds()) // self._all.step_s
        for name in PRICES:
            series = self._series[name]
            values = given.prices.forecast(series.iloc[:place], issued, steps).median.copy()
            ahead = min(known, steps)
            values[:ahead] = series.to_numpy()[place : place + ahead]
            found[name] = values
        for name in ("pef_import", "pef_export"):
            series = self._series[name]
            found[name] = given.pef_average.forecast(series.iloc[:place], issued, steps).median
        found["pef_average"] = np.minimum(found["pef_average"], found["pef_import"])
        found["pef_export"] = np.minimum(found["pef_export"], found["pef_import"])
        return found
