"""The model against answers by hand, Pyomo's own compiler, the exact net rule and finite differences."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimiser.case import Case
from optimiser.inputs import Inputs
from optimiser.planning.hourly import Hourly, ModelInvalid
from optimiser.planning.model import build
from optimiser.planning.net_rule import optimum, plan
from optimiser.planning.plan import Plan
from optimiser.planning.solve import Solver, Status
from tests.optimiser.planning.expanded import check_expansion
from tests.optimiser.planning.small import flat_pv, prices, small_case, small_inputs

FREE = {"positive": False}
DAY = [0.0] * 8 + [500.0] * 8 + [0.0] * 8


def test_without_anything_all_load_is_bought() -> None:
    case = small_case(balance=FREE)
    found = plan(case, small_inputs(case, {**prices(), ("load", "load_kw"): 10}))
    assert found.npv_eur == pytest.approx(-24 * 10 * 0.2)
    assert found.yearly_mwh["import"] == pytest.approx(0.24)
    assert found.cash_flow_eur == pytest.approx((0.0, -48.0))
    assert found.indicator("primary_energy_metered") == pytest.approx(-480)


def test_the_annuity_discounts_each_year_at_its_end() -> None:
    case = small_case(balance=FREE, economy={"years": 20, "interest": 0.05})
    found = plan(case, small_inputs(case, {**prices(), ("load", "load_kw"): 10}))
    assert found.npv_eur == pytest.approx(-48 * 12.46221034254)
    discounted = sum(eur / 1.05**year for year, eur in enumerate(found.cash_flow_eur))
    assert discounted == pytest.approx(found.npv_eur)


def test_growing_prices_weigh_each_year() -> None:
    case = small_case(
        balance=FREE,
        economy={"years": 3, "interest": 0.0},
        grid={"buy": {"value": 0.2}, "sell": {"value": 0.0}, "buy_growth_per_a": 0.1},
    )
    found = plan(case, small_inputs(case, {**prices(), ("load", "load_kw"): 10}))
    assert found.npv_eur == pytest.approx(-48 * (1 + 1.1 + 1.21))


def test_pv_is_built_until_the_balance_is_positive() -> None:
    # 8 hours of 0.05 kW per m2; load 240 kWh a day; static factors: production must equal the load.
    case = small_case(pv=flat_pv(10_000, capex_eur_per_kwp=100))
    found = plan(case, small_inputs(case, {**prices(), ("load", "load_kw"): 10}, DAY))
    assert found.sizes["pv"].value == pytest.approx(60)  # 600 m2 x 0.05 kW x 8 h = 240 kWh
    assert found.indicator("OER") == pytest.approx(1)
    imported, exported = 16 * 10 * 0.2, (240 - 80) * 0.05
    assert found.npv_eur == pytest.approx(-60 * 100 - imported + exported)
    assert found.bound_eur == found.npv_eur


def test_a_battery_moves_a_day_and_pays_its_losses() -> None:
    # Buying costs 0.1 in the first half of the day and 0.5 in the second; no limit on power.
    case = small_case(
        balance=FREE,
        battery={
            "capex_eur_per_kwh": 0.001,
            "round_trip_efficiency": 0.81,
            "power_per_capacity_per_h": 10,
        },
    )
    buy = [0.1] * 12 + [0.5] * 12
    found = plan(case, small_inputs(case, {**prices(buy, 0.0), ("load", "load_kw"): 10}))
    assert found.sizes["battery"].value == pytest.approx(120 / 0.9, rel=1e-5)  # 120 kWh AC out of the cell
    assert found.npv_eur == pytest.approx(-12 * 10 * 0.1 - 120 / 0.81 * 0.1 - 0.001 * 120 / 0.9, rel=1e-6)
    assert found.yearly_mwh["discharge"] == pytest.approx(0.120, rel=1e-5)
    assert found.flows["battery_content_kwh"].max() == pytest.approx(120 / 0.9, rel=1e-5)


def test_a_battery_that_earns_nothing_is_proven_useless() -> None:
    case = small_case(balance=FREE, battery={"capex_eur_per_kwh": 500})
    buy = [0.1] * 12 + [0.5] * 12
    inputs = small_inputs(case, {**prices(buy, 0.0), ("load", "load_kw"): 10})
    whole = Solver(build(case, inputs).hourly.compile()).solve()
    assert plan(case, inputs).npv_eur == pytest.approx(-whole.cost)
    assert plan(case, inputs).sizes["battery"].value == 0


def test_lifetime_replaces_and_leaves_a_rest_value() -> None:
    case = small_case(
        balance=FREE,
        economy={"years": 15, "interest": 0.03},
        battery={"capex_eur_per_kwh": 100, "minimum_kwh": 1, "maximum_kwh": 1, "lifetime_years": 10},
    )
    found = plan(case, small_inputs(case, {**prices(0.0, 0.0), ("load", "load_kw"): 10}))
    assert found.npv_eur == pytest.approx(-100 - 100 / 1.03**10 + 50 / 1.03**15, abs=1e-3)
    assert found.cash_flow_eur[0] == pytest.approx(-100)
    assert found.cash_flow_eur[10] == pytest.approx(-100, abs=1e-3)
    assert found.cash_flow_eur[15] == pytest.approx(50, abs=1e-3)


def test_ghg_neutrality_binds_where_primary_energy_does_not() -> None:
    # Export replaces nothing in greenhouse gas terms when its factor is far below that of import.
    case = small_case(balance={"positive": True, "ghg_neutral": True}, pv=flat_pv(10_000, 100))
    inputs = small_inputs(case, {**prices(), ("load", "load_kw"): 10}, DAY)
    low = replace(inputs.factors.ghg, export=0.25 * inputs.factors.ghg.export)
    inputs = replace(inputs, factors=replace(inputs.factors, ghg=low))
    found = plan(case, inputs)
    # imports of 16 h x 10 kWh must be covered by four times as much export: 640 + 80 kWh of production
    assert found.sizes["pv"].value == pytest.approx(60 * 720 / 240)
    assert found.indicator("ghg_balance") == pytest.approx(0, abs=1e-5)
    assert found.indicator("primary_energy_balance") > 0


def test_one_more_kwh_of_primary_energy_costs_what_the_dual_says() -> None:
    case = small_case(pv=flat_pv(10_000, capex_eur_per_kwp=100), economy={"years": 20, "interest": 0.05})
    inputs = small_inputs(case, {**prices(), ("load", "load_kw"): 10}, DAY)
    before = plan(case, inputs)
    more = case.model_copy(update={"balance": case.balance.model_copy(update={"margin_kwh_pe": 1.0})})
    after = plan(more, inputs)
    dual = {entry.name: entry for entry in before.duals}["primary_energy"]
    assert dual.value > 0
    assert before.npv_eur - after.npv_eur == pytest.approx(dual.value * case.economy.weight(), rel=1e-6)
    assert f"costs {dual.value:.4f} EUR a year" in dual.sentence


def test_one_more_kw_and_one_more_m2_are_worth_what_the_duals_say() -> None:
    grid = {"buy": {"value": 0.2}, "sell": {"value": 0.15}, "export_limit_kw": 12.0}
    surface = {"name": "roof", "azimuth_deg": 180, "tilt_deg": 0, "area_m2": 500.0, "coverage": 0.5}
    sun = [0.0] * 8 + [300.0, 900.0] * 4 + [0.0] * 8

    def planned(limit_kw: float, area_m2: float) -> Plan:
        case = small_case(
            balance=FREE,
            grid={**grid, "export_limit_kw": limit_kw},
            pv=flat_pv(0, 0.01) | {"surface": [{**surface, "area_m2": area_m2}]},
        )
        return plan(case, small_inputs(case, {**prices(0.2, 0.15), ("load", "load_kw"): 10}, sun))

    base = planned(12.0, 500.0)
    duals = {entry.name: entry for entry in base.duals}
    assert planned(12.1, 500.0).npv_eur - base.npv_eur == pytest.approx(0.1 * duals["export limit"].value)
    assert duals["export limit"].value == pytest.approx(4 * 0.15)
    room = planned(12.0, 501.0).npv_eur - base.npv_eur
    assert duals["surface 'roof'"].value == pytest.approx(room)
    assert room > 0


def test_a_series_must_be_whole() -> None:
    hourly = Hourly(24)
    with pytest.raises(ModelInvalid, match="not 24 values"):
        hourly.series("short", [1.0, 2.0])
    with pytest.raises(ModelInvalid, match="value 1 is not finite"):
        hourly.series("gap", [1.0, float("nan"), *([1.0] * 22)])


def everything(netting: str) -> tuple[Case, Inputs]:
    """A case with every electric component, limits and both yearly rows."""
    case = small_case(
        balance={"positive": True, "ghg_neutral": True, "netting": netting},
        grid={
            "buy": {"value": 0.2},
            "sell": {"value": 0.05},
            "import_limit_kw": 30,
            "export_limit_kw": 20,
            "buy_growth_per_a": 0.02,
        },
        pv=flat_pv(2_000, 100),
        battery={"capex_eur_per_kwh": 0.5, "maximum_kwh": 200, "lifetime_years": 1},
    )
    buy = [0.1] * 12 + [0.5] * 12
    return case, small_inputs(case, {**prices(buy), ("load", "load_kw"): 10}, DAY, 1.8, 2.5)


@pytest.mark.parametrize("netting", ["net", "one-way", "gross"])
def test_the_expansion_is_the_model_that_pyomo_builds(netting: str) -> None:
    case, inputs = everything(netting)
    check_expansion(case, inputs)


series = st.lists(st.integers(0, 9), min_size=24, max_size=24)


def keeps_rule(found: Plan) -> bool:
    flows = found.flows
    either = np.minimum(
        flows["import_load_kw"], np.maximum(flows["export_kw"], flows["charge_from_production_kw"])
    )
    return bool((either < 2e-3).all())


def hard_case(loads: list[int], suns: list[int], buys: list[int]) -> tuple[Case, Inputs]:
    """Exporting at 2.5 while importing at 1.5 pays here, unless the net rule forbids it."""
    case = small_case(
        grid={"buy": {"value": 0}, "sell": {"value": 0}, "import_limit_kw": 20, "export_limit_kw": 6},
        pv=flat_pv(400, 20, curtailment=False),
        battery={"capex_eur_per_kwh": 0.1, "maximum_kwh": 40},
    )
    bought = [0.1 + 0.01 * buy for buy in buys]
    inputs = small_inputs(
        case,
        {**prices(bought, 0.09), ("load", "load_kw"): [2.0 + load / 3 for load in loads]},
        [100.0 * sun for sun in suns],
        1.5,
        2.5,
    )
    return case, inputs


def heuristic_npv(case: Case, inputs: Inputs) -> float:
    """What the published study does (MODEL.md §11.2 c): one pass, surplus where the bound's panels cover the
    load; the sides are stated here anew, as bounds of the exact program's binaries."""
    _, relaxed = optimum(case, inputs)
    district = build(case, inputs)
    covers = district.hourly.evaluate(district.production_kw, relaxed.x) >= district.hourly.evaluate(
        district.consumption_kw, relaxed.x
    )
    exact = build(case, inputs, switch_kw=1000.0)
    solver = Solver(exact.hourly.compile())
    surplus = slice(exact.hourly.count - case.period.steps, exact.hourly.count)
    solver.bound_columns(surplus, covers.astype(float), covers.astype(float))
    return -solver.solve().cost


@pytest.mark.parametrize("netting", ["net", "one-way"])
def test_a_week_with_a_battery_is_at_least_as_good_as_the_published_heuristic(netting: str) -> None:
    day = np.array([0] * 7 + [1, 3, 6, 8, 9, 9, 8, 6, 3, 1] + [0] * 7)
    sun = np.concatenate([100 * day * clear for clear in (1, 0.4, 0.9, 0.2, 1, 0.7, 0.5)])
    load = 8 + 4 * np.cos((np.arange(168) - 19) * np.pi / 12)
    case = small_case(
        days=7,
        balance={"netting": netting},
        grid={"buy": {"value": 0}, "sell": {"value": 0}, "import_limit_kw": 25, "export_limit_kw": 14},
        pv=flat_pv(800, 20, curtailment=False),
        battery={"capex_eur_per_kwh": 0.4},
    )
    inputs = small_inputs(
        case, {**prices(0.11, 0.09), ("load", "load_kw"): load.tolist()}, sun.tolist(), 2.2, 2.5
    )
    found, heuristic = plan(case, inputs), heuristic_npv(case, inputs)
    assert found.sizes["battery"].value > 1
    assert found.bound_eur > found.npv_eur + 1e-3  # the rule binds
    assert np.isfinite(heuristic)
    assert found.npv_eur > heuristic + 0.5
    meets = found.flows["import_load_kw" if netting == "net" else "import_kw"]
    assert np.minimum(meets, found.flows["export_kw"]).max() < 2e-3
    assert keeps_rule(found) or netting == "one-way"


def test_where_no_side_near_the_bound_is_possible_one_is_found() -> None:
    case, inputs = hard_case([3] * 24, [0] * 8 + [2, 4, 6, 8, 8, 6, 4, 2] + [0] * 8, [5] * 24)
    case = case.model_copy(update={"balance": case.balance.model_copy(update={"margin_kwh_pe": 20.0})})
    assert heuristic_npv(case, inputs) == -np.inf
    exact = Solver(build(case, inputs, switch_kw=100.0).hourly.compile()).solve()
    found = plan(case, inputs)
    assert keeps_rule(found)
    assert -1.15 * exact.cost <= found.npv_eur <= -exact.cost + 1e-6


@settings(max_examples=4, deadline=None)
@given(series, series, series)
def test_the_net_rule_is_kept_and_never_better_than_the_exact_program(
    loads: list[int], suns: list[int], buys: list[int]
) -> None:
    case, inputs = hard_case(loads, suns, buys)
    exact = Solver(build(case, inputs, switch_kw=100.0).hourly.compile()).solve()
    found = plan(case, inputs)
    if exact.status is Status.INFEASIBLE:
        assert found.status is Status.INFEASIBLE or np.isnan(found.npv_eur)
        return
    _, relaxed = optimum(case, inputs)
    assert relaxed.cost <= exact.cost + 1e-4
    if np.isfinite(found.npv_eur):
        assert keeps_rule(found)
        assert found.npv_eur <= -exact.cost + 1e-4
        assert found.bound_eur >= -exact.cost - 1e-4
        assert found.indicator("primary_energy_metered") >= -1e-3


def test_the_net_rule_costs_what_the_exact_program_says() -> None:
    case, inputs = hard_case([3] * 24, [0] * 8 + [2, 4, 6, 8, 8, 6, 4, 2] + [0] * 8, [5] * 24)
    exact = Solver(build(case, inputs, switch_kw=100.0).hourly.compile()).solve()
    found = plan(case, inputs)
    _, relaxed = optimum(case, inputs)
    assert relaxed.cost < exact.cost - 1e-3  # the rule binds
    assert found.npv_eur == pytest.approx(-exact.cost, rel=0.02)
    assert found.npv_eur <= -exact.cost + 1e-6
    assert found.bound_eur == pytest.approx(-relaxed.cost)
    assert "Net rule" in found.explanation[0]


def test_an_impossible_case_says_what_it_needs() -> None:
    # 8 hours of 0.05 kW per m2 of roof: 600 m2 are needed, 450 are there.
    case = small_case(pv=flat_pv(450, 100))
    found = plan(case, small_inputs(case, {**prices(), ("load", "load_kw"): 10}, DAY))
    assert found.status is Status.INFEASIBLE
    assert np.isnan(found.npv_eur)
    assert found.explanation == (
        "The primary-energy balance is what cannot be reached: at best, whatever it costs, it is "
        "-120 kWh_PE a year (120 too few).",
        "surface 'roof' is 450 m2: the nearest possible district needs 600 m2 (33.3 % more).",
        "With 600 m2 of surface 'roof' the best NPV found is -6,024 EUR (60 kWp pv).",
    )
    assert found.nearest is not None
    assert found.nearest.needed == pytest.approx(600)
    assert found.nearest.npv_eur == pytest.approx(-60 * 100 - 16 * 10 * 0.2 + 160 * 0.05, rel=1e-4)
    bigger = small_case(pv=flat_pv(601, 100))
    possible = plan(bigger, small_inputs(bigger, {**prices(), ("load", "load_kw"): 10}, DAY))
    assert found.nearest.npv_eur == pytest.approx(possible.npv_eur, rel=1e-4)


def test_a_connection_that_is_too_weak_is_to_blame() -> None:
    # Production of 240 kWh must leave in 8 hours: 30 kW less the load of 10.
    grid = {"buy": {"value": 0.2}, "sell": {"value": 0.05}, "export_limit_kw": 15.0}
    case = small_case(pv=flat_pv(10_000, 100), grid=grid)
    found = plan(case, small_inputs(case, {**prices(), ("load", "load_kw"): 10}, DAY))
    assert found.explanation == (
        "The primary-energy balance is what cannot be reached: at best, whatever it costs, it is "
        "-80 kWh_PE a year (80 too few).",
        "grid connection is 15 kW: the nearest possible district needs 20 kW (33.3 % more).",
        "With 20 kW of grid connection the best NPV found is -6,024 EUR (60 kWp pv).",
    )


def test_demand_beyond_the_connection_is_told_apart() -> None:
    grid = {"buy": {"value": 0.2}, "sell": {"value": 0.05}, "import_limit_kw": 8.0}
    case = small_case(grid=grid, balance=FREE)
    found = plan(case, small_inputs(case, {**prices(), ("load", "load_kw"): 10}))
    assert "the demand cannot be served" in found.explanation[0]
    assert found.explanation[-1] == (
        "With 10 kW of grid connection the best NPV found is -48 EUR (nothing is built)."
    )
    assert found.nearest is not None
    assert found.nearest.npv_eur == pytest.approx(-24 * 10 * 0.2)
