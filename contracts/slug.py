"""Identifiers: short ASCII words, on chain `bytes32`, left-aligned and zero padded.

A slug `[a-z0-9-]{1,32}` names an organisation, district, gateway, zone, scheme or vintage. A serial also
allows `A-Z`, `.` and `_`. Narrow on purpose: the same word is an MQTT user, a common name of a certificate
and a part of a topic (domain.md §9).
"""

import re
from functools import lru_cache

_SLUG = re.compile(r"[a-z0-9-]{1,32}")
_SERIAL = re.compile(r"[A-Za-z0-9._-]{1,32}")


class IdentifierInvalid(ValueError):
    """The text or the 32 bytes are no slug and no serial."""


def is_slug(text: str) -> bool:
    """Whether `text` can name an organisation, district, gateway, zone, scheme or vintage."""
    return _SLUG.fullmatch(text) is not None


def is_serial(text: str) -> bool:
    """Whether `text` can be the serial of a meter."""
    return _SERIAL.fullmatch(text) is not None


@lru_cache(maxsize=4096)
def to_bytes32(text: str) -> bytes:
    """The 32 bytes of a slug. Raises IdentifierInvalid."""
    if not is_slug(text):
        raise IdentifierInvalid(
            f"identifier {text!r} is no slug: use 1 to 32 of the characters a-z, 0-9 and hyphen"
        )
    return text.encode("ascii").ljust(32, b"\0")


@lru_cache(maxsize=4096)
def serial_to_bytes32(text: str) -> bytes:
    """The 32 bytes of a meter's serial. Raises IdentifierInvalid."""
    if not is_serial(text):
        raise IdentifierInvalid(
            f"serial {text!r} is invalid: use 1 to 32 of A-Z, a-z, 0-9, point, underscore, hyphen"
        )
    return text.encode("ascii").ljust(32, b"\0")


@lru_cache(maxsize=4096)
def to_text(word: bytes) -> str:
    """The slug or serial in 32 bytes. Raises IdentifierInvalid, for example for a member's commitment."""
    if len(word) != 32:
        raise IdentifierInvalid(f"identifier 0x{word.hex()} has {len(word)} bytes, not 32")
    text = word.rstrip(b"\0").decode("latin-1")
    if not is_serial(text):
        raise IdentifierInvalid(f"0x{word.hex()} holds no slug and no serial")
    return text
