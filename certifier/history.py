"""An assessment's final days as we compute them, and what else its verdict depends on, as known then."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, func, select

from certifier import market_tables, store
from certifier.assessment import Position
from certifier.boundary import Boundaries
from contracts.energy import DayTotals
from contracts.verdict import EDGE_DAYS, Finding, History, Verdict, verdict

ALWAYS = 2**62
"""A block number above all others: everything that is known."""


def finding_name(finding: Finding) -> str:
    """Name of a finding as the contract writes it, such as `BalanceNotPositive`."""
    return "".join(word.title() for word in finding.name.split("_"))


def load_history(connection: Connection, assessment: Row[Any]) -> History:
    """Final days of an assessment as we compute them, known from their block's number on."""
    history = History(assessment.start_day)
    final, booked = store.finalised_days, store.booked_adjustments
    for row in connection.execute(
        select(final)
        .where(final.c.assessment_id == assessment.assessment_id)
        .order_by(final.c.block_number, final.c.log_index)
    ):
        history.append(row.day, _totals_of(row, row.boundary_version), row.block_number)
    for row in connection.execute(
        select(booked)
        .where(booked.c.assessment_id == assessment.assessment_id)
        .order_by(booked.c.block_number, booked.c.log_index)
    ):
        before = history.totals(row.day)
        history.revise(row.day, _sum(before, _totals_of(row, before.boundary_version)), row.block_number)
    return history


def circumstances(
    connection: Connection,
    boundaries: Boundaries,
    assessment: Row[Any],
    happened_by: int = ALWAYS,
    known_by: int = ALWAYS,
) -> dict[str, Any]:
    """What a verdict depends on besides the days: restarts, adjustments and compromises not yet worked in.

    What had happened by block `happened_by` and was worked in by block `known_by`.
    """
    return {
        "restart_days": sorted(
            {version.restart_day for version in boundaries.versions(assessment.district_id)}
        ),
        "adjustments_pending": _adjustments_pending(connection, assessment, happened_by, known_by),
        "compromise_pending": _compromise_pending(connection, assessment.district_id, happened_by, known_by),
    }


def verdict_at(
    connection: Connection,
    boundaries: Boundaries,
    assessment: Row[Any],
    happened_by: int = ALWAYS,
    known_by: int = ALWAYS,
) -> Verdict:
    """The latest verdict over the days final by block `happened_by`, with what was known by `known_by`."""
    history = load_history(connection, assessment)
    found = circumstances(connection, boundaries, assessment, happened_by, known_by)
    frontier = history.frontier(min(happened_by, known_by))
    latest = verdict(history, frontier, known_at=known_by, **found)
    for window_end in range(frontier - 1, frontier - EDGE_DAYS - 1, -1):
        if latest.finding is not Finding.EDGE_ESTIMATED:
            break
        latest = verdict(history, window_end, known_at=known_by, **found)
    return latest


def _adjustments_pending(
    connection: Connection, assessment: Row[Any], happened_by: int, known_by: int
) -> bool:
    """Whether something came for a finalised day after the assessment last computed it."""
    late = connection.execute(_late_facts(assessment.district_id)).all()
    if not late:
        return False
    computed: dict[int, Position] = {}
    for table in (store.finalised_days, store.booked_adjustments):
        for row in connection.execute(
            select(table.c.day, table.c.block_number, table.c.log_index).where(
                table.c.assessment_id == assessment.assessment_id,
                table.c.block_number <= known_by,
                table.c.day.in_({fact.day for fact in late}),
            )
        ):
            place = (row.block_number, row.log_index)
            computed[row.day] = max(place, computed.get(row.day, place))
    return any(
        (fact.block_number, fact.log_index) > computed[fact.day]
        for fact in late
        if fact.day in computed and fact.block_number <= happened_by
    )


def _late_facts(district_id: str) -> Any:
    """What can concern a finalised day: adjustments, taints found later, attributes that moved again."""
    batches, taints, claims = store.batches, store.taints, market_tables.claims
    return (
        select(batches.c.day, batches.c.block_number, batches.c.log_index)
        .where(batches.c.district_id == district_id, batches.c.is_adjustment.is_(True))
        .union_all(
            select(taints.c.day, taints.c.block_number, taints.c.log_index).where(
                taints.c.district_id == district_id
            ),
            select(claims.c.day, claims.c.block_number, claims.c.log_index).where(
                claims.c.district_id == district_id, claims.c.kind == "attributes"
            ),
        )
    )


def _compromise_pending(connection: Connection, district_id: str, happened_by: int, known_by: int) -> bool:
    keys, scans = store.gateway_keys, store.compromise_scans
    reported = connection.execute(
        select(func.count())
        .select_from(keys)
        .join(store.gateways, store.gateways.c.gateway_id == keys.c.gateway_id)
        .where(
            store.gateways.c.district_id == district_id,
            keys.c.compromised_since.is_not(None),
            keys.c.block_number <= happened_by,
        )
    ).scalar_one()
    scanned = connection.execute(
        select(func.count())
        .select_from(scans)
        .where(scans.c.district_id == district_id, scans.c.block_number <= known_by)
    ).scalar_one()
    return bool(scanned < reported)


def _totals_of(row: Row[Any], boundary_version: int) -> DayTotals:
    values = row._mapping
    return DayTotals(
        **{name: values[name] for name in (*store.FIGURES, "complete_hours", "edge_estimated")},
        boundary_version=boundary_version,
    )


def _sum(base: DayTotals, difference: DayTotals) -> DayTotals:
    names = (*store.FIGURES, "complete_hours")
    return DayTotals(
        **{name: getattr(base, name) + getattr(difference, name) for name in names},
        edge_estimated=difference.edge_estimated,
        boundary_version=base.boundary_version,
    )
