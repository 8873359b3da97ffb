"""What the dispatch day is planned with: load, generation and factors of the La Palma demonstration data.

Two days are read: the day before gives the forecast (each hour as it was 24 hours ago), the day itself the
truth. Assumptions, for want of data: outdoor temperature (a January day on the coast), tariffs, devices.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from contracts.hour import DAY_S, HOUR_S, HOURS_PER_DAY, hour_of, hour_of_day
from optimiser.dispatch.state import Outlook
from scripts.replay.config import load_config
from scripts.replay.generation_mix import read_mix
from scripts.replay.series import Series

DEMO: Final = Path(__file__).parent.parent / "demo_data" / "lapalma.toml"
CSV: Final = DEMO.with_name("lapalma_2019.csv")
PV_KWP: Final = 300
PERFORMANCE_RATIO: Final = 0.84
BUY_EUR_PER_KWH: Final = {"valley": 0.10, "flat": 0.15, "peak": 0.24}
SELL_EUR_PER_KWH: Final = 0.06


def outdoor_degc(time_s: int) -> float:
    """Assumed: 12 °C at five in the morning, 18 °C at five in the afternoon."""
    return 15.0 - 3.0 * math.cos(2 * math.pi * (time_s % DAY_S - 5 * HOUR_S) / DAY_S)


def buy_eur_per_kwh(time_s: int) -> float:
    """Assumed tariff in three periods: valley until eight, peak from ten to two and six to ten."""
    hour = hour_of_day(hour_of(time_s))
    peak = 10 <= hour < 14 or 18 <= hour < 22
    return BUY_EUR_PER_KWH["valley" if hour < 8 else "peak" if peak else "flat"]


@dataclass(frozen=True)
class DayInputs:
    """Hourly values from the midnight before the day on, for two days."""

    start_s: int
    """Midnight at which the dispatched day begins, Unix seconds."""
    load_kw: tuple[float, ...]
    pv_kw: tuple[float, ...]
    pef_average: tuple[float, ...]
    pef_marginal: tuple[float, ...]

    def truth(self, series: tuple[float, ...], hour: int) -> float:
        """The value of an hour of the day."""
        return series[HOURS_PER_DAY + hour]

    def outlook(self, hour: int) -> Outlook:
        """The next 24 hours as they were the day before; tariffs are known."""
        ahead = slice(hour, hour + HOURS_PER_DAY)
        start_s = self.start_s + hour * HOUR_S
        times = range(start_s, start_s + DAY_S, HOUR_S)
        marginal = np.array(self.pef_marginal[ahead])
        return Outlook(
            start_s=start_s,
            step_s=HOUR_S,
            load_kw=np.array(self.load_kw[ahead]),
            pv_kw=np.array(self.pv_kw[ahead]),
            buy_eur_per_kwh=np.array([buy_eur_per_kwh(time_s) for time_s in times]),
            sell_eur_per_kwh=np.full(HOURS_PER_DAY, SELL_EUR_PER_KWH),
            pef_average=np.minimum(np.array(self.pef_average[ahead]), marginal),
            pef_import=marginal,
            pef_export=marginal,
            outdoor_degc=np.array([outdoor_degc(time_s) for time_s in times]),
            method="the same hour of the day before",
        )


def read_day(start_s: int) -> DayInputs:
    """The data of the day that begins at a UTC midnight and of the day before. Raises SeriesError."""
    first_s = start_s - DAY_S
    series = Series(CSV, HOUR_S)

    def column(name: str, times: float = 1.0) -> tuple[float, ...]:
        return tuple(
            float(value or 0) * times for value in series.numbers(name, first_s, start_s + DAY_S, False)
        )

    config = load_config(DEMO)
    assert config.factors.mix is not None
    days = read_mix(DEMO.parent, config.factors.mix, HOUR_S, first_s, 2)
    factors = [hour for day in days if day is not None for hour in day]
    return DayInputs(
        start_s,
        column("load_kW"),
        column("irradiance_W_m2", PV_KWP * PERFORMANCE_RATIO / 1000),
        tuple(hour.average_total / 1000 for hour in factors),
        tuple(hour.marginal_total / 1000 for hour in factors),
    )
