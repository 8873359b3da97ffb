"""What the Flexibility contract announces (domain.md §7).

Identifiers are slugs, energies Wh, money micro-euro (token units), times unix seconds.
"""

from dataclasses import dataclass

from contracts.events import Event
from contracts.response import EventTerms


@dataclass(frozen=True)
class EventOpened(Event):
    """A grid operator asks the districts of a zone; its budget is held."""

    event_id: int
    zone: str
    operator_org: str
    terms: EventTerms
    budget: int


@dataclass(frozen=True)
class EventWithdrawn(Event):
    """An event was withdrawn while districts could still enrol."""

    event_id: int


@dataclass(frozen=True)
class Enrolled(Event):
    """A district is ready to deliver so much in each hour; its deposit is held."""

    event_id: int
    district_id: str
    capacity_wh: int
    deposit: int
    baseline_days: int
    """Similar days that the baseline can use, 5 to 10."""


@dataclass(frozen=True)
class Measured(Event):
    """Per event hour: baseline, what was measured (net import, signed) and what counts."""

    event_id: int
    district_id: str
    baseline_wh: tuple[int, ...]
    measured_wh: tuple[int, ...]
    response_wh: tuple[int, ...]


@dataclass(frozen=True)
class ResponsePaid(Event):
    """A district was paid, less its penalty, and got the rest of its deposit back."""

    event_id: int
    district_id: str
    remuneration: int
    penalty: int
    deposit_returned: int


@dataclass(frozen=True)
class EventSettled(Event):
    """All are paid; the rest of the budget is returned."""

    event_id: int
    spent: int
    returned: int
