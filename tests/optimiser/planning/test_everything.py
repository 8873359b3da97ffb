"""The example that uses every component: it solves, its buses close, and Pyomo builds the same model."""

import numpy as np
import pytest

from optimiser.case import load_case
from optimiser.inputs import read_inputs
from optimiser.planning.components import COMPONENTS
from optimiser.planning.net_rule import plan
from optimiser.planning.paper import DATA
from tests.optimiser.planning.expanded import check_expansion

CASE = DATA.parent / "everything" / "case.toml"


def test_the_example_uses_all_components_and_its_buses_close() -> None:
    case = load_case(CASE)
    assert {type(component) for component in case.components.values()} == set(COMPONENTS.values())
    found = plan(case)
    assert found.status == "optimal"
    assert found.gap < 0.01
    assert found.indicator("primary_energy_metered") >= -1e-3
    flow = {name: found.flows[name].to_numpy() for name in found.flows.columns}
    into = flow["production_kw"] + flow["import_kw"] + flow["discharge_kw"]
    assert np.allclose(into, flow["consumption_kw"] + flow["export_kw"] + flow["charge_kw"], atol=1e-3)
    heat = flow["heat_pump_heat_kw"] + flow["biogas_boiler_heat_kw"] + flow["immersion_heater_heat_kw"]
    heat += flow["hot_tank_discharge_kw"] - flow["hot_tank_charge_kw"]
    assert np.allclose(heat, flow["heat_demand_kw"] + flow["building_heat_kw"], atol=1e-3)
    cold = flow["heat_pump_cold_kw"] + flow["cold_tank_discharge_kw"] - flow["cold_tank_charge_kw"]
    assert np.allclose(cold, flow["cooling_demand_kw"] + flow["building_cold_kw"], atol=1e-3)
    discounted = sum(eur / 1.05**year for year, eur in enumerate(found.cash_flow_eur))
    assert discounted == pytest.approx(found.npv_eur, rel=1e-6)


def test_pyomo_builds_the_same_model_of_a_day_of_it() -> None:
    case = load_case(CASE)
    grid = case.grid.offers()["with peak"]
    day = case.model_copy(update={"days": 1, "grid": grid})
    check_expansion(day, read_inputs(day))
