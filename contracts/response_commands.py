"""The `ped dr` commands of `contracts`; `scripts.command_line` joins them with the others.

What a command needs is imported when it runs: a baseline takes less time than all of `contracts` loads.
"""

import json
import sys
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contracts.event_commands import add_commands

if TYPE_CHECKING:
    from contracts.baseline import Baseline

commands = typer.Typer()
dr = typer.Typer(help="Demand response.", no_args_is_help=True)
commands.add_typer(dr, name="dr")


class Method(StrEnum):
    """How the baseline is made."""

    TEN_OF_TEN = "10_of_10"
    HIGH_FIVE_OF_TEN = "high_5_of_10"


class Direction(StrEnum):
    """What the event asks for."""

    REDUCE = "reduce"
    INCREASE = "increase"


add_commands(dr)


@dr.command()
def baseline(
    history: Annotated[
        Path,
        typer.Argument(
            help="Hourly CSV with the columns time_utc (start of the hour, ISO 8601), import_wh and "
            "export_wh (or net_import_wh), and optionally complete and event_day (true or false). Hours "
            "without a row are not complete; days before the first row do not count.",
            metavar="HISTORY.csv",
        ),
    ],
    event: Annotated[
        str,
        typer.Option(
            help="The event's hours as ISO 8601 interval, end excluded: 2026-01-15T17:00Z/2026-01-15T19:00Z.",
            metavar="START/END",
        ),
    ],
    opened: Annotated[
        str, typer.Option(help="When the event was opened (ISO 8601): no later hour counts.", metavar="TIME")
    ],
    method: Annotated[Method, typer.Option(help="How the baseline is made.")] = Method.TEN_OF_TEN,
    direction: Annotated[
        Direction, typer.Option(help="Less net import than the baseline, or more.")
    ] = Direction.REDUCE,
    holiday: Annotated[
        list[str] | None, typer.Option(help="A holiday, ISO 8601; repeatable.", metavar="DATE")
    ] = None,
    holidays: Annotated[
        Path | None, typer.Option(help="File with one holiday (ISO 8601) per line.", metavar="FILE")
    ] = None,
    event_day: Annotated[
        list[str] | None,
        typer.Option(help="A day with an event that the district took part in; repeatable.", metavar="DATE"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> None:
    """Compute a district's baseline for an event from its metered hours, exactly as the contract does.

    Ends with 1 when the file or an option is not valid; a district without a baseline is an answer.
    """
    from contracts.baseline import EventInvalid, compute_baseline
    from contracts.hour import TimeInvalid, parse_day, parse_time_utc
    from contracts.metered_history import HistoryInvalid, read_days, read_history
    from contracts.response import BaselineMethod

    try:
        hours = _hours(event)
        opened_s = parse_time_utc(opened)
        rest_days = frozenset(map(parse_day, holiday or ())) | (
            read_days(holidays) if holidays else frozenset()
        )
        known = read_history(history, frozenset(map(parse_day, event_day or ())), rest_days)
        number = BaselineMethod[method.name]
        found = compute_baseline(known, number, direction is Direction.INCREASE, hours, opened_s)
    except (EventInvalid, HistoryInvalid, TimeInvalid, OSError) as problem:
        sys.exit(f"ped dr baseline: {problem}")
    document = _document(found, method, direction, hours, opened_s)
    if as_json:
        typer.echo(json.dumps(document))
    else:
        _show(found, document)


def _hours(event: str) -> range:
    """The hours of an interval. Raises EventInvalid or TimeInvalid."""
    from contracts.baseline import EventInvalid
    from contracts.hour import parse_hour_utc

    start, slash, end = event.partition("/")
    if not slash:
        raise EventInvalid(
            f"--event {event!r} is no interval; write START/END, "
            "for example 2026-01-15T17:00Z/2026-01-15T19:00Z"
        )
    return range(parse_hour_utc(start), parse_hour_utc(end))


def _document(
    found: "Baseline", method: Method, direction: Direction, hours: range, opened_s: int
) -> dict[str, Any]:
    from contracts.hour import format_day, format_hour_utc, format_time_utc

    adjustment = found.adjustment_wh
    return {
        "method": method,
        "direction": direction,
        "event_start_utc": format_hour_utc(hours[0]),
        "event_end_utc": format_hour_utc(hours[-1] + 1),
        "opened_utc": format_time_utc(opened_s),
        "hours_utc": [format_hour_utc(hour) for hour in hours],
        "days_used": [format_day(day) for day in found.days],
        "baseline_wh": None if found.baseline_wh is None else list(found.baseline_wh),
        "adjustment_wh": None if adjustment is None else float(adjustment),
        "adjustment_wh_exact": None if adjustment is None else str(adjustment),
        "reason": found.reason,
    }


def _show(found: "Baseline", document: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, highlight=False)
    if found.baseline_wh is None:
        console.print(f"No baseline: {found.reason}. Nothing would be paid.")
        return
    table = Table("day", *(f"{hour[11:16]} UTC" for hour in document["hours_utc"]))
    for column in table.columns[1:]:
        column.justify = "right"
    for name, day, values in zip(document["days_used"], found.days, found.values_wh, strict=True):
        marks = ("*" if (day, place) in found.replaced else "" for place in range(len(values)))
        table.add_row(name, *(f"{value:,}{mark}" for value, mark in zip(values, marks, strict=True)))
    table.add_section()
    table.add_row("mean", *map(_decimal, found.means_wh))
    adjustment = found.adjustment_wh
    if adjustment is not None:
        table.add_row("adjustment", *[_decimal(adjustment)] * len(found.means_wh))
    table.add_row("baseline", *(f"{value:,}" for value in found.baseline_wh))
    console.print(f"Net import (import - export) in Wh, {document['method']}, to {document['direction']}:")
    console.print(table)
    rounding = "up" if document["direction"] is Direction.INCREASE else "down"
    term = "mean" if adjustment is None else "mean + same-day adjustment (at most a fifth of the mean size)"
    console.print(
        f"baseline = {term}, rounded {rounding}. "
        f"Hours that ended after {document['opened_utc']} do not count."
    )
    if adjustment is None:
        console.print("No same-day adjustment: the event was opened before its window had ended.")
    if found.replaced:
        console.print("* Not complete: the least favourable complete value of that clock hour in 45 days.")


def _decimal(value: Fraction) -> str:
    """Two decimals, for reading only."""
    return f"{float(value):,.2f}"


if __name__ == "__main__":
    commands(prog_name="ped")
