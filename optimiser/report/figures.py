"""The plots of a plan as plotly figures in plain data: {"data": [...], "layout": {...}}.

Plotly reads a little markup in texts, so every text that comes from a case is escaped here, too.
"""

from html import escape
from typing import Any

import numpy as np
import pandas

from optimiser.planning.energy_flows import LOST, Link
from optimiser.planning.plan import Plan

Figure = dict[str, Any]

INK, SOFT, GRID_LINE = "#1c2730", "#55636e", "#e4e2da"
LOAD, IMPORT, EXPORT, SUN, STORE = "#c2683c", "#8a5a9e", "#1f8176", "#d9a41c", "#4f93c9"
PALETTE = (STORE, SUN, LOAD, IMPORT, EXPORT, "#6b7f3a", "#b0556f", "#777f86", "#3d5a80", "#a65d1a")
DIVERGING = [[0.0, "#045a50"], [0.25, "#56ab9f"], [0.5, "#f4f2ec"], [0.75, "#dd9a5b"], [1.0, "#8a3f06"]]
"""Green (the district gives) to brown (the district takes)."""


def layout(height: int = 380, **more: Any) -> Figure:
    """What all plots share."""
    axis = {"gridcolor": GRID_LINE, "zerolinecolor": SOFT, "automargin": True}
    base: Figure = {
        "height": height,
        "margin": {"l": 8, "r": 8, "t": 12, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": INK},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "hoverlabel": {"align": "left"},
        "xaxis": dict(axis),
        "yaxis": dict(axis),
    }
    for key, value in more.items():
        base[key] = base[key] | value if isinstance(base.get(key), dict) else value
    return base


def figures(plan: Plan) -> dict[str, Figure]:
    """The plots of a plan that has a solution, by name."""
    return {
        "sankey": sankey(plan.links),
        "cumulated": cumulated(plan),
        "exchange": heat_map(
            plan, (plan.flows["import_kw"] - plan.flows["export_kw"]).to_numpy(), "kW", "net import"
        ),
        "balance": heat_map(plan, -plan.flows["balance_kwh_pe"].to_numpy(), "kWh_PE", "taken"),
        "duration": duration(plan),
        "cash": cash(plan),
    }


def sankey(links: tuple[Link, ...]) -> Figure:
    """Energy of the year. A store gives back to the bus that fills it: it stands on both sides."""
    pairs = {(link.source, link.target) for link in links}
    returning = {source for source, target in pairs if (target, source) in pairs and _is_store(source, links)}
    ends = [
        (f"{link.source}, out" if link.source in returning and link.target != LOST else link.source, link)
        for link in links
    ]
    names = list(dict.fromkeys(name for source, link in ends for name in (source, link.target)))
    node_mwh = {
        name: max(
            sum(link.mwh for source, link in ends if source == name),
            sum(link.mwh for _, link in ends if link.target == name),
        )
        for name in names
    }
    colours = {name: _colour(name, place) for place, name in enumerate(names)}
    return {
        "data": [
            {
                "type": "sankey",
                "arrangement": "snap",
                "valueformat": ",.1f",
                "valuesuffix": " MWh/a",
                "node": {
                    "label": [f"{escape(name)} {node_mwh[name]:,.0f}" for name in names],
                    "color": [colours[name] for name in names],
                    "pad": 22,
                    "thickness": 14,
                    "line": {"width": 0},
                    "hovertemplate": "%{label} MWh/a<extra></extra>",
                },
                "link": {
                    "source": [names.index(source) for source, _ in ends],
                    "target": [names.index(link.target) for _, link in ends],
                    "value": [round(link.mwh, 3) for _, link in ends],
                    "color": [_pale(colours[source]) for source, _ in ends],
                    "hovertemplate": "%{source.label} to %{target.label}: %{value:,.1f} MWh/a<extra></extra>",
                },
            }
        ],
        "layout": layout(360),
    }


def _is_store(name: str, links: tuple[Link, ...]) -> bool:
    """Buses have many neighbours and are not split; of the two on a cycle the component is the store."""
    return not name.startswith("district ") and any(link.source == name for link in links)


def _colour(name: str, place: int) -> str:
    known = {"grid: bought": IMPORT, "grid: sold": EXPORT, "pv": SUN, "load": LOAD, "battery": STORE}
    return known.get(name.removesuffix(", out"), "#9aa3aa" if " " in name else PALETTE[place % len(PALETTE)])


def _pale(colour: str) -> str:
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.38)"


def heat_map(plan: Plan, values: np.ndarray, unit: str, name: str) -> Figure:
    """Day by hour of the day, UTC; positive is what the district takes."""
    times = pandas.DatetimeIndex(plan.flows.index)
    per_day = round(24 / plan.step_h)
    days = len(values) // per_day
    table = values.reshape(days, per_day).T
    top = float(np.abs(table).max(initial=0.0)) or 1.0
    return {
        "data": [
            {
                "type": "heatmap",
                "z": np.round(table, 2).tolist(),
                "x": times[::per_day].strftime("%Y-%m-%d").tolist(),
                "y": (plan.step_h * np.arange(per_day)).tolist(),
                "zmin": -top,
                "zmax": top,
                "colorscale": DIVERGING,
                "colorbar": {
                    "orientation": "h",
                    "y": 1.02,
                    "yanchor": "bottom",
                    "thickness": 10,
                    "title": {"text": f"{name}, {unit} (negative: given)", "side": "top"},
                },
                "hovertemplate": f"%{{x|%d %b}} %{{y}} h UTC: %{{z:.1f}} {unit}<extra></extra>",
            }
        ],
        "layout": layout(
            360, yaxis={"title": {"text": "hour of the day, UTC"}, "dtick": 6}, xaxis={"tickformat": "%b"}
        ),
    }


def cumulated(plan: Plan) -> Figure:
    """The primary-energy balance from the start of the year on, against zero."""
    total = plan.flows["balance_kwh_pe"].cumsum().to_numpy() / 1000
    times = pandas.DatetimeIndex(plan.flows.index) + pandas.Timedelta(hours=plan.step_h)
    per_day = round(24 / plan.step_h)
    ends = slice(per_day - 1, None, per_day)
    return {
        "data": [
            {
                "type": "scatter",
                "x": times[ends].strftime("%Y-%m-%d").tolist(),
                "y": np.round(total[ends], 3).tolist(),
                "fill": "tozeroy",
                "fillcolor": _pale(EXPORT),
                "line": {"color": EXPORT, "width": 2},
                "hovertemplate": "until %{x|%d %b}: %{y:,.2f} MWh_PE<extra></extra>",
            }
        ],
        "layout": layout(
            320,
            xaxis={"tickformat": "%d %b"},
            yaxis={
                "title": {"text": "MWh_PE since the start"},
                "zeroline": True,
                "zerolinewidth": 2,
                "zerolinecolor": INK,
            },
        ),
    }


def duration(plan: Plan) -> Figure:
    """Load, import, export and generation, each sorted: for how many hours is it at least so high."""
    curves = (
        ("consumption_kw", "load", LOAD),
        ("import_kw", "import", IMPORT),
        ("export_kw", "export", EXPORT),
        ("production_kw", "generation", SUN),
    )
    hours = (plan.step_h * np.arange(len(plan.flows))).tolist()
    return {
        "data": [
            {
                "type": "scatter",
                "name": name,
                "x": hours,
                "y": np.round(np.sort(plan.flows[column].to_numpy())[::-1], 2).tolist(),
                "line": {"color": colour, "width": 2},
                "hovertemplate": f"{name}: %{{y:.1f}} kW or more in %{{x:,.0f}} h<extra></extra>",
            }
            for column, name, colour in curves
        ],
        "layout": layout(
            360, xaxis={"title": {"text": "hours of the year"}}, yaxis={"title": {"text": "kW"}}
        ),
    }


def discounted(plan: Plan) -> np.ndarray:
    """Cumulated present value, EUR, year by year; the last is the NPV."""
    flow = np.array(plan.cash_flow_eur)
    return np.cumsum(flow / (1 + plan.interest) ** np.arange(len(flow)))


def cash(plan: Plan) -> Figure:
    """What is paid each year (bars), and its cumulated present value (line)."""
    years = list(range(len(plan.cash_flow_eur)))
    bars = [
        {
            "type": "bar",
            "name": escape(name),
            "x": years,
            "y": np.round(values, 2).tolist(),
            "marker": {"color": _CASH_COLOURS.get(name, PALETTE[place % len(PALETTE)])},
            "hovertemplate": f"{escape(name)}, year %{{x}}: %{{y:,.0f}} EUR<extra></extra>",
        }
        for place, (name, values) in enumerate(plan.payments_eur.items())
        if any(values)
    ]
    line = {
        "type": "scatter",
        "name": "present value so far",
        "x": years,
        "y": np.round(discounted(plan), 2).tolist(),
        "line": {"color": INK, "width": 2},
        "hovertemplate": "present value up to year %{x}: %{y:,.0f} EUR<extra></extra>",
    }
    return {
        "data": [*bars, line],
        "layout": layout(
            400,
            barmode="relative",
            xaxis={"title": {"text": "year"}},
            yaxis={"title": {"text": "EUR"}, "tickformat": "~s"},
        ),
    }


_CASH_COLOURS = {
    "investment": "#3d5a80",
    "replacement": "#6d8db5",
    "rest value": "#a9bfd8",
    "upkeep": "#9aa3aa",
    "electricity bought": IMPORT,
    "electricity sold": EXPORT,
}
