"""What the contracts' storage says about a district, read slot by slot, so that each value can be proven.

The same code reads a live chain (to learn which slots a proof needs) and a proof bundle (to check it): it
only sees a `StateReader`. Ids are slugs, days are `unix // 86400`, energies Wh.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

from contracts.artifacts import artifact
from contracts.deployment import CONTRACTS
from contracts.energy import NO_ATTRIBUTES, NO_DAY_ATTRIBUTES, Attributes, DayTotals, FactorRange, Tolerance
from contracts.hour import HOURS_PER_DAY, first_hour
from contracts.keccak import keccak
from contracts.lifecycle import Status
from contracts.point import Kind
from contracts.records import (
    Assessment,
    CertificateRecord,
    District,
    FactsInvalid,
    Gateway,
    Manifest,
    Scheme,
    StreamWord,
    Sums,
    Version,
)
from contracts.slug import to_bytes32, to_text
from contracts.storage import ContractStorage, StateReader
from contracts.tally import TallyGateway, TallyGroup, TallyPoint
from contracts.weighting import Weighting, stored

_ENTRY_BYTES: Final = 8
_LINKS: Final = {
    "Factors": ("registry",),
    "Ledger": ("registry",),
    "MarketRules": ("registry",),
    "Claims": ("registry", "ledger", "rules", "market", "settlement", "flexibility"),
    "Escrow": ("registry", "market", "settlement", "flexibility"),
    "Market": ("registry", "rules", "escrow", "claims"),
    "Settlement": ("registry", "ledger", "rules", "escrow", "claims", "market"),
    "Flexibility": ("registry", "ledger", "rules", "escrow", "claims", "settlement"),
    "Assessments": ("registry", "factors", "ledger", "claims"),
    "Certificates": ("registry", "assessments"),
}
"""Immutable variables by which a contract names those that it believes."""
_LINKED: Final = {"rules": "MarketRules"}
"""Which contract such a variable names, where it is not called like it."""


class Facts:
    """Typed reading of the contracts at `addresses` (by contract name).

    Methods raise FactsInvalid, and what the reader raises.
    """

    def __init__(self, addresses: dict[str, bytes], reader: StateReader) -> None:
        self._addresses = addresses
        self._reader = reader
        storages = {name: ContractStorage(name, addresses[name], reader) for name in CONTRACTS}
        self._registry, self._factors = storages["Registry"], storages["Factors"]
        self._ledger, self._claims = storages["Ledger"], storages["Claims"]
        self._assessments, self._certificates = storages["Assessments"], storages["Certificates"]

    # --- code

    def require_published_code(self) -> dict[str, bytes]:
        """Hash of each contract's code: the published code, that relies on the others."""
        hashes = {}
        for name in CONTRACTS:
            place = f"code of {name} at 0x{self._addresses[name].hex()}"
            code = self._reader.code(self._addresses[name], place)
            published = artifact(name)
            if not published.matches(code):
                raise FactsInvalid(
                    place, f"is not the published contract (sources {published.source_hash[:18]}...)"
                )
            for link in _LINKS.get(name, ()):
                named = published.immutable(code, link).to_bytes(32, "big")[12:]
                if named != self._addresses[_LINKED.get(link, link.capitalize())]:
                    raise FactsInvalid(
                        place, f"relies on the {link} at 0x{named.hex()}, which is another than the bundle's"
                    )
            hashes[name] = keccak(code)
        return hashes

    # --- Registry

    def district(self, district_id: str) -> District:
        """A district's record."""
        key = to_bytes32(district_id)
        record = self._registry.members("_districts", key)
        if not record["ownerOrg"]:
            raise FactsInvalid(f"Registry._districts[{district_id}]", "no such district")
        return District(
            district_id=district_id,
            zone=_slug(record["zone"], f"zone of {district_id}"),
            owner_organisation=record["ownerOrg"].to_bytes(32, "big"),
            operator_organisation=record["operatorOrg"].to_bytes(32, "big"),
            minimum_members=record["minimumMembers"],
            versions=record["versions"],
            keys_missing=record["keysMissing"],
        )

    def versions(self, district: District) -> list[Version]:
        """All boundary versions, the oldest first."""
        found = []
        for number in range(1, district.versions + 1):
            record = self._registry.members("_versions", to_bytes32(district.district_id), number)
            found.append(
                Version(
                    number,
                    record["fromDay"],
                    record["restartDay"],
                    record["openPoints"],
                    record["members"],
                )
            )
        return found

    def gateways(self, district_id: str) -> list[Gateway]:
        """All gateways of a district with their manifests."""
        count = self._registry.read("_gatewaysOf", to_bytes32(district_id))
        found = []
        for index in range(count):
            key = self._registry.read_bytes("_gatewaysOf", to_bytes32(district_id), index)
            gateway_id = _slug(int.from_bytes(key, "big"), f"gateway {index} of {district_id}")
            manifests = self._registry.read("_gateways", key, "manifests")
            found.append(
                Gateway(gateway_id, tuple(self._manifest(key, number) for number in range(1, manifests + 1)))
            )
        return found

    def _manifest(self, gateway_key: bytes, number: int) -> Manifest:
        where = (gateway_key, number)
        entries = {}
        for part in ("open", "group"):
            pointer = self._registry.read_bytes("_manifests", *where, part)
            place = f"{part} points of manifest {number} of {to_text(gateway_key)}"
            entries[part] = (
                list(_entries(stored(self._reader, pointer, place), place)) if any(pointer) else []
            )
        points = TallyGateway(
            tuple(TallyPoint(kind, cap_wh, efficiency) for kind, efficiency, cap_wh in entries["open"]),
            tuple(TallyGroup(kind, members, cap_wh) for kind, members, cap_wh in entries["group"]),
        )
        return Manifest(self._registry.read("_manifests", *where, "fromDay"), points)

    def gateway_of_key(self, address: bytes) -> str | None:
        """The gateway whose key has this address, or had it before a rotation; None for no key of any."""
        key = self._registry.read_bytes("gatewayOfKey", address)
        return _slug(int.from_bytes(key, "big"), f"gateway of key 0x{address.hex()}") if any(key) else None

    def organisation_of(self, address: bytes) -> bytes:
        """Organisation (32 bytes) to which an account belongs for ever; zeros for none."""
        return self._registry.read_bytes("organisationOf", address)

    def compromises(self, district_id: str) -> int:
        """How many compromises of keys the district has had."""
        return self._registry.read("_compromises", to_bytes32(district_id))

    def scheme(self, scheme_id: str) -> Scheme:
        """A certification scheme."""
        record = self._registry.members("_schemes", to_bytes32(scheme_id))
        if not record["quorum"]:
            raise FactsInvalid(f"Registry._schemes[{scheme_id}]", "no such scheme")
        return Scheme(
            non_renewable=bool(record["nonRenewable"]),
            is_static=bool(record["isStatic"]),
            primary_range=FactorRange(record["fMin"], record["fMax"]),
            ghg_range=FactorRange(record["gMin"], record["gMax"]),
            tolerance=Tolerance(record["toleranceBp"], record["toleranceWh"]),
        )

    # --- Factors

    def weighting(self, scheme: Scheme, vintage_id: str, zone: str, now_s: int) -> Weighting:
        """Weights of an assessment's days, as they are for good at the time `now_s`."""
        return Weighting(self._factors, self._reader, scheme, vintage_id, zone, now_s)

    # --- Ledger

    def expect_days(self, gateways: Sequence[Gateway], days: range) -> None:
        """Announce that the stream words and batch hashes of these days will be read."""
        streams = [
            (to_bytes32(gateway.gateway_id), day, is_private)
            for gateway in gateways
            for day in days
            if (points := gateway.points(day)) is not None
            for is_private in (False, True)
            if (points.groups if is_private else points.points)
        ]
        self._ledger.expect("streams_", [(key, 2 * day + private) for key, day, private in streams])
        self._ledger.expect(
            "batchHashes_",
            [
                (key, (2 * day + private) * 256 + sequence)
                for key, day, private in streams
                for sequence in set(self.stream(to_text(key), day, private).holders) - {0}
            ],
        )

    def stream(self, gateway_id: str, day: int, is_private: bool) -> StreamWord:
        """Which batches hold the hours of a day."""
        word = self._ledger.read("streams_", to_bytes32(gateway_id), 2 * day + is_private)
        return StreamWord(
            tuple(word >> 8 * hour & 0xFF for hour in range(HOURS_PER_DAY)),
            tuple(bool(word >> 232 + hour & 1) for hour in range(HOURS_PER_DAY)),
        )

    def batch_hash(self, gateway_id: str, day: int, is_private: bool, sequence: int) -> bytes:
        """Keccak-256 of the payload of a batch."""
        key = (2 * day + is_private) * 256 + sequence
        return self._ledger.read_bytes("batchHashes_", to_bytes32(gateway_id), key)

    def adjusted_days(self, district_id: str, first: int) -> list[int]:
        """The district's list of adjusted days from entry `first` on."""
        key = to_bytes32(district_id)
        count = self._ledger.read("adjustedDays_", key)
        return [self._ledger.read("adjustedDays_", key, index) for index in range(first, count)]

    def compromises_scanned(self, district_id: str) -> int:
        """How many of the district's compromises have been looked through."""
        return self._ledger.read("scans_", to_bytes32(district_id), "scanned")

    # --- Claims

    def expect_attributes(self, district_id: str, days: range) -> None:
        """Announce that what moved with its attributes on these days will be read."""
        key = to_bytes32(district_id)
        self._claims.expect("days_", [(key, day, "hourBits") for day in days])

    def attributes(self, district_id: str, day: int) -> tuple[Attributes, ...]:
        """What moved with its attributes in trades, in each hour of a day (domain.md §6)."""
        key = to_bytes32(district_id)
        hour_bits = self._claims.read("days_", key, day, "hourBits")
        if not hour_bits:
            return NO_DAY_ATTRIBUTES
        hours = range(first_hour(day), first_hour(day + 1))
        return tuple(
            Attributes(
                self._claims.read("hours_", key, hour, "attributesOutWh"),
                self._claims.read("hours_", key, hour, "attributesInWh"),
            )
            if hour_bits >> place & 1
            else NO_ATTRIBUTES
            for place, hour in enumerate(hours)
        )

    def moved_days(self, district_id: str, first: int) -> list[int]:
        """The district's list of days whose attributes changed after settlement, from entry `first` on."""
        key = to_bytes32(district_id)
        count = self._claims.read("changedDays_", key)
        return [self._claims.read("changedDays_", key, index) for index in range(first, count)]

    # --- Assessments

    def assessment(self, assessment_id: bytes) -> Assessment:
        """An assessment and how far it is."""
        place = f"assessment 0x{assessment_id.hex()}"
        names = [
            self._assessments.read_bytes("records_", assessment_id, name)
            for name in ("districtId", "schemeId", "vintageId", "zone")
        ]
        if not any(names[0]):
            raise FactsInvalid(place, "no such assessment")
        district_id, scheme_id, vintage_id, zone = (
            _slug(int.from_bytes(name, "big"), place) for name in names
        )
        state = self._assessments.members("records_", assessment_id, "state")
        return Assessment(
            district_id=district_id,
            scheme_id=scheme_id,
            vintage_id=vintage_id,
            zone=zone,
            start_day=state["startDay"],
            frontier=state["frontier"],
            adjusted=bool(state["adjusted"]),
            booked=state["booked"],
            moved=state["moved"],
        )

    def sums_before(self, assessment_id: bytes, assessment: Assessment, day: int) -> Sums:
        """Sums of the final days before `day`, with what was booked for them since."""
        total = self._packed("cumulative_", assessment_id, day)
        if assessment.adjusted:
            node = day - assessment.start_day
            while node > 0:
                total = total.plus(self._packed("trees_", assessment_id, "nodes", node))
                node &= node - 1
        return total

    def final_day(self, assessment_id: bytes, assessment: Assessment, day: int) -> DayTotals:
        """The totals of a final day as the chain keeps them."""
        after = self.sums_before(assessment_id, assessment, day + 1)
        sums = after.minus(self.sums_before(assessment_id, assessment, day))
        return DayTotals(
            balance_mwh_pe=sums.balance_mwh_pe,
            lower_mwh_pe=sums.lower_mwh_pe,
            upper_mwh_pe=sums.upper_mwh_pe,
            ghg_mg=sums.ghg_mg,
            ghg_upper_mg=sums.ghg_upper_mg,
            complete_hours=sums.complete_hours,
            edge_estimated=self.edge_estimated(assessment_id, day),
            boundary_version=self.boundary_version(assessment_id, day),
        )

    def edge_estimated(self, assessment_id: bytes, day: int) -> bool:
        """Whether the final day `day` has an estimated hour."""
        return bool(self._assessments.read("cumulative_", assessment_id, day + 1, "balances") >> 240 & 1)

    def boundary_version(self, assessment_id: bytes, day: int) -> int:
        """Boundary version under which the final day `day` was assessed."""
        return self._assessments.read("cumulative_", assessment_id, day + 1, "emissions") >> 192 & 0xFFFF

    def _packed(self, variable: str, *path: bytes | int | str) -> Sums:
        """Totals in two slots (layout: DayTotals.sol)."""
        balances = self._assessments.read(variable, *path, "balances")
        emissions = self._assessments.read(variable, *path, "emissions")
        return Sums(
            _signed(balances, 80),
            _signed(balances >> 80, 80),
            _signed(balances >> 160, 80),
            _signed(emissions, 80),
            _signed(emissions >> 80, 80),
            _signed(emissions >> 160, 32),
        )

    # --- Certificates

    def certificate(self, certificate_id: int) -> CertificateRecord:
        """A certificate's record."""
        record = self._certificates.members("_records", certificate_id)
        if not record["status"]:
            raise FactsInvalid(f"Certificates._records[{certificate_id}]", "no such certificate")
        return CertificateRecord(
            assessment_id=record["assessmentId"].to_bytes(32, "big"),
            district_id=_slug(record["districtId"], f"district of certificate {certificate_id}"),
            scheme_id=_slug(record["schemeId"], f"scheme of certificate {certificate_id}"),
            status=Status(record["status"]),
            expiry_s=record["expiry"],
        )


def _signed(word: int, bits: int) -> int:
    value = word & (1 << bits) - 1
    return value - (1 << bits) if value >> bits - 1 else value


def _entries(data: bytes, place: str) -> Iterator[tuple[Kind, int, int]]:
    """Kind, the u16 in the middle and cap of each entry of a manifest or group."""
    if len(data) % _ENTRY_BYTES:
        raise FactsInvalid(place, f"{len(data)} bytes are no whole number of entries")
    for start in range(0, len(data), _ENTRY_BYTES):
        entry = data[start : start + _ENTRY_BYTES]
        yield Kind(entry[0]), int.from_bytes(entry[2:4], "big"), int.from_bytes(entry[4:8], "big")


@lru_cache(maxsize=1024)
def _slug(word: int, place: str) -> str:
    try:
        return to_text(word.to_bytes(32, "big"))
    except ValueError as problem:
        raise FactsInvalid(place, str(problem)) from None
