"""Primary-energy and greenhouse-gas factors of electricity: from a generation mix, and as a day on chain.

Primary-energy factors are integers in 1/1000 (kWh of primary energy per kWh), greenhouse-gas factors g CO2e
per kWh (domain.md §3). A day is published whole: 24 hours of six big-endian `u16`, in the order of
FactorHour.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final, NamedTuple

from contracts.energy import HourFactors
from contracts.hour import HOURS_PER_DAY

DAY_BYTES: Final = 288
MAX_FACTOR: Final = 2**16 - 1
_HOUR: Final = struct.Struct(">6H")

Number = int | Decimal | Fraction
"""An exact number; a float is none."""


class FactorInvalid(ValueError):
    """A factor out of its range, bytes that hold no day, or a mix that has no factor."""


def round_half_up(value: Number) -> int:
    """The nearest integer; a half goes up, also below zero (domain.md §3)."""
    exact = Fraction(value)
    return (2 * exact.numerator + exact.denominator) // (2 * exact.denominator)


class FactorHour(NamedTuple):
    """Factors of electricity in one hour of a zone."""

    average_total: int
    marginal_total: int
    average_non_renewable: int
    marginal_non_renewable: int
    average_ghg: int
    marginal_ghg: int

    def primary(self, non_renewable: bool) -> HourFactors:
        """Dynamic primary-energy factors: total ones, or those of a non-renewable scheme."""
        if non_renewable:
            return HourFactors.dynamic(self.average_non_renewable, self.marginal_non_renewable)
        return HourFactors.dynamic(self.average_total, self.marginal_total)

    def ghg(self) -> HourFactors:
        """Dynamic greenhouse-gas factors."""
        return HourFactors.dynamic(self.average_ghg, self.marginal_ghg)


def require_range(hour: FactorHour, least: int, most: int, ghg_most: int) -> None:
    """Raise FactorInvalid unless the factors lie in a vintage's range (1/1000; GHG g/kWh from 0)."""
    limits = {
        "average_total": (least, most),
        "marginal_total": (least, most),
        "average_non_renewable": (0, most),
        "marginal_non_renewable": (0, most),
        "average_ghg": (0, ghg_most),
        "marginal_ghg": (0, ghg_most),
    }
    for (name, (low, high)), value in zip(limits.items(), hour, strict=True):
        if not low <= value <= min(high, MAX_FACTOR):
            raise FactorInvalid(f"{name} {value} is outside the range {low} to {high} of its vintage")


def pack_day(hours: Sequence[FactorHour]) -> bytes:
    """The 288 bytes of a day. Raises FactorInvalid naming the hour."""
    if len(hours) != HOURS_PER_DAY:
        raise FactorInvalid(f"factors are published for whole days of 24 hours, not {len(hours)}")
    for place, hour in enumerate(hours):
        if not all(0 <= factor <= MAX_FACTOR for factor in hour):
            raise FactorInvalid(f"hour {place}: factors {tuple(hour)} are not all within 0 to {MAX_FACTOR}")
    return b"".join(_HOUR.pack(*hour) for hour in hours)


def unpack_day(factors: bytes) -> tuple[FactorHour, ...]:
    """The 24 hours of a day's bytes. Raises FactorInvalid."""
    if len(factors) != DAY_BYTES:
        raise FactorInvalid(f"a day of factors has {DAY_BYTES} bytes, not {len(factors)}")
    return tuple(FactorHour(*hour) for hour in _HOUR.iter_unpack(factors))


@dataclass(frozen=True, slots=True)
class Technology:
    """A technology of a zone's generation. Its factors are per kWh of electricity: fuel over plant
    efficiency."""

    name: str
    total: Number
    """Primary energy, kWh per kWh."""
    non_renewable: Number
    ghg_g_per_kwh: Number

    def __post_init__(self) -> None:
        if not 0 <= self.non_renewable <= self.total:
            raise FactorInvalid(
                f"technology {self.name}: non-renewable factor {self.non_renewable} must lie between 0 and "
                f"the total one, {self.total}"
            )
        if self.ghg_g_per_kwh < 0:
            raise FactorInvalid(f"technology {self.name}: {self.ghg_g_per_kwh} g/kWh is negative")


def factors_of_mix(mix: Sequence[tuple[Technology, Number]]) -> FactorHour:
    """Factors of one hour from each technology's generation, in merit order, the cheapest first (domain.md
    §3).

    Average: weighted with generation. Marginal: the most expensive technology that runs, the last of the
    merit order with generation above zero [B 6]. Generation is in any one unit. Raises FactorInvalid when
    nothing is generated or a value is negative.
    """
    for technology, generation in mix:
        if generation < 0:
            raise FactorInvalid(f"generation of {technology.name} is negative: {generation}")
    running = [(technology, Fraction(generation)) for technology, generation in mix if generation > 0]
    if not running:
        raise FactorInvalid("nothing is generated in this hour, so it has no factor")
    generated = sum((generation for _, generation in running), Fraction(0))

    def average(factors: Sequence[Number], scale: int) -> int:
        weighted = sum(
            (Fraction(factor) * share for factor, (_, share) in zip(factors, running, strict=True)),
            Fraction(0),
        )
        return round_half_up(weighted / generated * scale)

    dearest = running[-1][0]
    return FactorHour(
        average_total=average([technology.total for technology, _ in running], 1000),
        marginal_total=round_half_up(Fraction(dearest.total) * 1000),
        average_non_renewable=average([technology.non_renewable for technology, _ in running], 1000),
        marginal_non_renewable=round_half_up(Fraction(dearest.non_renewable) * 1000),
        average_ghg=average([technology.ghg_g_per_kwh for technology, _ in running], 1),
        marginal_ghg=round_half_up(dearest.ghg_g_per_kwh),
    )
