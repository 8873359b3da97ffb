"""Routes of demand response: events, enrolments, live progress, settlement statements (domain.md §7)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from certifier import districts, response_queries
from certifier.api import answers
from certifier.api.context import Read
from certifier.api.parameters import Cursor, Format, Limit, number_of
from certifier.api.problems import DOCUMENTED
from certifier.market_views import Enrolment, ResponseEvent, ResponseHour, ResponseStatementLine

router = APIRouter(prefix="/v1", tags=["demand response"], responses=DOCUMENTED)

EventId = Annotated[int, Path(ge=0, lt=2**63)]


@router.get("/events", response_model=answers.Page[ResponseEvent], responses=answers.CSV_DOCUMENTED)
def list_events(
    request: Request,
    connection: Read,
    zone: Annotated[str | None, Query(description="Only events of this zone")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
    format_: Format = None,
) -> Response:
    """Demand-response events, the newest first."""
    items = response_queries.response_events(connection, number_of(cursor), limit + 1, zone)
    following = str(items[limit - 1].event_id) if len(items) > limit else None
    return answers.page(request, connection, ResponseEvent, items[:limit], format_, following)


@router.get("/events/{event_id}", response_model=ResponseEvent)
def show_event(connection: Read, event_id: EventId) -> Response:
    """One event."""
    return answers.one(connection, response_queries.response_event(connection, event_id))


@router.get(
    "/events/{event_id}/enrolments",
    response_model=answers.Page[Enrolment],
    responses=answers.CSV_DOCUMENTED,
)
def list_enrolments(
    request: Request, connection: Read, event_id: EventId, format_: Format = None
) -> Response:
    """Districts that enrolled, with what came of it."""
    response_queries.event_row(connection, event_id)
    items = response_queries.enrolments(connection, event_id)
    return answers.page(request, connection, Enrolment, items, format_)


@router.get(
    "/events/{event_id}/progress",
    response_model=answers.Page[ResponseHour],
    responses=answers.CSV_DOCUMENTED,
)
def list_progress(
    request: Request,
    connection: Read,
    event_id: EventId,
    district: Annotated[str | None, Query(description="Only this district")] = None,
    format_: Format = None,
) -> Response:
    """Hour by hour the net import of each enrolled district against its baseline, live."""
    items = response_queries.progress(connection, event_id, district)
    return answers.page(request, connection, ResponseHour, items, format_)


@router.get(
    "/events/{event_id}/statement",
    response_model=answers.Page[ResponseStatementLine],
    responses=answers.CSV_DOCUMENTED,
)
def list_event_statement(
    request: Request, connection: Read, event_id: EventId, format_: Format = None
) -> Response:
    """The event's settlement: energy, remuneration, penalty and deposit of each paid district."""
    items = response_queries.statement(connection, event_id)
    return answers.page(request, connection, ResponseStatementLine, items, format_)


@router.get(
    "/districts/{district_id}/enrolments",
    response_model=answers.Page[Enrolment],
    responses=answers.CSV_DOCUMENTED,
)
def list_district_enrolments(
    request: Request, connection: Read, district_id: str, format_: Format = None
) -> Response:
    """Events that a district enrolled in, with what came of each."""
    districts.require_district(connection, district_id)
    items = response_queries.enrolments(connection, district_id=district_id)
    return answers.page(request, connection, Enrolment, items, format_)
