"""From state and outlook to the numbers of the dispatch model: one function per kind of device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from optimiser.dispatch.devices import Booleans, DeviceSettings
from optimiser.dispatch.handover import LiveModel
from optimiser.dispatch.state import Outlook, State
from optimiser.dispatch.statement import Slots
from optimiser.forecast.grid import DAY_S, HOUR_S, Floats, Integers


class Groups:
    """Steps grouped by the period (hour, day) in which they start, in slots counted from the first."""

    def __init__(self, starts_s: Integers, step_s: int, period_s: int, slots: int) -> None:
        self.per = period_s // step_s
        self.slots = slots
        self.slot: Integers = starts_s // period_s - starts_s[0] // period_s
        self.used: Booleans = np.bincount(self.slot, minlength=slots) > 0
        self._pairs = Slots(starts_s.size, step_s, period_s).pairs if self.per > 1 else []

    def sums(self, values: Floats) -> Floats:
        """Sum per slot."""
        return np.bincount(self.slot, weights=values, minlength=self.slots).astype(np.float64)

    def firsts(self, values: Floats) -> Floats:
        """Value of the first step per slot; 0 in a slot without steps."""
        found = np.zeros(self.slots)
        found[self.slot[::-1]] = values[::-1]
        return found

    def leasts(self, values: Floats) -> Floats:
        """Least value per slot."""
        found = np.full(self.slots, np.inf)
        np.minimum.at(found, self.slot, values)
        return found

    def mosts(self, values: Floats) -> Floats:
        """Largest value per slot; 0 in a slot without steps."""
        return np.where(self.used, -self.leasts(-values), 0.0)

    @property
    def membership(self) -> Floats:
        """1 where the step of a (slot, step) pair lies in the slot, in the order of `Slots.pairs`."""
        pairs = np.array(self._pairs, dtype=np.int64).reshape(-1, 2)
        return np.asarray(self.slot[pairs[:, 1]] == pairs[:, 0], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Worth:
    """What a kWh is worth at the end of the horizon: a later purchase that it saves, primary energy
    included."""

    usual_eur_per_kwh: float
    """Mean over the steps in which the district buys."""
    cheap_eur_per_kwh: float
    """First quartile of all steps: what charging later costs if it may wait."""

    @classmethod
    def of(cls, outlook: Outlook, price_eur_per_kwh_pe: float) -> Worth:
        """From the outlook's own prices."""
        buying = outlook.buy_eur_per_kwh + price_eur_per_kwh_pe * outlook.pef_average
        deficit = outlook.load_kw > outlook.pv_kw
        usual = float(buying[deficit].mean()) if deficit.any() else float(buying.min())
        return cls(usual, float(np.quantile(buying, 0.25)))


def fill_storage(
    live: LiveModel, devices: DeviceSettings, state: State, outlook: Outlook, worth: Worth
) -> tuple[Floats, Floats]:
    """Batteries and vehicles. Returns the most that charge-only vehicles can draw, and the most that
    storage gives."""
    steps = outlook.steps
    drawn, given = np.zeros(steps), np.zeros(steps)
    batteries = devices.battery
    live.set(
        "battery_start_kwh", np.array([_within(state.stored_kwh[b.name], b.capacity_kwh) for b in batteries])
    )
    live.set(
        "battery_worth_eur_per_kwh",
        np.array(
            [
                max(0.0, b.discharge_efficiency * worth.usual_eur_per_kwh - b.wear_eur_per_kwh)
                for b in batteries
            ]
        ),
    )
    given += sum((b.discharge_kw for b in batteries), 0.0)
    tables: dict[str, list[Floats]] = {
        name: []
        for name in (
            "vehicle_charge_most_kw", "vehicle_discharge_most_kw", "vehicle_moved_kwh", "vehicle_needed_kwh",
            "vehicle_trip_kwh", "vehicle_outside_kwh",
        )
    }  # fmt: skip
    worths = []
    for fleet in devices.vehicles:
        at = fleet.timetable(outlook.starts_s, outlook.step_s)
        trip = fleet.count * fleet.trip_kwh * at.leaves
        outside = fleet.count * fleet.outside_kwh * at.arrives
        moved, needed = outside - trip, fleet.count * fleet.needed_kwh * at.leaves
        start = _within(state.stored_kwh[fleet.name], fleet.total_kwh)
        moved[0] += start
        needed[0] -= start
        charge, discharge = (
            fleet.count * fleet.charge_kw * at.plugged,
            fleet.count * fleet.discharge_kw * at.plugged,
        )
        for table, values in zip(
            tables.values(), (charge, discharge, moved, needed, trip, outside), strict=True
        ):
            table.append(values.astype(np.float64))
        if fleet.feeds_back:
            given += discharge
        else:
            drawn += charge
        worths.append(worth.cheap_eur_per_kwh / fleet.charge_efficiency)
    for name, rows in tables.items():
        live.set(name, np.concatenate(rows) if rows else np.empty(0))
    live.set("vehicle_worth_eur_per_kwh", np.array(worths))
    _fill_vehicle_days(live, devices, state, outlook)
    return drawn, given


def day_factors(outlook: Outlook) -> Floats:
    """Largest import factor of each UTC day, with which energy that vehicles brought in counts (domain.md
    §2)."""
    slots = Slots(outlook.steps, outlook.step_s, DAY_S)
    return Groups(outlook.starts_s, outlook.step_s, DAY_S, slots.count).mosts(outlook.pef_import)


def _fill_vehicle_days(live: LiveModel, devices: DeviceSettings, state: State, outlook: Outlook) -> None:
    slots = Slots(outlook.steps, outlook.step_s, DAY_S)
    days = Groups(outlook.starts_s, outlook.step_s, DAY_S, slots.count)
    before = np.zeros((len(devices.vehicles), slots.count))
    before[:, 0] = [state.vehicle_excess_kwh.get(fleet.name, 0.0) for fleet in devices.vehicles]
    live.set("vehicle_excess_before_kwh", before)
    live.set("pef_vehicle", day_factors(outlook))
    if any(fleet.feeds_back for fleet in devices.vehicles):
        live.set("in_day", days.membership)


def fill_heat_pumps(
    live: LiveModel, devices: DeviceSettings, state: State, outlook: Outlook, worth: Worth
) -> Floats:
    """Heat pumps, stores, rooms. Returns the most that they can draw."""
    pumps, h = devices.heat_pump, outlook.hours
    cops, drifts, starts, worths, reheating = [], [], [], [], []
    for pump in pumps:
        cop = pump.cop(outlook.outdoor_degc)
        kept = pump.room_kept(h)
        drift = (1 - kept) * (outlook.outdoor_degc + pump.resistance_k_per_kw * pump.gains_kw)
        drift[0] += kept * state.room_degc[pump.name]
        cops.append(cop)
        drifts.append(drift)
        starts.append(pump.store_kept(h) * _within(state.stored_kwh[pump.name], pump.store_kwh))
        worths.append(worth.cheap_eur_per_kwh / float(cop.mean()))
        reheating.append(pump.capacitance_kwh_per_k * worth.usual_eur_per_kwh / float(cop.mean()))
    live.set("heat_pump_cop", np.concatenate(cops) if cops else np.empty(0))
    live.set("room_drift_k", np.concatenate(drifts) if drifts else np.empty(0))
    live.set("store_start_kwh", np.array(starts))
    live.set("store_worth_eur_per_kwh", np.array(worths))
    live.set("reheating_eur_per_k", np.array(reheating))
    return np.full(outlook.steps, sum(pump.power_kw for pump in pumps))


def fill_shiftable(live: LiveModel, devices: DeviceSettings, state: State, outlook: Outlook) -> Floats:
    """Flexible loads. Returns the most that they can draw."""
    slots = Slots(outlook.steps, outlook.step_s, DAY_S)
    pairs = np.array(slots.pairs, dtype=np.int64).reshape(-1, 2)
    h = outlook.hours
    powers, insides, least, most = [], [], [], []
    end_s = int(outlook.starts_s[-1]) + outlook.step_s
    for load in devices.shiftable:
        number, inside = load.window(outlook.starts_s)
        slot = number - number[0]
        power = load.power_kw * inside
        here = np.bincount(
            slot[slot < slots.count], weights=(h * power)[slot < slots.count], minlength=slots.count
        )
        wanted = np.where(here > 0, load.energy_kwh, 0.0)
        if inside[0]:
            wanted[0] = max(0.0, load.energy_kwh - state.shiftable_done_kwh[load.name])
        later = np.zeros(slots.count)
        if inside[-1]:  # the window goes on beyond the horizon
            window_end_s = int(number[-1]) * DAY_S + round((load.start_h + load.duration_h) * HOUR_S)
            later[slot[-1]] = max(0, window_end_s - end_s) / HOUR_S * load.power_kw
        powers.append(power)
        insides.append((inside[pairs[:, 1]] & (slot[pairs[:, 1]] == pairs[:, 0])).astype(np.float64))
        least.append(np.maximum(0.0, wanted - later))
        most.append(wanted)
    for name, rows in (
        ("shiftable_most_kw", powers),
        ("shiftable_inside", insides),
        ("shiftable_least_kwh", least),
        ("shiftable_most_kwh", most),
    ):
        live.set(name, np.concatenate(rows) if rows else np.empty(0))
    return np.sum(powers, axis=0) if powers else np.zeros(outlook.steps)


def fill_peak(live: LiveModel, devices: DeviceSettings, state: State, outlook: Outlook, months: int) -> None:
    """Capacity charge: which calendar month each step belongs to, and the peak of the current one."""
    if devices.grid.capacity_eur_per_kw <= 0:
        return
    times = pd.to_datetime(outlook.starts_s, unit="s", utc=True)
    month = np.asarray(times.year * 12 + times.month, dtype=np.int64)
    slot = month - month[0]
    so_far = np.zeros(months)
    so_far[0] = state.peak_import_kw
    live.set("peak_so_far_kw", so_far)
    live.set("in_month", (slot[None, :] == np.arange(months)[:, None]).astype(np.float64))


def _within(value: float, most: float) -> float:
    """A measured state inside what the device can hold (a meter's last digit may be outside)."""
    return min(max(value, 0.0), most)
