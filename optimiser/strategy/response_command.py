"""`ped advise response`: how much of a demand-response event to enrol, with the reasons."""

import json
from pathlib import Path
from typing import Annotated

import typer

from contracts.baseline import EventInvalid, History
from contracts.hour import HOUR_S, TimeInvalid, day_of_hour, parse_day, parse_hour_utc, parse_time_utc
from optimiser.balances import BalancesInvalid
from optimiser.command_errors import errors_in_words
from optimiser.forecast import HistoryInvalid
from optimiser.strategy.flexible import flexible_wh, read_devices
from optimiser.strategy.foreseen import foresee
from optimiser.strategy.hours import Hours
from optimiser.strategy.market_view import fetch_position, fetch_terms
from optimiser.strategy.reason import AdviceInvalid, parse_shortfall
from optimiser.strategy.response import SCENARIO_LEVELS, Event, advise_response
from optimiser.strategy.source import (
    fetch_event,
    fetch_recent,
    fetch_special_days,
    method_of,
    now_s,
    open_client,
    read_hours,
)

_EXPECTED = (AdviceInvalid, BalancesInvalid, EventInvalid, HistoryInvalid, TimeInvalid, OSError)


def response_command(
    district: Annotated[str, typer.Argument(help="District that would enrol.", metavar="DISTRICT")],
    devices: Annotated[
        Path,
        typer.Option(
            help="TOML with a [[device]] for each: name, power_kw, hours (how long at that power), and "
            "optionally kind and available_share.",
            metavar="DEVICES.toml",
        ),
    ],
    event: Annotated[
        str,
        typer.Option(
            help="With --certifier the event's number; else START/END: 2026-01-15T17:00Z/2026-01-15T19:00Z."
        ),
    ],
    hours: Annotated[
        Path | None,
        typer.Option(
            help="CSV, a row per hour: time_utc, import_wh, export_wh (or net_import_wh), complete.",
            metavar="HOURS.csv",
        ),
    ] = None,
    certifier: Annotated[
        str | None, typer.Option(help="URL of a certifier, instead of a file.", metavar="URL")
    ] = None,
    price: Annotated[int, typer.Option(help="Pay, micro-euro per kWh (with a file).")] = 0,
    penalty: Annotated[int, typer.Option(help="Penalty, micro-euro per kWh (with a file).")] = 0,
    requested: Annotated[int, typer.Option(help="Asked for, Wh per hour (with a file).")] = 2**32 - 1,
    increase: Annotated[bool, typer.Option("--increase", help="More net import, not less.")] = False,
    method: Annotated[str, typer.Option(help="10_of_10 or high_5_of_10 (with a file).")] = "10_of_10",
    opened: Annotated[
        str | None, typer.Option(help="When the event was opened, ISO 8601 (with a file); default: now.")
    ] = None,
    event_day: Annotated[
        list[str] | None, typer.Option(help="Day of an earlier event; repeatable (with a file).")
    ] = None,
    holiday: Annotated[list[str] | None, typer.Option(help="A holiday; repeatable (with a file).")] = None,
    shortfall: Annotated[
        str, typer.Option(help="Accepted probability of delivering less in an hour.")
    ] = "0.1",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on one line.")] = False,
) -> None:
    """Enrol only what the forecast can deliver. Sends nothing."""
    with errors_in_words(*_EXPECTED):
        short = parse_shortfall(shortfall)
        sold: dict[int, int] = {}
        sensitivity_wh = 100
        if hours is not None and certifier is None:
            known, _ = read_hours(hours)
            asked = Event(
                _span(event),
                now_s() if opened is None else parse_time_utc(opened),
                increase,
                method_of(method),
                requested,
                price,
                penalty,
            )
            special = _days(event_day), _days(holiday)
        elif hours is None and certifier is not None:
            with open_client(certifier) as client:
                asked = fetch_event(client, _number(event))
                known = fetch_recent(client, district, min(now_s(), asked.hours[0] * HOUR_S))
                special = fetch_special_days(client, district)
                sensitivity_wh = fetch_terms(client).sensitivity_wh
                position = fetch_position(client, district, asked.hours[0], asked.hours[-1] + 1)
            for (hour, _), quantity_wh in position.sold_wh.items():
                sold[hour] = sold.get(hour, 0) + quantity_wh
        else:
            raise AdviceInvalid("give --hours FILE or --certifier URL")
        known = known.before(asked.hours[0])
        levels = (*SCENARIO_LEVELS, float(short), float(1 - short))
        advice = advise_response(
            district,
            asked,
            _history(known, *special),
            foresee(known, asked.hours[-1], levels),
            flexible_wh(read_devices(devices), len(asked.hours)),
            shortfall=short,
            sensitivity_wh=sensitivity_wh,
            sold_wh=sold,
        )
    if as_json:
        typer.echo(json.dumps(advice.to_json()))
        return
    for reason in advice.reasons:
        typer.echo(f"- {reason}")
    typer.echo(
        f"Enrol {advice.capacity_wh} Wh per hour." if advice.capacity_wh else "Do not enrol in this event."
    )


def _history(hours: Hours, event_days: frozenset[int], holidays: frozenset[int]) -> History:
    complete = {
        number: hour.net_import_wh
        for number, hour in hours.by_number.items()
        if hour.net_import_wh is not None
    }
    return History(complete, day_of_hour(min(hours.by_number)), event_days, holidays)


def _span(text: str) -> range:
    start, slash, end = text.partition("/")
    if not slash:
        raise AdviceInvalid(f"event {text!r}; with --hours write it as START/END, end excluded")
    return range(parse_hour_utc(start), parse_hour_utc(end))


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise AdviceInvalid(f"event {text!r}; with --certifier give the event's number")
    return int(text)


def _days(texts: list[str] | None) -> frozenset[int]:
    return frozenset(parse_day(text) for text in texts or [])
