"""Reads of the projection for the API and the pages; every function takes a connection of `Store.read`.

Unknown districts, assessments or certificates raise NotFound with the name that was asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select, tuple_

from certifier import store
from certifier.boundary import Boundaries
from certifier.plausibility import StorageDay, implausible_span
from certifier.views import (
    Alarm,
    AsOf,
    Assessment,
    CarrierFlow,
    Coverage,
    DayBalance,
    FactorHour,
    HourBalance,
    ImplausibleStorage,
    Scheme,
    Status,
    Verdict,
)
from contracts.factor import unpack_day
from contracts.hour import DAY_S, HOUR_S, HOURS_PER_DAY, first_hour, hour_start
from contracts.point import CARRIERS


class NotFound(Exception):
    """Nothing of this name is known; `what` is the sort of thing and `name` what was asked for."""

    def __init__(self, what: str, name: object) -> None:
        super().__init__(f"no {what} {str(name)!r} is known up to the followed block")
        self.what = what
        self.name = str(name)


def to_time(time_s: int) -> datetime:
    """UTC time of unix seconds."""
    return datetime.fromtimestamp(time_s, UTC)


def to_date(day: int) -> date:
    """Calendar date of a day number."""
    return to_time(day * DAY_S).date()


def as_of(connection: Connection) -> AsOf | None:
    """The followed block, or None before the first."""
    row = connection.execute(select(store.head)).one_or_none()
    if row is None:
        return None
    return AsOf(block_number=row.block_number, block_hash=row.block_hash, time_utc=to_time(row.block_time))


def revision(connection: Connection) -> str:
    """Name of the projection's content: the followed block and the number of alarms."""
    row = connection.execute(select(store.head.c.block_number, store.head.c.block_hash)).one_or_none()
    if row is None:
        return "empty"
    return f"{row.block_number}-{row.block_hash[2:18]}-{count(connection, store.alarms)}"


def status(connection: Connection) -> Status:
    """Where the projection stands against the chain."""
    row = connection.execute(select(store.head)).one_or_none()
    seen = connection.execute(select(store.observation)).one_or_none()
    chain_block = seen.chain_block_number if seen else None
    return Status(
        chain_id=row.chain_id if row else None,
        ledger=row.ledger if row else None,
        followed_block_number=row.block_number if row else None,
        followed_block_hash=row.block_hash if row else None,
        followed_time_utc=to_time(row.block_time) if row else None,
        chain_block_number=chain_block,
        observed_time_utc=to_time(seen.observed_at) if seen else None,
        lag_blocks=max(0, chain_block - row.block_number) if row and chain_block is not None else None,
        pending_checks=count(connection, store.pending_checks),
        alarm_count=count(connection, store.alarms),
        problem=seen.problem if seen else None,
    )


def count(connection: Connection, table: Any, *where: Any) -> int:
    """Number of rows of `table` that match."""
    return int(connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one())


# Assessments and verdicts


def schemes(connection: Connection) -> list[Scheme]:
    """All schemes."""
    return [
        Scheme.model_validate(
            {
                **row._mapping,
                "primary_energy": "non_renewable" if row.non_renewable else "total",
                "factors": "static" if row.is_static else "dynamic",
            }
        )
        for row in connection.execute(select(store.schemes).order_by(store.schemes.c.scheme_id))
    ]


def assessments(
    connection: Connection,
    district_id: str | None = None,
    after: tuple[int, int] | None = None,
    limit: int | None = None,
) -> list[Assessment]:
    """Assessments in the order of their opening, after the place (block, log) `after`."""
    table = store.assessments
    query = select(table).order_by(table.c.block_number, table.c.log_index)
    if district_id is not None:
        query = query.where(table.c.district_id == district_id)
    if after is not None:
        query = query.where(tuple_(table.c.block_number, table.c.log_index) > after)
    return [_assessment(connection, row) for row in connection.execute(query.limit(limit))]


def assessment(connection: Connection, assessment_id: str) -> Assessment:
    """One assessment. Raises NotFound."""
    return _assessment(connection, assessment_row(connection, assessment_id))


def assessment_row(connection: Connection, assessment_id: str) -> Row[Any]:
    """The fact that opened an assessment. Raises NotFound."""
    row = connection.execute(
        select(store.assessments).where(store.assessments.c.assessment_id == assessment_id)
    ).one_or_none()
    if row is None:
        raise NotFound("assessment", assessment_id)
    return row


def _assessment(connection: Connection, row: Row[Any]) -> Assessment:
    final = connection.execute(
        select(func.max(store.finalised_days.c.day)).where(
            store.finalised_days.c.assessment_id == row.assessment_id
        )
    ).scalar()
    return Assessment(
        assessment_id=row.assessment_id,
        district_id=row.district_id,
        scheme_id=row.scheme_id,
        vintage_id=row.vintage_id,
        start_day=to_date(row.start_day),
        final_until_day=to_date(row.start_day if final is None else final + 1),
        latest_verdict=latest_verdict(connection, row.assessment_id),
        certificate_number=certificate_of(connection, row.assessment_id),
    )


def certificate_of(connection: Connection, assessment_id: str) -> int | None:
    """Number of the newest certificate that was applied for on an assessment, or None."""
    return connection.execute(
        select(func.max(store.certificates.c.certificate_number)).where(
            store.certificates.c.assessment_id == assessment_id
        )
    ).scalar()


def organisation_name(connection: Connection, organisation_id: str) -> str:
    """Name of an organisation; its id when it gave none."""
    name = connection.execute(
        select(store.organisations.c.name).where(store.organisations.c.organisation_id == organisation_id)
    ).scalar()
    return name or organisation_id


def to_verdict(row: Row[Any]) -> Verdict:
    """View of a row of the verdicts joined with the block's time."""
    return Verdict.model_validate(
        {
            **row._mapping,
            "positive": row.finding == "Positive",
            "window_start_day": to_date(row.window_start_day),
            "window_end_day": to_date(row.window_end_day),
            "first_boundary_version": row.first_version,
            "last_boundary_version": row.last_version,
            "known_block_number": row.block_number,
            "known_time_utc": to_time(row.time),
        }
    )


def verdicts(
    connection: Connection, assessment_id: str, before_block: int | None = None, limit: int | None = None
) -> list[Verdict]:
    """Verdicts of an assessment, newest first; `before_block` continues a page."""
    table = store.verdicts
    query = (
        select(table, store.blocks.c.time)
        .join(store.blocks, store.blocks.c.block_number == table.c.block_number)
        .where(table.c.assessment_id == assessment_id)
        .order_by(table.c.block_number.desc())
        .limit(limit)
    )
    if before_block is not None:
        query = query.where(table.c.block_number < before_block)
    return [to_verdict(row) for row in connection.execute(query)]


def latest_verdict(
    connection: Connection, assessment_id: str, known_block: int | None = None
) -> Verdict | None:
    """The newest verdict that was known at block `known_block` (default: the followed one)."""
    before = None if known_block is None else known_block + 1
    found = verdicts(connection, assessment_id, before_block=before, limit=1)
    return found[0] if found else None


# Hours, days, coverage


def closed_hours(connection: Connection) -> int:
    """The first hour that was not over at the followed block."""
    block_time = connection.execute(select(store.head.c.block_time)).scalar()
    return 0 if block_time is None else block_time // HOUR_S


def hour_balances(
    connection: Connection, district_id: str, first: int, end: int, assessment_id: str | None = None
) -> list[HourBalance]:
    """Hours in `[first, end)` of days with records, if they are over, with an assessment's balance."""
    table = store.hours
    query = (
        select(table)
        .where(table.c.district_id == district_id, table.c.hour >= first, table.c.hour < end)
        .where(table.c.hour < closed_hours(connection))
        .order_by(table.c.hour)
    )
    balances: dict[int, Row[Any]] = {}
    if assessment_id is not None:
        judged = store.hour_balances
        balances = {
            row.hour: row
            for row in connection.execute(
                select(judged).where(
                    judged.c.assessment_id == assessment_id, judged.c.hour >= first, judged.c.hour < end
                )
            )
        }
    return [_hour_balance(row, balances.get(row.hour)) for row in connection.execute(query)]


_JUDGED = (
    "import_load_wh",
    "import_storage_wh",
    "import_rest_wh",
    "attributes_out_wh",
    "attributes_in_wh",
    "imbalance_wh",
    "factor_source",
    "average_factor",
    "marginal_factor",
    "export_factor",
    *store.FIGURES,
    "ghg_lower_mg",
    "bound_row",
)


def _hour_balance(row: Row[Any], judged: Row[Any] | None) -> HourBalance:
    values: dict[str, Any] = dict(row._mapping)
    of_balance = dict.fromkeys(_JUDGED) if judged is None else judged._mapping
    values.update((name, of_balance[name]) for name in _JUDGED)
    values.update(
        start_time_utc=to_time(hour_start(row.hour)),
        carriers=carrier_flows(row.carriers),
        net_export_wh=row.export_wh - row.import_wh,
        complete=judged is not None and judged.complete,
        measured_points=row.measured,
        measured_members=row.members,
        estimated_points=row.estimated,
        tainted=row.tainted > 0,
    )
    return HourBalance.model_validate(values)


def carrier_flows(text: str) -> list[CarrierFlow]:
    """Carriers of an hour from their stored form, `{"1": [bought_wh, delivered_wh]}`."""
    return [
        CarrierFlow(carrier=CARRIERS[int(number) - 1].name, bought_wh=bought, delivered_wh=delivered)
        for number, (bought, delivered) in json.loads(text).items()
    ]


def day_flows(
    connection: Connection, district_id: str, day: int, assessment_id: str | None = None
) -> list[HourBalance]:
    """The hours of one UTC day."""
    return hour_balances(connection, district_id, first_hour(day), first_hour(day + 1), assessment_id)


_DAY_SUMS = ("import_wh", "export_wh", "production_wh", "consumption_wh", "charge_wh", "discharge_wh")


def day_balances(connection: Connection, assessment_id: str, first: int, end: int) -> list[DayBalance]:
    """Days in `[first, end)` of an assessment; cumulative sums run from `first`. Raises NotFound."""
    district_id = assessment_row(connection, assessment_id).district_id
    hours, days = store.hours, store.day_balances
    sums = {
        row.day: row
        for row in connection.execute(
            select(hours.c.day, *(func.sum(hours.c[name]).label(name) for name in _DAY_SUMS))
            .where(hours.c.district_id == district_id, hours.c.day >= first, hours.c.day < end)
            .group_by(hours.c.day)
        )
    }
    final = set(_days(connection, store.finalised_days, assessment_id, first, end))
    adjusted = set(_days(connection, store.booked_adjustments, assessment_id, first, end))
    cumulative = [0, 0, 0]
    found = []
    query = (
        select(days)
        .where(days.c.assessment_id == assessment_id, days.c.day >= first, days.c.day < end)
        .order_by(days.c.day)
    )
    for row in connection.execute(query):
        for index, name in enumerate(store.FIGURES[:3]):
            cumulative[index] += row._mapping[name] or 0
        flows = sums.get(row.day)
        found.append(
            DayBalance.model_validate(
                {
                    **row._mapping,
                    **{name: int(flows._mapping[name]) if flows else 0 for name in _DAY_SUMS},
                    "day": to_date(row.day),
                    "cumulative_balance_mwh_pe": cumulative[0],
                    "cumulative_lower_mwh_pe": cumulative[1],
                    "cumulative_upper_mwh_pe": cumulative[2],
                    "final": row.day in final,
                    "adjusted": row.day in adjusted,
                }
            )
        )
    return found


def _days(connection: Connection, table: Any, assessment_id: str, first: int, end: int) -> Iterable[int]:
    return connection.execute(
        select(table.c.day).where(
            table.c.assessment_id == assessment_id, table.c.day >= first, table.c.day < end
        )
    ).scalars()


def coverage(
    connection: Connection, district_id: str, first: int, end: int, assessment_id: str | None = None
) -> list[Coverage]:
    """How complete each day in `[first, end)` is, days without any record included."""
    hours, days = store.hours, store.day_balances
    complete: dict[int, int] = {}
    if assessment_id is not None:
        complete = {
            row.day: row.complete_hours
            for row in connection.execute(
                select(days.c.day, days.c.complete_hours).where(
                    days.c.assessment_id == assessment_id, days.c.day >= first, days.c.day < end
                )
            )
        }
    recorded: dict[int, list[Row[Any]]] = {}
    for row in connection.execute(
        select(hours)
        .where(hours.c.district_id == district_id, hours.c.day >= first, hours.c.day < end)
        .where(hours.c.recorded > 0)
        .order_by(hours.c.hour)
    ):
        recorded.setdefault(row.day, []).append(row)
    boundaries = Boundaries(connection)
    return [
        _day_coverage(boundaries, district_id, day, recorded.get(day, []), complete.get(day))
        for day in range(first, end)
    ]


def _day_coverage(
    boundaries: Boundaries, district_id: str, day: int, rows: Sequence[Row[Any]], complete: int | None
) -> Coverage:
    boundary = boundaries.on(district_id, day)
    open_points = boundary.open_points if boundary else 0
    members = boundary.members if boundary else 0
    covered = {
        row.hour % HOURS_PER_DAY
        for row in rows
        if row.measured == open_points and row.members == members and not row.tainted
    }
    return Coverage(
        day=to_date(day),
        hours_recorded=len(rows),
        complete_hours=complete,
        expected_records=open_points * HOURS_PER_DAY,
        measured_records=sum(row.measured for row in rows),
        expected_members=members * HOURS_PER_DAY,
        measured_members=sum(row.members for row in rows),
        estimated_records=sum(row.estimated for row in rows),
        tainted_hours=sum(row.tainted > 0 for row in rows),
        gaps=[f"{hour:02d}:00Z" for hour in range(HOURS_PER_DAY) if hour not in covered],
    )


def implausible_storage(
    connection: Connection, district_id: str, first: int, end: int
) -> list[ImplausibleStorage]:
    """Stationary batteries that no state of charge explains in the days `[first, end)` (domain.md §2)."""
    table = store.storage_days
    by_point: dict[str, list[StorageDay]] = {}
    for row in connection.execute(
        select(table)
        .where(table.c.district_id == district_id, table.c.day >= first, table.c.day < end)
        .order_by(table.c.point_id, table.c.day)
    ):
        by_point.setdefault(row.point_id, []).append(
            StorageDay(
                row.day, row.stored_mwh, row.lowest_mwh, row.highest_mwh, row.throughput_wh, row.capacity_wh
            )
        )
    found = []
    for point_id, days in by_point.items():
        span = implausible_span(days)
        if span is not None:
            found.append(
                ImplausibleStorage(
                    point_id=point_id,
                    from_day=to_date(span.first_day),
                    to_day=to_date(span.last_day),
                    swing_wh=span.swing_wh,
                    allowed_wh=span.allowed_wh,
                    explanation=span.explanation(point_id),
                )
            )
    return found


# Factors and alarms


def factor_hours(day: int, factors: bytes) -> list[FactorHour]:
    """The 24 hours in the published bytes of a day."""
    return [
        FactorHour(
            start_time_utc=to_time(hour_start(first_hour(day) + hour_of_day)),
            average_total=hour.average_total,
            marginal_total=hour.marginal_total,
            average_non_renewable=hour.average_non_renewable,
            marginal_non_renewable=hour.marginal_non_renewable,
            average_ghg_g_per_kwh=hour.average_ghg,
            marginal_ghg_g_per_kwh=hour.marginal_ghg,
        )
        for hour_of_day, hour in enumerate(unpack_day(factors))
    ]


def factor_span(connection: Connection, vintage_id: str, zone: str) -> tuple[int, int]:
    """First published day of a vintage and zone and the day after the last one. Raises NotFound."""
    days = store.factor_days
    row = connection.execute(
        select(func.min(days.c.day).label("first"), func.max(days.c.day).label("last")).where(
            days.c.vintage_id == vintage_id, days.c.zone == zone
        )
    ).one()
    if row.first is None:
        raise NotFound("factors of vintage and zone", f"{vintage_id}/{zone}")
    return row.first, row.last + 1


def factor_days(connection: Connection, vintage_id: str, zone: str, first: int, end: int) -> list[FactorHour]:
    """Published factors of the days `[first, end)`, without falling back to a parent."""
    table = store.factor_days
    rows = connection.execute(
        select(table.c.day, table.c.factors)
        .where(
            table.c.vintage_id == vintage_id,
            table.c.zone == zone,
            table.c.day >= first,
            table.c.day < end,
        )
        .order_by(table.c.day)
    )
    return [hour for row in rows for hour in factor_hours(row.day, bytes(row.factors))]


def alarms(connection: Connection, district_id: str | None = None) -> list[Alarm]:
    """Alarms, newest first, of one district or of all."""
    table = store.alarms
    query = select(table).order_by(table.c.block_number.desc(), table.c.kind, table.c.subject)
    if district_id is not None:
        query = query.where(table.c.district_id == district_id)
    return [
        Alarm.model_validate({**row._mapping, "day": None if row.day is None else to_date(row.day)})
        for row in connection.execute(query)
    ]
