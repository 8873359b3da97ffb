"""Sweeps and fronts as CSV, JSON and plots."""

import csv
import io
import math
from html import escape
from typing import Any

from optimiser.planning.solve import Status
from optimiser.planning.sweep import Point
from optimiser.report.documents import plan_document
from optimiser.report.figures import INK, LOAD, PALETTE, Figure, layout

AT_THE_BOTTOM = 0.03
"""Where a point without a plan is marked: a share of the plot's height, on an axis without values."""


def study_rows(points: list[Point]) -> list[dict[str, Any]]:
    """One flat row per point: parameters, status, NPV, sizes, indicators, duals; a unit ends each name."""
    rows = []
    for point in points:
        row: dict[str, Any] = {**point.values, "status": "failed", "npv_eur": None, "error": point.error}
        if point.plan is not None:
            found = point.plan
            row["status"] = str(found.status)
            row["error"] = " ".join(found.explanation) if found.status is not Status.OPTIMAL else ""
            row["npv_eur"] = _finite(found.npv_eur)
            row |= {f"{name} [{size.unit}]": size.value for name, size in found.sizes.items()}
            row |= {f"{entry.identifier} [{entry.unit}]": _finite(entry.value) for entry in found.indicators}
            row |= {f"dual {dual.name} [{dual.unit}]": dual.value for dual in found.duals}
        rows.append(row)
    return rows


def study_csv(points: list[Point]) -> str:
    """The rows; what a point does not have is empty."""
    rows = study_rows(points)
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def study_document(points: list[Point]) -> list[dict[str, Any]]:
    """`values`, `error` and `plan` (as in plan.json, null where the solver failed) of each point."""
    return [
        {
            "values": dict(point.values),
            "error": point.error,
            "plan": None if point.plan is None else plan_document(point.plan),
        }
        for point in points
    ]


def study_figures(points: list[Point]) -> dict[str, Figure]:
    """NPV, sizes and duals against the first parameter, a plot for each unit; a line for each value of the
    other parameters."""
    rows = study_rows(points)
    axis = next(iter(points[0].values))
    columns = dict.fromkeys(key for row in rows for key in row)
    duals = [name for name in columns if name.startswith("dual ")]
    sizes = [name for name in columns if name.endswith(("[kWp]", "[kWh]", "[kW]"))]
    sizes = [name for name in sizes if not name.startswith(("peak_", "dual "))]
    groups: dict[str, list[dict[str, Any]]] = {}
    for point, row in zip(points, rows, strict=True):
        others = ", ".join(f"{name} {_short(value)}" for name, value in list(point.values.items())[1:])
        groups.setdefault(others, []).append(row)
    found = {"NPV, EUR": _lines(groups, axis, ["npv_eur"], "EUR")}
    for heading, names in (("Sizes", sizes), ("What the limits are worth", duals)):
        for unit in dict.fromkeys(_unit(name) for name in names):
            same = [name for name in names if _unit(name) == unit]
            found[f"{heading}, {unit}"] = _lines(groups, axis, same, unit)
    return found


def _unit(name: str) -> str:
    """The unit that ends a column's name in brackets."""
    return name.rpartition("[")[2].removesuffix("]")


def _lines(groups: dict[str, list[dict[str, Any]]], axis: str, names: list[str], unit: str) -> Figure:
    traces: list[dict[str, Any]] = []
    for others, rows in groups.items():
        for name in names:
            label = ", ".join(part for part in (name, others) if part)
            colour = PALETTE[len(traces) % len(PALETTE)]
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines+markers",
                    "name": escape(label),
                    "x": [row[axis] for row in rows],
                    "y": [row.get(name) for row in rows],
                    "line": {"color": colour},
                }
            )
    titles: dict[str, Any] = {
        "xaxis": {"title": {"text": escape(axis)}},
        "yaxis": {"title": {"text": escape(unit)}},
    }
    missing = list(
        dict.fromkeys(row[axis] for rows in groups.values() for row in rows if row["npv_eur"] is None)
    )
    if missing:
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": "no plan",
                "x": missing,
                "y": [AT_THE_BOTTOM] * len(missing),
                "yaxis": "y2",
                "hovertemplate": "%{x}<extra>no plan</extra>",
                "marker": {"symbol": "x", "color": LOAD, "size": 10},
            }
        )
        titles["yaxis2"] = {"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True}
    return {"data": traces, "layout": layout(380, showlegend=True, **titles)}


def front_figure(points: list[Point], against: str, unit: str) -> Figure:
    """The NPV of each plan of a front against its balance."""
    plans = [point.plan for point in points if point.plan is not None]
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": [plan.indicator(against) for plan in plans],
                "y": [plan.npv_eur for plan in plans],
                "line": {"color": INK},
                "hovertemplate": f"%{{x:,.0f}} {unit}: %{{y:,.0f}} EUR<extra></extra>",
            }
        ],
        "layout": layout(
            360, xaxis={"title": {"text": f"{against}, {unit}"}}, yaxis={"title": {"text": "NPV, EUR"}}
        ),
    }


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
