"""Random districts: what truly happened, and what a ledger holds of it when parts are hidden.

A truth has gateways with points of all kinds and members, for two days, and conserves energy exactly. Parts
of it are then hidden: records become partial or missing, gaps keep only their totals and are spread as
estimated, members drop out, whole gateways fall silent, compromised keys sign nonsense.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random

from contracts.energy import (
    CARRIER_COUNT,
    NO_DAY_ATTRIBUTES,
    Attributes,
    CarrierFactor,
    DayAssessment,
    FactorRange,
    HourFactors,
    Tolerance,
    Weights,
    assess_day,
)
from contracts.point import Kind, cap_wh
from contracts.reading import KindSum, Record, Status
from contracts.tally import DayTally, Stream, TallyGateway, TallyGroup, TallyPoint, summarise, tally_day

DAYS = 2
HOURS = 24 * DAYS

OPEN_KINDS = [
    Kind.GRID,
    Kind.GENERATION,
    Kind.FUEL_GENERATION,
    Kind.STORAGE,
    Kind.VEHICLE,
    Kind.LOAD,
    Kind.GAS,
]
OPEN_KINDS += [Kind.HEAT, Kind.OTHER]
PRIVATE_KINDS = [Kind.GENERATION, Kind.STORAGE, Kind.LOAD, Kind.GAS, Kind.HEAT]


@dataclass
class Meter:
    """A true point: what it supplied and drew in each hour, Wh."""

    kind: Kind
    nameplate_w: int
    efficiency_permille: int
    supply_wh: list[int]
    draw_wh: list[int]

    @property
    def cap_wh(self) -> int:
        return cap_wh(self.nameplate_w)


@dataclass
class Site:
    """A gateway with its open meters and its members' meters."""

    gateway_id: str
    meters: list[Meter]
    members: list[Meter]

    def points(self) -> TallyGateway:
        kinds = sorted({meter.kind for meter in self.members})
        return TallyGateway(
            tuple(TallyPoint(m.kind, m.cap_wh, m.efficiency_permille) for m in self.meters),
            tuple(
                TallyGroup(
                    kind,
                    sum(m.kind is kind for m in self.members),
                    sum(m.cap_wh for m in self.members if m.kind is kind),
                )
                for kind in kinds
            ),
        )


class World:
    """What the ledger would hold, hour by hour, of the sites."""

    def __init__(self, sites: Sequence[Site]) -> None:
        self.gateways = {site.gateway_id: site.points() for site in sites}
        self.open: dict[tuple[str, int], list[Record]] = {}
        self.private: dict[tuple[str, int], list[KindSum]] = {}
        self.tainted: set[Stream] = set()
        for site in sites:
            for hour in range(HOURS):
                if site.meters:
                    self.open[site.gateway_id, hour] = [
                        Record(Status.MEASURED, m.supply_wh[hour], m.draw_wh[hour]) for m in site.meters
                    ]
                if site.members:
                    self.private[site.gateway_id, hour] = sums_of(site.members, site.members, hour)

    def tally(self, day: int) -> DayTally:
        """Sums of one of the days."""
        first = 24 * day
        hours = range(first, first + 24)
        return tally_day(
            self.gateways,
            {(gateway, hour - first): r for (gateway, hour), r in self.open.items() if hour in hours},
            {(gateway, hour - first): s for (gateway, hour), s in self.private.items() if hour in hours},
            [s._replace(hour_of_day=s.hour_of_day - first) for s in self.tainted if s.hour_of_day in hours],
        )

    def assess(
        self,
        weights: Sequence["DayWeights"],
        tolerance: Tolerance,
        attributes: Sequence[Sequence[Attributes]] = (NO_DAY_ATTRIBUTES,) * DAYS,
    ) -> list[DayAssessment]:
        """Both days judged."""
        boundary = summarise(list(self.gateways.values()))
        tallies = [self.tally(day) for day in range(DAYS)]
        return [
            assess_day(tally.hours, tally.vehicles, boundary, tolerance, day.primary, day.ghg, moved)
            for tally, day, moved in zip(tallies, weights, attributes, strict=True)
        ]


@dataclass
class DayWeights:
    primary: list[Weights]
    ghg: list[Weights]

    def lacking(self) -> "DayWeights":
        return DayWeights(*([_lacking(w) for w in weights] for weights in (self.primary, self.ghg)))


def _lacking(weights: Weights) -> Weights:
    return replace(weights, electricity=HourFactors.least_favourable(weights.factor_range))


def drawn_attributes(random: Random) -> list[list[Attributes]]:
    """What may have moved with trades, also beyond what was exported or imported."""

    def drawn_wh() -> int:
        return random.choice((0, 1, random.randint(0, 6_000), random.randint(0, 3_000_000)))

    often = random.choice((0, 0.3, 1))
    return [
        [
            Attributes(drawn_wh(), drawn_wh()) if random.random() < often else Attributes(0, 0)
            for _ in range(24)
        ]
        for _ in range(DAYS)
    ]


def sums_of(registered: Sequence[Meter], present: Sequence[Meter], hour: int) -> list[KindSum]:
    return [
        KindSum(
            kind,
            sum(m.kind is kind for m in present),
            sum(m.supply_wh[hour] for m in present if m.kind is kind),
            sum(m.draw_wh[hour] for m in present if m.kind is kind),
        )
        for kind in sorted({meter.kind for meter in registered})
    ]


def energy(random: Random, most: int) -> int:
    return random.choice((0, 0, random.randint(0, most), random.randint(0, most), most))


def true_meter(random: Random, kind: Kind) -> Meter:
    nameplate_w = random.choice((1, 90, 5_000, 2_000_000))
    most = cap_wh(nameplate_w)
    supply = [0 if kind is Kind.LOAD else energy(random, most) for _ in range(HOURS)]
    draw = [energy(random, most) for _ in range(HOURS)]
    return Meter(kind, nameplate_w, random.choice((0, 850, 1000)), supply, draw)


def true_sites(random: Random) -> list[Site]:
    sites = []
    for number in range(random.randint(1, 3)):
        meters = [true_meter(random, random.choice(OPEN_KINDS)) for _ in range(random.randint(0, 4))]
        private_kind = random.choice(PRIVATE_KINDS)
        members = [true_meter(random, private_kind) for _ in range(random.choice((0, 0, 5, 6)))]
        sites.append(Site(f"gateway-{number}", meters, members))
    meters = [meter for site in sites for meter in (*site.meters, *site.members) if not meter.kind.is_carrier]
    supply, draw = [0] * HOURS, [0] * HOURS
    for hour in range(HOURS):  # the main grid meter closes the balance, sometimes with both registers moving
        net = sum(m.supply_wh[hour] - m.draw_wh[hour] for m in meters)
        both = random.choice((0, 0, random.randint(0, 1000)))
        supply[hour], draw[hour] = max(0, -net) + both, max(0, net) + both
    nameplate_w = max(1, -(-max(*supply, *draw) * 10 // 11)) + random.choice((0, 1000))
    main = Meter(Kind.GRID, nameplate_w, 0, supply, draw)
    sites[0].meters.insert(random.randint(0, len(sites[0].meters)), main)
    return sites


def drawn_weights(random: Random) -> list[DayWeights]:
    def carriers(most: int) -> tuple[CarrierFactor, ...]:
        bought = [random.randint(0, most) for _ in range(CARRIER_COUNT)]
        return tuple(CarrierFactor(b, random.choice((0, random.randint(0, b), b))) for b in bought)

    def series(least: int, most: int) -> list[list[Weights]]:
        factor_range = FactorRange(least, most)
        own = carriers(most)
        static = HourFactors.static(random.randint(least, most), random.randint(least, most))
        is_static = random.random() < 0.3

        def hour() -> Weights:
            dynamic = HourFactors.dynamic(random.randint(least, most), random.randint(least, most))
            return Weights(static if is_static else dynamic, factor_range, own)

        return [[hour() for _ in range(24)] for _ in range(DAYS)]

    least = random.choice((0, 1000))
    primary, ghg = series(least, random.randint(least, 3500)), series(0, random.randint(0, 1200))
    return [DayWeights(*pair) for pair in zip(primary, ghg, strict=True)]


def hide(random: Random, sites: Iterable[Site], world: World, amount: float) -> None:
    for site in sites:
        for place, meter in enumerate(site.meters):
            if random.random() < amount:
                spread_a_gap(random, world, site, place, meter)
            for hour in range(HOURS):
                if random.random() < amount / 4:
                    old = world.open[site.gateway_id, hour][place]
                    if old.status is Status.MEASURED:
                        world.open[site.gateway_id, hour][place] = shaded(random, old)
        for hour in range(HOURS):
            key = (site.gateway_id, hour)
            if site.members and random.random() < amount / 4:
                present = [meter for meter in site.members if random.random() < 0.8]
                world.private[key] = sums_of(site.members, present, hour)
            for stream in (world.open, world.private):
                if key in stream and random.random() < amount / 8:
                    del stream[key]
            if key in world.open and random.random() < amount / 8:
                forged = [
                    Record(
                        random.choice((Status.MEASURED, Status.ESTIMATED, Status.PARTIAL)),
                        0 if meter.kind is Kind.LOAD else energy(random, meter.cap_wh),
                        energy(random, meter.cap_wh),
                    )
                    for meter in site.meters
                ]
                world.open[key] = forged
                world.tainted.add(Stream(site.gateway_id, hour, False))


def hide_one(random: Random, site: Site, world: World) -> None:
    """One record, one gap, or one private hour."""
    hour = random.randrange(HOURS)
    if site.members and random.random() < 0.5:
        present = random.sample(site.members, random.randrange(len(site.members)))
        world.private[site.gateway_id, hour] = sums_of(site.members, present, hour)
    elif site.meters:
        place = random.randrange(len(site.meters))
        if random.random() < 0.3:
            spread_a_gap(random, world, site, place, site.meters[place])
        else:
            records = world.open[site.gateway_id, hour]
            records[place] = shaded(random, records[place])


def spread_a_gap(random: Random, world: World, site: Site, place: int, meter: Meter) -> None:
    first, last = sorted(random.sample(range(HOURS + 1), 2))
    count = last - first
    supply, draw = sum(meter.supply_wh[first:last]), sum(meter.draw_wh[first:last])
    for k in range(count):
        world.open[site.gateway_id, first + k][place] = Record(
            Status.ESTIMATED,
            supply * (k + 1) // count - supply * k // count,
            draw * (k + 1) // count - draw * k // count,
        )


def shaded(random: Random, record: Record) -> Record:
    if random.random() < 0.5:
        return Record(Status.MISSING, 0, 0)
    return Record(Status.PARTIAL, random.randint(0, record.supply_wh), random.randint(0, record.draw_wh))
