"""Waiting times between attempts: 5 s x 1.5 up to 300 s, jittered (domain.md §9)."""

import random
from typing import Final

FIRST_S: Final = 5.0
FACTOR: Final = 1.5
LONGEST_S: Final = 300.0


class Backoff:
    """Grows with each failure; `reset` after a success."""

    def __init__(self) -> None:
        self._failures = 0

    def next_s(self) -> float:
        """How long to wait after one more failure: between half and all of the grown time."""
        longest = min(LONGEST_S, FIRST_S * FACTOR**self._failures)
        self._failures += 1
        return longest * random.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Start anew."""
        self._failures = 0
