"""Values at the door: JSON-RPC's hexadecimal strings to Python values and back; errors name the value."""

import re
from typing import Any


class InvalidParameter(ValueError):
    """A parameter of a JSON-RPC call is not what the method takes; the message names it."""


def quantity(value: int) -> str:
    """An integer as JSON-RPC writes it, without leading zeros."""
    return hex(value)


def data(value: bytes) -> str:
    """Bytes as JSON-RPC writes them."""
    return "0x" + value.hex()


def to_int(value: Any, name: str) -> int:
    """A quantity: hexadecimal, or a plain number as many tools send it."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str):
        if re.fullmatch("0x[0-9a-fA-F]+", value):
            return int(value, 16)
        if re.fullmatch("[0-9]+", value):
            return int(value)
    raise InvalidParameter(f"{name} must be a quantity such as 0x1f, not {value!r}")


def to_bytes(value: Any, name: str, length: int | None = None) -> bytes:
    """Data of `length` bytes, of any length for None."""
    if isinstance(value, str) and re.fullmatch("0x([0-9a-fA-F]{2})*", value):
        found = bytes.fromhex(value[2:])
        if length is None or len(found) == length:
            return found
    size = "" if length is None else f" of {length} bytes"
    shown = f"{value[:80]}..." if isinstance(value, str) and len(value) > 80 else value
    raise InvalidParameter(f"{name} must be hexadecimal data{size} that begins with 0x, not {shown!r}")
