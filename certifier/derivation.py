"""Derives the current state of district-days from the facts: hours, balances, batteries.

A day is derived anew whenever a fact touches it; the result depends on the facts alone, so the order and
grouping in which they came make no difference.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, Row, and_, func, select

from certifier import store
from certifier.alarms import raise_alarm
from certifier.assessment import DayReadings, NotAssessable, day_readings, judge
from certifier.boundary import Boundaries
from certifier.factors import (
    LACKING,
    PENDING,
    SCHEME_COLUMNS,
    Resolution,
    ResolvedWeights,
    resolve,
    resolved_weights,
    scheme_of,
)
from contracts.energy import DayAssessment, HourAssessment, HourSums, Weights
from contracts.hour import HOURS_PER_DAY, first_hour, format_day
from contracts.reading import ReadingInvalid
from contracts.tally import DayTally


class Derivation:
    """Collects the district-days that facts touch and derives them once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._days: set[tuple[str, int]] = set()
        self._boundaries: Boundaries | None = None

    def touch_day(self, district_id: str, day: int) -> None:
        """A fact concerns this day."""
        self._days.add((district_id, day))

    def touch_days_from(self, district_id: str, day: int) -> None:
        """A fact concerns all days of the district from this one on for which anything is recorded."""
        table = store.hours
        self._days.update(
            (district_id, found)
            for found in self._connection.execute(
                select(table.c.day).where(table.c.district_id == district_id, table.c.day >= day).distinct()
            ).scalars()
        )

    def touch_assessment_day(self, assessment_id: str, day: int) -> None:
        """A fact concerns a day of an assessment."""
        district_id = self._connection.execute(
            select(store.assessments.c.district_id).where(store.assessments.c.assessment_id == assessment_id)
        ).scalar_one()
        self.touch_day(district_id, day)

    def touch_final_day(self, assessment_id: str, day: int) -> None:
        """A day became final: that changes it only if nothing, or no balance, was derived for it."""
        table = store.day_balances
        source = self._connection.execute(
            select(table.c.factor_source).where(table.c.assessment_id == assessment_id, table.c.day == day)
        ).scalar()
        if source is None or source == PENDING:
            self.touch_assessment_day(assessment_id, day)

    def touch_factors(self, vintage_id: str, zone: str, day: int) -> None:
        """Factors of a day came (or vanished): it and the days skipped before it resolve differently."""
        days = store.factor_days
        last = self._connection.execute(
            select(func.max(days.c.day)).where(
                days.c.vintage_id == vintage_id, days.c.zone == zone, days.c.day < day
            )
        ).scalar()
        table = store.assessments
        concerned = self._connection.execute(
            select(table.c.district_id, table.c.vintage_id)
            .join(store.districts, store.districts.c.district_id == table.c.district_id)
            .where(store.districts.c.zone == zone)
        ).all()
        for row in concerned:
            if vintage_id not in self._ancestry(row.vintage_id):
                continue
            if last is not None and day - last == 1:
                self.touch_day(row.district_id, day)
            else:
                self._touch_recorded_until(row.district_id, last, day)

    def _touch_recorded_until(self, district_id: str, last: int | None, day: int) -> None:
        table = store.hours
        skipped = self._connection.execute(
            select(table.c.day)
            .where(
                table.c.district_id == district_id,
                table.c.day > (-1 if last is None else last),
                table.c.day <= day,
            )
            .distinct()
        ).scalars()
        self._days.update((district_id, found) for found in skipped)

    def _ancestry(self, vintage_id: str) -> list[str]:
        found: list[str] = []
        following: str | None = vintage_id
        while following is not None:
            found.append(following)
            following = self._connection.execute(
                select(store.vintages.c.parent).where(store.vintages.c.vintage_id == following)
            ).scalar()
        return found

    def forget_boundaries(self) -> None:
        """A boundary changed: read them anew."""
        self._boundaries = None

    def forget_assessment(self, assessment_id: str) -> None:
        """Remove what was derived for an assessment that is no longer there."""
        for table in (store.hour_balances, store.day_balances):
            self._connection.execute(table.delete().where(table.c.assessment_id == assessment_id))

    def derive(self) -> None:
        """Derive every touched day."""
        for district_id, day in sorted(self._days):
            self._derive_day(district_id, day)
        self._days.clear()

    def _derive_day(self, district_id: str, day: int) -> None:
        connection = self._connection
        if self._boundaries is None:
            self._boundaries = Boundaries(connection)
        self._clear_day(district_id, day)
        judged = _concerned_assessments(connection, district_id, day)
        known = store.batches
        recorded = connection.execute(
            select(known.c.day).where(known.c.district_id == district_id, known.c.day == day).limit(1)
        ).scalar()
        final = {
            row.assessment_id
            for row in connection.execute(
                select(store.finalised_days.c.assessment_id).where(
                    store.finalised_days.c.day == day,
                    store.finalised_days.c.assessment_id.in_([row.assessment_id for row in judged]),
                )
            )
        }
        if recorded is None and not final:
            return
        try:
            readings = day_readings(connection, self._boundaries, district_id, day)
            tally = readings.tally()
        except (NotAssessable, ReadingInvalid) as problem:
            raise_alarm(
                connection,
                "unreadable_day",
                f"{district_id}/{format_day(day)}",
                block_number=_last_block(connection, district_id, day),
                chain_figure="accepted",
                own_figure="unreadable",
                explanation=str(problem),
                district_id=district_id,
                day=day,
            )
            return
        _insert_hours(connection, district_id, day, readings, tally)
        for assessment in judged:
            _insert_balances(connection, assessment, day, readings, tally, assessment.assessment_id in final)

    def _clear_day(self, district_id: str, day: int) -> None:
        for table in (store.hours, store.storage_days):
            self._connection.execute(
                table.delete().where(table.c.district_id == district_id, table.c.day == day)
            )
        ids = select(store.assessments.c.assessment_id).where(store.assessments.c.district_id == district_id)
        for table in (store.hour_balances, store.day_balances):
            self._connection.execute(table.delete().where(table.c.assessment_id.in_(ids), table.c.day == day))


def _last_block(connection: Connection, district_id: str, day: int) -> int:
    table = store.batches
    found = connection.execute(
        select(func.max(table.c.block_number)).where(table.c.district_id == district_id, table.c.day == day)
    ).scalar()
    return int(found or 0)


def _concerned_assessments(connection: Connection, district_id: str, day: int) -> list[Row[Any]]:
    table = store.assessments
    return list(
        connection.execute(
            select(table, store.districts.c.zone, *SCHEME_COLUMNS)
            .join(store.districts, store.districts.c.district_id == table.c.district_id)
            .join(store.schemes, store.schemes.c.scheme_id == table.c.scheme_id)
            .where(and_(table.c.district_id == district_id, table.c.start_day <= day))
        )
    )


def _insert_hours(
    connection: Connection, district_id: str, day: int, readings: DayReadings, tally: DayTally
) -> None:
    boundary = readings.boundary
    recorded = [0] * HOURS_PER_DAY
    for stream in readings.holders:
        recorded[stream.hour_of_day] += 1
    rows = []
    for hour_of_day, sums in enumerate(tally.hours):
        rows.append(
            {
                "district_id": district_id,
                "hour": first_hour(day) + hour_of_day,
                "day": day,
                **{name: getattr(sums, name) for name in _SUMS},
                "renewable_wh": readings.renewable_wh(hour_of_day),
                "recorded": recorded[hour_of_day],
                "open_points": boundary.open_points,
                "registered_members": boundary.members,
                "boundary_version": boundary.version,
                "carriers": _carriers(sums),
            }
        )
    connection.execute(store.hours.insert(), rows)
    batteries = [
        {
            "district_id": district_id,
            "point_id": point_id,
            "day": day,
            "stored_mwh": entry.stored_mwh,
            "lowest_mwh": entry.lowest_mwh,
            "highest_mwh": entry.highest_mwh,
            "throughput_wh": entry.throughput_wh,
            "capacity_wh": entry.capacity_wh,
        }
        for point_id, entry in readings.storage_days(day).items()
    ]
    if batteries:
        connection.execute(store.storage_days.insert(), batteries)


_SUMS = (
    "import_wh",
    "export_wh",
    "production_wh",
    "consumption_wh",
    "charge_wh",
    "discharge_wh",
    "foreign_wh",
    "measured",
    "members",
    "estimated",
    "tainted",
    "short_grid_cap_wh",
    "short_carrier_cap_wh",
    "short_foreign_cap_wh",
)


def _carriers(sums: HourSums) -> str:
    """Stored form of an hour's carriers, `{"1": [bought_wh, delivered_wh]}`, without those that are zero."""
    kept = {str(number): list(pair) for number, pair in enumerate(sums.carriers, start=1) if any(pair)}
    return json.dumps(kept, separators=(",", ":"))


def _insert_balances(
    connection: Connection,
    assessment: Row[Any],
    day: int,
    readings: DayReadings,
    tally: DayTally,
    final: bool,
) -> None:
    scheme = scheme_of(assessment)
    resolution = resolve(connection, assessment.vintage_id, assessment.zone, day)
    if resolution.source == PENDING and final:
        resolution = Resolution(LACKING)
    resolved = resolved_weights(connection, scheme, assessment.vintage_id, resolution)
    place = {"assessment_id": assessment.assessment_id, "day": day}
    if resolved is None:
        row = dict.fromkeys((*store.FIGURES, "ghg_lower_mg"))
        connection.execute(
            store.day_balances.insert(),
            [
                {
                    **place,
                    **row,
                    "factor_source": PENDING,
                    "vehicle_excess_wh": tally.vehicles.excess_wh,
                    "complete_hours": 0,
                    "edge_estimated": any(sums.estimated for sums in tally.hours),
                    "boundary_version": readings.boundary.version,
                }
            ],
        )
        return
    judged = judge(readings, tally, scheme, resolved.weights)
    connection.execute(
        store.hour_balances.insert(),
        [
            {**place, "hour": first_hour(day) + hour_of_day, **_hour_row(resolved.source, hour, judged_hour)}
            for hour_of_day, (hour, judged_hour) in enumerate(
                zip(resolved.weights.primary, judged.hours, strict=True)
            )
        ],
    )
    connection.execute(store.day_balances.insert(), [{**place, **_day_row(resolved, judged)}])


def _hour_row(source: str, hour: Weights, judged: HourAssessment) -> dict[str, Any]:
    flows = judged.flows
    return {
        "factor_source": source,
        "average_factor": hour.electricity.average,
        "marginal_factor": hour.electricity.imported,
        "export_factor": hour.electricity.exported,
        "import_load_wh": flows.import_load_wh,
        "import_storage_wh": flows.import_storage_wh,
        "import_rest_wh": flows.import_rest_wh,
        "attributes_out_wh": flows.attributes_out_wh,
        "attributes_in_wh": flows.attributes_in_wh,
        "imbalance_wh": flows.imbalance_wh,
        "bound_row": judged.row.name.lower(),
        "complete": judged.complete,
        **{name: getattr(judged, name) for name in (*store.FIGURES, "ghg_lower_mg")},
    }


def _day_row(resolved: ResolvedWeights, judged: DayAssessment) -> dict[str, Any]:
    totals = judged.totals
    return {
        "factor_source": resolved.source,
        **{name: getattr(totals, name) for name in store.FIGURES},
        "ghg_lower_mg": sum(hour.ghg_lower_mg for hour in judged.hours),
        "vehicle_excess_wh": judged.vehicle_excess_wh,
        "complete_hours": totals.complete_hours,
        "edge_estimated": totals.edge_estimated,
        "boundary_version": totals.boundary_version,
    }
