"""From intervals and registers to one record per point and hour: pure functions (domain.md §2).

Energies are integers in Wh, hours are `unix_time // 3600`. Whoever calls keeps the samples; nothing here
remembers anything, so the same samples give the same record in whatever order they came.

Interval energies are added up. A cumulative register is read at the hours' boundaries: the difference of two
neighbouring boundaries is the energy of the hour, exactly. Where boundaries are lacking the difference is
known in total only, and is spread over the hours between as *estimated*, up to seven days.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from contracts.hour import HOUR_S
from contracts.reading import Record, Status

MAX_GAP_HOURS: Final = 7 * 24
"""A longer gap of a register is missing, not estimated."""


class Amount(NamedTuple):
    """Energy of one channel (supply or draw) of a point in one hour."""

    status: Status
    energy_wh: int
    reason: str = ""
    """Why the hour is not measured, in words; empty where there is nothing to say."""


MISSING: Final = Amount(Status.MISSING, 0)
MISSING_RECORD: Final = Record(Status.MISSING, 0, 0)


class Sample(NamedTuple):
    """Value of a cumulative register at a time."""

    time_s: int
    value_wh: int


class Exchange(NamedTuple):
    """Declared exchange or reset of a register: what the old one ended with and the new one began with.

    Samples before `time_s` belong to the old register, later ones and one at that very time to the new.
    A value of None says that nobody knows it: the energy in between stays missing.
    """

    time_s: int
    final_wh: int | None
    first_wh: int | None


@dataclass(frozen=True, slots=True)
class Register:
    """What is known of a register: where it rolls over and the most that it can count in an hour."""

    modulus_wh: int
    """Size of the register in Wh: 2^32 counts, or 10^6 or 10^8, times the Wh of a count."""
    cap_wh: int
    """Most energy of an hour: 1.1 times the nameplate power (domain.md §2)."""


def spread(total_wh: int, hours: int) -> list[int]:
    """`total_wh` over `hours` as floor(T(k+1)/n) - floor(Tk/n); the sum is exactly `total_wh`."""
    return [total_wh * (k + 1) // hours - total_wh * k // hours for k in range(hours)]


def interval_hour(energies_wh: Sequence[int], expected: int) -> Amount:
    """Hour of a channel from the interval energies that are there, of `expected` intervals (4 or 1)."""
    if not energies_wh:
        return MISSING
    if len(energies_wh) < expected:
        reason = f"{len(energies_wh)} of {expected} intervals"
        return Amount(Status.PARTIAL, sum(energies_wh), reason)
    return Amount(Status.MEASURED, sum(energies_wh))


def boundary_hour(time_s: int, tolerance_s: int) -> int | None:
    """Number of the hour that begins within `tolerance_s` of `time_s`, or None."""
    nearest = (time_s + HOUR_S // 2) // HOUR_S
    return nearest if abs(time_s - nearest * HOUR_S) <= tolerance_s else None


def difference_wh(
    earlier: Sample, later: Sample, register: Register, exchanges: Sequence[Exchange] = ()
) -> int | None:
    """Energy counted between two samples, or None when the register went down and nothing explains it.

    A fall is a roll-over if the register's size makes it plausible: no more than the cap for the time
    between. Declared exchanges between the samples are followed from one register to the next.
    """
    limit_wh = allowed_wh(earlier, later, register)
    total_wh = 0
    value_wh = earlier.value_wh
    for exchange in sorted(exchanges):
        if earlier.time_s < exchange.time_s <= later.time_s:
            if exchange.final_wh is None or exchange.first_wh is None:
                return None
            counted = _counted(value_wh, exchange.final_wh, register, limit_wh)
            if counted is None:
                return None
            total_wh += counted
            value_wh = exchange.first_wh
    counted = _counted(value_wh, later.value_wh, register, limit_wh)
    return None if counted is None else total_wh + counted


def allowed_wh(earlier: Sample, later: Sample, register: Register) -> int:
    """Most energy, Wh, that a register may count between two samples, rounded up to the next Wh."""
    return -(-register.cap_wh * (later.time_s - earlier.time_s) // HOUR_S)


def _counted(from_wh: int, to_wh: int, register: Register, limit_wh: int) -> int | None:
    if to_wh >= from_wh:
        return to_wh - from_wh
    wrapped = to_wh - from_wh + register.modulus_wh
    return wrapped if from_wh < register.modulus_wh and 0 <= wrapped <= limit_wh else None


def register_hours(
    samples: Iterable[tuple[int, Sample]], register: Register, exchanges: Sequence[Exchange] = ()
) -> dict[int, Amount]:
    """Energy of each hour between the first and the last boundary of a register.

    `samples` are (hour, sample) with `hour` from `boundary_hour`; where several lie near one boundary the
    nearest counts, of two equally near the earlier one. The hour before the first boundary is not in the
    result: the first value ever seen gives no energy.
    """
    nearest: dict[int, Sample] = {}
    for hour, sample in samples:
        known = nearest.get(hour)
        if known is None or _distance(hour, sample) < _distance(hour, known):
            nearest[hour] = sample
    hours: dict[int, Amount] = {}
    fallen_from: Sample | None = None
    for first, end in pairwise(sorted(nearest)):
        earlier, later = nearest[first], nearest[end]
        suspect = fallen_from is not None and later.value_wh >= fallen_from.value_wh
        amounts, unexplained = _between(earlier, later, end - first, register, exchanges)
        if suspect and fallen_from is not None:
            reason = (
                f"register fell from {fallen_from.value_wh} to {earlier.value_wh} Wh and rose to "
                f"{later.value_wh} Wh: correct the low value, or declare the exchange"
            )
            amounts = [Amount(Status.MISSING, 0, reason)] * (end - first)
        fallen_from = earlier if unexplained else None
        hours.update(enumerate(amounts, first))
    return hours


def _distance(hour: int, sample: Sample) -> tuple[int, int]:
    return abs(sample.time_s - hour * HOUR_S), sample.time_s


def _between(
    earlier: Sample, later: Sample, hours: int, register: Register, exchanges: Sequence[Exchange]
) -> tuple[list[Amount], bool]:
    """Amounts of the hours between two boundaries, and whether the register fell without explanation."""
    total_wh = difference_wh(earlier, later, register, exchanges)
    if total_wh is None:
        reason = (
            f"register went down from {earlier.value_wh} to {later.value_wh} Wh, no roll-over of "
            f"{register.modulus_wh} Wh explains it: declare the exchange or reset"
        )
        declared = any(earlier.time_s < exchange.time_s <= later.time_s for exchange in exchanges)
        if declared:
            reason = "exchange or reset declared, but not what the registers held"
        return [Amount(Status.MISSING, 0, reason)] * hours, not declared
    if total_wh > register.cap_wh * hours:
        reason = (
            f"register counted {total_wh} Wh in {hours} h, at most {register.cap_wh * hours} are plausible"
        )
        return [Amount(Status.MISSING, 0, reason)] * hours, False
    if hours == 1:
        return [Amount(Status.MEASURED, total_wh)], False
    if hours > MAX_GAP_HOURS:
        reason = f"gap of {hours} h, longer than {MAX_GAP_HOURS} h"
        return [Amount(Status.MISSING, 0, reason)] * hours, False
    reason = f"part of {total_wh} Wh over a gap of {hours} h"
    return [Amount(Status.ESTIMATED, part, reason) for part in spread(total_wh, hours)], False


def total(amounts: Sequence[Amount]) -> Amount:
    """Sum of the registers of one channel (tariff registers, for example 1.8.1 and 1.8.2)."""
    status = _joint_status([amount.status for amount in amounts])
    reasons = "; ".join(dict.fromkeys(amount.reason for amount in amounts if amount.reason))
    return Amount(status, sum(amount.energy_wh for amount in amounts), reasons)


def record(supply: Amount | None, draw: Amount | None) -> Record:
    """The record of a point from its metered channels; None is a channel that the point does not have.

    *measured* when every channel is, *missing* when none is known, *partial* when a part lacks, else
    *estimated*.
    """
    if supply is None:
        return MISSING_RECORD if draw is None else Record(draw.status, 0, draw.energy_wh)
    if draw is None:
        return Record(supply.status, supply.energy_wh, 0)
    return Record(_joint_status([supply.status, draw.status]), supply.energy_wh, draw.energy_wh)


def _joint_status(statuses: Sequence[Status]) -> Status:
    kinds = set(statuses)
    if kinds == {Status.MEASURED}:
        return Status.MEASURED
    if kinds <= {Status.MISSING}:
        return Status.MISSING
    if kinds & {Status.MISSING, Status.PARTIAL}:
        return Status.PARTIAL
    return Status.ESTIMATED
