"""A town whose districts trade: each of an owner of its own, with money in escrow and a grid meter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from contracts.chain import Chain
from contracts.clearing import Clearing, clear
from contracts.contract_calls import Role
from contracts.energy import BoundarySummary, Tolerance
from contracts.events import Event
from contracts.hour import HOURS_PER_DAY, day_of_hour, hour_of_day
from contracts.keccak import keccak
from contracts.key import SigningKey
from contracts.market_calls import encode_place_order, encode_register_trade
from contracts.market_events import CallSkipped, OrderApplied, OrderRecorded, TradeRegistered
from contracts.order import BilateralTrade, Order
from contracts.outcome import Outcome
from contracts.point import Kind
from contracts.reading import OpenBatch, Record, Status
from contracts.settlement import AppliedOrder, CertifiedHour, RegisteredTrade, certify
from contracts.tally import DayTally, summarise, tally_day
from tests.contracts.towns import ADMIN, CARRIER, GAS, Town, boundary_of, gateway_key, open_payload
from tests.contracts.worlds import HOURS, Meter, Site

DEPOSIT = 50_000_000
KINDS = (Kind.GRID, Kind.GENERATION, Kind.LOAD)
NAMEPLATE_W = 1000
EXPIRY = 2**40


@dataclass(frozen=True, eq=False)
class Trader:
    """A district with its owner."""

    district_id: str
    site: Site
    from_day: int
    readings: dict[int, tuple[Record, ...]] = field(default_factory=dict)
    """Records of its points by hour, as sent."""

    @property
    def owner(self) -> str:
        """Organisation."""
        return f"{self.district_id}-owner"

    @property
    def key(self) -> SigningKey:
        """Account of the owner; it also signs orders."""
        return SigningKey(keccak(self.owner.encode()))

    @property
    def boundary(self) -> BoundarySummary:
        """Its boundary, which never changes."""
        return summarise([boundary_of(self.site).tally])

    def tally(self, day: int) -> DayTally:
        """Sums of a day of what was sent."""
        first = HOURS_PER_DAY * day
        records = {
            (self.site.gateway_id, hour_of_day(hour)): self.readings[hour]
            for hour in range(first, first + HOURS_PER_DAY)
            if hour in self.readings
        }
        return tally_day({self.site.gateway_id: boundary_of(self.site).tally}, records, {})

    def certified(self, hour: int) -> CertifiedHour:
        """What the ledger certifies of an hour of what was sent."""
        sums = self.tally(day_of_hour(hour)).hours[hour_of_day(hour)]
        return certify(sums, self.boundary, Tolerance(200, 50))


class TradingTown(Town):
    """Districts that trade."""

    def __init__(self, chain: Chain) -> None:
        super().__init__(chain)
        self.orders: dict[bytes, Order] = {}
        self.applied: dict[bytes, AppliedOrder] = {}
        self.registered: list[RegisteredTrade] = []
        self.prices: dict[int, int] = {}

    def found_trader(self, district_id: str, from_day: int, deposit: int = DEPOSIT) -> Trader:
        """A district with an owner of its own, a trading key and money in escrow."""
        zeros = [0] * HOURS
        meters = [Meter(kind, NAMEPLATE_W, 0, zeros, zeros) for kind in KINDS]
        trader = Trader(district_id, Site(f"{district_id}-gateway", meters, []), from_day)
        platform, key = self.platform, trader.key
        self.do(platform.register_organisation(ADMIN, trader.owner, trader.owner, gas=GAS))
        self.do(platform.enrol(ADMIN, key.address, trader.owner, Role.DISTRICT_OWNER, gas=GAS))
        self.found_district(district_id, "zone", [trader.site], from_day, trader.owner)
        self.do(platform.set_trading_key(key, district_id, key.address, True, gas=GAS))
        self.pay_in(key, trader.owner, deposit)
        return trader

    def pay_in(self, key: SigningKey, organisation_id: str, amount: int) -> None:
        """New tokens in an organisation's account."""
        self.do(self.platform.mint_tokens(ADMIN, key.address, amount, gas=GAS))
        self.do(self.platform.approve_escrow(key, amount, gas=GAS))
        self.do(self.platform.deposit(key, organisation_id, amount, gas=GAS))

    def place(self, trader: Trader, order: Order) -> bytes:
        """Calldata that records an order of a trader."""
        return encode_place_order(order, order.sign(trader.key, self.platform.deployment.market_domain))

    def register(self, seller: Trader, buyer: Trader, trade: BilateralTrade) -> bytes:
        """Calldata that registers a bilateral trade."""
        domain = self.platform.deployment.market_domain
        return encode_register_trade(trade, trade.sign(seller.key, domain), trade.sign(buyer.key, domain))

    def send_readings(self, trader: Trader, day: int, records: Mapping[int, tuple[Record, ...]]) -> bytes:
        """The transaction that carries a day's readings (by hour of the day)."""
        batch = OpenBatch(trader.site.gateway_id, day, 1, 0, open_payload(records))
        for place, entry in records.items():
            trader.readings[HOURS_PER_DAY * day + place] = entry
        signature = batch.sign(gateway_key(trader.site.gateway_id), self.platform.deployment.signing_domain)
        return self.platform.record(CARRIER, batch, signature, gas=GAS)

    def clear(self, book: int) -> tuple[Clearing, Outcome]:
        """What a book's recorded orders clear."""
        orders = [
            order.in_book(order_hash) for order_hash, order in self.orders.items() if order.book == book
        ]
        cleared = clear(orders)
        return cleared, Outcome.of(cleared)

    def note(self, events: Sequence[Event]) -> None:
        """Remember what was recorded and applied."""
        for event in events:
            assert not isinstance(event, CallSkipped), event
            if isinstance(event, OrderRecorded):
                assert event.order_hash == event.order.digest(self.platform.deployment.market_domain)
                self.orders[event.order_hash] = event.order
            elif isinstance(event, OrderApplied):
                self.applied[event.order_hash] = AppliedOrder(
                    self.orders[event.order_hash],
                    event.order_hash,
                    event.fill_wh,
                    event.start_wh,
                    event.bought_before_wh,
                )
            elif isinstance(event, TradeRegistered):
                state = self.platform.trade_state(event.trade_hash)
                assert state.registered
                self.registered.append(RegisteredTrade(event.trade, event.trade_hash, state.bought_before_wh))


def random_hour(random: Random, surplus: bool) -> tuple[Record, ...]:
    """Grid, generation and load that conserve energy; sometimes a part is missing."""
    production = random.randint(300, 900) if surplus else random.randint(0, 200)
    consumption = random.randint(0, 300) if surplus else random.randint(100, 700)
    net = production - consumption
    records = [
        Record(Status.MEASURED, max(0, -net), max(0, net)),
        Record(Status.MEASURED, production, 0),
        Record(Status.MEASURED, 0, consumption),
    ]
    if random.random() < 0.05:
        place = random.randrange(3)
        records[place] = Record(Status.MISSING, 0, 0)
    return tuple(records)
