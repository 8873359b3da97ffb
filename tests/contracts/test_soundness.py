"""`lower <= truth <= upper` for every way in which the unknown can have happened (domain.md §4)."""

from collections.abc import Sequence
from random import Random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from contracts.energy import DayAssessment, Row, Tolerance
from contracts.point import Kind
from contracts.reading import Record, Status
from tests.contracts.worlds import (
    DAYS,
    HOURS,
    World,
    drawn_attributes,
    drawn_weights,
    energy,
    hide,
    hide_one,
    true_sites,
)

seeds = st.integers(0, 2**48)


def totals(days: Sequence[DayAssessment], name: str) -> int:
    return sum(getattr(day.totals, name) for day in days)


@settings(max_examples=120, deadline=None)
@given(seeds, st.sampled_from([0.05, 0.3, 0.9]), st.booleans())
def test_the_truth_lies_between_the_bounds_whatever_is_hidden(
    seed: int, amount: float, lacking: bool
) -> None:
    random = Random(seed)
    sites, weights, moved = true_sites(random), drawn_weights(random), drawn_attributes(random)
    tolerance = Tolerance(random.choice((0, 200, 1000)), random.choice((0, 50, 5000)))
    truth = World(sites).assess(weights, tolerance, moved)
    assert all(hour.complete for day in truth for hour in day.hours)

    world = World(sites)
    hide(random, sites, world, amount)
    if lacking:
        place = random.randrange(DAYS)
        weights = [day.lacking() if place == number else day for number, day in enumerate(weights)]
    known = world.assess(weights, tolerance, moved)
    true_balance, true_ghg = totals(truth, "balance_mwh_pe"), totals(truth, "ghg_mg")
    assert totals(known, "lower_mwh_pe") <= true_balance <= totals(known, "upper_mwh_pe")
    assert true_ghg <= totals(known, "ghg_upper_mg")
    for true_day, day in zip(truth, known, strict=True):
        for true_hour, hour in zip(true_day.hours, day.hours, strict=True):
            if hour.row in (Row.COMPLETE, Row.INCOMPLETE, Row.TAINTED):  # these bounds hold hour by hour
                assert hour.lower_mwh_pe <= true_hour.balance_mwh_pe <= hour.upper_mwh_pe
                assert hour.ghg_lower_mg <= true_hour.ghg_mg <= hour.ghg_upper_mg


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_one_hidden_thing_is_covered_without_the_slack_of_others(seed: int) -> None:
    random = Random(seed)
    sites, weights, moved = true_sites(random), drawn_weights(random), drawn_attributes(random)
    truth = World(sites).assess(weights, Tolerance(), moved)
    for _ in range(40):
        world = World(sites)
        hide_one(random, random.choice(sites), world)
        known = world.assess(weights, Tolerance(), moved)
        assert (
            totals(known, "lower_mwh_pe") <= totals(truth, "balance_mwh_pe") <= totals(known, "upper_mwh_pe")
        )
        assert totals(truth, "ghg_mg") <= totals(known, "ghg_upper_mg")


@settings(max_examples=60, deadline=None)
@given(seeds)
@example(0)
def test_where_nothing_is_hidden_the_bounds_are_the_balance(seed: int) -> None:
    random = Random(seed)
    world = World(true_sites(random))
    for day in world.assess(drawn_weights(random), Tolerance(), drawn_attributes(random)):
        found = day.totals
        assert found.lower_mwh_pe == found.balance_mwh_pe == found.upper_mwh_pe
        assert found.ghg_mg == found.ghg_upper_mg
        assert found.complete_hours == 24


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_the_truth_lies_between_the_bounds_when_one_meter_errs(seed: int) -> None:
    """A violated conservation says that a meter is wrong by the imbalance, but not which one."""
    random = Random(seed)
    sites, weights, moved = true_sites(random), drawn_weights(random), drawn_attributes(random)
    tolerance = Tolerance(0, 0)
    truth = World(sites).assess(weights, tolerance, moved)
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
    known = world.assess(weights, tolerance, moved)
    for number, (true_day, day) in enumerate(zip(truth, known, strict=True)):
        for at, (true_hour, judged) in enumerate(zip(true_day.hours, day.hours, strict=True)):
            assert judged.complete or 24 * number + at in wrong
            assert judged.lower_mwh_pe <= true_hour.balance_mwh_pe <= judged.upper_mwh_pe
            assert judged.ghg_lower_mg <= true_hour.ghg_mg <= judged.ghg_upper_mg
