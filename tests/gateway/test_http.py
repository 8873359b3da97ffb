"""HTTP intake, questions and pages of a running gateway."""

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway.application import Gateway, HttpFailed
from gateway.config import load_config
from tests.gateway.test_relay import energy, running
from tests.gateway.world import DEVICE, GRID_AND_PV, World, at, point, write_config

TOKEN, STRANGER, OPERATOR = "device-token", "stranger-token", "operator-token"


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@pytest.fixture
def gateway(world: World) -> Iterator[Gateway]:
    path = write_config(
        world.folder,
        (*GRID_AND_PV, point("flat", "load", private=True, salt="ab" * 32, device="stranger")),
        devices=(
            {"id": DEVICE, "token_sha256": digest(TOKEN)},
            {"id": "stranger", "token_sha256": digest(STRANGER)},
        ),
        http={"port": 0, "operator_token_sha256": digest(OPERATOR)},
        relay={"poll_s": 0.02, "patience_s": 86_400},
    )
    world.register(path)
    world.pass_time(12)
    with running(path) as started:
        yield started


@pytest.fixture
def client(gateway: Gateway) -> Iterator[httpx2.Client]:
    with httpx2.Client(
        base_url=f"http://127.0.0.1:{gateway.http_port}", trust_env=False, timeout=30
    ) as opened:
        yield opened


def bearer(token: str, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", **more}


def post(client: httpx2.Client, content: Any, token: str = TOKEN, **headers: str) -> httpx2.Response:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return client.post("/v1/readings", content=body, headers=bearer(token, **headers))


def problem(response: httpx2.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    content: dict[str, Any] = response.json()
    assert content["status"] == status
    assert content["detail"]
    return content


def test_readings_are_stored_and_asked_for(client: httpx2.Client) -> None:
    response = post(client, {"id": 5, "readings": [energy("grid", 0, 10, 0), energy("pv", 0, 3)]})
    assert response.json() == {
        "id": "5",
        "status": "accepted",
        "accepted": 2,
        "duplicates": 0,
        "refused": [],
        "notes": [],
    }
    found = client.get(f"/v1/readings/grid/{at(0)}", headers=bearer(TOKEN)).json()
    assert found["record"] == {"status": "measured", "supply_wh": 10, "draw_wh": 0}
    assert client.post("/v1/relay", headers=bearer(OPERATOR)).json() == {"settled": True}
    found = client.get(f"/v1/readings/grid/{at(0)}", headers=bearer(OPERATOR)).json()
    assert (found["state"], found["batch"]["sequence"]) == ("on chain", 1)


def test_credentials(client: httpx2.Client) -> None:
    assert problem(client.post("/v1/readings", content=b"{}"), 401)["title"] == "Credentials needed"
    assert problem(post(client, {}, "wrong"), 401)["title"] == "Unknown token"
    refused = problem(post(client, {"readings": [energy("grid", 0, 1, 1)]}, STRANGER), 422)
    assert "'stranger' may not post point grid" in refused["detail"]
    problem(client.get(f"/v1/readings/grid/{at(0)}"), 401)
    problem(client.get(f"/v1/readings/grid/{at(0)}", headers=bearer(STRANGER)), 403)
    problem(client.post("/v1/relay", headers=bearer(TOKEN)), 403)


def test_errors_are_problem_details_that_name_the_value(client: httpx2.Client) -> None:
    assert "not JSON" in problem(post(client, b"{"), 400)["detail"]
    mixed = problem(post(client, {"readings": [energy("grid", 0, 1, 1), energy("pv", 0, 77_777)]}), 422)
    assert mixed["type"] == "urn:ped:problem:implausible"
    assert (mixed["accepted"], mixed["refused"][0]["index"]) == (1, 1)
    assert "77777 Wh" in mixed["detail"]
    assert "1 of 2 readings are stored" in mixed["detail"]
    assert "1000000" in problem(post(client, b" " * 1_000_001), 413)["detail"]
    assert "'noon'" in problem(client.get("/v1/readings/grid/noon", headers=bearer(TOKEN)), 422)["detail"]
    assert (
        "'ghost'"
        in problem(client.get(f"/v1/readings/ghost/{at(0)}", headers=bearer(OPERATOR)), 404)["detail"]
    )
    problem(client.get("/nowhere"), 404)
    problem(client.post("/v1/relay?timeout_s=-1", headers=bearer(OPERATOR)), 422)


def test_idempotency_key(client: httpx2.Client) -> None:
    content = {"readings": [energy("grid", 1, 10, 0)]}
    key = {"Idempotency-Key": "k-1"}
    first = post(client, content, **key)
    assert first.json()["accepted"] == 1
    assert post(client, content, **key).json() == first.json()
    other = problem(post(client, {"readings": [energy("grid", 2, 10, 0)]}, **key), 422)
    assert "'k-1'" in other["detail"]
    assert client.get(f"/v1/readings/grid/{at(2)}", headers=bearer(TOKEN)).json()["state"] == "unknown"


def test_many_clients_at_once(client: httpx2.Client) -> None:
    def one(hour: int) -> int:
        return post(client, {"readings": [energy("grid", hour % 12, 7, 7)]}).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(one, range(60))) == {200}


def test_pages_tell_how_it_is_and_nothing_of_households(client: httpx2.Client) -> None:
    post(client, {"readings": [energy("flat", 0, None, 99_999)]}, STRANGER)
    post(client, {"readings": [energy("grid", 0, 88_888, 0)]})
    page = client.get("/")
    assert page.status_code == 200
    assert 'name="viewport"' in page.text
    assert "88888 Wh" in page.text
    assert "99999" not in page.text
    assert "99999" not in client.get("/v1/status").text
    metrics = client.get("/metrics").text
    assert 'ped_gateway_readings_total{outcome="refused"} 2.0' in metrics
    health = client.get("/healthz")
    assert (health.status_code, health.json()["ok"]) == (200, True)
    assert "/v1/readings" in client.get("/openapi.json").json()["paths"]


def test_a_port_in_use_is_said(gateway: Gateway, world: World, tmp_path: Path) -> None:
    path = write_config(
        world.folder,
        http={"port": gateway.http_port},
        gateway={"id": "gw-2", "district": "old-town", "data": str(tmp_path / "second.sqlite")},
    )
    second = Gateway(load_config(path))
    with pytest.raises(HttpFailed, match=str(gateway.http_port)):
        second.start()
    second.stop()
