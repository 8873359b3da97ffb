"""The month's trades and events as they happen: at each midnight what is due, on the replay's clock.

Orders come just after midnight, each book is cleared between its gate closure and its hour, and what has
become final is settled: days later, by an account without any role.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from contracts.clearing import clear
from contracts.contract_calls import Role
from contracts.events import Event
from contracts.hour import HOURS_PER_DAY, day_of_hour, day_start, first_hour, hour_start
from contracts.keccak import keccak
from contracts.key import SigningKey
from contracts.market_calls import encode_place_order, encode_register_trade
from contracts.market_events import BookCleared, CallSkipped, OrderApplied, OrderRecorded
from contracts.order import BilateralTrade, Order, book_number
from contracts.outcome import Outcome
from contracts.platform import FINALITY_S
from contracts.pro_rata import share_out
from contracts.response_events import EventOpened
from contracts.settlement import AppliedOrder, RegisteredTrade, Trade, showings, trades_of_seller
from scripts.market_demo.plan import (
    BILATERAL_WH,
    CAPACITY_WH,
    EXTERNAL_WH,
    FORECAST_PERCENT,
    MarketPlan,
    NetImport,
    PlannedEvent,
    answer_events,
    traded_hours,
)
from scripts.replay.config import ReplayConfig
from scripts.replay.founding import ADMINISTRATOR, GAS, Founder
from scripts.replay.run import Inputs
from scripts.replay.world import save_keys

OPERATOR: Final = "grid-operator"
DEPOSIT_MICRO_EUR: Final = 200_000_000
OFFER_PRICES: Final = (60_000, 85_000)
BID_PRICES: Final = (140_000, 110_000, 90_000)
BILATERAL_PRICE: Final = 95_000
BEFORE_DELIVERY_S: Final = 1_800
"""Books are cleared so long before their hour, when they are closed."""
EXPIRY: Final = 2**40


def prepare(plan: MarketPlan, inputs: Inputs) -> tuple[Inputs, "MarketMonth"]:
    """The replay's inputs with the answers to the events in them, and the month to play beside it."""
    points = answer_events(plan, inputs.config, inputs.points)
    month = MarketMonth(plan, inputs.config, NetImport(inputs.config, points))
    return replace(inputs, points=points), month


class OrderRefused(RuntimeError):
    """The market refused an order of the demo; the message holds the contract's reason."""


@dataclass
class Record:
    """What happened, as the contracts announced it; enough to state all settlements again."""

    applied: dict[bytes, AppliedOrder] = field(default_factory=dict)
    registered: list[RegisteredTrade] = field(default_factory=list)
    prices: dict[int, int] = field(default_factory=dict)
    imbalance: dict[int, int] = field(default_factory=dict)
    external_wh: dict[tuple[str, int], int] = field(default_factory=dict)
    event_ids: dict[int, PlannedEvent] = field(default_factory=dict)
    deposited: dict[str, int] = field(default_factory=dict)
    orders: dict[bytes, Order] = field(default_factory=dict)

    def note(self, event: Event) -> None:
        """Remember what an event tells. Raises OrderRefused."""
        match event:
            case CallSkipped():
                raise OrderRefused(f"order {event.index} of the day: 0x{event.reason.hex()}")
            case OrderRecorded():
                self.orders[event.order_hash] = event.order
            case BookCleared():
                self.prices[event.book] = event.outcome.price_micro_eur_per_kwh
            case OrderApplied():
                self.applied[event.order_hash] = AppliedOrder(
                    self.orders[event.order_hash],
                    event.order_hash,
                    event.fill_wh,
                    event.start_wh,
                    event.bought_before_wh,
                )


class MarketMonth:
    """Plays the plan on a founded platform. Districts act through their owners' accounts."""

    def __init__(self, plan: MarketPlan, config: ReplayConfig, net: NetImport) -> None:
        self.plan, self.config, self.net = plan, config, net
        self.record = Record()
        self.seller, self.buyer = (district.id for district in config.district)
        self.owner_of = {district.id: district.owner for district in config.district}
        self.hours = list(traded_hours(plan, config, net))
        self._unsettled = list(self.hours)
        self._nonce = 0
        self._operator, self._publisher = SigningKey.generate(), SigningKey.generate()
        self._founder: Founder | None = None

    def found(self, founder: Founder) -> None:
        """Money in escrow, trading keys, the grid operator, and who publishes imbalance prices."""
        self._founder = founder
        administrator = founder.accounts.administrator
        founder.enrol(self._operator, OPERATOR, "Grid operator", Role.GRID_OPERATOR)
        publisher = self._publisher.address, ADMINISTRATOR, Role.FACTOR_PUBLISHER
        self._do(founder.platform.enrol, administrator, *publisher)
        for district_id, owner in self.owner_of.items():
            key = founder.accounts.owners[owner]
            self._do(founder.platform.set_trading_key, key, district_id, key.address, True)
            self._pay_in(owner, key)
        self._pay_in(OPERATOR, self._operator)

    def save_trading_keys(self, folder: Path) -> Path:
        """Keystores of the districts' trading keys, so that a person can trade on; their password's file."""
        return save_keys({district_id: self._key(district_id) for district_id in self.owner_of}, folder)[1]

    def midnight(self, day: int) -> None:
        """All that is due when `day` begins."""
        self._settle_final()
        if day - 1 in self.plan.days and day - 1 != self.plan.unpublished_day:
            self._publish_imbalance(day - 1)
        for event in self.plan.events:
            if event.opening_day == day:
                self._open(event)
        if day in self.plan.days:
            self._trade(day)

    # --- trade

    def _trade(self, day: int) -> None:
        hours = [hour for hour in self.hours if day_of_hour(hour) == day]
        if not hours:
            return
        platform = self.founder.platform
        if day == self.plan.external_day:
            owner = self._key(self.seller)
            claim = self.seller, hours[0], EXTERNAL_WH
            self._do(platform.declare_external, owner, *claim, keccak(b"guarantee of origin 2019-05"))
            self.record.external_wh[self.seller, hours[0]] = EXTERNAL_WH
        calls = [call for place, hour in enumerate(hours) for call in self._orders(hour, place)]
        if day == self.plan.bilateral_day:
            calls.append(self._bilateral(hours[-1]))
        self._do(platform.place_many, self.founder.accounts.caller, calls)
        for hour in hours:
            self.founder.chain.mine(hour_start(hour) - BEFORE_DELIVERY_S)
            for with_attributes in (False, True):
                self._clear(book_number(hour, with_attributes))

    def _orders(self, hour: int, place: int) -> list[bytes]:
        """One book an hour, in turn with and without attributes: two offers meet three bids."""
        with_attributes = place % 2 == 0
        offered = (
            self.net.export_wh(self.seller, hour) * FORECAST_PERCENT[hour % len(FORECAST_PERCENT)] // 100
        )
        wanted = self.net.import_wh(self.buyer, hour)
        calls = []
        for district, is_bid, quantity_wh, prices in (
            (self.seller, False, offered, OFFER_PRICES),
            (self.buyer, True, wanted, BID_PRICES),
        ):
            for number, price in enumerate(prices):
                part = quantity_wh * (number + 1) // len(prices) - quantity_wh * number // len(prices)
                if part:
                    calls.append(self._order(district, hour, with_attributes, is_bid, part, price))
        return calls

    def _order(
        self, district_id: str, hour: int, with_attributes: bool, is_bid: bool, quantity_wh: int, price: int
    ) -> bytes:
        self._nonce += 1
        order = Order(district_id, hour, with_attributes, is_bid, quantity_wh, price, self._nonce, EXPIRY)
        domain = self.founder.platform.deployment.market_domain
        return encode_place_order(order, order.sign(self._key(district_id), domain))

    def _bilateral(self, hour: int) -> bytes:
        self._nonce += 1
        trade = BilateralTrade(
            self.seller, self.buyer, hour, False, BILATERAL_WH, BILATERAL_PRICE, self._nonce, EXPIRY
        )
        domain = self.founder.platform.deployment.market_domain
        signatures = (trade.sign(self._key(name), domain) for name in (self.seller, self.buyer))
        self.record.registered.append(RegisteredTrade(trade, trade.digest(domain)))
        return encode_register_trade(trade, *signatures)

    def _clear(self, book: int) -> None:
        orders = [
            order.in_book(order_hash)
            for order_hash, order in self.record.orders.items()
            if order.book == book
        ]
        if not orders:
            return
        cleared = clear(orders)
        sides = ([fill.order.id for fill in side] for side in (cleared.bids, cleared.offers))
        caller = self.founder.accounts.caller
        self._do(self.founder.platform.clear_book, caller, book, Outcome.of(cleared), *sides)

    def _publish_imbalance(self, day: int) -> None:
        first = first_hour(day)
        prices = [40_000 + 9_000 * place for place in range(HOURS_PER_DAY)]
        self._do(self.founder.platform.publish_imbalance, self._publisher, first, prices)
        self.record.imbalance |= {first + place: price for place, price in enumerate(prices)}

    # --- demand response

    def _open(self, event: PlannedEvent) -> None:
        platform = self.founder.platform
        terms = event.terms(self.config.zone, len(self.owner_of))
        (opened,) = (
            found
            for found in self._do(platform.open_event, self._operator, terms)
            if isinstance(found, EventOpened)
        )
        self.record.event_ids[opened.event_id] = event
        for district_id in self.owner_of:
            self._do(
                platform.enrol_district, self._key(district_id), opened.event_id, district_id, CAPACITY_WH
            )

    # --- settlement

    def _settle_final(self) -> None:
        platform, caller = self.founder.platform, self.founder.accounts.caller
        now_s = self.founder.chain.block().time_s
        while self._unsettled and now_s >= day_start(day_of_hour(self._unsettled[0]) + 1) + FINALITY_S:
            hour = self._unsettled.pop(0)
            trades = self.trades(hour)
            if not trades:
                continue
            external_wh = self.record.external_wh.get((self.seller, hour), 0)
            available_wh = platform.certified_net_export(self.seller, hour).available_wh(external_wh)
            sold_wh = sum(trade.quantity_wh for trade in trades)
            shares = share_out(
                min(available_wh, sold_wh), [(trade.trade_id, trade.quantity_wh) for trade in trades]
            )
            (shown,) = showings(trades, len(trades))
            self._do(platform.settle, caller, self.seller, hour, shares.cut, shown)
        for event_id, event in self.record.event_ids.items():
            enrolment = platform.enrolment(event_id, self.seller)
            if enrolment.is_paid or now_s < day_start(event.day + 1) + FINALITY_S:
                continue
            for step in (platform.measure_response, platform.pay_response):
                for district_id in self.owner_of:
                    self._do(step, caller, event_id, district_id)

    def trades(self, hour: int) -> list[Trade]:
        """What the seller sold in an hour, in the order in which the contract takes it."""
        record = self.record
        return trades_of_seller(self.seller, hour, record.registered, record.applied.values(), record.prices)

    # --- helpers

    @property
    def founder(self) -> Founder:
        """Of the world that `found` was given."""
        if self._founder is None:
            raise RuntimeError("found the month before it is played")
        return self._founder

    def _key(self, district_id: str) -> SigningKey:
        return self.founder.accounts.owners[self.owner_of[district_id]]

    def _pay_in(self, organisation: str, key: SigningKey) -> None:
        platform, administrator = self.founder.platform, self.founder.accounts.administrator
        self._do(platform.mint_tokens, administrator, key.address, DEPOSIT_MICRO_EUR)
        self._do(platform.approve_escrow, key, DEPOSIT_MICRO_EUR)
        self._do(platform.deposit, key, organisation, DEPOSIT_MICRO_EUR)
        self.record.deposited[organisation] = DEPOSIT_MICRO_EUR

    def _do(self, call: Callable[..., bytes], *arguments: Any) -> list[Event]:
        founder = self.founder
        events = founder.platform.events(founder.chain.wait(call(*arguments, gas=GAS)).logs)
        for event in events:
            self.record.note(event)
        return events
