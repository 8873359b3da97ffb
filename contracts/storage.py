"""Where a contract keeps a value: slots by name, from the storage layout that the compiler wrote.

The rules are Solidity's: a mapping's value lies at `keccak(key . slot)`, the items of a dynamic array from
`keccak(slot)` on, small values share a slot from its low end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from contracts.artifacts import artifact
from contracts.keccak import keccak

Key: TypeAlias = int | bytes | str
"""Key of a mapping (number, 32 bytes, address), index of an array, or name of a struct's member."""


class LayoutMismatch(LookupError):
    """A path names no value of the contract, or one that does not lie in a single slot."""


class StateReader(Protocol):
    """The state of a chain after one block: live, or proven from a bundle."""

    def storage(self, address: bytes, slot: int, place: str) -> int:
        """The 32 bytes at `slot` as a number; `place` says in words what lies there."""

    def code(self, address: bytes, place: str) -> bytes:
        """The code at `address`; empty where there is none."""

    def expect(self, address: bytes, slots: Sequence[int]) -> None:
        """These slots will probably be read soon: a reader that asks a network fetches them together."""


@dataclass(frozen=True, slots=True)
class Place:
    """One value in a contract's storage."""

    slot: int
    offset: int
    """Bytes from the low end of the slot."""
    size: int
    type_name: str
    label: str
    """For people, such as `Ledger.streams_[school][35794]`."""

    def decode(self, word: int) -> int:
        """The value in the slot's 256 bits `word`; negative where the type is signed."""
        value = (word >> 8 * self.offset) & ((1 << 8 * self.size) - 1)
        if self.type_name.startswith("t_int") and value >> (8 * self.size - 1):
            value -= 1 << 8 * self.size
        return value


class ContractStorage:
    """Values of one deployed contract by their Solidity names."""

    def __init__(self, name: str, address: bytes, reader: StateReader) -> None:
        self.name = name
        self.address = address
        self._reader = reader
        layout = artifact(name).storage_layout
        self._variables = {entry["label"]: entry for entry in layout["variables"]}
        self._types: dict[str, dict[str, Any]] = layout["types"]

    def has(self, variable: str) -> bool:
        """Whether the contract has a state variable of that name."""
        return variable in self._variables

    def place(self, variable: str, *path: Key) -> Place:
        """Where a value lies, for example `place("cum_", id, day, "lower")`. Raises LayoutMismatch."""
        if variable not in self._variables:
            raise LayoutMismatch(f"{self.name} has no state variable {variable}")
        entry = self._variables[variable]
        slot, offset, type_name = entry["slot"], entry["offset"], entry["type"]
        label = f"{self.name}.{variable}"
        for key in path:
            kind = self._types[type_name]
            label += f".{key}" if isinstance(key, str) else f"[{_readable(key)}]"
            if "members" in kind and isinstance(key, str):
                member = next((item for item in kind["members"] if item["label"] == key), None)
                if member is None:
                    raise LayoutMismatch(f"{label}: the struct has no such member")
                slot, offset, type_name = slot + member["slot"], member["offset"], member["type"]
            elif kind["encoding"] == "mapping" and not isinstance(key, str):
                slot = int.from_bytes(keccak(_word(key, kind["key"]) + slot.to_bytes(32, "big")), "big")
                offset, type_name = 0, kind["value"]
            elif "base" in kind and isinstance(key, int):
                if kind["encoding"] == "dynamic_array":
                    slot = int.from_bytes(keccak(slot.to_bytes(32, "big")), "big")
                size = self._types[kind["base"]]["bytes"]
                if size > 16:
                    slot, offset = slot + key * (-(-size // 32)), 0
                else:
                    per_slot = 32 // size
                    slot, offset = slot + key // per_slot, (key % per_slot) * size
                type_name = kind["base"]
            else:
                raise LayoutMismatch(f"{label}: {type_name} cannot be entered with {key!r}")
            slot %= 1 << 256
        size = self._types[type_name]["bytes"]
        return Place(slot, offset, min(size, 32), type_name, label)

    def expect(self, variable: str, paths: Sequence[Sequence[Key]]) -> None:
        """Announce that the values at these paths will be read."""
        self._reader.expect(self.address, [self.place(variable, *path).slot for path in paths])

    def read(self, variable: str, *path: Key) -> int:
        """The value; of a dynamic array its length. Raises LayoutMismatch, and what the reader raises."""
        place = self.place(variable, *path)
        return place.decode(self._reader.storage(self.address, place.slot, place.label))

    def read_bytes(self, variable: str, *path: Key) -> bytes:
        """The value as bytes of its own length: `bytes32`, `address`."""
        place = self.place(variable, *path)
        word = self._reader.storage(self.address, place.slot, place.label)
        return place.decode(word).to_bytes(place.size, "big")

    def members(self, variable: str, *path: Key) -> dict[str, int]:
        """All single-slot members of a struct by name."""
        type_name = self.place(variable, *path).type_name
        kind = self._types[type_name]
        if "members" not in kind:
            raise LayoutMismatch(f"{self.name}.{variable}: {type_name} is no struct")
        return {
            member["label"]: self.read(variable, *path, member["label"])
            for member in kind["members"]
            if self._types[member["type"]]["encoding"] == "inplace"
            and "members" not in self._types[member["type"]]
        }


def _word(key: Key, type_name: str) -> bytes:
    if isinstance(key, bytes):
        # bytesN is padded on the right, an address on the left
        return key.rjust(32, b"\0") if type_name == "t_address" else key.ljust(32, b"\0")
    assert isinstance(key, int)
    return key.to_bytes(32, "big", signed=key < 0)


def _readable(key: Key) -> str:
    if isinstance(key, bytes):
        text = key.rstrip(b"\0")
        if len(key) == 32 and text and all(32 < byte < 127 for byte in text):
            return text.decode("ascii")
        return "0x" + key.hex()
    return str(key)
