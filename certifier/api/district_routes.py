"""Routes of districts: hours, days, coverage, indicators."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import Connection, func, select

from certifier import districts, queries, store
from certifier.api import answers
from certifier.api.context import Read
from certifier.api.parameters import (
    Cursor,
    Format,
    From,
    Limit,
    To,
    number_of,
    span_of_days,
    span_of_hours,
)
from certifier.api.problems import DOCUMENTED
from certifier.indicators import RESOLUTIONS, indicators
from certifier.views import (
    Coverage,
    DayBalance,
    District,
    DistrictOverview,
    HourBalance,
    ImplausibleStorage,
    Indicator,
)
from contracts.hour import first_hour

router = APIRouter(prefix="/v1/districts", tags=["districts"], responses=DOCUMENTED)
DEFAULT_DAYS = 7
YEAR_DAYS = 365

AssessmentId = Annotated[
    str | None,
    Query(
        alias="assessment",
        description="Assessment whose balance is shown; default: that of the certificate, or the first",
    ),
]


def _known_days(connection: Connection, district_id: str, most: int) -> tuple[int, int]:
    """The last `most` days for which anything is recorded. Raises NotFound for an unknown district."""
    districts.require_district(connection, district_id)
    table = store.hours
    row = connection.execute(
        select(func.min(table.c.day).label("first"), func.max(table.c.day).label("last")).where(
            table.c.district_id == district_id, table.c.recorded > 0
        )
    ).one()
    return (0, 0) if row.last is None else (max(row.first, row.last + 1 - most), row.last + 1)


def _assessment_of(connection: Connection, district_id: str, assessment_id: str | None) -> str | None:
    """The assessment asked for, which must be one of the district's, or the default one. Raises NotFound."""
    if assessment_id is None:
        return districts.main_assessment_id(connection, district_id)
    if queries.assessment_row(connection, assessment_id).district_id != district_id:
        raise queries.NotFound(f"assessment of {district_id}", assessment_id)
    return assessment_id


@router.get("", response_model=answers.Page[DistrictOverview], responses=answers.CSV_DOCUMENTED)
def list_districts(
    request: Request,
    connection: Read,
    limit: Limit = 100,
    cursor: Cursor = None,
    format_: Format = None,
) -> Response:
    """All districts in alphabetical order; the cursor is the last district's id."""
    items = districts.districts_overview(connection, cursor or "", limit + 1)
    following = items[limit - 1].district_id if len(items) > limit else None
    return answers.page(request, connection, DistrictOverview, items[:limit], format_, following)


@router.get("/{district_id}", response_model=District)
def show_district(connection: Read, district_id: str) -> Response:
    """A district with boundary versions, gateways, points and assessments."""
    return answers.one(connection, districts.district(connection, district_id))


@router.get(
    "/{district_id}/hours", response_model=answers.Page[HourBalance], responses=answers.CSV_DOCUMENTED
)
def list_hours(
    request: Request,
    connection: Read,
    district_id: str,
    from_: From = None,
    to: To = None,
    assessment_id: AssessmentId = None,
    limit: Annotated[int, Query(ge=1, le=24 * 366)] = 744,
    cursor: Cursor = None,
    format_: Format = None,
) -> Response:
    """Hours with flows, factors, balance, bounds and completeness; default: the last 7 days with records."""
    known = _known_days(connection, district_id, DEFAULT_DAYS)
    first, end = span_of_hours(from_, to, (first_hour(known[0]), first_hour(known[1])))
    start = max(first, number_of(cursor) or first)
    chosen = _assessment_of(connection, district_id, assessment_id)
    stop = min(end, start + limit)
    items = queries.hour_balances(connection, district_id, start, stop, chosen)
    following = str(stop) if stop < min(end, queries.closed_hours(connection)) else None
    return answers.page(request, connection, HourBalance, items, format_, following)


@router.get("/{district_id}/days", response_model=answers.Page[DayBalance], responses=answers.CSV_DOCUMENTED)
def list_days(
    request: Request,
    connection: Read,
    district_id: str,
    from_: From = None,
    to: To = None,
    assessment_id: AssessmentId = None,
    format_: Format = None,
) -> Response:
    """Days with balance, bounds and cumulative sums from the first; default: the last 365 with records."""
    first, end = span_of_days(from_, to, _known_days(connection, district_id, YEAR_DAYS))
    chosen = _assessment_of(connection, district_id, assessment_id)
    items = queries.day_balances(connection, chosen, first, end) if chosen else []
    return answers.page(request, connection, DayBalance, items, format_)


@router.get(
    "/{district_id}/coverage", response_model=answers.Page[Coverage], responses=answers.CSV_DOCUMENTED
)
def list_coverage(
    request: Request,
    connection: Read,
    district_id: str,
    from_: From = None,
    to: To = None,
    assessment_id: AssessmentId = None,
    format_: Format = None,
) -> Response:
    """What is recorded of each day and what is missing; default: the last 365 days with records."""
    first, end = span_of_days(from_, to, _known_days(connection, district_id, YEAR_DAYS))
    chosen = _assessment_of(connection, district_id, assessment_id)
    items = queries.coverage(connection, district_id, first, end, chosen)
    return answers.page(request, connection, Coverage, items, format_)


@router.get(
    "/{district_id}/implausible-storage",
    response_model=answers.Page[ImplausibleStorage],
    responses=answers.CSV_DOCUMENTED,
)
def list_implausible_storage(
    request: Request,
    connection: Read,
    district_id: str,
    from_: From = None,
    to: To = None,
    format_: Format = None,
) -> Response:
    """Stationary batteries that no initial state of charge explains (domain.md §2)."""
    first, end = span_of_days(from_, to, _known_days(connection, district_id, YEAR_DAYS))
    items = queries.implausible_storage(connection, district_id, first, end)
    return answers.page(request, connection, ImplausibleStorage, items, format_)


@router.get(
    "/{district_id}/indicators", response_model=answers.Page[Indicator], responses=answers.CSV_DOCUMENTED
)
def list_indicators(
    request: Request,
    connection: Read,
    district_id: str,
    from_: From = None,
    to: To = None,
    resolution: Annotated[
        str, Query(description=f"ISO 8601 duration of a step: one of {', '.join(RESOLUTIONS)}")
    ] = "PT1H",
    assessment_id: AssessmentId = None,
    format_: Format = None,
) -> Response:
    """Indicators of domain.md §5 with numerator, denominator and formula; default: the last 365 days."""
    first, end = span_of_days(from_, to, _known_days(connection, district_id, YEAR_DAYS))
    chosen = _assessment_of(connection, district_id, assessment_id)
    items = indicators(connection, chosen, first, end, resolution) if chosen else []
    return answers.page(request, connection, Indicator, items, format_)
