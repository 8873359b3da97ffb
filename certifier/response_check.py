"""The second opinion on demand response: baseline, response and pay from the logs alone (domain.md §7).

Where our own computation and the chain's differ there is an alarm.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select

from certifier import market_tables as tables
from certifier.alarms import raise_alarm
from certifier.assessment import Position
from certifier.baselines import claimed_wh, event_baseline
from certifier.metered import MeteredDays
from contracts import response_events
from contracts.baseline import hour_pay_micro_eur, hour_penalty_micro_eur, response_wh
from contracts.hour import format_hour_utc
from contracts.settlement import CertifiedHour


class OwnHour(NamedTuple):
    """What we compute of one event hour, Wh; None where it cannot be computed."""

    baseline_wh: int | None = None
    measured_wh: int | None = None
    response_wh: int | None = None


UNKNOWN_WH = -(2**63)
"""How the contract writes that there is no baseline, or that an hour is not complete."""


def known(energy_wh: int) -> int | None:
    """What the contract states; None for what it does not know."""
    return None if energy_wh == UNKNOWN_WH else energy_wh


class ResponseCheck:
    """Judges measurements and payments within one transaction of the projection."""

    def __init__(self, connection: Connection, metered: MeteredDays, sensitivity_wh: int) -> None:
        """`sensitivity_wh`: a response below it counts as none."""
        self._connection = connection
        self._metered = metered
        self._sensitivity_wh = sensitivity_wh
        self._position: Position = (0, 0)

    def at(self, position: Position) -> None:
        """The log that is being applied."""
        self._position = position

    def event_hours(self, event_id: int) -> range:
        """Hours of an event, unix time // 3600."""
        row = self._terms(event_id)
        return range(row.start_hour, row.start_hour + row.hour_count)

    def measured(self, event: response_events.Measured) -> list[OwnHour]:
        """A district was measured: our own baseline, measurement and response, compared."""
        terms = self._terms(event.event_id)
        capacity_wh = self._capacity_wh(event.event_id, event.district_id)

        def day_hours(day: int) -> Sequence[CertifiedHour]:
            return self._metered.day(event.district_id, day, self._position)

        baseline = event_baseline(
            self._connection, terms, event.district_id, day_hours, self._metered.boundaries()
        )
        found = []
        for place, hour in enumerate(self.event_hours(event.event_id)):
            metered = self._metered.hour(event.district_id, hour, self._position)
            baseline_wh = baseline.baseline_wh[place] if baseline and baseline.baseline_wh else None
            measured_wh = -metered.net_export_wh if metered.complete else None
            counts = response_wh(
                baseline_wh,
                measured_wh,
                capacity_wh,
                terms.increase,
                self._sensitivity_wh,
                claimed_wh(self._connection, event.district_id, hour),
            )
            own = OwnHour(baseline_wh, measured_wh, counts)
            chain = OwnHour(
                known(event.baseline_wh[place]), known(event.measured_wh[place]), event.response_wh[place]
            )
            for name, of_chain, computed in zip(OwnHour._fields, chain, own, strict=True):
                if computed != of_chain:
                    self._alarm(event, f"{name}/{format_hour_utc(hour)}", of_chain, computed, name)
            found.append(own)
        return found

    def _terms(self, event_id: int) -> Row[Any]:
        table = tables.response_events
        return self._connection.execute(select(table).where(table.c.event_id == event_id)).one()

    def _capacity_wh(self, event_id: int, district_id: str) -> int:
        table = tables.enrolments
        return int(
            self._connection.execute(
                select(table.c.capacity_wh).where(
                    table.c.event_id == event_id, table.c.district_id == district_id
                )
            ).scalar_one()
        )

    def response_paid(self, event: response_events.ResponsePaid) -> tuple[int, int]:
        """A district was paid: our own remuneration and penalty, micro-euro, compared."""
        hours = tables.measured_hours
        terms = self._terms(event.event_id)
        capacity_wh = self._capacity_wh(event.event_id, event.district_id)
        by_hour: dict[int, dict[str, int]] = {}
        for row in self._connection.execute(select(hours).where(hours.c.event_id == event.event_id)):
            by_hour.setdefault(row.hour, {})[row.district_id] = row.response_wh
        remuneration = penalty = 0  # of a withdrawn event nothing is measured: everything goes back
        for responses in by_hour.values():
            districts = list(responses)
            pays = hour_pay_micro_eur(
                terms.price_micro_eur_per_kwh, terms.requested_wh, list(responses.values())
            )
            remuneration += dict(zip(districts, pays, strict=True)).get(event.district_id, 0)
            penalty += hour_penalty_micro_eur(
                terms.penalty_micro_eur_per_kwh, capacity_wh, responses.get(event.district_id, 0)
            )
        own = (remuneration, penalty)
        chain = (event.remuneration, event.penalty)
        if own != chain:
            self._alarm(event, "pay", chain, own, "remuneration and penalty")
        return own

    def _alarm(
        self,
        event: response_events.Measured | response_events.ResponsePaid,
        name: str,
        chain: object,
        own: object,
        what: str,
    ) -> None:
        of_district = f"{event.district_id} in event {event.event_id}"
        raise_alarm(
            self._connection,
            "response",
            f"{event.event_id}/{event.district_id}/{name}",
            block_number=self._position[0],
            chain_figure=chain,
            own_figure=own,
            explanation=f"the {what} of {of_district} is not what the logs give",
            district_id=event.district_id,
        )
