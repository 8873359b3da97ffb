"""One decision: solve the horizon, keep the first step, and fall back where that fails."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from optimiser.dispatch.devices import DeviceSettings
from optimiser.dispatch.fallback import Decision, Source, fall_back, from_plan
from optimiser.dispatch.handover import SolveFailed
from optimiser.dispatch.model import Horizon, Plan
from optimiser.dispatch.state import Outlook, OutlookInvalid, State

TRACKING_TOLERANCE_KW = 0.05
WORTH_TOLERANCE_EUR_PER_KWH = 1e-4


class Controller:
    """Decides step after step; keeps its model and its last good plan."""

    def __init__(self, devices: DeviceSettings, steps: int, step_s: int, time_limit_s: float = 10.0) -> None:
        self.devices = devices
        self.steps = steps
        self.step_s = step_s
        self.time_limit_s = time_limit_s
        self._horizon: Horizon | None = None
        self._last: Plan | None = None

    def decide(self, state: State, outlook: Outlook, price_eur_per_kwh_pe: float) -> Decision:
        """Set-points of the step that begins at `state.time_s`. Never raises: the decision tells what went
        wrong."""
        try:
            if self._horizon is None:
                self._horizon = Horizon(self.devices, self.steps, self.step_s)
            plan = self._horizon.plan(state, outlook, price_eur_per_kwh_pe, self.time_limit_s)
        except (OutlookInvalid, SolveFailed) as error:
            return fall_back(self.devices, self._last, state, outlook, str(error))
        except Exception as error:  # whatever a solver throws, a plant needs a schedule
            self._horizon = None
            return fall_back(self.devices, self._last, state, outlook, f"{type(error).__name__}: {error}")
        self._last = plan
        if plan.slacks:
            used = ", ".join(f"{name} ({amount:.3g})" for name, amount in plan.slacks.items())
            return from_plan(self.devices, plan, 0, Source.OPTIMUM_WITH_SLACK, f"slack: {used}")
        return from_plan(self.devices, plan, 0, Source.OPTIMUM, "")


def track(devices: DeviceSettings, decision: Decision, state: State, now: Outlook) -> Decision:
    """Set-points as the local controllers of batteries follow them, with the step's measured load and sun.

    What a plan buys for its batteries or sells from them happens as planned. Otherwise they balance: a
    true surplus is stored where stored energy is worth more than its sale (both with primary energy), a
    true deficit is served where the purchase costs more than stored energy is worth; where it is all the
    same, no more than planned. The worth is the plan's own (the dual of the battery's energy balance).
    """
    plan, place = decision.plan, decision.place
    if plan is None or not devices.battery:
        return decision
    net_kw = float(plan.net_import_kw[place])
    power = decision.action.power_kw
    names = [battery.name for battery in devices.battery]
    planned = sum(power[name] for name in names)
    surplus = float(now.pv_kw[0] - now.load_kw[0]) - sum(
        kw for name, kw in power.items() if name not in names
    )
    trades = planned * net_kw > 0 and min(abs(planned), abs(net_kw)) > TRACKING_TOLERANCE_KW
    if not np.isfinite(surplus) or trades:
        return decision
    seen, price = plan.outlook, plan.price_eur_per_kwh_pe
    sale = float(seen.sell_eur_per_kwh[place] + price * seen.pef_export[place])
    purchase = float(seen.buy_eur_per_kwh[place] + price * seen.pef_average[place])
    followed: dict[str, float] = {}
    for battery in devices.battery:
        worth = float(plan.worth_eur_per_kwh[battery.name][place])
        if surplus > 0:
            gain = worth * battery.charge_efficiency - sale
            wanted = (
                surplus if gain > WORTH_TOLERANCE_EUR_PER_KWH else min(max(power[battery.name], 0.0), surplus)
            )
        else:
            gain = (purchase - battery.wear_eur_per_kwh) * battery.discharge_efficiency - worth
            wanted = (
                surplus if gain > WORTH_TOLERANCE_EUR_PER_KWH else max(min(power[battery.name], 0.0), surplus)
            )
        if gain < -WORTH_TOLERANCE_EUR_PER_KWH:
            wanted = 0.0
        followed[battery.name] = battery.possible_kw(wanted, state.stored_kwh[battery.name], now.hours)
        surplus -= followed[battery.name]
    return replace(decision, action=replace(decision.action, power_kw=power | followed))
