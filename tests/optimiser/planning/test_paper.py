"""The published scenarios: a handful of them, one with a battery, and what counts as agreement.

All 22 are `ped plan --paper`.
"""

import csv
from pathlib import Path
from typing import Any

import pytest

from optimiser.case import make_case
from optimiser.inputs import Inputs, Store, read_inputs
from optimiser.planning.net_rule import plan
from optimiser.planning.paper import (
    DATA,
    EXCEPTIONS,
    is_printed,
    reproduce,
    scenario_document,
    scenario_names,
)
from optimiser.planning.plan import Plan
from optimiser.planning.solve import Status

LA_PALMA = Path(__file__).parents[4] / "shared" / "lapalma"
needs_case_study = pytest.mark.skipif(
    not LA_PALMA.exists(), reason="the published case study is not beside this checkout (../shared/lapalma)"
)
STORE = Store()


def variant(name: str, **changes: Any) -> Plan:
    """A scenario of the paper, some of its rules changed."""
    document = scenario_document(name)
    document["balance"]["netting"] = changes.get("netting", "gross")
    document["pv"]["curtailment"] = changes.get("curtailment", False)
    if changes.get("physical"):
        document["weather"] |= {"irradiance": "physical", "sun_minute": 10}
    if "factors" in changes:
        document["factors"] |= changes["factors"]
    if "limit_kw" in changes:
        document["grid"] |= {"import_limit_kw": changes["limit_kw"], "export_limit_kw": changes["limit_kw"]}
    case = make_case(document, DATA, name)
    inputs: Inputs = read_inputs(case, STORE)
    return plan(case, inputs)


def test_scenarios_without_battery_and_one_with_it_agree() -> None:
    names = ["S1", "S2", "SVS3U", "PES_lim2_R", "EH_PES_lim2_U"]
    for reproduction in reproduce(names):
        differing = [entry for entry in reproduction.comparisons if not entry.agrees]
        assert not differing, (reproduction.scenario, differing)
        assert len(reproduction.comparisons) >= 7


def test_each_exception_is_about_a_scenario_and_has_a_reason() -> None:
    assert len(scenario_names()) == 22
    assert {name for name, _ in EXCEPTIONS} <= set(scenario_names())
    assert all(len(reason) > 20 for reason in EXCEPTIONS.values())


@pytest.mark.parametrize(
    ("value", "text", "same"),
    [
        (28.5, "29", True),
        (28.5, "28", True),
        (28.51, "28", False),
        (0.9404, "0.940", True),
        (0.9406, "0.940", False),
        (-0.5136, "-0.514", True),
        (-0.5134, "-0.514", False),
    ],
)
def test_printed_digits(value: float, text: str, same: bool) -> None:
    assert is_printed(value, text) is same


@needs_case_study
@pytest.mark.parametrize(
    ("name", "variant_name", "changes"),
    [
        ("PES_lim2_U", "curtail", {"curtailment": True}),
        ("EH_SVS3_U", "ped_marg_both", {"factors": {"import_load": "marginal"}}),
        ("S2", "physical_poa", {"physical": True}),
        ("S5", "physical_poa", {"physical": True}),
        ("PES_lim2_R", "physical_poa_curtail", {"physical": True, "curtailment": True}),
        ("PES_lim2_U", "nocheat_meter_fixedu_curtail", {"netting": "net", "curtailment": True}),
    ],
)
def test_variants_of_the_rules_agree(name: str, variant_name: str, changes: dict[str, Any]) -> None:
    with (LA_PALMA / "results_variants.csv").open() as file:
        rows = {(row["scenario"], row["variant"]): row for row in csv.DictReader(file)}
    expected = rows[name, variant_name]
    found = variant(name, **changes)
    assert found.npv_eur == pytest.approx(float(expected["npv_eur"]), abs=0.6)
    assert found.bound_eur == pytest.approx(found.npv_eur)
    assert found.sizes["PV flat"].value == pytest.approx(float(expected["pv_flat_kWp"]), abs=0.051)
    assert found.indicator("simultaneous") == pytest.approx(float(expected["cheat_pv_kWh_a"]), abs=1)


def test_the_metered_balance_does_not_count_what_goes_round() -> None:
    found = variant("SVS3U")
    assert found.status is Status.OPTIMAL
    assert found.indicator("primary_energy_metered") == pytest.approx(
        found.indicator("primary_energy_balance"), rel=1e-4
    )
    assert found.cash_flow_eur[0] == pytest.approx(-1070 * (184.756 + 24.7), rel=1e-5)
