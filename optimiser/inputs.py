"""From a case to arrays: every series of the plan, read once and checked."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas

from optimiser.factors import HourlyFactors, hourly_factors
from optimiser.planning.hourly import Floats
from optimiser.series import Period, Quantity, SeriesError, SeriesSetting, TimeSeries
from optimiser.weather import Sky, Weather

if TYPE_CHECKING:
    from optimiser.case import Case


class InputMissing(ValueError):
    """A component needs what the case does not give; the message says which table to add."""


class Store:
    """Files and sun positions that have been read, so that the cases of a study read them once."""

    def __init__(self) -> None:
        self._kept: dict[Any, Any] = {}

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """What was made for `key`; made now if it is new."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]


class Source:
    """Where a component reads its series from."""

    def __init__(self, folder: Path, period: Period, store: Store) -> None:
        self.folder = folder
        self.period = period
        self._store = store

    def series(self, setting: SeriesSetting, quantity: Quantity, place: str) -> Floats:
        """The series that a TOML setting names, in the quantity's unit. Raises SeriesError.

        place: where the setting stands, for messages (`grid.buy`).
        """
        if setting.value is not None:
            return np.full(self.period.steps, setting.value * setting.times)
        if setting.csv is None or setting.column is None:
            raise SeriesError(f'{place}: give csv = "..." and column = "...", or value = a number')
        path, period = self.folder / setting.csv, self.period
        table: TimeSeries = self._store.once(
            (path, period.interval_s, setting.timezone),
            lambda: TimeSeries(path, period.interval_s, setting.timezone),
        )
        key = (path, setting.column, setting.timezone, quantity, setting.unit, period)
        values: Floats = self._store.once(
            key,
            lambda: table.values(setting.column or "", quantity, period.start_s, period.end_s, setting.unit),
        )
        return values * setting.times


@dataclass(frozen=True)
class Inputs:
    """All series of a plan, shape (steps,)."""

    period: Period
    factors: HourlyFactors
    sky: Sky | None
    series: dict[tuple[str, str], Floats] = field(default_factory=dict)
    """By component and name, as `("load", "load_kw")`."""

    @property
    def steps(self) -> int:
        """Number of intervals."""
        return self.period.steps

    @property
    def step_h(self) -> float:
        """Hours per interval."""
        return self.period.step_h

    @property
    def start_utc(self) -> datetime:
        """Start of the first interval."""
        return datetime.fromtimestamp(self.period.start_s, UTC)

    @property
    def times_utc(self) -> pandas.DatetimeIndex:
        """Start of each interval."""
        return self.period.times_utc

    def of(self, component: str, name: str) -> Floats:
        """A component's series."""
        return self.series[component, name]

    def irradiance_kw_per_m2(self, tilt_deg: float, azimuth_deg: float) -> Floats:
        """Irradiance on a plane. Raises InputMissing without weather."""
        return self._need_sky().plane_w_per_m2(tilt_deg, azimuth_deg) / 1000

    def temperature_degc(self) -> Floats:
        """Air temperature. Raises InputMissing without it."""
        temperature = self._need_sky().weather.temperature_degc
        if temperature is None:
            raise InputMissing("the case has no air temperature: set temperature in [weather]")
        return temperature

    def _need_sky(self) -> Sky:
        if self.sky is None:
            raise InputMissing("the case has no weather: add [location] and [weather]")
        return self.sky


def read_inputs(case: "Case", store: Store | None = None) -> Inputs:
    """Read every series of a case. Raises SeriesError, InputMissing."""
    kept, period = store or Store(), case.period
    source = Source(case.folder, period, kept)
    series = {("grid", name): values for name, values in case.grid.read(source).items()}
    for component, settings in case.components.items():
        for name, values in settings.read(source).items():
            series[component, name] = values
    factors = kept.once(
        (case.folder, period, case.factors.model_dump_json()),
        lambda: hourly_factors(case.factors, case.folder, period),
    )
    return Inputs(period, factors, _sky(case, source, kept), series)


def _sky(case: "Case", source: Source, kept: Store) -> Sky | None:
    setting, location = case.weather, case.location
    if setting is None or location is None:
        return None

    def read() -> Sky:
        return Sky(_weather(case, source), location, source.period, setting.irradiance)

    key = (case.folder, source.period, setting.model_dump_json(), location.model_dump_json())
    sky: Sky = kept.once(key, read)
    return sky


def _weather(case: "Case", source: Source) -> Weather:
    setting = case.weather
    assert setting is not None
    if setting.pvgis is not None:
        from optimiser.pvgis import read_typical_year

        return read_typical_year(case.folder / setting.pvgis, source.period, setting.sun_minute)
    columns = []
    for name in ("ghi", "dni", "dhi"):
        column = getattr(setting, name)
        columns.append(source.series(column, Quantity.IRRADIANCE, f"weather.{name}"))
    temperature = setting.temperature
    return Weather(
        columns[0],
        columns[1],
        columns[2],
        None
        if temperature is None
        else source.series(temperature, Quantity.TEMPERATURE, "weather.temperature"),
        source.period.interval_s / 120 if setting.sun_minute is None else setting.sun_minute,
    )
