"""Vehicles, flexible load and the ageing of batteries against answers by hand."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimiser.case import CaseError
from optimiser.inputs import read_inputs
from optimiser.planning.net_rule import plan
from optimiser.series import SeriesError
from tests.optimiser.planning.expanded import check_expansion
from tests.optimiser.planning.small import prices, small_case, small_inputs

FREE = {"positive": False}
LOAD = {("load", "load_kw"): 10.0}
NIGHT = [1.0] * 7 + [0.0] * 11 + [1.0] * 6
"""Plugged in from 18 h to 7 h."""
FLEET: dict[str, Any] = {
    "count": 10,
    "battery_kwh": 40,
    "charger_kw": 11,
    "plugged": {"value": 1},
    "arrival_share": 0.5,
    "departure_share": 0.8,
    "efficiency": 0.9,
    "capex_eur_per_kw": 0.001,
}
HALF = [0.1] * 12 + [0.5] * 12


def test_a_fleet_charges_what_it_drives_when_that_is_cheap() -> None:
    case = small_case(balance=FREE, vehicles=FLEET)
    buy = [0.1] * 6 + [0.3] * 18
    inputs = small_inputs(case, {**prices(buy), **LOAD, ("vehicles", "plugged_share"): NIGHT})
    found = plan(case, inputs)
    energy = 10 * 40 * 0.3 / 0.9  # in the six cheap hours, evenly: chargers cost something
    assert found.yearly_mwh["vehicles_charge"] == pytest.approx(energy / 1000)
    assert found.sizes["vehicles"].value == pytest.approx(energy / 6)
    assert found.npv_eur == pytest.approx(-60 * 0.1 - 180 * 0.3 - energy * 0.1 - 0.001 * energy / 6)
    assert found.indicator("primary_energy_metered") == pytest.approx(-2 * (240 + energy))
    check_expansion(case, inputs)


def test_a_fleet_that_cannot_be_charged_in_time_is_infeasible() -> None:
    case = small_case(balance=FREE, vehicles={**FLEET, "charger_kw": 0.5})
    inputs = small_inputs(case, {**prices(), **LOAD, ("vehicles", "plugged_share"): NIGHT})
    assert plan(case, inputs).status == "infeasible"


def test_what_vehicles_bring_in_counts_at_the_largest_marginal_factor_of_the_day() -> None:
    # They come with 80 %, leave with 50 %: 120 kWh, 108 on the AC side, all for the load.
    swapped = {"arrival_share": 0.8, "departure_share": 0.5, "minimum_share": 0.0, "v2g": True}
    case = small_case(balance=FREE, vehicles={**FLEET, **swapped})
    marginal = [2.0] * 20 + [3.0] + [2.0] * 3
    inputs = small_inputs(
        case, {**prices(), **LOAD, ("vehicles", "plugged_share"): NIGHT}, average=1.5, marginal=marginal
    )
    found = plan(case, inputs)
    assert found.yearly_mwh["discharge"] == pytest.approx(0.108)
    assert found.flows["vehicles_brought_in_kw"].iloc[20] == pytest.approx(108)
    assert found.yearly_mwh["vehicles_brought_in"] == pytest.approx(0.108)
    power_kw = found.sizes["vehicles"].value
    assert found.npv_eur == pytest.approx(-(240 - 108) * 0.2 - 0.001 * power_kw, abs=1e-3)
    for kind in ("balance", "metered"):
        assert found.indicator(f"primary_energy_{kind}") == pytest.approx(-1.5 * (240 - 108) - 3 * 108)
    check_expansion(case, inputs)


def test_a_car_that_stays_is_a_battery_with_wear_and_brings_nothing_in() -> None:
    # 36 of its 40 kWh may be used: 32.4 kWh at 0.5 bought for 40 kWh at 0.1, wear 0.2 per kWh discharged.
    fleet = {**FLEET, "count": 1, "v2g": True, "wear_eur_per_kwh": 0.2, "capex_eur_per_kw": 0}
    case = small_case(balance=FREE, vehicles=fleet)
    found = plan(case, small_inputs(case, {**prices(HALF), **LOAD, ("vehicles", "plugged_share"): 1.0}))
    gain = 36 * 0.9 * (0.5 - 0.2) - 36 / 0.9 * 0.1
    assert found.npv_eur == pytest.approx(-120 * 0.6 + gain, abs=1e-3)
    assert found.yearly_mwh["vehicles_brought_in"] == pytest.approx(0, abs=1e-9)
    dear = case.model_copy(update={"components": {**case.components}})
    dear.components["vehicles"] = dear.components["vehicles"].model_copy(update={"wear_eur_per_kwh": 0.4})
    found = plan(dear, small_inputs(dear, {**prices(HALF), **LOAD, ("vehicles", "plugged_share"): 1.0}))
    assert found.npv_eur == pytest.approx(-120 * 0.6)


def test_a_share_of_plugged_cars_above_one_is_refused() -> None:
    with pytest.raises(SeriesError, match=r"1\.2 in interval 0"):
        read_inputs(small_case(vehicles={**FLEET, "plugged": {"value": 1.2}}))


@settings(max_examples=15)
@given(
    buy=st.lists(st.integers(1, 9), min_size=24, max_size=24),
    plugged=st.lists(st.sampled_from([0.25, 0.5, 1.0]), min_size=24, max_size=24),
    v2g=st.booleans(),
)
def test_energy_in_cars_is_conserved_and_stays_in_its_limits(
    buy: list[int], plugged: list[float], v2g: bool
) -> None:
    case = small_case(balance=FREE, vehicles={**FLEET, "charger_kw": 50, "v2g": v2g})
    inputs = small_inputs(
        case, {**prices([0.1 * b for b in buy]), **LOAD, ("vehicles", "plugged_share"): plugged}
    )
    found = plan(case, inputs)
    assert found.status == "optimal"
    charge = found.flows["vehicles_charge_kw"].to_numpy()
    discharge = found.flows["vehicles_discharge_kw"].to_numpy() if v2g else np.zeros(24)
    change = 10 * (np.array(plugged) - np.roll(plugged, 1))
    driven = 40 * (0.8 * np.maximum(0, -change) - 0.5 * np.maximum(0, change))
    assert 0.9 * charge.sum() - discharge.sum() / 0.9 == pytest.approx(driven.sum(), abs=1e-4)
    assert (charge + discharge <= 500 * np.array(plugged) + 1e-4).all()


def test_a_load_moves_to_cheap_hours_within_its_shares() -> None:
    flexible = {"series": {"value": 4}, "down_share": 0.5, "eur_per_kwh_moved": 0.01}
    case = small_case(balance=FREE, flexible_load=flexible)
    inputs = small_inputs(case, {**prices(HALF), **LOAD, ("flexible_load", "load_kw"): 4.0})
    found = plan(case, inputs)
    assert found.npv_eur == pytest.approx(-120 * 0.6 - (48 + 24) * 0.1 - (48 - 24) * 0.5 - 24 * 0.01)
    assert found.flows["flexible_load_kw"].iloc[12:].to_numpy() == pytest.approx(2)
    check_expansion(case, inputs)


@pytest.mark.parametrize(
    ("limit", "moved_kwh"),
    [({"most_moved_kwh": 15}, 15), ({"window_h": 6}, 0), ({"maximum_kw": 5}, 12), ({"up_share": 0.25}, 12)],
)
def test_limits_of_moving(limit: dict[str, float], moved_kwh: float) -> None:
    case = small_case(balance=FREE, flexible_load={"series": {"value": 4}, **limit})
    inputs = small_inputs(case, {**prices(HALF), **LOAD, ("flexible_load", "load_kw"): 4.0})
    found = plan(case, inputs)
    assert found.npv_eur == pytest.approx(-168 * 0.6 + moved_kwh * 0.4)


@settings(max_examples=15)
@given(
    buy=st.lists(st.integers(1, 9), min_size=48, max_size=48),
    load=st.lists(st.integers(0, 9), min_size=48, max_size=48),
)
def test_a_moved_load_uses_in_each_window_what_was_wanted(buy: list[int], load: list[int]) -> None:
    case = small_case(days=2, balance=FREE, flexible_load={"series": {"value": 4}, "window_h": 8})
    inputs = small_inputs(
        case, {**prices([0.1 * b for b in buy]), **LOAD, ("flexible_load", "load_kw"): load}
    )
    found = plan(case, inputs)
    used = found.flows["flexible_load_kw"].to_numpy().reshape(-1, 8).sum(axis=1)
    assert used == pytest.approx(np.array(load).reshape(-1, 8).sum(axis=1), abs=1e-4)
    as_wanted = -float((10 + np.array(load)) @ (0.1 * np.array(buy)))
    assert found.npv_eur >= as_wanted - 1e-6


BATTERY: dict[str, Any] = {
    "capex_eur_per_kwh": 0,
    "minimum_kwh": 12,
    "maximum_kwh": 12,
    "round_trip_efficiency": 0.81,
    "power_per_capacity_per_h": 5,
}


@pytest.mark.parametrize(
    ("ageing", "discharged_kwh"),
    [
        ({}, 12 * 0.9),
        ({"wear_eur_per_kwh": 0.2}, 12 * 0.9),
        ({"wear_eur_per_kwh": 0.4}, 0),  # 0.5 less 0.1 / 0.81 earns 0.377 per kWh
        ({"cycles": 5, "lifetime_years": 10}, 0.5 * 12 * 0.9),
        ({"end_of_life_share": 0.8}, 0.9 * 12 * 0.9),
    ],
)
def test_a_battery_ages(ageing: dict[str, float], discharged_kwh: float) -> None:
    case = small_case(balance=FREE, battery={**BATTERY, **ageing})
    inputs = small_inputs(case, {**prices(HALF), **LOAD})
    found = plan(case, inputs)
    earned = discharged_kwh * (0.5 - 0.1 / 0.81 - ageing.get("wear_eur_per_kwh", 0))
    assert found.yearly_mwh["discharge"] == pytest.approx(discharged_kwh / 1000, abs=1e-6)
    assert found.npv_eur == pytest.approx(-120 * 0.6 + earned)
    check_expansion(case, inputs)


def test_cycles_without_a_lifetime_are_refused() -> None:
    with pytest.raises(CaseError, match="give lifetime_years"):
        small_case(battery={**BATTERY, "cycles": 5000})


def test_quarter_hours_give_the_same_plan_as_hours_where_prices_change_by_the_hour() -> None:
    grid = {
        "buy": {"value": 0.1},
        "sell": {"value": 0.0},
        "time_of_use": [{"from_hour": 7, "to_hour": 19, "eur_per_kwh": 0.4}],
        "peak": [{"eur_per_kw": 0.5}],
    }
    tables: dict[str, Any] = {
        "balance": FREE,
        "grid": grid,
        "battery": {**BATTERY, "wear_eur_per_kwh": 0.01, "cycles": 9, "lifetime_years": 10},
        "vehicles": {**FLEET, "count": 1, "v2g": True},
        "flexible_load": {"series": {"value": 4}, "window_h": 12, "eur_per_kwh_moved": 0.01},
    }
    hours = plan(small_case(days=2, **tables))
    quarters = plan(small_case(days=2, interval_s=900, **tables))
    assert len(quarters.flows) == 4 * len(hours.flows)
    assert quarters.npv_eur == pytest.approx(hours.npv_eur, abs=1e-3)
    assert hours.yearly_mwh["discharge"] > 0.01
    assert hours.yearly_mwh["vehicles_discharge"] > 0.01
