"""A district's baseline in an event, from the hours, event days and holidays that are known (§7)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from certifier import market_tables as tables
from certifier.boundary import Boundaries
from contracts.baseline import (
    LOOK_BACK_DAYS,
    Baseline,
    EventInvalid,
    History,
    compute_baseline,
)
from contracts.hour import day_of, day_of_hour, first_hour
from contracts.response import BaselineMethod
from contracts.settlement import CertifiedHour

Day = Callable[[int], Sequence[CertifiedHour]]
"""The 24 hours of a day."""


def event_baseline(
    connection: Connection, event: Row[Any], district_id: str, day_hours: Day, boundaries: Boundaries
) -> Baseline | None:
    """The baseline of a district in an event; None for an event that has none by its own terms."""
    opened_s, hours = event.opened_at, range(event.start_hour, event.start_hour + event.hour_count)
    open_day = day_of(opened_s)
    known: dict[int, int] = {}
    # A window of the same-day adjustment may lie on the day before the earliest of the 45.
    for day in range(open_day - LOOK_BACK_DAYS - 1, open_day + 1):
        for place, hour in enumerate(day_hours(day)):
            if hour.complete:
                known[first_hour(day) + place] = -hour.net_export_wh
    versions = boundaries.versions(district_id)
    history = History(
        known,
        versions[0].from_day if versions else open_day + 1,
        frozenset(event_days(connection, district_id, opened_s)),
        frozenset(connection.execute(select(tables.holidays.c.day)).scalars()),
    )
    method = next(kind for kind in BaselineMethod if kind.label == event.method)
    try:
        return compute_baseline(history, method, event.increase, hours, opened_s)
    except EventInvalid:
        return None


def event_days(connection: Connection, district_id: str, decided_by_s: int) -> list[int]:
    """Days of events that a district enrolled in, not withdrawn, whose enrolment was over by then."""
    opened, enrolled, ends = tables.response_events, tables.enrolments, tables.response_ends
    hours = connection.execute(
        select(opened.c.start_hour)
        .join(enrolled, enrolled.c.event_id == opened.c.event_id)
        .outerjoin(ends, (ends.c.event_id == opened.c.event_id) & (ends.c.kind == "withdrawn"))
        .where(enrolled.c.district_id == district_id, ends.c.kind.is_(None))
        .where(opened.c.enrol_until < decided_by_s)
    ).scalars()
    return [day_of_hour(hour) for hour in hours]


def claimed_wh(connection: Connection, district_id: str, hour: int) -> int:
    """What of an hour is declared for external certificates or was delivered in trades, Wh."""
    table = tables.claims
    newest: dict[str, int] = {}
    for row in connection.execute(
        select(table.c.kind, table.c.energy_wh)
        .where(table.c.district_id == district_id, table.c.hour == hour)
        .where(table.c.kind.in_(("external", "delivery")))
        .order_by(table.c.block_number, table.c.log_index)
    ):
        newest[row.kind] = row.energy_wh
    return sum(newest.values())
