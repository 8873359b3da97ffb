"""`market`, on chain: what trading and demand response cost in gas, and orders per second onto the chain,
through the certifier's API and, beside it, by somebody who hands bundles of them to the chain himself.

Whole transactions on the embedded chain, each beside its floor: 21,000 gas, calldata, logs, 3,000 for each
signature that is recovered, and the storage slots that must be read or change, however it is done (cold:
2,100 to read, 5,000 to change, 22,100 to fill).
"""

import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

from certifier.store import Store
from contracts.boundary import GatewayBoundary
from contracts.chain import Chain, Receipt
from contracts.clearing import clear
from contracts.contract_calls import Role
from contracts.hour import DAY_S, HOURS_PER_DAY, day_start, format_time_utc, parse_day
from contracts.key import SigningKey
from contracts.market_calls import encode_place_order
from contracts.market_events import CallSkipped, OrderApplied, OrderRecorded
from contracts.market_rules_calls import MarketTerms
from contracts.order import Order
from contracts.order_document import SignedOrder
from contracts.outcome import Outcome
from contracts.platform import FINALITY_S, Platform, deploy_platform
from contracts.point import Kind, PointDeclaration
from contracts.pro_rata import NOBODY
from contracts.reading import OpenBatch, OpenSection, Record, Status, pack_open
from contracts.response import BaselineMethod, EventTerms
from contracts.settlement import AppliedOrder, BuyerHour, settle, showings, trades_of_seller
from scripts.benches.gas import CHANGE, ECRECOVER, FILL, READ, unavoidable
from scripts.benches.http_load import post_all
from scripts.benches.progress import Tell, tell_nobody
from scripts.replay.founding import GAS
from scripts.replay.processes import LOOPBACK, Supervisor, free_port, listening
from scripts.replay.results import wait_until_followed

FIRST_DAY: Final = "2024-03-04"
ZONE: Final = "zone-1"
SELLER, BUYER = "sun-hill", "old-town"
BOOK_ORDERS, TRADES, HISTORY_DAYS, EVENT_HOURS = 100, 4, 15, 4
PLACED_PER_TRANSACTION, CLIENTS = 50, 50
PRICE, DEVIATION, MOST_WH = 120_000, 25_000, 5_000
NET_WH = 40_001
EXPIRY = 2**32


def measure(orders: int = 1_000, tell: Tell = tell_nobody) -> dict[str, Any]:
    """Gas per order, seller-hour and district-hour; `orders_per_s` and `orders_per_s_chain_alone` are over
    `orders` orders each."""
    figures: dict[str, Any] = {}
    with (
        tempfile.TemporaryDirectory(prefix="ped-bench-") as name,
        Supervisor(Path(name) / "logs") as supervisor,
    ):
        market = exchange(Path(name), supervisor)
        tell("orders placed", 0, 5)
        _rate(market, orders, figures)
        tell("orders placed through the API", 1, 5)
        _rate_of_api(market, orders, figures, Path(name), supervisor)
        tell("a book cleared", 2, 5)
        _clearing(market, figures)
        tell("an hour settled", 3, 5)
        _settlement(market, figures)
        tell("a demand-response event", 4, 5)
        _response(market, figures)
    return figures


@dataclass
class Exchange:
    """Two districts and a grid operator on an embedded chain of their own."""

    chain: Chain
    platform: Platform
    administrator: SigningKey
    keys: dict[str, SigningKey]
    day: int
    """First day of the boundaries; the clock stands the day before."""
    random: Random = field(default_factory=lambda: Random(1))

    def do(self, transaction: bytes) -> Receipt:
        """Wait until a transaction has succeeded."""
        return self.chain.wait(transaction)

    def order(self, hour: int, is_bid: bool, quantity_wh: int, price: int) -> Order:
        """An order of the district that buys or of the one that sells."""
        district = BUYER if is_bid else SELLER
        return Order(district, hour, False, is_bid, quantity_wh, price, self.random.getrandbits(64), EXPIRY)

    def random_order(self, hour: int) -> Order:
        """An order around the middle price."""
        price = max(0, round(self.random.gauss(PRICE, DEVIATION)))
        return self.order(hour, self.random.random() < 0.5, self.random.randint(1, MOST_WH), price)

    def signed(self, order: Order) -> SignedOrder:
        """An order signed by its district."""
        domain = self.platform.deployment.market_domain
        return SignedOrder(order, domain, order.sign(self.keys[order.district_id], domain))

    def call(self, order: Order) -> bytes:
        """Calldata that records an order."""
        signed = self.signed(order)
        return encode_place_order(signed.order, signed.signature)

    def place(self, orders: Sequence[Order]) -> tuple[dict[bytes, Order], Receipt]:
        """Record orders in one transaction: the orders by hash."""
        receipt = self.do(
            self.platform.place_many(self.administrator, [self.call(order) for order in orders], gas=GAS)
        )
        events = self.platform.events(receipt.logs)
        skipped = [event for event in events if isinstance(event, CallSkipped)]
        if skipped:
            raise RuntimeError(f"{len(skipped)} orders were refused, the first: {skipped[0]}")
        recorded = [event for event in events if isinstance(event, OrderRecorded)]
        return {event.order_hash: event.order for event in recorded}, receipt

    def read_out(self, district: str, day: int, net_import_wh: int) -> None:
        """A day's readings: the same net import in every hour."""
        drawn, supplied = max(0, net_import_wh), max(0, -net_import_wh)
        records = (Record(Status.MEASURED, drawn, supplied), Record(Status.MEASURED, supplied, drawn))
        batch = OpenBatch(
            f"{district}-gateway", day, 1, 0, pack_open([OpenSection(hour, records) for hour in range(24)])
        )
        signature = batch.sign(self.keys[district], self.platform.deployment.signing_domain)
        self.do(self.platform.record_open(self.administrator, batch, signature, gas=GAS))


def _rate(market: Exchange, count: int, figures: dict[str, Any]) -> None:
    """Signed orders onto the chain, many in a transaction; signing is not counted."""
    hour = HOURS_PER_DAY * (market.day + 2)
    calls = [market.call(market.random_order(hour)) for _ in range(count)]
    began = time.perf_counter()
    for first in range(0, count, PLACED_PER_TRANSACTION):
        call = market.platform.place_many(
            market.administrator, calls[first : first + PLACED_PER_TRANSACTION], gas=GAS
        )
        receipt = market.do(call)
    figures["orders_per_s_chain_alone"] = round(count / (time.perf_counter() - began), 1)
    skipped = [event for event in market.platform.events(receipt.logs) if isinstance(event, CallSkipped)]
    if skipped:
        raise RuntimeError(f"{len(skipped)} orders were refused, the first: {skipped[0]}")


def _rate_of_api(
    market: Exchange, count: int, figures: dict[str, Any], folder: Path, supervisor: Supervisor
) -> None:
    """As many signed orders, one a request, from many clients at once; each answer waits for its block."""
    deployment, keystore, password = folder / "deployment.json", folder / "relayer.json", folder / "password"
    market.platform.deployment.save(deployment)
    secret = secrets.token_hex()
    SigningKey.generate().save(keystore, secret)
    password.write_text(secret)
    port, database = free_port(), f"sqlite:///{folder / 'certifier.sqlite'}"
    command = [
        *(sys.executable, "-m", "scripts.command_line", "certifier", "serve", "--port", str(port)),
        *("--deployment", str(deployment), "--database", database),
        *("--relayer-keystore", str(keystore), "--relayer-password-file", str(password)),
    ]
    server = supervisor.start("certifier", command, lambda: listening(port))
    store = Store(database)
    wait_until_followed(store, market.chain)
    store.close()
    hour = HOURS_PER_DAY * (market.day + 3)
    documents = [market.signed(market.random_order(hour)).to_json() for _ in range(count)]
    taken_s = post_all(LOOPBACK, port, "/v1/orders", documents, CLIENTS)
    server.stop()
    figures["orders_per_s"] = round(count / taken_s, 1)
    figures["orders_per_s_clients"] = CLIENTS


def _clearing(market: Exchange, figures: dict[str, Any]) -> None:
    """A book of 100 orders: recorded, verified and applied, each in one transaction."""
    platform, key = market.platform, market.administrator
    hour = HOURS_PER_DAY * market.day + 8
    orders, receipt = market.place([market.random_order(hour) for _ in range(BOOK_ORDERS)])
    # an order's word is filled and its owner's account changes; the same slots are warm for the next order
    _per(figures, "place_gas_per_order", receipt, BOOK_ORDERS)
    _floor(market, figures, "place_gas_per_order", receipt, BOOK_ORDERS, BOOK_ORDERS * (ECRECOVER + FILL))
    cleared = clear(order.in_book(order_hash) for order_hash, order in orders.items())
    outcome = Outcome.of(cleared)
    hashes = [[fill.order.id for fill in side] for side in (cleared.bids, cleared.offers)]
    market.chain.mine(platform.gate_closes_at(hour) + 60)
    verified = market.do(platform.propose_outcome(key, 2 * hour, outcome, *hashes, gas=GAS))
    applied = market.do(platform.apply_outcome(key, 2 * hour, *hashes, gas=GAS))
    for name, receipt, each in (("verify", verified, READ), ("apply", applied, CHANGE)):
        _per(figures, f"{name}_gas_per_order", receipt, BOOK_ORDERS)
        _floor(market, figures, f"{name}_gas_per_order", receipt, BOOK_ORDERS, BOOK_ORDERS * each)


def _settlement(market: Exchange, figures: dict[str, Any]) -> None:
    """An hour of a seller that sold to several bids and delivered nine tenths, settled in one transaction."""
    platform, key = market.platform, market.administrator
    hour = HOURS_PER_DAY * market.day + 10
    sold_wh = NET_WH * 10 // 9
    part_wh = sold_wh // TRADES
    orders, _ = market.place(
        [
            market.order(hour, False, part_wh * TRADES, PRICE),
            *(market.order(hour, True, part_wh, PRICE) for _ in range(TRADES)),
        ]
    )
    cleared = clear(order.in_book(order_hash) for order_hash, order in orders.items())
    hashes = [[fill.order.id for fill in side] for side in (cleared.bids, cleared.offers)]
    market.chain.mine(platform.gate_closes_at(hour) + 60)
    receipt = market.do(platform.clear_book(key, 2 * hour, Outcome.of(cleared), *hashes, gas=GAS))
    applied = [
        AppliedOrder(orders[event.order_hash], event.order_hash, event.fill_wh, event.start_wh)
        for event in platform.events(receipt.logs)
        if isinstance(event, OrderApplied)
    ]
    market.chain.mine(day_start(market.day + 1) + 300)
    market.read_out(SELLER, market.day, -NET_WH)
    market.read_out(BUYER, market.day, NET_WH)
    market.chain.mine(day_start(market.day + 1) + FINALITY_S + 60)
    trades = trades_of_seller(SELLER, hour, [], applied, {2 * hour: PRICE})
    buyers = {BUYER: BuyerHour(NET_WH, 0)}
    settled = settle(trades, NET_WH, PRICE, MarketTerms("authority").bond_micro_eur_per_kwh, buyers)
    if settled.cut == NOBODY:
        raise RuntimeError("the hour to settle is no shortfall with a remainder")
    (shown,) = showings(trades, TRADES)
    receipt = market.do(platform.settle(key, SELLER, hour, settled.cut, shown, gas=GAS))
    figures["settle_gas_per_seller_hour"] = receipt.gas_used
    # read: sold, the ledger's hour, its boundary, the imbalance price, each order; change: both accounts;
    # fill: record and claims of the hour
    slots = (4 + 1 + TRADES) * READ + 2 * CHANGE + 2 * FILL
    figures["settle_gas_per_seller_hour_floor"] = unavoidable(market.chain, receipt) + slots
    figures["settle_trades_per_seller_hour"] = TRADES


def _response(market: Exchange, figures: dict[str, Any]) -> None:
    """A district measured in an event of four hours, its baseline from ten days."""
    platform, first = market.platform, market.day + 1
    operator = market.keys["grid"]
    event_day = first + HISTORY_DAYS
    for day in range(first, event_day + 1):
        if day == event_day:
            start = HOURS_PER_DAY * day + 15
            market.chain.mine(start * 3600 - 3600 + 60)
            terms = EventTerms(
                zone=ZONE,
                increase=False,
                method=BaselineMethod.TEN_OF_TEN,
                start_hour=start,
                hour_count=EVENT_HOURS,
                requested_wh=NET_WH,
                price_micro_eur_per_kwh=PRICE,
                penalty_micro_eur_per_kwh=PRICE,
                enrol_until=start * 3600 - 1800,
                notice_s=900,
            )
            market.do(platform.open_event(operator, terms, gas=GAS))
            event = platform.event_count()
            market.do(platform.enrol_district(market.keys[BUYER], event, BUYER, NET_WH // 4, gas=GAS))
        market.chain.mine(max(market.chain.block().time_s + 1, day_start(day + 1) + 300))
        market.read_out(BUYER, day, NET_WH if day < event_day else NET_WH * 3 // 4)
    market.chain.mine(day_start(event_day + 1) + FINALITY_S + 60)
    receipt = market.do(platform.measure_response(market.administrator, event, BUYER, gas=GAS))
    _per(figures, "baseline_gas_per_district_hour", receipt, EVENT_HOURS)
    hours = 10 * (EVENT_HOURS + 3) + 3 + EVENT_HOURS
    slots = hours * READ + CHANGE + FILL
    _floor(market, figures, "baseline_gas_per_district_hour", receipt, EVENT_HOURS, slots)


def _per(figures: dict[str, Any], name: str, receipt: Receipt, count: int) -> None:
    figures[name] = round(receipt.gas_used / count)


def _floor(
    market: Exchange, figures: dict[str, Any], name: str, receipt: Receipt, count: int, slots: int
) -> None:
    figures[f"{name}_floor"] = round((unavoidable(market.chain, receipt) + slots) / count)


def exchange(folder: Path, supervisor: Supervisor) -> Exchange:
    """Start an embedded chain in `folder` and found the districts on it."""
    port, day = free_port(), parse_day(FIRST_DAY)
    genesis = format_time_utc(day_start(day) - 3 * DAY_S)
    command = [
        *(sys.executable, "-m", "scripts.command_line", "chain", "serve"),
        *("--data", str(folder / "chain"), "--port", str(port), "--genesis-time", genesis),
    ]
    supervisor.start("chain", command, lambda: listening(port))
    chain = Chain(f"http://{LOOPBACK}:{port}", gas_price_wei=0)
    administrator = SigningKey.generate()
    deployment = deploy_platform(chain, administrator, "authority", "Authority", gas=GAS)
    platform = Platform(chain, deployment)
    market = Exchange(chain, platform, administrator, {}, day)
    _found(market)
    return market


def _found(market: Exchange) -> None:
    platform, administrator = market.platform, market.administrator

    def account(name: str, organisation: str, role: Role) -> None:
        market.keys[name] = key = SigningKey.generate()
        money = 10**12
        market.do(platform.register_organisation(administrator, organisation, organisation, gas=GAS))
        market.do(platform.enrol(administrator, key.address, organisation, role, gas=GAS))
        market.do(platform.mint_tokens(administrator, key.address, money, gas=GAS))
        market.do(platform.approve_escrow(key, money, gas=GAS))
        market.do(platform.deposit(key, organisation, money, gas=GAS))

    account("grid", "grid", Role.GRID_OPERATOR)
    account("operator", "operator", Role.METER_OPERATOR)
    operator = market.keys["operator"]
    for district in (SELLER, BUYER):
        account(district, f"{district}-owner", Role.DISTRICT_OWNER)
        key, gateway = market.keys[district], f"{district}-gateway"
        market.do(
            platform.register_district(
                administrator, district, ZONE, f"{district}-owner", "operator", gas=GAS
            )
        )
        market.do(platform.register_gateway(operator, gateway, district, key.address, gas=GAS))
        points = (
            PointDeclaration(f"{district}-grid", Kind.GRID, 100_000),
            PointDeclaration(
                f"{district}-plant", Kind.GENERATION if district == SELLER else Kind.LOAD, 100_000
            ),
        )
        boundary = GatewayBoundary(gateway, points, ())
        market.do(platform.publish_boundary(operator, district, market.day, [boundary], gas=GAS))
        market.do(platform.set_trading_key(key, district, key.address, True, gas=GAS))
