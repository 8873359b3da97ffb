"""Live progress of a demand-response event: the records so far against the baseline (domain.md §7)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, select

from certifier import store
from certifier.baselines import claimed_wh, event_baseline
from certifier.boundary import Boundaries
from certifier.market_views import Enrolment, ResponseHour
from certifier.queries import to_time
from contracts.baseline import response_wh
from contracts.hour import HOUR_S, HOURS_PER_DAY, hour_start
from contracts.settlement import CertifiedHour

MISSING = CertifiedHour(False, 0)


def preview(
    connection: Connection, event: Row[Any], entry: Enrolment, sensitivity_wh: int, now_s: int
) -> list[ResponseHour]:
    """Hours of an enrolled district that the contract has not measured yet, from the records so far."""

    def day_hours(day: int) -> list[CertifiedHour]:
        return stored_day(connection, entry.district_id, day)

    baseline = event_baseline(connection, event, entry.district_id, day_hours, Boundaries(connection))
    hours = range(event.start_hour, event.start_hour + event.hour_count)
    of_day = day_hours(hours[0] // HOURS_PER_DAY)
    found = []
    for place, hour in enumerate(hours):
        metered = of_day[hour % HOURS_PER_DAY]
        over = hour_start(hour) + HOUR_S <= now_s
        baseline_wh = baseline.baseline_wh[place] if baseline and baseline.baseline_wh else None
        complete = over and metered.complete
        measured_wh = -metered.net_export_wh if complete else None
        claimed = claimed_wh(connection, entry.district_id, hour)
        counts = response_wh(
            baseline_wh, measured_wh, entry.capacity_wh, event.increase, sensitivity_wh, claimed
        )
        found.append(
            ResponseHour(
                event_id=entry.event_id,
                district_id=entry.district_id,
                start_time_utc=to_time(hour_start(hour)),
                capacity_wh=entry.capacity_wh,
                baseline_wh=baseline_wh,
                measured_wh=measured_wh,
                complete=complete,
                response_wh=counts if over else None,
                final=False,
            )
        )
    return found


def stored_day(connection: Connection, district_id: str, day: int) -> list[CertifiedHour]:
    """The 24 hours of a day as they stand now; energy is taken to be conserved until the contract judges."""
    table = store.hours
    found = [MISSING] * HOURS_PER_DAY
    for row in connection.execute(
        select(table).where(table.c.district_id == district_id, table.c.day == day)
    ):
        complete = (
            row.measured == row.open_points
            and row.members == row.registered_members
            and not row.tainted
            and not row.estimated
            and not row.short_grid_cap_wh
            and not row.short_carrier_cap_wh
        )
        found[row.hour % HOURS_PER_DAY] = CertifiedHour(complete, row.export_wh - row.import_wh)
    return found
