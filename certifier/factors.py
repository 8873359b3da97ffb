"""Which factors weigh a day: published, fallen back to a parent, static or lacking (domain.md §3)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import Connection, Row, func, select

from certifier import store
from contracts.energy import CARRIER_COUNT, CarrierFactor, FactorRange, HourFactors, Tolerance, Weights
from contracts.factor import unpack_day
from contracts.hour import DAY_S, HOURS_PER_DAY, day_start

DEADLINE_S = 30 * DAY_S

PUBLISHED, PARENT, STATIC, LACKING, PENDING = "published", "parent", "static", "lacking", "pending"


@dataclass(frozen=True)
class Resolution:
    """A day's published bytes, or why there are none."""

    source: str
    factors: bytes | None = None


@dataclass(frozen=True)
class DayWeights:
    """The weights of a day's 24 hours for primary energy and for greenhouse gas."""

    source: str
    primary: Sequence[Weights]
    ghg: Sequence[Weights]


@dataclass(frozen=True)
class SchemeRules:
    """What a scheme says about weights and tolerance."""

    non_renewable: bool
    is_static: bool
    primary_range: FactorRange
    ghg_range: FactorRange
    tolerance: Tolerance


def scheme_rules(row: Row[tuple[object, ...]]) -> SchemeRules:
    """The rules in a row of `store.schemes`."""
    values = row._mapping
    return SchemeRules(
        non_renewable=values["non_renewable"],
        is_static=values["is_static"],
        primary_range=FactorRange(values["f_min"], values["f_max"]),
        ghg_range=FactorRange(values["g_min"], values["g_max"]),
        tolerance=Tolerance(values["tolerance_bp"], values["tolerance_wh"]),
    )


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


def day_weights(
    connection: Connection, rules: SchemeRules, vintage_id: str, resolution: Resolution
) -> DayWeights | None:
    """Weights of a day under a scheme and vintage; None while its factors are pending."""
    vintage = connection.execute(
        select(store.vintages.c.static_factors, store.vintages.c.carrier_factors).where(
            store.vintages.c.vintage_id == vintage_id
        )
    ).one()
    column = 1 if rules.non_renewable else 0
    carriers = _carriers(vintage.carrier_factors, column)
    carriers_ghg = _carriers(vintage.carrier_factors, 2)
    primary: list[HourFactors]
    ghg: list[HourFactors]
    source = resolution.source
    if rules.is_static:
        source = STATIC
        static = json.loads(vintage.static_factors)
        primary = [HourFactors.static(static["import"][column], static["export"][column])] * HOURS_PER_DAY
        ghg = [HourFactors.static(static["import"][2], static["export"][2])] * HOURS_PER_DAY
    elif source == PENDING:
        return None
    elif resolution.factors is None:
        primary = [HourFactors.least_favourable(rules.primary_range)] * HOURS_PER_DAY
        ghg = [HourFactors.least_favourable(rules.ghg_range)] * HOURS_PER_DAY
    else:
        published = unpack_day(resolution.factors)
        primary = [hour.primary(rules.non_renewable) for hour in published]
        ghg = [hour.ghg() for hour in published]
    return DayWeights(
        source,
        [Weights(factors, rules.primary_range, carriers) for factors in primary],
        [Weights(factors, rules.ghg_range, carriers_ghg) for factors in ghg],
    )


def import_static(connection: Connection, vintage_id: str) -> tuple[int, int]:
    """Total and non-renewable static factor of imported electricity, 1/1000."""
    static = json.loads(
        connection.execute(
            select(store.vintages.c.static_factors).where(store.vintages.c.vintage_id == vintage_id)
        ).scalar_one()
    )
    return static["import"][0], static["import"][1]


@lru_cache(maxsize=256)
def _carriers(text: str, column: int) -> tuple[CarrierFactor, ...]:
    """Factors of carriers 1 to 8 in one column: 0 total, 1 non-renewable, 2 GHG."""
    stored = json.loads(text)
    return tuple(
        CarrierFactor(stored[str(number)]["bought"][column], stored[str(number)]["export"][column])
        for number in range(1, CARRIER_COUNT + 1)
    )
