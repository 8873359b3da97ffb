"""What the contracts announce, as typed Python: the logs from which everything can be rebuilt.

Here are those of certification; those of trading and of demand response are in `contracts.market_events` and
`contracts.response_events`. Identifiers are slugs, hashes and commitments bytes, times unix seconds. Decode
with `contracts.event_decoder`.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

from contracts.boundary import MemberDeclaration
from contracts.lifecycle import Decision, Status
from contracts.point import PointDeclaration
from contracts.scheme import CarrierFactors, Scheme, StaticFactors
from contracts.slug import to_text
from contracts.verdict import Finding, Verdict


class Totals(NamedTuple):
    """Sums of days, or a difference of them: mWh_PE, mg CO2e, hours."""

    balance_mwh_pe: int
    lower_mwh_pe: int
    upper_mwh_pe: int
    ghg_mg: int
    ghg_upper_mg: int
    complete_hours: int


@dataclass(frozen=True)
class Event:
    """Any event of the platform's contracts."""


# Registry


@dataclass(frozen=True)
class OrganisationRegistered(Event):
    """An organisation exists."""

    organisation_id: str
    name: str


@dataclass(frozen=True)
class AccountEnrolled(Event):
    """An account belongs to an organisation, for ever."""

    account: str
    organisation_id: str


@dataclass(frozen=True)
class RoleGranted(Event):
    """An account has a role (Keccak-256 of its name, zero for the scheme administrator)."""

    role: bytes
    account: str
    sender: str


@dataclass(frozen=True)
class RoleRevoked(Event):
    """An account has a role no longer."""

    role: bytes
    account: str
    sender: str


@dataclass(frozen=True)
class SchemeRegistered(Event):
    """A scheme exists and never changes."""

    scheme_id: str
    scheme: Scheme


@dataclass(frozen=True)
class DistrictRegistered(Event):
    """A district exists."""

    district_id: str
    zone: str
    owner_org: str
    operator_org: str
    minimum_members: int


@dataclass(frozen=True)
class GatewayRegistered(Event):
    """A gateway belongs to a district and has its first key."""

    gateway_id: str
    district_id: str
    key: str


@dataclass(frozen=True)
class KeyRotated(Event):
    """A gateway signs with another key from this block on."""

    gateway_id: str
    old_key: str
    new_key: str


@dataclass(frozen=True)
class KeyRevoked(Event):
    """A gateway is mute; what was accepted since `compromised_since` (unix seconds, 0 for never) is in
    doubt."""

    gateway_id: str
    district_id: str
    key: str
    compromised_since: int


@dataclass(frozen=True)
class GatewayBoundaryPublished(Event):
    """A gateway's points from a day on."""

    district_id: str
    gateway_id: str
    version: int
    from_day: int
    manifest: str
    group: str
    open: tuple[PointDeclaration, ...]
    members: tuple[MemberDeclaration, ...]


@dataclass(frozen=True)
class BoundaryPublished(Event):
    """A boundary version of a district from a day on."""

    district_id: str
    version: int
    from_day: int
    restart_day: int


@dataclass(frozen=True)
class MeterExchanged(Event):
    """A point has another meter. Identifiers are bytes: a serial, or a member's commitment."""

    district_id: str
    gateway_id: str
    old_id: bytes
    new_id: bytes
    day: int


# Factors


@dataclass(frozen=True)
class VintageCreated(Event):
    """A vintage with its static and carrier factors."""

    vintage_id: str
    parent: str
    """Empty for none."""
    publisher_org: str
    created_at: int
    f_min: int
    f_max: int
    g_max: int
    electricity: StaticFactors
    carriers: tuple[CarrierFactors, ...]


@dataclass(frozen=True)
class DayPublished(Event):
    """A day's factors; see `contracts.factor.unpack_day`."""

    vintage_id: str
    zone: str
    day: int
    pointer: str
    factors: bytes


# Ledger


@dataclass(frozen=True)
class OpenBatchRecorded(Event):
    """An open batch was accepted."""

    gateway_id: str
    district_id: str
    day: int
    sequence: int
    replaces: int
    key: str
    payload: bytes
    signature: bytes


@dataclass(frozen=True)
class PrivateBatchRecorded(Event):
    """A private batch was accepted."""

    gateway_id: str
    district_id: str
    day: int
    sequence: int
    replaces: int
    key: str
    changed_members: int
    payload: bytes
    signature: bytes


@dataclass(frozen=True)
class AdjustmentBooked(Event):
    """A final day was adjusted."""

    gateway_id: str
    district_id: str
    day: int
    sequence: int
    replaces: int
    is_private: bool
    reason_hash: bytes
    changed_members: int
    operator: str
    auditor: str
    payload: bytes
    operator_signature: bytes
    auditor_signature: bytes


@dataclass(frozen=True)
class HoursTainted(Event):
    """These hours (bit h = hour h) were accepted under a key since found compromised."""

    gateway_id: str
    district_id: str
    day: int
    is_private: bool
    hour_bits: int


@dataclass(frozen=True)
class CompromiseScanned(Event):
    """All days of a district's compromise have been looked through."""

    district_id: str
    index: int


@dataclass(frozen=True)
class BatchSkipped(Event):
    """A batch of a bundle was refused; see `contracts.errors.decode_error` for `reason`."""

    index: int
    reason: bytes


# Assessments


@dataclass(frozen=True)
class AssessmentOpened(Event):
    """An assessment (district, scheme, vintage) begins."""

    id: bytes
    district_id: str
    scheme_id: str
    vintage_id: str
    start_day: int


@dataclass(frozen=True)
class DayFinalised(Event):
    """A day is final in an assessment, with its own sums."""

    id: bytes
    day: int
    totals: Totals
    edge_estimated: bool
    boundary_version: int


@dataclass(frozen=True)
class DayAdjusted(Event):
    """A final day's sums changed by `difference`."""

    id: bytes
    day: int
    difference: Totals
    edge_estimated: bool


# Certificates


@dataclass(frozen=True)
class Applied(Event):
    """A certificate was applied for."""

    id: int
    district_id: str
    assessment_id: bytes
    scheme_id: str
    vintage_id: str
    owner_org: str
    account: str


@dataclass(frozen=True)
class ProvisionalGranted(Event):
    """A certificate is provisional."""

    id: int
    organisation_id: str
    account: str


@dataclass(frozen=True)
class CertificationRequested(Event):
    """Certification or renewal was requested; auditors may challenge it."""

    id: int
    request: int
    renewal: bool
    challenge_until: int
    request_until: int
    verdict: Verdict


@dataclass(frozen=True)
class Certified(Event):
    """A certificate is certified until `expiry`."""

    id: int
    request: int
    renewal: bool
    expiry: int
    verdict: Verdict


@dataclass(frozen=True)
class Challenged(Event):
    """An auditor challenges a request."""

    id: int
    request: int
    proceeding: int
    organisation_id: str
    account: str
    evidence_hash: bytes
    decide_by: int


@dataclass(frozen=True)
class ChallengeVoted(Event):
    """An auditor organisation voted on a challenge."""

    id: int
    proceeding: int
    organisation_id: str
    account: str
    uphold: bool


@dataclass(frozen=True)
class ChallengeDecided(Event):
    """A challenge was decided, or dismissed because it was undecided at the deadline."""

    id: int
    proceeding: int
    decision: Decision
    undecided: bool
    uphold_votes: int
    dismiss_votes: int
    status: Status


@dataclass(frozen=True)
class RevocationVoted(Event):
    """An auditor organisation voted for a revocation."""

    id: int
    reason_hash: bytes
    until: int
    organisation_id: str
    account: str
    votes: int
    vote_until: int


@dataclass(frozen=True)
class Revoked(Event):
    """A certificate is revoked until a time."""

    id: int
    reason_hash: bytes
    until: int


def as_verdict(raw: Any) -> Verdict:
    """A verdict as a contract returns it."""
    return Verdict(Finding(raw[0]), *raw[1:])


def slug_or_empty(word: bytes) -> str:
    """The slug in 32 bytes; empty for zero."""
    return to_text(word) if any(word) else ""
