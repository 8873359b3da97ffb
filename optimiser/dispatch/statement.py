"""One horizon of a district as a Pyomo model: devices, grid, and the net rule of primary energy.

**Net rule** (domain.md §2), per UTC hour with net import `N`, own net load `D = consumption - production` and
net charge `S` (`N = D + S`): import for load is `il = max(0, min(D, N))`, every other import is storage, so

    E = -f_imp N - (f_imp - f_exp) max(0, -N) + (f_imp - f_avg) il          (domain.md §4)

`il` is rewarded, so it must be kept down to that: `il <= D + M u`, `il <= N + M u`, `il <= M (1 - u)` with
`u` binary (1: nothing bought for load), and `il <= import`. `u` is decided before solving in all hours but a
few, see `model.py`. E of the hours is one variable, `primary_kwh_pe`; its price in the objective carries
the year (`price.py`), or a row demands the year's balance (`perfect.py`). Vehicles that discharge more in
a UTC day than they charged brought energy in: it counts as import at the day's largest factor (domain.md §2).

Names: `battery_charge_kw[b, t]` and so on; `t` step, `j` UTC hour, `d` UTC day, `w` window, all counted from
the start of the horizon. Slacks are named `slack_*` and have the penalties of `devices.Penalties`.
"""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from optimiser.dispatch.devices import DeviceSettings
from optimiser.forecast.grid import DAY_S, HOUR_S

SLACKS = {
    "slack_import_kw": "import limit",
    "slack_export_kw": "export limit",
    "slack_departure_kwh": "vehicle not charged at departure",
    "slack_trip_kwh": "vehicle empty on its trip",
    "slack_cold_k": "room too cold",
    "slack_hot_k": "room too warm",
    "slack_shiftable_kwh": "flexible load not served",
    "slack_primary_kwh_pe": "primary-energy balance of the year",
}
"""Every slack of the model, and what it gives up."""


class Slots:
    """Which steps may belong to which period (hour, day) of a horizon that starts anywhere in a period."""

    def __init__(self, steps: int, step_s: int, period_s: int) -> None:
        self.per = period_s // step_s
        self.count = steps if self.per == 1 else (steps + self.per - 2) // self.per + 1
        self.steps = steps

    def band(self, slot: int) -> range:
        """Steps that can lie in a slot, whatever the phase."""
        first = slot * self.per
        return range(max(0, first - self.per + 1), min(self.steps, first + self.per))

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """All (slot, step)."""
        return [(slot, step) for slot in range(self.count) for step in self.band(slot)]


def state_horizon(devices: DeviceSettings, steps: int, step_s: int, months: int = 2) -> Any:
    """The model; its mutable Params are filled by `model.Horizon`. `months` bounds the calendar months
    touched."""
    m = pyo.ConcreteModel("dispatch")
    m.T = pyo.RangeSet(0, steps - 1)
    hours = step_s / HOUR_S
    m.hour_slots, m.day_slots = Slots(steps, step_s, HOUR_S), Slots(steps, step_s, DAY_S)
    m.J = pyo.RangeSet(0, m.hour_slots.count - 1)
    m.D = pyo.RangeSet(0, m.day_slots.count - 1)
    m.costs = []
    _grid(m, devices, hours)
    _batteries(m, devices, hours)
    _vehicles(m, devices, hours)
    _heat_pumps(m, devices, hours)
    _shiftable(m, devices, hours)
    _balance(m, devices)
    _primary_energy(m, hours, devices)
    if devices.grid.capacity_eur_per_kw > 0:
        _peak(m, devices, months)
    m.cost_eur = pyo.Objective(expr=pyo.quicksum(m.costs))
    return m


def _param(m: Any, name: str, *index: Any) -> Any:
    parameter = pyo.Param(*index, mutable=True, initialize=1.0)
    setattr(m, name, parameter)
    return parameter


def _slack(m: Any, name: str, penalty_eur: float, *index: Any, **bounds: Any) -> Any:
    variable = pyo.Var(*index, domain=pyo.NonNegativeReals, **bounds)
    setattr(m, name, variable)
    m.costs.append(penalty_eur * pyo.quicksum(variable.values()))
    return variable


def _grid(m: Any, devices: DeviceSettings, hours: float) -> None:
    grid, penalties = devices.grid, devices.penalties
    buy, sell = _param(m, "buy_eur_per_kwh", m.T), _param(m, "sell_eur_per_kwh", m.T)
    curtailable = _param(m, "curtailable_kw", m.T)
    m.import_kw = pyo.Var(m.T, bounds=(0, grid.import_kw))
    m.export_kw = pyo.Var(m.T, bounds=(0, grid.export_kw))
    m.curtailed_kw = pyo.Var(m.T, bounds=lambda _, t: (0, curtailable[t]))
    m.net_kw = pyo.Var(m.T)
    over_import = _slack(m, "slack_import_kw", hours * penalties.import_limit_eur_per_kwh, m.T)
    over_export = _slack(m, "slack_export_kw", hours * penalties.export_limit_eur_per_kwh, m.T)
    if grid.import_kw is None:
        over_import.setub(0)
    if grid.export_kw is None:
        over_export.setub(0)
    m.exchange = pyo.Constraint(
        m.T,
        rule=lambda _, t: (
            m.import_kw[t] + over_import[t] - m.export_kw[t] - over_export[t] - m.net_kw[t] == 0
        ),
    )
    m.costs += [hours * buy[t] * m.import_kw[t] - hours * sell[t] * m.export_kw[t] for t in m.T]


def _batteries(m: Any, devices: DeviceSettings, hours: float) -> None:
    batteries = devices.battery
    m.B = pyo.RangeSet(0, len(batteries) - 1)
    start, worth = _param(m, "battery_start_kwh", m.B), _param(m, "battery_worth_eur_per_kwh", m.B)
    m.battery_charge_kw = pyo.Var(m.B, m.T, bounds=lambda _, b, t: (0, batteries[b].charge_kw))
    m.battery_discharge_kw = pyo.Var(m.B, m.T, bounds=lambda _, b, t: (0, batteries[b].discharge_kw))
    m.battery_kwh = pyo.Var(m.B, m.T, bounds=lambda _, b, t: (0, batteries[b].capacity_kwh))

    def energy(_: Any, b: int, t: int) -> Any:
        gain = batteries[b].gain_kwh(m.battery_charge_kw[b, t], m.battery_discharge_kw[b, t], hours)
        if t == 0:
            return m.battery_kwh[b, t] - gain == start[b]
        return m.battery_kwh[b, t] - m.battery_kwh[b, t - 1] - gain == 0

    m.battery_energy = pyo.Constraint(m.B, m.T, rule=energy)
    last = m.T.last()
    for b in m.B:
        wear = hours * batteries[b].wear_eur_per_kwh
        m.costs += [wear * m.battery_discharge_kw[b, t] for t in m.T] if wear else []
        m.costs.append(-worth[b] * m.battery_kwh[b, last])


def _vehicles(m: Any, devices: DeviceSettings, hours: float) -> None:
    fleets, penalty = devices.vehicles, devices.penalties.departure_eur_per_kwh
    m.V = pyo.RangeSet(0, len(fleets) - 1)
    charge_most, discharge_most = (
        _param(m, "vehicle_charge_most_kw", m.V, m.T),
        _param(m, "vehicle_discharge_most_kw", m.V, m.T),
    )
    moved, needed = _param(m, "vehicle_moved_kwh", m.V, m.T), _param(m, "vehicle_needed_kwh", m.V, m.T)
    trip, outside = _param(m, "vehicle_trip_kwh", m.V, m.T), _param(m, "vehicle_outside_kwh", m.V, m.T)
    worth = _param(m, "vehicle_worth_eur_per_kwh", m.V)
    m.vehicle_charge_kw = pyo.Var(m.V, m.T, bounds=lambda _, v, t: (0, charge_most[v, t]))
    m.vehicle_discharge_kw = pyo.Var(m.V, m.T, bounds=lambda _, v, t: (0, discharge_most[v, t]))
    m.vehicle_kwh = pyo.Var(m.V, m.T, bounds=lambda _, v, t: (0, fleets[v].total_kwh))
    m.vehicle_full_kwh = pyo.Var(m.V, m.T, bounds=lambda _, v, t: (0, outside[v, t]))
    short = _slack(m, "slack_departure_kwh", penalty, m.V, m.T)
    missing = _slack(m, "slack_trip_kwh", penalty, m.V, m.T, bounds=lambda _, v, t: (0, trip[v, t]))

    def energy(_: Any, v: int, t: int) -> Any:
        gain = fleets[v].gain_kwh(m.vehicle_charge_kw[v, t], m.vehicle_discharge_kw[v, t], hours)
        before = m.vehicle_kwh[v, t - 1] if t else 0
        return m.vehicle_kwh[v, t] - before - gain - missing[v, t] + m.vehicle_full_kwh[v, t] == moved[v, t]

    def departure(_: Any, v: int, t: int) -> Any:
        return short[v, t] + (m.vehicle_kwh[v, t - 1] if t else 0) >= needed[v, t]

    m.vehicle_energy = pyo.Constraint(m.V, m.T, rule=energy)
    m.vehicle_departure = pyo.Constraint(m.V, m.T, rule=departure)
    last = m.T.last()
    for v in m.V:
        wear = hours * fleets[v].wear_eur_per_kwh
        m.costs += [wear * m.vehicle_discharge_kw[v, t] for t in m.T] if wear else []
        m.costs.append(-worth[v] * m.vehicle_kwh[v, last])


def _heat_pumps(m: Any, devices: DeviceSettings, hours: float) -> None:
    pumps, penalty = devices.heat_pump, devices.penalties.comfort_eur_per_k_h
    m.H = pyo.RangeSet(0, len(pumps) - 1)
    cop, start = _param(m, "heat_pump_cop", m.H, m.T), _param(m, "store_start_kwh", m.H)
    drift, worth = _param(m, "room_drift_k", m.H, m.T), _param(m, "store_worth_eur_per_kwh", m.H)
    m.heat_pump_kw = pyo.Var(m.H, m.T, bounds=lambda _, k, t: (0, pumps[k].power_kw))
    m.heat_kw = pyo.Var(m.H, m.T, bounds=lambda _, k, t: (0, pumps[k].store_kw))
    m.store_kwh = pyo.Var(m.H, m.T, bounds=lambda _, k, t: (0, pumps[k].store_kwh))
    m.room_degc = pyo.Var(m.H, m.T)
    cold = _slack(m, "slack_cold_k", hours * penalty, m.H, m.T)
    hot = _slack(m, "slack_hot_k", hours * penalty, m.H, m.T)

    def store(_: Any, k: int, t: int) -> Any:
        flows = -hours * cop[k, t] * m.heat_pump_kw[k, t] + hours * m.heat_kw[k, t]
        if t == 0:
            return m.store_kwh[k, t] + flows == start[k]
        return m.store_kwh[k, t] - pumps[k].store_kept(hours) * m.store_kwh[k, t - 1] + flows == 0

    def room(_: Any, k: int, t: int) -> Any:
        kept = pumps[k].room_kept(hours)
        before = kept * m.room_degc[k, t - 1] if t else 0
        warming = (1 - kept) * pumps[k].resistance_k_per_kw * m.heat_kw[k, t]
        return m.room_degc[k, t] - before - warming == drift[k, t]

    m.store_energy = pyo.Constraint(m.H, m.T, rule=store)
    m.room_temperature = pyo.Constraint(m.H, m.T, rule=room)
    m.room_warm = pyo.Constraint(
        m.H, m.T, rule=lambda _, k, t: m.room_degc[k, t] + cold[k, t] >= pumps[k].room_min_degc
    )
    m.room_cool = pyo.Constraint(
        m.H, m.T, rule=lambda _, k, t: m.room_degc[k, t] - hot[k, t] <= pumps[k].room_max_degc
    )
    last, reheating = m.T.last(), _param(m, "reheating_eur_per_k", m.H)
    m.costs += [-worth[k] * m.store_kwh[k, last] + reheating[k] * m.slack_cold_k[k, last] for k in m.H]


def _shiftable(m: Any, devices: DeviceSettings, hours: float) -> None:
    loads = devices.shiftable
    m.F = pyo.RangeSet(0, len(loads) - 1)
    slots = m.day_slots
    most_kw = _param(m, "shiftable_most_kw", m.F, m.T)
    least_kwh, most_kwh = (
        _param(m, "shiftable_least_kwh", m.F, m.D),
        _param(m, "shiftable_most_kwh", m.F, m.D),
    )
    inside = _param(m, "shiftable_inside", m.F, pyo.Set(initialize=slots.pairs if loads else [], dimen=2))
    m.shiftable_kw = pyo.Var(m.F, m.T, bounds=lambda _, k, t: (0, most_kw[k, t]))
    short = _slack(m, "slack_shiftable_kwh", devices.penalties.shiftable_eur_per_kwh, m.F, m.D)

    def drawn(k: int, w: int) -> Any:
        return pyo.quicksum(hours * inside[k, w, t] * m.shiftable_kw[k, t] for t in slots.band(w))

    m.shiftable_need = pyo.Constraint(
        m.F, m.D, rule=lambda _, k, w: drawn(k, w) + short[k, w] >= least_kwh[k, w]
    )
    m.shiftable_most = pyo.Constraint(m.F, m.D, rule=lambda _, k, w: drawn(k, w) <= most_kwh[k, w])


def _balance(m: Any, devices: DeviceSettings) -> None:
    net_load = _param(m, "net_load_kw", m.T)
    m.flexible_kw = pyo.Var(m.T, domain=pyo.NonNegativeReals)
    """Consumption that is decided, and curtailment."""
    storing = [v for v in m.V if devices.vehicles[v].feeds_back]
    loading = [v for v in m.V if not devices.vehicles[v].feeds_back]

    def flexible(_: Any, t: int) -> Any:
        parts = [m.curtailed_kw[t]]
        parts += [m.heat_pump_kw[k, t] for k in m.H] + [m.shiftable_kw[k, t] for k in m.F]
        parts += [m.vehicle_charge_kw[v, t] for v in loading]
        return pyo.quicksum(parts) - m.flexible_kw[t] == 0

    def balance(_: Any, t: int) -> Any:
        charge = [m.battery_charge_kw[b, t] - m.battery_discharge_kw[b, t] for b in m.B]
        charge += [m.vehicle_charge_kw[v, t] - m.vehicle_discharge_kw[v, t] for v in storing]
        return m.net_kw[t] - m.flexible_kw[t] - pyo.quicksum(charge) == net_load[t]

    m.flexible = pyo.Constraint(m.T, rule=flexible)
    m.power_balance = pyo.Constraint(m.T, rule=balance)


def _primary_energy(m: Any, hours: float, devices: DeviceSettings) -> None:
    slots, days = m.hour_slots, m.day_slots
    m.load_import_kwh = pyo.Var(m.J, domain=pyo.NonNegativeReals)
    decided_low, decided_high = _param(m, "decided_low", m.J), _param(m, "decided_high", m.J)
    m.no_load_import = pyo.Var(m.J, bounds=lambda _, j: (decided_low[j], decided_high[j]))
    m.hour_export_kwh = pyo.Var(m.J, domain=pyo.NonNegativeReals)
    m.primary_kwh_pe = pyo.Var()
    own_kwh, own_m = _param(m, "own_load_kwh", m.J), _param(m, "own_load_m", m.J)
    net_kwh, net_m = _param(m, "net_import_kwh", m.J), _param(m, "net_import_m", m.J)
    most_kwh, most_m = _param(m, "load_import_most_kwh", m.J), _param(m, "load_import_m", m.J)
    import_kwh, exported_kwh = _param(m, "import_kwh", m.J), _param(m, "exported_kwh", m.J)
    in_hour = _param(m, "in_hour", pyo.Set(initialize=slots.pairs, dimen=2)) if slots.per > 1 else None

    def total(variable: Any, j: int) -> Any:
        if in_hour is None:
            return hours * variable[j]
        return pyo.quicksum(hours * in_hour[j, t] * variable[t] for t in slots.band(j))

    il, u = m.load_import_kwh, m.no_load_import
    m.within_own_load = pyo.Constraint(
        m.J, rule=lambda _, j: il[j] - total(m.flexible_kw, j) - own_m[j] * u[j] <= own_kwh[j]
    )
    m.within_net_import = pyo.Constraint(
        m.J, rule=lambda _, j: il[j] - total(m.net_kw, j) - net_m[j] * u[j] <= net_kwh[j]
    )
    m.within_import = pyo.Constraint(
        m.J,
        rule=lambda _, j: il[j] - total(m.import_kw, j) - total(m.slack_import_kw, j) <= import_kwh[j],
    )
    m.either = pyo.Constraint(m.J, rule=lambda _, j: il[j] + most_m[j] * u[j] <= most_kwh[j])
    m.hour_export = pyo.Constraint(
        m.J, rule=lambda _, j: m.hour_export_kwh[j] + total(m.net_kw, j) >= exported_kwh[j]
    )

    storing = [v for v in m.V if devices.vehicles[v].feeds_back]
    in_day = _param(m, "in_day", pyo.Set(initialize=days.pairs if storing else [], dimen=2))
    before, factor = _param(m, "vehicle_excess_before_kwh", m.V, m.D), _param(m, "pef_vehicle", m.D)
    m.vehicle_excess_kwh = pyo.Var(pyo.Set(initialize=storing), m.D, domain=pyo.NonNegativeReals)

    def excess(_: Any, v: int, d: int) -> Any:
        efficiency = devices.vehicles[v].round_trip
        brought = pyo.quicksum(
            hours * in_day[d, t] * m.vehicle_discharge_kw[v, t]
            - hours * efficiency * in_day[d, t] * m.vehicle_charge_kw[v, t]
            for t in days.band(d)
        )
        return m.vehicle_excess_kwh[v, d] - brought >= before[v, d]

    m.vehicle_excess = pyo.Constraint(pyo.Set(initialize=storing), m.D, rule=excess)
    f_net, f_export = _param(m, "pef_net", m.T), _param(m, "pef_export_gap", m.J)
    f_load = _param(m, "pef_load_gap", m.J)
    m.primary = pyo.Constraint(
        expr=m.primary_kwh_pe
        + pyo.quicksum(hours * f_net[t] * m.net_kw[t] for t in m.T)
        + pyo.quicksum(f_export[j] * m.hour_export_kwh[j] - f_load[j] * il[j] for j in m.J)
        + pyo.quicksum(factor[d] * m.vehicle_excess_kwh[v, d] for v in storing for d in m.D)
        == 0
    )
    price, ceiling = _param(m, "primary_eur_per_kwh_pe"), _param(m, "primary_ceiling_eur_per_kwh_pe")
    required = _param(m, "primary_least_kwh_pe")
    m.slack_primary_kwh_pe = pyo.Var(domain=pyo.NonNegativeReals)
    m.primary_year = pyo.Constraint(expr=m.primary_kwh_pe + m.slack_primary_kwh_pe >= required)
    m.costs += [-price * m.primary_kwh_pe, ceiling * m.slack_primary_kwh_pe]


def _peak(m: Any, devices: DeviceSettings, months: int) -> None:
    m.M = pyo.RangeSet(0, months - 1)
    so_far, inside = _param(m, "peak_so_far_kw", m.M), _param(m, "in_month", m.M, m.T)
    m.peak_kw = pyo.Var(m.M, bounds=lambda _, k: (so_far[k], None))
    m.peak = pyo.Constraint(
        m.T,
        rule=lambda _, t: (
            pyo.quicksum(inside[k, t] * m.peak_kw[k] for k in m.M) - m.import_kw[t] - m.slack_import_kw[t]
            >= 0
        ),
    )
    m.costs += [devices.grid.capacity_eur_per_kw * m.peak_kw[k] for k in m.M]
