"""What a contract understands, from its committed ABI: calls, results and events to bytes and back.

Addresses are checksummed strings, `bytesN` and `bytes` are bytes, numbers are ints. A struct goes in as a
tuple, a dict by field name or a dataclass in field order, and comes out as a named tuple with the Solidity
field names.
"""

import dataclasses
from collections import namedtuple
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from eth_abi import abi as codec
from eth_abi.exceptions import DecodingError, EncodingError
from eth_utils.address import to_checksum_address

from contracts.artifacts import artifact
from contracts.keccak import keccak

Entry = Mapping[str, Any]


class InterfaceMismatch(ValueError):
    """There is no such function or event, or values do not fit it; the message says which."""


@dataclasses.dataclass(frozen=True)
class DecodedEvent:
    """An event with its values by Solidity name, in order."""

    name: str
    values: dict[str, Any]


class Interface:
    """Encodes and decodes for one ABI."""

    def __init__(self, name: str, abi: Sequence[Entry]) -> None:
        self.name = name
        self._abi = abi

    @classmethod
    def of(cls, contract: str) -> "Interface":
        """The interface of a committed contract, for example "Ledger". Raises ArtifactMissing."""
        return cls(contract, artifact(contract).abi)

    @cached_property
    def _functions(self) -> dict[str, list[Entry]]:
        functions: dict[str, list[Entry]] = {}
        for entry in self._abi:
            if entry["type"] == "function":
                functions.setdefault(entry["name"], []).append(entry)
        return functions

    @cached_property
    def _events(self) -> dict[bytes, Entry]:
        events = (entry for entry in self._abi if entry["type"] == "event" and not entry.get("anonymous"))
        return {keccak(signature(entry).encode()): entry for entry in events}

    def function(self, name: str, arguments: Sequence[Any]) -> Entry:
        """The function of this name (or full signature) and number of arguments. Raises InterfaceMismatch."""
        named = self._functions.get(name.partition("(")[0], [])
        fitting = [entry for entry in named if len(entry["inputs"]) == len(arguments)]
        if "(" in name:
            fitting = [entry for entry in named if signature(entry) == name]
        if len(fitting) != 1:
            known = (
                ", ".join(map(signature, named)) or f"none; there are {', '.join(sorted(self._functions))}"
            )
            raise InterfaceMismatch(f"{self.name}.{name} with {len(arguments)} arguments: known are {known}")
        return fitting[0]

    def encode_call(self, name: str, arguments: Sequence[Any]) -> bytes:
        """Calldata of a call. Raises InterfaceMismatch."""
        entry = self.function(name, arguments)
        return selector(entry) + _encode(f"{self.name}.{name}", entry["inputs"], arguments)

    def encode_constructor(self, arguments: Sequence[Any]) -> bytes:
        """The constructor's arguments, as they follow the bytecode. Raises InterfaceMismatch."""
        inputs: Sequence[Entry] = next(
            (entry["inputs"] for entry in self._abi if entry["type"] == "constructor"), []
        )
        return _encode(f"{self.name}.constructor", inputs, arguments)

    def decode_result(self, name: str, arguments: Sequence[Any], output: bytes) -> Any:
        """What a call returned: nothing, one value, or a named tuple of several. Raises InterfaceMismatch."""
        outputs = self.function(name, arguments)["outputs"]
        values = decode(f"result of {self.name}.{name}", outputs, output)
        if len(outputs) <= 1:
            return values[0] if outputs else None
        return _named(f"{name}Result", outputs, values)

    def event_topic(self, name: str) -> bytes:
        """First topic of the event `name`, to filter logs with. Raises InterfaceMismatch."""
        for topic, entry in self._events.items():
            if entry["name"] == name:
                return topic
        raise InterfaceMismatch(f"{self.name} has no event {name}")

    def decode_event(self, topics: Sequence[bytes], data: bytes) -> DecodedEvent | None:
        """The event in a log, None when it is not one of this contract's. Raises InterfaceMismatch."""
        entry = self._events.get(topics[0]) if topics else None
        if entry is None:
            return None
        place = f"event {self.name}.{entry['name']}"
        plain = iter(decode(place, [item for item in entry["inputs"] if not item["indexed"]], data))
        indexed = iter(topics[1:])
        values = {
            item["name"]: _from_topic(place, item, next(indexed)) if item["indexed"] else next(plain)
            for item in entry["inputs"]
        }
        return DecodedEvent(entry["name"], values)


def type_of(item: Entry) -> str:
    """The canonical type of a parameter, structs written as tuples."""
    kind = str(item["type"])
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(type_of(part) for part in item['components'])}){kind.removeprefix('tuple')}"


def signature(entry: Entry) -> str:
    """Canonical signature, for example "transfer(address,uint256)"."""
    return f"{entry['name']}({','.join(type_of(item) for item in entry['inputs'])})"


def selector(entry: Entry) -> bytes:
    """The four bytes that select a function or an error."""
    return keccak(signature(entry).encode())[:4]


def decode(place: str, items: Sequence[Entry], data: bytes) -> list[Any]:
    """Values of `items` in `data`. Raises InterfaceMismatch naming `place`."""
    try:
        values = codec.decode([type_of(item) for item in items], data)
    except (DecodingError, OverflowError) as problem:
        raise InterfaceMismatch(f"{place}: cannot be decoded: {problem}") from problem
    return [_to_python(item, value) for item, value in zip(items, values, strict=True)]


def _encode(place: str, items: Sequence[Entry], arguments: Sequence[Any]) -> bytes:
    if len(items) != len(arguments):
        raise InterfaceMismatch(f"{place} takes {len(items)} arguments, not {len(arguments)}")
    values = [_to_abi(place, item, value) for item, value in zip(items, arguments, strict=True)]
    try:
        encoded: bytes = codec.encode([type_of(item) for item in items], values)
    except (EncodingError, TypeError, OverflowError) as problem:
        names = ", ".join(f"{type_of(item)} {item['name']}" for item in items)
        raise InterfaceMismatch(f"{place}({names}): {problem}") from problem
    return encoded


def _to_abi(place: str, item: Entry, value: Any) -> Any:
    kind = item["type"]
    if kind.endswith("]"):
        element = {**item, "type": kind[: kind.rindex("[")]}
        return value if "components" not in item else [_to_abi(place, element, part) for part in value]
    if kind != "tuple":
        return value
    components = item["components"]
    if isinstance(value, Mapping):
        names = [part["name"] for part in components]
        if set(names) != set(value):
            raise InterfaceMismatch(f"{place}: {item['name']} has the fields {names}, not {sorted(value)}")
        value = [value[name] for name in names]
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = [getattr(value, field.name) for field in dataclasses.fields(value)]
    if len(value) != len(components):
        raise InterfaceMismatch(f"{place}: {item['name']} has {len(components)} fields, not {len(value)}")
    return tuple(_to_abi(place, part, field) for part, field in zip(components, value, strict=True))


def _to_python(item: Entry, value: Any) -> Any:
    kind = item["type"]
    if kind.endswith("]"):
        element = {**item, "type": kind[: kind.rindex("[")]}
        return [_to_python(element, part) for part in value]
    if kind == "tuple":
        fields = [_to_python(part, field) for part, field in zip(item["components"], value, strict=True)]
        return _named(item.get("internalType", "Struct").rpartition(".")[2], item["components"], fields)
    if kind == "address":
        return to_checksum_address(value)
    return value


def _named(name: str, items: Sequence[Entry], values: Sequence[Any]) -> Any:
    fields = [item["name"] or f"value{place}" for place, item in enumerate(items)]
    clean = name.removeprefix("struct ").split("[")[0] or "Struct"
    return namedtuple(clean, fields, rename=True)(*values)


def _from_topic(place: str, item: Entry, topic: bytes) -> Any:
    if item["type"] in ("string", "bytes", "tuple") or item["type"].endswith("]"):
        return topic  # only the hash of such a value is in the log
    return decode(place, [item], topic)[0]
