"""Which factors weigh a day: published, fallen back to a parent, static or lacking (domain.md §3)."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, func, select

from certifier import store
from contracts.factor import unpack_day
from contracts.hour import DAY_S, day_start
from contracts.scheme import CarrierFactors, DayWeights, Scheme, StaticFactors, VintageFactors, day_weights

DEADLINE_S = 30 * DAY_S

PUBLISHED, PARENT, STATIC, LACKING, PENDING = "published", "parent", "static", "lacking", "pending"


SCHEME_COLUMNS = tuple(store.schemes.c[field.name] for field in fields(Scheme))
"""What `scheme_of` needs of a row."""


@dataclass(frozen=True)
class Resolution:
    """A day's published bytes, or why there are none."""

    source: str
    factors: bytes | None = None


@dataclass(frozen=True)
class ResolvedWeights:
    """The weights of a day's 24 hours and where the factors come from."""

    source: str
    weights: DayWeights


def scheme_of(row: Row[Any]) -> Scheme:
    """The scheme in a row that has its columns."""
    return Scheme(**{field.name: row._mapping[field.name] for field in fields(Scheme)})


def resolve(
    connection: Connection, vintage_id: str, zone: str, day: int, now_s: int | None = None
) -> Resolution:
    """The day's factors in a vintage or its nearest ancestor that has them.

    A day that nobody may publish any more at `now_s` (unix seconds; None: no deadline has passed) falls back
    to the parent, and without one is lacking; else it is pending.
    """
    days, source = store.factor_days, PUBLISHED
    following: str | None = vintage_id
    while following is not None:
        of_zone = (days.c.vintage_id == following, days.c.zone == zone)
        factors = connection.execute(select(days.c.factors).where(*of_zone, days.c.day == day)).scalar()
        if factors is not None:
            return Resolution(source, bytes(factors))
        last = connection.execute(select(func.max(days.c.day)).where(*of_zone)).scalar()
        vintage = connection.execute(
            select(store.vintages.c.parent, store.vintages.c.created_at).where(
                store.vintages.c.vintage_id == following
            )
        ).one()
        deadline = max(day_start(day + 1), vintage.created_at) + DEADLINE_S
        skipped = last is not None and day < last
        if not skipped and (now_s is None or now_s <= deadline):
            return Resolution(PENDING)
        following, source = vintage.parent, PARENT
    return Resolution(LACKING)


def resolved_weights(
    connection: Connection, scheme: Scheme, vintage_id: str, resolution: Resolution
) -> ResolvedWeights | None:
    """Weights of a day under a scheme and vintage; None while its factors are pending."""
    source = STATIC if scheme.is_static else resolution.source
    if source == PENDING:
        return None
    hours = None if resolution.factors is None else unpack_day(resolution.factors)
    return ResolvedWeights(source, day_weights(scheme, vintage_factors(connection, vintage_id), hours))


def vintage_factors(connection: Connection, vintage_id: str) -> VintageFactors:
    """What a vintage fixes."""
    row = connection.execute(select(store.vintages).where(store.vintages.c.vintage_id == vintage_id)).one()
    return _vintage_factors(row.f_min, row.f_max, row.g_max, row.static_factors, row.carrier_factors)


@lru_cache(maxsize=64)
def _vintage_factors(f_min: int, f_max: int, g_max: int, static: str, carriers: str) -> VintageFactors:
    return VintageFactors(
        f_min,
        f_max,
        g_max,
        StaticFactors(**json.loads(static)),
        tuple(CarrierFactors(**entry) for entry in json.loads(carriers)),
    )
