"""`ped dispatch run` as people call it, and the errors of its case file."""

import csv
import json
import math
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from contracts.hour import HOUR_S, format_time_utc, parse_time_utc
from optimiser.case import CaseError
from optimiser.dispatch.case import load_dispatch_case
from optimiser.dispatch.perfect import LABEL
from optimiser.foresight_commands import dispatch

DAYS = 10
CASE = """
title = "Run"
first_day = 2019-06-01
days = 10
[factors]
kind = "static"
static = { import_pef = 2.5, export_pef = 2.3, import_ghg_kg_per_kwh = 0.5 }
[grid]
buy = { csv = "data.csv", column = "buy_eur_per_kWh" }
sell = { value = 0.05 }
[load]
series = { csv = "data.csv", column = "load_kW" }
[dispatch]
horizon_h = 24
generation = { csv = "data.csv", column = "pv_kW" }
[[dispatch.battery]]
capacity_kwh = 20
charge_kw = 5
discharge_kw = 5
"""


@pytest.fixture
def case(tmp_path: Path) -> Path:
    """Every day is like the other."""
    rows = ["time_utc,load_kW,pv_kW,buy_eur_per_kWh"]
    for hour in range(DAYS * 24):
        sun = max(0.0, math.sin((hour % 24 - 6) / 12 * math.pi))
        price = 0.3 if hour % 24 >= 6 else 0.1
        start_s = parse_time_utc("2019-06-01T00:00:00Z") + hour * HOUR_S
        rows.append(f"{format_time_utc(start_s)},8.0,{20 * sun:.3f},{price}")
    (tmp_path / "data.csv").write_text("\n".join(rows) + "\n")
    path = tmp_path / "case.toml"
    path.write_text(CASE)
    return path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(dispatch, ["run", *arguments])


def test_a_run_is_compared_and_left_as_files(case: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(str(case), "--days", "3", "--before-kwh-pe", "5000", "--out", str(out), "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert json.loads((out / "summary.json").read_text()) == document
    rule, rolling, perfect = document["runs"]
    assert perfect["name"] == LABEL
    # foresight ends as it began, while the others may end with an empty battery: 20 kWh at 0.1 EUR
    assert perfect["cost_eur"] <= rolling["cost_eur"] + 20 * 0.1
    assert perfect["cost_eur"] <= rule["cost_eur"]
    assert rolling["cost_eur"] < rule["cost_eur"] - 1
    assert rolling["balance_with_before_kwh_pe"] == pytest.approx(rolling["balance_kwh_pe"] + 5000)
    assert rolling["schedules"] == {"optimum": 72}
    with (out / "steps.csv").open() as file:
        steps = list(csv.DictReader(file))
    assert [step["time_utc"] for step in steps[:2]] == ["2019-06-01T00:00Z", "2019-06-01T01:00Z"]
    assert len(steps) == 72
    assert sum(int(step["import_wh"]) for step in steps) == pytest.approx(1000 * rolling["import_kwh"])
    for step in steps:
        given = int(step["import_wh"]) + int(step["production_wh"]) + int(step["discharge_wh"])
        taken = int(step["export_wh"]) + int(step["consumption_wh"]) + int(step["charge_wh"])
        assert abs(given - taken) <= 3
        assert abs(float(step["battery_kW"])) <= 5.0


def test_words_without_foresight(case: Path) -> None:
    result = run(str(case), "--days", "1", "--no-perfect")
    assert result.exit_code == 0, result.output
    assert "Schedules of the rolling horizon: 24 optimum." in result.output
    assert "foresight" not in result.output


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[dispatch]\n", "[dispatched]\n", "dispatched: is not known here"),
        (
            "horizon_h = 24",
            "horizon_h = 1",
            "dispatch.horizon_h: 1: Input should be greater than or equal to 2",
        ),
        ("capacity_kwh = 20", "capacity = 20", "capacity: is not known here"),
        ("[[dispatch.battery]]", "[[dispatch.panels]]\nkwp = 5\n[[dispatch.battery]]", "not both"),
        ('column = "pv_kW"', 'column = "pv_kWh_m2"', "pv_kWh_m2"),
        ('[load]\nseries = { csv = "data.csv", column = "load_kW" }', "", "add [load] with a series"),
        ('csv = "data.csv", column = "pv_kW"', 'csv = "gone.csv", column = "pv_kW"', "gone.csv"),
    ],
)
def test_wrong_cases_are_named(case: Path, old: str, new: str, words: str) -> None:
    assert old in CASE
    case.write_text(CASE.replace(old, new, 1))
    result = run(str(case))
    assert result.exit_code == 1
    assert words in " ".join(result.stderr.split())


def test_a_case_without_dispatch_says_what_to_add(case: Path) -> None:
    case.write_text(CASE[: CASE.index("[dispatch]")])
    with pytest.raises(CaseError, match=re.escape("[dispatch] is missing")):
        load_dispatch_case(case)
