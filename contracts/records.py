"""What the contracts keep, as plain values; `contracts.facts` reads them from storage.

Ids are slugs, days are `unix // 86400`, energies Wh, balances mWh_PE, greenhouse gas mg CO2e.
"""

from dataclasses import dataclass

from contracts.energy import FactorRange, Tolerance
from contracts.lifecycle import Status
from contracts.tally import TallyGateway


class FactsInvalid(ValueError):
    """The contracts' storage does not hold together; `place` says where."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}")
        self.place = place
        self.message = message


@dataclass(frozen=True, slots=True)
class District:
    """A district's record in the Registry."""

    district_id: str
    zone: str
    owner_organisation: bytes
    operator_organisation: bytes
    minimum_members: int
    versions: int
    keys_missing: int


@dataclass(frozen=True, slots=True)
class Version:
    """A boundary version: what the Registry keeps of it."""

    number: int
    from_day: int
    restart_day: int
    open_points: int
    members: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """Points of one gateway from a day on."""

    from_day: int
    points: TallyGateway


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway with all its manifests, the oldest first."""

    gateway_id: str
    manifests: tuple[Manifest, ...]

    def points(self, day: int) -> TallyGateway | None:
        """Its points on `day`; None before its first manifest or when it has none."""
        found = None
        for manifest in self.manifests:
            if manifest.from_day <= day:
                found = manifest.points
        return found if found is not None and (found.points or found.groups) else None


@dataclass(frozen=True, slots=True)
class Scheme:
    """A certification scheme."""

    non_renewable: bool
    is_static: bool
    primary_range: FactorRange
    ghg_range: FactorRange
    tolerance: Tolerance


@dataclass(frozen=True, slots=True)
class Assessment:
    """District, scheme and vintage, with the days that are final here."""

    district_id: str
    scheme_id: str
    vintage_id: str
    zone: str
    start_day: int
    frontier: int
    adjusted: bool
    """Whether any adjustment changed a final day."""
    booked: int
    """Entries of the ledger's list of adjusted days that were looked at."""
    moved: int
    """Entries of the claims register's list of changed days that were looked at."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums of days as the chain keeps them: mWh_PE, mg CO2e, hours."""

    balance_mwh_pe: int = 0
    lower_mwh_pe: int = 0
    upper_mwh_pe: int = 0
    ghg_mg: int = 0
    ghg_upper_mg: int = 0
    complete_hours: int = 0

    def minus(self, other: "Sums") -> "Sums":
        """Difference of two sums."""
        return Sums(*(a - b for a, b in zip(self.values(), other.values(), strict=True)))

    def plus(self, other: "Sums") -> "Sums":
        """Sum of two sums."""
        return Sums(*(a + b for a, b in zip(self.values(), other.values(), strict=True)))

    def values(self) -> tuple[int, ...]:
        """The six figures."""
        return (
            self.balance_mwh_pe,
            self.lower_mwh_pe,
            self.upper_mwh_pe,
            self.ghg_mg,
            self.ghg_upper_mg,
            self.complete_hours,
        )


@dataclass(frozen=True, slots=True)
class StreamWord:
    """Which batches hold the hours of one gateway, stream and day (layout: ILedger)."""

    holders: tuple[int, ...]
    """Per hour of the day the sequence of its batch, 0 for none."""
    tainted: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class CertificateRecord:
    """A certificate's record; `status` is the stored one."""

    assessment_id: bytes
    district_id: str
    scheme_id: str
    status: Status
    expiry_s: int
