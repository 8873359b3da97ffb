"""States of a certificate (domain.md §4, Lifecycle), by the numbers of the contract."""

from dataclasses import dataclass
from enum import IntEnum


class Status(IntEnum):
    """Where a certificate stands; SUSPENDED and LAPSED follow from time, nobody has to call anything."""

    NONE = 0
    APPLIED = 1
    PROVISIONAL = 2
    CERTIFIED = 3
    SUSPENDED = 4
    REVOKED = 5
    LAPSED = 6


class Decision(IntEnum):
    """Outcome of a challenge."""

    NONE = 0
    PENDING = 1
    UPHELD = 2
    DISMISSED = 3


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate as of now; times are unix seconds, 0 for none. Field order is the contract's."""

    assessment_id: bytes
    district_id: str
    scheme_id: str
    vintage_id: str
    status: Status
    expiry: int
    revoked_until: int
    reason_hash: bytes
    requests: int
    request_open: bool
    requested_window_end: int
    challenge_until: int
    request_until: int
    proceedings: int


@dataclass(frozen=True, slots=True)
class Proceeding:
    """The challenges of one request, decided together. Field order is the contract's."""

    request: int
    decide_by: int
    challenges: int
    uphold_votes: int
    dismiss_votes: int
    decision: Decision
