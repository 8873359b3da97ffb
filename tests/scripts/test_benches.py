"""The benches run in a small configuration and print their figures; how fast they are is not tested here."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from scripts.benches import api, command_line, dispatch, gas, ingest, market, plan
from scripts.command_line import build_application

GAS_KEYS = ("open_3_gas_per_reading", "private_batch_gas", "day_batch_3_points_gas", "finalise_day_gas")
MARKET_KEYS = (
    "place_gas_per_order",
    "verify_gas_per_order",
    "apply_gas_per_order",
    "settle_gas_per_seller_hour",
    "baseline_gas_per_district_hour",
)
CASES: list[tuple[str, Callable[[], dict[str, Any]], set[str]]] = [
    (
        "gas",
        lambda: gas.measure(counts=(3,), year_days=12),
        {name for key in (*GAS_KEYS, "verdict_gas") for name in (key, f"{key}_floor")},
    ),
    (
        "ingest",
        lambda: ingest.measure(points=20, days=1),
        {"end_to_end_readings_per_s", "engine_readings_per_s", "ratio", "publish_to_receipt_readings_per_s"},
    ),
    ("api", lambda: api.measure(days=2, seconds=0.5), {"requests_per_s", "p99_ms"}),
    (
        "plan",
        lambda: plan.measure("2019-07-01", days=14, repetitions=1, scenarios=["S1"]),
        {"total_s", "direct_s", "ratio", "twenty_years_s", "paper_s"},
    ),
    (
        "dispatch",
        lambda: dispatch.measure(days=2, step_days=1),
        {"step_p50_s", "step_p99_s", "year_s", "cost_eur", "cost_perfect_eur", "cost_rule_eur"},
    ),
    (
        "market",
        lambda: market.measure(sizes=(10, 100), repetitions=3, placed=20),
        {"clear_10_s", "clear_100_s", "clear_100_s_floor", "growth_10_to_100", "orders_per_s"}
        | {"orders_per_s_chain_alone"}
        | {f"{key}{floor}" for key in MARKET_KEYS for floor in ("", "_floor")},
    ),
]
SIGNED = ("balance", "regret", "gain", "cost", "price")
"""Figures that may be negative."""


@pytest.mark.parametrize(("name", "small", "keys"), CASES, ids=[case[0] for case in CASES])
def test_a_bench_prints_its_figures_as_one_line(
    name: str,
    small: Callable[[], dict[str, Any]],
    keys: set[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command_line, "_measure", lambda _: small())
    result = CliRunner().invoke(build_application(), ["bench", name, "--json"])
    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) == 1
    figures = json.loads(result.stdout)
    assert keys <= figures.keys()
    for key, figure in figures.items():
        assert figure > 0 or key.startswith(SIGNED), key
        if f"{key}_floor" in figures and key != "verdict_gas":  # twelve days are no window for a verdict
            assert figures[f"{key}_floor"] < figure, key


def test_the_small_program_of_the_bench_has_the_optimum_of_the_model() -> None:
    figures = plan.measure("2019-07-01", days=14, repetitions=1, scenarios=["S1"])
    assert figures["direct_minus_npv_eur"] == pytest.approx(figures["minus_npv_eur"], rel=1e-7)
    assert figures["paper_agree"] == figures["paper_scenarios"] == 1


def test_the_table_for_people_names_each_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_line, "_measure", lambda _: {"ratio": 0.5, "readings": 48_000})
    result = CliRunner().invoke(build_application(), ["bench", "ingest"])
    assert result.exit_code == 0
    assert "ratio" in result.stdout
    assert "48,000" in result.stdout
