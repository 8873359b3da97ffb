"""Infeasible, late or broken: there is always a schedule, and it says where it is from."""

from dataclasses import replace

import numpy as np
import pytest

from optimiser.dispatch.controller import Controller, track
from optimiser.dispatch.devices import Battery, DeviceSettings, GridLimits
from optimiser.dispatch.fallback import Source
from optimiser.dispatch.handover import LiveModel
from optimiser.dispatch.state import State
from tests.optimiser.dispatch_cases import ALL_DEVICES, MIDNIGHT_S, outlook, random_outlook

BATTERY = Battery(capacity_kwh=20, charge_kw=10, discharge_kw=10, charge_efficiency=1, discharge_efficiency=1)
DEVICES = DeviceSettings(battery=(BATTERY,))
SEEN = outlook([5.0, 5.0, 5.0, 5.0], buy=[0.1, 0.5, 0.2, 0.6])


def at(step: int) -> State:
    """The battery half full, `step` hours after midnight."""
    return replace(State.initial(DEVICES, MIDNIGHT_S), time_s=MIDNIGHT_S + 3600 * step)


def test_the_optimum_is_named_so() -> None:
    decision = Controller(DEVICES, 4, 3600).decide(at(0), SEEN, 0.0)
    assert (decision.source, decision.reason) == (Source.OPTIMUM, "")
    assert decision.action.power_kw["battery"] >= 0


def test_an_impossible_grid_limit_is_met_as_far_as_possible_and_named() -> None:
    devices = DeviceSettings(battery=(BATTERY,), grid=GridLimits(import_kw=1))
    seen = outlook([30.0, 30.0, 30.0, 30.0])
    decision = Controller(devices, 4, 3600).decide(State.initial(devices, MIDNIGHT_S), seen, 0.0)
    assert decision.source is Source.OPTIMUM_WITH_SLACK
    assert decision.reason == "slack: import limit (106)"  # 4 x 29 kWh, less 10 kWh in the battery


def test_a_forecast_of_nan_leads_to_the_last_plan_then_to_the_safe_rule() -> None:
    controller = Controller(DEVICES, 4, 3600)
    good = controller.decide(at(0), SEEN, 0.0)
    blind = replace(SEEN, start_s=SEEN.start_s + 3600, pv_kw=np.array([0.0, np.nan, 0.0, 0.0]))
    second = controller.decide(at(1), blind, 0.0)
    assert second.source is Source.LAST_PLAN
    assert second.reason.startswith("pv_kw is nan in step 1")
    assert second.reason.endswith("plan of 1 steps ago")
    assert good.plan is not None
    assert second.action.power_kw["battery"] == good.plan.power_kw["battery"][1]
    beyond = controller.decide(at(4), replace(blind, start_s=SEEN.start_s + 4 * 3600), 0.0)
    assert beyond.source is Source.SAFE_RULE
    assert beyond.action.power_kw["battery"] == pytest.approx(-5)  # own use: serves the load


def test_without_an_earlier_plan_the_safe_rule_runs() -> None:
    decision = Controller(DEVICES, 4, 3600, time_limit_s=0.0).decide(at(0), SEEN, 0.0)
    assert decision.source is Source.SAFE_RULE
    assert "time limit" in decision.reason
    assert decision.plan is None


def test_a_late_solver_falls_back_and_recovers() -> None:
    controller = Controller(DEVICES, 4, 3600)
    controller.decide(at(0), SEEN, 0.0)
    controller.time_limit_s = 0.0
    late = controller.decide(at(1), replace(SEEN, start_s=SEEN.start_s + 3600), 0.0)
    assert late.source is Source.LAST_PLAN
    assert "time limit" in late.reason
    controller.time_limit_s = 10.0
    assert controller.decide(at(2), replace(SEEN, start_s=SEEN.start_s + 7200), 0.0).source is Source.OPTIMUM


def test_a_solver_that_breaks_is_built_again(monkeypatch: pytest.MonkeyPatch) -> None:
    controller = Controller(DEVICES, 4, 3600)

    def broken(self: LiveModel, time_limit_s: float) -> None:
        raise MemoryError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(LiveModel, "solve", broken)
        decision = controller.decide(at(0), SEEN, 0.0)
    assert decision.source is Source.SAFE_RULE
    assert decision.reason == "MemoryError: out of memory"
    assert controller.decide(at(0), SEEN, 0.0).source is Source.OPTIMUM


def test_an_outlook_of_the_wrong_length_does_not_stop_the_plant() -> None:
    decision = Controller(DEVICES, 4, 3600).decide(at(0), outlook([5.0, 5.0]), 0.0)
    assert decision.source is Source.SAFE_RULE
    assert "4 steps" in decision.reason


def test_a_forecast_that_is_too_short_of_nothing_at_all() -> None:
    empty = outlook(np.empty(0))
    decision = Controller(DEVICES, 4, 3600).decide(at(0), empty, 0.0)
    assert decision.source is Source.SAFE_RULE
    assert decision.action.power_kw["battery"] == 0


def test_the_safe_rule_runs_every_device() -> None:
    decision = Controller(ALL_DEVICES, 4, 3600, time_limit_s=0.0).decide(
        State.initial(ALL_DEVICES, MIDNIGHT_S), random_outlook(1, 4), 0.0
    )
    assert decision.source is Source.SAFE_RULE
    assert set(decision.action.power_kw) == set(ALL_DEVICES.names)


def test_tracking_follows_the_measured_surplus_and_deficit() -> None:
    controller = Controller(DEVICES, 4, 3600)
    # charges the whole surplus of 4 kW, since later hours are dear
    seen = outlook([2.0, 5.0, 5.0, 5.0], pv_kw=[6.0, 0, 0, 0], buy=0.5)
    decision = controller.decide(at(0), seen, 0.0)
    assert decision.action.power_kw["battery"] == pytest.approx(4)
    dull = track(DEVICES, decision, at(0), outlook([2.0], pv_kw=3.0))
    assert dull.action.power_kw["battery"] == pytest.approx(1)
    bright = track(DEVICES, decision, at(0), outlook([2.0], pv_kw=9.0))
    assert bright.action.power_kw["battery"] == pytest.approx(7)
    none = track(DEVICES, decision, at(0), outlook([2.0], pv_kw=1.0))
    assert none.action.power_kw["battery"] == pytest.approx(0)


def test_what_is_bought_for_the_battery_is_bought_as_planned() -> None:
    decision = Controller(DEVICES, 4, 3600).decide(at(0), SEEN, 0.0)
    planned = decision.action.power_kw["battery"]
    assert planned > 0  # 0.1 EUR now, 0.5 later
    assert track(DEVICES, decision, at(0), outlook([9.0])).action.power_kw["battery"] == planned
