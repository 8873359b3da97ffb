"""The second, independent judgement: hours and days recomputed from logs alone (domain.md §2-4).

Nothing here reads a figure of the chain: readings come from the logged payloads, points from the published
declarations, factors from the published bytes, the rule from `contracts.tally` and `contracts.energy`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, select

from certifier import market_tables, store
from certifier.boundary import Boundaries, BoundaryVersion, DeclaredPoint, Manifest
from certifier.plausibility import StorageDay, storage_day, usable_capacity_wh
from contracts.energy import NO_DAY_ATTRIBUTES, Attributes, DayAssessment, assess_day
from contracts.hour import HOURS_PER_DAY, hour_of_day
from contracts.point import Kind
from contracts.reading import KindSum, PrivateSection, Record, unpack_open, unpack_private
from contracts.scheme import DayWeights, Scheme
from contracts.tally import DayTally, Stream, TallyGateway, TallyGroup, TallyPoint, tally_day

Position = tuple[int, int]
"""Block number and log index."""


class NotAssessable(Exception):
    """The logs of a day contradict each other, so that it has no figures; the message says where."""


@dataclass(frozen=True)
class DayReadings:
    """The readings in force in a district's day, and the batches that hold them."""

    boundary: BoundaryVersion
    open_records: dict[tuple[str, int], tuple[Record, ...]] = field(default_factory=dict)
    private_sections: dict[tuple[str, int], PrivateSection] = field(default_factory=dict)
    holders: dict[Stream, Row[Any]] = field(default_factory=dict)
    tainted: frozenset[Stream] = frozenset()
    attributes: tuple[Attributes, ...] = NO_DAY_ATTRIBUTES
    """What moved with its attributes in each hour (domain.md §6)."""

    @property
    def private_sums(self) -> dict[tuple[str, int], tuple[KindSum, ...]]:
        """Sums per kind of each private hour."""
        return {place: section.sums for place, section in self.private_sections.items()}

    def tally(self) -> DayTally:
        """The hours' sums and the vehicles of the day."""
        gateways = {
            gateway_id: to_tally_gateway(manifest) for gateway_id, manifest in self.boundary.manifests.items()
        }
        return tally_day(gateways, self.open_records, self.private_sums, self.tainted)

    def renewable_wh(self, hour_of_day: int) -> int:
        """Production, Wh, of generation points that are declared renewable."""
        total = 0
        for gateway_id, manifest in self.boundary.manifests.items():
            place = (gateway_id, hour_of_day)
            for point, record in zip(manifest.open, self.open_records.get(place, ()), strict=False):
                if point.renewable and point.kind is Kind.GENERATION:
                    total += record.supply_wh
            members = manifest.members_by_kind.get(Kind.GENERATION, ())
            if members and all(point.renewable for point in members):
                total += sum(
                    entry.supply_wh
                    for entry in self.private_sums.get(place, ())
                    if entry.kind is Kind.GENERATION
                )
        return total

    def storage_days(self, day: int) -> dict[str, StorageDay]:
        """What each stationary battery with open records did."""
        found = {}
        for gateway_id, manifest in self.boundary.manifests.items():
            for index, point in enumerate(manifest.open):
                if point.kind is not Kind.STORAGE:
                    continue
                records = (
                    self.open_records[gateway_id, hour][index]
                    for hour in range(HOURS_PER_DAY)
                    if (gateway_id, hour) in self.open_records
                )
                found[point.point_id] = storage_day(
                    day,
                    ((record.draw_wh, record.supply_wh) for record in records),
                    point.efficiency_permille,
                    usable_capacity_wh(point.capacity_wh, point.nameplate_w),
                )
        return found


def to_tally_gateway(manifest: Manifest) -> TallyGateway:
    """A manifest as the sums take it."""
    return TallyGateway(
        tuple(TallyPoint(point.kind, point.cap_wh, point.efficiency_permille) for point in manifest.open),
        tuple(
            TallyGroup(kind, len(points), sum(point.cap_wh for point in points))
            for kind, points in manifest.members_by_kind.items()
        ),
    )


def sections(row: Row[Any], points: tuple[DeclaredPoint, ...]) -> Mapping[int, Any]:
    """Sections of a batch by hour of the day. Raises ReadingInvalid when payload and points do not fit."""
    if row.is_private:
        return {section.hour_of_day: section for section in unpack_private(row.payload)}
    return {section.hour_of_day: section.records for section in unpack_open(row.payload, len(points))}


def day_batches(
    connection: Connection, district_id: str, day: int, before: Position | None = None
) -> list[Row[Any]]:
    """Batches of a district's day in the order of the chain, those before a place or all."""
    table = store.batches
    rows = connection.execute(
        select(table)
        .where(table.c.district_id == district_id, table.c.day == day)
        .order_by(table.c.block_number, table.c.log_index)
    ).all()
    return [row for row in rows if before is None or (row.block_number, row.log_index) < before]


def day_readings(
    connection: Connection,
    boundaries: Boundaries,
    district_id: str,
    day: int,
    before: Position | None = None,
) -> DayReadings:
    """The readings in force in a day after all corrections, as of the place `before` in the chain.

    Raises:
        NotAssessable: no boundary is in force, or a batch is of a gateway without points.
        ReadingInvalid: a payload does not fit its gateway's points.
    """
    boundary = boundaries.on(district_id, day)
    if boundary is None:
        raise NotAssessable(f"district {district_id} has no boundary in force on day {day}")
    readings = DayReadings(boundary)
    for row in day_batches(connection, district_id, day, before):
        manifest = boundary.manifests.get(row.gateway_id)
        if manifest is None:
            raise NotAssessable(
                f"gateway {row.gateway_id} has no points on day {day} but sent batch {row.sequence}"
            )
        for hour, section in sections(row, manifest.open).items():
            readings.holders[Stream(row.gateway_id, hour, row.is_private)] = row
            if row.is_private:
                readings.private_sections[row.gateway_id, hour] = section
            else:
                readings.open_records[row.gateway_id, hour] = section
    tainted = _tainted(connection, district_id, day, before, readings.holders)
    return DayReadings(
        boundary,
        readings.open_records,
        readings.private_sections,
        readings.holders,
        frozenset(tainted),
        _attributes(connection, district_id, day, before),
    )


def _attributes(
    connection: Connection, district_id: str, day: int, before: Position | None
) -> tuple[Attributes, ...]:
    """What the claims register says of the day's hours, as of a place or now."""
    table = market_tables.claims
    found = list(NO_DAY_ATTRIBUTES)
    for row in connection.execute(
        select(table)
        .where(table.c.kind == "attributes", table.c.district_id == district_id, table.c.day == day)
        .order_by(table.c.block_number, table.c.log_index)
    ):
        if before is None or (row.block_number, row.log_index) < before:
            found[hour_of_day(row.hour)] = Attributes(row.energy_wh, row.energy_in_wh)
    return tuple(found)


def _tainted(
    connection: Connection,
    district_id: str,
    day: int,
    before: Position | None,
    holders: Mapping[Stream, Row[Any]],
) -> set[Stream]:
    """Hours whose batch was accepted under a compromised key and not signed again since."""
    found: set[Stream] = set()
    table = store.taints
    for row in connection.execute(
        select(table).where(table.c.district_id == district_id, table.c.day == day)
    ):
        place = (row.block_number, row.log_index)
        if before is not None and place >= before:
            continue
        for hour in range(HOURS_PER_DAY):
            stream = Stream(row.gateway_id, hour, row.is_private)
            holder = holders.get(stream)
            if row.hours >> hour & 1 and holder and (holder.block_number, holder.log_index) < place:
                found.add(stream)
    return found


def judge(readings: DayReadings, tally: DayTally, scheme: Scheme, weights: DayWeights) -> DayAssessment:
    """Judge a day under one assessment's scheme and factors."""
    summary = readings.boundary.summary
    return assess_day(
        tally.hours,
        tally.vehicles,
        summary,
        scheme.tolerance,
        weights.primary,
        weights.ghg,
        readings.attributes,
    )
