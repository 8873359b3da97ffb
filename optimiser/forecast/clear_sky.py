"""Generation as a share of what a cloudless sky would give (pvlib: Ineichen with its turbidity climatology).

The share (clear-sky index) of the last hours fades into the share that the same clock hour had on the last
days: clouds persist for hours, the season and a site's usual afternoon clouds for weeks.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from pvlib import irradiance
from pvlib.location import Location

from optimiser.forecast.baselines import targets_of, values_before
from optimiser.forecast.grid import DAY_S, Floats, Grid, Integers

SAMPLE_S = 900
DARK_W_PER_M2 = 20.0
"""Below this clear-sky value the ratio to it says nothing."""
MOST_INDEX = 2.0
"""A recent index above this many times the mean comes from a horizon or clock unknown to the model."""


@dataclass(frozen=True)
class Site:
    """Where the panels stand; angles in degrees, azimuth clockwise from north, altitude in m."""

    latitude_deg: float
    longitude_deg: float
    altitude_m: float = 0.0
    tilt_deg: float = 0.0
    azimuth_deg: float = 180.0
    _days: dict[tuple[int, int], Floats] = field(init=False, default_factory=dict, compare=False, repr=False)

    def clear_w_per_m2(self, first: int, count: int, step_s: int) -> Floats:
        """Mean clear-sky irradiance in the plane, W/m2, of `count` intervals from interval number `first` on.

        Mean of samples every 15 minutes; no diffuse anisotropy, albedo 0.25 (pvlib's default).
        """
        per_day = DAY_S // step_s
        first_day, last_day = first // per_day, (first + count - 1) // per_day
        self._fill([day for day in range(first_day, last_day + 1) if (day, step_s) not in self._days], step_s)
        values = np.concatenate([self._days[day, step_s] for day in range(first_day, last_day + 1)])
        start = first - first_day * per_day
        return values[start : start + count]

    def _fill(self, days: list[int], step_s: int) -> None:
        if not days:
            return
        sample_s = min(step_s, SAMPLE_S)
        samples = DAY_S // sample_s
        middles_s = (
            np.asarray(days, dtype=np.int64)[:, None] * DAY_S + np.arange(samples) * sample_s + sample_s // 2
        )
        times = pd.DatetimeIndex(pd.to_datetime(middles_s.ravel(), unit="s", utc=True))
        location = Location(self.latitude_deg, self.longitude_deg, "UTC", self.altitude_m)
        sun = location.get_solarposition(times)
        clear = location.get_clearsky(times, model="ineichen", solar_position=sun)
        plane = irradiance.get_total_irradiance(
            self.tilt_deg,
            self.azimuth_deg,
            sun["apparent_zenith"],
            sun["azimuth"],
            clear["dni"],
            clear["ghi"],
            clear["dhi"],
        )["poa_global"]
        by_step = plane.fillna(0).to_numpy().reshape(len(days), DAY_S // step_s, step_s // sample_s)
        for day, values in zip(days, by_step.mean(axis=2), strict=True):
            self._days[day, step_s] = values


@dataclass(frozen=True)
class ClearSky:
    """Clear-sky value times an index: the one of the last `recent_hours` of light, fading with `fade_hours`
    into the mean index that the same clock time had on the last `count` days.
    """

    site: Site
    count: int = 14
    recent_hours: int = 3
    fade_hours: float = 3.0

    @property
    def name(self) -> str:
        """Method and its settings."""
        return f"clear-sky scaling (last {self.recent_hours} h, last {self.count} days)"

    @property
    def days(self) -> int:
        """Days of history that a forecast looks back on."""
        return 2 * self.count

    def points(self, grid: Grid, origins: Integers, steps: int) -> Floats:
        """Values of shape (origins, steps); zero where the sun is down."""
        clear = self.scale(grid, origins, steps)
        targets = targets_of(origins, steps)
        candidates = targets[:, :, None] - grid.per_day * np.arange(1, self.days + 1)
        usual = self._usual(grid, candidates, origins)
        recent = self._recent(grid, origins)[:, None]
        lead_hours = (np.arange(steps) + 0.5) / grid.per_hour
        weight = np.where(np.isnan(recent), 0, np.exp(-lead_hours / self.fade_hours))
        index = np.where(np.isnan(recent), usual, weight * np.nan_to_num(recent) + (1 - weight) * usual)
        return np.where(clear > 0, index * clear, 0)

    def _usual(self, grid: Grid, candidates: Integers, origins: Integers) -> Floats:
        """Ratio of the sums over the last known days; NaN where there is none."""
        values = values_before(grid, candidates, origins)
        chosen = ~np.isnan(values)
        chosen &= np.cumsum(chosen, axis=2) <= self.count
        clear = self._clear_at(grid, candidates)
        return _ratio(np.where(chosen, values, 0).sum(axis=2), np.where(chosen, clear, 0).sum(axis=2), 0.0)

    def _recent(self, grid: Grid, origins: Integers) -> Floats:
        """Index of the last hours; NaN in the dark."""
        positions = origins[:, None] - 1 - np.arange(self.recent_hours * grid.per_hour)
        values = values_before(grid, positions, origins)
        clear = np.where(np.isnan(values), 0, self._clear_at(grid, positions))
        total = np.where(np.isnan(values), 0, values).sum(axis=1)
        dark = DARK_W_PER_M2 * positions.shape[1]
        return _ratio(total, clear.sum(axis=1), dark, highest=self._highest(grid, origins))

    def _highest(self, grid: Grid, origins: Integers) -> Floats:
        """MOST_INDEX times the mean index before each origin: no recent index is believed above it."""
        known = np.nan_to_num(grid.values)
        clear = np.where(np.isnan(grid.values), 0, self._clear_at(grid, np.arange(grid.values.size)))
        sums, clear_sums = np.cumsum(known), np.cumsum(clear)
        last = np.clip(origins - 1, 0, None)
        return MOST_INDEX * _ratio(sums[last], clear_sums[last], 0.0)

    def scale(self, grid: Grid, origins: Integers, steps: int) -> Floats:
        """Clear-sky value, W/m2: an error at night is no error. Shape (origins, steps)."""
        return self._clear_at(grid, targets_of(origins, steps))

    def _clear_at(self, grid: Grid, positions: Integers) -> Floats:
        low = int(positions.min())
        clear = self.site.clear_w_per_m2(grid.first + low, int(positions.max()) - low + 1, grid.step_s)
        return clear[positions - low]


def _ratio(value: Floats, clear: Floats, least: float, highest: Floats | None = None) -> Floats:
    ratio: Floats = np.divide(value, clear, out=np.full(value.shape, np.nan), where=clear > least)
    return ratio if highest is None else np.minimum(ratio, highest)
