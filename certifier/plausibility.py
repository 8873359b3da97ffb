"""Whether a stationary battery's metered charge and discharge can be a battery's (domain.md §2).

A battery is implausible when no initial state of charge keeps it inside `[0, capacity]` with a margin of 5 %
of its throughput. Where no capacity is registered, the energy of 24 hours at nameplate power stands for it,
which no usual battery reaches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from contracts.hour import HOURS_PER_DAY, format_day

MARGIN_PERCENT = 5
PERMILLE = 1000


@dataclass(frozen=True, slots=True)
class StorageDay:
    """One battery's day: stored energy relative to the day's start, in mWh, and energy in and out in Wh."""

    day: int
    stored_mwh: int
    lowest_mwh: int
    highest_mwh: int
    throughput_wh: int
    capacity_wh: int
    """Registered, or what stands for it (see `usable_capacity_wh`)."""


@dataclass(frozen=True, slots=True)
class ImplausibleSpan:
    """The days until which the state of charge left every possible range."""

    first_day: int
    last_day: int
    swing_wh: int
    allowed_wh: int

    def explanation(self, point_id: str) -> str:
        """The finding in words."""
        return (
            f"battery {point_id} would have to hold {self.swing_wh} Wh between its emptiest and fullest "
            f"moment from {format_day(self.first_day)} to {format_day(self.last_day)}; its capacity "
            f"with 5 % of its throughput as margin allows {self.allowed_wh} Wh"
        )


def usable_capacity_wh(registered_wh: int, nameplate_w: int) -> int:
    """The registered capacity, or 24 hours at nameplate power where none is (0)."""
    return registered_wh or nameplate_w * HOURS_PER_DAY


def storage_day(
    day: int, charge_discharge_wh: Iterable[tuple[int, int]], efficiency_permille: int, capacity_wh: int
) -> StorageDay:
    """Sum up a battery's hours `(charge_wh, discharge_wh)` of one day."""
    stored = lowest = highest = throughput = 0
    for charge_wh, discharge_wh in charge_discharge_wh:
        stored += charge_wh * efficiency_permille - discharge_wh * PERMILLE
        lowest, highest = min(lowest, stored), max(highest, stored)
        throughput += charge_wh + discharge_wh
    return StorageDay(day, stored, lowest, highest, throughput, capacity_wh)


def implausible_span(days: Sequence[StorageDay]) -> ImplausibleSpan | None:
    """The first span of days that no initial state of charge explains, or None when one does."""
    stored = lowest = highest = throughput = 0
    for entry in days:
        lowest = min(lowest, stored + entry.lowest_mwh)
        highest = max(highest, stored + entry.highest_mwh)
        stored += entry.stored_mwh
        throughput += entry.throughput_wh
        allowed_wh = entry.capacity_wh + throughput * MARGIN_PERCENT // 100
        swing_wh = -((lowest - highest) // PERMILLE)
        if swing_wh > allowed_wh:
            return ImplausibleSpan(days[0].day, entry.day, swing_wh, allowed_wh)
    return None
