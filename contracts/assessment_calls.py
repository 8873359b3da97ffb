"""Typed calls of Assessments.sol: final days and verdicts."""

from dataclasses import dataclass
from typing import Any

from contracts.contract_calls import ContractCalls
from contracts.events import Totals, as_verdict, slug_or_empty
from contracts.keccak import keccak
from contracts.key import SigningKey
from contracts.slug import to_bytes32
from contracts.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Assessment:
    """A district under a scheme and a vintage."""

    district_id: str
    """Empty when the assessment does not exist."""
    scheme_id: str
    vintage_id: str
    start_day: int
    frontier: int
    """First day that is not finalised yet."""


class AssessmentCalls(ContractCalls):
    """Final days and verdicts."""

    @staticmethod
    def assessment_id(district_id: str, scheme_id: str, vintage_id: str) -> bytes:
        """Identifier of an assessment: a hash of what it is of."""
        return keccak(to_bytes32(district_id) + to_bytes32(scheme_id) + to_bytes32(vintage_id))

    def open_assessment(
        self,
        key: SigningKey,
        district_id: str,
        scheme_id: str,
        vintage_id: str,
        start_day: int,
        *,
        gas: int | None = None,
    ) -> bytes:
        """Begin an assessment. By an account of the district's owner or operator, or a scheme
        administrator."""
        words = (to_bytes32(text) for text in (district_id, scheme_id, vintage_id))
        return self._send(key, "Assessments", "openAssessment", *words, start_day, gas=gas)

    def finalise(self, key: SigningKey, assessment: bytes, max_days: int, *, gas: int | None = None) -> bytes:
        """Finalise up to `max_days` further days whose time and factors have come; anyone may."""
        return self._send(key, "Assessments", "finalise", assessment, max_days, gas=gas)

    def book_adjustments(
        self, key: SigningKey, assessment: bytes, maximum: int, *, gas: int | None = None
    ) -> bytes:
        """Take over up to `maximum` entries of the ledger's adjustment list; anyone may."""
        return self._send(key, "Assessments", "bookAdjustments", assessment, maximum, gas=gas)

    def assessment(self, assessment: bytes) -> Assessment:
        """What the assessment is of and how far it is."""
        raw = self._call("Assessments", "assessment", assessment)
        district, scheme, vintage, start_day, frontier = raw
        names = slug_or_empty(district), slug_or_empty(scheme), slug_or_empty(vintage)
        return Assessment(*names, start_day, frontier)

    def verdict(self, assessment: bytes, window_end: int, *, block: Any = "latest") -> Verdict:
        """The verdict of the year that ends with the midnight before day `window_end`."""
        return as_verdict(self._call("Assessments", "verdict", assessment, window_end, block=block))

    def latest_verdict(self, assessment: bytes, *, block: Any = "latest") -> Verdict:
        """The newest verdict."""
        return as_verdict(self._call("Assessments", "latestVerdict", assessment, block=block))

    def cumulative(self, assessment: bytes, day: int) -> tuple[Totals, Totals]:
        """Sums of the days before `day`, as finalised, and what was booked for them since."""
        finalised, adjusted = self._call("Assessments", "cumulative", assessment, day)
        return Totals(*finalised), Totals(*adjusted)
