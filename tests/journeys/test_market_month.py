"""The market's month, shortened: trades and demand-response events over real processes, to the last unit."""

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path


def test_trade_and_events_reconcile_to_the_last_unit(tmp_path: Path) -> None:
    out = tmp_path / "month"
    command = [
        sys.executable,
        "-m",
        "scripts.command_line",
        "demo",
        "--market",
        "--quick",
        "--headless",
        "--json",
    ]
    finished = subprocess.run(
        [*command, "--out", str(out)], capture_output=True, text=True, timeout=600, check=False
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    result = json.loads(finished.stdout)
    assert result["alarms"] == []
    market = result["market"]
    assert market["reconciled"]
    assert all(line["on_chain"] == line["stated"] for line in market["lines"])
    assert market["trades"] > 20

    figures = {(line["subject"], line["what"].strip()): line["on_chain"] for line in market["lines"]}
    seller, buyer = "los-sauces-300", "los-sauces-200"
    assert figures[seller, "delivered in trades"] > 0
    assert figures[seller, "certified elsewhere"] > 0
    assert figures[seller, "attributes given away"] == figures[buyer, "attributes received"] > 0
    owners = ("hill-cooperative", "harbour-cooperative", "grid-operator")
    for kind in ("energy delivered", "compensation", "demand response", "penalties"):
        received = [figures[owner, kind] for owner in owners]
        assert sum(received) == 0
        assert any(received)
    assert figures["escrow", "all accounts"] == 600_000_000

    counted = defaultdict(list)
    for answer in market["answers"]:
        counted[answer["planned"]].append(answer["response_wh"])
        assert answer["response_wh"] <= max(0, answer["baseline_wh"] - answer["measured_wh"])
    assert counted == {"met": [8_000] * 4, "half met": [4_000] * 4, "missed": [0] * 4}

    page = (out / "reconciliation.html").read_text("utf-8")
    assert "Every figure of the contracts equals" in page
    assert page.count("0.000000 EUR</td></tr>") >= 10
