"""The usual rule, without forecast and model: own use first. Also the safe rule when there is no plan."""

from __future__ import annotations

import numpy as np

from optimiser.dispatch.devices import DeviceSettings
from optimiser.dispatch.plant import Action
from optimiser.dispatch.state import Outlook, State
from optimiser.forecast.grid import Floats

COMFORT_MARGIN_K = 0.5
STORE_ON, STORE_FULL = 0.3, 0.9


def rule_based(devices: DeviceSettings, state: State, now: Outlook) -> Action:
    """Set-points for the step that `now` describes (its first step), as a thermostat and a charger would
    do it.

    Flexible loads run when their window opens, vehicles charge at full power when they come back, heat pumps
    keep the store between 30 % and 90 % and the room half a kelvin above its minimum; batteries take the
    surplus and serve the deficit. Unknown load or sun (NaN, or no outlook at all) counts as balanced:
    batteries rest.
    """
    h = now.hours
    power: dict[str, float] = {}
    heat: dict[str, float] = {}
    starts_s = np.array([state.time_s], dtype=np.int64)
    drawn = 0.0
    for load in devices.shiftable:
        inside = bool(load.window(starts_s)[1][0])
        left_kwh = load.energy_kwh - state.shiftable_done_kwh[load.name]
        power[load.name] = min(load.power_kw, max(0.0, left_kwh) / h) if inside else 0.0
        drawn += power[load.name]
    for fleet in devices.vehicles:
        plugged = bool(fleet.timetable(starts_s, now.step_s).plugged[0])
        room_kwh = (fleet.total_kwh - state.stored_kwh[fleet.name]) / fleet.charge_efficiency
        power[fleet.name] = min(fleet.count * fleet.charge_kw, max(0.0, room_kwh) / h) if plugged else 0.0
        drawn += power[fleet.name]
    for pump in devices.heat_pump:
        outdoor = now.outdoor_degc[:1]
        outdoor = outdoor if np.isfinite(outdoor).all() else np.array([pump.room_min_degc])
        goal = pump.room_min_degc + COMFORT_MARGIN_K
        heat[pump.name] = max(0.0, pump.heat_for(state.room_degc[pump.name], float(outdoor[0]), goal, h))
        left_kwh = state.stored_kwh[pump.name] - h * min(heat[pump.name], pump.store_kw)
        full_kw = max(0.0, STORE_FULL * pump.store_kwh - left_kwh) / h / float(pump.cop(outdoor)[0])
        power[pump.name] = min(pump.power_kw, full_kw) if left_kwh < STORE_ON * pump.store_kwh else 0.0
        drawn += power[pump.name]
    surplus = _first(now.pv_kw, np.nan) - _first(now.load_kw, np.nan) - drawn
    known = surplus if np.isfinite(surplus) else 0.0
    return Action(power | share_among_batteries(devices, state, known, h), heat)


def _first(values: Floats, otherwise: float) -> float:
    """The value of the step itself, where it is known."""
    return float(values[0]) if values.size and np.isfinite(values[0]) else otherwise


def share_among_batteries(
    devices: DeviceSettings, state: State, surplus_kw: float, hours: float
) -> dict[str, float]:
    """Give a surplus (negative: a deficit) to the batteries in their order, each as much as it can."""
    power = {}
    for battery in devices.battery:
        power[battery.name] = battery.possible_kw(surplus_kw, state.stored_kwh[battery.name], hours)
        surplus_kw -= power[battery.name]
    return power
