"""`lower <= truth <= upper` for every way in which the unknown can have happened (domain.md §4).

A truth is drawn: districts of several gateways, all kinds of points, two days, conservation exact. Then
parts are hidden: records become partial or missing, gaps keep only their totals and are spread as
estimated, members drop out, whole gateways fall silent, compromised keys sign nonsense, factors are never
published.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from contracts.energy import (
    CARRIER_COUNT,
    CarrierFactor,
    DayAssessment,
    FactorRange,
    HourFactors,
    Row,
    Tolerance,
    Weights,
    assess_day,
)
from contracts.point import Kind
from contracts.reading import KindSum, Record, Status
from contracts.tally import Stream, TallyGateway, TallyGroup, TallyPoint, summarise, tally_day

DAYS = 2
HOURS = 24 * DAYS
seeds = st.integers(0, 2**48)

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
    cap_wh: int
    efficiency_permille: int
    supply_wh: list[int]
    draw_wh: list[int]


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

    def assess(self, weights: Sequence["DayWeights"], tolerance: Tolerance) -> list[DayAssessment]:
        days = []
        for day in range(DAYS):
            hours = range(24 * day, 24 * day + 24)
            tally = tally_day(
                self.gateways,
                {(g, h - 24 * day): r for (g, h), r in self.open.items() if h in hours},
                {(g, h - 24 * day): s for (g, h), s in self.private.items() if h in hours},
                [
                    s._replace(hour_of_day=s.hour_of_day - 24 * day)
                    for s in self.tainted
                    if s.hour_of_day in hours
                ],
            )
            boundary = summarise(list(self.gateways.values()))
            primary, ghg = weights[day].primary, weights[day].ghg
            days.append(assess_day(tally.hours, tally.vehicles, boundary, tolerance, primary, ghg))
        return days


@dataclass
class DayWeights:
    primary: list[Weights]
    ghg: list[Weights]

    def lacking(self) -> "DayWeights":
        return DayWeights(*([_lacking(w) for w in weights] for weights in (self.primary, self.ghg)))


def _lacking(weights: Weights) -> Weights:
    return replace(weights, electricity=HourFactors.least_favourable(weights.factor_range))


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


def energy(random: Random, cap_wh: int) -> int:
    return random.choice((0, 0, random.randint(0, cap_wh), random.randint(0, cap_wh), cap_wh))


def true_meter(random: Random, kind: Kind) -> Meter:
    cap_wh = random.choice((1, 100, 5_000, 2_000_000))
    supply = [0 if kind is Kind.LOAD else energy(random, cap_wh) for _ in range(HOURS)]
    draw = [energy(random, cap_wh) for _ in range(HOURS)]
    return Meter(kind, cap_wh, random.choice((0, 850, 1000)), supply, draw)


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
    main = Meter(Kind.GRID, max(*supply, *draw) + random.choice((0, 1000)), 0, supply, draw)
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


def totals(days: Sequence[DayAssessment], name: str) -> int:
    return sum(getattr(day.totals, name) for day in days)


@settings(max_examples=400, deadline=None)
@given(seeds, st.sampled_from([0.05, 0.3, 0.9]), st.booleans())
def test_the_truth_lies_between_the_bounds_whatever_is_hidden(
    seed: int, amount: float, lacking: bool
) -> None:
    random = Random(seed)
    sites, weights = true_sites(random), drawn_weights(random)
    tolerance = Tolerance(random.choice((0, 200, 1000)), random.choice((0, 50, 5000)))
    truth = World(sites).assess(weights, tolerance)
    assert all(hour.complete for day in truth for hour in day.hours)

    world = World(sites)
    hide(random, sites, world, amount)
    if lacking:
        place = random.randrange(DAYS)
        weights = [day.lacking() if place == number else day for number, day in enumerate(weights)]
    known = world.assess(weights, tolerance)
    true_balance, true_ghg = totals(truth, "balance_mwh_pe"), totals(truth, "ghg_mg")
    assert totals(known, "lower_mwh_pe") <= true_balance <= totals(known, "upper_mwh_pe")
    assert true_ghg <= totals(known, "ghg_upper_mg")
    for true_day, day in zip(truth, known, strict=True):
        for true_hour, hour in zip(true_day.hours, day.hours, strict=True):
            if hour.row in (Row.COMPLETE, Row.INCOMPLETE, Row.TAINTED):  # these bounds hold hour by hour
                assert hour.lower_mwh_pe <= true_hour.balance_mwh_pe <= hour.upper_mwh_pe
                assert hour.ghg_lower_mg <= true_hour.ghg_mg <= hour.ghg_upper_mg


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_one_hidden_thing_is_covered_without_the_slack_of_others(seed: int) -> None:
    random = Random(seed)
    sites, weights = true_sites(random), drawn_weights(random)
    truth = World(sites).assess(weights, Tolerance())
    for _ in range(40):
        world = World(sites)
        hide_one(random, random.choice(sites), world)
        known = world.assess(weights, Tolerance())
        assert (
            totals(known, "lower_mwh_pe") <= totals(truth, "balance_mwh_pe") <= totals(known, "upper_mwh_pe")
        )
        assert totals(truth, "ghg_mg") <= totals(known, "ghg_upper_mg")


@settings(max_examples=200, deadline=None)
@given(seeds)
@example(0)
def test_where_nothing_is_hidden_the_bounds_are_the_balance(seed: int) -> None:
    random = Random(seed)
    world = World(true_sites(random))
    for day in world.assess(drawn_weights(random), Tolerance()):
        found = day.totals
        assert found.lower_mwh_pe == found.balance_mwh_pe == found.upper_mwh_pe
        assert found.ghg_mg == found.ghg_upper_mg
        assert found.complete_hours == 24


@settings(max_examples=200, deadline=None)
@given(seeds)
def test_the_truth_lies_between_the_bounds_when_one_meter_errs(seed: int) -> None:
    """A violated conservation says that a meter is wrong by the imbalance, but not which one."""
    random = Random(seed)
    sites, weights = true_sites(random), drawn_weights(random)
    tolerance = Tolerance(0, 0)
    truth = World(sites).assess(weights, tolerance)
    world = World(sites)
    wrong: set[int] = set()
    loaded = any(m.kind is Kind.LOAD for site in sites for m in (*site.meters, *site.members))
    for hour in range(HOURS):
        site = random.choice([site for site in sites if site.meters])
        place = random.randrange(len(site.meters))
        meter = site.meters[place]
        if loaded and not meter.kind.is_carrier and meter.kind is not Kind.VEHICLE:
            supply = 0 if meter.kind is Kind.LOAD else energy(random, meter.cap_wh)
            record = world.open[site.gateway_id, hour][place]
            # one register errs; the other is right
            erring = (supply, record.draw_wh) if random.random() < 0.5 else (record.supply_wh, supply)
            world.open[site.gateway_id, hour][place] = Record(Status.MEASURED, *erring)
            wrong.add(hour)
    known = world.assess(weights, tolerance)
    for number, (true_day, day) in enumerate(zip(truth, known, strict=True)):
        for at, (true_hour, judged) in enumerate(zip(true_day.hours, day.hours, strict=True)):
            assert judged.complete or 24 * number + at in wrong
            assert judged.lower_mwh_pe <= true_hour.balance_mwh_pe <= judged.upper_mwh_pe
            assert judged.ghg_lower_mg <= true_hour.ghg_mg <= judged.ghg_upper_mg
