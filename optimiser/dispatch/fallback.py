"""Never without a schedule: the optimum, one with slack, the last good plan, or the safe rule; and which
it was."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from optimiser.dispatch.devices import DeviceSettings
from optimiser.dispatch.model import Plan
from optimiser.dispatch.plant import Action
from optimiser.dispatch.rule_based import rule_based
from optimiser.dispatch.state import Outlook, State


class Source(StrEnum):
    """Where a step's set-points come from."""

    OPTIMUM = "optimum"
    OPTIMUM_WITH_SLACK = "optimum with slack"
    """Something wished for is impossible; the reason names each slack that was used."""
    LAST_PLAN = "last good plan"
    SAFE_RULE = "safe rule"


@dataclass(frozen=True, slots=True)
class Decision:
    """Set-points of one step, with their origin in words."""

    action: Action
    source: Source
    reason: str
    plan: Plan | None
    """The plan that the set-points are from."""
    place: int = 0
    """Step of that plan."""


def from_plan(devices: DeviceSettings, plan: Plan, place: int, source: Source, reason: str) -> Decision:
    """The set-points of one step of a plan."""
    power = {name: float(plan.power_kw[name][place]) for name in devices.names}
    heat = {pump.name: float(plan.heat_kw[pump.name][place]) for pump in devices.heat_pump}
    return Decision(Action(power, heat, float(plan.curtailed_kw[place])), source, reason, plan, place)


def fall_back(
    devices: DeviceSettings, last: Plan | None, state: State, now: Outlook, reason: str
) -> Decision:
    """The last good plan where it still covers the step, else the safe rule."""
    if last is not None and last.outlook.step_s == now.step_s:
        place, rest = divmod(state.time_s - last.outlook.start_s, last.outlook.step_s)
        if rest == 0 and 0 <= place < last.outlook.steps:
            why = f"{reason}; plan of {place} steps ago"
            return from_plan(devices, last, place, Source.LAST_PLAN, why)
    return Decision(rule_based(devices, state, now), Source.SAFE_RULE, reason, None)
