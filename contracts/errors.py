"""What a contract answers when it refuses, as Python exceptions with the facts.

Every custom error of the contracts is an exception class of this module under its Solidity name, for example
`errors.SequenceMismatch`; its facts are attributes in snake_case, for example `problem.expected`. All are
`ContractError`s, as are `Reverted` (a plain message), `Panic` (a failed assertion, an overflow) and
`UnknownError`.
"""

import re
from functools import cache
from typing import Any

from contracts.artifacts import error_definitions
from contracts.interface import Entry, InterfaceMismatch, decode, signature

_REVERTED, _PANIC = bytes.fromhex("08c379a0"), bytes.fromhex("4e487b71")

_OWN = frozenset(("args", "data", "error_name", "facts", "notice", "transaction_hash"))
"""Names that a fact does not take over; it is in `facts` then."""

_PANICS = {
    0x01: "an assertion failed",
    0x11: "arithmetic overflow or underflow",
    0x12: "division by zero",
    0x21: "no such value of an enum",
    0x22: "corrupt storage",
    0x31: "pop of an empty array",
    0x32: "index out of bounds",
    0x41: "out of memory",
    0x51: "call of an empty function pointer",
}


class ContractError(Exception):
    """A contract refused. `facts` holds what it said by Solidity name, `data` the raw answer."""

    error_name = "ContractError"
    notice = ""
    """What the error means, from the contract's documentation."""

    def __init__(self, facts: dict[str, Any], data: bytes) -> None:
        self.facts = facts
        self.data = data
        self.transaction_hash: bytes | None = None
        """The transaction that failed, where one was sent."""
        for key, value in facts.items():
            if _snake(key) not in _OWN:
                setattr(self, _snake(key), value)
        shown = ", ".join(f"{key} {_readable(value)}" for key, value in facts.items())
        super().__init__(f"{self.error_name}({shown})" + (f": {self.notice}" if self.notice else ""))


class Reverted(ContractError):
    """A contract refused with a plain message (`reason`), perhaps an empty one."""

    error_name = "Reverted"


class Panic(ContractError):
    """A contract broke a rule of the language (`code`, `meaning`): a defect, not a refusal."""

    error_name = "Panic"


class UnknownError(ContractError):
    """A contract of other sources refused: nobody here knows the `selector`."""

    error_name = "UnknownError"


def decode_error(data: bytes) -> ContractError:
    """The exception for what a call reverted with."""
    if not data:
        return Reverted({"reason": ""}, data)
    selector = data[:4]
    try:
        if selector == _REVERTED:
            reason = decode("revert", [{"type": "string", "name": "reason"}], data[4:])[0]
            return Reverted({"reason": reason}, data)
        if selector == _PANIC:
            code = decode("panic", [{"type": "uint256", "name": "code"}], data[4:])[0]
            return Panic({"code": code, "meaning": _PANICS.get(code, "unknown")}, data)
        if selector in _by_selector():
            entry = _by_selector()[selector]
            values = decode(signature(entry), entry["inputs"], data[4:])
            names = [item["name"] or f"value{place}" for place, item in enumerate(entry["inputs"])]
            return _classes()[entry["name"]](dict(zip(names, values, strict=True)), data)
    except InterfaceMismatch:
        pass
    return UnknownError({"selector": selector}, data)


def names() -> list[str]:
    """Names of all custom errors of the committed contracts."""
    return sorted(_classes())


@cache
def _by_selector() -> dict[bytes, Entry]:
    return {bytes.fromhex(entry["selector"][2:]): entry for entry in error_definitions()}


@cache
def _classes() -> dict[str, type[ContractError]]:
    classes: dict[str, type[ContractError]] = {}
    for entry in error_definitions():
        name, notice = entry["name"], entry.get("notice", "")
        if name not in classes:
            documentation = notice or f"The contracts' error {signature(entry)}."
            attributes = {
                "__doc__": documentation,
                "__module__": __name__,
                "error_name": name,
                "notice": notice,
            }
            classes[name] = type(name, (ContractError,), attributes)
    return classes


def __getattr__(name: str) -> type[ContractError]:
    """The exception class of the custom error `name`."""
    if not name.startswith("_") and name in _classes():
        return _classes()[name]
    raise AttributeError(f"the contracts have no error {name!r}")


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _readable(value: Any) -> str:
    if isinstance(value, bytes):
        text = value.rstrip(b"\0")
        if text and text.isascii() and text.decode().isprintable():
            return text.decode()
        return "0x" + value.hex()
    return str(value)
