"""Judges days and windows when the chain does, as of the same place, and compares to the last integer.

Keeps the final days of each assessment in memory (`contracts.verdict.History`), ordered by block number, so
that a verdict "as known at" an earlier block is a look-up.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from certifier import store
from certifier.alarms import raise_alarm
from certifier.assessment import NotAssessable, Position, day_readings, judge
from certifier.boundary import Boundaries
from certifier.factors import (
    LACKING,
    PENDING,
    SCHEME_COLUMNS,
    Resolution,
    resolve,
    resolved_weights,
    scheme_of,
)
from certifier.history import circumstances, finding_name, load_history
from certifier.pending import check_later
from contracts import events
from contracts.energy import DayTotals
from contracts.hour import format_day
from contracts.reading import ReadingInvalid
from contracts.verdict import History, Verdict, latest_verdict, verdict

ZERO = DayTotals(0, 0, 0, 0, 0, 0, False, 0)


class Judgement:
    """The second opinion on every figure that the chain states; `connection` is the open transaction's."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._histories: dict[str, History] = {}
        self._assessments: dict[str, Row[Any]] = {}
        self._boundaries: Boundaries | None = None
        self._touched: set[str] = set()
        self._position: Position = (0, 0)
        self._time_s = 0

    def at(self, position: Position, time_s: int) -> None:
        """The log that is being applied."""
        self._position, self._time_s = position, time_s

    def forget_boundaries(self) -> None:
        """A boundary changed: read them anew."""
        self._boundaries = None

    def touch_district(self, district_id: str) -> None:
        """Something that verdicts depend on changed in a district."""
        table = store.assessments
        self._touched.update(
            self.connection.execute(
                select(table.c.assessment_id).where(table.c.district_id == district_id)
            ).scalars()
        )

    def finalise(self, assessment_id: str, event: events.DayFinalised) -> None:
        """The chain finalised a day: compute it from the logs before, keep both, alarm on a difference."""
        own = self._totals(assessment_id, event.day)
        chain = DayTotals(*event.totals, event.edge_estimated, event.boundary_version)
        block_number, log_index = self._position
        self.connection.execute(
            insert(store.finalised_days),
            [
                {
                    "block_number": block_number,
                    "log_index": log_index,
                    "assessment_id": assessment_id,
                    "day": event.day,
                    **_columns(own, ""),
                    "boundary_version": own.boundary_version,
                    **_columns(chain, "chain_"),
                    "chain_boundary_version": chain.boundary_version,
                }
            ],
        )
        self._history(assessment_id)  # reads the row just written, or appends it
        history = self._histories[assessment_id]
        if history.frontier() == event.day:
            history.append(event.day, own, block_number)
        self._compare("final_day", assessment_id, event.day, chain, own)
        self._touched.add(assessment_id)
        district_id = self._assessment(assessment_id).district_id
        check_later(self.connection, "hours", district_id, event.day)
        check_later(self.connection, "verdict", assessment_id, event.day + 1)

    def adjust(self, assessment_id: str, event: events.DayAdjusted) -> None:
        """The chain booked an adjusted day's difference: compute it too, keep both, alarm on a difference."""
        history = self._history(assessment_id)
        fresh = self._totals(assessment_id, event.day)
        own = _difference(fresh, history.totals(event.day))
        chain = DayTotals(*event.difference, event.edge_estimated)
        block_number, log_index = self._position
        self.connection.execute(
            insert(store.booked_adjustments),
            [
                {
                    "block_number": block_number,
                    "log_index": log_index,
                    "assessment_id": assessment_id,
                    "day": event.day,
                    **_columns(own, ""),
                    **_columns(chain, "chain_"),
                }
            ],
        )
        history.revise(event.day, fresh, block_number)
        self._compare("adjusted_day", assessment_id, event.day, chain, own)
        self._touched.add(assessment_id)
        check_later(self.connection, "verdict", assessment_id, history.frontier())

    def close_block(self, block_number: int) -> None:
        """Keep the verdict of each assessment that the block concerned, if it is another one than before."""
        for assessment_id in sorted(self._touched):
            self._keep(block_number, assessment_id, self._latest(assessment_id))
        self._touched.clear()

    def _latest(self, assessment_id: str) -> Verdict:
        assessment = self._assessment(assessment_id)
        found = circumstances(self.connection, self._known_boundaries(), assessment)
        return latest_verdict(self._history(assessment_id), **found)

    def stated_verdict(self, assessment_id: str, stated: Verdict, occasion: str) -> None:
        """The chain based a certificate's step on a verdict: compute it too, alarm if they differ."""
        found = circumstances(self.connection, self._known_boundaries(), self._assessment(assessment_id))
        own = verdict(self._history(assessment_id), stated.window_end, **found)
        for field in fields(Verdict):
            chain, computed = getattr(stated, field.name), getattr(own, field.name)
            if computed != chain:
                what = f"{occasion} {field.name}"
                self._alarm("verdict", assessment_id, stated.window_end, chain, computed, what)

    def _known_boundaries(self) -> Boundaries:
        if self._boundaries is None:
            self._boundaries = Boundaries(self.connection)
        return self._boundaries

    def _keep(self, block_number: int, assessment_id: str, own: Verdict) -> None:
        row = {
            "assessment_id": assessment_id,
            "finding": finding_name(own.finding),
            "window_start_day": own.window_start,
            "window_end_day": own.window_end,
            **{name: getattr(own, name) for name in store.FIGURES},
            "complete_hours": own.complete_hours,
            "total_hours": own.total_hours,
            "worst_block_hours": own.worst_block_hours,
            "first_version": own.first_version,
            "last_version": own.last_version,
        }
        table = store.verdicts
        last = self.connection.execute(
            select(table)
            .where(table.c.assessment_id == assessment_id)
            .order_by(table.c.block_number.desc())
            .limit(1)
        ).one_or_none()
        if last is not None and all(last._mapping[name] == value for name, value in row.items()):
            return
        self.connection.execute(insert(table), [{**row, "block_number": block_number}])

    def _totals(self, assessment_id: str, day: int) -> DayTotals:
        """A day as the logs before the current one make it; zeros and an alarm when they make none."""
        connection = self.connection
        assessment = self._assessment(assessment_id)
        scheme = scheme_of(assessment)
        resolution = resolve(connection, assessment.vintage_id, assessment.zone, day, self._time_s)
        if resolution.source == PENDING and not scheme.is_static:
            self._alarm("premature_day", assessment_id, day, "finalised", "factors are still pending")
            resolution = Resolution(LACKING)
        resolved = resolved_weights(connection, scheme, assessment.vintage_id, resolution)
        try:
            readings = day_readings(
                connection, self._known_boundaries(), assessment.district_id, day, self._position
            )
            if resolved is None:
                raise NotAssessable("no factors resolve for the day")
            return judge(readings, readings.tally(), scheme, resolved.weights).totals
        except (NotAssessable, ReadingInvalid) as problem:
            self._alarm("unreadable_final_day", assessment_id, day, "finalised", str(problem))
            return ZERO

    def _history(self, assessment_id: str) -> History:
        history = self._histories.get(assessment_id)
        if history is None:
            history = load_history(self.connection, self._assessment(assessment_id))
            self._histories[assessment_id] = history
        return history

    def _assessment(self, assessment_id: str) -> Row[Any]:
        """An assessment with its district's zone and its scheme, none of which ever changes."""
        row = self._assessments.get(assessment_id)
        if row is None:
            table = store.assessments
            row = self.connection.execute(
                select(table, store.districts.c.zone, *SCHEME_COLUMNS)
                .join(store.districts, store.districts.c.district_id == table.c.district_id)
                .join(store.schemes, store.schemes.c.scheme_id == table.c.scheme_id)
                .where(table.c.assessment_id == assessment_id)
            ).one()
            self._assessments[assessment_id] = row
        return row

    def _compare(self, kind: str, assessment_id: str, day: int, chain: DayTotals, own: DayTotals) -> None:
        for name in (*store.FIGURES, "complete_hours", "edge_estimated", "boundary_version"):
            if kind == "adjusted_day" and name == "boundary_version":
                continue
            stated, computed = getattr(chain, name), getattr(own, name)
            if stated != computed:
                self._alarm(kind, assessment_id, day, stated, computed, name)

    def _alarm(
        self, kind: str, assessment_id: str, day: int, chain: object, own: object, figure: str = ""
    ) -> None:
        district_id = self._assessment(assessment_id).district_id
        of_day = f"{district_id}, {format_day(day)}"
        raise_alarm(
            self.connection,
            kind,
            f"{assessment_id}/{format_day(day)}" + (f"/{figure}" if figure else ""),
            block_number=self._position[0],
            chain_figure=chain,
            own_figure=own,
            explanation=f"the chain's {figure} of {of_day} is not what its logs give" if figure else str(own),
            district_id=district_id,
            assessment_id=assessment_id,
            day=day,
        )


def _columns(totals: DayTotals, prefix: str) -> dict[str, Any]:
    names = (*store.FIGURES, "complete_hours", "edge_estimated")
    return {f"{prefix}{name}": getattr(totals, name) for name in names}


def _difference(new: DayTotals, old: DayTotals) -> DayTotals:
    names = (*store.FIGURES, "complete_hours")
    return DayTotals(
        **{name: getattr(new, name) - getattr(old, name) for name in names},
        edge_estimated=new.edge_estimated,
        boundary_version=new.boundary_version,
    )
