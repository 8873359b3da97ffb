"""Where advice takes its data from: a CSV of hours, or a certifier's API."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2

from contracts.hour import day_of_hour, first_hour, parse_day, parse_hour_utc, parse_time_utc
from contracts.response import BaselineMethod
from optimiser.balances import FETCH_TIMEOUT_S, fetch_hours
from optimiser.strategy.hours import Hours, parse_hours
from optimiser.strategy.market_view import Position, Terms, fetch_position, fetch_terms, get_json
from optimiser.strategy.reason import AdviceInvalid
from optimiser.strategy.response import Event

HISTORY_DAYS = 120
"""Enough for similar days, 60 days of forecast errors and 45 days of baselines."""


def now_s() -> int:
    """Unix seconds."""
    return int(datetime.now(UTC).timestamp())


def open_client(url: str) -> httpx2.Client:
    """A client of the certifier at `url`."""
    return httpx2.Client(base_url=url, timeout=FETCH_TIMEOUT_S)


def read_hours(path: Path) -> tuple[Hours, str]:
    """The hours of a file, and its text. Raises AdviceInvalid, OSError."""
    text = path.read_text("utf-8-sig")
    return parse_hours(text, str(path)), text


def fetch_recent(client: httpx2.Client, district_id: str, at_s: int) -> Hours:
    """The newest hours that the certifier has at `at_s`. Raises BalancesInvalid, AdviceInvalid."""
    today = datetime.fromtimestamp(at_s, UTC).date()
    text = fetch_hours(client, district_id, today - timedelta(days=HISTORY_DAYS), today)
    return parse_hours(text, f"{client.base_url}: hours of {district_id}")


def fetch_market(
    client: httpx2.Client, district_id: str, known_until: date, end: int
) -> tuple[Terms, Position]:
    """Terms, and the position from the first day without a known balance on. Raises AdviceInvalid."""
    first = first_hour(parse_day(known_until.isoformat()))
    return fetch_terms(client), fetch_position(client, district_id, first, end)


def fetch_event(client: httpx2.Client, event_id: int) -> Event:
    """An event as the certifier shows it. Raises AdviceInvalid."""
    found = get_json(client, f"/v1/events/{event_id}")
    return Event(
        range(parse_hour_utc(found["start_time_utc"]), parse_hour_utc(found["end_time_utc"])),
        parse_time_utc(found["opened_time_utc"]),
        found["direction"] == "increase",
        method_of(found["method"]),
        found["requested_wh"],
        found["price_micro_eur_per_kwh"],
        found["penalty_micro_eur_per_kwh"],
    )


def fetch_special_days(client: httpx2.Client, district_id: str) -> tuple[frozenset[int], frozenset[int]]:
    """Days of events that the district enrolled in, and holidays. Raises AdviceInvalid."""
    enrolled = _items(client, f"/v1/districts/{quote(district_id, safe='')}/enrolments")
    events = (get_json(client, f"/v1/events/{item['event_id']}") for item in enrolled)
    days = {
        day_of_hour(parse_hour_utc(event["start_time_utc"]))
        for event in events
        if event["state"] != "withdrawn"
    }
    holidays = _items(client, "/v1/market/holidays")
    return frozenset(days), frozenset(parse_day(item["day"]) for item in holidays)


def _items(client: httpx2.Client, path: str) -> list[dict[str, Any]]:
    return list(get_json(client, path)["items"])


def method_of(label: str) -> BaselineMethod:
    """The method of a name such as `10_of_10`. Raises AdviceInvalid."""
    found = next((method for method in BaselineMethod if method.label == label), None)
    if found is None:
        names = ", ".join(method.label for method in BaselineMethod)
        raise AdviceInvalid(f"method {label!r} is unknown; one of {names}")
    return found
