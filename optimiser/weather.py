"""Irradiance on tilted planes and air temperature, from hourly or PVGIS weather data.

Sun position by pvlib. Isotropic sky: `E = beam + DHI (1 + cos b)/2 + GHI albedo (1 - cos b)/2`, W/m2, tilt
b. Beam: `physical` is `DNI max(0, cos i)` with the angle of incidence i; `published` is `DNI max(0, cos i /
cos z)` with the zenith angle z, which Bruck et al. 2021 used: it takes beam NORMAL for beam HORIZONTAL
irradiance and overstates the yield by a third (MODEL.md §7). It exists to reproduce their tables.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas
import pvlib
from pydantic import Field, model_validator

from optimiser.planning.hourly import Floats
from optimiser.series import Period, SeriesSetting
from optimiser.table import Table


class Location(Table):
    """`[location]`."""

    latitude_deg: float = Field(ge=-90, le=90)
    longitude_deg: float = Field(ge=-180, le=180)
    altitude_m: float = 0.0
    albedo: float = Field(default=0.2, ge=0, le=1)


class WeatherSetting(Table):
    """`[weather]`: three columns of irradiance, W/m2, or a typical year file of PVGIS (CSV or JSON)."""

    ghi: SeriesSetting | None = None
    dni: SeriesSetting | None = None
    dhi: SeriesSetting | None = None
    temperature: SeriesSetting | None = None
    pvgis: str | None = None
    sun_minute: float | None = Field(default=None, ge=0, lt=60)
    """Minute of the interval at which the sun's position is taken: the instant of the samples, or the middle
    of means. Without it: the middle, or what PVGIS says."""
    irradiance: Literal["physical", "published"] = "physical"

    @model_validator(mode="after")
    def _consistent(self) -> "WeatherSetting":
        columns = [self.ghi, self.dni, self.dhi]
        if self.pvgis is None and None in columns:
            raise ValueError("give ghi, dni and dhi, or pvgis = a typical year file of PVGIS")
        if self.pvgis is not None and columns != [None, None, None]:
            raise ValueError("pvgis brings its own ghi, dni and dhi; leave one of the two out")
        return self


@dataclass(frozen=True)
class Weather:
    """W/m2 and degC per interval."""

    ghi: Floats
    dni: Floats
    dhi: Floats
    temperature_degc: Floats | None
    sun_minute: float


class Sky:
    """Weather with the sun's position: irradiance on any plane."""

    def __init__(self, weather: Weather, location: Location, period: Period, model: str) -> None:
        self.weather = weather
        self._albedo = location.albedo
        self._published = model == "published"
        times = pandas.to_datetime(
            period.start_s + np.arange(period.steps) * period.interval_s + round(60 * weather.sun_minute),
            unit="s",
            utc=True,
        )
        position = pvlib.solarposition.get_solarposition(
            times,
            location.latitude_deg,
            location.longitude_deg,
            altitude=location.altitude_m,
        )
        self._zenith_deg = position["zenith"].to_numpy(dtype=float)
        self._azimuth_deg = position["azimuth"].to_numpy(dtype=float)

    def plane_w_per_m2(self, tilt_deg: float, azimuth_deg: float) -> Floats:
        """Irradiance on a plane; azimuth clockwise from north."""
        weather = self.weather
        incidence = pvlib.irradiance.aoi_projection(
            tilt_deg, azimuth_deg, self._zenith_deg, self._azimuth_deg
        )
        if self._published:
            with np.errstate(divide="ignore"):
                incidence = incidence / np.cos(np.radians(self._zenith_deg))
        beam = weather.dni * np.maximum(0.0, incidence)
        cosine = np.cos(np.radians(tilt_deg))
        diffuse = weather.dhi * (1 + cosine) / 2 + weather.ghi * self._albedo * (1 - cosine) / 2
        return np.asarray(beam + diffuse, dtype=float)
