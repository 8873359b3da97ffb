"""Four weeks on La Palma that end positive only if dispatch cares, and the year's parts that carry them."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

import optimiser
from optimiser.dispatch.case import DispatchCase, load_dispatch_case
from optimiser.dispatch.devices import DeviceSettings
from optimiser.dispatch.fallback import Source
from optimiser.dispatch.foresight import Forecasters, ForecastOutlook, TrueOutlook, repeated
from optimiser.dispatch.perfect import PerfectYear, plan_year
from optimiser.dispatch.price import PriceSettings, TypicalDays, YearPrice
from optimiser.dispatch.state import Outlook, State
from optimiser.dispatch.year import YearResult, run_plan, run_rolling, run_rule

CASE = Path(optimiser.__file__).parent / "data" / "lapalma" / "dispatch.toml"
FIRST, WEEKS = 200 * 24, 4
STEPS = WEEKS * 7 * 24
ROUNDING_KWH_PE = 5.0
"""Factors are published in thousandths, the plan uses them as they are."""


@dataclass(frozen=True)
class Weeks:
    """The same weeks, run in three ways; `before_kwh_pe` is the balance with which they begin."""

    truth: Outlook
    before_kwh_pe: float
    rule: YearResult
    rolling: YearResult
    perfect: YearResult
    perfect_plan: PerfectYear


@pytest.fixture(scope="module")
def case() -> DispatchCase:
    return load_dispatch_case(CASE)


@pytest.fixture(scope="module")
def weeks(case: DispatchCase) -> Weeks:
    devices = case.settings
    turned = repeated(case.truth, 0, FIRST + STEPS).part(FIRST, FIRST + case.truth.steps)
    truth = turned.part(0, STEPS)
    rule, without = run_rule(devices, truth), run_rule(DeviceSettings(), truth)
    before = -(0.5 * rule.balance_kwh_pe + 0.5 * without.balance_kwh_pe)
    end_s = truth.start_s + STEPS * truth.step_s
    price = YearPrice(devices, TypicalDays.of(truth, devices), end_s, PriceSettings())
    foresight = ForecastOutlook(turned, case.horizon, Forecasters.usual(truth.step_s, case.site))
    rolling = run_rolling(devices, truth, foresight, price, case.horizon, balance_before_kwh_pe=before)
    plan = plan_year(devices, State.initial(devices, truth.start_s), truth, -before, 5.0)
    return Weeks(truth, before, rule, rolling, run_plan("perfect", devices, truth, plan.plan), plan)


def test_the_rule_ends_negative_where_foresight_can_end_positive(weeks: Weeks) -> None:
    assert weeks.rule.balance_kwh_pe + weeks.before_kwh_pe < -ROUNDING_KWH_PE
    assert weeks.perfect.balance_kwh_pe + weeks.before_kwh_pe > -ROUNDING_KWH_PE
    assert weeks.perfect_plan.short_kwh_pe == 0


def test_the_rolling_horizon_carries_the_balance_and_ends_positive(weeks: Weeks) -> None:
    assert weeks.rolling.balance_kwh_pe + weeks.before_kwh_pe > 0
    assert max(weeks.rolling.prices_eur_per_kwh_pe) > 0
    assert weeks.rolling.sources == {Source.OPTIMUM: STEPS}


def test_no_way_of_running_is_cheaper_than_foresight_at_its_price(weeks: Weeks) -> None:
    """At the price of the balance row, foresight's cost less the worth of E is the least there is."""
    price = weeks.perfect_plan.price_eur_per_kwh_pe

    def value(result: YearResult) -> float:
        return result.cost_eur - price * result.balance_kwh_pe

    assert (
        value(weeks.perfect) <= value(weeks.rolling) + 2.0
    )  # end storage counts at the mean price, see YearResult
    assert value(weeks.perfect) <= value(weeks.rule) + 2.0


def test_the_weeks_are_accounted_in_whole_watt_hours(weeks: Weeks) -> None:
    for result in (weeks.rule, weeks.rolling, weeks.perfect):
        for flow in result.flows:
            supplied = flow.production_wh + flow.import_wh + flow.discharge_wh
            assert supplied == flow.consumption_wh + flow.export_wh + flow.charge_wh


def test_a_balance_with_slack_has_no_price_and_costs_no_more(case: DispatchCase) -> None:
    devices = case.settings
    truth = case.truth.part(FIRST, FIRST + 7 * 24)
    end_s = truth.start_s + truth.steps * truth.step_s
    price = YearPrice(devices, TypicalDays.of(truth, devices), end_s, PriceSettings())
    foresight = TrueOutlook(truth, case.horizon)
    steered = run_rolling(devices, truth, foresight, price, case.horizon, balance_before_kwh_pe=50_000.0)
    free = run_rolling(devices, truth, foresight, 0.0, case.horizon)
    assert set(steered.prices_eur_per_kwh_pe) == {0.0}
    assert steered.cost_eur == pytest.approx(free.cost_eur)
    plan = plan_year(devices, State.initial(devices, truth.start_s), truth, -50_000.0, 5.0)
    perfect = run_plan("perfect", devices, truth, plan.plan)
    assert plan.price_eur_per_kwh_pe == 0
    assert perfect.balance_kwh_pe == pytest.approx(plan.plan.primary_kwh_pe, abs=ROUNDING_KWH_PE)
    assert perfect.cost_eur <= min(free.cost_eur, run_rule(devices, truth).cost_eur) + 2.0


def test_the_case_without_battery_has_the_published_break_even(case: DispatchCase) -> None:
    """lapalma/README.md: 262 kWp; a kWp is worth some 4,194 kWh_PE a year there."""
    result = run_rule(DeviceSettings(), case.truth)
    assert result.balance_kwh_pe == pytest.approx((270 - 262) * 4194, rel=0.15)


def test_forecasts_do_not_see_the_future(case: DispatchCase) -> None:
    """What happens from the step on changes nothing; the history is the year before, the same in both."""
    year, place = case.truth, 150 * 24 + 5
    changed = np.array(year.load_kw)
    changed[place : place + 30 * 24] *= 3.0
    other = replace(year, load_kw=changed)
    seen = [
        ForecastOutlook(series, 48, Forecasters.usual(3600)).outlook(place, 48) for series in (year, other)
    ]
    assert seen[0].load_kw == pytest.approx(seen[1].load_kw)
    assert not np.allclose(seen[0].load_kw, year.load_kw[place : place + 48])
