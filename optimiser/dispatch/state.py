"""What is known when a step is decided: the state of the devices, and the outlook on the next steps."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from optimiser.dispatch.devices import DeviceSettings
from optimiser.forecast.grid import HOUR_S, Floats, Integers


class OutlookInvalid(ValueError):
    """Forecasts or factors that nothing can be planned with; the message names the series and the step."""


@dataclass(frozen=True, slots=True)
class HourSoFar:
    """What was metered since the hour began (domain.md §2 nets per hour), kWh; all zero at a full hour."""

    net_import_kwh: float = 0.0
    net_load_kwh: float = 0.0
    """Consumption minus production."""


@dataclass(frozen=True, slots=True)
class State:
    """The devices at the start of a step, by name: kWh stored, °C, kWh already drawn in the current
    window."""

    time_s: int
    stored_kwh: dict[str, float]
    """Batteries, vehicles and the thermal stores of heat pumps."""
    room_degc: dict[str, float]
    shiftable_done_kwh: dict[str, float]
    vehicle_excess_kwh: dict[str, float] = field(default_factory=dict)
    """Discharge minus efficiency times charge since UTC midnight (domain.md §2); may be negative."""
    peak_import_kw: float = 0.0
    """Highest import of the calendar month so far."""
    hour_so_far: HourSoFar = HourSoFar()

    @classmethod
    def initial(cls, devices: DeviceSettings, time_s: int) -> State:
        """The state that the settings name."""
        stored = {device.name: device.initial_kwh for device in devices.storages}
        heat = {pump.name: pump.initial_store_share * pump.store_kwh for pump in devices.heat_pump}
        return cls(
            time_s=time_s,
            stored_kwh=stored | heat,
            room_degc={pump.name: pump.initial_room_degc for pump in devices.heat_pump},
            shiftable_done_kwh=dict.fromkeys((load.name for load in devices.shiftable), 0.0),
            vehicle_excess_kwh=dict.fromkeys((fleet.name for fleet in devices.vehicles), 0.0),
        )


@dataclass(frozen=True)
class Outlook:
    """Series of the next steps, foreseen or true. `hour_*` factors hold in the UTC hour of the step."""

    start_s: int
    step_s: int
    load_kw: Floats
    pv_kw: Floats
    """Generation before curtailment."""
    buy_eur_per_kwh: Floats
    sell_eur_per_kwh: Floats
    pef_average: Floats
    """kWh_PE per kWh of import that serves load (domain.md §3)."""
    pef_import: Floats
    """Of every other import."""
    pef_export: Floats
    outdoor_degc: Floats
    method: str = ""
    """How it was foreseen."""

    SERIES = (
        "load_kw", "pv_kw", "buy_eur_per_kwh", "sell_eur_per_kwh", "pef_average", "pef_import", "pef_export",
        "outdoor_degc",
    )  # fmt: skip

    @property
    def steps(self) -> int:
        """How many steps."""
        return int(self.load_kw.size)

    @property
    def hours(self) -> float:
        """Length of a step, h."""
        return self.step_s / HOUR_S

    @property
    def starts_s(self) -> Integers:
        """Unix seconds of the starts of the steps."""
        return self.start_s + self.step_s * np.arange(self.steps, dtype=np.int64)

    def part(self, first: int, stop: int) -> Outlook:
        """The steps `first` to `stop`."""
        cut = {name: getattr(self, name)[first:stop] for name in self.SERIES}
        return replace(self, start_s=self.start_s + first * self.step_s, **cut)

    def require_usable(self) -> None:
        """Raises OutlookInvalid for NaN, infinities, differing lengths and factors that the model cannot
        state.

        The net rule is stated for `average <= import` and `export <= import` (dynamic factors of domain.md
        §3, and static ones with an export factor not above the import factor).
        """
        if self.steps == 0:
            raise OutlookInvalid("the outlook has no step; forecast at least one")
        for name in self.SERIES:
            values = getattr(self, name)
            if values.shape != (self.steps,):
                raise OutlookInvalid(
                    f"{name} has {values.size} values, load_kw {self.steps}; give one per step"
                )
            if not np.isfinite(values).all():
                place = int(np.flatnonzero(~np.isfinite(values))[0])
                raise OutlookInvalid(
                    f"{name} is {values[place]} in step {place}; a forecast must be a number"
                )
        for name, values in (("load_kw", self.load_kw), ("pv_kw", self.pv_kw)):
            if (values < 0).any():
                place = int(np.argmin(values))
                raise OutlookInvalid(f"{name} is {values[place]} in step {place}; it cannot be negative")
        for name in ("pef_average", "pef_export"):
            above = getattr(self, name) > self.pef_import + 1e-9
            if above.any():
                place = int(np.argmax(above))
                raise OutlookInvalid(
                    f"{name} {getattr(self, name)[place]} exceeds pef_import {self.pef_import[place]} "
                    f"in step {place}; dispatch needs average <= import and export <= import (domain.md §3)"
                )
