"""The agreed message of an optimiser: set-points that it proposes to one gateway, signed (domain.md §7, §9).

A set-point is the mean electric power of a device over one interval, whole W, **positive when the device
draws** from the district's busbar (a battery charges, a load consumes), **negative when it supplies** (a
battery or vehicle discharges). A proposal is signed once, as EIP-712 typed data of the domain
"PED Setpoints", version "1", with the chain id and the Registry of the deployment: a signature means nothing
on another platform, and the Registry is the contract that knows gateways and districts. Its document is plain
JSON and holds all that is needed to verify it offline:

    {"domain": {"name": "PED Setpoints", "version": "1", "chain_id": 1337, "registry": "0x..."},
     "proposal": {"district": "old-town", "gateway": "gw-school", "model_version": "dispatch 1.0",
                  "inputs_hash": "0x...", "sequence": 7, "created_utc": "2026-07-15T11:55:00Z",
                  "valid_from_utc": "2026-07-15T12:00:00Z", "valid_until_utc": "2026-07-15T13:00:00Z",
                  "setpoints": [{"device": "battery", "start_utc": "2026-07-15T12:00:00Z",
                                 "duration_s": 900, "power_w": -1500}]},
     "signature": "0x..."}

Set-points ascend by device and start and do not overlap; every interval lies within the validity.
`sequence` grows with each proposal of an optimiser to a gateway. `inputs_hash` is `hash_inputs` of what was
planned with.
"""

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, NamedTuple

import msgspec

from contracts.hour import TimeInvalid, format_time_utc, parse_time_utc
from contracts.keccak import keccak
from contracts.key import SIGNATURE_BYTES, SigningKey, recover
from contracts.nesting import too_deep
from contracts.slug import is_slug, to_bytes32
from contracts.typed_data import domain_separator, typed_digest

DOMAIN_NAME: Final = "PED Setpoints"
DOMAIN_VERSION: Final = "1"
DURATIONS_S: Final = (900, 3600)
MAX_POWER_W: Final = 2**31 - 1
MAX_SETPOINTS: Final = 20_000
MAX_DOCUMENT_BYTES: Final = 4_000_000
MAX_SEQUENCE: Final = 2**63 - 1
_LAST_TIME_S: Final = 2**33

_SETPOINT: Final = b"Setpoint(bytes32 deviceId,uint64 startTime,uint32 durationS,int64 powerW)"
_SETPOINT_TYPE: Final = keccak(_SETPOINT)
_PROPOSAL_TYPE: Final = keccak(
    b"SetpointProposal(bytes32 districtId,bytes32 gatewayId,string modelVersion,bytes32 inputsHash,"
    b"uint64 sequence,uint64 createdTime,uint64 validFrom,uint64 validUntil,Setpoint[] setpoints)" + _SETPOINT
)


class SetpointInvalid(ValueError):
    """A proposal or its document that no gateway would accept; the message names the value."""


@dataclass(frozen=True, slots=True)
class SetpointDomain:
    """EIP-712 domain of set-points: proposals for one platform mean nothing on another."""

    chain_id: int
    registry: str
    """Address of the Registry contract."""

    @property
    def separator(self) -> bytes:
        """The 32 bytes of the domain separator. Raises SetpointInvalid."""
        try:
            return domain_separator(DOMAIN_NAME, self.chain_id, self.registry)
        except ValueError as error:
            raise SetpointInvalid(f"registry {self.registry!r}, chain {self.chain_id}: {error}") from None


class Setpoint(NamedTuple):
    """Mean power of a device over an interval, W; positive: the device draws from the busbar."""

    device: str
    start_s: int
    """Unix time in seconds, a multiple of the duration."""
    duration_s: int
    """900 or 3600."""
    power_w: int

    @property
    def end_s(self) -> int:
        """Unix time, in seconds, at which the interval ends."""
        return self.start_s + self.duration_s

    def __str__(self) -> str:
        return f"{self.device} {format_time_utc(self.start_s)} {self.duration_s} s {self.power_w} W"


@dataclass(frozen=True, slots=True)
class SetpointProposal:
    """Set-points for devices of one gateway. Raises SetpointInvalid."""

    district: str
    gateway: str
    model_version: str
    """Name and version of the model that planned, 1 to 200 characters."""
    inputs_hash: bytes
    """`hash_inputs` of what it planned with."""
    sequence: int
    """1 or more, growing with each proposal of the optimiser to the gateway."""
    created_s: int
    """Unix times in seconds: when it was made, and from when until when it holds."""
    valid_from_s: int
    valid_until_s: int
    setpoints: tuple[Setpoint, ...]

    def __post_init__(self) -> None:
        for name, slug in (("district", self.district), ("gateway", self.gateway)):
            if not is_slug(slug):
                raise SetpointInvalid(f"{name} {slug!r}: use 1 to 32 of the characters a-z, 0-9 and hyphen")
        if not 1 <= len(self.model_version) <= 200:
            raise SetpointInvalid(f"model version {self.model_version[:50]!r} must have 1 to 200 characters")
        try:
            self.model_version.encode()
        except UnicodeEncodeError:
            raise SetpointInvalid(f"model version {self.model_version!r} is no Unicode text") from None
        if len(self.inputs_hash) != 32:
            raise SetpointInvalid(f"inputs hash has {len(self.inputs_hash)} bytes, not 32")
        if not 1 <= self.sequence <= MAX_SEQUENCE:
            raise SetpointInvalid(f"sequence {self.sequence} is out of range 1 to {MAX_SEQUENCE}")
        for name, time_s in (("created", self.created_s), ("valid until", self.valid_until_s)):
            if not 0 <= time_s <= _LAST_TIME_S:
                raise SetpointInvalid(f"{name} {time_s} is no Unix time between 0 and {_LAST_TIME_S}")
        if not 0 <= self.valid_from_s < self.valid_until_s:
            raise SetpointInvalid(
                f"valid from {self.valid_from_s} until {self.valid_until_s}: it must end after it begins"
            )
        if not 1 <= len(self.setpoints) <= MAX_SETPOINTS:
            raise SetpointInvalid(f"{len(self.setpoints)} set-points; a proposal has 1 to {MAX_SETPOINTS}")
        for setpoint in self.setpoints:
            self._require(setpoint)
        for before, after in pairwise(self.setpoints):
            if (before.device, before.start_s) >= (after.device, after.start_s):
                raise SetpointInvalid(f"{after} follows {before}: they ascend by device and start, each once")
            if before.device == after.device and before.end_s > after.start_s:
                raise SetpointInvalid(f"{before} and {after} overlap")

    def _require(self, setpoint: Setpoint) -> None:
        if not is_slug(setpoint.device):
            raise SetpointInvalid(
                f"device {setpoint.device!r}: use 1 to 32 of the characters a-z, 0-9 and hyphen"
            )
        if setpoint.duration_s not in DURATIONS_S:
            raise SetpointInvalid(f"{setpoint}: a set-point lasts 900 or 3600 s")
        if not self.valid_from_s <= setpoint.start_s or setpoint.end_s > self.valid_until_s:
            raise SetpointInvalid(
                f"{setpoint} lies outside of the validity {format_time_utc(self.valid_from_s)} to "
                f"{format_time_utc(self.valid_until_s)}"
            )
        if setpoint.start_s % setpoint.duration_s:
            raise SetpointInvalid(f"{setpoint}: it must start at a multiple of its duration")
        if not -MAX_POWER_W <= setpoint.power_w <= MAX_POWER_W:
            raise SetpointInvalid(f"{setpoint}: power is out of range -{MAX_POWER_W} to {MAX_POWER_W} W")

    def digest(self, domain: SetpointDomain) -> bytes:
        """The 32 bytes that are signed (EIP-712); they also name the proposal."""
        setpoints = b"".join(
            keccak(_SETPOINT_TYPE + to_bytes32(device) + _words(start_s, duration_s, power_w))
            for device, start_s, duration_s, power_w in self.setpoints
        )
        return typed_digest(
            domain.separator,
            _PROPOSAL_TYPE
            + to_bytes32(self.district)
            + to_bytes32(self.gateway)
            + keccak(self.model_version.encode())
            + self.inputs_hash
            + _words(self.sequence, self.created_s, self.valid_from_s, self.valid_until_s)
            + keccak(setpoints),
        )

    def sign(self, key: SigningKey, domain: SetpointDomain) -> "SignedProposal":
        """The proposal with a signature over its digest."""
        return SignedProposal(self, domain, key.sign(self.digest(domain)))


def _words(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(32, "big", signed=True) for number in numbers)


@dataclass(frozen=True, slots=True)
class SignedProposal:
    """A proposal as it travels and is stored."""

    proposal: SetpointProposal
    domain: SetpointDomain
    signature: bytes
    """65 bytes r, s, v."""

    @property
    def digest(self) -> bytes:
        """The 32 bytes that were signed."""
        return self.proposal.digest(self.domain)

    def signer(self) -> str:
        """Checksummed address of the optimiser that signed. Raises SignatureInvalid."""
        return recover(self.digest, self.signature)

    def to_json(self) -> bytes:
        """The document, always the same bytes for the same proposal."""
        proposal = self.proposal
        return msgspec.json.encode(
            {
                "domain": {
                    "name": DOMAIN_NAME,
                    "version": DOMAIN_VERSION,
                    "chain_id": self.domain.chain_id,
                    "registry": self.domain.registry,
                },
                "proposal": {
                    "district": proposal.district,
                    "gateway": proposal.gateway,
                    "model_version": proposal.model_version,
                    "inputs_hash": "0x" + proposal.inputs_hash.hex(),
                    "sequence": proposal.sequence,
                    "created_utc": format_time_utc(proposal.created_s),
                    "valid_from_utc": format_time_utc(proposal.valid_from_s),
                    "valid_until_utc": format_time_utc(proposal.valid_until_s),
                    "setpoints": [
                        {
                            "device": device,
                            "start_utc": format_time_utc(start_s),
                            "duration_s": duration_s,
                            "power_w": power_w,
                        }
                        for device, start_s, duration_s, power_w in proposal.setpoints
                    ],
                },
                "signature": "0x" + self.signature.hex(),
            }
        )

    @classmethod
    def from_json(cls, body: bytes) -> "SignedProposal":
        """The proposal of a document; its signature is read, not judged. Raises SetpointInvalid."""
        if len(body) > MAX_DOCUMENT_BYTES:
            raise SetpointInvalid(
                f"the document has {len(body)} bytes, more than {MAX_DOCUMENT_BYTES}; propose fewer intervals"
            )
        if too_deep(body):
            raise SetpointInvalid("the document is nested too deep for a proposal")
        try:
            document = _DECODER.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise SetpointInvalid(f"the document cannot be read: {error}") from None
        named = document.domain.name, document.domain.version
        if named != (DOMAIN_NAME, DOMAIN_VERSION):
            raise SetpointInvalid(
                f"domain {named} is another one; a proposal's is {DOMAIN_NAME!r}, {DOMAIN_VERSION!r}"
            )
        content = document.proposal
        proposal = SetpointProposal(
            content.district,
            content.gateway,
            content.model_version,
            _unhex("inputs_hash", content.inputs_hash, 32),
            content.sequence,
            _time("created_utc", content.created_utc),
            _time("valid_from_utc", content.valid_from_utc),
            _time("valid_until_utc", content.valid_until_utc),
            tuple(
                Setpoint(entry.device, _time("start_utc", entry.start_utc), entry.duration_s, entry.power_w)
                for entry in content.setpoints
            ),
        )
        domain = SetpointDomain(document.domain.chain_id, document.domain.registry)
        domain.separator  # noqa: B018  (judges the address)
        return cls(proposal, domain, _unhex("signature", document.signature, SIGNATURE_BYTES))


def hash_inputs(inputs: Any) -> bytes:
    """Keccak-256 of `inputs` as canonical JSON: keys sorted, no spaces, UTF-8, numbers as Python writes them.

    Raises SetpointInvalid for what JSON cannot hold, such as NaN.
    """
    try:
        text = json.dumps(inputs, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return keccak(text.encode())
    except (TypeError, ValueError) as error:
        raise SetpointInvalid(f"the inputs are no JSON: {error}") from None


class _Domain(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    version: str
    chain_id: int
    registry: str


class _Interval(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    device: str
    start_utc: str
    duration_s: int
    power_w: int


class _Proposal(msgspec.Struct, forbid_unknown_fields=True):
    district: str
    gateway: str
    model_version: str
    inputs_hash: str
    sequence: int
    created_utc: str
    valid_from_utc: str
    valid_until_utc: str
    setpoints: list[_Interval]


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    domain: _Domain
    proposal: _Proposal
    signature: str


_DECODER: Final = msgspec.json.Decoder(_Document)


def _unhex(name: str, text: str, size: int) -> bytes:
    try:
        value = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raise SetpointInvalid(f"{name} {text[:140]!r} is no hexadecimal number") from None
    if len(value) != size:
        raise SetpointInvalid(f"{name} has {len(value)} bytes, not {size}")
    return value


def _time(name: str, text: str) -> int:
    try:
        return parse_time_utc(text)
    except (TimeInvalid, OverflowError) as error:
        raise SetpointInvalid(f"{name}: {error}") from None
