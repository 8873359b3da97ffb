"""`ped plan` as people call it: output, files, exit codes, and errors in words."""

import json
from pathlib import Path

import pandas
from typer.testing import CliRunner, Result

from scripts.command_line import build_application

CASE = """
title = "Two days"
first_day = 2019-07-01
days = 2
[factors]
kind = "static"
[factors.static]
import_pef = 2
export_pef = 2
import_ghg_kg_per_kwh = 0.3
[location]
latitude_deg = 42
longitude_deg = 12
[weather]
ghi = { csv = "hours.csv", column = "sun_w_m2" }
dni = { value = 0 }
dhi = { csv = "hours.csv", column = "sun_w_m2" }
[grid]
buy = { value = 0.2 }
sell = { value = 0.05 }
[load]
series = { csv = "hours.csv", column = "load_kw" }
[pv]
capex_eur_per_kwp = 10
surface = [{ name = "roof", azimuth_deg = 180, tilt_deg = 0, area_m2 = AREA }]
"""


def run(folder: Path, area_m2: float, *options: str, rows: int = 48) -> Result:
    times = pandas.date_range("2019-07-01", periods=48, freq="h").strftime("%Y-%m-%dT%H:%MZ")
    lines = [f"{time},10,{500 if 8 <= number % 24 < 16 else 0}" for number, time in enumerate(times)]
    (folder / "hours.csv").write_text("\n".join(["time_utc,load_kw,sun_w_m2", *lines[:rows]]) + "\n", "utf-8")
    case = folder / "case.toml"
    case.write_text(CASE.replace("AREA", str(area_m2)), "utf-8")
    return CliRunner().invoke(build_application("plan"), ["plan", str(case), *options])


def test_a_plan_is_printed_in_words_and_left_as_files(tmp_path: Path) -> None:
    result = run(tmp_path, 1000, "--out", str(tmp_path / "out"))
    assert result.exit_code == 0, result.output
    assert "One more kWh of primary energy" in result.output
    document = json.loads((tmp_path / "out" / "plan.json").read_text())
    assert document["status"] == "optimal"
    assert document["sizes"]["pv"]["unit"] == "kWp"
    flows = pandas.read_csv(tmp_path / "out" / "flows.csv", index_col="time_utc")
    assert len(flows) == 48
    net = flows["production_kw"] + flows["import_kw"] - flows["consumption_kw"] - flows["export_kw"]
    assert net.abs().max() < 1e-4


def test_json_is_the_only_output_when_asked_for(tmp_path: Path) -> None:
    result = run(tmp_path, 1000, "--json")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert document["npv_eur"] == document["bound_eur"]
    assert document["indicators"]["primary_energy_balance"]["unit"] == "kWh_PE/a"


def test_an_impossible_case_ends_with_3_and_the_reasons(tmp_path: Path) -> None:
    result = run(tmp_path, 100)
    assert result.exit_code == 3
    assert "nearest possible district needs" in " ".join(result.output.split())


def test_wrong_input_ends_with_1_and_the_place(tmp_path: Path) -> None:
    result = run(tmp_path, 100, rows=40)
    assert result.exit_code == 1
    assert "hours.csv:42: time_utc: 2019-07-02T16:00Z is missing before this line" in result.output
    missing = CliRunner().invoke(build_application("plan"), ["plan", str(tmp_path / "nothing.toml")])
    assert missing.exit_code == 1
    assert "there is no such file" in missing.output


def test_a_case_or_the_paper_but_not_both(tmp_path: Path) -> None:
    assert run(tmp_path, 100, "--paper").exit_code == 2
    assert CliRunner().invoke(build_application("plan"), ["plan"]).exit_code == 2
