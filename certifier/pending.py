"""Figures that are still to be compared with the chain's views; `certifier.audit` works them off."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

from certifier.store import pending_checks


def check_later(connection: Connection, kind: str, subject: str, day: int) -> None:
    """Note a comparison, once: `kind` is hours, verdict or account, `subject` what it is of."""
    table = pending_checks
    row = {"kind": kind, "subject": subject, "day": day}
    known = connection.execute(
        select(table.c.kind).where(*(table.c[name] == value for name, value in row.items()))
    ).scalar()
    if known is None:
        connection.execute(insert(table), [row])
