"""The indicators of domain.md §5, with numerator and denominator, formula, version, unit and resolution.

Computed exactly in integers as far as sums go. An hour enters only if it has measured records for every point
and no batch of it is tainted; a span without such an hour has no indicators. On-site generation `g` is
production, load `l` consumption, net exchange export minus import. A resolution other than an hour sums the
hours of each step first, and changes the values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from sqlalchemy import Connection, func, select

from certifier import market_tables, store
from certifier.factors import resolve, vintage_factors
from certifier.queries import assessment_row, to_date
from certifier.views import Indicator
from contracts.factor import unpack_day
from contracts.hour import first_hour

RESOLUTIONS: Final = {"PT1H": 1, "PT3H": 3, "PT6H": 6, "PT12H": 12, "P1D": 24}
"""Hours of a step, by ISO 8601 duration. Finer than an hour is not on chain."""

_KWH: Final = 1000
_MG_PER_KG: Final = 1_000_000


class ResolutionUnknown(ValueError):
    """A resolution that is none of RESOLUTIONS."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the resolution; energies in Wh, primary energy in mWh_PE, GHG in mg CO2e."""

    generation_wh: int = 0
    load_wh: int = 0
    charge_wh: int = 0
    discharge_wh: int = 0
    import_wh: int = 0
    export_wh: int = 0
    renewable_wh: int = 0
    export_mwh_pe: int = 0
    import_mwh_pe: int = 0
    import_total_mwh_pe: int = 0
    import_non_renewable_mwh_pe: int = 0
    ghg_mg: int = 0

    def __add__(self, other: Step) -> Step:
        return Step(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))

    @property
    def net_exchange_wh(self) -> int:
        """Export minus import."""
        return self.export_wh - self.import_wh


@dataclass(frozen=True, slots=True)
class Value:
    """A value with its numerator and denominator, or the reason why there is none."""

    numerator: float | None = None
    denominator: float | None = None
    value: float | None = None
    reason: str | None = None


def _ratio(numerator: Fraction | int, denominator: Fraction | int, reason: str) -> Value:
    if denominator == 0:
        return Value(float(numerator), 0.0, None, reason)
    return Value(float(numerator), float(denominator), float(Fraction(numerator) / Fraction(denominator)))


def _kwh(energy_wh: int) -> Fraction:
    return Fraction(energy_wh, _KWH)


def _self_consumption(steps: Sequence[Step]) -> Value:
    matched = sum(min(step.generation_wh, step.load_wh) for step in steps)
    generated = sum(step.generation_wh for step in steps)
    return _ratio(_kwh(matched), _kwh(generated), "nothing was generated")


def _self_sufficiency(steps: Sequence[Step]) -> Value:
    matched = sum(min(step.generation_wh, step.load_wh) for step in steps)
    consumed = sum(step.load_wh for step in steps)
    return _ratio(_kwh(matched), _kwh(consumed), "nothing was consumed, or the load is not metered")


def _on_site_energy_ratio(steps: Sequence[Step]) -> Value:
    generated = sum(step.generation_wh for step in steps)
    consumed = sum(step.load_wh for step in steps)
    return _ratio(_kwh(generated), _kwh(consumed), "nothing was consumed, or the load is not metered")


def _annual_mismatch_ratio(steps: Sequence[Step]) -> Value:
    loaded = [step for step in steps if step.load_wh > 0]
    mismatch = math.fsum(
        max(0, step.load_wh - step.generation_wh + step.charge_wh - step.discharge_wh) / step.load_wh
        for step in loaded
    )
    return _mean(mismatch, len(loaded))


def _mean(total: float, count: int) -> Value:
    if count == 0:
        return Value(total, 0.0, None, "no step has a load")
    return Value(total, float(count), total / count)


def _load_matching(steps: Sequence[Step]) -> Value:
    loaded = [step for step in steps if step.load_wh > 0]
    matched = math.fsum(min(1.0, step.generation_wh / step.load_wh) for step in loaded)
    return _mean(matched, len(loaded))


def _maximum_surplus(steps: Sequence[Step]) -> Value:
    largest = float(_kwh(max(step.generation_wh - step.load_wh for step in steps)))
    return Value(largest, 1.0, largest)


def _maximum_deficit(steps: Sequence[Step]) -> Value:
    largest = float(_kwh(max(step.load_wh - step.generation_wh for step in steps)))
    return Value(largest, 1.0, largest)


def _peak_to_lowest_load(steps: Sequence[Step]) -> Value:
    loads = [step.load_wh for step in steps]
    return _ratio(_kwh(max(loads)), _kwh(min(loads)), "the lowest load is zero")


def _export_import_pe(steps: Sequence[Step]) -> Value:
    exported = Fraction(sum(step.export_mwh_pe for step in steps), 1_000_000)
    imported = Fraction(sum(step.import_mwh_pe for step in steps), 1_000_000)
    return _ratio(exported, imported, "nothing was imported")


def _grid_interaction(steps: Sequence[Step]) -> Value:
    exchanges = [step.net_exchange_wh for step in steps]
    largest = max(abs(exchange) for exchange in exchanges)
    mean = Fraction(sum(exchanges), len(exchanges))
    variance = sum((exchange - mean) ** 2 for exchange in exchanges) / len(exchanges)
    deviation_kwh = math.sqrt(variance) / _KWH
    if largest == 0:
        return Value(deviation_kwh, 0.0, None, "nothing was exchanged with the grid")
    return Value(deviation_kwh, largest / _KWH, deviation_kwh * _KWH / largest)


def _peak_exchange(hours_per_step: int) -> Callable[[Sequence[Step]], Value]:
    def peak(steps: Sequence[Step]) -> Value:
        """Linear interpolation between the two nearest ranks (the usual definition of a percentile)."""
        powers = sorted(Fraction(abs(step.net_exchange_wh), _KWH * hours_per_step) for step in steps)
        rank = Fraction(99 * (len(powers) - 1), 100)
        below = math.floor(rank)
        above = min(below + 1, len(powers) - 1)
        value = float(powers[below] + (powers[above] - powers[below]) * (rank - below))
        return Value(value, 1.0, value)

    return peak


NO_EVENT: Final = Value(
    0.0, 0.0, None, "no demand-response event of these days was measured for this district"
)


def _flexibility(connection: Connection, district_id: str, first: int, end: int) -> Value:
    """What counted of what the district enrolled, over the measured event hours in `[first, end)`."""
    hours, enrolled = market_tables.measured_hours.c, market_tables.enrolments.c
    delivered_wh, requested_wh = connection.execute(
        select(func.sum(hours.response_wh), func.sum(enrolled.capacity_wh))
        .join_from(
            market_tables.measured_hours,
            market_tables.enrolments,
            (enrolled.event_id == hours.event_id) & (enrolled.district_id == hours.district_id),
        )
        .where(hours.district_id == district_id)
        .where(hours.hour >= first_hour(first), hours.hour < first_hour(end))
    ).one()
    return _ratio(
        Fraction(int(delivered_wh or 0), _KWH),
        Fraction(int(requested_wh or 0), _KWH),
        str(NO_EVENT.reason),
    )


def _ghg_balance(steps: Sequence[Step]) -> Value:
    value = float(Fraction(sum(step.ghg_mg for step in steps), _MG_PER_KG))
    return Value(value, 1.0, value)


def _renewable_ratio(steps: Sequence[Step]) -> Value:
    renewable_pe = sum(
        step.renewable_wh * _KWH + step.import_total_mwh_pe - step.import_non_renewable_mwh_pe
        for step in steps
    )
    all_pe = sum(step.generation_wh * _KWH + step.import_total_mwh_pe for step in steps)
    return _ratio(Fraction(renewable_pe, 10**6), Fraction(all_pe, 10**6), "nothing was produced or imported")


@dataclass(frozen=True)
class Formula:
    """An indicator's definition; a change of the formula is a new version."""

    id: str
    name: str
    text: str
    unit: str
    compute: Callable[[Sequence[Step]], Value]
    needs_factors: bool = False
    version: int = 1


def formulas(hours_per_step: int, flexibility: Value = NO_EVENT) -> list[Formula]:
    """All indicators of domain.md §5, in its order; `flexibility` does not depend on steps."""
    return [
        Formula("self_consumption", "Self-consumption", "sum min(g,l) / sum g", "1", _self_consumption),
        Formula("self_sufficiency", "Self-sufficiency", "sum min(g,l) / sum l", "1", _self_sufficiency),
        Formula("OER", "On-site energy ratio", "sum g / sum l", "1", _on_site_energy_ratio),
        Formula(
            "AMR",
            "Annual mismatch ratio",
            "mean over steps with l>0 of max(0, l-g+charge-discharge)/l",
            "1",
            _annual_mismatch_ratio,
        ),
        Formula("MHS", "Maximum hourly surplus", "max(g-l)", "kWh", _maximum_surplus),
        Formula("MHD", "Maximum hourly deficit", "max(l-g)", "kWh", _maximum_deficit),
        Formula("RPL", "Ratio of peak to lowest load", "max l / min l", "1", _peak_to_lowest_load),
        Formula(
            "export_import_pe",
            "Exported over imported primary energy",
            "sum export PE / sum import PE",
            "1",
            _export_import_pe,
            needs_factors=True,
        ),
        Formula(
            "load_matching",
            "Load matching index",
            "mean of min(1, g/l) over steps with l>0",
            "1",
            _load_matching,
        ),
        Formula(
            "grid_interaction",
            "Grid interaction index",
            "population std of (net exchange / max abs net exchange)",
            "1",
            _grid_interaction,
        ),
        Formula(
            "peak_exchange_p99",
            "Peak exchange",
            "99th percentile of abs net exchange",
            "kW",
            _peak_exchange(hours_per_step),
        ),
        Formula(
            "flexibility_response",
            "Flexibility response",
            "delivered / requested demand-response energy",
            "1",
            lambda _steps: flexibility,
        ),
        Formula(
            "ghg_balance",
            "Greenhouse-gas balance",
            "sum(import*EF - export*EF) + fuel*EF",
            "kg CO2e",
            _ghg_balance,
            needs_factors=True,
        ),
        Formula(
            "RER",
            "Renewable energy ratio",
            "(renewable production + import*(PEF_total - PEF_nren)) / (production + import*PEF_total)",
            "1",
            _renewable_ratio,
            needs_factors=True,
        ),
    ]


def indicators(
    connection: Connection, assessment_id: str, first: int, end: int, resolution: str = "PT1H"
) -> list[Indicator]:
    """All indicators of an assessment over the days `[first, end)`.

    Raises:
        NotFound: the assessment is unknown.
        ResolutionUnknown: the resolution is none of RESOLUTIONS.
    """
    if resolution not in RESOLUTIONS:
        raise ResolutionUnknown(
            f"resolution {resolution!r} is unknown: use one of {', '.join(RESOLUTIONS)}; finer than an hour "
            "is not on chain"
        )
    hours_per_step = RESOLUTIONS[resolution]
    steps, weighed = load_steps(connection, assessment_id, first, end, hours_per_step)
    span = f"{to_date(first)} to {to_date(end - 1)}"
    district_id = assessment_row(connection, assessment_id).district_id
    found = []
    for formula in formulas(hours_per_step, _flexibility(connection, district_id, first, end)):
        relevant = weighed if formula.needs_factors else steps
        if relevant:
            value = formula.compute(relevant)
        else:
            missing = "factors and " if formula.needs_factors else ""
            value = Value(reason=f"no step from {span} has {missing}a measured record of every point")
        found.append(
            Indicator(
                id=formula.id,
                name=formula.name,
                formula=formula.text,
                formula_version=formula.version,
                unit=formula.unit,
                resolution=resolution,
                value=value.value,
                numerator=value.numerator,
                denominator=value.denominator,
                reason=value.reason,
            )
        )
    return found


def load_steps(
    connection: Connection, assessment_id: str, first: int, end: int, hours_per_step: int
) -> tuple[list[Step], list[Step]]:
    """Steps whose hours are all measured, and those of them whose factors are known too. Raises NotFound."""
    district_id = assessment_row(connection, assessment_id).district_id
    factors = _import_factors(connection, assessment_id, first, end)
    hours, judged = store.hours, store.hour_balances
    rows = connection.execute(
        select(
            hours,
            judged.c.average_factor,
            judged.c.marginal_factor,
            judged.c.export_factor,
            judged.c.import_load_wh,
            judged.c.attributes_out_wh,
            judged.c.attributes_in_wh,
            judged.c.ghg_mg,
        )
        .outerjoin(judged, (judged.c.hour == hours.c.hour) & (judged.c.assessment_id == assessment_id))
        .where(hours.c.district_id == district_id, hours.c.day >= first, hours.c.day < end)
        .order_by(hours.c.hour)
    )
    complete: dict[int, list[tuple[Step, bool]]] = {}
    for row in rows:
        if row.measured != row.open_points or row.members != row.registered_members or row.tainted:
            continue
        net = row.export_wh - row.import_wh
        export_wh, import_wh = max(0, net), max(0, -net)
        weighed = row.average_factor is not None and row.hour in factors
        values = {
            "generation_wh": row.production_wh,
            "load_wh": row.consumption_wh,
            "charge_wh": max(0, row.charge_wh - row.discharge_wh),
            "discharge_wh": max(0, row.discharge_wh - row.charge_wh),
            "import_wh": import_wh,
            "export_wh": export_wh,
            "renewable_wh": row.renewable_wh,
        }
        if weighed:
            total, non_renewable = factors[row.hour]
            load_wh = row.import_load_wh
            # What moved with its attributes in a trade counts for the other side (domain.md §6).
            import_wh -= row.attributes_in_wh
            values |= {
                "export_mwh_pe": (export_wh - row.attributes_out_wh) * row.export_factor,
                "import_mwh_pe": load_wh * row.average_factor + (import_wh - load_wh) * row.marginal_factor,
                "import_total_mwh_pe": import_wh * total,
                "import_non_renewable_mwh_pe": import_wh * non_renewable,
                "ghg_mg": row.ghg_mg,
            }
        complete.setdefault(row.hour // hours_per_step, []).append((Step(**values), weighed))
    steps, weighed_steps = [], []
    for parts in complete.values():
        if len(parts) < hours_per_step:
            continue
        total_step = sum((step for step, _ in parts), Step())
        steps.append(total_step)
        if all(weighed for _, weighed in parts):
            weighed_steps.append(total_step)
    return steps, weighed_steps


def _import_factors(
    connection: Connection, assessment_id: str, first: int, end: int
) -> dict[int, tuple[int, int]]:
    """Average total and non-renewable factor of import by hour, 1/1000, where they are known."""
    table = store.assessments
    assessment = connection.execute(
        select(table.c.vintage_id, store.districts.c.zone, store.schemes)
        .join(store.districts, store.districts.c.district_id == table.c.district_id)
        .join(store.schemes, store.schemes.c.scheme_id == table.c.scheme_id)
        .where(table.c.assessment_id == assessment_id)
    ).one()
    found: dict[int, tuple[int, int]] = {}
    if assessment.is_static:
        electricity = vintage_factors(connection, assessment.vintage_id).electricity
        static = (electricity.import_total, electricity.import_non_renewable)
        return dict.fromkeys(range(first_hour(first), first_hour(end)), static)
    days = store.factor_days
    own = {
        row.day: bytes(row.factors)
        for row in connection.execute(
            select(days.c.day, days.c.factors).where(
                days.c.vintage_id == assessment.vintage_id,
                days.c.zone == assessment.zone,
                days.c.day >= first,
                days.c.day < end,
            )
        )
    }
    for day in range(first, end):
        factors = own.get(day)
        if factors is None:
            factors = resolve(connection, assessment.vintage_id, assessment.zone, day).factors
        if factors is not None:
            for hour_of_day, hour in enumerate(unpack_day(factors)):
                found[first_hour(day) + hour_of_day] = (hour.average_total, hour.average_non_renewable)
    return found
