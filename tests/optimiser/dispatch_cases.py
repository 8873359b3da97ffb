"""Outlooks and devices for the tests of dispatch."""

import numpy as np

from optimiser.dispatch.devices import Battery, DeviceSettings, HeatPump, Shiftable, Vehicles
from optimiser.dispatch.state import Outlook
from optimiser.forecast.grid import Floats

MIDNIGHT_S = 1_546_300_800
"""2019-01-01T00:00Z, a Tuesday."""

ALL_DEVICES = DeviceSettings(
    battery=(Battery(capacity_kwh=60, charge_kw=20, discharge_kw=20, wear_eur_per_kwh=0.01),),
    vehicles=(
        Vehicles(
            name="v2g", count=3, capacity_kwh=40, charge_kw=7, discharge_kw=7, departure_h=7, arrival_h=17,
            trip_kwh=10, needed_kwh=25, outside_kwh=4,
        ),
        Vehicles(name="car", capacity_kwh=40, charge_kw=7, departure_h=8, arrival_h=15, trip_kwh=8,
    needed_kwh=20), ),
    heat_pump=(
        HeatPump(power_kw=6, store_kwh=20, store_kw=15, resistance_k_per_kw=1.5, capacitance_kwh_per_k=10),
    ),
    shiftable=(Shiftable(energy_kwh=12, power_kw=6, start_h=9, duration_h=8),),
)  # fmt: skip


def outlook(
    load_kw: list[float] | Floats,
    *,
    pv_kw: list[float] | Floats | float = 0.0,
    buy: list[float] | Floats | float = 0.2,
    sell: list[float] | Floats | float = 0.05,
    average: list[float] | Floats | float = 2.5,
    marginal: list[float] | Floats | float = 2.75,
    export: list[float] | Floats | float | None = None,
    outdoor_degc: list[float] | Floats | float = 15.0,
    start_s: int = MIDNIGHT_S,
    step_s: int = 3600,
) -> Outlook:
    """An outlook; single numbers hold in every step."""
    steps = len(load_kw)

    def series(values: list[float] | Floats | float) -> Floats:
        return np.array(np.broadcast_to(np.asarray(values, dtype=np.float64), steps))

    return Outlook(
        start_s=start_s,
        step_s=step_s,
        load_kw=series(load_kw),
        pv_kw=series(pv_kw),
        buy_eur_per_kwh=series(buy),
        sell_eur_per_kwh=series(sell),
        pef_average=series(average),
        pef_import=series(marginal),
        pef_export=series(marginal if export is None else export),
        outdoor_degc=series(outdoor_degc),
    )


def random_outlook(seed: int, steps: int, step_s: int = 3600, start_s: int = MIDNIGHT_S) -> Outlook:
    """Load, sun, prices and factors (three decimals, as they are published) that vary from step to step."""
    rng = np.random.default_rng(seed)
    hour = (start_s + step_s * np.arange(steps)) // 3600
    per_hour = {h: rng.integers(2200, 2700) / 1000 for h in np.unique(hour)}
    sun = np.maximum(0.0, np.sin((hour % 24 - 6) / 12 * np.pi))
    return outlook(
        20 + 20 * rng.random(steps),
        pv_kw=90 * sun * rng.random(steps),
        buy=0.08 + 0.2 * rng.random(steps),
        sell=0.02 + 0.05 * rng.random(steps),
        average=np.array([per_hour[h] for h in hour]),
        marginal=2.75,
        outdoor_degc=5 + 10 * rng.random(steps),
        start_s=start_s,
        step_s=step_s,
    )
