"""What a grid operator asks for, and where it stands: demand-response events (domain.md §7).

Energies are Wh per hour, prices micro-euro per kWh, money micro-euro, times unix seconds.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from contracts.slug import to_bytes32, to_text


class BaselineMethod(IntEnum):
    """How an event's baseline is made, by the number of the contract."""

    TEN_OF_TEN = 0
    """Mean of the ten most recent similar days."""
    HIGH_FIVE_OF_TEN = 1
    """Mean of the five of them with the most net import over the event hours (increase: the least)."""

    @property
    def label(self) -> str:
        """The method's name as people write it: `10_of_10` or `high_5_of_10`."""
        return ("10_of_10", "high_5_of_10")[self]


class EventStatus(IntEnum):
    """Where an event stands, by the number of the contract."""

    NONE = 0
    OPEN = 1
    """Districts can enrol; the operator can still withdraw it."""
    COMMITTED = 2
    """Enrolment is over."""
    MEASURED = 3
    """All enrolled districts are measured; they can be paid."""
    SETTLED = 4
    """All are paid and the rest of the budget is returned."""
    WITHDRAWN = 5


@dataclass(frozen=True, slots=True)
class EventTerms:
    """What an event asks for. Field order is the contract's."""

    zone: str
    increase: bool
    """False: reduce net import; True: increase it."""
    method: BaselineMethod
    start_hour: int
    """First hour, unix time // 3600."""
    hour_count: int
    """1 to 24 consecutive hours, within one UTC day."""
    requested_wh: int
    """Per hour, over all districts."""
    price_micro_eur_per_kwh: int
    """Paid per delivered kWh."""
    penalty_micro_eur_per_kwh: int
    """Per kWh missing to nine tenths of what was enrolled; at least the price."""
    enrol_until: int
    """Unix seconds until which districts enrol; at least `notice_s` before the start."""
    notice_s: int
    """Seconds between the end of enrolment and the start."""

    @property
    def hours(self) -> range:
        """The event's hours, unix time // 3600."""
        return range(self.start_hour, self.start_hour + self.hour_count)

    @property
    def budget_micro_eur(self) -> int:
        """What the operator's account must hold: the most that can be paid, rounded up."""
        return -(-self.price_micro_eur_per_kwh * self.requested_wh * self.hour_count // 1000)

    @property
    def abi(self) -> tuple[Any, ...]:
        """As the contract takes them. Raises IdentifierInvalid for the zone."""
        return (
            to_bytes32(self.zone),
            self.increase,
            int(self.method),
            self.start_hour,
            self.hour_count,
            self.requested_wh,
            self.price_micro_eur_per_kwh,
            self.penalty_micro_eur_per_kwh,
            self.enrol_until,
            self.notice_s,
        )

    @classmethod
    def from_abi(cls, raw: Any) -> "EventTerms":
        """From what the contract returns or announces."""
        zone, increase, method, *rest = raw
        return cls(to_text(zone) if any(zone) else "", increase, BaselineMethod(method), *rest)


@dataclass(frozen=True, slots=True)
class ResponseEvent:
    """An event as of now; money in micro-euro. Field order is the contract's."""

    terms: EventTerms
    operator_org: str
    status: EventStatus
    opened_at: int
    """Unix seconds of the block that opened it: only hours that ended before count for baselines."""
    enrolled: int
    """How many districts enrolled; so many are measured and paid:"""
    measured: int
    paid: int
    budget_micro_eur: int
    spent_micro_eur: int


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A district in an event; money in micro-euro. Field order is the contract's."""

    capacity_wh: int
    """Per hour; 0 when it is not enrolled."""
    is_measured: bool
    is_paid: bool
    deposit_micro_eur: int
    """The greatest possible penalty."""
