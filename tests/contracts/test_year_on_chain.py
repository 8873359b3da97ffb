"""Whole years through the contracts on a real engine, verdicts equal to `contracts.verdict` to the last
integer."""

from collections.abc import Iterator
from random import Random

import pytest

from contracts.chain import Chain
from contracts.energy import assess_day
from contracts.factor import FactorHour
from contracts.hour import day_of, day_start, parse_day, window_start
from contracts.point import Kind
from contracts.reading import OpenBatch, Record, Status
from contracts.scheme import Scheme, StaticFactors, VintageFactors, day_weights
from contracts.tally import summarise, tally_day
from contracts.verdict import Finding, History, latest_verdict, verdict
from tests.contracts.nodes import AnvilNode
from tests.contracts.towns import (
    ADMIN,
    CARRIER,
    GAS,
    PUBLISHER,
    Town,
    boundary_of,
    final_time,
    gateway_key,
    open_payload,
)
from tests.contracts.worlds import HOURS, Meter, Site

VINTAGE = VintageFactors(1000, 2500, 800, StaticFactors(2000, 1500, 300, 2000, 1500, 300))
SCHEME = Scheme(False, False, 1000, 2500, 0, 800)


@pytest.fixture
def town() -> Iterator[Town]:
    """A platform whose clock stands shortly before the year that ends on a 29 February."""
    node = AnvilNode(genesis_time=day_start(parse_day("2019-02-26")))
    yield Town(Chain(node.url, gas_price_wei=0))
    node.stop()


def random_hour(random: Random, sunny: bool) -> tuple[Record, Record, Record]:
    """Grid, generation and load that conserve energy; sometimes a gap or a part is missing."""
    production, consumption = random.randint(0, 900 if sunny else 300), random.randint(0, 400)
    net = production - consumption
    records = [
        Record(Status.MEASURED, max(0, -net), max(0, net)),
        Record(Status.MEASURED, production, 0),
        Record(Status.MEASURED, 0, consumption),
    ]
    if random.random() < 0.02:
        place = random.randrange(3)
        status = random.choice((Status.ESTIMATED, Status.PARTIAL, Status.MISSING))
        records[place] = Record(status, *((0, 0) if status is Status.MISSING else records[place][1:]))
    return records[0], records[1], records[2]


def random_factors(random: Random) -> list[FactorHour]:
    def hour() -> FactorHour:
        average = random.randint(1000, 2500)
        return FactorHour(average, random.randint(average, 2500), 0, 0, random.randint(0, 400), 400)

    return [hour() for _ in range(24)]


@pytest.mark.parametrize(("seed", "sunny"), [(1, True), (2, False)])
def test_a_random_leap_year_has_the_same_verdicts(town: Town, seed: int, sunny: bool) -> None:
    random, platform, name = Random(seed), town.platform, f"year-{seed}"
    zeros = [0] * HOURS
    kinds = (Kind.GRID, Kind.GENERATION, Kind.LOAD)
    site = Site(f"{name}-gateway", [Meter(kind, 1000, 0, zeros, zeros) for kind in kinds], [])
    start = day_of(town.chain.block().time_s) + 1
    town.found_district(name, "zone", [site], start)
    town.do(platform.register_scheme(ADMIN, name, SCHEME, gas=GAS))
    town.do(platform.create_vintage(PUBLISHER, name, VINTAGE, gas=GAS))
    town.do(platform.open_assessment(ADMIN, name, name, name, start, gas=GAS))
    assessment = platform.assessment_id(name, name, name)
    gateways = {site.gateway_id: boundary_of(site).tally}
    boundary, history, finality_s = summarise(list(gateways.values())), History(start), platform.finality_s()
    domain, key = platform.deployment.signing_domain, gateway_key(site.gateway_id)

    last = start + 369
    town.chain.set_automine(False)
    for day in range(start, last + 1):
        sent = [hour for hour in range(24) if random.random() > 0.005]
        records = {hour: random_hour(random, sunny) for hour in sent}
        batch = OpenBatch(site.gateway_id, day, 1, 0, open_payload(records))
        factors = random_factors(random) if random.random() > 0.01 or day == last else None
        transactions = [platform.record(CARRIER, batch, batch.sign(key, domain), gas=GAS)]
        if factors is not None:
            transactions.append(platform.publish_day(PUBLISHER, name, "zone", day, factors, gas=GAS))
        town.chain.mine(day_start(day + 1) + 60)
        for transaction in transactions:
            town.do(transaction)
        tally = tally_day(gateways, {(site.gateway_id, hour): records[hour] for hour in sent}, {})
        weights = day_weights(SCHEME, VINTAGE, factors)
        judged = assess_day(
            tally.hours, tally.vehicles, boundary, SCHEME.tolerance, weights.primary, weights.ghg
        )
        history.append(day, judged.totals)
    town.chain.set_automine(True)
    town.move_to(final_time(last, finality_s))
    while platform.assessment(assessment).frontier <= last:
        town.do(platform.finalise(CARRIER, assessment, 30, gas=GAS))

    for window_end in range(start + 363, start + 372):
        found = platform.verdict(assessment, window_end)
        assert found == verdict(history, window_end, restart_days=[start]), window_end
    newest = platform.latest_verdict(assessment)
    assert newest == latest_verdict(history, restart_days=[start])
    assert newest.total_hours == 24 * (newest.window_end - window_start(newest.window_end))
    assert newest.finding is (Finding.POSITIVE if sunny else Finding.BALANCE_NOT_POSITIVE)
