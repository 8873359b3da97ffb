"""A district's hours as the logs before a place in the chain make them, for judging trades and responses."""

from __future__ import annotations

from sqlalchemy import Connection

from certifier.assessment import NotAssessable, Position, day_readings
from certifier.boundary import Boundaries
from contracts.energy import Tolerance
from contracts.hour import HOURS_PER_DAY, day_of_hour, hour_of_day
from contracts.reading import ReadingInvalid
from contracts.settlement import CertifiedHour, certify

NOTHING = CertifiedHour(False, 0)


class MeteredDays:
    """Hours of districts, derived once per day until something new comes for it."""

    def __init__(self, connection: Connection, tolerance: Tolerance) -> None:
        self._connection = connection
        self._tolerance = tolerance
        self._boundaries: Boundaries | None = None
        self._days: dict[tuple[str, int], tuple[CertifiedHour, ...]] = {}

    def forget_day(self, district_id: str, day: int) -> None:
        """Something came for a day."""
        self._days.pop((district_id, day), None)

    def forget_boundaries(self) -> None:
        """A boundary changed: nothing derived before can be relied on."""
        self._boundaries = None
        self._days.clear()

    def hour(self, district_id: str, hour: int, before: Position) -> CertifiedHour:
        """An hour as the logs before a place make it; one that cannot be read is not complete."""
        return self.day(district_id, day_of_hour(hour), before)[hour_of_day(hour)]

    def day(self, district_id: str, day: int, before: Position) -> tuple[CertifiedHour, ...]:
        """The 24 hours of a day as the logs before a place make them."""
        known = self._days.get((district_id, day))
        if known is None:
            known = self._days[district_id, day] = self._derive(district_id, day, before)
        return known

    def boundaries(self) -> Boundaries:
        """Boundary versions of all districts."""
        if self._boundaries is None:
            self._boundaries = Boundaries(self._connection)
        return self._boundaries

    def _derive(self, district_id: str, day: int, before: Position) -> tuple[CertifiedHour, ...]:
        try:
            readings = day_readings(self._connection, self.boundaries(), district_id, day, before)
            tally = readings.tally()
        except (NotAssessable, ReadingInvalid):
            return (NOTHING,) * HOURS_PER_DAY
        summary = readings.boundary.summary
        return tuple(certify(sums, summary, self._tolerance) for sums in tally.hours)
