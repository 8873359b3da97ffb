"""Devices of a district: their settings (tables of the case file), and their physics.

Powers are kW at the district's busbar, energies kWh, temperatures °C, hours UTC. The same numbers bound the
dispatch model (`statement.py`) and the simulated plant (`plant.py`).

| symbol | setting | unit | source |
|---|---|---|---|
| C | `capacity_kwh` | kWh | MODEL.md §5.4 |
| ηc, ηd | `charge_efficiency`, `discharge_efficiency` | - | MODEL.md §5.4 |
| κ | `wear_eur_per_kwh` | EUR per kWh discharged | MODEL.md §11.6 |
| ζ, T_s, ΔT | `carnot_fraction`, `supply_degc`, `approach_k` | -, °C, K | MODEL.md §11.5 |
| ε | `store_loss_per_h` | 1/h | MODEL.md §11.5 |
| R, C_b | `resistance_k_per_kw`, `capacitance_kwh_per_k` | K/kW, kWh/K | MODEL.md §11.5 |
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, model_validator

from optimiser import table
from optimiser.forecast.grid import DAY_S, HOUR_S, Floats, Integers

Booleans = NDArray[np.bool_]
Share = Annotated[float, Field(ge=0, le=1)]
Efficiency = Annotated[float, Field(gt=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
HourOfDay = Annotated[float, Field(ge=0, lt=24)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,32}$")]
SATURDAY = 5
ONE_WAY_EFFICIENCY = math.sqrt(0.95)


class Table(table.Table):
    """A table of the case file: unknown keys, infinities and NaN are refused."""

    model_config = ConfigDict(allow_inf_nan=False)


class Storage(Table):
    """What batteries and vehicles share."""

    name: Name
    capacity_kwh: Positive
    charge_kw: Positive
    charge_efficiency: Efficiency = ONE_WAY_EFFICIENCY
    discharge_efficiency: Efficiency = ONE_WAY_EFFICIENCY
    wear_eur_per_kwh: NotNegative = 0.0
    initial_soc: Share = 0.5

    @property
    def total_kwh(self) -> float:
        """Capacity of all of it."""
        return self.capacity_kwh

    @property
    def initial_kwh(self) -> float:
        """Energy stored at the start."""
        return self.total_kwh * self.initial_soc

    @property
    def round_trip(self) -> float:
        """Energy out per energy in, as registered for the metering point (domain.md §2)."""
        return self.charge_efficiency * self.discharge_efficiency

    def gain_kwh(self, charge_kw: float, discharge_kw: float, hours: float) -> float:
        """Change of the stored energy: `h (ηc ch - dis/ηd)` (MODEL.md §5.4)."""
        return hours * (charge_kw * self.charge_efficiency - discharge_kw / self.discharge_efficiency)


class Battery(Storage):
    """A stationary battery."""

    name: Name = "battery"
    discharge_kw: Positive

    def possible_kw(self, wanted_kw: float, stored_kwh: float, hours: float) -> float:
        """What it can do of what is wanted (positive: charge), for a step."""
        room_kw = max(0.0, self.capacity_kwh - stored_kwh) / self.charge_efficiency / hours
        there_kw = max(0.0, stored_kwh) * self.discharge_efficiency / hours
        return max(-min(self.discharge_kw, there_kw), min(wanted_kw, self.charge_kw, room_kw))


class Vehicles(Storage):
    """Identical vehicles with one timetable; energies and powers are per vehicle, `count` of them drive
    together.

    They leave at `departure_h` and are back at `arrival_h` (a later hour of the day, or of the next day),
    having used `trip_kwh`; `needed_kwh` must be on board at departure. `outside_kwh` is charged elsewhere
    on the way. With `discharge_kw` > 0 (V2G) they are metered as storage, otherwise as a load (domain.md §2).
    """

    name: Name = "vehicles"
    count: int = Field(default=1, ge=1)
    discharge_kw: NotNegative = 0.0
    departure_h: HourOfDay
    arrival_h: HourOfDay
    trip_kwh: NotNegative
    needed_kwh: NotNegative
    outside_kwh: NotNegative = 0.0
    weekdays_only: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.departure_h == self.arrival_h:
            raise ValueError(
                f"{self.name}: departure_h and arrival_h are both {self.arrival_h}; they must differ"
            )
        if self.needed_kwh > self.capacity_kwh:
            raise ValueError(
                f"{self.name}: needed_kwh {self.needed_kwh} exceeds capacity_kwh {self.capacity_kwh}"
            )
        if self.trip_kwh > self.needed_kwh:
            raise ValueError(f"{self.name}: trip_kwh {self.trip_kwh} exceeds needed_kwh {self.needed_kwh}")
        return self

    @property
    def total_kwh(self) -> float:
        """Capacity of all vehicles."""
        return self.count * self.capacity_kwh

    @property
    def feeds_back(self) -> bool:
        """Whether the vehicles can discharge (V2G)."""
        return self.discharge_kw > 0

    def timetable(self, start_s: Integers, step_s: int) -> Timetable:
        """Where the vehicles are in the steps that start at `start_s` (Unix seconds)."""
        away_s = round((self.arrival_h - self.departure_h) % 24 * HOUR_S)
        since_s = (start_s - round(self.departure_h * HOUR_S)) % DAY_S
        weekday = ((start_s - since_s) // DAY_S + 3) % 7  # day 0 was a Thursday
        drives = (weekday < SATURDAY) if self.weekdays_only else np.ones(start_s.shape, dtype=np.bool_)
        return Timetable(
            plugged=~(drives & (since_s < away_s)),
            leaves=drives & (since_s < step_s),
            arrives=drives & (since_s >= away_s) & (since_s < away_s + step_s),
        )


@dataclass(frozen=True, slots=True)
class Timetable:
    """Per step: plugged in all of it; left at its start; came back at its start."""

    plugged: Booleans
    leaves: Booleans
    arrives: Booleans


class HeatPump(Table):
    """A heat pump that fills a thermal store, from which a building (one resistance, one capacity) is
    heated."""

    name: Name = "heat-pump"
    power_kw: Positive
    """Electric."""
    carnot_fraction: Efficiency = 0.45
    supply_degc: float = 40.0
    approach_k: Positive = 10.0
    cop_max: Positive = 7.0
    store_kwh: Positive
    """Thermal."""
    store_loss_per_h: Share = 0.005
    store_kw: Positive
    """Most heat that the store can give to the building."""
    resistance_k_per_kw: Positive
    capacitance_kwh_per_k: Positive
    gains_kw: NotNegative = 0.0
    room_min_degc: float = 20.0
    room_max_degc: float = 24.0
    initial_store_share: Share = 0.5
    initial_room_degc: float = 21.0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.room_min_degc > self.room_max_degc:
            raise ValueError(
                f"{self.name}: room_min_degc {self.room_min_degc} exceeds room_max_degc {self.room_max_degc}"
            )
        return self

    def cop(self, outdoor_degc: Floats) -> Floats:
        """Heat per electricity, `ζ (T_s + 273.15) / (T_s - T_out + ΔT)`, at most `cop_max` (MODEL.md
        §11.5)."""
        lift_k = np.maximum(self.supply_degc - outdoor_degc + self.approach_k, 1e-6)
        return np.minimum(self.carnot_fraction * (self.supply_degc + 273.15) / lift_k, self.cop_max)

    def store_kept(self, hours: float) -> float:
        """Share of the stored heat that is left after `hours`: `(1 - ε)^h` (MODEL.md §11.5)."""
        return float((1 - self.store_loss_per_h) ** hours)

    def room_kept(self, hours: float) -> float:
        """Share of the room's distance from equilibrium that is left after `hours`: `exp(-h / (R C_b))`.

        MODEL.md §11.5 is the explicit step of the same equation; this is its solution for constant input.
        """
        return math.exp(-hours / (self.resistance_k_per_kw * self.capacitance_kwh_per_k))

    def next_room_degc(self, room_degc: float, outdoor_degc: float, heat_kw: float, hours: float) -> float:
        """Room temperature after a step: towards `T_out + R (gains + heat)`."""
        kept = self.room_kept(hours)
        goal = outdoor_degc + self.resistance_k_per_kw * (self.gains_kw + heat_kw)
        return kept * room_degc + (1 - kept) * goal

    def heat_for(self, room_degc: float, outdoor_degc: float, goal_degc: float, hours: float) -> float:
        """Heat, kW, that brings the room to `goal_degc` at the end of a step; may be negative."""
        kept = self.room_kept(hours)
        equilibrium = (goal_degc - kept * room_degc) / (1 - kept)
        return (equilibrium - outdoor_degc) / self.resistance_k_per_kw - self.gains_kw


class Shiftable(Table):
    """A load that needs `energy_kwh` once a day, anywhere between `start_h` and `start_h + duration_h`.

    The window form of MODEL.md §11.7: the sum over the window is fixed, the power is bounded.
    """

    name: Name = "shiftable"
    energy_kwh: Positive
    power_kw: Positive
    start_h: HourOfDay
    duration_h: float = Field(gt=0, le=24)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.energy_kwh > self.power_kw * self.duration_h * (1 + 1e-9):
            raise ValueError(
                f"{self.name}: energy_kwh {self.energy_kwh} cannot be drawn with power_kw {self.power_kw} "
                f"in duration_h {self.duration_h}"
            )
        return self

    def window(self, start_s: Integers) -> tuple[Integers, Booleans]:
        """Number of the window that each step belongs to (or came after), and whether the step is inside."""
        since_s = start_s - round(self.start_h * HOUR_S)
        return since_s // DAY_S, since_s % DAY_S < round(self.duration_h * HOUR_S)


class GridLimits(Table):
    """Grid connection: limits (None: none) and the charge for the month's peak import."""

    import_kw: NotNegative | None = None
    export_kw: NotNegative | None = None
    capacity_eur_per_kw: NotNegative = 0.0
    """Per kW of the calendar month's (UTC) highest import."""
    curtailable: bool = True
    """Whether generation above the load may be curtailed."""


class Penalties(Table):
    """What a broken wish costs in the model; each slack has a name, and a schedule tells which it used."""

    import_limit_eur_per_kwh: Positive = 10.0
    export_limit_eur_per_kwh: Positive = 10.0
    departure_eur_per_kwh: Positive = 2.0
    comfort_eur_per_k_h: Positive = 1.0
    shiftable_eur_per_kwh: Positive = 2.0


class DeviceSettings(Table):
    """All devices of a district, their grid connection and penalties."""

    battery: tuple[Battery, ...] = ()
    vehicles: tuple[Vehicles, ...] = ()
    heat_pump: tuple[HeatPump, ...] = ()
    shiftable: tuple[Shiftable, ...] = ()
    grid: GridLimits = GridLimits()
    penalties: Penalties = Penalties()

    @model_validator(mode="after")
    def _names(self) -> Self:
        names = self.names
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ValueError(
                f"device names must differ; {', '.join(doubled)} is there twice (set name = ...)"
            )
        return self

    @property
    def names(self) -> list[str]:
        """Names of all devices."""
        return [
            *(storage.name for storage in self.storages),
            *(pump.name for pump in self.heat_pump),
            *(load.name for load in self.shiftable),
        ]

    @property
    def storages(self) -> tuple[Storage, ...]:
        """Batteries and vehicles."""
        return (*self.battery, *self.vehicles)
