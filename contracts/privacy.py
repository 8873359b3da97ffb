"""Households' readings stay off chain; a salted Merkle root stands for them (domain.md §8).

Leaf and node domains are separated, leaves are hashed twice, an odd last node is promoted unchanged. With
its salt erased a leaf says nothing; a proof that was given before stays valid.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from contracts.keccak import keccak
from contracts.slug import serial_to_bytes32

SALT_BYTES: Final = 32
MAX_ENERGY_WH: Final = 2**32 - 1

_LEAF: Final = b"\0"
_NODE: Final = b"\1"
_COMMITMENT_LABEL: Final = b"PED member"


class PrivacyInvalid(ValueError):
    """A salt, commitment or reading out of its range, or a proof that was asked of a leaf that is not
    there."""


def new_salt() -> bytes:
    """32 random bytes."""
    return os.urandom(SALT_BYTES)


def commitment(serial: str, salt: bytes) -> bytes:
    """What the Registry knows of a member's meter: a salted, twice hashed commitment to its serial.

    `keccak(keccak(abi.encode("PED member", serial, salt)))`. Raises PrivacyInvalid, IdentifierInvalid.
    """
    _require_32("salt", salt)
    encoded = (
        (96).to_bytes(32, "big")
        + serial_to_bytes32(serial)
        + salt
        + len(_COMMITMENT_LABEL).to_bytes(32, "big")
        + _COMMITMENT_LABEL.ljust(32, b"\0")
    )
    return keccak(keccak(encoded))


@dataclass(frozen=True, slots=True)
class MemberReading:
    """One private point's measured energy in one hour, Wh, with the salt that hides it. Raises
    PrivacyInvalid."""

    commitment: bytes
    hour: int
    """`unix_time // 3600`."""
    supply_wh: int
    draw_wh: int
    salt: bytes

    def __post_init__(self) -> None:
        _require_32("commitment", self.commitment)
        _require_32("salt", self.salt)
        if not 0 <= self.hour < 2**32:
            raise PrivacyInvalid(f"hour {self.hour} is out of range 0 to {2**32 - 1}")
        if not (0 <= self.supply_wh <= MAX_ENERGY_WH and 0 <= self.draw_wh <= MAX_ENERGY_WH):
            raise PrivacyInvalid(
                f"supply {self.supply_wh} Wh, draw {self.draw_wh} Wh: out of range 0 to {MAX_ENERGY_WH} Wh"
            )

    @property
    def leaf(self) -> bytes:
        """`keccak(0x00 . keccak(abi.encode(commitment, hour, supply_wh, draw_wh, salt)))`."""
        numbers = (self.hour, self.supply_wh, self.draw_wh)
        encoded = self.commitment + b"".join(n.to_bytes(32, "big") for n in numbers) + self.salt
        return keccak(_LEAF + keccak(encoded))


def in_order(readings: Sequence[MemberReading]) -> list[MemberReading]:
    """Readings of one hour in the order of their commitments. Raises PrivacyInvalid for one given twice."""
    ordered = sorted(readings, key=lambda reading: reading.commitment)
    for previous, following in pairwise(ordered):
        if previous.commitment == following.commitment:
            raise PrivacyInvalid(f"member 0x{following.commitment.hex()} has two readings in one hour")
    return ordered


def root(leaves: Sequence[bytes]) -> bytes:
    """Merkle root of at least one leaf. Raises PrivacyInvalid."""
    return _levels(leaves)[-1][0]


@dataclass(frozen=True, slots=True)
class Proof:
    """That a leaf is number `index` of `count` leaves under a root."""

    index: int
    count: int
    siblings: tuple[bytes, ...]
    """From the leaf upward; a level at which the node is promoted has none."""

    def verify(self, leaf: bytes, expected_root: bytes) -> bool:
        """Whether this proof leads from `leaf` to `expected_root`."""
        index, count, node, siblings = self.index, self.count, leaf, list(self.siblings)
        if not 0 <= index < count:
            return False
        while count > 1:
            if index ^ 1 < count:
                if not siblings:
                    return False
                sibling = siblings.pop(0)
                node = _parent(sibling, node) if index & 1 else _parent(node, sibling)
            index, count = index // 2, (count + 1) // 2
        return not siblings and node == expected_root


def prove(leaves: Sequence[bytes], index: int) -> Proof:
    """Proof for the leaf at `index`. Raises PrivacyInvalid."""
    if not 0 <= index < len(leaves):
        raise PrivacyInvalid(f"there is no leaf {index} among {len(leaves)}")
    siblings = []
    place = index
    for level in _levels(leaves)[:-1]:
        if place ^ 1 < len(level):
            siblings.append(level[place ^ 1])
        place //= 2
    return Proof(index, len(leaves), tuple(siblings))


def _parent(left: bytes, right: bytes) -> bytes:
    return keccak(_NODE + left + right)


def _levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    if not leaves:
        raise PrivacyInvalid("a root needs at least one leaf")
    for leaf in leaves:
        _require_32("leaf", leaf)
    levels = [list(leaves)]
    while len(levels[-1]) > 1:
        below = levels[-1]
        level = [_parent(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)]
        if len(below) % 2:
            level.append(below[-1])
        levels.append(level)
    return levels


def _require_32(name: str, value: bytes) -> None:
    if len(value) != 32:
        raise PrivacyInvalid(f"{name} has {len(value)} bytes, not 32")
