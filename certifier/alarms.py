"""Alarms: where our computation and the chain differ; kept in the table, the log, the API and the metrics."""

from __future__ import annotations

import structlog
from sqlalchemy import Connection, insert, select

from certifier import store

log = structlog.get_logger(__name__)


def raise_alarm(
    connection: Connection,
    kind: str,
    subject: str,
    *,
    block_number: int,
    chain_figure: object,
    own_figure: object,
    explanation: str,
    district_id: str | None = None,
    assessment_id: str | None = None,
    day: int | None = None,
) -> None:
    """Keep and log a difference; one that is already known stays as it was first seen."""
    table = store.alarms
    known = connection.execute(
        select(table.c.kind).where(table.c.kind == kind, table.c.subject == subject)
    ).scalar()
    if known is not None:
        return
    row = {
        "kind": kind,
        "subject": subject,
        "block_number": block_number,
        "district_id": district_id,
        "assessment_id": assessment_id,
        "day": day,
        "chain_figure": str(chain_figure),
        "own_figure": str(own_figure),
        "explanation": explanation,
    }
    connection.execute(insert(table), [row])
    log.error("alarm", **row)
