"""Perfect foresight: the whole period as one linear programme with the year's balance as a row. For
comparison only."""

from __future__ import annotations

from dataclasses import dataclass

from optimiser.dispatch.devices import DeviceSettings
from optimiser.dispatch.model import Horizon, Plan, YearDemand
from optimiser.dispatch.state import Outlook, State
from optimiser.dispatch.statement import SLACKS

FIRST_PRICE_EUR_PER_KWH_PE = 0.05
PRICE_MARGIN = 1.2
LABEL = "PERFECT FORESIGHT (comparison only)"


@dataclass(frozen=True)
class PerfectYear:
    """The plan of the whole period and the price of its balance row."""

    plan: Plan
    price_eur_per_kwh_pe: float
    """Dual of the balance row: 0 where the balance is positive anyway."""
    short_kwh_pe: float
    """What the balance lacks even so: 0 where the period can end positive."""


def plan_year(
    devices: DeviceSettings,
    state: State,
    truth: Outlook,
    least_kwh_pe: float,
    ceiling_eur_per_kwh_pe: float,
    time_limit_s: float = 600.0,
) -> PerfectYear:
    """Least cost with E at least `least_kwh_pe`; what is short costs the ceiling. Raises SolveFailed.

    The net rule's binaries are decided for an assumed price, which is raised until the dual does not
    exceed it.
    """
    months = 2 + int(truth.steps * truth.hours / 24 / 28)
    horizon = Horizon(devices, truth.steps, truth.step_s, months=months, solver="ipm")
    assumed = FIRST_PRICE_EUR_PER_KWH_PE
    while True:
        demand = YearDemand(least_kwh_pe, ceiling_eur_per_kwh_pe, assumed)
        plan = horizon.plan(state, truth, 0.0, time_limit_s, demand, nodes=0)
        found = max(0.0, float(horizon.live.duals("primary_year")[0]))
        short = plan.slacks.get(SLACKS["slack_primary_kwh_pe"], 0.0)
        if found <= assumed:
            break
        assumed = PRICE_MARGIN * found
    return PerfectYear(plan, found, short)
