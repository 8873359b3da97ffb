"""OpenADR 3.1 over a real socket, spoken by client libraries from PyPI (openadr3, python-oa3-client)."""

import json
import socket
import threading
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import httpx2
import openadr3
import pytest
import uvicorn
from openadr3_client import VenClient

from certifier.api.application import cached
from certifier.openadr import objects
from certifier.openadr.documents import SubscriptionRequest
from certifier.openadr.notifier import Notifier
from certifier.projection import Projection
from certifier.service import Settings, build_application
from certifier.store import Store
from contracts.response_events import EventOpened
from tests.certifier.trading_story import CHAIN_ID, EVENING, LEDGER, RULES, ZONE, responded

SECRET = "a secret of sixteen or more"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The certifier's server over a projection with an event that districts enrolled in."""
    folder: Path = tmp_path_factory.mktemp("openadr")
    url = f"sqlite:///{folder / 'projection.sqlite'}"
    store = Store(url)
    Projection(store, CHAIN_ID, LEDGER, RULES).apply(responded(until="enrolled").blocks)
    store.close()
    clients = folder / "clients.json"
    entries = [
        {"client_id": "south-ven", "client_secret": SECRET, "role": "ven"},
        {"client_id": "east-ven", "client_secret": SECRET, "role": "ven"},
        {"client_id": "grid-co", "client_secret": SECRET, "role": "bl"},
    ]
    clients.write_text(json.dumps({"clients": entries}))
    application = cached(build_application(Settings(url, openadr_clients=clients)))
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(application, log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/openadr3/3.1.0"
    server.should_exit = True
    thread.join()
    listener.close()


def ven(address: str, client_id: str) -> openadr3.OpenADRClient:
    token = openadr3.fetch_token(address, client_id, SECRET)
    return openadr3.create_ven_client(base_url=address, token=token)


def report_on(event_id: str, kwh: float) -> dict[str, object]:
    intervals = [{"id": 0, "payloads": [{"type": "USAGE", "values": [kwh]}]}]
    return {
        "objectType": "REPORT",
        "eventID": event_id,
        "clientName": "south",
        "reportName": "first hour",
        "resources": [{"resourceName": "heat-pumps", "intervals": intervals}],
    }


def test_a_client_library_reads_the_event(address: str) -> None:
    with ven(address, "south-ven") as client:
        program = client.find_program_by_name(f"demand-response-{ZONE}")
        assert program is not None
        [event] = client.events(programID=program.id)
        assert event == client.event(str(event.id))
        assert event.targets == [ZONE]
        intervals = event.resolved_intervals()
    periods = [interval.interval_period and interval.interval_period.period for interval in intervals]
    starts = [period and period[0].int_timestamp for period in periods]
    assert starts == [(EVENING + place) * 3600 for place in range(3)]
    payloads = {payload.type: payload.values for payload in intervals[0].payloads}
    assert payloads["PRICE"] == [Decimal("0.2")]
    assert payloads["DISPATCH_SETPOINT_RELATIVE"] == [6.0]
    assert payloads["PED_DIRECTION"] == ["REDUCE"]


def test_a_client_library_reports_and_others_do_not_see_it(address: str) -> None:
    with ven(address, "south-ven") as client:
        created = client.create_report(report_on("1", 5.25))
        assert created.status_code == 201, created.text
        report_id = str(created.json()["id"])
        report = client.report(report_id)
        assert report.resources[0].intervals[0].payloads[0].values == [Decimal("5.25")]
        changed = client.update_report(report_id, report_on("1", 5.5))
        assert changed.status_code == 200
        assert [entry.id for entry in client.reports(eventID="1")] == [report_id]
        refused = client.create_report(report_on("77", 1))
        assert refused.status_code == 404
        assert "77" in refused.json()["detail"]
    with ven(address, "east-ven") as other:
        assert other.reports() == []
        assert other.get_report_by_id(report_id).status_code == 404
        assert other.delete_report(report_id).status_code == 404
    token = openadr3.fetch_token(address, "grid-co", SECRET)
    with openadr3.create_bl_client(base_url=address, token=token) as operator:
        assert [entry.id for entry in operator.reports()] == [report_id]


def test_the_companion_client_registers_a_node_and_its_resource(address: str) -> None:
    client = VenClient(url=address, client_id="south-ven", client_secret=SECRET)
    client.start()
    first = client.register("south-ems").ven_id
    assert client.register("south-ems").ven_id == first
    assert not client.vtn_supports_mqtt()
    assert client.resolve_program_id(f"demand-response-{ZONE}") == ZONE
    resource = {"objectType": "RESOURCE", "resourceName": "battery", "venID": first}
    made = client.create_resource(resource)
    assert made.status_code == 201, made.text
    assert client.create_resource(resource).status_code == 409
    assert [entry.resource_name for entry in client.resources(venID=first)] == ["battery"]
    client.stop()


def test_subscriptions_are_kept_and_ended(address: str) -> None:
    wish = {
        "objectType": "SUBSCRIPTION",
        "clientName": "south",
        "programID": ZONE,
        "objectOperations": [
            {"objects": ["EVENT"], "operations": ["CREATE"], "callbackUrl": "http://127.0.0.1:9/told"}
        ],
    }
    with ven(address, "south-ven") as client:
        made = client.create_subscription(wish)
        assert made.status_code == 201, made.text
        [kept] = client.subscriptions(programID=ZONE)
        assert kept.object_operations[0].callback_url == "http://127.0.0.1:9/told"
        assert client.delete_subscription(str(kept.id)).status_code == 200
        assert client.subscriptions() == []
        unknown = client.create_subscription({**wish, "programID": "nowhere"})
        assert unknown.status_code == 404


class _Told(BaseHTTPRequestHandler):
    """A subscriber that is down at first."""

    notifications: ClassVar[list[dict[str, Any]]] = []
    tokens: ClassVar[list[str | None]] = []
    refuse: ClassVar[int] = 1

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if _Told.refuse:
            _Told.refuse -= 1
            self.send_response(503)
        else:
            _Told.notifications.append(body)
            _Told.tokens.append(self.headers["authorization"])
            self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


def test_a_subscriber_is_told_of_what_comes_even_if_it_was_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("certifier.openadr.notifier.FIRST_PAUSE_S", 0.0)
    story = responded()
    store = Store(f"sqlite:///{tmp_path / 'projection.sqlite'}")
    projection = Projection(store, CHAIN_ID, LEDGER, RULES)
    opened = next(
        place
        for place, block in enumerate(story.blocks)
        if any(isinstance(logged.event, EventOpened) for logged in block.events)
    )
    projection.apply(story.blocks[:opened])
    receiver = HTTPServer(("127.0.0.1", 0), _Told)
    thread = threading.Thread(target=receiver.serve_forever)
    thread.start()
    wish = SubscriptionRequest.model_validate(
        {
            "clientName": "south",
            "objectOperations": [
                {
                    "objects": ["EVENT"],
                    "operations": ["CREATE", "UPDATE"],
                    "callbackUrl": f"http://127.0.0.1:{receiver.server_port}/told",
                    "bearerToken": "its own",
                }
            ],
        }
    )
    with store.write() as connection:
        body = wish.model_dump(mode="json", exclude_unset=True)
        objects.create(connection, "SUBSCRIPTION", "south-ven", "south", body)
    notifier = Notifier(store)
    with httpx2.Client() as http:
        assert notifier.notify(http) == 0
        projection.apply(story.blocks[opened:])
        assert notifier.notify(http) == 0  # it was down
        assert notifier.notify(http) == 2
        assert notifier.notify(http) == 0
    receiver.shutdown()
    thread.join()
    receiver.server_close()
    told = [openadr3.coerce_notification(raw) for raw in _Told.notifications]
    assert [(entry.operation, entry.object._raw["id"]) for entry in told] == [
        ("CREATE", "1"),
        ("UPDATE", "1"),
    ]
    assert _Told.tokens == ["Bearer its own"] * 2
    store.close()


def test_what_is_refused(address: str) -> None:
    with openadr3.OpenADRClient(address) as nobody:
        assert len(nobody.events()) == 1  # what stands on chain is public
        for answer in (nobody.get_reports(), nobody.create_report(report_on("1", 1))):
            assert answer.status_code == 401
            assert answer.headers["content-type"] == "application/problem+json"
        opened = nobody.create_event({"objectType": "EVENT", "programID": ZONE})
        assert opened.status_code == 403
        assert "stands on chain" in opened.json()["detail"]
    forged = openadr3.fetch_token(address, "south-ven", SECRET)[:-3] + "AAA"
    with openadr3.create_ven_client(base_url=address, token=forged) as forger:
        assert forger.get_reports().status_code == 401
    form = {"grant_type": "client_credentials", "client_id": "south-ven", "client_secret": "wrong"}
    refused = httpx2.post(f"{address}/auth/token", data=form)
    assert refused.status_code == 401
    assert refused.json()["error"] == "invalid_client"
