"""Judging a certificate anew: from proven storage and signed batches to the verdict (domain.md §4).

Nothing that the chain computed is taken over: readings come from the signed payloads, sums, balances and the
verdict from `contracts.tally`, `contracts.energy` and `contracts.verdict`. What the chain keeps is compared
with them. The builder of a proof bundle runs this against a live chain, an auditor against the bundle.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from contracts.energy import NO_ATTRIBUTES, DayTotals, assess_day
from contracts.evidence import AdjustmentBatch, Batch, unhex
from contracts.facts import Facts
from contracts.hour import day_of, format_day, window_start
from contracts.keccak import keccak
from contracts.key import SignatureInvalid
from contracts.lifecycle import Status
from contracts.proven_state import ProofInvalid
from contracts.reading import (
    Adjustment,
    KindSum,
    OpenBatch,
    PrivateBatch,
    ReadingInvalid,
    Record,
    SigningDomain,
    unpack_open,
    unpack_private,
)
from contracts.records import Assessment, District, FactsInvalid, Gateway, Sums, Version
from contracts.slug import to_bytes32
from contracts.tally import Stream, TallyGateway, summarise, tally_day
from contracts.verdict import EDGE_DAYS, Finding, History, Verdict, verdict

FRESH_DAYS: Final = 21
"""A certificate is valid while the window of its verdict ended at most this many days ago (domain.md §4)."""


class BatchKey(NamedTuple):
    """Names one batch."""

    gateway_id: str
    day: int
    is_private: bool
    sequence: int

    def __str__(self) -> str:
        stream = "private" if self.is_private else "open"
        return f"{self.gateway_id}, {format_day(self.day)}, {stream} batch {self.sequence}"


SignedBatch: TypeAlias = Batch | AdjustmentBatch
FindBatch: TypeAlias = Callable[[BatchKey], tuple[SignedBatch, str]]
"""Gives a batch and the place where it stands, in words; raises FactsInvalid when it has none."""


@dataclass(frozen=True)
class Examination:
    """The outcome."""

    certificate_id: int
    assessment_id: bytes
    assessment: Assessment
    verdict: Verdict
    status: Status
    batches: list[SignedBatch]
    """Every batch that holds hours of the window, in the order in which they are needed."""
    signers: Mapping[str, int]
    """How many batches each address signed."""
    days: int
    pending_days: int
    """Days of the window with adjustments (or attributes moved after settlement) that the verdict does not
    hold yet: not judged anew."""
    record_count: int
    """Records of open points in hours that hold."""
    traded_hours: int
    """Hours in which attributes moved in or out with trades."""
    code_hashes: Mapping[str, bytes]

    @property
    def is_valid(self) -> bool:
        """Whether the certificate was valid in the block."""
        return self.status is Status.CERTIFIED


def examine(
    facts: Facts, domain: SigningDomain, time_s: int, certificate_id: int, find_batch: FindBatch
) -> Examination:
    """Judge a certificate anew as of a block at unix time `time_s`.

    Raises FactsInvalid naming the place of the first thing that does not hold, and what the reader of `facts`
    raises.
    """
    code_hashes = facts.require_published_code()
    certificate = facts.certificate(certificate_id)
    assessment_id = certificate.assessment_id
    assessment = facts.assessment(assessment_id)
    _require_same(assessment, certificate.district_id, certificate.scheme_id, assessment_id)
    district = facts.district(assessment.district_id)
    versions = facts.versions(district)
    window_end = _latest_window_end(facts, assessment_id, assessment, versions)
    first_day = max(window_start(window_end), assessment.start_day)
    days = _Days(facts, domain, time_s, assessment, district, find_batch)
    days.expect(range(first_day, window_end))
    history = History(first_day)
    pending = {
        *facts.adjusted_days(district.district_id, assessment.booked),
        *facts.moved_days(district.district_id, assessment.moved),
    }
    for day in range(first_day, window_end):
        if day in pending:
            # Adjusted, but not in the verdict yet: what the verdict rests on is no longer held.
            totals = facts.final_day(assessment_id, assessment, day)
        else:
            totals = days.totals(day, _version_on(versions, day))
        history.append(day, totals)
    found = verdict(
        history,
        window_end,
        restart_days=[version.restart_day for version in versions],
        adjustments_pending=bool(pending),
        compromise_pending=facts.compromises_scanned(district.district_id)
        < facts.compromises(district.district_id),
    )
    _compare(facts, assessment_id, assessment, history, first_day, window_end)
    status = certificate.status
    if status is Status.CERTIFIED:
        fresh = window_end >= day_of(time_s) - FRESH_DAYS
        if time_s >= certificate.expiry_s:
            status = Status.LAPSED
        elif district.keys_missing or found.finding is not Finding.POSITIVE or not fresh:
            status = Status.SUSPENDED
    return Examination(
        certificate_id=certificate_id,
        assessment_id=assessment_id,
        assessment=assessment,
        verdict=found,
        status=status,
        batches=days.batches,
        signers=days.signers,
        days=window_end - first_day,
        pending_days=len(pending & set(range(first_day, window_end))),
        record_count=days.record_count,
        traded_hours=days.traded_hours,
        code_hashes=code_hashes,
    )


def _require_same(assessment: Assessment, district_id: str, scheme_id: str, assessment_id: bytes) -> None:
    names = (assessment.district_id, assessment.scheme_id, assessment.vintage_id)
    expected = keccak(b"".join(map(to_bytes32, names)))
    place = f"assessment 0x{assessment_id.hex()}"
    if assessment_id != expected:
        raise FactsInvalid(place, f"is not the hash of {', '.join(names)}")
    if (assessment.district_id, assessment.scheme_id) != (district_id, scheme_id):
        raise FactsInvalid(place, f"is of {names}, but the certificate is of {(district_id, scheme_id)}")


def _version_on(versions: list[Version], day: int) -> Version | None:
    """The boundary version in force on a day."""
    return next((version for version in reversed(versions) if version.from_day <= day), None)


def _latest_window_end(
    facts: Facts, assessment_id: bytes, assessment: Assessment, versions: list[Version]
) -> int:
    """End of the newest window, stepping back while an edge is estimated (Assessments.latestVerdict)."""
    for back in range(EDGE_DAYS + 1):
        end = assessment.frontier - back
        start = window_start(end)
        last = _version_on(versions, end - 1)
        if start < assessment.start_day or last is None or last.restart_day > start:
            return end
        if not (facts.edge_estimated(assessment_id, start) or facts.edge_estimated(assessment_id, end - 1)):
            return end
    return end


def _compare(
    facts: Facts,
    assessment_id: bytes,
    assessment: Assessment,
    history: History,
    first_day: int,
    window_end: int,
) -> None:
    """Require that the chain's sums over the window are the recomputed ones."""
    kept = facts.sums_before(assessment_id, assessment, window_end).minus(
        facts.sums_before(assessment_id, assessment, first_day)
    )
    own = Sums(*history.sums(first_day, window_end))
    if kept != own:
        raise FactsInvalid(
            f"sums of {format_day(first_day)} to {format_day(window_end - 1)}",
            f"the chain keeps {kept.values()}, recomputed are {own.values()} "
            "(balance, lower, upper in mWh_PE; ghg, ghg upper in mg; complete hours)",
        )
    for day in {first_day, window_end - 1} if window_end > first_day else set():
        totals = history.totals(day)
        edge = facts.edge_estimated(assessment_id, day)
        version = facts.boundary_version(assessment_id, day)
        if (edge, version) != (totals.edge_estimated, totals.boundary_version):
            raise FactsInvalid(
                f"day {format_day(day)}",
                f"the chain keeps (estimated {edge}, boundary version {version}), recomputed are "
                f"({totals.edge_estimated}, {totals.boundary_version})",
            )


class _Days:
    """Assesses days from their signed batches."""

    def __init__(
        self,
        facts: Facts,
        domain: SigningDomain,
        time_s: int,
        assessment: Assessment,
        district: District,
        find_batch: FindBatch,
    ) -> None:
        self._facts = facts
        self._domain = domain
        self._district = district
        self._find_batch = find_batch
        self._gateways = facts.gateways(district.district_id)
        self._tolerance = facts.scheme(assessment.scheme_id).tolerance
        self._weighting = facts.weighting(
            facts.scheme(assessment.scheme_id), assessment.vintage_id, assessment.zone, time_s
        )
        self.batches: list[SignedBatch] = []
        self.signers: dict[str, int] = {}
        self.record_count = 0
        self.traded_hours = 0

    def expect(self, days: range) -> None:
        """Announce which days will be assessed."""
        self._facts.expect_days(self._gateways, days)
        self._facts.expect_attributes(self._district.district_id, days)
        self._weighting.expect(days)

    def totals(self, day: int, version: Version | None) -> DayTotals:
        """Totals of a day."""
        if version is None:
            raise FactsInvalid(format_day(day), "no boundary version is in force")
        active = {
            gateway.gateway_id: points
            for gateway in self._gateways
            if (points := gateway.points(day)) is not None
        }
        boundary = summarise(active.values(), version.number)
        if (boundary.open_points, boundary.members) != (version.open_points, version.members):
            raise FactsInvalid(
                f"boundary version {version.number}",
                f"counts {version.open_points} open and {version.members} private points, but its manifests "
                f"hold {boundary.open_points} and {boundary.members}",
            )
        readings = _Readings()
        for gateway in self._gateways:
            points = active.get(gateway.gateway_id)
            if points is not None:
                for is_private in (False, True):
                    if points.groups if is_private else points.points:
                        self._read_stream(gateway, day, is_private, points, readings)
        try:
            tally = tally_day(active, readings.open_records, readings.private_sums, readings.tainted)
        except ReadingInvalid as problem:
            raise FactsInvalid(format_day(day), str(problem)) from None
        self.record_count += sum(len(records) for records in readings.open_records.values())
        primary, ghg = self._weighting.day(day)
        moved = self._facts.attributes(self._district.district_id, day)
        self.traded_hours += sum(attributes != NO_ATTRIBUTES for attributes in moved)
        return assess_day(tally.hours, tally.vehicles, boundary, self._tolerance, primary, ghg, moved).totals

    def _read_stream(
        self, gateway: Gateway, day: int, is_private: bool, points: TallyGateway, readings: "_Readings"
    ) -> None:
        word = self._facts.stream(gateway.gateway_id, day, is_private)
        for sequence in sorted(set(word.holders) - {0}):
            key = BatchKey(gateway.gateway_id, day, is_private, sequence)
            batch, place = self._find_batch(key)
            payload = unhex(batch.payload)
            kept = self._facts.batch_hash(*key)
            if keccak(payload) != kept:
                raise FactsInvalid(
                    f"{place}.payload",
                    f"hashes to 0x{keccak(payload).hex()}, but the ledger keeps 0x{kept.hex()} for {key}",
                )
            self._require_signature(key, batch, payload, place)
            held = [hour for hour, holder in enumerate(word.holders) if holder == sequence]
            try:
                readings.take(key, payload, len(points.points), held)
            except ReadingInvalid as problem:
                raise FactsInvalid(f"{place}.payload", str(problem)) from None
            self.batches.append(batch)
        readings.tainted |= {
            Stream(gateway.gateway_id, hour, is_private)
            for hour, tainted in enumerate(word.tainted)
            if tainted
        }

    def _require_signature(self, key: BatchKey, batch: SignedBatch, payload: bytes, place: str) -> None:
        if isinstance(batch, AdjustmentBatch):
            self._require_adjusters(key, batch, payload, place)
            return
        message: OpenBatch | PrivateBatch
        header = (key.gateway_id, key.day, key.sequence, batch.replaces)
        signature_place = f"{place}.signature"
        try:
            if key.is_private:
                message = PrivateBatch(*header, changed_members=batch.changed_members, payload=payload)
            else:
                message = OpenBatch(*header, payload=payload)
            signer = message.signer(unhex(batch.signature), self._domain)
        except (SignatureInvalid, ReadingInvalid) as problem:
            raise FactsInvalid(signature_place, f"{key}: {problem}") from None
        try:
            owner = self._facts.gateway_of_key(unhex(signer))
        except ProofInvalid as problem:
            raise FactsInvalid(
                signature_place, f"{key}: recovers {signer}, of which nothing is proven ({problem})"
            ) from None
        if owner != key.gateway_id:
            raise FactsInvalid(
                signature_place,
                f"{key}: recovers the address {signer}, which "
                + (f"is a key of gateway {owner}" if owner else "never was a key of a gateway"),
            )
        self.signers[signer] = self.signers.get(signer, 0) + 1

    def _require_adjusters(self, key: BatchKey, batch: AdjustmentBatch, payload: bytes, place: str) -> None:
        try:
            message = Adjustment(
                key.gateway_id,
                key.day,
                key.sequence,
                batch.replaces,
                is_private=key.is_private,
                reason_hash=unhex(batch.reason_hash),
                changed_members=batch.changed_members,
                payload=payload,
            )
            operator = message.signer(unhex(batch.operator_signature), self._domain)
            auditor = message.signer(unhex(batch.auditor_signature), self._domain)
        except (SignatureInvalid, ReadingInvalid) as problem:
            raise FactsInvalid(place, f"{key}: {problem}") from None
        if self._organisation(operator, f"{place}.operator_signature", key) != (
            self._district.operator_organisation
        ):
            raise FactsInvalid(
                f"{place}.operator_signature",
                f"{key}: {operator} is no account of the district's meter operator",
            )
        auditing = self._organisation(auditor, f"{place}.auditor_signature", key)
        if not any(auditing) or auditing in (
            self._district.operator_organisation,
            self._district.owner_organisation,
        ):
            raise FactsInvalid(
                f"{place}.auditor_signature",
                f"{key}: {auditor} is no account of an organisation without an interest in the district",
            )
        for signer in (operator, auditor):
            self.signers[signer] = self.signers.get(signer, 0) + 1

    def _organisation(self, signer: str, place: str, key: BatchKey) -> bytes:
        try:
            return self._facts.organisation_of(unhex(signer))
        except ProofInvalid as problem:
            raise FactsInvalid(
                place, f"{key}: recovers {signer}, of which nothing is proven ({problem})"
            ) from None


class _Readings:
    """Readings of one day, as tally_day wants them."""

    def __init__(self) -> None:
        self.open_records: dict[tuple[str, int], tuple[Record, ...]] = {}
        self.private_sums: dict[tuple[str, int], tuple[KindSum, ...]] = {}
        self.tainted: set[Stream] = set()

    def take(self, key: BatchKey, payload: bytes, point_count: int, held: list[int]) -> None:
        """Add the hours that a batch holds. Raises ReadingInvalid."""
        if key.is_private:
            sums = {section.hour_of_day: section.sums for section in unpack_private(payload)}
            self.private_sums |= {(key.gateway_id, hour): sums[hour] for hour in _contained(held, sums)}
        else:
            records = {section.hour_of_day: section.records for section in unpack_open(payload, point_count)}
            self.open_records |= {(key.gateway_id, hour): records[hour] for hour in _contained(held, records)}


def _contained(held: list[int], sections: Mapping[int, object]) -> list[int]:
    absent = [hour for hour in held if hour not in sections]
    if absent:
        raise ReadingInvalid(f"lacks the hours {absent} of the day, which it should hold")
    return held
