"""The simulated plant: what the devices really do with their set-points, in true load, sun and temperature.

No set-point can break a physical limit: power, stored energy and timetables bound what happens. Flows are
whole Wh, with the grid taking what the others leave, so each step conserves energy exactly (domain.md §2).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from optimiser.dispatch.devices import DeviceSettings, HeatPump, Storage
from optimiser.dispatch.state import HourSoFar, Outlook, State
from optimiser.forecast.grid import DAY_S, HOUR_S

WH_PER_KWH = 1000


@dataclass(frozen=True, slots=True)
class Action:
    """What the devices are told for one step."""

    power_kw: dict[str, float]
    """By device; positive: it draws from the busbar."""
    heat_kw: dict[str, float]
    """By heat pump: from its store to the building."""
    curtail_kw: float = 0.0


@dataclass(frozen=True, slots=True)
class StepFlows:
    """What was metered in one step, Wh, and what fell short."""

    time_s: int
    import_wh: int
    export_wh: int
    production_wh: int
    consumption_wh: int
    charge_wh: int
    discharge_wh: int
    vehicle_discharge_wh: int
    """Of vehicles that are metered as storage (V2G); in `discharge_wh` too."""
    vehicle_weighted_charge: int
    """Sum of charge (Wh) times efficiency (1/1000) of those vehicles."""
    worn_eur: float
    power_kw: dict[str, float]
    missed_kwh: float
    """Vehicle and flexible-load energy that was needed and not there."""
    discomfort_k_h: float
    over_limit_kwh: float


def efficiency_permille(device: Storage) -> int:
    """Registered round-trip efficiency, 1/1000 (domain.md §2)."""
    return int(device.round_trip * 1000 + 0.5)


class Plant:
    """A district's devices with their true state."""

    def __init__(self, devices: DeviceSettings, state: State, truth: Outlook) -> None:
        self.devices = devices
        self.state = state
        self.truth = truth
        starts_s = truth.starts_s
        self._timetables = {v.name: v.timetable(starts_s, truth.step_s) for v in devices.vehicles}
        self._inside = {load.name: load.window(starts_s)[1] for load in devices.shiftable}
        times = pd.to_datetime(starts_s, unit="s", utc=True)
        self._months = np.asarray(times.year * 12 + times.month, dtype=np.int64)
        self._last_month = int(self._months[0]) if truth.steps else 0

    def plugged(self, name: str, step: int) -> bool:
        """Whether vehicles are plugged in, in a step."""
        return bool(self._timetables[name].plugged[step])

    def inside(self, name: str, step: int) -> bool:
        """Whether a step lies in the window of a flexible load."""
        return bool(self._inside[name][step])

    def arrive_and_depart(self, step: int) -> float:
        """Trips and returns at the start of a step. Returns the energy that vehicles missed, kWh."""
        stored = dict(self.state.stored_kwh)
        missed = 0.0
        for fleet in self.devices.vehicles:
            at = self._timetables[fleet.name]
            if at.leaves[step]:
                missed += max(0.0, fleet.count * fleet.needed_kwh - stored[fleet.name])
                stored[fleet.name] = max(0.0, stored[fleet.name] - fleet.count * fleet.trip_kwh)
            if at.arrives[step]:
                stored[fleet.name] = min(
                    fleet.total_kwh, stored[fleet.name] + fleet.count * fleet.outside_kwh
                )
        self.state = replace(self.state, stored_kwh=stored)
        return missed

    def step(self, step: int, action: Action, missed_kwh: float = 0.0) -> StepFlows:
        """Run one step (after `arrive_and_depart`) and move the state on."""
        truth, state, devices = self.truth, self.state, self.devices
        h = truth.hours
        now_s = truth.start_s + step * truth.step_s
        power: dict[str, float] = {}
        stored, rooms = dict(state.stored_kwh), dict(state.room_degc)
        done, excess = dict(state.shiftable_done_kwh), dict(state.vehicle_excess_kwh)
        charge_wh = discharge_wh = car_charge = car_discharge = car_weighted = loads_wh = 0
        worn = 0.0
        for battery in devices.battery:
            kw = _storage_kw(battery, battery.discharge_kw, 1, action.power_kw.get(battery.name, 0.0),
                             stored[battery.name], h)  # fmt: skip
            stored[battery.name] = _moved(battery, battery.capacity_kwh, stored[battery.name], kw, h)
            power[battery.name] = kw
            charge_wh += _wh(max(0.0, kw) * h)
            discharge_wh += _wh(max(0.0, -kw) * h)
            worn += battery.wear_eur_per_kwh * max(0.0, -kw) * h
        for fleet in devices.vehicles:
            wanted = action.power_kw.get(fleet.name, 0.0) if self.plugged(fleet.name, step) else 0.0
            kw = _storage_kw(
                fleet, fleet.count * fleet.discharge_kw, fleet.count, wanted, stored[fleet.name], h
            )
            stored[fleet.name] = _moved(fleet, fleet.total_kwh, stored[fleet.name], kw, h)
            power[fleet.name] = kw
            worn += fleet.wear_eur_per_kwh * max(0.0, -kw) * h
            charged, discharged = _wh(max(0.0, kw) * h), _wh(max(0.0, -kw) * h)
            if fleet.feeds_back:
                car_charge, car_discharge = car_charge + charged, car_discharge + discharged
                car_weighted += charged * efficiency_permille(fleet)
                before = 0.0 if now_s % DAY_S == 0 else excess[fleet.name]
                excess[fleet.name] = before + (discharged - fleet.round_trip * charged) / WH_PER_KWH
            else:
                loads_wh += charged
        discomfort = 0.0
        for pump in devices.heat_pump:
            outdoor = float(truth.outdoor_degc[step])
            kw, heat = _heating(
                pump, action, stored[pump.name], float(pump.cop(truth.outdoor_degc[step : step + 1])[0]), h
            )
            cop = float(pump.cop(truth.outdoor_degc[step : step + 1])[0])
            kept = pump.store_kept(h) * stored[pump.name] + h * (cop * kw - heat)
            stored[pump.name] = min(max(kept, 0.0), pump.store_kwh)
            room = pump.next_room_degc(rooms[pump.name], outdoor, heat, h)
            rooms[pump.name] = room
            discomfort += h * (max(0.0, pump.room_min_degc - room) + max(0.0, room - pump.room_max_degc))
            power[pump.name] = kw
            loads_wh += _wh(kw * h)
        for load in devices.shiftable:
            wanted = action.power_kw.get(load.name, 0.0) if self.inside(load.name, step) else 0.0
            kw = min(max(wanted, 0.0), load.power_kw, max(0.0, load.energy_kwh - done[load.name]) / h)
            done[load.name] += kw * h
            power[load.name] = kw
            loads_wh += _wh(kw * h)
            number, within = load.window(np.array([now_s, now_s + truth.step_s], dtype=np.int64))
            if within[0] and not (within[1] and number[0] == number[1]):
                missed_kwh += max(0.0, load.energy_kwh - done[load.name])
                done[load.name] = 0.0
        consumption_wh = _wh(float(truth.load_kw[step]) * h) + loads_wh
        charge_wh, discharge_wh = charge_wh + car_charge, discharge_wh + car_discharge
        production_wh = self._production(step, action, consumption_wh + charge_wh - discharge_wh)
        net = consumption_wh + charge_wh - production_wh - discharge_wh
        limits = devices.grid
        over = max(0.0, net / WH_PER_KWH - (limits.import_kw if limits.import_kw is not None else np.inf) * h)
        over += max(
            0.0, -net / WH_PER_KWH - (limits.export_kw if limits.export_kw is not None else np.inf) * h
        )
        self._move_on(step, stored, rooms, done, excess, net, consumption_wh - production_wh)
        return StepFlows(
            time_s=now_s,
            import_wh=max(0, net),
            export_wh=max(0, -net),
            production_wh=production_wh,
            consumption_wh=consumption_wh,
            charge_wh=charge_wh,
            discharge_wh=discharge_wh,
            vehicle_discharge_wh=car_discharge,
            vehicle_weighted_charge=car_weighted,
            worn_eur=worn,
            power_kw=power,
            missed_kwh=missed_kwh,
            discomfort_k_h=discomfort,
            over_limit_kwh=over,
        )

    def _production(self, step: int, action: Action, others_wh: int) -> int:
        available = _wh(float(self.truth.pv_kw[step]) * self.truth.hours)
        if not self.devices.grid.curtailable:
            return available
        surplus = min(available, max(0, available - others_wh))
        curtailed = min(_wh(max(0.0, action.curtail_kw) * self.truth.hours), surplus)
        limit_kw = self.devices.grid.export_kw
        if limit_kw is not None:
            limit_wh = int(limit_kw * self.truth.hours * WH_PER_KWH)
            curtailed = max(curtailed, min(available, available - others_wh - limit_wh))
        return available - max(0, curtailed)

    def _move_on(
        self,
        step: int,
        stored: dict[str, float],
        rooms: dict[str, float],
        done: dict[str, float],
        excess: dict[str, float],
        net_wh: int,
        own_wh: int,
    ) -> None:
        next_s = self.truth.start_s + (step + 1) * self.truth.step_s
        so_far = self.state.hour_so_far
        hour = HourSoFar(
            so_far.net_import_kwh + net_wh / WH_PER_KWH, so_far.net_load_kwh + own_wh / WH_PER_KWH
        )
        month = int(self._months[step])
        earlier = self.state.peak_import_kw if month == self._last_month else 0.0
        peak = max(earlier, net_wh / WH_PER_KWH / self.truth.hours)
        self._last_month = month
        if step + 1 < self.truth.steps and int(self._months[step + 1]) != month:
            peak = 0.0
        self.state = State(
            time_s=next_s,
            stored_kwh=stored,
            room_degc=rooms,
            shiftable_done_kwh=done,
            vehicle_excess_kwh=excess if next_s % DAY_S else dict.fromkeys(excess, 0.0),
            peak_import_kw=peak,
            hour_so_far=HourSoFar() if next_s % HOUR_S == 0 else hour,
        )


def _storage_kw(
    device: Storage, discharge_kw: float, count: int, wanted_kw: float, stored_kwh: float, h: float
) -> float:
    """What a storage can really do of what is wanted."""
    room_kw = max(0.0, count * device.capacity_kwh - stored_kwh) / device.charge_efficiency / h
    there_kw = max(0.0, stored_kwh) * device.discharge_efficiency / h
    return max(-min(discharge_kw, there_kw), min(wanted_kw, count * device.charge_kw, room_kw))


def _moved(device: Storage, capacity_kwh: float, stored_kwh: float, kw: float, h: float) -> float:
    after = stored_kwh + device.gain_kwh(max(0.0, kw), max(0.0, -kw), h)
    return min(max(after, 0.0), capacity_kwh)


def _heating(pump: HeatPump, action: Action, stored_kwh: float, cop: float, h: float) -> tuple[float, float]:
    """Electric power and heat to the building that store and pump can really give, kW."""
    kw = min(max(action.power_kw.get(pump.name, 0.0), 0.0), pump.power_kw)
    there_kw = pump.store_kept(h) * stored_kwh / h
    heat = min(max(action.heat_kw.get(pump.name, 0.0), 0.0), pump.store_kw, there_kw + cop * kw)
    room_kw = (pump.store_kwh - pump.store_kept(h) * stored_kwh) / h + heat
    return min(kw, max(0.0, room_kw) / cop), heat


def _wh(kwh: float) -> int:
    return int(kwh * WH_PER_KWH + 0.5)
