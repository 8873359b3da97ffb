"""The dispatch model of one horizon: stated once in Pyomo, afterwards only its numbers change
(`handover.py`).

The binary of the net rule (`statement.py`) is decided before solving wherever it can be:

- own load cannot be positive: nothing is bought for load (`u = 1`);
- own load cannot be negative and `buy - sell >= price (f_imp - f_avg)`: selling while buying for load never
  pays, so `u = 0` without the row that forbids it (import for load stays below all import);
- both factors of import are equal, or primary energy has no price: `u` does not matter.

In the hours that are left `u` is first relaxed. If the optimum claims no more import for load than the rule
gives, it is the optimum of the exact model too; otherwise `u` is set to what the rule says of that
optimum, and the model is solved again: a plan that claims nothing too much, with the relaxation as its
bound. Where the two are more than five cents apart, HiGHS searches for the exact optimum from there, for a
few nodes and at most half a second. `Plan.gap_eur` is what is left between plan and bound. Own load counts
curtailment of generation beyond the load only: curtailing more never pays, for it would have to be bought
back.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from optimiser.dispatch.devices import DeviceSettings, Storage
from optimiser.dispatch.handover import INFINITY, LiveModel
from optimiser.dispatch.numbers import (
    Groups,
    Worth,
    day_factors,
    fill_heat_pumps,
    fill_peak,
    fill_shiftable,
    fill_storage,
)
from optimiser.dispatch.state import Outlook, State
from optimiser.dispatch.statement import SLACKS, state_horizon
from optimiser.forecast.grid import HOUR_S, Floats, Integers

MODEL_VERSION = "dispatch 1.0"
TOLERANCE = 1e-6
CLAIM_TOLERANCE_EUR = 1e-5
MATERIAL_GAP_EUR = 0.05
DEFAULT_NODES = 10
SEARCH_S = 0.5


@dataclass(frozen=True)
class Plan:
    """What the model proposes for each step of its horizon."""

    outlook: Outlook
    power_kw: dict[str, Floats]
    """By device; positive: it draws from the busbar."""
    heat_kw: dict[str, Floats]
    """By heat pump: from its store to the building."""
    stored_kwh: dict[str, Floats]
    """At the end of each step; batteries, vehicles, thermal stores."""
    room_degc: dict[str, Floats]
    curtailed_kw: Floats
    net_import_kw: Floats
    primary_kwh_pe: float
    """E of the horizon by the net rule (domain.md §4)."""
    objective_eur: float
    slacks: dict[str, float] = field(default_factory=dict)
    """What was given up, by name, summed over the steps; empty when nothing was."""
    price_eur_per_kwh_pe: float = 0.0
    worth_eur_per_kwh: dict[str, Floats] = field(default_factory=dict)
    """What one more kWh in a battery would be worth, by step: the dual of its energy balance."""
    gap_eur: float = 0.0
    """How far the objective can be from that of the exact net rule, at most."""


class Horizon:
    """One horizon of `steps` steps, kept in the solver from one decision to the next."""

    def __init__(
        self, devices: DeviceSettings, steps: int, step_s: int, months: int = 2, solver: str = "simplex"
    ) -> None:
        """`solver`: of HiGHS; the simplex method goes on from the last basis, "ipm" is for whole years."""
        self.devices = devices
        self.steps = steps
        self.step_s = step_s
        self.months = months
        self.live = LiveModel(state_horizon(devices, steps, step_s, months), solver)
        self.hour_slots = (
            self.live.columns("load_import_kwh").stop - self.live.columns("load_import_kwh").start
        )

    def plan(
        self,
        state: State,
        outlook: Outlook,
        price_eur_per_kwh_pe: float,
        time_limit_s: float = 10.0,
        demand: YearDemand | None = None,
        nodes: int = DEFAULT_NODES,
    ) -> Plan:
        """The optimum from a state. With `demand` the balance is demanded, instead of being paid for.

        `nodes`: of the search for the exact optimum where the relaxation claims too much; 0: no search.

        Raises OutlookInvalid, and SolveFailed when the solver has no optimum in time.
        """
        outlook.require_usable()
        if outlook.steps != self.steps or outlook.step_s != self.step_s:
            raise ValueError(
                f"the model has {self.steps} steps of {self.step_s} s, "
                f"the outlook {outlook.steps} of {outlook.step_s} s"
            )
        decision_price = demand.assumed_price_eur_per_kwh_pe if demand else price_eur_per_kwh_pe
        hours = Groups(outlook.starts_s, self.step_s, HOUR_S, self.hour_slots)
        undecided = self._fill(state, outlook, decision_price, hours)
        self.live.set("primary_eur_per_kwh_pe", 0.0 if demand else price_eur_per_kwh_pe)
        self.live.set("primary_ceiling_eur_per_kwh_pe", demand.ceiling_eur_per_kwh_pe if demand else 0.0)
        self.live.set("primary_least_kwh_pe", demand.least_kwh_pe if demand else -INFINITY)
        values, gap_eur = self.live.solve(time_limit_s), 0.0
        worth = -self.live.duals("battery_energy")
        if undecided.size and self._claims_too_much(values, outlook, state, hours, undecided, decision_price):
            bound_eur = self.live.objective
            self._decide(values, outlook, state, hours, undecided)
            values, objective_eur = self.live.solve(time_limit_s), self.live.objective
            worth = -self.live.duals("battery_energy")
            if objective_eur - bound_eur > MATERIAL_GAP_EUR and nodes:
                self._leave_open(undecided)
                first = self.live.columns("no_load_import").start
                better = self.live.improve(values, first + undecided, nodes, min(time_limit_s, SEARCH_S))
                if better is not None:
                    values, objective_eur, bound_eur = better
            gap_eur = objective_eur - bound_eur
        plan = self._read(values, state, outlook, hours, gap_eur)
        names = [battery.name for battery in self.devices.battery]
        worths = dict(zip(names, worth.reshape(-1, self.steps), strict=True)) if names else {}
        return replace(plan, price_eur_per_kwh_pe=decision_price, worth_eur_per_kwh=worths)

    # -- numbers ---------------------------------------------------------------------------------------------

    def _decide(
        self, values: Floats, outlook: Outlook, state: State, hours: Groups, undecided: Integers
    ) -> None:
        """Fix the open binaries to what the rule says of a solution; that solution's flows stay feasible."""
        _, load_import = self._rule(values, outlook, state, hours)
        decided = self._never.astype(np.float64)
        decided[undecided] = load_import[undecided] <= TOLERANCE
        self.live.set("decided_low", decided)
        self.live.set("decided_high", decided)

    def _leave_open(self, undecided: Integers) -> None:
        low, high = self._never.astype(np.float64), self._never.astype(np.float64)
        low[undecided], high[undecided] = 0.0, 1.0
        self.live.set("decided_low", low)
        self.live.set("decided_high", high)

    def _fill(self, state: State, outlook: Outlook, price: float, hours: Groups) -> Integers:
        """Set every number of the model; the hours whose binary is not decided."""
        live, h = self.live, outlook.hours
        net_load = outlook.load_kw - outlook.pv_kw
        surplus = np.maximum(0.0, -net_load) if self.devices.grid.curtailable else np.zeros(self.steps)
        live.set("buy_eur_per_kwh", outlook.buy_eur_per_kwh)
        live.set("sell_eur_per_kwh", np.minimum(outlook.sell_eur_per_kwh, outlook.buy_eur_per_kwh))
        live.set("curtailable_kw", surplus)
        live.set("net_load_kw", net_load)
        worth = Worth.of(outlook, price)
        flexible_most, discharge_most = fill_storage(live, self.devices, state, outlook, worth)
        flexible_most = flexible_most + fill_heat_pumps(live, self.devices, state, outlook, worth)
        flexible_most = flexible_most + fill_shiftable(live, self.devices, state, outlook)
        fill_peak(live, self.devices, state, outlook, self.months)

        so_far = state.hour_so_far
        first = np.zeros(hours.slots)
        first[0] = 1.0
        own = h * hours.sums(net_load) + so_far.net_load_kwh * first
        own_most = own + h * hours.sums(flexible_most)
        bought = so_far.net_import_kwh * first
        gap = hours.firsts(outlook.pef_import - outlook.pef_average)
        spread = hours.leasts(np.maximum(outlook.buy_eur_per_kwh - outlook.sell_eur_per_kwh, 0.0))
        never = (own_most <= TOLERANCE) | (price * gap <= 1e-9) | ~hours.used
        certain = ~never & (own >= 0) & (spread >= price * gap) & (hours.per == 1)
        undecided = ~never & ~certain
        self._never = never
        live.set("decided_low", never.astype(np.float64))
        live.set("decided_high", (never | undecided).astype(np.float64))
        live.set("own_load_kwh", own)
        live.set("own_load_m", np.maximum(0.0, -own))
        live.set("net_import_kwh", np.where(undecided, bought, INFINITY))
        live.set("import_kwh", np.where(certain, 0.0, INFINITY))
        exportable = h * hours.sums(outlook.pv_kw + discharge_most) + np.maximum(0.0, -bought)
        live.set("net_import_m", np.where(undecided, exportable, 0.0))
        most = np.maximum(0.0, own_most)
        live.set("load_import_most_kwh", most)
        live.set("load_import_m", most)
        live.set("exported_kwh", -bought)
        if hours.per > 1:
            live.set("in_hour", hours.membership)
        live.set("pef_net", outlook.pef_import)
        live.set("pef_export_gap", hours.firsts(outlook.pef_import - outlook.pef_export))
        live.set("pef_load_gap", gap)
        return np.flatnonzero(undecided)

    # -- results ---------------------------------------------------------------------------------------------

    def _rule(self, values: Floats, outlook: Outlook, state: State, hours: Groups) -> tuple[Floats, Floats]:
        """Per hour: net import, and import for load by the net rule; kWh."""
        net_kw = values[self.live.columns("net_kw")]
        own_kw = outlook.load_kw - outlook.pv_kw + values[self.live.columns("flexible_kw")]
        net, own = outlook.hours * hours.sums(net_kw), outlook.hours * hours.sums(own_kw)
        net[0] += state.hour_so_far.net_import_kwh
        own[0] += state.hour_so_far.net_load_kwh
        return net, np.maximum(0.0, np.minimum(net, own))

    def _claims_too_much(
        self, values: Floats, outlook: Outlook, state: State, hours: Groups, undecided: Integers, price: float
    ) -> bool:
        _, load_import = self._rule(values, outlook, state, hours)
        claimed = values[self.live.columns("load_import_kwh")]
        gap = hours.firsts(outlook.pef_import - outlook.pef_average)
        excess_eur = (claimed - load_import) * gap * price
        return bool((excess_eur[undecided] > CLAIM_TOLERANCE_EUR).any())

    def _read(self, values: Floats, state: State, outlook: Outlook, hours: Groups, gap_eur: float) -> Plan:
        devices, steps = self.devices, self.steps

        def rows(name: str) -> Floats:
            found: Floats = values[self.live.columns(name)].reshape(-1, steps)
            return found

        power: dict[str, Floats] = {}
        stored: dict[str, Floats] = {}
        kinds: tuple[tuple[str, tuple[Storage, ...]], ...] = (
            ("battery", devices.battery),
            ("vehicle", devices.vehicles),
        )
        for kind, fleet in kinds:
            net = rows(f"{kind}_charge_kw") - rows(f"{kind}_discharge_kw")
            for place, device in enumerate(fleet):
                power[device.name], stored[device.name] = net[place], rows(f"{kind}_kwh")[place]
        for place, pump in enumerate(devices.heat_pump):
            power[pump.name], stored[pump.name] = rows("heat_pump_kw")[place], rows("store_kwh")[place]
        rooms = {pump.name: rows("room_degc")[place] for place, pump in enumerate(devices.heat_pump)}
        heat = {pump.name: rows("heat_kw")[place] for place, pump in enumerate(devices.heat_pump)}
        for place, load in enumerate(devices.shiftable):
            power[load.name] = rows("shiftable_kw")[place]
        net_kwh, load_import = self._rule(values, outlook, state, hours)
        gap = hours.firsts(outlook.pef_import - outlook.pef_average)
        export_gap = hours.firsts(outlook.pef_import - outlook.pef_export)
        weighted = hours.firsts(outlook.pef_import) * net_kwh
        primary = float(np.sum(gap * load_import - weighted - export_gap * np.maximum(0.0, -net_kwh)))
        slacks = {}
        for name, meaning in SLACKS.items():
            amount = float(values[self.live.columns(name)].sum())
            if amount > TOLERANCE * steps:
                slacks[meaning] = amount
        return Plan(
            outlook=outlook,
            power_kw=power,
            heat_kw=heat,
            stored_kwh=stored,
            room_degc=rooms,
            curtailed_kw=values[self.live.columns("curtailed_kw")],
            net_import_kw=values[self.live.columns("net_kw")],
            primary_kwh_pe=primary - self._brought_in(values, day_factors(outlook)),
            objective_eur=self.live.objective,
            slacks=slacks,
            gap_eur=gap_eur,
        )

    def _brought_in(self, values: Floats, day_factors: Floats) -> float:
        excess = values[self.live.columns("vehicle_excess_kwh")]
        if not excess.size:
            return 0.0
        return float(excess.reshape(-1, day_factors.size).sum(axis=0) @ day_factors)


@dataclass(frozen=True, slots=True)
class YearDemand:
    """A balance that the horizon must reach (perfect foresight), kWh_PE; what is short costs the ceiling."""

    least_kwh_pe: float
    ceiling_eur_per_kwh_pe: float
    assumed_price_eur_per_kwh_pe: float
    """Price with which the net rule's binaries are decided."""
