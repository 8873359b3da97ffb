"""What a tariff may hold beside its prices: hours of use, payment for peaks, further contracts.

Symbols, per interval: `imp`, `ex` import and export, kW; `h` hours per interval.

* Time of use: EUR/kWh are added to the buying price in some hours of the local clock.
* Peak: `P[k] >= imp`, `P[k] >= ex` (whichever is paid for) in each month or year k; it costs
  `sum price P[k]`, EUR/kW (MODEL.md §11.8).
* Contract: part of the import (or export) at its own price, up to a power and a yearly energy:
  `sum_j q[j] <= imp`, `q[j] <= limit_kw`, `sum h q[j] <= limit_kwh`. The rest has the tariff's price. A
  feed-in tariff for the first 30 kW beside the market price is one.
"""

from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas
from pydantic import Field, field_validator

from optimiser.planning.components.component import YearlyCost
from optimiser.planning.hourly import Floats, Hourly, Rule
from optimiser.series import Period, SeriesSetting
from optimiser.table import Table

SATURDAY = 5


class TimeOfUse(Table):
    """`[[grid.time_of_use]]`: local hours, without `to_hour`; over midnight if that is the earlier one."""

    from_hour: int = Field(ge=0, le=23)
    to_hour: int = Field(ge=0, le=24)
    days: Literal["all", "working", "weekend"] = "all"
    months: list[int] | None = None
    eur_per_kwh: float

    @field_validator("months")
    @classmethod
    def _months(cls, months: list[int] | None) -> list[int] | None:
        wrong = [month for month in months or [] if not 1 <= month <= 12]
        if wrong:
            raise ValueError(f"{wrong[0]} is no month: 1 to 12")
        return months

    def added(self, local: pandas.DatetimeIndex) -> Floats:
        """EUR/kWh in each interval."""
        hour = local.hour.to_numpy()
        if self.from_hour < self.to_hour:
            applies = (hour >= self.from_hour) & (hour < self.to_hour)
        else:
            applies = (hour >= self.from_hour) | (hour < self.to_hour)
        if self.days != "all":
            applies &= (local.weekday.to_numpy() >= SATURDAY) == (self.days == "weekend")
        if self.months is not None:
            applies &= np.isin(local.month.to_numpy(), self.months)
        return np.where(applies, self.eur_per_kwh, 0.0)


class Peak(Table):
    """`[[grid.peak]]`: EUR per kW of the highest power of each month (per month) or year (per year)."""

    eur_per_kw: float = Field(gt=0)
    period: Literal["month", "year"] = "year"
    direction: Literal["import", "export", "both"] = "import"

    def cost(self, name: str, hourly: Hourly, period: Floats, import_kw: Rule, export_kw: Rule) -> YearlyCost:
        """State the peaks; `period` numbers the month or year of each interval."""
        count = int(period.max()) + 1
        peaks, place = hourly.sizes(f"{name}_kw", count), hourly.series(f"{name}_period", period)
        if self.direction != "export":
            hourly.rows(f"{name}_import", lambda t: import_kw(t) <= peaks[place[t]])
        if self.direction != "import":
            hourly.rows(f"{name}_export", lambda t: export_kw(t) <= peaks[place[t]])
        total = sum(peaks[number] for number in range(count))
        return YearlyCost(f"peak {self.direction} of each {self.period}", self.eur_per_kw * total)


class Contract(Table):
    """`[[grid.contract]]`: a price for part of what is bought or sold."""

    name: str
    direction: Literal["buy", "sell"]
    price: SeriesSetting
    limit_kw: float | None = Field(default=None, gt=0)
    limit_kwh_a: float | None = Field(default=None, gt=0)

    def part(self, name: str, hourly: Hourly) -> Any:
        """The variable `q`, kW."""
        part = hourly.flow(name, np.inf if self.limit_kw is None else self.limit_kw)
        if self.limit_kwh_a is not None:
            hourly.row(f"{name}_year", hourly.step_h * hourly.total(lambda t: part[t]) <= self.limit_kwh_a)
        return part


def period_numbers(times: pandas.DatetimeIndex, period: Literal["month", "year"]) -> Floats:
    """Number of the month or year of each interval, from 0 on; the plan's period is one year."""
    if period == "year":
        return np.zeros(len(times))
    months = times.year.to_numpy() * 12 + times.month.to_numpy()
    numbers: Floats = np.searchsorted(np.unique(months), months).astype(float)
    return numbers


def local_times(period: Period, timezone: str) -> pandas.DatetimeIndex:
    """Start of each interval on the local clock."""
    return period.times_utc.tz_convert(ZoneInfo(timezone))


def checked_timezone(timezone: str) -> str:
    """The name itself. Raises ValueError."""
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"{timezone!r} is no time zone; say for example 'Europe/Rome'") from None
    return timezone
