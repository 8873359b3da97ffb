"""Certificates: status at time T, as known at time K (domain.md §4 "Lifecycle").

The status at T follows from the steps taken by T, the days final by T and the keys of T. What became known
after T and by K about the time before T counts too: adjustments booked for days of the window, and keys since
found to have been compromised at T. Without T and K both are the time of the followed block.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, select

from certifier import store
from certifier.boundary import Boundaries
from certifier.history import finding_name, verdict_at
from certifier.queries import NotFound, as_of, assessment_row, to_date, to_time
from certifier.views import Certificate, CertificateEvent, Verdict
from contracts.hour import day_of, format_day, format_time_utc
from contracts.lifecycle import Status
from contracts.verdict import Finding
from contracts.verdict import Verdict as OwnVerdict

FRESH_DAYS = 21
_FINDINGS = {
    Finding.NOT_FINAL: "no day is final yet",
    Finding.WINDOW_TOO_SHORT: "fewer than twelve months are final",
    Finding.BOUNDARY_RESTARTED: "something was removed from the boundary, so the twelve months start anew",
    Finding.EDGE_ESTIMATED: "the first or last day of the window has an estimated hour",
    Finding.ADJUSTMENTS_PENDING: "an adjustment is not worked in yet",
    Finding.COMPROMISE_PENDING: "the readings under a compromised key are not looked through yet",
    Finding.INCOMPLETE: "fewer than 90 % of the hours are complete",
    Finding.BALANCE_NOT_POSITIVE: "the lower bound of the primary-energy balance is not above zero",
    Finding.GHG_POSITIVE: "the upper bound of the net greenhouse-gas emission is above zero",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """A time and the last block until then."""

    time_s: int
    block_number: int


def certificate_numbers(connection: Connection, after: int = 0, limit: int | None = None) -> list[int]:
    """Numbers of certificates above `after`, ascending."""
    column = store.certificates.c.certificate_number
    return list(
        connection.execute(select(column).where(column > after).order_by(column).limit(limit)).scalars()
    )


def certificate(
    connection: Connection, number: int, at_s: int | None = None, known_s: int | None = None
) -> Certificate:
    """A certificate at unix time `at_s` as known at `known_s`. Raises NotFound, also if unknown then."""
    row = _row(connection, number)
    now = as_of(connection)
    now_s = int(now.time_utc.timestamp()) if now else 0
    at = _moment(connection, now_s if at_s is None else at_s)
    known = _moment(connection, max(now_s, at.time_s) if known_s is None else known_s)
    steps = _steps(connection, number, min(at.block_number, known.block_number))
    if not steps:
        raise NotFound("certificate", f"{number} at {format_time_utc(min(at.time_s, known.time_s))}")
    assessment = assessment_row(connection, row.assessment_id)
    boundaries = Boundaries(connection)
    own = verdict_at(connection, boundaries, assessment, at.block_number, known.block_number)
    stored = _stored(steps)
    reasons: list[str] = []
    status = stored.status
    if status is Status.CERTIFIED:
        status = _status_by_time(connection, assessment, stored.expiry_s, at, known, own, reasons)
    elif status is Status.REVOKED:
        reasons.append(f"it was revoked until {format_time_utc(stored.revoked_until_s or 0)}")
    else:
        reasons.append(f"it is {status.name.lower()}, not certified")
    return Certificate(
        certificate_number=number,
        district_id=assessment.district_id,
        assessment_id=row.assessment_id,
        scheme_id=assessment.scheme_id,
        vintage_id=assessment.vintage_id,
        at_time_utc=to_time(at.time_s),
        known_time_utc=to_time(known.time_s),
        status=status.name.title(),
        valid=status is Status.CERTIFIED,
        reasons=reasons,
        applied_time_utc=to_time(steps[0].time),
        certified_time_utc=None if stored.certified_s is None else to_time(stored.certified_s),
        expiry_time_utc=None if stored.expiry_s is None else to_time(stored.expiry_s),
        verdict=_verdict_view(connection, row.assessment_id, own, known),
        boundary_versions=list(range(own.first_version, own.last_version + 1)) if own.last_version else [],
    )


def history(connection: Connection, number: int) -> list[CertificateEvent]:
    """All steps of a certificate, oldest first. Raises NotFound."""
    _row(connection, number)
    return [
        CertificateEvent(
            kind=step.kind,
            time_utc=to_time(step.time),
            block_number=step.block_number,
            details=json.loads(step.details),
        )
        for step in _steps(connection, number)
    ]


def _row(connection: Connection, number: int) -> Row[Any]:
    row = connection.execute(
        select(store.certificates).where(store.certificates.c.certificate_number == number)
    ).one_or_none()
    if row is None:
        raise NotFound("certificate", number)
    return row


def _moment(connection: Connection, time_s: int) -> Moment:
    table = store.blocks
    block_number = connection.execute(
        select(func.max(table.c.block_number)).where(table.c.time <= time_s)
    ).scalar()
    return Moment(time_s, -1 if block_number is None else block_number)


def _steps(connection: Connection, number: int, until: int | None = None) -> list[Row[Any]]:
    table = store.certificate_events
    query = (
        select(table, store.blocks.c.time)
        .join(store.blocks, store.blocks.c.block_number == table.c.block_number)
        .where(table.c.certificate_number == number)
        .order_by(table.c.block_number, table.c.log_index)
    )
    if until is not None:
        query = query.where(table.c.block_number <= until)
    return list(connection.execute(query))


@dataclass(slots=True)
class _Stored:
    status: Status = Status.APPLIED
    certified_s: int | None = None
    expiry_s: int | None = None
    revoked_until_s: int | None = None


def _stored(steps: list[Row[Any]]) -> _Stored:
    """The status as the steps leave it, before time is looked at."""
    stored = _Stored()
    for step in steps:
        details = json.loads(step.details)
        if step.kind == "ProvisionalGranted":
            stored.status = Status.PROVISIONAL
        elif step.kind == "Certified":
            stored.status, stored.expiry_s = Status.CERTIFIED, details["expiry"]
            if not details["renewal"]:
                stored.certified_s = step.time
        elif step.kind == "ChallengeDecided":
            stored.status = Status[details["status"].upper()]
            if stored.status is Status.PROVISIONAL:
                stored.certified_s = stored.expiry_s = None
        elif step.kind == "Revoked":
            stored.status, stored.revoked_until_s = Status.REVOKED, details["until"]
    return stored


def _status_by_time(
    connection: Connection,
    assessment: Row[Any],
    expiry_s: int | None,
    at: Moment,
    known: Moment,
    own: OwnVerdict,
    reasons: list[str],
) -> Status:
    if expiry_s is not None and at.time_s >= expiry_s:
        reasons.append(f"it expired at {format_time_utc(expiry_s)}")
        return Status.LAPSED
    missing = _gateways_without_key(connection, assessment.district_id, at, known)
    reasons.extend(f"gateway {gateway_id} has no trusted key" for gateway_id in missing)
    if own.finding is not Finding.POSITIVE:
        reasons.append(_FINDINGS[own.finding])
    if own.window_end < day_of(at.time_s) - FRESH_DAYS:
        reasons.append(
            f"the latest window ended on {format_day(own.window_end)}, more than {FRESH_DAYS} days before"
        )
    return Status.SUSPENDED if reasons else Status.CERTIFIED


def _gateways_without_key(connection: Connection, district_id: str, at: Moment, known: Moment) -> list[str]:
    """Gateways that had no key at `at`, or one that is known at `known` to have been compromised then."""
    keys = store.gateway_keys
    rows = connection.execute(
        select(keys)
        .join(store.gateways, store.gateways.c.gateway_id == keys.c.gateway_id)
        .where(store.gateways.c.district_id == district_id, keys.c.block_number <= known.block_number)
        .order_by(keys.c.block_number, keys.c.log_index)
    )
    mute: dict[str, bool] = {}
    for row in rows:
        if row.block_number <= at.block_number:
            mute[row.gateway_id] = row.key is None
        elif row.compromised_since is not None and row.compromised_since <= at.time_s:
            mute[row.gateway_id] = True
    return sorted(gateway_id for gateway_id, is_mute in mute.items() if is_mute)


def _verdict_view(
    connection: Connection, assessment_id: str, own: OwnVerdict, known: Moment
) -> Verdict | None:
    if own.finding is Finding.NOT_FINAL:
        return None
    names = ("balance_mwh_pe", "lower_mwh_pe", "upper_mwh_pe", "ghg_mg", "ghg_upper_mg")
    counts = ("complete_hours", "total_hours", "worst_block_hours")
    return Verdict(
        **{name: getattr(own, name) for name in (*names, *counts)},
        assessment_id=assessment_id,
        finding=finding_name(own.finding),
        positive=own.is_positive,
        window_start_day=to_date(own.window_start),
        window_end_day=to_date(own.window_end),
        first_boundary_version=own.first_version,
        last_boundary_version=own.last_version,
        known_block_number=known.block_number,
        known_time_utc=to_time(known.time_s),
    )
