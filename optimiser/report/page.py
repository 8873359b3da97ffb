"""A plan as one HTML file that loads nothing from anywhere.

Texts of a case are escaped by the template, data in scripts by `_embedded`; beyond that a content security
policy allows exactly the scripts of the page, by their hash, and no connection.
"""

import hashlib
import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import jinja2
import plotly.offline

from optimiser.planning.plan import Plan
from optimiser.planning.solve import Status
from optimiser.report.documents import plan_document
from optimiser.report.figures import Figure, figures

PROFILES = {
    "default": "physical irradiance, curtailment where the case allows it, the metered net rule "
    "(import and export of one interval net out), greenhouse gas per kWh of electricity",
    "paper": "as published by Bruck et al. 2021, errors included: irradiance formula with the wrong beam "
    "factor, gross flows, fuel's CO2 factor applied to electricity",
}
MEANINGS = {
    "primary_energy_balance": "Primary energy given less taken, in a year",
    "primary_energy_metered": "The same as a certifier's meter sees it",
    "ghg_balance": "Net greenhouse gas, in a year",
    "ghg_metered": "The same as a certifier's meter sees it",
    "co2_import": "CO2 of what is imported, all years",
    "export_import": "Energy sold per energy bought",
    "export_import_pe": "The same in primary energy",
    "self_consumption": "Share of the generation used on site",
    "self_sufficiency": "Share of the load met on site",
    "OER": "Generation per load",
    "peak_import": "Highest import",
    "peak_export": "Highest export",
    "simultaneous": "Imported and exported in the same interval",
}
DRAW = """
for (const place of document.querySelectorAll("[data-figure]")) {
  const figure = JSON.parse(document.getElementById("figure-" + place.dataset.figure).textContent);
  const narrow = place.clientWidth < 560;
  if (narrow) {
    figure.layout.font.size = 11;
    for (const trace of figure.data) {
      if (trace.type === "sankey") { trace.node.pad = 14; trace.node.thickness = 10; }
    }
  }
  Plotly.newPlot(place, figure.data, figure.layout,
    {responsive: true, displaylogo: false, displayModeBar: narrow ? false : "hover"});
}
"""


@dataclass(frozen=True)
class Row:
    """A line of a table: a number with its unit and what it is."""

    name: str
    value: float
    unit: str
    formula: str = ""
    meaning: str = ""
    share: float = 0.0
    """Length of its bar, 0 to 1."""


def number(value: float) -> str:
    """Digits for people: about four that count, thousands apart, true minus sign."""
    if value != value:
        return "not defined"
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2 if abs(value) >= 1 else 4
    text = f"{value:,.{digits}f}" if abs(value) >= 5e-5 else "0"
    return text.replace(",", " ").replace("-", "−")


def render(plan: Plan, studies: Mapping[str, Figure] | None = None) -> str:
    """The page; `studies` are plots of sweeps and fronts by their heading."""
    solved = plan.status is Status.OPTIMAL
    drawn: dict[str, Figure] = figures(plan) if solved else {}
    headings = list(studies or {})
    drawn |= {f"study-{place}": figure for place, figure in enumerate((studies or {}).values())}
    plotly_script = plotly.offline.get_plotlyjs() if drawn else ""
    return _template().render(
        plan=plan,
        solved=solved,
        studies=headings,
        profile_words=PROFILES.get(plan.profile, ""),
        sizes=_sizes(plan),
        panels=_sizes(plan, "m2"),
        indicators=[
            Row(entry.identifier, entry.value, entry.unit, entry.formula, MEANINGS.get(entry.identifier, ""))
            for entry in plan.indicators
        ],
        energies=[
            Row(name, mwh, "MWh/a", f"h sum {name}_kw / 1000") for name, mwh in plan.yearly_mwh.items()
        ],
        figures={name: _embedded(figure) for name, figure in drawn.items()},
        document=_embedded(plan_document(plan)),
        plotly_script=plotly_script,
        draw_script=DRAW,
        policy=_policy([plotly_script, DRAW] if drawn else []),
    )


def _sizes(plan: Plan, unit: str | None = None) -> list[Row]:
    """What to build; with `unit` only that, else all but the panels' areas, which explain the peak powers."""
    rows = [
        Row(name, size.value, size.unit)
        for name, size in plan.sizes.items()
        if (size.unit == unit if unit else size.unit != "m2")
    ]
    most = {row.unit: max(other.value for other in rows if other.unit == row.unit) for row in rows}
    return [Row(row.name, row.value, row.unit, share=row.value / (most[row.unit] or 1.0)) for row in rows]


def _embedded(value: Any) -> str:
    """JSON that can stand inside a script element: nothing in it ends the element or opens a comment."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _policy(scripts: list[str]) -> str:
    hashes = " ".join(
        f"'sha256-{b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes or chr(39) + 'none' + chr(39)}; "
        "style-src 'unsafe-inline'; img-src data: blob:"
    )


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("optimiser.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    return environment.get_template("report.html")
