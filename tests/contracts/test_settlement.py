"""The statement of settlement: shares, money and attributes add up to the last unit (domain.md §6)."""

from collections import defaultdict
from dataclasses import replace
from itertools import groupby
from random import Random

import pytest

from contracts.energy import BoundarySummary, HourSums, Tolerance
from contracts.keccak import keccak
from contracts.order import Order
from contracts.pro_rata import NOBODY
from contracts.settlement import (
    AppliedOrder,
    BuyerHour,
    CertifiedHour,
    RegisteredTrade,
    Trade,
    TradesInvalid,
    certify,
    follow_up,
    settle,
    showings,
    trades_of_seller,
)
from tests.contracts.markets import BUYERS, SELLERS, applied_orders, random_orders, random_trades

HOUR = 430_000
BOND = 500_000


class Hour:
    """Everything that was traded for one hour."""

    def __init__(self, seed: int) -> None:
        random = Random(seed)
        self.bought_wh: defaultdict[str, int] = defaultdict(int)
        hashes = [keccak(bytes((seed % 256, number))) for number in range(random.randint(0, 4))]
        self.registered = random_trades(random, HOUR, hashes, self.bought_wh)
        self.applied: list[AppliedOrder] = []
        self.prices: dict[int, int] = {}
        for with_attributes in (False, True):
            orders = random_orders(random, HOUR, with_attributes, random.randint(0, 12))
            hashed = [(keccak(repr(order).encode()), order) for order in orders]
            price, applied = applied_orders(hashed, self.bought_wh)
            self.prices[2 * HOUR + with_attributes] = price
            self.applied += random.sample(applied, len(applied))
        self.random = random

    def trades(self, seller: str) -> list[Trade]:
        return trades_of_seller(seller, HOUR, self.registered, self.applied, self.prices)

    def buyers(self) -> dict[str, BuyerHour]:
        imports = {buyer: self.random.choice((0, self.random.randint(0, 60_000), 10**6)) for buyer in BUYERS}
        return {buyer: BuyerHour(imports[buyer], self.bought_wh[buyer]) for buyer in BUYERS}


def rounded_up(amount: int) -> int:
    return -(-amount // 1000)


@pytest.mark.parametrize("seed", range(150))
def test_an_hour_is_settled_to_the_last_unit(seed: int) -> None:
    hour = Hour(seed)
    buyers, moved_in = hour.buyers(), defaultdict[str, int](int)
    every = [trade for seller in SELLERS for trade in hour.trades(seller)]
    assert len({trade.trade_id for trade in every}) == len(every)
    fills = defaultdict[bytes, int](int)
    money = defaultdict[bytes, int](int)
    for trade in every:
        if not isinstance(trade.source, RegisteredTrade):
            offer, bid = trade.source
            for order in (offer, bid):
                fills[order.order_hash] += trade.quantity_wh
            money[bid.order_hash] += trade.paid_in_micro_eur
            money[offer.order_hash] += trade.bond_micro_eur(BOND)
    for order in hour.applied:  # the parts of an order are what it holds
        rate = hour.prices[order.order.book] if order.order.is_bid else BOND
        assert fills[order.order_hash] == order.fill_wh
        assert money[order.order_hash] == rounded_up(order.fill_wh * rate)

    for seller in SELLERS:
        trades = hour.trades(seller)
        sold_wh = sum(trade.quantity_wh for trade in trades)
        certified_wh = hour.random.choice((0, hour.random.randint(0, max(1, sold_wh)), sold_wh, sold_wh + 7))
        imbalance = hour.random.choice((0, hour.random.randint(0, 700_000), 2**32 - 1))
        settled = settle(trades, certified_wh, imbalance, BOND, buyers)
        assert sum(item.delivered_wh for item in settled.trades) == min(certified_wh, sold_wh)
        for item in settled.trades:
            trade = item.trade
            short_wh = trade.quantity_wh - item.delivered_wh
            assert short_wh >= 0
            assert item.paid_micro_eur + item.refunded_micro_eur == trade.paid_in_micro_eur
            assert item.compensation_micro_eur + item.bond_returned_micro_eur == trade.bond_micro_eur(BOND)
            assert min(item[3:]) >= 0
            assert item.compensation_micro_eur >= short_wh * (trade.price_micro_eur_per_kwh // 10) // 1000
            exact = trade.quantity_wh * min(certified_wh, sold_wh) / sold_wh
            assert abs(item.delivered_wh - exact) < 1
            assert item.attributes_wh <= item.delivered_wh * trade.with_attributes
            moved_in[trade.buyer_district_id] += item.attributes_wh
        if certified_wh >= sold_wh:
            assert settled.cut == NOBODY
    for buyer, (import_wh, _) in buyers.items():
        assert moved_in[buyer] <= import_wh


@pytest.mark.parametrize("seed", range(40))
def test_trades_are_shown_in_the_contracts_order_however_they_came(seed: int) -> None:
    hour = Hour(seed)
    seller = SELLERS[seed % 2]
    trades = hour.trades(seller)
    hour.random.shuffle(hour.applied)
    hour.random.shuffle(hour.registered)
    assert hour.trades(seller) == trades
    bilateral = [trade for trade in trades if isinstance(trade.source, RegisteredTrade)]
    assert trades[: len(bilateral)] == sorted(bilateral, key=lambda trade: trade.trade_id)
    offers = []
    for offer, group in groupby(trades[len(bilateral) :], key=lambda trade: trade.source):
        assert not isinstance(offer, RegisteredTrade)
        offers.append(offer[0].order_hash)
        assert len(list(group)) == 1
    assert offers == sorted(offers)
    for most in (1, 2, 1000):
        steps = list(showings(trades, most))
        shown = [trade for step in steps for trade in step.trades]
        assert shown == [t.source.trade for t in bilateral if isinstance(t.source, RegisteredTrade)]
        bids = [(sale.offer, bid) for step in steps for sale in step.sales for bid in sale.bids]
        assert len(shown) + len(bids) == len(trades)
        assert all(len(step.trades) + sum(len(sale.bids) for sale in step.sales) <= most for step in steps)


def one_trade(quantity_wh: int, price: int, with_attributes: bool = False) -> list[Trade]:
    order = Order("sun-hill", HOUR, with_attributes, False, quantity_wh, price, 1, 2**40)
    bid = replace(order, district_id="old-town", is_bid=True)
    applied = [AppliedOrder(order, b"o" * 32, quantity_wh, 0), AppliedOrder(bid, b"b" * 32, quantity_wh, 0)]
    return trades_of_seller("sun-hill", HOUR, [], applied, {order.book: price})


def test_a_shortfall_costs_between_a_tenth_of_the_price_and_the_bond() -> None:
    trades = one_trade(10_000, 100_000)
    for imbalance, compensation in ((0, 40_000), (110_001, 40_004), (300_000, 800_000), (10**6, 2_000_000)):
        (item,) = settle(trades, 6_000, imbalance, BOND, {}).trades
        assert (item.delivered_wh, item.paid_micro_eur, item.refunded_micro_eur) == (6_000, 600_000, 400_000)
        assert item.compensation_micro_eur == compensation
        assert item.bond_returned_micro_eur == 5_000_000 - compensation


def test_one_trade_moves_the_smaller_of_delivery_and_import() -> None:
    trades = one_trade(10_000, 100_000, with_attributes=True)
    for certified_wh, import_wh, moved_wh in ((10_000, 4_000, 4_000), (3_000, 4_000, 3_000), (9, 0, 0)):
        buyers = {"old-town": BuyerHour(import_wh, 10_000)}
        assert settle(trades, certified_wh, 0, BOND, buyers).trades[0].attributes_wh == moved_wh


def test_a_follow_up_books_what_an_adjustment_changed() -> None:
    trades = one_trade(10_000, 100_000)
    before, after = (settle(trades, certified_wh, 300_000, BOND, {}) for certified_wh in (6_000, 9_000))
    (change,) = follow_up(before, after)
    assert change.settled.delivered_wh == 9_000
    assert change.to_seller_micro_eur == 300_000 + 600_000
    (back,) = follow_up(after, before)
    assert back.to_seller_micro_eur == -900_000
    assert follow_up(after, settle(trades, 9_000, 300_000, BOND, {})) == []


def test_an_axis_with_a_gap_is_refused() -> None:
    hour = Hour(3)
    sold = next(seller for seller in SELLERS if any(isinstance(t.source, tuple) for t in hour.trades(seller)))
    hour.applied = [order for order in hour.applied if not order.order.is_bid]
    with pytest.raises(TradesInvalid, match="give all applied bids of the book"):
        hour.trades(sold)


def test_an_hour_is_certified_only_when_it_is_complete() -> None:
    boundary = BoundarySummary(open_points=3, members=0, load_metered=True, grid_cap_wh=10_000)
    sums = HourSums(export_wh=700, import_wh=100, production_wh=1_000, consumption_wh=400, measured=3)
    tolerance = Tolerance(200, 50)
    assert certify(sums, boundary, tolerance) == CertifiedHour(True, 600)
    assert CertifiedHour(True, 600).available_wh(100) == 500
    assert CertifiedHour(True, 600).available_wh(900) == 0
    assert CertifiedHour(True, -40).import_wh == 40
    for broken in (
        replace(sums, measured=2),
        replace(sums, tainted=1),
        replace(sums, consumption_wh=200),
        replace(sums, short_grid_cap_wh=1),
    ):
        found = certify(broken, boundary, tolerance)
        assert found == CertifiedHour(False, 600)
        assert (found.available_wh(0), found.import_wh) == (0, 0)
    assert not certify(sums, replace(boundary, version=0), tolerance).complete
