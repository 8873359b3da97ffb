"""Checking a proof bundle offline: what `ped verify` does (domain.md §4).

Two things are taken on trust, and the auditor gets them elsewhere: the hash of the block and the address of
the Certificates contract. From the hash follow the state root, every storage value and all code; from the
address, which contracts are meant. The rest is what `contracts.examination` recomputes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from contracts import evidence
from contracts.deployment import CONTRACTS, field_name
from contracts.disclosure import Disclosure, DisclosureInvalid, check
from contracts.evidence import AdjustmentBatch, Bundle, BundleInvalid, Claim, PartAltered, unhex
from contracts.examination import BatchKey, Examination, SignedBatch, examine
from contracts.facts import Facts
from contracts.hour import format_day, format_time_utc
from contracts.proven_state import Header, ProofInvalid, ProvenState, decode_header
from contracts.reading import SigningDomain, unpack_private
from contracts.records import FactsInvalid
from contracts.slug import is_slug


class VerificationFailed(Exception):
    """The bundle does not prove what it says; `place` is where the first thing is wrong."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}")
        self.place = place
        self.message = message


@dataclass(frozen=True)
class Report:
    """What a bundle proves."""

    claim: Claim
    chain_id: int
    block_number: int
    block_hash: str
    block_time_utc: str
    block_hash_confirmed: bool
    """The auditor gave the same hash."""
    certificates: str
    """Address of the Certificates contract, which names all the others."""
    certificates_confirmed: bool
    """The auditor gave the same address."""
    proven: list[str]
    not_proven: list[str]

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "verified": True,
            "chain_id": self.chain_id,
            "block_number": self.block_number,
            "block_hash": self.block_hash,
            "block_time_utc": self.block_time_utc,
            "block_hash_confirmed": self.block_hash_confirmed,
            "certificates": self.certificates,
            "certificates_confirmed": self.certificates_confirmed,
            "claim": self.claim.model_dump(),
            "proven": self.proven,
            "not_proven": self.not_proven,
        }


@dataclass(frozen=True)
class Trusted:
    """What an auditor knows from elsewhere; None for what is not known."""

    block_hash: bytes | None = None
    certificates: bytes | None = None
    """Address of the Certificates contract."""


def verify(
    data: bytes,
    block_hash: bytes | None = None,
    certificates: bytes | None = None,
    disclosures: Sequence[Disclosure] = (),
) -> Report:
    """Check the bundle in `data` and disclosed private readings.

    `block_hash` and `certificates` (address of that contract) are what the auditor knows from elsewhere, if
    anything. Raises VerificationFailed naming the place.
    """
    trusted = Trusted(block_hash, certificates)
    try:
        bundle = evidence.load(data)
    except PartAltered as altered:
        # The digest names the part; the content may tell more exactly where.
        _verify(altered.bundle, trusted, disclosures, f" ({altered})")
        raise VerificationFailed(altered.place, altered.message) from None
    except BundleInvalid as problem:
        raise VerificationFailed(problem.place, problem.message) from None
    return _verify(bundle, trusted, disclosures, "")


def describe(examination: Examination) -> dict[str, Any]:
    """The claim of a bundle with this examination."""
    verdict, assessment = examination.verdict, examination.assessment
    return {
        "certificate_id": examination.certificate_id,
        "assessment_id": "0x" + examination.assessment_id.hex(),
        "district_id": assessment.district_id,
        "scheme_id": assessment.scheme_id,
        "vintage_id": assessment.vintage_id,
        "formula": evidence.FORMULA,
        "status": examination.status.name.title(),
        "valid": examination.is_valid,
        "window_start_day": verdict.window_start,
        "window_end_day": verdict.window_end,
        "finding": verdict.finding.name.title().replace("_", ""),
        "balance_mwh_pe": verdict.balance_mwh_pe,
        "lower_mwh_pe": verdict.lower_mwh_pe,
        "upper_mwh_pe": verdict.upper_mwh_pe,
        "ghg_mg": verdict.ghg_mg,
        "ghg_upper_mg": verdict.ghg_upper_mg,
        "complete_hours": verdict.complete_hours,
        "total_hours": verdict.total_hours,
        "first_boundary_version": verdict.first_version,
        "last_boundary_version": verdict.last_version,
    }


def _verify(bundle: Bundle, trusted: Trusted, disclosures: Sequence[Disclosure], note: str) -> Report:
    try:
        return _checked(bundle, trusted, disclosures)
    except (FactsInvalid, ProofInvalid, DisclosureInvalid) as problem:
        raise VerificationFailed(problem.place, problem.message + note) from None


def _checked(bundle: Bundle, trusted: Trusted, disclosures: Sequence[Disclosure]) -> Report:
    header = _header(bundle, trusted.block_hash)
    if trusted.certificates is not None and trusted.certificates != unhex(bundle.deployment.certificates):
        raise FactsInvalid(
            "deployment.certificates",
            f"is {bundle.deployment.certificates}, but you trust 0x{trusted.certificates.hex()}: these are "
            "the contracts of another platform",
        )
    state = ProvenState(header.state_root, map(unhex, bundle.nodes), map(unhex, bundle.codes))
    deployment = bundle.deployment.model_dump()
    addresses = {name: unhex(deployment[field_name(name)]) for name in CONTRACTS}
    domain = SigningDomain(bundle.deployment.chain_id, bundle.deployment.ledger)
    batches = _Batches(bundle)
    facts = Facts(addresses, state)
    examination = examine(facts, domain, header.time_s, bundle.claim.certificate_id, batches.find)
    for name, value in describe(examination).items():
        claimed = getattr(bundle.claim, name)
        if claimed != value:
            raise FactsInvalid(f"claim.{name}", f"the bundle says {claimed!r}, but it follows {value!r}")
    batches.require_exactly(examination.batches)
    unused = state.unused()
    if unused:
        raise FactsInvalid(unused[0], "proves nothing that is needed, so it does not belong there")
    for name in ("nodes", "codes"):
        content = [unhex(item) for item in getattr(bundle, name)]
        if content != evidence.in_order(content):
            raise FactsInvalid(name, "are not in the order of their hashes, each once")
    return Report(
        claim=bundle.claim,
        chain_id=bundle.deployment.chain_id,
        block_number=header.number,
        block_hash=bundle.header.hash,
        block_time_utc=bundle.header.time_utc,
        block_hash_confirmed=trusted.block_hash is not None,
        certificates=bundle.deployment.certificates,
        certificates_confirmed=trusted.certificates is not None,
        proven=[
            *_proven(bundle, examination, header),
            *(line for item in disclosures for line in _disclosed(item, facts, batches)),
        ],
        not_proven=_not_proven(bundle, trusted),
    )


def _header(bundle: Bundle, block_hash: bytes | None) -> Header:
    header = decode_header(unhex(bundle.header.rlp))
    if header.hash != unhex(bundle.header.hash):
        raise FactsInvalid(
            "header.hash", f"the header hashes to 0x{header.hash.hex()}, not to {bundle.header.hash}"
        )
    if block_hash is not None and header.hash != block_hash:
        raise FactsInvalid(
            "header.hash",
            f"the bundle is of block 0x{header.hash.hex()}, but you asked for 0x{block_hash.hex()}: it is of "
            "another block or another chain",
        )
    for name, value in (("number", header.number), ("time_utc", format_time_utc(header.time_s))):
        if getattr(bundle.header, name) != value:
            raise FactsInvalid(
                f"header.{name}", f"is {getattr(bundle.header, name)}, the header says {value}"
            )
    return header


class _Batches:
    """The bundle's batches by name."""

    def __init__(self, bundle: Bundle) -> None:
        self._found: dict[BatchKey, tuple[SignedBatch, str]] = {}
        parts: tuple[tuple[str, list[Any]], ...] = (
            ("batches", bundle.batches),
            ("adjustments", bundle.adjustments),
        )
        for part, batches in parts:
            for index, batch in enumerate(batches):
                place = f"{part}.{index}"
                key = key_of(batch)
                if not is_slug(batch.gateway_id) or batch.day >= 1 << 32:
                    raise FactsInvalid(place, f"{key.gateway_id!r}, day {key.day}: no gateway or no day")
                if key in self._found:
                    raise FactsInvalid(place, f"{key} is there twice (also {self._found[key][1]})")
                self._found[key] = (batch, place)

    def find(self, key: BatchKey) -> tuple[SignedBatch, str]:
        """The batch and its place. Raises FactsInvalid."""
        if key not in self._found:
            raise FactsInvalid("batches", f"{key} holds hours of the window, but is not there")
        return self._found[key]

    def require_exactly(self, needed: list[SignedBatch]) -> None:
        """Require that the bundle holds the needed batches, in the order of their need, and no other."""
        for batch_type in (evidence.Batch, AdjustmentBatch):
            wanted = [key_of(batch) for batch in needed if isinstance(batch, batch_type)]
            there = [key for key, (batch, _) in self._found.items() if isinstance(batch, batch_type)]
            for want, have in zip(wanted, there, strict=False):
                if want != have:
                    raise FactsInvalid(self._found[have][1], f"is {have} where {want} belongs")
            if len(there) > len(wanted):
                extra = there[len(wanted)]
                raise FactsInvalid(self._found[extra][1], f"{extra} holds no hour of the window")


def key_of(batch: SignedBatch) -> BatchKey:
    """Name of a batch."""
    return BatchKey(batch.gateway_id, batch.day, batch.stream == "private", batch.sequence)


def _disclosed(disclosure: Disclosure, facts: Facts, batches: _Batches) -> list[str]:
    """What a disclosure proves, given the proven ledger."""
    key = BatchKey(disclosure.gateway_id, disclosure.day, True, disclosure.sequence)
    payload = unhex(batches.find(key)[0].payload)
    holder = facts.stream(key.gateway_id, key.day, True).holders[disclosure.hour_of_day]
    if holder != key.sequence:
        raise DisclosureInvalid("sequence", f"{key} does not hold this hour; batch {holder} does")
    sections = {section.hour_of_day: section for section in unpack_private(payload)}
    return check(disclosure, sections[disclosure.hour_of_day])


def _proven(bundle: Bundle, examination: Examination, header: Header) -> list[str]:
    claim = bundle.claim
    private = sum(batch.stream == "private" for batch in examination.batches)
    return [
        f"The file is complete and unchanged: it is of chain {bundle.deployment.chain_id}, block "
        f"{header.number} ({bundle.header.time_utc}), whose header hashes to {bundle.header.hash}.",
        "All storage values and all code that were used are those of this block's state, by Merkle proofs.",
        f"The {len(CONTRACTS)} contracts are the published ones, byte for byte, and rely on each other.",
        f"{len(examination.batches)} batches ({private} of them private sums, {len(bundle.adjustments)} "
        f"adjustments) with {examination.record_count:,} open records are exactly what the ledger accepted "
        f"for the {examination.days} days; each is signed by a key of its gateway "
        f"(keys in all: {len(examination.signers)}).",
        "Sums, netting, allocation, balances and bounds, recomputed from these readings with the proven "
        "factors, boundary and scheme, equal the chain's to the last integer.",
        *(
            [
                f"What moved with its attributes in trades ({examination.traded_hours:,} hours) is what the "
                "claims register says, and is off export and import of these hours. That it was delivered is "
                "checked by the settlement's code, not by this file."
            ]
            if examination.traded_hours
            else []
        ),
        *(
            [
                f"{examination.pending_days} of these days were adjusted after the verdict's sums were made; "
                "for them the chain's own totals are taken, and no verdict is positive until they are booked."
            ]
            if examination.pending_days
            else []
        ),
        _verdict_line(claim),
        f"Certificate {claim.certificate_id} of {claim.district_id} was "
        f"{'valid' if claim.valid else 'not valid'} (status {claim.status}) in this block.",
    ]


def _verdict_line(claim: Claim) -> str:
    window = f"{format_day(claim.window_start_day)} to {format_day(claim.window_end_day - 1)}"
    if not claim.total_hours:
        return f"There is no verdict for {window} yet: {claim.finding}."
    balance, lower, ghg_upper = (
        f"{value / 1e6:,.1f}" for value in (claim.balance_mwh_pe, claim.lower_mwh_pe, claim.ghg_upper_mg)
    )
    return (
        f"Verdict of {window}: {claim.finding}, balance {balance} kWh of primary energy (at least {lower}), "
        f"net GHG at most {ghg_upper} kg CO2e."
    )


def _not_proven(bundle: Bundle, trusted: Trusted) -> list[str]:
    block = (
        "That the block hash is the network's: you gave it, and this answer is as good as its source."
        if trusted.block_hash is not None
        else f"That block {bundle.header.hash} belongs to the network's chain: get its hash from a node that "
        "you trust and pass it with --block-hash. Without that, all of this could be of a chain made for the "
        "purpose."
    )
    contracts = (
        "That the Certificates contract is the certification body's: you gave its address."
        if trusted.certificates is not None
        else f"That the Certificates contract {bundle.deployment.certificates} is the certification body's: "
        "compare the address with theirs, or pass theirs with --certificates. Anyone can set up the same "
        "contracts with auditors and meter operators of their own."
    )
    return [
        block,
        contracts,
        "That the meters tell the truth and are connected as declared: the meter operator answers for that.",
        "That only the gateways had their keys; that a key was in force when its batch came is checked by "
        "the ledger's code, not by this file.",
        "That the factors are right: they are the publisher's.",
        "Single readings of private members: only their sums, counts and Merkle roots are here.",
        "Anything after this block: a certificate can be suspended or revoked later.",
    ]
