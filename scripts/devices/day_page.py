"""The page of the dispatch day: proposed against done, device by device, in one file without network."""

from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from contracts.hour import HOUR_S, HOURS_PER_DAY, format_day, format_time_utc, parse_time_utc
from scripts.devices.day import START_S, DayResult
from scripts.devices.simulated import INTERVAL_S
from scripts.page import page_head

ASKED, DONE, SAFE, GRID = "#1f5fa8", "#e08214", "#9a9a9a", "#4d4d4d"
MOST_OFF_W: Final = 50
"""A difference above this is listed: it is more than rounding to whole Wh."""


def governing(setpoints: Sequence[dict[str, Any]], device: str) -> list[dict[str, Any]]:
    """The set-points that held in the end, by time."""
    return [row for row in setpoints if row["device"] == device and row["state"] != "superseded"]


def summarise(result: DayResult) -> list[dict[str, Any]]:
    """Per device: hours under proposals and under the safe schedule, energies, and how far done was off."""
    rows = []
    for device in result.done:
        held = governing(result.setpoints, device)
        off = [abs(row["difference_w"]) for row in held if row["difference_w"] is not None]
        rows.append(
            {
                "device": device,
                "proposed": sum(row["source"] == "proposal" for row in held),
                "safe": sum(row["source"] == "safe" for row in held),
                "acknowledged": sum(row["acknowledged_utc"] is not None for row in held),
                "compared": len(off),
                "asked_kwh": sum(row["setpoint_w"] for row in held) / 1000,
                "done_kwh": sum(row["done_w"] or 0 for row in held) / 1000,
                "mean_off_w": sum(off) / len(off) if off else 0.0,
                "within": sum(value <= MOST_OFF_W for value in off),
            }
        )
    return rows


def write_page(result: DayResult, path: Path) -> None:
    """Write the page."""
    lines = [page_head("Dispatch day"), f"<h1>One day of dispatch: {format_day(START_S // 86_400)}</h1>"]
    lines.append(
        "<p>Every hour the optimiser plans 24 hours ahead from the devices' states and proposes set-points, "
        "signed; the gateway checks them and commands the devices over MQTT; the devices are physical models "
        "and post what they metered. From 20:00 to 23:00 the optimiser is silent: its last proposal ends at "
        "21:00, then the safe schedule holds. Positive power is drawn from the busbar. Load, generation and "
        "primary-energy factors: La Palma 2019; tariff, outdoor temperature and devices are assumed.</p>"
    )
    lines.append(_figure(result).to_html(full_html=False, include_plotlyjs=True))
    lines.append("<h2>Asked and done</h2>" + _summary_table(result))
    lines.append("<h2>Where done was not what was asked</h2>" + _difference_table(result))
    refusals = "".join(
        f"<li>{escape(entry['refused_utc'])}: {escape(entry['detail'])}</li>" for entry in result.refusals
    )
    lines.append(f"<h2>Refused proposals</h2><ul>{refusals}</ul>")
    plans = sorted(result.plan_ms)
    origins = ", ".join(f"{count} {origin}" for origin, count in Counter(result.sources).items())
    lines.append(
        f"<p>{len(result.proposals)} proposals accepted, {len(result.refusals)} refused; planned by: "
        f"{origins}. A step took {plans[len(plans) // 2]:.0f} ms (median), {plans[-1]:.0f} ms at most. "
        "Every proposal as it was signed is in <code>proposals/</code>, the comparison in "
        "<code>control.csv</code>.</p>"
        "</body></html>\n"
    )
    path.write_text("\n".join(lines), "utf-8")


def _figure(result: DayResult) -> go.Figure:
    devices = list(result.done)
    titles = [f"{device} (kW)" for device in devices] + ["district (kW)", "stored (kWh), room (°C)"]
    figure = make_subplots(len(titles), 1, shared_xaxes=True, subplot_titles=titles, vertical_spacing=0.045)
    for row, device in enumerate(devices, 1):
        starts = [format_time_utc(start_s + INTERVAL_S // 2) for start_s, _, _ in result.done[device]]
        powers = [power_w / 1000 for _, power_w, _ in result.done[device]]
        figure.add_bar(
            x=starts,
            y=powers,
            name="done (quarter-hours)",
            marker_color=DONE,
            marker_line_width=0,
            opacity=0.75,
            legendgroup="done",
            showlegend=row == 1,
            row=row,
            col=1,
        )
        for source, name, colour in (("proposal", "proposed", ASKED), ("safe", "safe schedule", SAFE)):
            times: list[str | None] = []
            asked: list[float | None] = []
            for held in governing(result.setpoints, device):
                if held["source"] == source:
                    times += [held["from_utc"], held["until_utc"], None]
                    asked += [held["setpoint_w"] / 1000] * 2 + [None]
            figure.add_scatter(
                x=times,
                y=asked,
                mode="lines",
                name=name,
                line={"color": colour, "width": 3},
                cliponaxis=False,
                legendgroup=source,
                showlegend=row == 1,
                row=row,
                col=1,
            )
    _district(figure, result, len(devices) + 1)
    _states(figure, result, len(devices) + 2)
    figure.update_layout(
        height=240 * len(titles),
        margin={"l": 50, "r": 20, "t": 30, "b": 110},
        template="plotly_white",
        bargap=0.0,
        legend={"orientation": "h", "y": -0.04},
    )
    return figure


def _district(figure: go.Figure, result: DayResult, row: int) -> None:
    inputs = result.inputs
    hours = [format_time_utc(START_S + hour * HOUR_S) for hour in range(HOURS_PER_DAY + 1)]
    load_kw = [inputs.truth(inputs.load_kw, hour) for hour in range(HOURS_PER_DAY)]
    pv_kw = [inputs.truth(inputs.pv_kw, hour) for hour in range(HOURS_PER_DAY)]
    flexible_kw = [0.0] * HOURS_PER_DAY
    for entries in result.done.values():
        for start_s, power_w, _ in entries:
            flexible_kw[(start_s - START_S) // HOUR_S] += power_w / 1000 * INTERVAL_S / HOUR_S
    grid_kw = [load - pv + flexible for load, pv, flexible in zip(load_kw, pv_kw, flexible_kw, strict=True)]
    for name, values, colour in (
        ("load", load_kw, "#8073ac"),
        ("generation", pv_kw, "#d8b365"),
        ("import (export below zero)", grid_kw, GRID),
    ):
        line = {"color": colour, "shape": "hv", "width": 2}
        figure.add_scatter(
            x=hours, y=[*values, values[-1]], mode="lines", name=name, line=line, row=row, col=1
        )


def _states(figure: go.Figure, result: DayResult, row: int) -> None:
    for device, entries in result.done.items():
        for unit, scale, label in (("_wh", 1000, "kWh"), ("_degc", 1, "°C")):
            for name in entries[0][2]:
                if name.endswith(unit) and not name.startswith("short"):
                    figure.add_scatter(
                        x=[format_time_utc(start_s + INTERVAL_S) for start_s, _, _ in entries],
                        y=[readout[name] / scale for _, _, readout in entries],
                        mode="lines",
                        name=f"{device} {name.removesuffix(unit)} ({label})",
                        row=row,
                        col=1,
                    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join(
        "<tr>"
        + "".join(
            f'<td class="words">{escape(cell)}</td>' if isinstance(cell, str) else f"<td>{cell}</td>"
            for cell in row
        )
        + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def _summary_table(result: DayResult) -> str:
    heads = (
        "device",
        "hours under proposals",
        "hours under safe schedule",
        "acknowledged",
        "asked kWh",
        "done kWh",
        "mean difference W",
        f"hours within {MOST_OFF_W} W",
    )
    return _table(
        heads,
        [
            (
                row["device"],
                row["proposed"],
                row["safe"],
                row["acknowledged"],
                round(row["asked_kwh"], 1),
                round(row["done_kwh"], 1),
                round(row["mean_off_w"]),
                row["within"],
            )
            for row in summarise(result)
        ],
    )


def _difference_table(result: DayResult) -> str:
    rows = [
        (
            row["device"],
            f"{parse_time_utc(row['from_utc']) % 86_400 // HOUR_S:02d}:00, {row['source']}",
            row["setpoint_w"],
            "none" if row["answer_w"] is None else row["answer_w"],
            row["done_w"],
            row["difference_w"],
            row["detail"],
        )
        for device in result.done
        for row in governing(result.setpoints, device)
        if row["difference_w"] is not None and abs(row["difference_w"]) > MOST_OFF_W
    ]
    heads = ("device", "from (UTC)", "asked W", "answered W", "done W", "difference W", "answer")
    why = (
        "<p>Devices clip what physics forbids. The heat pump runs by itself while the room is below the "
        "comfort band and the store is nearly empty: comfort comes before a set-point.</p>"
    )
    return why + _table(heads, rows) if rows else "<p>Nowhere.</p>"
