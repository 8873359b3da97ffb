"""Writes what planning found to a folder."""

from pathlib import Path

from optimiser.planning.plan import Plan
from optimiser.report.documents import to_csv, to_json
from optimiser.report.page import render


def write(plan: Plan, folder: Path) -> list[Path]:
    """`report.html`, `plan.json` and, if there is a plan, `flows.csv`. Raises OSError."""
    texts = {"report.html": render(plan), "plan.json": to_json(plan) + "\n"}
    if not plan.flows.empty:
        texts["flows.csv"] = to_csv(plan)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
    return [folder / name for name in texts]
