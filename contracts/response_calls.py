"""Typed calls of Flexibility.sol: demand-response events and what they pay (domain.md §7)."""

from typing import NamedTuple

from contracts.contract_calls import ContractCalls
from contracts.key import SigningKey
from contracts.response import Enrolment, EventStatus, EventTerms, ResponseEvent
from contracts.slug import to_bytes32, to_text

_NOW = "pending"


class OnChainBaseline(NamedTuple):
    """Baseline of a district in an event as the contract computes it, per event hour."""

    days_used: tuple[int, ...]
    """Similar days used, rising; without a baseline those that there are."""
    baseline_wh: tuple[int, ...] | None
    """Net import, signed; None: there is no baseline."""


class ResponseCalls(ContractCalls):
    """Demand-response events."""

    def open_event(self, key: SigningKey, terms: EventTerms, *, gas: int | None = None) -> bytes:
        """Open an event and hold its budget; EventOpened has its number. By a GRID_OPERATOR."""
        return self._send(key, "Flexibility", "openEvent", terms.abi, gas=gas)

    def withdraw_event(self, key: SigningKey, event_id: int, *, gas: int | None = None) -> bytes:
        """Withdraw an event while districts can still enrol. By its operator."""
        return self._send(key, "Flexibility", "withdrawEvent", event_id, gas=gas)

    def enrol_district(
        self, key: SigningKey, event_id: int, district_id: str, capacity_wh: int, *, gas: int | None = None
    ) -> bytes:
        """Enrol Wh per hour of a district and hold its deposit. By a DISTRICT_OWNER of its
        owner."""
        arguments = event_id, to_bytes32(district_id), capacity_wh
        return self._send(key, "Flexibility", "enrol", *arguments, gas=gas)

    def measure_response(
        self, key: SigningKey, event_id: int, district_id: str, *, gas: int | None = None
    ) -> bytes:
        """Compute baseline and response of an enrolled district from final hours; anyone may."""
        return self._send(key, "Flexibility", "measure", event_id, to_bytes32(district_id), gas=gas)

    def pay_response(
        self, key: SigningKey, event_id: int, district_id: str, *, gas: int | None = None
    ) -> bytes:
        """Pay a measured district once all are measured, less its penalty; anyone may."""
        return self._send(key, "Flexibility", "pay", event_id, to_bytes32(district_id), gas=gas)

    def return_budget(self, key: SigningKey, event_id: int, *, gas: int | None = None) -> bytes:
        """Give the operator its budget back when nobody enrolled; anyone may."""
        return self._send(key, "Flexibility", "returnBudget", event_id, gas=gas)

    def event_count(self) -> int:
        """How many events there are."""
        return int(self._call("Flexibility", "eventCount"))

    def response_event(self, event_id: int) -> ResponseEvent:
        """An event as of the block to come. Raises errors.UnknownEvent."""
        raw = self._call("Flexibility", "responseEvent", event_id, block=_NOW)
        terms, operator_org, status, *numbers = raw
        return ResponseEvent(EventTerms.from_abi(terms), to_text(operator_org), EventStatus(status), *numbers)

    def enrolment(self, event_id: int, district_id: str) -> Enrolment:
        """A district in an event; its capacity is 0 when it is not enrolled."""
        return Enrolment(*self._call("Flexibility", "enrolment", event_id, to_bytes32(district_id)))

    def response_wh(self, event_id: int, district_id: str) -> list[int]:
        """What counts of a measured district's response, per event hour."""
        return list(self._call("Flexibility", "responseWh", event_id, to_bytes32(district_id)))

    def is_event_day(self, district_id: str, day: int) -> bool:
        """Whether a day counts as an event day of a district, which no baseline uses."""
        return bool(self._call("Flexibility", "isEventDay", to_bytes32(district_id), day))

    def baseline(self, event_id: int, district_id: str) -> OnChainBaseline:
        """The baseline as of now; only final hours make it final."""
        raw = self._call("Flexibility", "baseline", event_id, to_bytes32(district_id), block=_NOW)
        return OnChainBaseline(tuple(raw[0]), tuple(raw[1]) or None)
