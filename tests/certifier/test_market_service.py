"""The market and demand response through the server: API, exports and pages, without a chain behind it."""

import csv
import io
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn

from certifier.api.application import cached
from certifier.client import MarketClient, MarketRefused
from certifier.projection import Projection
from certifier.service import Settings, build_application
from certifier.store import Store
from tests.certifier.trading_story import (
    BOND,
    CHAIN_ID,
    LEDGER,
    MARKET,
    NOON,
    RULES,
    Story,
    key,
    responded,
    told,
)

NOON_UTC = "2019-04-23T12:00:00Z"
DAY = {"from": "2019-04-23", "to": "2019-04-24"}


@contextmanager
def serving(folder: Path, story: Story) -> Iterator[str]:
    """The certifier's server over the projection of a story."""
    url = f"sqlite:///{folder / 'projection.sqlite'}"
    store = Store(url)
    Projection(store, CHAIN_ID, LEDGER, RULES).apply(story.blocks)
    store.close()
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(cached(build_application(Settings(url))), log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    listener.close()


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("market"), told()) as url:
        yield url


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("running"), responded(until="running")) as url:
        yield url


def get(url: str, path: str, **parameters: Any) -> Any:
    answer = httpx2.get(url + path, params=parameters, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_what_orders_are_signed_for(market: str) -> None:
    rules = get(market, "/v1/market")
    assert (rules["chain_id"], rules["market"]) == (CHAIN_ID, MARKET)
    assert rules["highest_price_micro_eur_per_kwh"] == 10 * BOND


def test_a_book_with_its_orders_and_curves(market: str) -> None:
    listed = get(market, "/v1/market/books", **DAY)["items"]
    assert len(listed) == 6
    book = get(market, f"/v1/market/books/{NOON_UTC}")
    assert book in listed
    assert (book["state"], book["volume_wh"], book["price_micro_eur_per_kwh"]) == ("cleared", 31_000, 80_000)
    orders = get(market, f"/v1/market/books/{NOON_UTC}/orders")["items"]
    assert sum(order["fill_wh"] for order in orders if order["side"] == "bid") == 31_000
    assert sum(order["fill_wh"] for order in orders if order["side"] == "offer") == 31_000
    assert get(market, f"/v1/orders/{orders[0]['order_hash']}") == orders[0]
    steps = get(market, f"/v1/market/books/{NOON_UTC}/curves")["items"]
    demand = [step for step in steps if step["side"] == "bid"]
    assert [step["price_micro_eur_per_kwh"] for step in demand] == [140_000, 110_000, 95_000, 70_000]
    assert demand[-1]["until_wh"] == book["bid_wh"]


def test_pages_of_orders_are_joined_by_their_cursors(market: str) -> None:
    with MarketClient(market) as client:
        whole = list(client.orders("north", from_=DAY["from"], to=DAY["to"]))
    joined: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        part = get(market, "/v1/districts/north/orders", limit=4, **DAY, **cursor)
        joined += part["items"]
        if part["next_cursor"] is None:
            break
        cursor = {"cursor": part["next_cursor"]}
    assert joined == whole
    assert len(whole) == 9


def test_position_settlements_and_claims_of_a_district(market: str) -> None:
    trades = get(market, "/v1/districts/west/trades", **DAY)["items"]
    assert {trade["kind"] for trade in trades} == {"book", "bilateral"}
    hours = get(market, "/v1/districts/west/seller-hours", **DAY)["items"]
    settled = get(market, "/v1/districts/west/settlements", **DAY)["items"]
    assert sum(hour["delivered_wh"] for hour in hours) == sum(trade["delivered_wh"] for trade in settled)
    claims = get(market, "/v1/districts/west/claims", **DAY)["items"]
    assert [claim["delivered_wh"] for claim in claims] == [hour["delivered_wh"] for hour in hours]
    assert len(get(market, "/v1/market/imbalance-prices", **DAY)["items"]) == 24


def test_a_statement_as_csv_adds_up(market: str) -> None:
    answer = httpx2.get(f"{market}/v1/accounts/coop-west/statement?format=csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    balance = 0
    for row in rows:
        balance += int(row["credit_micro_eur"]) - int(row["debit_micro_eur"])
        assert int(row["balance_micro_eur"]) == balance
    assert balance == get(market, "/v1/accounts/coop-west")["balance_micro_eur"]
    assert {"time_utc", "reference", "debit_micro_eur", "credit_micro_eur"} <= set(rows[0])
    part = get(market, "/v1/accounts/coop-west/statement", limit=3)
    following = get(market, "/v1/accounts/coop-west/statement", cursor=part["next_cursor"])["items"]
    assert following[0]["kind"] == "brought_forward"
    assert following[0]["balance_micro_eur"] == part["items"][-1]["balance_micro_eur"]


def test_an_event_with_live_progress(running: str) -> None:
    [event] = get(running, "/v1/events", zone="la-palma")["items"]
    assert get(running, "/v1/events/1") == event
    assert (event["enrolled_districts"], event["enrolled_wh"]) == (2, 7_000)
    hours = get(running, "/v1/events/1/progress", district="east")["items"]
    assert [hour["response_wh"] for hour in hours] == [1_438, 0, 3_000]
    assert not any(hour["final"] for hour in hours)
    assert get(running, "/v1/events/1/statement")["items"] == []
    assert get(running, "/v1/events/1/enrolments")["items"][0]["district_id"] == "south"
    assert get(running, "/v1/districts/east/enrolments")["items"][0]["event_id"] == 1
    assert get(running, "/v1/events", zone="elsewhere")["items"] == []


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/v1/market/books/noon", 400, "'noon'"),
        ("/v1/market/books/2019-04-23T12:30:00Z", 400, "not the start of an hour"),
        ("/v1/orders/0x12", 404, "'0x12'"),
        ("/v1/districts/atlantis/orders", 404, "'atlantis'"),
        ("/v1/districts/west/orders?cursor=x", 400, "'x'"),
        ("/v1/accounts/nobody", 404, "'nobody'"),
        ("/v1/events/7", 404, "'7'"),
        ("/v1/events/7/progress", 404, "'7'"),
    ],
)
def test_an_error_names_what_was_wrong(market: str, path: str, status: int, words: str) -> None:
    answer = httpx2.get(market + path)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert words in answer.json()["detail"]


def test_without_a_relayer_nothing_is_carried(market: str) -> None:
    with (
        MarketClient(market, key("south")) as client,
        pytest.raises(MarketRefused, match="without a relayer key") as refused,
    ):
        client.place("south", "bid", NOON, 1_000, 90_000)
    assert refused.value.status == 503


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/market?day=2019-04-23", ["31.0", "coop-north", "Cleared"]),
        (f"/market/books/{NOON_UTC}", ["Demand and supply", "8.00", "Order book with 4 prices of demand"]),
        (f"/market/books/{NOON_UTC}?attributes=true", ["9.00"]),
        ("/traders/west", ["Delivery of what was sold", "14.0"]),
        ("/accounts/coop-west", ["Brought forward", "offer of west", "settled: west delivered"]),
        ("/events", ["No event has been opened yet"]),
    ],
)
def test_pages_of_the_market(market: str, path: str, shown: list[str]) -> None:
    answer = httpx2.get(market + path)
    assert answer.status_code == 200
    for words in shown:
        assert words in answer.text
    assert not re.search(r'(src|href)="https?://', answer.text)  # nothing from another host


@pytest.mark.parametrize("path", ["/events/1", "/events"])
def test_pages_of_demand_response(running: str, path: str) -> None:
    answer = httpx2.get(running + path)
    assert answer.status_code == 200
    assert "Over, to be measured" in answer.text
    assert answer.text.count("Net import against the baseline") == (2 if path == "/events/1" else 0)


@pytest.mark.parametrize(
    "path", ["/traders/atlantis", "/accounts/nobody", "/events/9", "/events/x", "/market/books/noon"]
)
def test_a_page_that_is_not_there(market: str, path: str) -> None:
    answer = httpx2.get(market + path)
    assert answer.status_code == 404
    assert "Not found" in answer.text
