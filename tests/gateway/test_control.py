"""Set-points: proposals judged by a running gateway, commands over a real Mosquitto, asked against done."""

import csv
import hashlib
import io
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from contracts.deployment import Deployment
from contracts.setpoint import Setpoint, SetpointDomain, SetpointProposal, SignedProposal, hash_inputs
from gateway.application import Gateway
from gateway.broker import write_configuration
from gateway.config import ConfigInvalid, load_config
from gateway.device import Device
from gateway.setpoint_messages import Answer, Command, DeviceState, MessageInvalid, read_state
from tests.contracts.nodes import free_port, key
from tests.gateway.test_relay import energy, running
from tests.gateway.world import (
    DEVICE,
    DISTRICT,
    GATEWAY,
    GRID_AND_PV,
    MOSQUITTO,
    PATIENCE_S,
    START_S,
    Mosquitto,
    World,
    at,
    point,
    wait_until,
    write_config,
)

OPTIMISER, OPERATOR = key(55), "operator-token"
QUARTER_S, HOUR_S = 900, 3600
BATTERY = point("b1", "storage", device="battery", interval_s=900, efficiency_permille=900)
SAFE_W = [100 if hour < 12 else -100 for hour in range(24)]
LIMITS = {"device": "battery", "point": "b1", "min_w": -5000, "max_w": 4000, "ramp_w_per_min": 400}


class Battery:
    """The device's end: answers as it is told and remembers what came."""

    def __init__(self, site: "Site") -> None:
        self.commands: list[Command] = []
        self.answer: Callable[[Command], Answer] = lambda command: Answer(command.id, "accepted")
        self.device = Device(
            site.broker.url,
            DISTRICT,
            "battery",
            user="battery",
            password=site.passwords["battery"],
            resend_s=0.5,
            on_setpoint=self._commanded,
        )
        self.device.start()

    def _commanded(self, command: Command) -> Answer:
        self.commands.append(command)
        return self.answer(command)

    def heard(self, source: str, setpoint_w: int) -> Callable[[], bool]:
        return lambda: any((c.source, c.setpoint_w) == (source, setpoint_w) for c in self.commands)

    def post(self, hour: float, supply_wh: int, draw_wh: int) -> None:
        reading = energy("b1", hour, supply_wh, draw_wh)
        self.device.publish(f"r{hour}", json.dumps({"id": f"r{hour}", "readings": [reading]}).encode())
        self.device.wait(PATIENCE_S)


@dataclass
class Site:
    """A gateway's configuration with a controllable battery, and its broker."""

    world: World
    path: Path
    broker: Mosquitto
    passwords: dict[str, str]

    @property
    def domain(self) -> SetpointDomain:
        return Deployment.load(self.world.folder / "deployment.json").setpoint_domain

    def proposal(self, hour: float, *powers_w: int, sequence: int = 1, **changes: Any) -> SetpointProposal:
        """Quarter-hours from an hour of the test day on."""
        start_s = START_S + int(hour * HOUR_S)
        setpoints = tuple(
            Setpoint("battery", start_s + place * QUARTER_S, QUARTER_S, power_w)
            for place, power_w in enumerate(powers_w)
        )
        fields: dict[str, Any] = {
            "district": DISTRICT,
            "gateway": GATEWAY,
            "model_version": "test 1",
            "inputs_hash": hash_inputs([]),
            "sequence": sequence,
            "created_s": start_s - 60,
            "valid_from_s": start_s,
            "valid_until_s": start_s + len(powers_w) * QUARTER_S,
            "setpoints": setpoints,
        }
        return SetpointProposal(**(fields | changes))

    def signed(self, hour: float, *powers_w: int, **changes: Any) -> SignedProposal:
        return self.proposal(hour, *powers_w, **changes).sign(OPTIMISER, self.domain)


@pytest.fixture
def site(world: World) -> Iterator[Site]:
    if shutil.which(MOSQUITTO) is None:
        pytest.skip("mosquitto is not installed")
    port = free_port()
    path = write_config(
        world.folder,
        (*GRID_AND_PV, BATTERY),
        devices=({"id": DEVICE}, {"id": "battery"}),
        mqtt={"url": f"mqtt://127.0.0.1:{port}", "user": GATEWAY, "password_file": "mqtt.password"},
        http={"port": 0, "operator_token_sha256": hashlib.sha256(OPERATOR.encode()).hexdigest()},
        control={"optimisers": [OPTIMISER.address], "retry_s": 0.3, "poll_s": 0.05, "lead_s": 0},
        controllable=[{**LIMITS, "safe_w": SAFE_W}],  # type: ignore[arg-type]
    )
    folder = world.folder / "broker"
    passwords = write_configuration(folder, DISTRICT, GATEWAY, [DEVICE, "battery"], "127.0.0.1", port, None)
    (world.folder / "mqtt.password").write_text(passwords[GATEWAY] + "\n")
    broker = Mosquitto(folder, port)
    broker.start()
    world.register(path)
    world.pass_time(10)
    yield Site(world, path, broker, passwords)
    broker.stop()


@pytest.fixture
def battery(site: Site) -> Iterator[Battery]:
    made = Battery(site)
    yield made
    made.device.close()


def ask(gateway: Gateway, method: str, path: str, **options: Any) -> httpx2.Response:
    with httpx2.Client(trust_env=False, timeout=30) as client:
        headers = {"Authorization": f"Bearer {OPERATOR}"}
        return client.request(
            method, f"http://127.0.0.1:{gateway.http_port}{path}", headers=headers, **options
        )


def propose(gateway: Gateway, signed: SignedProposal) -> httpx2.Response:
    return ask(gateway, "POST", "/v1/proposals", content=signed.to_json())


def rows(gateway: Gateway) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = ask(gateway, "GET", "/v1/control").json()["setpoints"]
    return answer


def test_a_proposal_reaches_the_device_and_is_compared_with_what_was_done(
    world: World, site: Site, battery: Battery
) -> None:
    signed = site.signed(10, -1500, 2000)
    with running(site.path) as gateway:
        answer = propose(gateway, signed)
        assert (answer.status_code, answer.json()["duplicate"]) == (200, False), answer.text
        wait_until(battery.heard("proposal", -1500), "the first set-point")
        command = next(c for c in battery.commands if c.setpoint_w == -1500)
        assert (command.device, command.from_utc, command.until_utc) == ("battery", at(10), at(10.25))
        assert command.proposal == "0x" + signed.digest.hex()
        battery.answer = lambda command: Answer(command.id, "clipped", 1200, "nearly full")
        world.pass_time(10.25)
        wait_until(battery.heard("proposal", 2000), "the second set-point")
        assert propose(gateway, signed).json()["duplicate"] is True
        world.pass_time(10.5)
        battery.answer = lambda command: Answer(command.id, "accepted")
        wait_until(battery.heard("safe", 100), "the safe schedule after the proposal's end")
        battery.post(10, 370, 0)
        battery.post(10.25, 0, 301)
        wait_until(lambda: all(row["acknowledged_utc"] for row in rows(gateway)), "all answered")
        kept = [row for row in rows(gateway) if row["source"] == "proposal"]
        table = [
            (r["from_utc"], r["setpoint_w"], r["state"], r["answer_w"], r["done_w"], r["difference_w"])
            for r in kept
        ]
        assert table == [
            (at(10), -1500, "accepted", None, -1480, 20),
            (at(10.25), 2000, "clipped", 1200, 1204, -796),
        ]
        assert [row["done_w"] for row in rows(gateway) if row["from_utc"] == at(10.5)] == [None]
        lines = list(csv.DictReader(io.StringIO(ask(gateway, "GET", "/v1/control.csv").text)))
        assert [(line["setpoint_w"], line["done_w"]) for line in lines if line["source"] == "proposal"] == [
            ("-1500", "-1480"),
            ("2000", "1204"),
        ]
        stored = ask(gateway, "GET", f"/v1/proposals/0x{signed.digest.hex()}").content
        assert SignedProposal.from_json(stored).signer() == OPTIMISER.address
        page = ask(gateway, "GET", "/").text
        assert "battery follows" in page
        assert "the safe schedule" in page
        metrics = ask(gateway, "GET", "/metrics").text
        assert 'ped_gateway_proposals_total{outcome="accepted"} 1.0' in metrics
        assert 'ped_gateway_setpoints_total{event="clipped"} 1.0' in metrics
        assert 'ped_gateway_follows_proposal{device="battery"} 0.0' in metrics
        assert "-1500" not in page
        only_for_the_operator(gateway)


def only_for_the_operator(gateway: Gateway) -> None:
    url = f"http://127.0.0.1:{gateway.http_port}/v1/control"
    with httpx2.Client(trust_env=False) as client:
        assert client.get(url).status_code == 401
        stranger = client.get(url, headers={"Authorization": "Bearer stranger"})
    assert (stranger.status_code, stranger.json()["title"]) == (403, "Operator only")
    for span, named in ((f"from_utc={at(2)}&until_utc={at(1)}", at(2)), (f"from_utc={at(-1500)}", "62 days")):
        answer = ask(gateway, "GET", f"/v1/control?{span}")
        assert (answer.status_code, named in answer.json()["detail"]) == (422, True), answer.text
    assert ask(gateway, "GET", "/v1/proposals/0x00").status_code == 404


def test_what_is_not_in_order_is_refused_whole_kept_and_changes_nothing(
    world: World, site: Site, battery: Battery
) -> None:
    with running(site.path) as gateway:
        battery.device.declare(
            DeviceState("online", at(10), -5000, 300, None, "holds 75 Wh less than full", {"stored_wh": 9925})
        )
        first = site.signed(10, 200, sequence=5)
        assert propose(gateway, first).status_code == 200
        wait_until(battery.heard("proposal", 200), "the accepted set-point")
        other = replace(site.domain, chain_id=site.domain.chain_id + 1)
        stolen = replace(first, proposal=replace(first.proposal, sequence=6))
        late = {"created_s": START_S + 9 * HOUR_S}
        ahead = site.proposal(10.25, 0, sequence=6, **late)
        ghost = (Setpoint("ghost", ahead.valid_from_s, 900, 0), Setpoint(DEVICE, ahead.valid_from_s, 900, 0))
        cases: list[tuple[SignedProposal, int, str, str]] = [
            (stolen, 403, "unknown-optimiser", "changed after it was signed"),
            (ahead.sign(key(56), site.domain), 403, "unknown-optimiser", key(56).address),
            (replace(first, signature=bytes(65)), 403, "wrong-signature", "v = 0"),
            (ahead.sign(OPTIMISER, other), 422, "wrong-domain", f"chain {other.chain_id}"),
            (site.signed(10, 0, sequence=6, gateway="gw-2"), 422, "wrong-gateway", "'gw-2'"),
            (site.signed(10, 0, sequence=6, district="new-town"), 422, "wrong-district", "'new-town'"),
            (site.signed(10, 0, sequence=5), 409, "replayed", "sequence 5 is not above 5"),
            (site.signed(10, 0, sequence=4), 409, "replayed", "sequence 4 is not above 5"),
            (site.signed(9, 0, 0, sequence=6), 422, "expired", f"valid until {at(9.5)}"),
            (site.signed(11, 0, sequence=6), 422, "future", f"created at {at(10.9834)}"),
            (site.signed(82, 0, sequence=6, **late), 422, "too-long", "259200 s"),
            (
                site.signed(10, -5001, sequence=6),
                422,
                "over-limit",
                "-5001 W: the limits are -5000 to 4000 W",
            ),
            (site.signed(10.25, 0, 4001, sequence=6, **late), 422, "over-limit", "4001 W"),
            (site.signed(10.25, -4000, 2001, sequence=6, **late), 422, "over-ramp", "after -4000 W"),
            (site.signed(10, 301, sequence=6), 422, "over-state", "holds 75 Wh less"),
        ]
        refused = [(propose(gateway, case[0]), *case[1:]) for case in cases]
        for answer, status, kind, named in refused:
            assert answer.headers["content-type"] == "application/problem+json"
            content = answer.json()
            assert (answer.status_code, content["type"]) == (status, f"urn:ped:problem:{kind}"), answer.text
            assert named in content["detail"], content["detail"]
        assert refused[6][0].json()["last_sequence"] == 5
        unknown = propose(gateway, replace(ahead, setpoints=ghost[::-1]).sign(OPTIMISER, site.domain)).json()
        assert [entry["type"] for entry in unknown["refused"]] == [
            "urn:ped:problem:not-controllable",
            "urn:ped:problem:unknown-device",
        ]
        assert "'ghost'" in unknown["refused"][1]["detail"]
        garbage = ask(gateway, "POST", "/v1/proposals", content=b'{"force": true}')
        assert (garbage.status_code, garbage.json()["type"]) == (400, "urn:ped:problem:malformed")
        (device,) = ask(gateway, "GET", "/v1/control/devices").json()
        assert (device["device"], device["min_w"], device["safe_w"]) == ("battery", -5000, SAFE_W)
        assert (device["declared"]["max_w"], device["declared"]["readout"]) == (300, {"stored_wh": 9925})
        kept = ask(gateway, "GET", "/v1/control").json()
        assert len(kept["proposals"]) == 1
        assert len(kept["refusals"]) == len(cases) + 2
        assert {row["setpoint_w"] for row in kept["setpoints"]} <= {100, 200}
        assert {command.setpoint_w for command in battery.commands} <= {100, 200}
        assert propose(gateway, site.signed(10.25, 2000, sequence=6, **late)).status_code == 200, "later"


def test_without_broker_nothing_is_lost_and_without_proposals_the_safe_schedule_holds(
    world: World, site: Site, battery: Battery
) -> None:
    with running(site.path) as gateway:
        wait_until(battery.heard("safe", 100), "the safe schedule from the start")
        site.broker.kill()
        wait_until(lambda: "lost" in str(gateway.status()["problems"]), "the broker is gone")
        assert (
            propose(gateway, site.signed(10.25, 700, 800, created_s=START_S + 9 * HOUR_S)).status_code == 200
        )
        world.pass_time(10.25)
        wait_until(lambda: any(r["setpoint_w"] == 700 for r in rows(gateway)), "the command is kept")
        world.pass_time(10.5)
        wait_until(lambda: any(r["state"] == "expired" for r in rows(gateway)), "its time is over")
    with running(site.path, subscribed=False) as gateway:
        site.broker.start()
        wait_until(battery.heard("proposal", 800), "what holds now, after both were away")
        assert not battery.heard("proposal", 700)()
        world.pass_time(12.75)
        wait_until(battery.heard("safe", -100), "the safe schedule of the afternoon")
        states = {row["setpoint_w"]: row["state"] for row in rows(gateway)}
        assert (states[700], states[800]) == ("expired", "accepted")


def test_a_device_that_does_not_answer_is_asked_again_under_the_same_number(
    world: World, site: Site, battery: Battery
) -> None:
    def silent(command: Command) -> Answer:
        raise MessageInvalid("the device is deaf")

    battery.answer = silent
    with running(site.path):
        wait_until(lambda: len(battery.commands) >= 2, "the command again")
    assert {command.id for command in battery.commands} == {battery.commands[0].id}
    number = battery.commands[0].id
    battery.answer = lambda command: Answer(command.id, "accepted")
    battery.commands.clear()
    with running(site.path) as gateway:
        wait_until(lambda: rows(gateway)[0]["state"] == "accepted", "the answer")
        assert {command.id for command in battery.commands} == {number}
        assert rows(gateway)[0]["sends"] >= 3


@pytest.mark.parametrize(
    ("control", "controllable", "named"),
    [
        ({"optimisers": ["0x12"]}, LIMITS, "0x12"),
        ({"optimisers": []}, LIMITS, "at least 1"),
        (None, LIMITS, "go together"),
        ({}, {**LIMITS, "device": "ghost"}, "'ghost' is not listed"),
        ({}, {**LIMITS, "point": "pv"}, "'pv' is no point that it posts"),
        ({}, {**LIMITS, "min_w": 5000}, "min_w 5000 is above max_w 4000"),
        ({}, {**LIMITS, "safe_w": 4001}, "safe_w 4001"),
        ({}, {**LIMITS, "safe_w": [0, 0]}, "safe_w has 2 values"),
    ],
)
def test_a_configuration_that_cannot_be_meant_is_refused(
    tmp_path: Path, control: dict[str, Any] | None, controllable: dict[str, Any], named: str
) -> None:
    tables: dict[str, Any] = {"mqtt": {"url": "mqtt://localhost"}, "controllable": [controllable]}
    if control is not None:
        tables["control"] = {"optimisers": [OPTIMISER.address], **control}
    path = write_config(
        tmp_path, (*GRID_AND_PV, BATTERY), devices=({"id": DEVICE}, {"id": "battery"}), **tables
    )
    with pytest.raises(ConfigInvalid, match=named):
        load_config(path)


@pytest.mark.parametrize(
    "payload", [b"", b"\xff", b'{"status": "dancing"}', b'{"status": "online", "min_w": 2, "max_w": 1}']
)
def test_a_state_that_nobody_understands_is_told_apart(payload: bytes) -> None:
    with pytest.raises(MessageInvalid):
        read_state(payload)
