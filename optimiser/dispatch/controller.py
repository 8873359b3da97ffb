"""One decision: solve the horizon, keep the first step, and fall back where that fails."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from optimiser.dispatch.devices import DeviceSettings
from optimiser.dispatch.fallback import Decision, Source, fall_back, from_plan
from optimiser.dispatch.handover import SolveFailed
from optimiser.dispatch.model import Horizon, Plan
from optimiser.dispatch.rule_based import share_among_batteries
from optimiser.dispatch.state import Outlook, OutlookInvalid, State

TRACKING_TOLERANCE_KW = 0.05


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
        """Set-points of the step that begins at `state.time_s`. Never raises: the decision tells what went wrong."""
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
    """Set-points as the local controller of a battery follows them, with the step's measured load and sun.

    Where the plan charges from surplus only, no more than the true surplus is charged, and all of it if the plan
    left none; where it serves the own load only, no more than the true deficit is served, and all of it if the
    plan bought nothing. Charging from the grid and selling from the battery happen as planned.
    """
    plan = decision.plan
    if plan is None or not devices.battery:
        return decision
    net_kw = float(plan.net_import_kw[decision.place])
    power = decision.action.power_kw
    names = [battery.name for battery in devices.battery]
    planned = sum(power[name] for name in names)
    others = sum(kw for name, kw in power.items() if name not in names)
    surplus = float(now.pv_kw[0] - now.load_kw[0]) - others
    if not np.isfinite(surplus) or abs(planned) <= TRACKING_TOLERANCE_KW:
        return decision
    if planned > 0 and net_kw <= TRACKING_TOLERANCE_KW:
        wanted = max(0.0, surplus) if net_kw >= -TRACKING_TOLERANCE_KW else min(planned, max(0.0, surplus))
    elif planned < 0 and net_kw >= -TRACKING_TOLERANCE_KW:
        wanted = min(0.0, surplus) if net_kw <= TRACKING_TOLERANCE_KW else max(planned, min(0.0, surplus))
    else:
        return decision
    shared = share_among_batteries(devices, state, wanted, now.hours)
    return replace(decision, action=replace(decision.action, power_kw=power | shared))
