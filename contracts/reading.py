"""The agreed message of a gateway: readings of a UTC day's hours, packed and signed (domain.md §2, §8).

A *record* is one metering point's energy in one hour, eight bytes, big endian:
`[status bit 1][supply_wh 31][status bit 0][draw_wh 31]`. An *open* section holds the records of all open
points of the gateway, in manifest order; a *private* section holds sums per kind, member counts and a
Merkle root over the households' salted readings. A batch is signed once, as EIP-712 typed data of the
domain "PED Ledger", version "1".
"""

import struct
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Final, NamedTuple

from contracts.hour import HOURS_PER_DAY
from contracts.keccak import keccak
from contracts.key import SigningKey, recover
from contracts.point import Kind
from contracts.slug import to_bytes32
from contracts.typed_data import domain_separator, typed_digest

MAX_ENERGY_WH: Final = 2**31 - 1
RECORD_BYTES: Final = 8
MAX_SEQUENCE: Final = 255
MAX_GATEWAY_SEQUENCE: Final = 200
"""Last sequence of a day that a gateway's key can sign: the rest is kept, so that a stolen key cannot use up
a day."""
MAX_RESIGNING_SEQUENCE: Final = 250
"""The same for a gateway whose key was ever compromised; the rest is for adjustments."""

_HIGH_BIT: Final = 1 << 31
_PRIVATE_HEADER: Final = struct.Struct(">B32sB")
_KIND_SUM: Final = struct.Struct(">BHII")


class ReadingInvalid(ValueError):
    """A record, section or batch that no contract would accept, or bytes that hold none."""


class Status(IntEnum):
    """How a record came about (domain.md §2)."""

    MEASURED = 0
    ESTIMATED = 1
    """Part of a gap whose register total is known, spread over its hours."""
    PARTIAL = 2
    """Some intervals of the hour are there, some are missing."""
    MISSING = 3
    """Nothing is known; both energies are 0."""


_STATUSES: Final = tuple(Status)


class Record(NamedTuple):
    """Energy of one metering point in one hour, Wh, seen from the district's busbar."""

    status: Status
    supply_wh: int
    draw_wh: int


class OpenSection(NamedTuple):
    """One hour of a gateway's open points: a record for each, in manifest order."""

    hour_of_day: int
    records: tuple[Record, ...]


class KindSum(NamedTuple):
    """Sums, Wh, over the private points of one kind that were measured in one hour, and their number."""

    kind: Kind
    members: int
    supply_wh: int
    draw_wh: int


class PrivateSection(NamedTuple):
    """One hour of a gateway's private points: sums per kind and the root over the salted readings."""

    hour_of_day: int
    root: bytes
    sums: tuple[KindSum, ...]


def pack_open(sections: Sequence[OpenSection]) -> bytes:
    """Payload of an open batch. Raises ReadingInvalid naming the offending record or hour."""
    _require_hours([section.hour_of_day for section in sections])
    parts: list[bytes] = []
    points = len(sections[0].records)
    for section in sections:
        if len(section.records) != points or points == 0:
            raise ReadingInvalid(
                f"hour {section.hour_of_day} holds {len(section.records)} records; every hour of a batch "
                f"holds one per open point, at least one and as many as the first hour ({points})"
            )
        words: list[int] = []
        for index, (status, supply_wh, draw_wh) in enumerate(section.records):
            if not (0 <= status <= 3 and 0 <= supply_wh <= MAX_ENERGY_WH and 0 <= draw_wh <= MAX_ENERGY_WH):
                raise ReadingInvalid(
                    f"hour {section.hour_of_day}, point {index}: status {status!r}, supply {supply_wh} Wh, "
                    f"draw {draw_wh} Wh; a status is 0 to 3 and an energy 0 to {MAX_ENERGY_WH} Wh"
                )
            if status == 3 and (supply_wh or draw_wh):
                raise ReadingInvalid(
                    f"hour {section.hour_of_day}, point {index}: a missing record holds {supply_wh} and "
                    f"{draw_wh} Wh; it must hold 0"
                )
            words.append((status >> 1) << 31 | supply_wh)
            words.append((status & 1) << 31 | draw_wh)
        parts.append(struct.pack(f">B{len(words)}I", section.hour_of_day, *words))
    return b"".join(parts)


def unpack_open(payload: bytes, point_count: int) -> tuple[OpenSection, ...]:
    """Sections of an open payload of a gateway with `point_count` open points. Raises ReadingInvalid."""
    if point_count < 1:
        raise ReadingInvalid(f"a gateway with {point_count} open points sends no open batch")
    unit = 1 + RECORD_BYTES * point_count
    if not payload or len(payload) % unit:
        raise ReadingInvalid(
            f"open payload of {len(payload)} bytes: with {point_count} points it must be a "
            f"multiple of {unit} bytes"
        )
    sections = []
    for offset in range(0, len(payload), unit):
        hour_of_day, *words = struct.unpack_from(f">B{2 * point_count}I", payload, offset)
        records = []
        for index in range(point_count):
            supply, draw = words[2 * index], words[2 * index + 1]
            status = _STATUSES[supply >> 31 << 1 | draw >> 31]
            record = Record(status, supply & MAX_ENERGY_WH, draw & MAX_ENERGY_WH)
            if status is Status.MISSING and (record.supply_wh or record.draw_wh):
                raise ReadingInvalid(
                    f"byte {offset + 1 + RECORD_BYTES * index}: a missing record (hour {hour_of_day}, point "
                    f"{index}) holds {record.supply_wh} and {record.draw_wh} Wh"
                )
            records.append(record)
        sections.append(OpenSection(hour_of_day, tuple(records)))
    _require_hours([section.hour_of_day for section in sections])
    return tuple(sections)


def pack_private(sections: Sequence[PrivateSection]) -> bytes:
    """Payload of a private batch. Raises ReadingInvalid naming the offending sum or hour."""
    _require_hours([section.hour_of_day for section in sections])
    parts: list[bytes] = []
    for section in sections:
        if len(section.root) != 32:
            raise ReadingInvalid(f"hour {section.hour_of_day}: root has {len(section.root)} bytes, not 32")
        _require_kinds(section)
        parts.append(_PRIVATE_HEADER.pack(section.hour_of_day, section.root, len(section.sums)))
        parts.extend(_KIND_SUM.pack(*entry) for entry in section.sums)
    return b"".join(parts)


def unpack_private(payload: bytes) -> tuple[PrivateSection, ...]:
    """Sections of a private payload. Raises ReadingInvalid naming the offending byte."""
    sections = []
    offset = 0
    while offset < len(payload):
        if offset + _PRIVATE_HEADER.size > len(payload):
            raise ReadingInvalid(
                f"private payload of {len(payload)} bytes ends inside the section at {offset}"
            )
        hour_of_day, root, kinds = _PRIVATE_HEADER.unpack_from(payload, offset)
        start = offset + _PRIVATE_HEADER.size
        offset = start + kinds * _KIND_SUM.size
        if offset > len(payload):
            raise ReadingInvalid(
                f"private payload of {len(payload)} bytes ends inside the {kinds} sums at byte {start}"
            )
        sums = []
        for place in range(start, offset, _KIND_SUM.size):
            number, members, supply_wh, draw_wh = _KIND_SUM.unpack_from(payload, place)
            try:
                sums.append(KindSum(Kind(number), members, supply_wh, draw_wh))
            except ValueError:
                raise ReadingInvalid(f"byte {place}: {number} is no kind of metering point") from None
        section = PrivateSection(hour_of_day, root, tuple(sums))
        _require_kinds(section)
        sections.append(section)
    _require_hours([section.hour_of_day for section in sections])
    return tuple(sections)


def _require_hours(hours: list[int]) -> None:
    if not hours:
        raise ReadingInvalid("a batch holds at least one hour")
    if hours[0] < 0 or hours[-1] >= HOURS_PER_DAY or any(a >= b for a, b in pairwise(hours)):
        raise ReadingInvalid(f"hours {hours} of a batch must ascend strictly within 0 to 23")


def _require_kinds(section: PrivateSection) -> None:
    kinds = [entry.kind for entry in section.sums]
    if not kinds or any(a >= b for a, b in pairwise(kinds)):
        raise ReadingInvalid(
            f"hour {section.hour_of_day}: kinds {[int(kind) for kind in kinds]} of a private section must "
            "ascend strictly, at least one"
        )
    for kind, members, supply_wh, draw_wh in section.sums:
        if not kind.may_be_private:
            raise ReadingInvalid(f"hour {section.hour_of_day}: a {kind.name} point cannot be private")
        if not (0 <= members < 2**16 and 0 <= supply_wh < 2**32 and 0 <= draw_wh < 2**32):
            raise ReadingInvalid(
                f"hour {section.hour_of_day}, {kind.name}: {members} members, supply {supply_wh} Wh, draw "
                f"{draw_wh} Wh; members are 0 to 65535 and energies 0 to 4294967295 Wh"
            )


@dataclass(frozen=True, slots=True)
class SigningDomain:
    """EIP-712 domain of a ledger: signatures of one chain or ledger mean nothing on another."""

    chain_id: int
    ledger: str
    """Address of the Ledger contract."""

    @property
    def separator(self) -> bytes:
        """The 32 bytes of the domain separator."""
        try:
            return domain_separator("PED Ledger", self.chain_id, self.ledger)
        except ValueError as error:
            raise ReadingInvalid(f"ledger {self.ledger!r}: {error}") from None


_OPEN_TYPE: Final = keccak(
    b"OpenBatch(bytes32 gatewayId,uint32 day,uint8 sequence,uint8 replaces,bytes payload)"
)
_PRIVATE_TYPE: Final = keccak(
    b"PrivateBatch(bytes32 gatewayId,uint32 day,uint8 sequence,uint8 replaces,uint16 changedMembers,"
    b"bytes payload)"
)
_ADJUSTMENT_TYPE: Final = keccak(
    b"Adjustment(bytes32 gatewayId,uint32 day,uint8 sequence,uint8 replaces,bool isPrivate,"
    b"bytes32 reasonHash,uint16 changedMembers,bytes payload)"
)


def _require_changed_members(changed_members: int) -> None:
    if not 0 <= changed_members < 2**16:
        raise ReadingInvalid(f"{changed_members} changed members are out of range 0 to 65535")


@dataclass(frozen=True, slots=True)
class _Batch(ABC):
    gateway_id: str
    """Slug of the gateway."""
    day: int
    """UTC day, `unix_time // 86400`; every hour of the payload lies in it."""
    sequence: int
    """1 to 255, counted per gateway, day and stream."""
    replaces: int
    """0 for the first record of these hours, else the sequence of the batch that holds them."""

    def _require_header(self) -> None:
        if not 0 <= self.day < 2**32:
            raise ReadingInvalid(f"day {self.day} is out of range 0 to 4294967295")
        if not 1 <= self.sequence <= MAX_SEQUENCE:
            raise ReadingInvalid(f"sequence {self.sequence} is out of range 1 to {MAX_SEQUENCE}")
        if not 0 <= self.replaces < self.sequence:
            raise ReadingInvalid(
                f"batch {self.sequence} replaces {self.replaces}; it can replace only an "
                "earlier batch (or 0, none)"
            )

    def _header(self) -> bytes:
        return to_bytes32(self.gateway_id) + b"".join(
            number.to_bytes(32, "big") for number in (self.day, self.sequence, self.replaces)
        )

    @abstractmethod
    def _fields(self) -> bytes:
        """The encoded struct that is signed, its type's hash first (EIP-712)."""

    def digest(self, domain: SigningDomain) -> bytes:
        """The 32 bytes that are signed (EIP-712)."""
        return typed_digest(domain.separator, self._fields())

    def sign(self, key: SigningKey, domain: SigningDomain) -> bytes:
        """Signature over the digest: 65 bytes r, s, v."""
        return key.sign(self.digest(domain))

    def signer(self, signature: bytes, domain: SigningDomain) -> str:
        """Checksummed address that signed. Raises SignatureInvalid."""
        return recover(self.digest(domain), signature)


@dataclass(frozen=True, slots=True)
class OpenBatch(_Batch):
    """Open readings of a gateway in hours of one UTC day."""

    payload: bytes

    def __post_init__(self) -> None:
        self._require_header()

    def _fields(self) -> bytes:
        return _OPEN_TYPE + self._header() + keccak(self.payload)


@dataclass(frozen=True, slots=True)
class PrivateBatch(_Batch):
    """Sums of a gateway's private readings in hours of one UTC day (domain.md §8)."""

    changed_members: int
    """In a correction, the number of members whose readings changed; 0 in a first batch."""
    payload: bytes

    def __post_init__(self) -> None:
        self._require_header()
        _require_changed_members(self.changed_members)

    def _fields(self) -> bytes:
        changed = self.changed_members.to_bytes(32, "big")
        return _PRIVATE_TYPE + self._header() + changed + keccak(self.payload)


@dataclass(frozen=True, slots=True)
class Adjustment(_Batch):
    """New readings for a day that is final, signed by a meter operator and an auditor (domain.md §4)."""

    is_private: bool
    reason_hash: bytes
    """Keccak-256 of the document that gives the reason."""
    changed_members: int
    """In a private correction, the number of members whose readings changed; else 0."""
    payload: bytes

    def __post_init__(self) -> None:
        self._require_header()
        if len(self.reason_hash) != 32:
            raise ReadingInvalid(f"reason hash has {len(self.reason_hash)} bytes, not 32")
        _require_changed_members(self.changed_members)

    def _fields(self) -> bytes:
        private = int(self.is_private).to_bytes(32, "big")
        changed = self.changed_members.to_bytes(32, "big")
        fields = self._header() + private + self.reason_hash + changed + keccak(self.payload)
        return _ADJUSTMENT_TYPE + fields
