"""Boundaries as they are declared: a gateway's open points and its members' points (domain.md §1, §2, §8)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from contracts.point import Kind, PointDeclaration, PointInvalid, cap_wh
from contracts.slug import serial_to_bytes32, to_bytes32, to_text
from contracts.tally import TallyGateway, TallyGroup, TallyPoint


@dataclass(frozen=True, slots=True)
class MemberDeclaration:
    """A household's metering point: like an open one, known only by a salted commitment. Raises
    PointInvalid."""

    commitment: bytes
    """See `contracts.privacy.commitment`."""
    kind: Kind
    nameplate_w: int
    efficiency_permille: int = 0
    register_digits: int = 0
    renewable: bool = False
    capacity_wh: int = 0

    def __post_init__(self) -> None:
        name = f"member-0x{self.commitment.hex()[:12]}"
        if len(self.commitment) != 32:
            raise PointInvalid(f"{name}: commitment has {len(self.commitment)} bytes, not 32")
        PointDeclaration(
            name,
            self.kind,
            self.nameplate_w,
            self.efficiency_permille,
            self.register_digits,
            self.renewable,
            self.capacity_wh,
        )
        if not self.kind.may_be_private:
            raise PointInvalid(f"{name}: a {self.kind.name} point cannot be private")

    @property
    def cap_wh(self) -> int:
        """Most energy, Wh, that this point may hold in an hour."""
        return cap_wh(self.nameplate_w)


@dataclass(frozen=True, slots=True)
class GatewayBoundary:
    """All points of one gateway from a boundary version on, open ones in the order of its records."""

    gateway_id: str
    open: tuple[PointDeclaration, ...] = ()
    members: tuple[MemberDeclaration, ...] = ()

    @property
    def abi(self) -> tuple[Any, ...]:
        """As the Registry takes it."""
        points = [_abi(serial_to_bytes32(point.serial), point) for point in self.open]
        members = [_abi(member.commitment, member) for member in self.members]
        return to_bytes32(self.gateway_id), points, members

    @property
    def tally(self) -> TallyGateway:
        """What the sums need of it."""
        kinds = sorted({member.kind for member in self.members})
        groups = []
        for kind in kinds:
            of_kind = [member for member in self.members if member.kind is kind]
            groups.append(TallyGroup(kind, len(of_kind), sum(member.cap_wh for member in of_kind)))
        points = (TallyPoint(point.kind, point.cap_wh, point.efficiency_permille) for point in self.open)
        return TallyGateway(tuple(points), tuple(groups))


def _abi(identifier: bytes, point: PointDeclaration | MemberDeclaration) -> tuple[Any, ...]:
    return (
        identifier,
        int(point.kind),
        point.renewable,
        point.register_digits,
        point.efficiency_permille,
        point.nameplate_w,
        point.capacity_wh,
    )


def open_points(declared: Sequence[Any]) -> tuple[PointDeclaration, ...]:
    """Open points as an event of the Registry lists them."""
    return tuple(PointDeclaration(to_text(point.id), *_declared(point)) for point in declared)


def member_points(declared: Sequence[Any]) -> tuple[MemberDeclaration, ...]:
    """Members' points as an event of the Registry lists them."""
    return tuple(MemberDeclaration(point.id, *_declared(point)) for point in declared)


def _declared(point: Any) -> tuple[Any, ...]:
    return (
        Kind(point.kind),
        point.nameplateW,
        point.efficiencyPermille,
        point.registerDigits,
        point.renewable,
        point.capacityWh,
    )
