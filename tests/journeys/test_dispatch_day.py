"""The dispatch day of the demonstration: every hour commanded, answered, metered and compared."""

import csv
import json
from pathlib import Path

from tests.journeys.town import ped

SAFE_HOURS = 2
"""From the end of the last proposal until the optimiser is back."""


def test_a_day_of_set_points_reaches_the_devices(tmp_path: Path) -> None:
    result = ped("demo", "--dispatch", "--json", "--out", tmp_path / "day")
    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout)
    assert (summary["proposals"], summary["refusals"]) == (21, 1)
    for device in summary["devices"]:
        assert (device["proposed"], device["safe"]) == (24 - SAFE_HOURS, SAFE_HOURS), device
        assert device["acknowledged"] == device["compared"] == 24, device
    with (tmp_path / "day" / "control.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["state"] != "superseded"]
    accepted = [row for row in rows if row["state"] == "accepted" and row["device"] != "heat-pump"]
    assert len(accepted) >= 40
    assert max(abs(int(row["difference_w"])) for row in accepted) <= 4, "within a Wh per quarter-hour"
    assert any(int(row["setpoint_w"]) < -10_000 for row in accepted)
    assert any(int(row["setpoint_w"]) > 10_000 for row in accepted)
    assert len(list((tmp_path / "day" / "proposals").glob("*.json"))) == 21
    page = (tmp_path / "day" / "dispatch.html").read_text("utf-8")
    assert "21 proposals accepted, 1 refused" in page
