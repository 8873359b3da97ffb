"""The commands of forecasts and outlook, as a user types them."""

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from optimiser.foresight_commands import dispatch

DEMO = Path(__file__).parents[2] / "scripts" / "demo_data" / "lapalma_2019.csv"


def balances(folder: Path, mwh_pe: int) -> Path:
    rows = ["day,balance_mwh_pe,lower_mwh_pe,ghg_mg,ghg_upper_mg,complete_hours"]
    rows += [f"{date(2019, 1, 1) + timedelta(days=n)},{mwh_pe},{mwh_pe},-1,-1,24" for n in range(365)]
    path = folder / "days.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def test_outlook_in_words_and_as_json(tmp_path: Path) -> None:
    path = str(balances(tmp_path, 2_000_000))
    words = CliRunner().invoke(dispatch, ["outlook", path])
    assert words.exit_code == 0, words.output
    assert "positive by 730 kWh of primary energy over the last year" in words.output
    assert "2020-12-31" in words.output
    found = json.loads(
        CliRunner().invoke(dispatch, ["outlook", path, "--json", "--horizon-days", "10"]).output
    )
    assert (found["status"], found["known_until"], found["horizon"]) == (True, "2020-01-01", "2020-01-11")
    assert found["probability_lost"] == 0
    assert len(found["points"]) == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["outlook"], "give a file, or --certifier"),
        (["outlook", "--certifier", "http://127.0.0.1:9"], "give a file, or --certifier"),
        (["outlook", "--certifier", "http://127.0.0.1:9", "--district", "a"], "does not answer"),
        (["outlook", "no-such-file.csv"], "no-such-file.csv"),
        (["backtest", str(DEMO), "--column", "load"], "no column 'load'"),
        (
            ["backtest", str(DEMO), "--column", "load_kW", "--kind", "generation", "--site", "91,0"],
            "site '91,0'",
        ),
    ],
)
def test_errors_in_words(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(dispatch, arguments)
    assert result.exit_code == 1
    assert message in result.output


def test_backtest_prints_scores_of_every_method(tmp_path: Path) -> None:
    part = tmp_path / "load.csv"
    part.write_text("\n".join(DEMO.read_text().splitlines()[: 24 * 75 + 1]) + "\n")
    arguments = ["backtest", str(part), "--column", "load_kW", "--every-hours", "47"]
    found = json.loads(CliRunner().invoke(dispatch, [*arguments, "--json"]).output)
    methods = {score["method"] for score in found["scores"]}
    assert len(methods) == 7
    assert any(name.startswith("learned") for name in methods)
    best = min((s for s in found["scores"] if s["lead_hours"] == "6-24"), key=lambda score: score["mae"])
    assert best["skill"] > 0
    assert 0.5 < best["mae"] < 2.5
