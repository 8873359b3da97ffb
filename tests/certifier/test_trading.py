"""Trading as a trader does it: signed on the client, carried by the server, recorded on a real chain."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from typer.testing import CliRunner

from certifier import escrow_queries, market_queries, queries, response_queries
from certifier.api.application import cached
from certifier.client import MarketClient, MarketRefused
from certifier.follower import Follower
from certifier.order_check import live_orders
from certifier.relay import MOST_CALLS, Relayer, RelayerClosed
from certifier.service import Settings, build_application
from certifier.sold import HourTrades
from certifier.store import Store
from certifier.trade_commands import commands
from contracts.boundary import GatewayBoundary
from contracts.chain import Chain
from contracts.clearing import clear
from contracts.contract_calls import Role
from contracts.errors import ContractError
from contracts.hour import DAY_S, HOUR_S, format_hour_utc
from contracts.keccak import keccak
from contracts.key import SigningKey
from contracts.market_calls import encode_place_order
from contracts.market_events import OrderRecorded
from contracts.order import BilateralTrade, MarketDomain, Order
from contracts.order_document import SignedOrder
from contracts.outcome import Outcome
from contracts.platform import Platform, deploy_platform
from contracts.point import Kind, PointDeclaration
from contracts.reading import Adjustment, OpenBatch, OpenSection, Record, Status, pack_open
from contracts.response import BaselineMethod, EventTerms
from contracts.settlement import BuyerHour, follow_up, settle, showings
from optimiser.strategy.market_view import fetch_position
from optimiser.strategy.source import open_client
from tests.contracts.nodes import GENESIS, EmbeddedNode

HOUR = GENESIS // HOUR_S + 12
MONEY = 10**9
PASSWORD = "a test's password"


def key(name: str) -> SigningKey:
    return SigningKey(keccak(b"trading " + name.encode()))


@dataclass
class Traded:
    """A platform with two districts that have money, followed and served."""

    platform: Platform
    store: Store
    follower: Follower
    url: str

    def send(self, call: Callable[..., bytes], sender: str, *arguments: Any) -> Any:
        return self.platform.chain.wait(call(key(sender), *arguments))

    def pay_in(self, treasurer: str, organisation: str) -> None:
        """Tokens for an account, and all of them into the escrow."""
        token = self.platform.deployment.address("SettlementToken")
        chain = self.platform.chain
        chain.wait(chain.send(key("admin"), token, "SettlementToken", "mint", key(treasurer).address, MONEY))
        self.send(self.platform.approve_escrow, treasurer, MONEY)
        self.send(self.platform.deposit, treasurer, organisation, MONEY)

    def record(self, district: str, day: int, payload: bytes) -> None:
        """Bring a day's readings to the ledger."""
        batch = OpenBatch(f"{district}-gw", day, 1, 0, payload)
        signature = batch.sign(key(f"{district}-gw"), self.platform.deployment.signing_domain)
        self.send(self.platform.record_open, "relayer", batch, signature)

    def catch_up(self) -> None:
        while self.follower.step():
            pass


def readings(
    day: int,
    less_wh: dict[int, int] | None = None,
    missing: int | None = None,
    exports_wh: dict[int, int] | None = None,
) -> bytes:
    """A day's imports, lowered by `less_wh` per hour of the day; one record can be missing, some hours can
    export instead."""
    sections = []
    for clock in range(24):
        import_wh = 9_000 + 37 * (day % 7) + 11 * clock - (less_wh or {}).get(clock, 0)
        record = Record(Status.MEASURED, import_wh, 0)
        if clock in (exports_wh or {}):
            record = Record(Status.MEASURED, 0, (exports_wh or {})[clock])
        sections.append(OpenSection(clock, (Record(Status.MISSING, 0, 0) if clock == missing else record,)))
    return pack_open(sections)


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traded]:
    folder: Path = tmp_path_factory.mktemp("trading")
    node = EmbeddedNode(folder / "chain", "--genesis-time", "2018-12-01")
    chain = Chain(node.url)
    chain.set_next_block_time(GENESIS + 60)
    deployment = deploy_platform(chain, key("admin"), "city", "City")
    platform = Platform(chain, deployment)
    store = Store(f"sqlite:///{folder / 'projection.sqlite'}")
    deployment_file, keystore = folder / "deployment.json", folder / "relayer.json"
    deployment.save(deployment_file)
    key("relayer").save(keystore, PASSWORD, iterations=2)
    (folder / "password").write_text(PASSWORD)
    settings = Settings(
        store.url,
        deployment_file,
        relayer_keystore=keystore,
        relayer_password_file=folder / "password",
    )
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(cached(build_application(settings)), log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    found = Traded(platform, store, Follower(platform, store), url)
    found.send(platform.register_organisation, "admin", "meters", "Meters")
    found.send(platform.enrol, "admin", key("reader").address, "meters", Role.METER_OPERATOR)
    for district in ("sunny", "shady"):
        owner, organisation = f"owner of {district}", f"coop-{district}"
        found.send(platform.register_organisation, "admin", organisation, organisation.title())
        found.send(platform.enrol, "admin", key(owner).address, organisation, Role.DISTRICT_OWNER)
        found.send(platform.register_district, "admin", district, "zone-1", organisation, "meters", 5)
        found.send(platform.set_trading_key, owner, district, key(district).address, True)
        found.pay_in(owner, organisation)
    found.catch_up()
    yield found
    server.should_exit = True
    thread.join()
    listener.close()
    node.stop()


@pytest.fixture(scope="module")
def sunny(traded: Traded) -> Iterator[MarketClient]:
    with MarketClient(traded.url, key("sunny")) as client:
        yield client


@pytest.fixture(scope="module")
def shady(traded: Traded) -> Iterator[MarketClient]:
    with MarketClient(traded.url, key("shady")) as client:
        yield client


def wait_for(condition: Callable[[], bool]) -> None:
    """The server's cache takes a moment to see a new revision."""
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_order_signed_here_is_recorded_there(
    traded: Traded, sunny: MarketClient, shady: MarketClient
) -> None:
    offered = sunny.place("sunny", "offer", HOUR, 20_000, 60_000)
    wanted = shady.place("shady", "bid", HOUR, 9_000, 140_000)
    traded.catch_up()
    wait_for(lambda: sunny.book(HOUR)["bids"] == 1)
    listed = {order["order_hash"]: order for order in sunny.orders("sunny")}
    assert listed[offered["identity"]]["transaction_hash"] == offered["transaction_hash"]
    assert shady.account("coop-shady")["held_trade_micro_eur"] == 9_000 * 140_000 // 1000
    assert traded.platform.order_state(bytes.fromhex(wanted["identity"][2:])).status == 1


def test_what_is_not_carried(traded: Traded, sunny: MarketClient, shady: MarketClient) -> None:
    signed = sunny.sign_order("sunny", "offer", HOUR, 1_000, 200_000)
    sunny.send(signed)
    elsewhere = MarketDomain(traded.platform.deployment.chain_id, key("nobody").address)
    order = Order("sunny", HOUR, False, False, 5, 5, 1, 2**33)
    foreign = SignedOrder(order, elsewhere, order.sign(key("sunny"), elsewhere))
    cases: list[tuple[int, str, Callable[[], object]]] = [
        (409, "OrderKnown", lambda: sunny.send(signed)),
        (403, "no trading key of sunny", lambda: shady.place("sunny", "offer", HOUR, 5, 5)),
        (409, "OwnOrdersOpposite", lambda: sunny.place("sunny", "bid", HOUR, 5, 5)),
        (409, "PriceAboveLimit", lambda: shady.place("shady", "bid", HOUR, 5, 5_000_001)),
        (409, "OrderExpired", lambda: shady.place("shady", "bid", HOUR, 5, 5, expiry_s=GENESIS)),
        (409, "InsufficientFree", lambda: shady.place("shady", "bid", HOUR, 4_000_000_000, 5_000_000)),
        (400, "this market is chain", lambda: sunny.send(foreign)),
        (404, "no order", lambda: sunny.cancel("0x" + "77" * 32)),
    ]
    for status, words, attempt in cases:
        with pytest.raises(MarketRefused, match=words) as refused:
            attempt()
        assert refused.value.status == status, words
    traded.catch_up()
    with pytest.raises(MarketRefused, match="no trading key of sunny"):
        shady.cancel(signed.digest.hex())
    sunny.cancel(signed.digest.hex())
    traded.catch_up()
    with pytest.raises(MarketRefused, match="OrderNotLive"):
        sunny.cancel(signed.digest.hex())


def test_what_is_declared_to_another_certificate_is_not_offered(traded: Traded) -> None:
    hour, evidence = HOUR + 3, keccak(b"guarantee of origin")
    traded.send(traded.platform.declare_external, "owner of sunny", "sunny", hour, 4_321, evidence)
    traded.catch_up()
    with open_client(traded.url) as client:
        wait_for(lambda: bool(fetch_position(client, "sunny", hour, hour + 1).declared_wh))
        position = fetch_position(client, "sunny", HOUR, HOUR + 24)
    assert position.declared_wh == {hour: 4_321}


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("orders", b"{", "cannot be read"),
        ("orders", b'{"domain": {}}', "missing required field"),
        ("orders", b"x" * 20_000, "more than"),
        ("cancellations", b"[]", "cannot be read"),
        ("trades", b"null", "cannot be read"),
        ("orders/batch", b"{}", "no JSON array"),
        ("orders/batch", b"[]", "give 1 to 200"),
    ],
)
def test_a_document_that_is_none(traded: Traded, path: str, body: bytes, words: str) -> None:
    answer = httpx2.post(f"{traded.url}/v1/{path}", content=body)
    assert answer.status_code in (400, 413)
    assert answer.headers["content-type"] == "application/problem+json"
    assert words in answer.json()["detail"]


def test_a_request_sent_again_is_answered_as_before(traded: Traded, shady: MarketClient) -> None:
    body = shady.sign_order("shady", "bid", HOUR, 700, 70_000).to_json()
    other = shady.sign_order("shady", "bid", HOUR, 701, 70_000).to_json()

    def post(content: bytes) -> Any:
        return httpx2.post(
            f"{traded.url}/v1/orders", content=content, headers={"Idempotency-Key": "one"}, timeout=60
        )

    first, again, reused = post(body), post(body), post(other)
    assert first.status_code == 201, first.text
    assert (again.status_code, again.content) == (201, first.content)
    assert reused.status_code == 409
    assert "was used for another request" in reused.json()["detail"]


def test_many_orders_travel_together(traded: Traded, shady: MarketClient, sunny: MarketClient) -> None:
    documents = [shady.sign_order("shady", "bid", HOUR, 10 + number, 80_000) for number in range(20)]
    wrong = sunny.sign_order("shady", "bid", HOUR, 5, 5)
    dear = shady.sign_order("shady", "bid", HOUR, 5, 5_000_001)
    answers = shady.send_many([*documents, wrong, dear])
    carried = answers[:20]
    assert [answer["identity"] for answer in carried] == ["0x" + signed.digest.hex() for signed in documents]
    assert len({answer["transaction_hash"] for answer in carried}) == 1
    assert (answers[20]["status"], answers[21]["status"]) == (403, 409)
    assert "PriceAboveLimit" in answers[21]["detail"]


def test_servers_that_share_a_relayer_carry_every_order_once(traded: Traded, shady: MarketClient) -> None:
    """As the workers of one server do: each has a relayer of its own, and all have the one account."""
    platform = traded.platform
    before = platform.chain.head()
    documents = [shady.sign_order("shady", "bid", HOUR, 100 + number, 60_000) for number in range(60)]
    relayers = [
        Relayer(Platform(Chain(platform.chain.url), platform.deployment), key("relayer")) for _ in "123"
    ]
    carried = [
        relayers[place % len(relayers)].carry(encode_place_order(signed.order, signed.signature))
        for place, signed in enumerate(documents)
    ]
    blocks = {
        signed.digest: found.result().block_number for signed, found in zip(documents, carried, strict=True)
    }
    for relayer in relayers:
        relayer.close()
    logs = platform.chain.logs(before + 1, platform.chain.head(), [platform.deployment.market])
    recorded = [event for event in platform.events(logs) if isinstance(event, OrderRecorded)]
    assert sorted(event.order_hash for event in recorded) == sorted(blocks)
    assert len(set(blocks.values())) >= len(relayers)


def test_a_relayer_carries_what_waits_before_it_ends(traded: Traded, shady: MarketClient) -> None:
    relayer = Relayer(traded.platform, key("relayer"))
    documents = [
        shady.sign_order("shady", "bid", HOUR, 10 + number, 50_000) for number in range(MOST_CALLS + 7)
    ]
    calls = [encode_place_order(signed.order, signed.signature) for signed in documents]
    waiting = [*relayer.carry_all(calls[:30]), *relayer.carry_all(calls[30:])]
    relayer.close()
    assert all(found.done() for found in waiting)
    together = [found.result().transaction_hash for found in waiting]
    assert len(set(together[:30])) == len(set(together[30:])) == 1
    with pytest.raises(RelayerClosed):
        relayer.carry(calls[0])


def test_a_bilateral_trade_is_signed_by_both(
    traded: Traded, sunny: MarketClient, shady: MarketClient
) -> None:
    trade = BilateralTrade("sunny", "shady", HOUR, True, 3_000, 100_000, 1, 2**33)
    proposed = sunny.propose_trade(trade, as_seller=True)
    with pytest.raises(MarketRefused, match="the buyer has not signed"):
        sunny.send(proposed)
    with pytest.raises(MarketRefused, match="no trading key of shady"):
        sunny.accept_trade(proposed)
    accepted = shady.accept_trade(proposed)
    traded.catch_up()
    assert traded.platform.trade_state(bytes.fromhex(accepted["identity"][2:])).registered
    wait_for(lambda: any(found["kind"] == "bilateral" for found in shady.trades("shady")))


def test_the_commands_of_a_trader(traded: Traded, tmp_path: Path) -> None:
    keystore, password = tmp_path / "key.json", tmp_path / "password"
    key("shady").save(keystore, PASSWORD, iterations=2)
    password.write_text(PASSWORD)
    signing = ["--key", str(keystore), "--password-file", str(password), "--url", traded.url]
    hour = format_hour_utc(HOUR)

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(commands, ["trade", *arguments])

    placed = run("bid", "shady", hour, "1500", "90000", *signing)
    assert placed.exit_code == 0, placed.output
    order_hash = json.loads(placed.stdout)["identity"]
    traded.catch_up()
    assert run("cancel", order_hash, *signing).exit_code == 0
    traded.catch_up()
    wait_for(lambda: "cancelled" in run("orders", "shady", "--json", "--url", traded.url).stdout)
    listed = json.loads(run("orders", "shady", "--json", "--url", traded.url).stdout)
    assert {order["order_hash"]: order["state"] for order in listed}[order_hash] == "cancelled"
    statement = json.loads(run("account", "coop-shady", "--json", "--url", traded.url).stdout)
    assert statement[-1]["kind"] == "release"
    table = run("account", "coop-shady", "--url", traded.url).stdout
    assert f"{statement[-1]['balance_micro_eur'] / 1e6:.6f}" in table  # narrow, but no digit is hidden
    assert "…" not in table
    nothing = run("orders", "shady", "--from", "2031-01-01", "--to", "2031-01-02", "--url", traded.url)
    assert nothing.stdout == "shady has no orders from 2031-01-01 to 2031-01-02\n"
    refused = run("offer", "shady", "noon", "1", "1", *signing)
    assert refused.exit_code == 1
    assert "'noon'" in str(refused.exception)


def test_the_book_clears_and_settles_as_we_compute_it(traded: Traded) -> None:
    """Nobody metered the hour, so nothing is delivered: the seller's bond pays, and all of it adds up."""
    platform, chain = traded.platform, traded.platform.chain
    chain.mine((HOUR - 1) * HOUR_S + 60)
    for attributes in (0, 1):
        book = 2 * HOUR + attributes
        with traded.store.read() as connection:
            found = clear(live_orders(connection, book))
        hashes = [[fill.order.id for fill in side] for side in (found.bids, found.offers)]
        traded.send(platform.clear_book, "relayer", book, Outcome.of(found), *hashes)
    traded.catch_up()
    chain.mine((HOUR // 24 + 1) * DAY_S + 8 * DAY_S)
    with traded.store.read() as connection:
        trades = HourTrades(connection, HOUR)
        sold = trades.of_seller("sunny")
        buyers = {"shady": BuyerHour(0, trades.bought_with_attributes_wh("shady"))}
    assert {trade.buyer_district_id for trade in sold} == {"shady"}
    settled = settle(sold, 0, 500_000, 500_000, buyers)
    for shown in showings(sold, 100):
        traded.send(platform.settle, "relayer", "sunny", HOUR, settled.cut, shown)
    traded.follower.catch_up()  # asks the chain for each account's balance too
    with traded.store.read() as connection:
        assert queries.alarms(connection) == []
        assert queries.status(connection).pending_checks == 0
        [hour] = market_queries.seller_hours(connection, "sunny", HOUR, HOUR + 1)
        accounts = {account.account: account for account in escrow_queries.accounts(connection)}
    assert (hour.state, hour.delivered_wh, hour.paid_micro_eur) == ("settled", 0, 0)
    assert hour.compensation_micro_eur == sum(trade.compensation_micro_eur for trade in settled.trades) > 0
    assert sum(account.balance_micro_eur for account in accounts.values()) == 2 * MONEY
    for name, account in accounts.items():
        assert account.free_micro_eur == platform.free_micro_eur(name)
        assert account.held_trade_micro_eur == platform.held_micro_eur(name, False) == 0


def test_an_event_is_measured_as_we_computed_it_live(traded: Traded) -> None:
    """One district delivers, the other about half and hides an hour: preview, contract and money agree."""
    platform, chain = traded.platform, traded.platform.chain
    first = chain.block().time_s // DAY_S + 1
    event_day = next(day for day in range(first + 8, first + 11) if (day + 3) % 7 < 5)
    for district in ("sunny", "shady"):
        gateway = f"{district}-gw"
        grid = PointDeclaration(f"{district}-grid", Kind.GRID, 100_000)
        traded.send(platform.register_gateway, "reader", gateway, district, key(gateway).address)
        boundary = [GatewayBoundary(gateway, (grid,))]
        traded.send(platform.publish_boundary, "reader", district, first, boundary)
    traded.send(platform.register_organisation, "admin", "grid-co", "Grid Company")
    traded.send(platform.enrol, "admin", key("dispatcher").address, "grid-co", Role.GRID_OPERATOR)
    traded.pay_in("dispatcher", "grid-co")
    for day in range(first, event_day):
        chain.mine((day + 1) * DAY_S + 600)
        traded.record("sunny", day, readings(day))
        traded.record("shady", day, readings(day, missing=18 if day == first + 3 else None))
    start = event_day * 24 + 18
    terms = EventTerms(
        "zone-1",
        False,
        BaselineMethod.TEN_OF_TEN,
        start,
        2,
        6_000,
        200_000,
        300_000,
        start * HOUR_S - 7200,
        3600,
    )
    traded.send(platform.open_event, "dispatcher", terms)
    traded.send(platform.enrol_district, "owner of sunny", 1, "sunny", 4_000)
    traded.send(platform.enrol_district, "owner of shady", 1, "shady", 3_000)
    chain.mine((event_day + 1) * DAY_S + 600)
    traded.record("sunny", event_day, readings(event_day, {18: 4_200, 19: 3_900}))
    traded.record("shady", event_day, readings(event_day, {18: 1_500}, missing=19))
    traded.catch_up()
    with traded.store.read() as connection:
        live = response_queries.progress(connection, 1)
    assert [hour.complete for hour in live] == [True, True, True, False]
    chain.mine((event_day + 1) * DAY_S + 8 * DAY_S)
    for step in (platform.measure_response, platform.pay_response):
        for district in ("sunny", "shady"):
            traded.send(step, "relayer", 1, district)
    traded.follower.catch_up()
    with traded.store.read() as connection:
        assert queries.alarms(connection) == []
        final = response_queries.progress(connection, 1)
        accounts = escrow_queries.accounts(connection)
        paid = sum(line.net_micro_eur for line in response_queries.statement(connection, 1))
    assert final == [hour.model_copy(update={"final": True}) for hour in live]
    assert sum(account.balance_micro_eur for account in accounts) == 3 * MONEY
    operator = next(account for account in accounts if account.account == "grid-co")
    assert operator.free_micro_eur == MONEY - paid == platform.free_micro_eur("grid-co")


def test_an_adjustment_after_the_payment_is_followed_up(
    traded: Traded, sunny: MarketClient, shady: MarketClient
) -> None:
    """Paid for 3,000 Wh; then operator and auditor find that 1,000 Wh were exported, and money goes back."""
    platform, chain = traded.platform, traded.platform.chain
    day = chain.block().time_s // DAY_S + 2
    hour, price = day * 24 + 12, 100_000
    traded.send(platform.register_organisation, "admin", "audit-co", "Audit Company")
    traded.send(platform.enrol, "admin", key("auditor").address, "audit-co", Role.AUDITOR)
    sunny.place("sunny", "offer", hour, 3_000, price)
    shady.place("shady", "bid", hour, 3_000, price)
    traded.catch_up()
    chain.mine((hour - 1) * HOUR_S + 60)
    with traded.store.read() as connection:
        found = clear(live_orders(connection, 2 * hour))
    hashes = [[fill.order.id for fill in side] for side in (found.bids, found.offers)]
    traded.send(platform.clear_book, "relayer", 2 * hour, Outcome.of(found), *hashes)
    chain.mine((day + 1) * DAY_S + 600)
    exported = readings(day, exports_wh={12: 3_000})
    traded.record("sunny", day, exported)
    traded.record("shady", day, readings(day))
    chain.mine((day + 1) * DAY_S + 8 * DAY_S)
    traded.catch_up()
    with traded.store.read() as connection:
        sold = HourTrades(connection, hour).of_seller("sunny")
    (shown,) = showings(sold, 100)
    rounds = [settle(sold, certified_wh, 500_000, 500_000, {}) for certified_wh in (3_000, 1_000)]

    traded.send(platform.settle, "relayer", "sunny", hour, rounds[0].cut, shown)
    adjustment = Adjustment(
        "sunny-gw", day, 2, 1, False, keccak(b"test report"), 0, readings(day, exports_wh={12: 1_000})
    )
    domain = platform.deployment.signing_domain
    signatures = adjustment.sign(key("reader"), domain), adjustment.sign(key("auditor"), domain)
    traded.send(platform.adjust, "relayer", adjustment, *signatures, exported)
    traded.send(platform.settle, "relayer", "sunny", hour, rounds[1].cut, shown)

    traded.follower.catch_up()  # computes both rounds and asks the chain for each account's balance
    with traded.store.read() as connection:
        assert queries.alarms(connection) == []
        assert queries.status(connection).pending_checks == 0
        accounts = {account.account: account for account in escrow_queries.accounts(connection)}
    (change,) = follow_up(*rounds)
    assert change.to_seller_micro_eur < -2_000 * price // 1_000  # what was paid, and for being short
    span = {"from": format_hour_utc(hour), "to": format_hour_utc(hour + 1)}

    def listed() -> list[dict[str, Any]]:
        answer = httpx2.get(f"{traded.url}/v1/districts/sunny/settlements", params=span, timeout=60)
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    wait_for(lambda: len(listed()) == 2)
    first, second = sorted(listed(), key=lambda item: int(item["round"]))
    assert (first["delivered_wh"], first["paid_micro_eur"]) == (3_000, 3_000 * price // 1_000)
    assert (second["round"], second["delivered_wh"]) == (2, 1_000)
    assert second["to_seller_micro_eur"] == change.to_seller_micro_eur
    for name, account in accounts.items():
        assert account.free_micro_eur == platform.free_micro_eur(name)
    with pytest.raises(ContractError, match="NothingChanged"):
        traded.send(platform.settle, "relayer", "sunny", hour, rounds[1].cut, shown)
