"""The second opinion on demand response: baseline, response and pay from the logs alone (domain.md §7).

Where our own computation and the chain's differ there is an alarm.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, select

from certifier import market_tables as tables
from certifier.alarms import raise_alarm
from certifier.assessment import Position
from certifier.metered import MeteredDays
from contracts import response_events


class OwnHour(NamedTuple):
    """What we compute of one event hour, Wh; None where it cannot be computed."""

    baseline_wh: int | None = None
    measured_wh: int | None = None
    response_wh: int | None = None


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
        table = tables.response_events
        row = self._connection.execute(select(table).where(table.c.event_id == event_id)).one()
        return range(row.start_hour, row.start_hour + row.hour_count)

    def measured(self, event: response_events.Measured) -> list[OwnHour]:
        """A district was measured: our own baseline, measurement and response, compared."""
        found = []
        for place, hour in enumerate(self.event_hours(event.event_id)):
            metered = self._metered.hour(event.district_id, hour, self._position)
            own = OwnHour(measured_wh=-metered.net_export_wh)
            if own.measured_wh != event.measured_wh[place]:
                self._alarm(
                    event, f"measured/{hour}", event.measured_wh[place], own.measured_wh, "net import"
                )
            found.append(own)
        return found

    def response_paid(self, event: response_events.ResponsePaid) -> tuple[int, int] | None:
        """A district was paid: our own remuneration and penalty, micro-euro, compared."""
        events_, enrolled, hours = tables.response_events, tables.enrolments, tables.measured_hours
        terms = self._connection.execute(select(events_).where(events_.c.event_id == event.event_id)).one()
        capacity_wh = self._connection.execute(
            select(enrolled.c.capacity_wh).where(
                enrolled.c.event_id == event.event_id, enrolled.c.district_id == event.district_id
            )
        ).scalar_one()
        by_hour: dict[int, dict[str, int]] = {}
        for row in self._connection.execute(select(hours).where(hours.c.event_id == event.event_id)):
            by_hour.setdefault(row.hour, {})[row.district_id] = row.response_wh
        if not by_hour:  # withdrawn: everything goes back
            own = (0, 0)
        else:
            own = (
                sum(
                    _pay(terms.price_micro_eur_per_kwh, terms.requested_wh, found, event.district_id)
                    for found in by_hour.values()
                ),
                sum(
                    terms.penalty_micro_eur_per_kwh
                    * max(0, 9 * capacity_wh // 10 - found.get(event.district_id, 0))
                    // 1000
                    for found in by_hour.values()
                ),
            )
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


def _pay(price: int, requested_wh: int, responses: dict[str, int], district_id: str) -> int:
    """Remuneration of an hour, micro-euro: `floor(price min(sum r, requested) r_i / (1000 sum r))`."""
    total_wh = sum(responses.values())
    if total_wh == 0:
        return 0
    return price * min(total_wh, requested_wh) * responses.get(district_id, 0) // (1000 * total_wh)
