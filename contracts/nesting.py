"""A limit to nesting, looked at before strangers' JSON is parsed.

The Ethereum libraries raise Python's recursion limit far above what the C stack bears, so that a parser which
recurses would end the process instead of raising RecursionError.
"""

from typing import Final

DEEPEST: Final = 50
"""Nothing that the parties agreed on is nested nearly as deep."""

_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))


def too_deep(data: bytes) -> bool:
    """Whether brackets in `data` are nested more than DEEPEST deep. Brackets in strings count too."""
    depth = 0
    for bracket in data.translate(None, _NO_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > DEEPEST:
            return True
    return False
