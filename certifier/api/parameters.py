"""Query parameters: times, spans of days and hours, cursors, format. Bad values raise ParameterInvalid."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query, Request

from certifier.api.problems import ParameterInvalid
from contracts.hour import DAY_S, HOUR_S, TimeInvalid, parse_day, parse_time_utc

MAX_LIMIT = 1000
MAX_DAYS = 1100
MAX_HOURS = 24 * 366

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Most items of the page")]
Cursor = Annotated[
    str | None, Query(description="`next_cursor` of the page before; absent for the first", max_length=64)
]
From = Annotated[
    str | None,
    Query(alias="from", description="First day or time, ISO 8601 UTC", examples=["2019-01-01"]),
]
To = Annotated[
    str | None, Query(description="First day or time that is not part of it", examples=["2019-02-01"])
]
Format = Annotated[
    Literal["json", "csv"] | None, Query(alias="format", description="Without it the Accept header decides")
]


def wants_csv(request: Request, chosen: str | None) -> bool:
    """Whether the answer is CSV: by `format`, or else by Accept."""
    if chosen is None:
        return "text/csv" in request.headers.get("accept", "")
    return chosen == "csv"


def time_of(name: str, value: str) -> int:
    """Unix seconds of a day or of a time with an offset; a `+` that arrived as a space is mended."""
    text = value.replace(" ", "+") if "T" in value else value
    try:
        time_s = parse_time_utc(text) if "T" in text else parse_day(text) * DAY_S
    except (TimeInvalid, OverflowError) as problem:
        raise ParameterInvalid(name, value, f"{name}: {problem}") from None
    if time_s < 0:
        raise ParameterInvalid(name, value, f"{name} {value!r} lies before 1970")
    return time_s


def optional_time(name: str, value: str | None) -> int | None:
    """Unix seconds, or None when not given."""
    return None if value is None else time_of(name, value)


def span_of_days(from_: str | None, to: str | None, default: tuple[int, int]) -> tuple[int, int]:
    """Days `[from, to)`; what is not given comes from `default`."""
    first = default[0] if from_ is None else _whole("from", from_, DAY_S, "day")
    end = default[1] if to is None else _whole("to", to, DAY_S, "day")
    _require_span(from_, to, end - first, MAX_DAYS, "days")
    return first, end


def span_of_hours(from_: str | None, to: str | None, default: tuple[int, int]) -> tuple[int, int]:
    """Hours `[from, to)`; what is not given comes from `default`."""
    first = default[0] if from_ is None else _whole("from", from_, HOUR_S, "hour")
    end = default[1] if to is None else _whole("to", to, HOUR_S, "hour")
    _require_span(from_, to, end - first, MAX_HOURS, "hours")
    return first, end


def _whole(name: str, value: str, unit_s: int, unit: str) -> int:
    time_s = time_of(name, value)
    if time_s % unit_s:
        raise ParameterInvalid(name, value, f"{name} {value!r} is not the start of a UTC {unit}")
    return time_s // unit_s


def _require_span(from_: str | None, to: str | None, length: int, most: int, unit: str) -> None:
    given = f"from {from_ or 'the default'} to {to or 'the default'}"
    if length < 0:
        raise ParameterInvalid("to", str(to), f"{given} runs backwards")
    if length > most:
        raise ParameterInvalid(
            "to", str(to), f"{given} are {length} {unit}; ask for at most {most} at a time"
        )


def place_of(cursor: str | None) -> tuple[int, int] | None:
    """Block and log of a cursor `block-log`."""
    if cursor is None:
        return None
    block, _, log = cursor.partition("-")
    if not (block.isascii() and block.isdigit() and log.isascii() and log.isdigit()) or len(cursor) > 30:
        raise ParameterInvalid("cursor", cursor, f"cursor {cursor!r} is none that this API gave out")
    place = int(block), int(log)
    if max(place) >= 2**31:
        raise ParameterInvalid("cursor", cursor, f"cursor {cursor!r} is none that this API gave out")
    return place


def number_of(cursor: str | None) -> int | None:
    """Number in a cursor."""
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdigit()) or len(cursor) > 18:
        raise ParameterInvalid("cursor", cursor, f"cursor {cursor!r} is none that this API gave out")
    return int(cursor)
