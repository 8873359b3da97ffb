"""A day of trading and a demand-response event as the logs tell it: event objects in blocks, without a chain.

Two sellers and two buyers of one zone trade the noon hours in both books, one seller delivers less than it
sold, and a grid operator's event is answered by two districts. Amounts are what the rules give, computed with
`contracts`; a test changes one of them to see the alarm.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from certifier.market_projection import MarketRules
from certifier.projection import BlockEvents, LoggedEvent
from contracts import events, market_events, response_events
from contracts.account import Account
from contracts.baseline import (
    History,
    compute_baseline,
    deposit_micro_eur,
    hour_pay_micro_eur,
    hour_penalty_micro_eur,
    response_wh,
)
from contracts.clearing import clear
from contracts.hour import DAY_S, HOUR_S, day_start, first_hour
from contracts.keccak import keccak
from contracts.key import SigningKey
from contracts.market_rules_calls import MarketTerms
from contracts.order import BilateralTrade, MarketDomain, Order
from contracts.outcome import Outcome
from contracts.point import Kind, PointDeclaration
from contracts.reading import OpenBatch, OpenSection, Record, SigningDomain, Status, pack_open
from contracts.response import BaselineMethod, EventTerms
from contracts.scheme import Scheme, StaticFactors
from contracts.settlement import (
    AppliedOrder,
    BuyerHour,
    RegisteredTrade,
    settle,
    trades_of_seller,
)

CHAIN_ID = 1337
LEDGER = "0x00000000000000000000000000000000000000A1"
MARKET = "0x00000000000000000000000000000000000000b2"
RULES = MarketRules(MARKET, MarketTerms("market-rules"))
BOND = RULES.terms.bond_micro_eur_per_kwh
FIRST_DAY = 18_000
TRADING_DAY = FIRST_DAY + 9
NOON = first_hour(TRADING_DAY) + 12
DISTRICTS = {"north": "coop-north", "west": "coop-west", "south": "coop-south", "east": "coop-east"}
DEPOSIT = 50_000_000
ZONE = "la-palma"
ASSESSED = ("north", "east")
IMPORT_FACTOR, EXPORT_FACTOR = 2_500, 2_300

Change = Callable[[events.Event], events.Event]


def key(name: str) -> SigningKey:
    """A key that is the same in every run."""
    return SigningKey(keccak(b"trading story " + name.encode()))


def net_export_wh(district: str, hour: int) -> int:
    """What a district exports (negative: imports) in an hour."""
    clock = hour % 24
    sun = max(0, 6 - abs(clock - 12))
    base = {"north": 6_000 * sun - 2_000, "west": 3_000 * sun - 1_000, "south": -9_000, "east": -7_000}
    wobble = 37 * (hour // 24 % 7) + 11 * clock
    return base[district] - wobble


@dataclass
class Story:
    """Blocks that grow; `change` alters an event before it is told."""

    change: Change = lambda event: event
    blocks: list[BlockEvents] = field(default_factory=list)
    orders: dict[bytes, Order] = field(default_factory=dict)
    applied: list[AppliedOrder] = field(default_factory=list)
    registered: list[RegisteredTrade] = field(default_factory=list)
    prices: dict[int, int] = field(default_factory=dict)

    @property
    def domain(self) -> MarketDomain:
        """What orders are signed for."""
        return MarketDomain(CHAIN_ID, MARKET)

    def tell(self, time_s: int, *transactions: Iterable[events.Event]) -> None:
        """A block of transactions."""
        number = len(self.blocks) + 1
        logged, index = [], 0
        for place, transaction in enumerate(transactions):
            transaction_hash = "0x" + keccak(f"{number}/{place}".encode()).hex()
            for event in transaction:
                logged.append(LoggedEvent(index, transaction_hash, self.change(event)))
                index += 1
        block_hash = "0x" + keccak(f"block {number}".encode()).hex()
        self.blocks.append(BlockEvents(number, block_hash, time_s, tuple(logged)))

    def begin(self) -> None:
        """Organisations, districts, boundaries, deposits and trading keys."""
        registry: list[events.Event] = [events.OrganisationRegistered("grid-co", "Grid Company")]
        money: list[events.Event] = [
            market_events.Deposited(Account("grid-co"), key("grid-co").address, DEPOSIT)
        ]
        for district, owner in DISTRICTS.items():
            gateway = f"{district}-gw"
            grid = PointDeclaration(f"{district}-grid", Kind.GRID, 100_000)
            registry += [
                events.OrganisationRegistered(owner, f"Cooperative of the {district.title()}"),
                events.DistrictRegistered(district, ZONE, owner, "metering", 5),
                events.GatewayRegistered(gateway, district, key(gateway).address),
                events.GatewayBoundaryPublished(district, gateway, 1, FIRST_DAY, "", "", (grid,), ()),
                events.BoundaryPublished(district, 1, FIRST_DAY, FIRST_DAY),
                market_events.TradingKeySet(district, key(district).address, True),
            ]
            money.append(market_events.Deposited(Account(owner), key(owner).address, DEPOSIT))
        self.tell(day_start(FIRST_DAY) - DAY_S, registry, money, self._assessments())

    def _assessments(self) -> list[events.Event]:
        """Assessments of one seller and one buyer, with static factors."""
        factors = StaticFactors(IMPORT_FACTOR, 2400, 700, EXPORT_FACTOR, 2400, 700)
        scheme = Scheme(non_renewable=False, is_static=True, f_min=0, f_max=3000, g_min=0, g_max=1000)
        return [
            events.SchemeRegistered("static", scheme),
            events.VintageCreated("fixed", "", "grid-co", 0, 0, 3000, 1000, factors, ()),
            *(
                events.AssessmentOpened(
                    keccak(f"assessment of {district}".encode()), district, "static", "fixed", FIRST_DAY
                )
                for district in ASSESSED
            ),
        ]

    def record(self, day: int, changed: dict[tuple[str, int], int] | None = None) -> None:
        """The readings of a day, an hour after it; `changed` gives other net exports by district and hour."""
        batches: list[list[events.Event]] = []
        for district in DISTRICTS:
            gateway = f"{district}-gw"
            sections = []
            for clock in range(24):
                hour = first_hour(day) + clock
                net = (changed or {}).get((district, hour), net_export_wh(district, hour))
                sections.append(OpenSection(clock, (Record(Status.MEASURED, max(0, -net), max(0, net)),)))
            batch = OpenBatch(gateway, day, 1, 0, pack_open(sections))
            signature = batch.sign(key(gateway), SigningDomain(CHAIN_ID, LEDGER))
            batches.append(
                [
                    events.OpenBatchRecorded(
                        gateway, district, day, 1, 0, key(gateway).address, batch.payload, signature
                    )
                ]
            )
        self.tell(day_start(day + 1) + HOUR_S, *batches)

    def order(
        self, district: str, side: str, hour: int, quantity_wh: int, price: int, attributes: bool = False
    ) -> list[events.Event]:
        """A signed order with what it holds."""
        order = Order(district, hour, attributes, side == "bid", quantity_wh, price, len(self.orders), 2**40)
        digest = order.digest(self.domain)
        self.orders[digest] = order
        rate = price if order.is_bid else BOND
        return [
            market_events.Held(Account(DISTRICTS[district]), False, up(quantity_wh * rate)),
            market_events.OrderRecorded(
                digest, order.book, district, order, order.sign(key(district), self.domain)
            ),
        ]

    def cancel(self, digest: bytes) -> list[events.Event]:
        """A cancellation with what it gives back."""
        order = self.orders.pop(digest)
        rate = order.price_micro_eur_per_kwh if order.is_bid else BOND
        owner = Account(DISTRICTS[order.district_id])
        return [
            market_events.Unheld(owner, False, up(order.quantity_wh * rate)),
            market_events.OrderCancelled(digest, order.book, key(order.district_id).address),
        ]

    def trade(self, seller: str, buyer: str, hour: int, quantity_wh: int, price: int) -> list[events.Event]:
        """A bilateral trade with what it holds."""
        trade = BilateralTrade(seller, buyer, hour, False, quantity_wh, price, 1, 2**40)
        digest = trade.digest(self.domain)
        self.registered.append(RegisteredTrade(trade, digest))
        return [
            market_events.Held(Account(DISTRICTS[seller]), False, up(quantity_wh * BOND)),
            market_events.Held(Account(DISTRICTS[buyer]), False, up(quantity_wh * price)),
            market_events.TradeRegistered(
                digest,
                seller,
                buyer,
                trade,
                trade.sign(key(seller), self.domain),
                trade.sign(key(buyer), self.domain),
            ),
        ]

    def clear(self, book: int) -> list[events.Event]:
        """A book cleared and applied in one transaction."""
        found = clear(order.in_book(digest) for digest, order in self.orders.items() if order.book == book)
        outcome = Outcome.of(found)
        price = outcome.price_micro_eur_per_kwh
        self.prices[book] = price
        told: list[events.Event] = [
            market_events.ClearingStep(book, key("proposer").address, 0, len(found.bids), len(found.offers)),
            market_events.BookCleared(book, key("proposer").address, outcome),
        ]
        bought: dict[str, int] = {}
        for side in (found.bids, found.offers):
            start = 0
            for item, fill_wh in side:
                order = self.orders[item.id]
                before = bought.get(order.district_id, 0) if order.is_bid and order.with_attributes else 0
                if order.is_bid and order.with_attributes:
                    bought[order.district_id] = before + fill_wh
                told.append(market_events.OrderApplied(item.id, book, fill_wh, start, before))
                limit = order.price_micro_eur_per_kwh if order.is_bid else BOND
                kept = price if order.is_bid else BOND
                back = up(order.quantity_wh * limit) - up(fill_wh * kept)
                if back:
                    told.append(market_events.Unheld(Account(DISTRICTS[order.district_id]), False, back))
                self.applied.append(AppliedOrder(order, item.id, fill_wh, start, before))
                start += fill_wh
        return told

    def settle(self, seller: str, hour: int) -> list[events.Event]:
        """A seller's hour settled in one transaction."""
        sold = trades_of_seller(seller, hour, self.registered, self.applied, self.prices)
        certified = max(0, net_export_wh(seller, hour))
        bought: dict[str, int] = {}
        for item in self.applied:
            if item.order.is_bid and item.order.with_attributes and item.order.hour == hour:
                district = item.order.district_id
                bought[district] = bought.get(district, 0) + item.fill_wh
        buyers = {
            district: BuyerHour(max(0, -net_export_wh(district, hour)), wh) for district, wh in bought.items()
        }
        hour_ = settle(sold, certified, BOND, BOND, buyers)
        total = sum(trade.quantity_wh for trade in sold)
        told: list[events.Event] = [market_events.SettlementProven(seller, hour, 1, total, certified)]
        moved: dict[str, int] = {}
        for settled in hour_.trades:
            trade = settled.trade
            buyer, owner = Account(DISTRICTS[trade.buyer_district_id]), Account(DISTRICTS[seller])
            movements = [
                (settled.paid_micro_eur, market_events.Paid(buyer, owner, False, settled.paid_micro_eur)),
                (settled.refunded_micro_eur, market_events.Unheld(buyer, False, settled.refunded_micro_eur)),
                (
                    settled.compensation_micro_eur,
                    market_events.Paid(owner, buyer, False, settled.compensation_micro_eur),
                ),
                (
                    settled.bond_returned_micro_eur,
                    market_events.Unheld(owner, False, settled.bond_returned_micro_eur),
                ),
            ]
            told += [event for amount, event in movements if amount]
            told.append(
                market_events.TradeSettled(
                    trade.trade_id,
                    seller,
                    trade.buyer_district_id,
                    hour,
                    trade.with_attributes,
                    trade.price_micro_eur_per_kwh,
                    trade.quantity_wh,
                    settled.delivered_wh,
                    settled.attributes_wh,
                    settled.paid_micro_eur,
                    settled.refunded_micro_eur,
                    settled.compensation_micro_eur,
                )
            )
            if settled.attributes_wh:
                district = trade.buyer_district_id
                moved[district] = moved.get(district, 0) + settled.attributes_wh
        delivered = sum(settled.delivered_wh for settled in hour_.trades)
        told.append(market_events.DeliveryBooked(seller, hour, delivered))
        if moved:
            told.append(market_events.AttributesBooked(seller, hour, sum(moved.values()), 0))
            told += [market_events.AttributesBooked(buyer, hour, 0, wh) for buyer, wh in moved.items()]
        told.append(market_events.HourSettled(seller, hour, 1))
        return told

    def measure(self, district: str, opened_s: int, changed: dict[tuple[str, int], int]) -> tuple[int, ...]:
        """A district measured after its day is final; what counts per hour, Wh."""
        known = {
            hour: -net_export_wh(district, hour)
            for hour in range(first_hour(FIRST_DAY), first_hour(TRADING_DAY))
        }
        found = compute_baseline(
            History(known, FIRST_DAY), EVENT.method, EVENT.increase, EVENT.hours, opened_s
        )
        assert found.baseline_wh is not None
        measured = tuple(-changed[district, hour] for hour in EVENT.hours)
        counts = tuple(
            response_wh(baseline, measured[place], ENROLLED[district], False, 100)
            for place, baseline in enumerate(found.baseline_wh)
        )
        told_: list[events.Event] = [
            response_events.Measured(1, district, found.baseline_wh, measured, counts)
        ]
        told_ += [
            market_events.ResponseBooked(district, hour, wh)
            for hour, wh in zip(EVENT.hours, counts, strict=True)
        ]
        time_s = max(self.blocks[-1].time_s, day_start(TRADING_DAY + 8)) + 60
        self.tell(time_s, told_)
        return counts

    def pay(self, responses: dict[str, tuple[int, ...]], deposits: dict[str, int]) -> int:
        """All districts paid; what it cost the operator, micro-euro."""
        hourly = [
            dict(
                zip(
                    responses,
                    hour_pay_micro_eur(
                        EVENT.price_micro_eur_per_kwh,
                        EVENT.requested_wh,
                        [counts[place] for counts in responses.values()],
                    ),
                    strict=True,
                )
            )
            for place in range(EVENT.hour_count)
        ]
        spent = 0
        for district, counts in responses.items():
            owner = Account(DISTRICTS[district])
            paid = sum(hour[district] for hour in hourly)
            penalty = sum(
                hour_penalty_micro_eur(EVENT.penalty_micro_eur_per_kwh, ENROLLED[district], wh)
                for wh in counts
            )
            back = deposits[district] - penalty
            movements = [
                (paid, market_events.Paid(Account("grid-co"), owner, True, paid)),
                (penalty, market_events.Paid(owner, Account("grid-co"), True, penalty)),
                (back, market_events.Unheld(owner, True, back)),
            ]
            self.tell(
                self.blocks[-1].time_s + 60,
                [
                    *(event for amount, event in movements if amount),
                    response_events.ResponsePaid(1, district, paid, penalty, back),
                ],
            )
            spent += paid
        return spent


def up(amount: int) -> int:
    """Thousandths rounded up."""
    return -(-amount // 1000)


def told(change: Change = lambda event: event, days_before: int = 1) -> Story:
    """The whole story, with the readings of so many days before the trading."""
    story = Story(change)
    story.begin()
    for day in range(TRADING_DAY - days_before, TRADING_DAY):
        story.record(day)
    before = day_start(TRADING_DAY) - 3 * HOUR_S
    for hour in (NOON - 1, NOON, NOON + 1):
        story.tell(
            before,
            story.order("north", "offer", hour, 20_000, 60_000),
            story.order("north", "offer", hour, 12_000, 95_000),
            story.order("west", "offer", hour, 16_000, 80_000),
            story.order("south", "bid", hour, 9_000, 140_000),
            story.order("south", "bid", hour, 8_000, 95_000),
            story.order("east", "bid", hour, 14_000, 110_000),
            story.order("east", "bid", hour, 9_500, 70_000),
            story.order("north", "offer", hour, 2_500, 90_000, attributes=True),
            story.order("east", "bid", hour, 2_000, 150_000, attributes=True),
        )
        before += 60
    last = next(reversed(story.orders))
    story.tell(before, story.cancel(last), story.trade("west", "south", NOON + 1, 3_000, 100_000))
    for hour in (NOON - 1, NOON, NOON + 1):
        for attributes in (0, 1):
            story.tell(hour * HOUR_S - HOUR_S + 600, story.clear(2 * hour + attributes))
    story.record(TRADING_DAY)
    story.tell(
        day_start(TRADING_DAY + 1) + 2 * HOUR_S,
        [market_events.ImbalancePublished(first_hour(TRADING_DAY), (BOND,) * 24)],
    )
    final = day_start(TRADING_DAY + 8) + HOUR_S
    for hour in (NOON - 1, NOON, NOON + 1):
        story.tell(final, story.settle("north", hour), story.settle("west", hour))
        final += 60
    return story


EVENING = first_hour(TRADING_DAY) + 18
EVENT = EventTerms(
    ZONE, False, BaselineMethod.TEN_OF_TEN, EVENING, 3, 6_000, 200_000, 300_000, EVENING * HOUR_S - 7200, 3600
)
ENROLLED = {"south": 4_000, "east": 3_000}
LESS_WH = {"south": (4_200, 3_900, 4_000), "east": (1_500, 0, 3_100)}
"""What each lowers its import by in the event's hours: one delivers, one about half."""


def responded(change: Change = lambda event: event, until: str = "paid") -> Story:
    """A demand-response event; `until` opened, enrolled, running, measured or paid."""
    story = Story(change)
    story.begin()
    for day in range(FIRST_DAY, TRADING_DAY):
        story.record(day)
    opened_s = story.blocks[-1].time_s + HOUR_S
    budget = EVENT.budget_micro_eur
    story.tell(
        opened_s,
        [
            market_events.Held(Account("grid-co"), True, budget),
            response_events.EventOpened(1, ZONE, "grid-co", EVENT, budget),
        ],
    )
    if until == "opened":
        return story
    deposits = {
        district: deposit_micro_eur(EVENT.penalty_micro_eur_per_kwh, capacity, EVENT.hour_count)
        for district, capacity in ENROLLED.items()
    }
    for district, capacity in ENROLLED.items():
        story.tell(
            story.blocks[-1].time_s + 60,
            [
                market_events.Held(Account(DISTRICTS[district]), True, deposits[district]),
                response_events.Enrolled(1, district, capacity, deposits[district], 6),
            ],
        )
    if until == "enrolled":
        return story
    changed = {
        (district, EVENING + place): net_export_wh(district, EVENING + place) + less
        for district, parts in LESS_WH.items()
        for place, less in enumerate(parts)
    }
    story.record(TRADING_DAY, changed)
    if until == "running":
        return story
    responses = {district: story.measure(district, opened_s, changed) for district in ENROLLED}
    if until == "measured":
        return story
    spent = story.pay(responses, deposits)
    story.tell(
        story.blocks[-1].time_s + 60,
        [
            market_events.Unheld(Account("grid-co"), True, budget - spent),
            response_events.EventSettled(1, spent, budget - spent),
        ],
    )
    return story
