"""Writes what planning found to a folder."""

import json
from collections.abc import Mapping
from pathlib import Path

from optimiser.planning.pareto import GHG, PRIMARY_ENERGY
from optimiser.planning.plan import Plan
from optimiser.planning.sweep import Point
from optimiser.report.documents import to_csv, to_json
from optimiser.report.figures import Figure
from optimiser.report.page import render
from optimiser.report.study import front_figure, study_csv, study_document, study_figures

UNITS = {PRIMARY_ENERGY: "kWh_PE/a", GHG: "kg CO2e/a"}


def write(
    plan: Plan,
    folder: Path,
    sweep: list[Point] | None = None,
    fronts: Mapping[str, list[Point]] | None = None,
) -> list[Path]:
    """`report.html`, `plan.json` and, if there is a plan, `flows.csv`; with a sweep `sweep.csv` and
    `sweep.json`; with fronts `pareto_*.csv` and `.json`. Raises OSError."""
    texts, plots = {"plan.json": to_json(plan) + "\n"}, dict[str, Figure]()
    if not plan.flows.empty:
        texts["flows.csv"] = to_csv(plan)
    studies = {"sweep": sweep} if sweep else {}
    studies |= {f"pareto_{against}": points for against, points in (fronts or {}).items()}
    for name, points in studies.items():
        document = study_document(points)
        texts[f"{name}.csv"] = study_csv(points)
        texts[f"{name}.json"] = json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    if sweep:
        plots |= {f"Sweep: {name}": figure for name, figure in study_figures(sweep).items()}
    for against, points in (fronts or {}).items():
        plots[f"Choice: NPV against {against}"] = front_figure(points, against, UNITS[against])
    texts["report.html"] = render(plan, plots)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
    return [folder / name for name in texts]
