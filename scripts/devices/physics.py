"""Physical models of a battery, a vehicle and a heat pump with its store and building.

Each integrates its own equations in steps of a minute, obeys a set-point only as far as physics, the driver
or comfort allow, and says so. Powers are W, positive when the device draws from the busbar; energies Wh, heat
Wh (thermal), temperatures °C, times Unix seconds. The equations are those of MODEL.md §§5.4, 11.4, 11.5
(storage, vehicle, heat pump), in their differential form.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

STEP_S: Final = 60
KELVIN: Final = 273.15
THERMOSTAT_K: Final = 0.5
"""How far above the lower end of the comfort band a thermostat holds a room."""


class Range(NamedTuple):
    """Powers that a device can hold for a while, W, and why it is no more."""

    min_w: int
    max_w: int
    because: str = ""

    def clip(self, power_w: float) -> float:
        """The nearest power of the range."""
        return min(max(power_w, self.min_w), self.max_w)


class Model(Protocol):
    """What a simulated device is made of."""

    def safe_w(self, time_s: int) -> float:
        """What it does when nobody tells it anything."""
        ...

    def possible(self, time_s: int, duration_s: int) -> Range:
        """What it can hold for `duration_s` from now on."""
        ...

    def step(self, time_s: int, setpoint_w: float) -> float:
        """Let a minute pass under a set-point; the electric power that flowed."""
        ...

    def readout(self) -> dict[str, float]:
        """Its state, for people; names carry the unit."""
        ...


@dataclass
class Battery:
    """A battery: `dE/dt = ηc P` when charged, `P / ηd` when discharged, less self-discharge."""

    capacity_wh: float
    charge_w: int
    discharge_w: int
    stored_wh: float
    charge_efficiency: float = 0.9747
    discharge_efficiency: float = 0.9747
    loss_per_day: float = 0.001

    def __post_init__(self) -> None:
        if not 0 <= self.stored_wh <= self.capacity_wh:
            raise ValueError(f"a battery of {self.capacity_wh} Wh cannot hold {self.stored_wh} Wh")

    def safe_w(self, time_s: int) -> float:
        """It rests."""
        return 0.0

    def possible(self, time_s: int, duration_s: int) -> Range:
        """Until it is full or empty."""
        hours = duration_s / 3600
        room_w = (self.capacity_wh - self.stored_wh) / self.charge_efficiency / hours
        content_w = self.stored_wh * self.discharge_efficiency / hours
        return Range(
            -min(self.discharge_w, math.floor(content_w)),
            min(self.charge_w, math.floor(room_w)),
            f"holds {self.stored_wh:.0f} of {self.capacity_wh:.0f} Wh",
        )

    def step(self, time_s: int, setpoint_w: float) -> float:
        """A minute; power ends where the battery is full or empty."""
        hours = STEP_S / 3600
        self.stored_wh *= (1 - self.loss_per_day) ** (STEP_S / 86_400)
        room_w = (self.capacity_wh - self.stored_wh) / self.charge_efficiency / hours
        content_w = self.stored_wh * self.discharge_efficiency / hours
        power_w = min(max(setpoint_w, -self.discharge_w, -content_w), self.charge_w, room_w)
        gain = power_w * self.charge_efficiency if power_w > 0 else power_w / self.discharge_efficiency
        self.stored_wh = min(max(self.stored_wh + gain * hours, 0.0), self.capacity_wh)
        return power_w

    def readout(self) -> dict[str, float]:
        """Energy stored."""
        return {"stored_wh": round(self.stored_wh, 1)}


class Trip(NamedTuple):
    """Away from `leaves_s` to `returns_s`: uses `used_wh`, and `needed_wh` must be on board at the start."""

    leaves_s: int
    returns_s: int
    used_wh: float
    needed_wh: float


@dataclass
class Vehicle:
    """An electric vehicle: a battery that is away at times. The driver's need comes before any set-point."""

    battery: Battery
    trips: Sequence[Trip]
    """Ascending, apart from each other."""
    short_wh: float = 0.0
    """What was lacking at departures."""

    def __post_init__(self) -> None:
        self._left: set[int] = set()

    def safe_w(self, time_s: int) -> float:
        """It charges as late as the driver's need allows."""
        return self.battery.charge_w if self._late(time_s) else 0.0

    def possible(self, time_s: int, duration_s: int) -> Range:
        """Nothing while it is away; before a departure only what still brings it there charged."""
        if self._away(time_s):
            return Range(0, 0, "away")
        within = self.battery.possible(time_s, duration_s)
        trip = self._next(time_s)
        if trip is not None and trip.leaves_s < time_s + duration_s:
            return Range(0, 0, "leaves within the interval")
        if trip is None:
            return within
        left_h = (trip.leaves_s - time_s - duration_s) / 3600
        reachable_wh = left_h * self.battery.charge_w * self.battery.charge_efficiency
        missing_wh = trip.needed_wh - reachable_wh - self.battery.stored_wh
        if missing_wh <= 0:
            low_w = missing_wh * self.battery.discharge_efficiency / (duration_s / 3600)
        else:
            low_w = missing_wh / self.battery.charge_efficiency / (duration_s / 3600)
        low_w = min(max(within.min_w, math.ceil(low_w)), within.max_w)
        because = f"holds {self.battery.stored_wh:.0f} Wh, needs {trip.needed_wh:.0f} Wh in {left_h:.1f} h"
        return Range(low_w, within.max_w, because)

    def step(self, time_s: int, setpoint_w: float) -> float:
        """A minute."""
        trip = self._away(time_s)
        if trip is not None:
            if trip.leaves_s not in self._left:
                self._left.add(trip.leaves_s)
                self.short_wh += max(0.0, trip.needed_wh - self.battery.stored_wh)
                self.battery.stored_wh = max(0.0, self.battery.stored_wh - trip.used_wh)
            return 0.0
        return self.battery.step(time_s, self.battery.charge_w if self._late(time_s) else setpoint_w)

    def readout(self) -> dict[str, float]:
        """Energy on board, and what drivers lacked."""
        return {**self.battery.readout(), "short_wh": round(self.short_wh, 1)}

    def _late(self, time_s: int) -> bool:
        """Whether to wait for another minute would leave the driver short."""
        trip = self._next(time_s)
        if trip is None or self._away(time_s) is not None:
            return False
        left_h = (trip.leaves_s - time_s - STEP_S) / 3600
        reachable_wh = left_h * self.battery.charge_w * self.battery.charge_efficiency
        return self.battery.stored_wh + reachable_wh < min(trip.needed_wh, self.battery.capacity_wh * 0.999)

    def _away(self, time_s: int) -> Trip | None:
        return next((trip for trip in self.trips if trip.leaves_s <= time_s < trip.returns_s), None)

    def _next(self, time_s: int) -> Trip | None:
        return next((trip for trip in self.trips if trip.leaves_s > time_s), None)


@dataclass
class HeatPump:
    """A heat pump that fills a store, from which a thermostat heats a building.

    `COP = ζ (T_s + 273.15) / (T_s - T_out + ΔT)`, at most `cop_max`; the building has one resistance R and
    one capacity C: `C dT/dt = (T_out - T)/R + gains + heat`. Below the comfort band it runs whatever the
    set-point says; a full store stops it.
    """

    power_w: int
    store_wh: float
    stored_wh: float
    room_degc: float
    outdoor_degc: Callable[[int], float]
    """Outdoor temperature at a Unix time."""
    resistance_k_per_w: float
    capacity_wh_per_k: float
    heating_w: float
    """Most heat from the store to the building."""
    room_min_degc: float = 20.0
    room_max_degc: float = 24.0
    gains_w: float = 0.0
    carnot_fraction: float = 0.45
    supply_degc: float = 40.0
    approach_k: float = 10.0
    cop_max: float = 7.0
    loss_per_h: float = 0.005
    cold_k_h: float = 0.0
    """Kelvin-hours below the comfort band so far."""

    def cop(self, time_s: int) -> float:
        """Heat per electricity now."""
        lift_k = max(self.supply_degc - self.outdoor_degc(time_s) + self.approach_k, 1e-6)
        return min(self.carnot_fraction * (self.supply_degc + KELVIN) / lift_k, self.cop_max)

    def safe_w(self, time_s: int) -> float:
        """It runs while the store is less than half full."""
        return self.power_w if self.stored_wh < self.store_wh / 2 else 0.0

    def possible(self, time_s: int, duration_s: int) -> Range:
        """Until the store is full, the building taking what it needs."""
        hours = duration_s / 3600
        room_w = max(0.0, (self.store_wh - self.stored_wh) / hours + self._heat_w(time_s)) / self.cop(time_s)
        high_w = min(self.power_w, math.floor(room_w))
        low_w = high_w if self._cold else 0
        return Range(
            low_w,
            high_w,
            f"store {self.stored_wh:.0f} of {self.store_wh:.0f} Wh, room {self.room_degc:.1f} °C",
        )

    def step(self, time_s: int, setpoint_w: float) -> float:
        """A minute."""
        hours = STEP_S / 3600
        cop = self.cop(time_s)
        heat_w = min(self._heat_w(time_s), self.stored_wh / hours)
        self.stored_wh *= (1 - self.loss_per_h) ** hours
        wanted_w = self.power_w if self._cold else setpoint_w
        room_w = (self.store_wh - self.stored_wh) / hours + heat_w
        power_w = max(0.0, min(wanted_w, self.power_w, room_w / cop))
        self.stored_wh = min(max(0.0, self.stored_wh + (power_w * cop - heat_w) * hours), self.store_wh)
        flow_w = (
            (self.outdoor_degc(time_s) - self.room_degc) / self.resistance_k_per_w + self.gains_w + heat_w
        )
        self.room_degc += flow_w / self.capacity_wh_per_k * hours
        self.cold_k_h += max(0.0, self.room_min_degc - self.room_degc) * hours
        return power_w

    def readout(self) -> dict[str, float]:
        """Store and room, and how much comfort was lacking."""
        return {
            "store_wh": round(self.stored_wh, 1),
            "room_degc": round(self.room_degc, 2),
            "cold_k_h": round(self.cold_k_h, 3),
        }

    @property
    def _cold(self) -> bool:
        return self.room_degc < self.room_min_degc and self.stored_wh < self.store_wh / 10

    def _heat_w(self, time_s: int) -> float:
        """What the thermostat takes from the store."""
        goal_degc = self.room_min_degc + THERMOSTAT_K
        loss_w = (self.room_degc - self.outdoor_degc(time_s)) / self.resistance_k_per_w - self.gains_w
        return min(max(loss_w + (goal_degc - self.room_degc) * self.capacity_wh_per_k, 0.0), self.heating_w)
