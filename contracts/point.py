"""Metering points: role and carrier in one byte, nameplate and cap (domain.md §2).

A record of a point holds two energies seen from the district's busbar: `supply_wh` into it and
`draw_wh` out of it.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from contracts.slug import is_serial

_CARRIER_BASE: Final = 16
MAX_CAP_WH: Final = 2**31 - 1
"""A record holds 31 bits of energy, so no point may be able to carry more in an hour."""

MAX_CAPACITY_WH: Final = 2**32 - 1


class PointInvalid(ValueError):
    """The declaration of a metering point contradicts itself or exceeds what a record can hold."""


class Kind(IntEnum):
    """Role of a metering point, and its carrier when it is not electricity (domain.md §2)."""

    GRID = 1
    GENERATION = 2
    """Free of fuel, or a fuel generator linked to the carrier point of its fuel."""
    FUEL_GENERATION = 3
    """Burns a fuel that no carrier point meters: its production counts as import at the marginal factor."""
    STORAGE = 4
    """Stationary battery."""
    VEHICLE = 5
    LOAD = 6
    GAS = 17
    HEAT = 18
    COOLING = 19
    BIOMASS = 20
    OIL = 21
    HYDROGEN = 22
    WASTE = 23
    OTHER = 24

    @property
    def is_carrier(self) -> bool:
        """Whether the point meters another carrier than electricity."""
        return self > _CARRIER_BASE

    @property
    def carrier(self) -> int:
        """Number of the carrier, 1 (gas) to 8 (other). Raises PointInvalid for an electric point."""
        if not self.is_carrier:
            raise PointInvalid(f"a {self.name} point is electric and has no carrier number")
        return self - _CARRIER_BASE

    @property
    def may_be_private(self) -> bool:
        """Whether a household's point may have this kind: generation, storage, load and carriers."""
        return self.is_carrier or self in (Kind.GENERATION, Kind.STORAGE, Kind.LOAD)


CARRIERS: Final = tuple(kind for kind in Kind if kind.is_carrier)
"""The kinds of the carriers other than electricity; the carrier number of `CARRIERS[i]` is `i + 1`."""


def cap_wh(nameplate_w: int) -> int:
    """Most energy, Wh, that a record of one hour may hold: 1.1 times the nameplate power, rounded down."""
    return nameplate_w * 11 // 10


@dataclass(frozen=True, slots=True)
class PointDeclaration:
    """A metering point as its boundary version declares it. Raises PointInvalid."""

    serial: str
    kind: Kind
    nameplate_w: int
    efficiency_permille: int = 0
    """Round-trip efficiency of a storage or vehicle, in 1/1000; 0 elsewhere."""
    register_digits: int = 0
    """Decimal digits of the meter's register; 0 means 2^32 counts."""
    renewable: bool = False
    capacity_wh: int = 0
    """Usable energy of a stationary battery, Wh; 0: not declared."""

    def __post_init__(self) -> None:
        if not is_serial(self.serial):
            raise PointInvalid(
                f"serial {self.serial!r} is invalid: use 1 to 32 of the characters A-Z, a-z, 0-9, point, "
                "underscore, hyphen"
            )
        if self.nameplate_w < 1 or cap_wh(self.nameplate_w) > MAX_CAP_WH:
            raise PointInvalid(
                f"point {self.serial}: nameplate {self.nameplate_w} W is out of range; it must be at least "
                f"1 W and its hourly cap (1.1 h times it) at most {MAX_CAP_WH} Wh"
            )
        if not 0 <= self.efficiency_permille <= 1000:
            raise PointInvalid(
                f"point {self.serial}: efficiency {self.efficiency_permille}/1000 is out of range 0 to 1000"
            )
        if not 0 <= self.register_digits <= 18:
            raise PointInvalid(
                f"point {self.serial}: {self.register_digits} register digits are out of range; give 1 to "
                "18, or 0 for a register of 2^32 counts"
            )
        if not 0 <= self.capacity_wh <= MAX_CAPACITY_WH:
            raise PointInvalid(
                f"point {self.serial}: capacity {self.capacity_wh} Wh is out of range 0 to {MAX_CAPACITY_WH}"
            )
        if self.capacity_wh and self.kind is not Kind.STORAGE:
            raise PointInvalid(
                f"point {self.serial}: a {self.kind.name} point has no capacity; only a STORAGE point does"
            )

    @property
    def cap_wh(self) -> int:
        """Most energy, Wh, that a record of one hour of this point may hold."""
        return cap_wh(self.nameplate_w)
