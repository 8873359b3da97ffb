"""Routes of certificates, assessments, lineage, factors and alarms."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from certifier import certificates, lineage, queries
from certifier.api import answers
from certifier.api.context import Read
from certifier.api.parameters import (
    Cursor,
    Format,
    From,
    Limit,
    To,
    number_of,
    optional_time,
    place_of,
    span_of_days,
    time_of,
)
from certifier.api.problems import DOCUMENTED, ParameterInvalid
from certifier.market_views import ReadingLineage
from certifier.views import (
    Alarm,
    Assessment,
    Batch,
    BatchReference,
    Certificate,
    CertificateEvent,
    FactorHour,
    Scheme,
    Verdict,
)
from contracts.hour import DAY_S, HOUR_S

router = APIRouter(prefix="/v1", responses=DOCUMENTED)

Number = Annotated[int, Path(ge=1, lt=2**31, description="Number of the certificate")]
At = Annotated[
    str | None,
    Query(description="Status at this time, ISO 8601 UTC; default: the followed block's time"),
]
Known = Annotated[
    str | None,
    Query(description="With what was known at this time, ISO 8601 UTC; default: all that is known"),
]


@router.get(
    "/certificates",
    response_model=answers.Page[Certificate],
    responses=answers.CSV_DOCUMENTED,
    tags=["certificates"],
)
def list_certificates(
    request: Request,
    connection: Read,
    limit: Limit = 100,
    cursor: Cursor = None,
    format_: Format = None,
) -> Response:
    """All certificates by number."""
    numbers = certificates.certificate_numbers(connection, number_of(cursor) or 0, limit + 1)
    following = str(numbers[limit - 1]) if len(numbers) > limit else None
    items = [certificates.certificate(connection, number) for number in numbers[:limit]]
    return answers.page(request, connection, Certificate, items, format_, following)


@router.get("/certificates/{number}", response_model=Certificate, tags=["certificates"])
def show_certificate(connection: Read, number: Number, at: At = None, known: Known = None) -> Response:
    """A certificate: status at time `at`, as known at time `known` (domain.md §4)."""
    found = certificates.certificate(
        connection, number, optional_time("at", at), optional_time("known", known)
    )
    return answers.one(connection, found)


@router.get(
    "/certificates/{number}/history",
    response_model=answers.Page[CertificateEvent],
    responses=answers.CSV_DOCUMENTED,
    tags=["certificates"],
)
def list_history(request: Request, connection: Read, number: Number, format_: Format = None) -> Response:
    """All steps of a certificate, oldest first."""
    items = certificates.history(connection, number)
    return answers.page(request, connection, CertificateEvent, items, format_)


@router.get(
    "/certificates/{number}/batches",
    response_model=answers.Page[BatchReference],
    responses=answers.CSV_DOCUMENTED,
    tags=["lineage"],
)
def list_certificate_batches(
    request: Request,
    connection: Read,
    number: Number,
    limit: Limit = 100,
    cursor: Cursor = None,
    format_: Format = None,
) -> Response:
    """Signed batches of the window that the certificate rests on, in the order of the chain."""
    items = lineage.certificate_batches(connection, number, place_of(cursor), limit + 1)
    last = items[limit - 1] if len(items) > limit else None
    following = f"{last.block_number}-{last.log_index}" if last else None
    return answers.page(request, connection, BatchReference, items[:limit], format_, following)


@router.get("/batches/{gateway_id}/{day}/{sequence}", response_model=Batch, tags=["lineage"])
def show_batch(
    connection: Read,
    gateway_id: str,
    day: Annotated[str, Path(examples=["2019-01-01"])],
    sequence: Annotated[int, Path(ge=1, le=255)],
    private: Annotated[
        bool, Query(description="The gateway's private stream instead of its open one")
    ] = False,
) -> Response:
    """A batch with its signature and readings."""
    number = _start_of("day", day, DAY_S, "UTC day")
    return answers.one(connection, lineage.batch(connection, gateway_id, number, sequence, private))


@router.get("/readings/{point_id}/{hour}", response_model=ReadingLineage, tags=["lineage"])
def show_reading(
    connection: Read, point_id: str, hour: Annotated[str, Path(examples=["2019-01-01T00:00:00Z"])]
) -> Response:
    """A point's reading in an hour: its batches, and the verdicts and certificates that rest on it."""
    number = _start_of("hour", hour, HOUR_S, "hour")
    return answers.one(connection, lineage.reading(connection, point_id, number))


def _start_of(name: str, value: str, unit_s: int, unit: str) -> int:
    time_s = time_of(name, value)
    if time_s % unit_s:
        raise ParameterInvalid(name, value, f"{name} {value!r} is not the start of a {unit}")
    return time_s // unit_s


@router.get("/schemes", response_model=answers.Page[Scheme], responses=answers.CSV_DOCUMENTED)
def list_schemes(request: Request, connection: Read, format_: Format = None) -> Response:
    """All certification schemes."""
    return answers.page(request, connection, Scheme, queries.schemes(connection), format_)


@router.get(
    "/assessments",
    response_model=answers.Page[Assessment],
    responses=answers.CSV_DOCUMENTED,
    tags=["assessments"],
)
def list_assessments(
    request: Request,
    connection: Read,
    district: str | None = None,
    limit: Limit = 100,
    cursor: Cursor = None,
    format_: Format = None,
) -> Response:
    """Assessments in the order of their opening."""
    after = number_of(cursor) or 0
    found = queries.assessments(connection, district)
    items = found[after : after + limit]
    following = str(after + limit) if after + limit < len(found) else None
    return answers.page(request, connection, Assessment, items, format_, following)


@router.get("/assessments/{assessment_id}", response_model=Assessment, tags=["assessments"])
def show_assessment(connection: Read, assessment_id: str) -> Response:
    """An assessment with its latest verdict."""
    return answers.one(connection, queries.assessment(connection, assessment_id))


@router.get(
    "/assessments/{assessment_id}/verdicts",
    response_model=answers.Page[Verdict],
    responses=answers.CSV_DOCUMENTED,
    tags=["assessments"],
)
def list_verdicts(
    request: Request,
    connection: Read,
    assessment_id: str,
    limit: Limit = 100,
    cursor: Cursor = None,
    format_: Format = None,
) -> Response:
    """The latest verdicts over time, newest first, as we compute them from the logs."""
    queries.assessment_row(connection, assessment_id)
    items = queries.verdicts(connection, assessment_id, number_of(cursor), limit + 1)
    following = str(items[limit - 1].known_block_number) if len(items) > limit else None
    return answers.page(request, connection, Verdict, items[:limit], format_, following)


@router.get(
    "/factors/{vintage_id}/{zone}",
    response_model=answers.Page[FactorHour],
    responses=answers.CSV_DOCUMENTED,
    tags=["factors"],
)
def list_factors(
    request: Request,
    connection: Read,
    vintage_id: str,
    zone: str,
    from_: From = None,
    to: To = None,
    format_: Format = None,
) -> Response:
    """Published factors of a vintage and zone; default: the last 7 published days."""
    known = queries.factor_span(connection, vintage_id, zone)
    first, end = span_of_days(from_, to, (max(known[0], known[1] - 7), known[1]))
    items = queries.factor_days(connection, vintage_id, zone, first, end)
    return answers.page(request, connection, FactorHour, items, format_)


@router.get(
    "/alarms", response_model=answers.Page[Alarm], responses=answers.CSV_DOCUMENTED, tags=["operations"]
)
def list_alarms(
    request: Request, connection: Read, district: str | None = None, format_: Format = None
) -> Response:
    """Where our own computation and the chain differ, newest first; an empty list is the normal state."""
    return answers.page(request, connection, Alarm, queries.alarms(connection, district), format_)
