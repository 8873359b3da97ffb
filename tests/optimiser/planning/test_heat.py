"""Heat and cold: boilers, heat pumps, stores and buildings against answers by hand."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimiser.case import Case, CaseError
from optimiser.inputs import Inputs, read_inputs
from optimiser.planning.model import CaseImpossible
from optimiser.planning.net_rule import plan
from tests.optimiser.planning.expanded import check_expansion
from tests.optimiser.planning.small import small_case

FREE = {"positive": False}
GAS = {"gas": {"eur_per_kwh": 0.1, "pef": 1.1, "non_renewable_pef": 1.1, "ghg_kg_per_kwh": 0.2}}
HALF = [0.1] * 12 + [0.5] * 12
LOAD_EUR = 24 * 10 * 0.2


def series_of(case: Case, series: dict[tuple[str, str], Sequence[float]]) -> Inputs:
    """The case's inputs, some series replaced."""
    inputs = read_inputs(case)
    return replace(inputs, series={**inputs.series, **{key: np.array(v) for key, v in series.items()}})


def heat(demand_kw: float, **tables: Any) -> Case:
    return small_case(balance=FREE, heat_demand={"series": {"value": demand_kw}}, fuel=GAS, **tables)


def test_a_boiler_burns_heat_over_efficiency_with_the_factors_of_its_fuel() -> None:
    case = heat(19, boiler={"carrier": "gas", "efficiency": 0.95, "capex_eur_per_kw": 10})
    found = plan(case)
    assert found.sizes["boiler"].value == pytest.approx(19)
    assert found.yearly_mwh["boiler_gas"] == pytest.approx(0.48)
    assert found.npv_eur == pytest.approx(-(LOAD_EUR + 48 + 190))
    for kind in ("balance", "metered"):
        assert found.indicator(f"primary_energy_{kind}") == pytest.approx(-(480 * 1.1 + 240 * 2))
        assert found.indicator(f"ghg_{kind}") == pytest.approx(480 * 0.2 + 240 * 0.5)
    check_expansion(case, read_inputs(case))


def test_an_immersion_heater_is_consumption() -> None:
    found = plan(heat(9, boiler={"carrier": "electricity", "efficiency": 0.9}))
    assert found.yearly_mwh["consumption"] == pytest.approx(0.48)
    assert found.npv_eur == pytest.approx(-2 * LOAD_EUR)


def test_a_heat_demand_without_supply_and_a_fuel_without_price_are_refused() -> None:
    with pytest.raises(CaseImpossible, match="nothing that supplies heat"):
        plan(heat(5))
    with pytest.raises(CaseImpossible, match=r"fuel\.wood"):
        plan(heat(5, boiler={"carrier": "wood"}))
    with pytest.raises(CaseError, match="nothing to do"):
        heat(5, heat_pump={"heating": False})


@pytest.mark.parametrize(("source_degc", "cop"), [(5, 0.45 * 318.15 / 40), (44, 8.0), (60, 8.0)])
def test_a_heat_pump_lifts_heat_with_a_share_of_carnot(source_degc: float, cop: float) -> None:
    case = heat(2 * cop, heat_pump={"source": {"value": source_degc}, "capex_eur_per_kw": 3})
    found = plan(case)
    assert found.yearly_mwh["heat_pump_power"] == pytest.approx(0.048)
    assert found.sizes["heat_pump"].value == pytest.approx(2 * cop)
    assert found.npv_eur == pytest.approx(-(LOAD_EUR + 48 * 0.2 + 3 * 2 * cop))


def test_a_heat_pump_shares_an_interval_and_weakens_in_the_cold() -> None:
    case = heat(
        6,
        cooling_demand={"series": {"value": 3}},
        heat_pump={
            "source": {"value": -13},
            "heating_cop": {"value": 3},
            "cooling_cop": {"value": 2},
            "cooling": True,
            "cooling_capacity_share": 0.5,
            "capacity_per_k": 0.025,
            "capex_eur_per_kw": 3,
        },
    )
    found = plan(case)
    assert found.sizes["heat_pump"].value == pytest.approx(6 / 0.5 + 3 / 0.5)
    assert found.yearly_mwh["heat_pump_power"] == pytest.approx(24 * (6 / 3 + 3 / 2) / 1000)
    check_expansion(case, read_inputs(case))


def test_a_chiller_has_the_carnot_factor_of_cold() -> None:
    cop = 0.45 * 280.15 / (35 - 7)
    case = small_case(
        balance=FREE,
        cooling_demand={"series": {"value": cop}},
        heat_pump={"source": {"value": 35}, "heating": False, "cooling": True},
    )
    assert plan(case).yearly_mwh["heat_pump_power"] == pytest.approx(0.024)


@pytest.mark.parametrize("bus", ["heat", "cooling"])
def test_a_store_is_filled_as_late_as_possible_and_pays_its_losses(bus: str) -> None:
    # 10 kW in the dear half of the day; the store, without limit on power, is filled in the last cheap hour.
    supply: dict[str, Any] = {"heating_cop": {"value": 1}, "cooling_cop": {"value": 1}, "cooling": True}
    store = {"bus": bus, "efficiency": 0.9, "loss_per_h": 0.01, "capex_eur_per_kwh": 0.001}
    demand = "heat_demand" if bus == "heat" else "cooling_demand"
    demanded: dict[str, Any] = {demand: {"series": {"value": 0}}}
    case = small_case(1, balance=FREE, heat_pump=supply, thermal_store=store, **demanded)
    inputs = series_of(
        case, {(demand, "demand_kw"): [0.0] * 12 + [10.0] * 12, ("grid", "buy_eur_per_kwh"): HALF}
    )
    found = plan(case, inputs)
    full = sum(10 / 0.9 / 0.99**k for k in range(1, 13))
    assert found.sizes["thermal_store"].value == pytest.approx(full)
    assert found.flows["thermal_store_charge_kw"].iloc[11] == pytest.approx(full / 0.9)
    assert found.npv_eur == pytest.approx(-(10 * 12 * 0.6) - 0.1 * full / 0.9 - 0.001 * full)
    check_expansion(case, inputs)


def test_a_store_keeps_its_power_per_capacity() -> None:
    store = {
        "power_per_capacity_per_h": 0.25,
        "efficiency": 1.0,
        "loss_per_h": 0.0,
        "capex_eur_per_kwh": 0.01,
    }
    case = heat(0, boiler={"carrier": "electricity", "efficiency": 1.0}, thermal_store=store)
    peak = [0.0] * 23 + [10.0]
    found = plan(
        case,
        series_of(
            case, {("heat_demand", "demand_kw"): peak, ("grid", "buy_eur_per_kwh"): [0.1] * 23 + [0.9]}
        ),
    )
    assert found.sizes["thermal_store"].value == pytest.approx(40)


@settings(max_examples=15)
@given(
    demand=st.lists(st.integers(0, 9), min_size=24, max_size=24),
    buy=st.lists(st.integers(1, 9), min_size=24, max_size=24),
)
def test_heat_is_conserved(demand: list[int], buy: list[int]) -> None:
    case = heat(
        1,
        heat_pump={"source": {"value": 5}, "capex_eur_per_kw": 0.1},
        boiler={"carrier": "gas", "capex_eur_per_kw": 0.1},
        thermal_store={"capex_eur_per_kwh": 0.01, "loss_per_h": 0.02},
    )
    inputs = series_of(
        case, {("heat_demand", "demand_kw"): demand, ("grid", "buy_eur_per_kwh"): [0.1 * b for b in buy]}
    )
    flows = plan(case, inputs).flows
    store = flows["thermal_store_discharge_kw"] - flows["thermal_store_charge_kw"]
    supplied = flows["heat_pump_heat_kw"] + flows["boiler_heat_kw"] + store
    assert np.allclose(supplied, demand, atol=1e-6)
    content = flows["thermal_store_content_kwh"].to_numpy()
    gained = 0.98 * flows["thermal_store_charge_kw"] - flows["thermal_store_discharge_kw"] / 0.98
    assert np.allclose(content, 0.98 * np.roll(content, 1) + gained, atol=1e-5)


BUILDING: dict[str, Any] = {
    "count": 3,
    "heat_capacity_kwh_per_k": 10,
    "resistance_k_per_kw": 5,
    "outdoor": {"value": 5},
    "gains": {"value": 0.2},
}
HEATER = {"carrier": "electricity", "efficiency": 1.0}


def test_a_building_in_balance_needs_its_losses_less_its_gains() -> None:
    case = small_case(balance=FREE, building=BUILDING, boiler=HEATER)
    found = plan(case)
    assert found.yearly_mwh["boiler_heat"] == pytest.approx(24 * 3 * ((20 - 5) / 5 - 0.2) / 1000)
    assert found.flows["building_indoor_degc"].to_numpy() == pytest.approx(20)


def test_discomfort_has_its_price() -> None:
    case = small_case(
        balance=FREE, building={**BUILDING, "heating": False, "discomfort_eur_per_k_h": 0.1}, boiler=HEATER
    )
    found = plan(case)  # left alone it has 5 + 5 x 0.2 = 6 degC, 14 K too cold
    assert found.npv_eur == pytest.approx(-LOAD_EUR - 24 * 3 * 14 * 0.1)
    check_expansion(case, read_inputs(case))


def test_a_building_stores_heat_as_its_differential_equation_says() -> None:
    case = small_case(balance=FREE, building={**BUILDING, "cooling": True}, boiler=HEATER)
    outdoor = [5 + 5 * np.sin(t / 24 * 2 * np.pi) for t in range(24)]
    inputs = series_of(case, {("building", "outdoor_degc"): outdoor, ("grid", "buy_eur_per_kwh"): HALF})
    found = plan(case, inputs)
    indoor, heating = (found.flows[f"building_{name}"].to_numpy() for name in ("indoor_degc", "heat_kw"))
    assert indoor.max() > 22  # it is preheated while electricity is cheap
    assert heating[:12].sum() > heating[12:].sum()
    temperature, parts = indoor[-1], 2000
    for t in range(24):
        for _ in range(parts):
            flow = (outdoor[t] - temperature) / 5 + 0.2 + heating[t] / 3
            temperature += flow / 10 / parts
        assert temperature == pytest.approx(indoor[t], abs=1e-3)
    check_expansion(case, inputs)
