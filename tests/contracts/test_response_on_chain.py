"""Demand response on a real engine, from history to pay: Python's baseline is the chain's (domain.md §7)."""

from collections.abc import Iterator
from random import Random

import pytest

from contracts.baseline import (
    History,
    compute_baseline,
    deposit_micro_eur,
    hour_pay_micro_eur,
    hour_penalty_micro_eur,
    response_wh,
)
from contracts.chain import Chain
from contracts.contract_calls import Role
from contracts.events import Event
from contracts.hour import HOURS_PER_DAY, day_of, day_start, hour_start, parse_day
from contracts.keccak import keccak
from contracts.key import SigningKey
from contracts.response import BaselineMethod, EventStatus, EventTerms
from contracts.response_events import Enrolled, EventOpened, EventSettled, Measured, ResponsePaid
from tests.contracts.nodes import AnvilNode
from tests.contracts.towns import ADMIN, CARRIER, GAS, final_time
from tests.contracts.traders import Trader, TradingTown, random_hour

GRID_OPERATOR = SigningKey(keccak(b"grid operator"))
BUDGET = 100_000_000
SENSITIVITY_WH = 100
FIRST, SECOND = 12, 17
"""Days of the events, counted from the first day with readings."""
FRIDAY = 1
"""Of the days since 1970, modulo 7."""


@pytest.fixture(scope="module")
def town() -> Iterator[TradingTown]:
    node = AnvilNode(genesis_time=day_start(parse_day("2019-02-26")))
    running = TradingTown(Chain(node.url, gas_price_wei=0))
    running.do(running.platform.register_organisation(ADMIN, "grid", "Grid", gas=GAS))
    running.do(running.platform.enrol(ADMIN, GRID_OPERATOR.address, "grid", Role.GRID_OPERATOR, gas=GAS))
    running.pay_in(GRID_OPERATOR, "grid", BUDGET)
    yield running
    node.stop()


def open_event(town: TradingTown, terms: EventTerms) -> int:
    receipt = town.do(town.platform.open_event(GRID_OPERATOR, terms, gas=GAS))
    (opened,) = (event for event in town.platform.events(receipt.logs) if isinstance(event, EventOpened))
    assert (opened.zone, opened.operator_org, opened.terms) == ("zone", "grid", terms)
    assert opened.budget == terms.budget_micro_eur
    return opened.event_id


def history(trader: Trader, event_days: frozenset[int]) -> History:
    """What the ledger certifies of a district."""
    certified = {hour: trader.certified(hour) for hour in trader.readings}
    complete = {hour: -found.net_export_wh for hour, found in certified.items() if found.complete}
    return History(complete, trader.from_day, event_days)


@pytest.mark.parametrize(
    ("increase", "method"),
    [(False, BaselineMethod.TEN_OF_TEN), (True, BaselineMethod.HIGH_FIVE_OF_TEN)],
)
def test_events_from_opening_to_pay(town: TradingTown, increase: bool, method: BaselineMethod) -> None:
    platform, random = town.platform, Random(int(increase))
    start = day_of(town.chain.block().time_s) + 2
    start += (FRIDAY - start) % 7  # both events are on weekdays, with enough of them before
    traders = [town.found_trader(f"response-{increase:d}-{number}".lower(), start) for number in range(3)]
    events: dict[int, int] = {}
    usual = 0.8 if increase else 0.2
    for number in range(SECOND + 1):
        day = start + number
        if number in (FIRST, SECOND):
            taking_part = traders if number == SECOND else traders[:1]
            terms = EventTerms(
                zone="zone",
                increase=increase,
                method=method,
                start_hour=HOURS_PER_DAY * day + 14,
                hour_count=3,
                requested_wh=900,
                price_micro_eur_per_kwh=200_001,
                penalty_micro_eur_per_kwh=300_007,
                enrol_until=hour_start(HOURS_PER_DAY * day + 13) + 2400,
                notice_s=900,
            )
            opened_s = day_start(day) + (13 if number == SECOND else 12) * 3600 + 60
            town.chain.mine(opened_s)
            events[number] = open_event(town, terms)
            assert platform.response_event(events[number]).opened_at >= opened_s
            for trader in taking_part:
                enrol(town, events[number], trader, terms, capacity_wh=random.randint(200, 500))
        town.chain.mine(day_start(day + 1) + 60)
        for trader in traders:
            surplus = not increase if number in (FIRST, SECOND) else random.random() < usual
            records = {place: random_hour(random, surplus) for place in range(HOURS_PER_DAY)}
            town.do(town.send_readings(trader, day, records))
    town.move_to(final_time(start + SECOND, platform.finality_s()))
    settle_event(town, events[FIRST], traders[:1], {})
    settle_event(town, events[SECOND], traders, {traders[0]: frozenset((start + FIRST,))})


def enrol(town: TradingTown, event_id: int, trader: Trader, terms: EventTerms, capacity_wh: int) -> None:
    platform = town.platform
    sent = platform.enrol_district(trader.key, event_id, trader.district_id, capacity_wh, gas=GAS)
    (enrolled,) = (event for event in platform.events(town.do(sent).logs) if isinstance(event, Enrolled))
    deposit = deposit_micro_eur(terms.penalty_micro_eur_per_kwh, capacity_wh, terms.hour_count)
    assert (enrolled.capacity_wh, enrolled.deposit) == (capacity_wh, deposit)
    assert 5 <= enrolled.baseline_days <= 10
    assert platform.enrolment(event_id, trader.district_id).deposit_micro_eur == deposit


def settle_event(
    town: TradingTown, event_id: int, traders: list[Trader], event_days: dict[Trader, frozenset[int]]
) -> None:
    """Measure and pay an event, as Python states it."""
    platform, known = town.platform, town.platform.response_event(event_id)
    terms = known.terms
    budget_held = platform.held_micro_eur("grid", is_response=True)
    responses: list[list[int]] = []
    for trader in traders:
        capacity_wh = platform.enrolment(event_id, trader.district_id).capacity_wh
        stated = compute_baseline(
            history(trader, event_days.get(trader, frozenset())),
            terms.method,
            terms.increase,
            terms.hours,
            known.opened_at,
        )
        assert stated.baseline_wh is not None
        found = platform.baseline(event_id, trader.district_id)
        assert found == (stated.days, stated.baseline_wh)
        net_imports = [trader.certified(hour) for hour in terms.hours]
        measured_wh = [-hour.net_export_wh if hour.complete else None for hour in net_imports]
        counted = [
            response_wh(baseline_wh, measured, capacity_wh, terms.increase, SENSITIVITY_WH)
            for baseline_wh, measured in zip(stated.baseline_wh, measured_wh, strict=True)
        ]
        receipt = town.do(platform.measure_response(CARRIER, event_id, trader.district_id, gas=GAS))
        (measured_event,) = of(Measured, platform.events(receipt.logs))
        assert isinstance(measured_event, Measured)
        assert measured_event.baseline_wh == stated.baseline_wh
        assert (
            list(measured_event.response_wh) == counted == platform.response_wh(event_id, trader.district_id)
        )
        responses.append(counted)
    assert any(map(any, responses))
    pays = [
        hour_pay_micro_eur(terms.price_micro_eur_per_kwh, terms.requested_wh, column)
        for column in zip(*responses, strict=True)
    ]
    spent = 0
    for place, trader in enumerate(traders):
        enrolment, free = (
            platform.enrolment(event_id, trader.district_id),
            platform.free_micro_eur(trader.owner),
        )
        remuneration = sum(hour[place] for hour in pays)
        penalty = sum(
            hour_penalty_micro_eur(terms.penalty_micro_eur_per_kwh, enrolment.capacity_wh, response)
            for response in responses[place]
        )
        receipt = town.do(platform.pay_response(CARRIER, event_id, trader.district_id, gas=GAS))
        announced = platform.events(receipt.logs)
        returned = enrolment.deposit_micro_eur - penalty
        assert of(ResponsePaid, announced) == [
            ResponsePaid(event_id, trader.district_id, remuneration, penalty, returned)
        ]
        assert platform.free_micro_eur(trader.owner) == free + remuneration + returned
        spent += remuneration
    assert of(EventSettled, announced) == [EventSettled(event_id, spent, terms.budget_micro_eur - spent)]
    assert platform.response_event(event_id).status is EventStatus.SETTLED
    assert platform.held_micro_eur("grid", is_response=True) == budget_held - terms.budget_micro_eur
    assert platform.escrow_total_micro_eur() == platform.tokens_of(platform.deployment.escrow)


def of(kind: type[Event], events: list[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, kind)]
