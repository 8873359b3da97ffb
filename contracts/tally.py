"""From accepted readings to the sums of a district's day: what `Ledger.sol` adds up (domain.md §2, §4, §8).

The contract adds batch by batch; here the readings that hold now, after all corrections, are summed anew.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from contracts.energy import NO_CARRIERS, BoundarySummary, Carried, HourSums, VehicleDay
from contracts.hour import HOURS_PER_DAY
from contracts.point import CARRIERS, Kind
from contracts.reading import KindSum, ReadingInvalid, Record, Status


class TallyPoint(NamedTuple):
    """What the sums need of an open point."""

    kind: Kind
    cap_wh: int
    efficiency_permille: int = 0


class TallyGroup(NamedTuple):
    """What the sums need of a gateway's private points of one kind."""

    kind: Kind
    members: int
    cap_wh: int
    """Sum of the members' caps, Wh."""


@dataclass(frozen=True, slots=True)
class TallyGateway:
    """A gateway's points of one day: open ones in manifest order, private ones per kind."""

    points: tuple[TallyPoint, ...] = ()
    groups: tuple[TallyGroup, ...] = ()


class Stream(NamedTuple):
    """One hour of one gateway's open or private readings: the unit that a batch covers."""

    gateway_id: str
    hour_of_day: int
    is_private: bool


@dataclass(frozen=True, slots=True)
class DayTally:
    """The 24 hours of a district's day and its vehicles."""

    hours: tuple[HourSums, ...]
    vehicles: VehicleDay


def summarise(gateways: Collection[TallyGateway], version: int = 1) -> BoundarySummary:
    """What the rule needs of a boundary that consists of these gateways."""
    points = [point for gateway in gateways for point in gateway.points]
    groups = [group for gateway in gateways for group in gateway.groups]
    everything: list[TallyPoint | TallyGroup] = [*points, *groups]
    return BoundarySummary(
        open_points=len(points),
        members=sum(group.members for group in groups),
        load_metered=any(entry.kind is Kind.LOAD for entry in everything),
        grid_cap_wh=sum(point.cap_wh for point in points if point.kind is Kind.GRID),
        carrier_cap_wh=sum(entry.cap_wh for entry in everything if entry.kind.is_carrier),
        foreign_cap_wh=sum(point.cap_wh for point in points if _is_foreign(point.kind)),
        version=version,
    )


def tally_day(
    gateways: Mapping[str, TallyGateway],
    open_records: Mapping[tuple[str, int], Sequence[Record]],
    private_sums: Mapping[tuple[str, int], Sequence[KindSum]],
    tainted: Collection[Stream] = (),
) -> DayTally:
    """Sums of a day from the readings that hold for it, keyed by gateway and hour of the day.

    An hour without readings of a gateway counts as missing for all its points. Raises ReadingInvalid when the
    records are not as many as the gateway's points, or the kinds not those of its members.
    """
    vehicles = _Vehicles()
    hours = []
    for hour_of_day in range(HOURS_PER_DAY):
        hour = _Hour()
        for gateway_id, gateway in gateways.items():
            place = (gateway_id, hour_of_day)
            if gateway.points:
                hour.add_open(place, gateway.points, open_records.get(place), vehicles)
            if gateway.groups:
                hour.add_private(place, gateway.groups, private_sums.get(place))
        hour.tainted = sum(stream.hour_of_day == hour_of_day for stream in tainted)
        hours.append(hour.sums())
    return DayTally(tuple(hours), VehicleDay(vehicles.discharge_wh, vehicles.weighted_charge))


def _is_foreign(kind: Kind) -> bool:
    return kind in (Kind.VEHICLE, Kind.FUEL_GENERATION)


@dataclass(slots=True)
class _Vehicles:
    discharge_wh: int = 0
    weighted_charge: int = 0


class _Hour:
    def __init__(self) -> None:
        self.supply_wh = dict.fromkeys(Kind, 0)
        self.draw_wh = dict.fromkeys(Kind, 0)
        self.measured = self.members = self.estimated = self.tainted = 0
        self.short_grid_cap_wh = self.short_carrier_cap_wh = self.short_foreign_cap_wh = 0

    def add_open(
        self,
        place: tuple[str, int],
        points: Sequence[TallyPoint],
        records: Sequence[Record] | None,
        vehicles: _Vehicles,
    ) -> None:
        if records is None:
            for point in points:
                self._fall_short(point.kind, point.cap_wh)
            return
        if len(records) != len(points):
            raise ReadingInvalid(
                f"gateway {place[0]}, hour {place[1]}: {len(records)} records for {len(points)} points"
            )
        for point, (status, supply_wh, draw_wh) in zip(points, records, strict=True):
            self.supply_wh[point.kind] += supply_wh
            self.draw_wh[point.kind] += draw_wh
            if status is Status.MEASURED:
                self.measured += 1
            elif status is Status.ESTIMATED and (point.kind is Kind.GRID or point.kind.is_carrier):
                self.estimated += 1
            else:
                self._fall_short(point.kind, point.cap_wh)
            if point.kind is Kind.VEHICLE and status is not Status.ESTIMATED:
                vehicles.discharge_wh += supply_wh
                vehicles.weighted_charge += draw_wh * point.efficiency_permille

    def add_private(
        self, place: tuple[str, int], groups: Sequence[TallyGroup], sums: Sequence[KindSum] | None
    ) -> None:
        if sums is None:
            for group in groups:
                self._fall_short(group.kind, group.cap_wh)
            return
        given, registered = [int(entry.kind) for entry in sums], [int(group.kind) for group in groups]
        if given != registered:
            raise ReadingInvalid(
                f"gateway {place[0]}, hour {place[1]}: kinds {given} are not the registered {registered}"
            )
        for group, (kind, members, supply_wh, draw_wh) in zip(groups, sums, strict=True):
            self.supply_wh[kind] += supply_wh
            self.draw_wh[kind] += draw_wh
            self.members += members
            if members < group.members:
                self._fall_short(kind, group.cap_wh)

    def _fall_short(self, kind: Kind, cap_wh: int) -> None:
        if kind is Kind.GRID:
            self.short_grid_cap_wh += cap_wh
        elif kind.is_carrier:
            self.short_carrier_cap_wh += cap_wh
        elif _is_foreign(kind):
            self.short_foreign_cap_wh += cap_wh

    def sums(self) -> HourSums:
        supply, draw = self.supply_wh, self.draw_wh
        carriers: tuple[Carried, ...] = NO_CARRIERS
        if any(supply[kind] or draw[kind] for kind in CARRIERS):
            carriers = tuple(Carried(supply[kind], draw[kind]) for kind in CARRIERS)
        return HourSums(
            import_wh=supply[Kind.GRID],
            export_wh=draw[Kind.GRID],
            production_wh=supply[Kind.GENERATION] + supply[Kind.FUEL_GENERATION],
            consumption_wh=draw[Kind.LOAD] + draw[Kind.GENERATION] + draw[Kind.FUEL_GENERATION],
            charge_wh=draw[Kind.STORAGE] + draw[Kind.VEHICLE],
            discharge_wh=supply[Kind.STORAGE] + supply[Kind.VEHICLE],
            foreign_wh=supply[Kind.FUEL_GENERATION],
            carriers=carriers,
            measured=self.measured,
            members=self.members,
            estimated=self.estimated,
            tainted=self.tainted,
            short_grid_cap_wh=self.short_grid_cap_wh,
            short_carrier_cap_wh=self.short_carrier_cap_wh,
            short_foreign_cap_wh=self.short_foreign_cap_wh,
        )
