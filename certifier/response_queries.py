"""Reads of demand response: events, enrolments, progress against the baseline, statements (domain.md §7)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, func, select

from certifier import market_tables as tables
from certifier import store
from certifier.districts import owner_of
from certifier.market_queries import now_s
from certifier.market_views import Enrolment, ResponseEvent, ResponseHour, ResponseStatementLine
from certifier.progress import preview
from certifier.queries import NotFound, organisation_name, to_time
from contracts.hour import hour_start


def response_events(
    connection: Connection, before_id: int | None = None, limit: int | None = None, zone: str | None = None
) -> list[ResponseEvent]:
    """Events, the newest first; `before_id` continues a page."""
    table = tables.response_events
    query = select(table).order_by(table.c.event_id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(table.c.event_id < before_id)
    if zone is not None:
        query = query.where(table.c.zone == zone)
    return [_event(connection, row) for row in connection.execute(query)]


def response_event(connection: Connection, event_id: int) -> ResponseEvent:
    """One event. Raises NotFound."""
    return _event(connection, event_row(connection, event_id))


def event_row(connection: Connection, event_id: int) -> Row[Any]:
    """The fact that opened an event. Raises NotFound."""
    table = tables.response_events
    row = None
    if event_id < 2**63:
        row = connection.execute(select(table).where(table.c.event_id == event_id)).one_or_none()
    if row is None:
        raise NotFound("demand-response event", event_id)
    return row


def _event(connection: Connection, row: Row[Any]) -> ResponseEvent:
    ends, enrolled = tables.response_ends, tables.enrolments
    end = connection.execute(select(ends).where(ends.c.event_id == row.event_id)).first()
    number, capacity_wh = connection.execute(
        select(func.count(), func.coalesce(func.sum(enrolled.c.capacity_wh), 0)).where(
            enrolled.c.event_id == row.event_id
        )
    ).one()
    return ResponseEvent.model_validate(
        {
            **row._mapping,
            "operator_organisation_id": row.operator_org,
            "operator_organisation": organisation_name(connection, row.operator_org),
            "direction": "increase" if row.increase else "reduce",
            "start_time_utc": to_time(hour_start(row.start_hour)),
            "end_time_utc": to_time(hour_start(row.start_hour + row.hour_count)),
            "enrol_until_utc": to_time(row.enrol_until),
            "opened_time_utc": to_time(row.opened_at),
            "spent_micro_eur": end.spent_micro_eur if end and end.kind == "settled" else None,
            "returned_micro_eur": end.returned_micro_eur if end and end.kind == "settled" else None,
            "enrolled_districts": number,
            "enrolled_wh": int(capacity_wh),
            "state": _state(connection, row, end, number),
        }
    )


def _state(connection: Connection, row: Row[Any], end: Row[Any] | None, enrolled: int) -> str:
    if end is not None:
        return str(end.kind)
    now = now_s(connection)
    if now <= row.enrol_until:
        return "open"
    if now < hour_start(row.start_hour):
        return "committed"
    if now < hour_start(row.start_hour + row.hour_count):
        return "running"
    measured = connection.execute(
        select(func.count(tables.measured_hours.c.district_id.distinct())).where(
            tables.measured_hours.c.event_id == row.event_id
        )
    ).scalar_one()
    return "measured" if enrolled and measured == enrolled else "over"


def enrolments(
    connection: Connection, event_id: int | None = None, district_id: str | None = None
) -> list[Enrolment]:
    """Enrolments of an event, or of a district, in the order in which they came."""
    table, hours, paid = tables.enrolments, tables.measured_hours, tables.response_payments
    query = (
        select(table, store.blocks.c.time)
        .join(store.blocks, store.blocks.c.block_number == table.c.block_number)
        .order_by(table.c.block_number, table.c.log_index)
    )
    if event_id is not None:
        query = query.where(table.c.event_id == event_id)
    if district_id is not None:
        query = query.where(table.c.district_id == district_id)
    found = []
    for row in connection.execute(query).all():
        response_wh = connection.execute(
            select(func.sum(hours.c.response_wh)).where(
                hours.c.event_id == row.event_id, hours.c.district_id == row.district_id
            )
        ).scalar()
        payment = connection.execute(
            select(paid).where(paid.c.event_id == row.event_id, paid.c.district_id == row.district_id)
        ).one_or_none()
        found.append(
            Enrolment.model_validate(
                {
                    **row._mapping,
                    "enrolled_time_utc": to_time(row.time),
                    "response_wh": None if response_wh is None else int(response_wh),
                    "remuneration_micro_eur": payment and payment.remuneration_micro_eur,
                    "penalty_micro_eur": payment and payment.penalty_micro_eur,
                    "deposit_returned_micro_eur": payment and payment.deposit_returned_micro_eur,
                }
            )
        )
    return found


def progress(connection: Connection, event_id: int, district_id: str | None = None) -> list[ResponseHour]:
    """Hour by hour what each enrolled district does against its baseline. Raises NotFound.

    Once the contract has measured a district its figures are shown; before, our own from the records so far.
    """
    event = event_row(connection, event_id)
    rules = connection.execute(select(tables.market_terms)).one_or_none()
    found: list[ResponseHour] = []
    for entry in enrolments(connection, event_id, district_id):
        table = tables.measured_hours
        measured = connection.execute(
            select(table)
            .where(table.c.event_id == event_id, table.c.district_id == entry.district_id)
            .order_by(table.c.hour)
        ).all()
        if measured:
            found += [_measured_hour(connection, entry, row) for row in measured]
        else:
            sensitivity_wh = 0 if rules is None else rules.sensitivity_wh
            found += preview(connection, event, entry, sensitivity_wh, now_s(connection))
    return found


def _measured_hour(connection: Connection, entry: Enrolment, row: Row[Any]) -> ResponseHour:
    complete = connection.execute(
        select(store.hours.c.hour).where(
            store.hours.c.district_id == entry.district_id,
            store.hours.c.hour == row.hour,
            store.hours.c.measured == store.hours.c.open_points,
            store.hours.c.members == store.hours.c.registered_members,
            store.hours.c.tainted == 0,
        )
    ).scalar()
    return ResponseHour(
        event_id=entry.event_id,
        district_id=entry.district_id,
        start_time_utc=to_time(hour_start(row.hour)),
        capacity_wh=entry.capacity_wh,
        baseline_wh=row.baseline_wh,
        measured_wh=row.measured_wh,
        complete=complete is not None,
        response_wh=row.response_wh,
        final=True,
    )


def statement(connection: Connection, event_id: int) -> list[ResponseStatementLine]:
    """What each paid district delivered and got for it. Raises NotFound."""
    event = event_row(connection, event_id)
    paid, enrolled, hours = tables.response_payments, tables.enrolments, tables.measured_hours
    found = []
    rows = connection.execute(
        select(paid, store.blocks.c.time, enrolled.c.capacity_wh, enrolled.c.deposit_micro_eur)
        .join(store.blocks, store.blocks.c.block_number == paid.c.block_number)
        .join(
            enrolled,
            (enrolled.c.event_id == paid.c.event_id) & (enrolled.c.district_id == paid.c.district_id),
        )
        .where(paid.c.event_id == event_id)
        .order_by(paid.c.block_number, paid.c.log_index)
    ).all()
    for row in rows:
        delivered_wh = connection.execute(
            select(func.coalesce(func.sum(hours.c.response_wh), 0)).where(
                hours.c.event_id == event_id, hours.c.district_id == row.district_id
            )
        ).scalar_one()
        found.append(
            ResponseStatementLine.model_validate(
                {
                    **row._mapping,
                    "organisation_id": owner_of(connection, row.district_id),
                    "enrolled_wh": row.capacity_wh * event.hour_count,
                    "delivered_wh": int(delivered_wh),
                    "net_micro_eur": row.remuneration_micro_eur - row.penalty_micro_eur,
                    "paid_time_utc": to_time(row.time),
                }
            )
        )
    return found
