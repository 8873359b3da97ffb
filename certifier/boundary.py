"""A district's boundary versions, worked out from the published declarations alone (domain.md §1).

A version starts at a future UTC midnight and lists only the gateways that change; the others keep their
manifest. Taking away a load or a generator, or changing one, starts the twelve months anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from sqlalchemy import Connection, select

from certifier import store
from contracts.point import Kind, cap_wh

RESTARTING_KINDS = frozenset({Kind.LOAD, Kind.GENERATION, Kind.FUEL_GENERATION})
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


@dataclass(frozen=True)
class BoundaryVersion:
    """What belongs to a district from `from_day` on."""

    district_id: str
    version: int
    from_day: int
    restart_day: int
    """First day of the latest version that took something away; 0 when none did."""
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
            after = before | manifests.get((row.block_number, row.log_index), {})
            restart = known[-1].restart_day if known else 0
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


def _manifests(connection: Connection) -> dict[tuple[int, int], dict[str, Manifest]]:
    points: dict[tuple[int, int, str, bool], list[DeclaredPoint]] = defaultdict(list)
    for row in connection.execute(select(store.points).order_by(store.points.c.position)):
        points[row.block_number, row.log_index, row.gateway_id, row.is_private].append(
            DeclaredPoint(
                row.point_id,
                Kind(row.kind),
                row.renewable,
                row.nameplate_w,
                row.efficiency_permille,
                row.register_digits,
            )
        )
    found: dict[tuple[int, int], dict[str, Manifest]] = defaultdict(dict)
    for row in connection.execute(select(store.boundary_gateways)):
        place = (row.block_number, row.log_index)
        found[place][row.gateway_id] = Manifest(
            row.gateway_id,
            row.version,
            tuple(points[(*place, row.gateway_id, False)]),
            tuple(points[(*place, row.gateway_id, True)]),
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
    return not _restarting(before, aliases) <= _restarting(after, aliases)


def _restarting(manifests: dict[str, Manifest], aliases: dict[str, str]) -> set[tuple[str, Kind, int]]:
    return {
        (aliases.get(point.point_id, point.point_id), point.kind, point.nameplate_w)
        for manifest in manifests.values()
        for point in manifest.points
        if point.kind in RESTARTING_KINDS
    }
