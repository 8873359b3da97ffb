"""Trading on a real engine, from orders to settled hours: Python's statement and the chain agree to the last
unit (domain.md §6)."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from random import Random

import pytest

from contracts.chain import Chain
from contracts.clearing import Clearing
from contracts.energy import Attributes, assess_day
from contracts.errors import ContractError
from contracts.events import DayFinalised, Event
from contracts.hour import HOURS_PER_DAY, day_of, day_of_hour, day_start, hour_start, parse_day
from contracts.market_events import (
    BookCleared,
    HourSettled,
    SettlementProven,
    TradeFollowedUp,
    TradeSettled,
)
from contracts.order import BilateralTrade, Order
from contracts.outcome import Outcome
from contracts.platform import Platform
from contracts.reading import Adjustment, Record, Status
from contracts.scheme import Scheme, StaticFactors, VintageFactors, day_weights
from contracts.settlement import (
    BuyerHour,
    SettledHour,
    Trade,
    follow_up,
    settle,
    showings,
    trades_of_seller,
)
from tests.contracts.nodes import AnvilNode
from tests.contracts.towns import (
    ADMIN,
    AUDITOR,
    CARRIER,
    GAS,
    MARKET_PUBLISHER,
    OPERATOR,
    PUBLISHER,
    final_time,
    open_payload,
)
from tests.contracts.traders import DEPOSIT, EXPIRY, Trader, TradingTown, random_hour

SCHEME = Scheme(False, True, 1000, 2500, 0, 800)
VINTAGE = VintageFactors(1000, 2500, 800, StaticFactors(2000, 1500, 300, 1500, 1200, 200))
BOND = 500_000
DAYS = 30


@pytest.fixture(scope="module")
def town() -> Iterator[TradingTown]:
    node = AnvilNode(genesis_time=day_start(parse_day("2019-05-28")))
    yield TradingTown(Chain(node.url, gas_price_wei=0))
    node.stop()


class Market:
    """Districts of a town that trade in random hours."""

    def __init__(self, town: TradingTown, name: str, seed: int) -> None:
        self.town, self.random = town, Random(seed)
        self.start = day_of(town.chain.block().time_s) + 2
        self.traders = {
            trader.district_id: trader
            for number in range(3)
            for trader in [town.found_trader(f"{name}-{number}", self.start)]
        }
        self.imbalance: dict[int, int] = {}

    def order(self, trader: Trader, hour: int, with_attributes: bool, is_bid: bool) -> Order:
        random = self.random
        price = random.choice((100_000, 90_001, random.randint(0, 200_000)))
        quantity_wh = random.choice((1, random.randint(1, 400)))
        nonce = random.getrandbits(64)
        return Order(trader.district_id, hour, with_attributes, is_bid, quantity_wh, price, nonce, EXPIRY)

    def random_book(self, hour: int, with_attributes: bool, count: int) -> list[bytes]:
        """Calls that place orders; each district is on one side."""
        sides = {name: self.random.random() < 0.5 for name in self.traders}
        names = list(self.traders)
        calls = []
        for _ in range(count):
            trader = self.traders[self.random.choice(names)]
            order = self.order(trader, hour, with_attributes, sides[trader.district_id])
            calls.append(self.town.place(trader, order))
        return calls

    def random_trade(self, hour: int) -> bytes:
        """A call that registers a bilateral trade."""
        random = self.random
        seller, buyer = random.sample(list(self.traders.values()), 2)
        trade = BilateralTrade(
            seller.district_id,
            buyer.district_id,
            hour,
            random.random() < 0.5,
            random.randint(1, 300),
            random.randint(0, 400_000),
            random.getrandbits(64),
            EXPIRY,
        )
        return self.town.register(seller, buyer, trade)

    def sold(self, seller: str, hour: int) -> list[Trade]:
        town = self.town
        return trades_of_seller(seller, hour, town.registered, town.applied.values(), town.prices)

    def statement(self, seller: str, hour: int, trades: list[Trade]) -> SettledHour:
        platform = self.town.platform
        available_wh = self.traders[seller].certified(hour).available_wh(0)
        buyers = {
            trade.buyer_district_id: BuyerHour(
                self.traders[trade.buyer_district_id].certified(hour).import_wh,
                platform.bought_with_attributes_wh(trade.buyer_district_id, hour),
            )
            for trade in trades
        }
        return settle(trades, available_wh, self.imbalance.get(hour, BOND), BOND, buyers)

    def announced(self, settled: SettledHour, hour: int) -> list[TradeSettled]:
        """What the contract must announce."""
        return [
            TradeSettled(
                item.trade.trade_id,
                item.trade.seller_district_id,
                item.trade.buyer_district_id,
                hour,
                item.trade.with_attributes,
                item.trade.price_micro_eur_per_kwh,
                item.trade.quantity_wh,
                item.delivered_wh,
                item.attributes_wh,
                item.paid_micro_eur,
                item.refunded_micro_eur,
                item.compensation_micro_eur,
            )
            for item in settled.trades
        ]


def of(kind: type[Event], events: list[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, kind)]


def test_a_month_of_hours_is_settled_as_stated(town: TradingTown) -> None:
    market, platform, random = Market(town, "month", 7), town.platform, Random(8)
    for name in ("month", "static"):
        if name == "static":
            town.do(platform.register_scheme(ADMIN, name, SCHEME, gas=GAS))
            town.do(platform.create_vintage(PUBLISHER, name, VINTAGE, gas=GAS))
    start, last = market.start, market.start + DAYS - 1
    for name in market.traders:
        town.do(platform.open_assessment(ADMIN, name, "static", "static", start, gas=GAS))
    hours = sorted(random.sample(range(24 * start, 24 * (last + 1)), 2 * DAYS))
    calls = []
    for hour in hours:
        for with_attributes in (False, True):
            calls += market.random_book(hour, with_attributes, random.randint(0, 5))
        calls += [market.random_trade(hour) for _ in range(random.randint(0, 2))]
    for first in range(0, len(calls), 20):
        receipt = town.do(platform.place_many(CARRIER, calls[first : first + 20], gas=GAS))
        town.note(platform.events(receipt.logs))

    schedule: list[tuple[int, Callable[[], list[bytes]]]] = [
        *((platform.gate_closes_at(hour) + 60, partial(clear_hour, town, hour)) for hour in hours),
        *((day_start(day + 1) + 120, partial(after_day, market, day)) for day in range(start, last + 1)),
    ]
    town.chain.set_automine(False)
    for time_s, act in sorted(schedule, key=lambda entry: entry[0]):
        transactions = act()
        town.chain.mine(time_s)
        for transaction in transactions:
            events = platform.events(town.do(transaction).logs)
            town.note(events)
            for event in events:
                if isinstance(event, BookCleared):
                    town.prices[event.book] = event.outcome.price_micro_eur_per_kwh
    town.chain.set_automine(True)
    town.move_to(final_time(last, platform.finality_s()))

    earned: defaultdict[str, int] = defaultdict(int)
    moved: defaultdict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
    short = 0
    for hour in random.sample(hours, len(hours)):
        for seller in market.traders:
            trades = market.sold(seller, hour)
            assert platform.sold_wh(seller, hour) == sum(trade.quantity_wh for trade in trades)
            if not trades:
                continue
            assert platform.certified_net_export(seller, hour) == market.traders[seller].certified(hour)
            settled = market.statement(seller, hour, trades)
            (shown,) = showings(trades, len(trades))
            sent = platform.settle(CARRIER, seller, hour, settled.cut, shown, gas=GAS)
            events = platform.events(town.do(sent).logs)
            assert of(TradeSettled, events) == market.announced(settled, hour)
            sold_wh = sum(trade.quantity_wh for trade in trades)
            assert of(SettlementProven, events) == [
                SettlementProven(seller, hour, 1, sold_wh, settled.certified_wh)
            ]
            assert of(HourSettled, events) == [HourSettled(seller, hour, 1)]
            short += settled.certified_wh < sold_wh
            for item in settled.trades:
                earned[seller] += item.to_seller_micro_eur
                earned[item.trade.buyer_district_id] -= item.to_seller_micro_eur
                moved[seller, hour][0] += item.attributes_wh
                moved[item.trade.buyer_district_id, hour][1] += item.attributes_wh
    assert short > 5
    assert sum(energy[0] for energy in moved.values()) > 500
    for name, trader in market.traders.items():
        assert platform.free_micro_eur(trader.owner) == DEPOSIT + earned[name]
        assert platform.held_micro_eur(trader.owner, is_response=False) == 0
    for (name, hour), (out_wh, in_wh) in moved.items():
        claims = platform.hour_claims(name, hour)
        assert (claims.attributes_out_wh, claims.attributes_in_wh) == (out_wh, in_wh)
    total = platform.escrow_total_micro_eur()
    assert total == sum(platform.free_micro_eur(trader.owner) for trader in market.traders.values())
    assert total == platform.tokens_of(platform.deployment.escrow)

    for name, trader in market.traders.items():
        assessment = platform.assessment_id(name, "static", "static")
        receipt = town.do(platform.finalise(CARRIER, assessment, DAYS, gas=GAS))
        days = of(DayFinalised, platform.events(receipt.logs))
        assert len(days) == DAYS
        for final in days:
            assert isinstance(final, DayFinalised)
            tally, weights = trader.tally(final.day), day_weights(SCHEME, VINTAGE, None)
            first = HOURS_PER_DAY * final.day
            attributes = [
                Attributes(*moved.get((name, hour), (0, 0))) for hour in range(first, first + HOURS_PER_DAY)
            ]
            judged = assess_day(
                tally.hours,
                tally.vehicles,
                trader.boundary,
                SCHEME.tolerance,
                weights.primary,
                weights.ghg,
                attributes,
            ).totals
            assert final.totals.balance_mwh_pe == judged.balance_mwh_pe
            assert final.totals.ghg_mg == judged.ghg_mg
            assert final.totals.complete_hours == judged.complete_hours


def clear_hour(town: TradingTown, hour: int) -> list[bytes]:
    """Transactions that clear both books of an hour."""
    sent = []
    for book in (2 * hour, 2 * hour + 1):
        cleared, outcome = town.clear(book)
        if cleared.bids or cleared.offers:
            sent.append(town.platform.clear_book(CARRIER, book, outcome, *hashes(cleared), gas=GAS))
    return sent


def hashes(cleared: Clearing) -> tuple[list[bytes], list[bytes]]:
    bids, offers = ([fill.order.id for fill in side] for side in (cleared.bids, cleared.offers))
    return bids, offers


def after_day(market: Market, day: int) -> list[bytes]:
    """Transactions that bring a day's readings and, mostly, its imbalance prices."""
    sent = []
    for trader in market.traders.values():
        surplus = market.random.random() < 0.5
        records = {place: random_hour(market.random, surplus) for place in range(HOURS_PER_DAY)}
        sent.append(market.town.send_readings(trader, day, records))
    if market.random.random() < 0.8:
        prices = [market.random.choice((0, market.random.randint(0, 600_000))) for _ in range(HOURS_PER_DAY)]
        first = HOURS_PER_DAY * day
        market.imbalance |= {first + place: price for place, price in enumerate(prices)}
        sent.append(market.town.platform.publish_imbalance(MARKET_PUBLISHER, first, prices, gas=GAS))
    return sent


@pytest.mark.parametrize("seed", range(6))
def test_the_contract_takes_what_clearing_computes_and_no_mutation_of_it(
    town: TradingTown, seed: int
) -> None:
    market, platform = Market(town, f"book-{seed}", seed), town.platform
    hour, random = 24 * market.start + seed, market.random
    calls = market.random_book(hour, with_attributes=False, count=(0, 2, 9, 9, 14, 14)[seed])
    calls += market.random_book(hour, with_attributes=True, count=3)
    town.note(platform.events(town.do(platform.place_many(CARRIER, calls, gas=GAS)).logs))
    town.move_to(platform.gate_closes_at(hour) + 30)
    book = 2 * hour
    cleared, outcome = town.clear(book)
    bids, offers = hashes(cleared)
    for name, wrong in mutations(random, outcome, bids, offers):
        assert is_refused(platform, book, wrong), name
    receipt = town.do(platform.clear_book(CARRIER, book, outcome, bids, offers))
    events = platform.events(receipt.logs)
    town.note(events)
    assert of(BookCleared, events) == [BookCleared(book, CARRIER.address, outcome)]
    assert {order_hash: platform.order_state(order_hash).fill_wh for order_hash in bids + offers} == (
        cleared.fills
    )


def is_refused(platform: Platform, book: int, proposal: tuple[Outcome, list[bytes], list[bytes]]) -> bool:
    """Whether the contract refuses; nothing is sent then."""
    try:
        platform.clear_book(CARRIER, book, *proposal)
    except ContractError:
        return True
    return False


def mutations(
    random: Random, outcome: Outcome, bids: list[bytes], offers: list[bytes]
) -> Iterator[tuple[str, tuple[Outcome, list[bytes], list[bytes]]]]:
    """Ways in which a proposal can be wrong."""
    numbers = (
        "volume_wh",
        "price_micro_eur_per_kwh",
        "bid_margin_wh",
        "offer_margin_wh",
        "bid_rest_wh",
        "offer_rest_wh",
    )
    for name in numbers:
        for step in (-1, 1):
            value = getattr(outcome, name) + step
            if value >= 0:
                yield f"{name} {step:+}", (replace(outcome, **{name: value}), bids, offers)
    for name in ("bid_cut", "offer_cut"):
        cut = getattr(outcome, name)
        for other in (cut._replace(fraction=cut.fraction - 1), cut._replace(id=b"\1" * 32)):
            if other != cut:
                yield f"{name} {other}", (replace(outcome, **{name: other}), bids, offers)
    for side in (bids, offers):
        for place in range(len(side)):
            shorter = side[:place] + side[place + 1 :]
            twice = side[: place + 1] + side[place:]
            for name, changed in (("dropped", shorter), ("doubled", twice)):
                pair = (changed, offers) if side is bids else (bids, changed)
                yield f"order {name}", (outcome, *pair)
        if len(side) > 1:
            place = random.randrange(len(side) - 1)
            swapped = [*side[:place], side[place + 1], side[place], *side[place + 2 :]]
            pair = (swapped, offers) if side is bids else (bids, swapped)
            yield "orders swapped", (outcome, *pair)
    if bids:
        yield "sides changed", (outcome, bids[1:], [bids[0], *offers])
    yield "unknown order", (outcome, [*bids, b"\7" * 32], offers)


def test_a_book_in_steps_and_an_adjusted_hour_that_is_settled_again(town: TradingTown) -> None:
    market, platform = Market(town, "steps", 5), town.platform
    seller, buyer, other = market.traders.values()
    day = market.start
    hour = 24 * day + 12
    calls = [
        town.place(trader, Order(trader.district_id, hour, True, is_bid, quantity_wh, price, nonce, EXPIRY))
        for nonce, (trader, is_bid, quantity_wh, price) in enumerate(
            [
                (seller, False, 301, 80_000),
                (seller, False, 199, 80_000),
                (buyer, True, 250, 90_000),
                (other, True, 150, 90_000),
                (other, True, 90, 80_000),
            ]
        )
    ]
    town.note(platform.events(town.do(platform.place_many(CARRIER, calls, gas=GAS)).logs))
    town.move_to(platform.gate_closes_at(hour) + 30)
    cleared, outcome = town.clear(2 * hour + 1)
    bids, offers = hashes(cleared)
    steps = [(bids[:1], offers[:1]), (bids[1:2], []), (bids[2:], offers[1:])]
    for some_bids, some_offers in steps:
        town.do(platform.propose_outcome(CARRIER, 2 * hour + 1, outcome, some_bids, some_offers, gas=GAS))
    for some_bids, some_offers in steps:
        sent = platform.apply_outcome(CARRIER, 2 * hour + 1, some_bids, some_offers, gas=GAS)
        town.note(platform.events(town.do(sent).logs))
    town.prices[2 * hour + 1] = outcome.price_micro_eur_per_kwh
    assert {order_hash: town.applied[order_hash].fill_wh for order_hash in bids + offers} == cleared.fills
    assert platform.fills_complete(hour)

    town.move_to(day_start(day + 1) + 60)
    for trader, net in ((seller, 321), (buyer, -200), (other, -400)):
        town.do(town.send_readings(trader, day, {place: net_hour(net) for place in range(HOURS_PER_DAY)}))
    town.move_to(final_time(day, platform.finality_s()))
    trades = market.sold(seller.district_id, hour)
    settled = market.statement(seller.district_id, hour, trades)
    assert settled.certified_wh == 321
    assert len(trades) > 3
    for shown in showings(trades, 2):
        town.do(platform.prove_shares(CARRIER, seller.district_id, hour, settled.cut, shown, gas=GAS))
    announced: list[Event] = []
    for shown in showings(trades, 2):
        sent = platform.pay_shares(CARRIER, seller.district_id, hour, shown, gas=GAS)
        announced += of(TradeSettled, platform.events(town.do(sent).logs))
    assert announced == market.announced(settled, hour)
    before = {trader: platform.free_micro_eur(trader.owner) for trader in (seller, buyer, other)}

    adjust(town, seller, day, {12: net_hour(444)})
    again = market.statement(seller.district_id, hour, trades)
    (shown,) = showings(trades, len(trades))
    sent = platform.settle(CARRIER, seller.district_id, hour, again.cut, shown, gas=GAS)
    followed = of(TradeFollowedUp, platform.events(town.do(sent).logs))
    changes = follow_up(settled, again)
    assert followed == [
        TradeFollowedUp(
            change.settled.trade.trade_id,
            seller.district_id,
            change.settled.trade.buyer_district_id,
            hour,
            2,
            change.settled.delivered_wh,
            change.settled.attributes_wh,
            change.to_seller_micro_eur,
        )
        for change in changes
    ]
    gained = sum(change.to_seller_micro_eur for change in changes)
    assert gained > 0
    assert platform.free_micro_eur(seller.owner) == before[seller] + gained
    assert sum(map(platform.free_micro_eur, (buyer.owner, other.owner))) == (
        before[buyer] + before[other] - gained
    )


def net_hour(net: int) -> tuple[Record, ...]:
    """A complete hour with this net export."""
    return (
        Record(Status.MEASURED, max(0, -net), max(0, net)),
        Record(Status.MEASURED, max(0, net), 0),
        Record(Status.MEASURED, 0, max(0, -net)),
    )


def adjust(town: TradingTown, trader: Trader, day: int, records: dict[int, tuple[Record, ...]]) -> None:
    """Replace hours of a final day."""
    first = HOURS_PER_DAY * day
    kept = {hour - first: trader.readings[hour] for hour in trader.readings if day_of_hour(hour) == day}
    old_payload = open_payload(kept)
    kept |= records
    message = Adjustment(trader.site.gateway_id, day, 2, 1, False, b"\1" * 32, 0, open_payload(kept))
    domain = town.platform.deployment.signing_domain
    signatures = message.sign(OPERATOR, domain), message.sign(AUDITOR, domain)
    town.do(town.platform.adjust(CARRIER, message, *signatures, old_payload, gas=GAS))
    trader.readings.update({first + place: entry for place, entry in records.items()})
    assert hour_start(first) == day_start(day)
