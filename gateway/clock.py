"""What time it is for a gateway: the system's clock, or the chain's.

A chain that replays a past year carries its time in its blocks. A gateway whose configuration says
`clock = "chain"` takes the time of the newest block as now, so that readings of the past year are neither
from the future nor late.
"""

import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """Source of the present."""

    def now_s(self, at_least: int = 0) -> int:
        """Unix time in seconds. A result below `at_least` is never a stale one."""
        ...


class SystemClock:
    """The computer's clock, which must be synchronised (NTP)."""

    def now_s(self, at_least: int = 0) -> int:
        """Unix time in seconds."""
        return int(time.time())


class ChainClock:
    """Time of the newest block, asked again when an answer is older than `max_age_s` of real time."""

    def __init__(self, block_time: Callable[[], int], max_age_s: float = 1.0) -> None:
        self._block_time = block_time
        self._max_age_s = max_age_s
        self._asked_at = float("-inf")
        self._now_s = 0

    def now_s(self, at_least: int = 0) -> int:
        """Unix time in seconds; while the chain cannot be asked, the time it said last.

        Raises what the chain raises when it never answered, or when `at_least` is later than that.
        """
        now = time.monotonic()
        if now - self._asked_at > self._max_age_s or self._now_s < at_least:
            try:
                self._now_s = self._block_time()
            except OSError:
                if self._now_s == 0 or self._now_s < at_least:
                    raise
            self._asked_at = now
        return self._now_s
