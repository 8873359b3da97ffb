"""`ped advise` reads the market and demand response through the certifier's API alone."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from contracts.hour import parse_hour_utc
from contracts.order import MarketDomain
from optimiser.strategy.command_line import advise
from optimiser.strategy.market_view import fetch_position, fetch_terms
from optimiser.strategy.source import fetch_event, fetch_special_days, open_client
from tests.certifier.test_market_service import serving
from tests.certifier.trading_story import BOND, CHAIN_ID, MARKET, NOON, responded, told


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("response"), responded()) as url:
        yield url


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("market"), told()) as url:
        yield url


def test_terms_and_position_are_those_of_the_market(traded: str) -> None:
    with open_client(traded) as client:
        terms = fetch_terms(client)
        position = fetch_position(client, "north", NOON - 24, NOON + 24)
        trades = client.get(
            "/v1/districts/north/trades", params={"from": "2019-04-23", "to": "2019-04-24"}
        ).json()["items"]
    assert terms.domain == MarketDomain(CHAIN_ID, MARKET)
    assert terms.bond_micro_eur_per_kwh == BOND
    assert trades
    assert sum(position.sold_wh.values()) >= sum(t["quantity_wh"] for t in trades if t["side"] == "offer") > 0
    for (hour, with_attributes), quantity in position.sold_wh.items():
        assert quantity >= sum(
            trade["quantity_wh"]
            for trade in trades
            if trade["side"] == "offer"
            and parse_hour_utc(trade["start_time_utc"]) == hour
            and trade["with_attributes"] == with_attributes
        )


def test_an_event_is_advised_on_from_the_api(server: str, tmp_path: Path) -> None:
    with open_client(server) as client:
        listed = client.get("/v1/events", params={"from": "2019-04-01", "to": "2019-05-01"}).json()["items"][
            0
        ]
        event = fetch_event(client, listed["event_id"])
        progress = client.get(f"/v1/events/{listed['event_id']}/progress").json()["items"]
        special, _ = fetch_special_days(client, "east")
    assert event.hours[0] // 24 in special
    assert event.price_micro_eur_per_kwh == listed["price_micro_eur_per_kwh"]
    devices = tmp_path / "devices.toml"
    devices.write_text('[[device]]\nname = "store"\npower_kw = 3\nhours = 4\n')
    arguments = ["response", "east", "--certifier", server, "--json"]
    arguments += ["--event", str(listed["event_id"]), "--devices", str(devices)]
    result = CliRunner().invoke(advise, arguments)
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert found["baseline_wh"] == [item["baseline_wh"] for item in progress if item["district_id"] == "east"]
    assert 0 <= found["capacity_wh"] <= found["deliverable_wh"]
    assert found["reasons"]
