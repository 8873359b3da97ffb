"""The verdict over a rolling year: sums of final days, completeness, finding (domain.md §4).

A statement of what `Assessments.sol` decides, with one thing more: what was known at an earlier time. A
final day is appended once; an adjustment after finality revises it, from the time at which it was booked.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from contracts.energy import DayTotals
from contracts.hour import HOURS_PER_DAY, format_day, window_start

BLOCK_DAYS: Final = 30
BLOCKS: Final = 12
EDGE_DAYS: Final = 7
"""A gap longer than this is missing, not estimated, so an edge without estimates is found within them."""


class HistoryInvalid(ValueError):
    """A day that is not there, or that does not follow the last one."""


class Finding(IntEnum):
    """Outcome of a verdict; the numbers are those of the contract. Only POSITIVE makes a district a PED."""

    POSITIVE = 0
    NOT_FINAL = 1
    """The window ends after the last final day."""
    WINDOW_TOO_SHORT = 2
    """The assessment began after the window's start."""
    BOUNDARY_RESTARTED = 3
    """A load or a generator was removed inside the window, so the twelve months start anew."""
    EDGE_ESTIMATED = 4
    """The first or last day has an estimated hour, so the bounds do not hold."""
    ADJUSTMENTS_PENDING = 5
    COMPROMISE_PENDING = 6
    INCOMPLETE = 7
    """Fewer than 90 % complete hours in the window or in one of the twelve blocks of 30 days."""
    BALANCE_NOT_POSITIVE = 8
    """The lower bound of the primary-energy balance is not greater than zero."""
    GHG_POSITIVE = 9
    """The upper bound of net greenhouse-gas emission is greater than zero."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A finding with the figures it rests on; all 0 where the finding is NOT_FINAL or WINDOW_TOO_SHORT."""

    finding: Finding
    window_start: int
    """First day of the window."""
    window_end: int
    """The day at whose midnight the window ends; not part of it."""
    balance_mwh_pe: int = 0
    lower_mwh_pe: int = 0
    upper_mwh_pe: int = 0
    ghg_mg: int = 0
    ghg_upper_mg: int = 0
    complete_hours: int = 0
    total_hours: int = 0
    worst_block_hours: int = 0
    """Complete hours (of 720) in the block of 30 days that has the fewest."""
    first_version: int = 0
    """Boundary version of the window's first day."""
    last_version: int = 0

    @property
    def is_positive(self) -> bool:
        """Whether the district is a Positive Energy District in this window."""
        return self.finding is Finding.POSITIVE


_Sums = tuple[int, int, int, int, int, int]


def _sums(totals: DayTotals) -> _Sums:
    return (
        totals.balance_mwh_pe,
        totals.lower_mwh_pe,
        totals.upper_mwh_pe,
        totals.ghg_mg,
        totals.ghg_upper_mg,
        totals.complete_hours,
    )


def _add(a: _Sums, b: _Sums, sign: int = 1) -> _Sums:
    return (
        a[0] + sign * b[0],
        a[1] + sign * b[1],
        a[2] + sign * b[2],
        a[3] + sign * b[3],
        a[4] + sign * b[4],
        a[5] + sign * b[5],
    )


@dataclass(frozen=True, slots=True)
class _Revision:
    known_from: int
    totals: DayTotals


class History:
    """Final days of one assessment, in order from its first, each with its later revisions.

    Times (`finalised_at`, `booked_at`, `known_at`) are whatever the caller orders events by, such as the
    unix time of a block; `known_at=None` asks for everything known.
    """

    def __init__(self, start_day: int) -> None:
        self.start_day = start_day
        self._days: list[DayTotals] = []
        self._finalised_at: list[int] = []
        self._cumulative: list[_Sums] = [(0, 0, 0, 0, 0, 0)]
        self._revisions: dict[int, list[_Revision]] = {}

    def append(self, day: int, totals: DayTotals, finalised_at: int = 0) -> None:
        """Add the next final day. Raises HistoryInvalid unless it follows the last one in day and time."""
        if day != self.frontier():
            expected = format_day(self.frontier())
            raise HistoryInvalid(f"day {format_day(day)} does not follow; {expected} is next")
        if self._finalised_at and finalised_at < self._finalised_at[-1]:
            raise HistoryInvalid(f"day {format_day(day)} was finalised before the day that precedes it")
        self._days.append(totals)
        self._finalised_at.append(finalised_at)
        self._cumulative.append(_add(self._cumulative[-1], _sums(totals)))

    def revise(self, day: int, totals: DayTotals, booked_at: int) -> None:
        """Replace a final day's totals from `booked_at` on. Raises HistoryInvalid if it is not final."""
        if not self.start_day <= day < self.frontier():
            raise HistoryInvalid(f"day {format_day(day)} is not final here, so it cannot be adjusted")
        revisions = self._revisions.setdefault(day, [])
        if revisions and booked_at < revisions[-1].known_from:
            raise HistoryInvalid(f"adjustment of {format_day(day)} booked before an earlier one of that day")
        revisions.append(_Revision(booked_at, totals))

    def frontier(self, known_at: int | None = None) -> int:
        """The first day that is not final: the latest possible end of a window."""
        if known_at is None:
            return self.start_day + len(self._days)
        return self.start_day + bisect_right(self._finalised_at, known_at)

    def totals(self, day: int, known_at: int | None = None) -> DayTotals:
        """Totals of a final day. Raises HistoryInvalid."""
        if not self.start_day <= day < self.frontier(known_at):
            raise HistoryInvalid(f"day {format_day(day)} is not final")
        for revision in reversed(self._revisions.get(day, ())):
            if known_at is None or revision.known_from <= known_at:
                return revision.totals
        return self._days[day - self.start_day]

    def sums(self, start: int, end: int, known_at: int | None = None) -> _Sums:
        """Balance, lower, upper, ghg, ghg upper, complete hours of the days `[start, end)`."""
        first, last = self._cumulative[start - self.start_day], self._cumulative[end - self.start_day]
        result = _add(last, first, -1)
        for day in self._revisions:
            if start <= day < end:
                original = self._days[day - self.start_day]
                result = _add(_add(result, _sums(self.totals(day, known_at))), _sums(original), -1)
        return result


def verdict(
    history: History,
    window_end: int,
    *,
    restart_days: Sequence[int] = (),
    adjustments_pending: bool = False,
    compromise_pending: bool = False,
    known_at: int | None = None,
) -> Verdict:
    """The verdict over the year that ends with the midnight before day `window_end` (domain.md §4).

    `restart_days` are the days from which the boundary lacks a load or a generator that it had.
    """
    start = window_start(window_end)
    if window_end > history.frontier(known_at):
        return Verdict(Finding.NOT_FINAL, start, window_end)
    if start < history.start_day:
        return Verdict(Finding.WINDOW_TOO_SHORT, start, window_end)
    balance, lower, upper, ghg, ghg_upper, complete = history.sums(start, window_end, known_at)
    blocks = [
        history.sums(window_end - BLOCK_DAYS * (k + 1), window_end - BLOCK_DAYS * k, known_at)[5]
        for k in range(BLOCKS)
    ]
    first, last = history.totals(start, known_at), history.totals(window_end - 1, known_at)
    total_hours = HOURS_PER_DAY * (window_end - start)
    if any(start < day < window_end for day in restart_days):
        finding = Finding.BOUNDARY_RESTARTED
    elif first.edge_estimated or last.edge_estimated:
        finding = Finding.EDGE_ESTIMATED
    elif adjustments_pending:
        finding = Finding.ADJUSTMENTS_PENDING
    elif compromise_pending:
        finding = Finding.COMPROMISE_PENDING
    elif not (_suffices(complete, total_hours) and _suffices(min(blocks), BLOCK_DAYS * HOURS_PER_DAY)):
        finding = Finding.INCOMPLETE
    elif lower <= 0:
        finding = Finding.BALANCE_NOT_POSITIVE
    elif ghg_upper > 0:
        finding = Finding.GHG_POSITIVE
    else:
        finding = Finding.POSITIVE
    return Verdict(
        finding=finding,
        window_start=start,
        window_end=window_end,
        balance_mwh_pe=balance,
        lower_mwh_pe=lower,
        upper_mwh_pe=upper,
        ghg_mg=ghg,
        ghg_upper_mg=ghg_upper,
        complete_hours=complete,
        total_hours=total_hours,
        worst_block_hours=min(blocks),
        first_version=first.boundary_version,
        last_version=last.boundary_version,
    )


def _suffices(complete_hours: int, total_hours: int) -> bool:
    """Whether at least 90 % of the hours are complete."""
    return 10 * complete_hours >= 9 * total_hours


def latest_verdict(
    history: History,
    *,
    restart_days: Sequence[int] = (),
    adjustments_pending: bool = False,
    compromise_pending: bool = False,
    known_at: int | None = None,
) -> Verdict:
    """The newest verdict: at the frontier, or up to 7 days earlier while an edge of the window is
    estimated."""
    frontier = history.frontier(known_at)
    for window_end in range(frontier, frontier - EDGE_DAYS - 1, -1):
        found = verdict(
            history,
            window_end,
            restart_days=restart_days,
            adjustments_pending=adjustments_pending,
            compromise_pending=compromise_pending,
            known_at=known_at,
        )
        if found.finding is not Finding.EDGE_ESTIMATED:
            break
    return found
