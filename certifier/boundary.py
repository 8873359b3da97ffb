"""A district's boundary versions, worked out from the published declarations alone (domain.md §1).

A version starts at a future UTC midnight and lists only the gateways that change; the others keep their
manifest. Taking away a point that the district must account for, changing its kind or lowering its nameplate
starts the twelve months anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from sqlalchemy import Connection, select

from certifier import store
from contracts.energy import BoundarySummary
from contracts.point import Kind, cap_wh

FREE_KINDS = frozenset({Kind.STORAGE, Kind.VEHICLE})
"""Kinds whose points may leave without a restart."""
FOREIGN_KINDS = frozenset({Kind.VEHICLE, Kind.FUEL_GENERATION})


@dataclass(frozen=True, slots=True)
class DeclaredPoint:
    """A metering point of one boundary version; `point_id` is a salted commitment when private."""

    point_id: str
    kind: Kind
    renewable: bool
    nameplate_w: int
    efficiency_permille: int
    register_digits: int
    capacity_wh: int

    @property
    def cap_wh(self) -> int:
        """Most energy, Wh, of one hour."""
        return cap_wh(self.nameplate_w)


@dataclass(frozen=True)
class Manifest:
    """Points of one gateway from a boundary version on, open ones in the order of its records."""

    gateway_id: str
    version: int
    open: tuple[DeclaredPoint, ...]
    members: tuple[DeclaredPoint, ...]

    @property
    def points(self) -> tuple[DeclaredPoint, ...]:
        """Open and private points."""
        return self.open + self.members

    @cached_property
    def caps_wh(self) -> tuple[int, int, int]:
        """Whole hourly caps, Wh, of the open points: grid, carriers, vehicles and unlinked fuel."""
        grid = sum(point.cap_wh for point in self.open if point.kind is Kind.GRID)
        carrier = sum(point.cap_wh for point in self.open if point.kind.is_carrier)
        foreign = sum(point.cap_wh for point in self.open if point.kind in FOREIGN_KINDS)
        return grid, carrier, foreign

    @cached_property
    def member_carrier_cap_wh(self) -> int:
        """Whole hourly caps, Wh, of the members' carrier points."""
        return sum(point.cap_wh for point in self.members if point.kind.is_carrier)

    @cached_property
    def members_by_kind(self) -> dict[Kind, tuple[DeclaredPoint, ...]]:
        """Members' points of each kind."""
        kinds = sorted({point.kind for point in self.members})
        return {kind: tuple(point for point in self.members if point.kind is kind) for kind in kinds}


@dataclass(frozen=True)
class BoundaryVersion:
    """What belongs to a district from `from_day` on."""

    district_id: str
    version: int
    from_day: int
    restart_day: int
    """First day of the latest version that took something away, or of the first version."""
    manifests: dict[str, Manifest] = field(repr=False)

    @cached_property
    def open_points(self) -> int:
        """Number of open points."""
        return sum(len(manifest.open) for manifest in self.manifests.values())

    @cached_property
    def members(self) -> int:
        """Number of private points."""
        return sum(len(manifest.members) for manifest in self.manifests.values())

    @cached_property
    def load_metered(self) -> bool:
        """Whether any point meters load."""
        return any(point.kind is Kind.LOAD for point in self.points())

    @cached_property
    def caps_wh(self) -> tuple[int, int, int]:
        """Whole hourly caps, Wh, of the district: grid, carriers (private ones too), vehicles and fuel."""
        grid = carrier = foreign = 0
        for point in self.points():
            if point.kind is Kind.GRID:
                grid += point.cap_wh
            elif point.kind.is_carrier:
                carrier += point.cap_wh
            elif point.kind in FOREIGN_KINDS:
                foreign += point.cap_wh
        return grid, carrier, foreign

    @cached_property
    def summary(self) -> BoundarySummary:
        """What the rule needs of this version."""
        grid, carrier, foreign = self.caps_wh
        return BoundarySummary(
            open_points=self.open_points,
            members=self.members,
            load_metered=self.load_metered,
            grid_cap_wh=grid,
            carrier_cap_wh=carrier,
            foreign_cap_wh=foreign,
            version=self.version,
        )

    def points(self) -> Iterable[DeclaredPoint]:
        """All points, open and private."""
        for manifest in self.manifests.values():
            yield from manifest.points


class Boundaries:
    """All boundary versions that the projection knows; read once, then looked up in memory."""

    def __init__(self, connection: Connection) -> None:
        self._versions: dict[str, list[BoundaryVersion]] = defaultdict(list)
        manifests = _manifests(connection)
        aliases = _exchanges(connection)
        rows = connection.execute(
            select(store.boundary_versions).order_by(
                store.boundary_versions.c.block_number, store.boundary_versions.c.log_index
            )
        )
        for row in rows:
            known = self._versions[row.district_id]
            before = known[-1].manifests if known else {}
            after = before | manifests.get((row.district_id, row.version), {})
            restart = known[-1].restart_day if known else row.from_day
            if _takes_away(before, after, aliases):
                restart = row.from_day
            known.append(BoundaryVersion(row.district_id, row.version, row.from_day, restart, after))

    def versions(self, district_id: str) -> list[BoundaryVersion]:
        """All versions of a district, oldest first; none for an unknown district."""
        return self._versions.get(district_id, [])

    def on(self, district_id: str, day: int) -> BoundaryVersion | None:
        """The version in force on `day`, or None before the first."""
        for version in reversed(self.versions(district_id)):
            if version.from_day <= day:
                return version
        return None

    def manifest(self, district_id: str, gateway_id: str, day: int) -> Manifest | None:
        """The manifest of a gateway in force on `day`, or None."""
        version = self.on(district_id, day)
        return None if version is None else version.manifests.get(gateway_id)


def _manifests(connection: Connection) -> dict[tuple[str, int], dict[str, Manifest]]:
    points: dict[tuple[int, int, bool], list[DeclaredPoint]] = defaultdict(list)
    for row in connection.execute(select(store.points).order_by(store.points.c.position)):
        points[row.block_number, row.log_index, row.is_private].append(
            DeclaredPoint(
                row.point_id,
                Kind(row.kind),
                row.renewable,
                row.nameplate_w,
                row.efficiency_permille,
                row.register_digits,
                row.capacity_wh,
            )
        )
    found: dict[tuple[str, int], dict[str, Manifest]] = defaultdict(dict)
    for row in connection.execute(select(store.boundary_gateways)):
        found[row.district_id, row.version][row.gateway_id] = Manifest(
            row.gateway_id,
            row.version,
            tuple(points[row.block_number, row.log_index, False]),
            tuple(points[row.block_number, row.log_index, True]),
        )
    return found


def _exchanges(connection: Connection) -> dict[str, str]:
    """Newest serial of each exchanged meter's point."""
    latest: dict[str, str] = {}
    rows = connection.execute(
        select(store.meter_exchanges).order_by(
            store.meter_exchanges.c.block_number, store.meter_exchanges.c.log_index
        )
    )
    for row in rows:
        for old, new in latest.items():
            if new == row.old_serial:
                latest[old] = row.new_serial
        latest[row.old_serial] = row.new_serial
    return latest


def _takes_away(before: dict[str, Manifest], after: dict[str, Manifest], aliases: dict[str, str]) -> bool:
    remaining = _lasting(after, aliases)
    return any(
        point_id not in remaining
        or remaining[point_id].kind is not point.kind
        or remaining[point_id].nameplate_w < point.nameplate_w
        for point_id, point in _lasting(before, aliases).items()
    )


def _lasting(manifests: dict[str, Manifest], aliases: dict[str, str]) -> dict[str, DeclaredPoint]:
    return {
        aliases.get(point.point_id, point.point_id): point
        for manifest in manifests.values()
        for point in manifest.points
        if point.kind not in FREE_KINDS
    }
