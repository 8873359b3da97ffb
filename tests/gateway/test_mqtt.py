"""Devices, brokers and receipts, with a real Mosquitto and the embedded broker, and with kill -9."""

import json
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from contracts.hour import first_hour
from contracts.reading import unpack_open
from gateway.broker import password_fits, password_hash, write_configuration
from gateway.config import load_config
from gateway.device import Device, DeviceReceipt
from gateway.outbox import connect
from tests.contracts.nodes import free_port
from tests.gateway.test_relay import energy, events, full_day, running, where
from tests.gateway.world import (
    DAY,
    DEVICE,
    DISTRICT,
    GATEWAY,
    MOSQUITTO,
    PATIENCE_S,
    ROOT,
    GatewayProcess,
    Mosquitto,
    World,
    at,
    ped,
    wait_until,
    write_config,
)

BASE = f"ped/v1/{DISTRICT}/{DEVICE}"


class EmbeddedBroker:
    """`ped gateway broker` as a process."""

    def __init__(self, config: Path, passwords: Path, port: int) -> None:
        self.port, self.url = port, f"mqtt://127.0.0.1:{port}"
        self._command = [sys.executable, "-m", "scripts.command_line", "gateway", "broker"]
        self._command += ["--port", str(port), "--config", str(config), "--passwords", str(passwords)]

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert "broker is running" in self._process.stdout.readline()

    def stop(self) -> None:
        self._process.terminate()
        assert self._process.wait(PATIENCE_S) == 0


class Site:
    """Configuration, broker and passwords."""

    def __init__(self, world: World, kind: str, version: str = "3.1.1") -> None:
        port = free_port()
        devices = ({"id": DEVICE}, {"id": "stranger"})
        mqtt = {"url": f"mqtt://127.0.0.1:{port}", "user": GATEWAY, "password_file": "mqtt.password"}
        self.path = write_config(world.folder, devices=devices, mqtt={**mqtt, "version": version})
        folder = world.folder / "broker"
        users = (GATEWAY, [DEVICE, "stranger"])
        self.passwords = write_configuration(folder, DISTRICT, *users, "127.0.0.1", port, None)
        (world.folder / "mqtt.password").write_text(self.passwords[GATEWAY] + "\n")
        self.broker: Mosquitto | EmbeddedBroker = (
            Mosquitto(folder, port)
            if kind == "mosquitto"
            else EmbeddedBroker(self.path, folder / "passwords", port)
        )
        self.broker.start()

    def device(self, name: str = DEVICE, **options: Any) -> Device:
        options.setdefault("resend_s", 1.0)
        return Device(self.broker.url, DISTRICT, name, user=name, password=self.passwords[name], **options)

    def client(self, name: str, version: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv311) -> Client:
        client = Client(CallbackAPIVersion.VERSION2, protocol=version)
        client.username_pw_set(name, self.passwords[name])
        client.connect("127.0.0.1", self.broker.port)
        client.loop_start()
        return client


@pytest.fixture(params=["mosquitto", "amqtt"])
def site(request: pytest.FixtureRequest, world: World) -> Iterator[Site]:
    if request.param == "mosquitto" and shutil.which(MOSQUITTO) is None:
        pytest.skip("mosquitto is not installed")
    made = Site(world, request.param)
    yield made
    made.broker.stop()


def body(name: str, *readings: dict[str, Any]) -> bytes:
    return json.dumps({"id": name, "readings": readings}).encode()


def test_receipts_follow_the_commit_and_say_what_is_wrong(world: World, site: Site) -> None:
    world.register(site.path)
    world.pass_time(24)
    receipts: dict[str, DeviceReceipt] = {}
    device = site.device(on_receipt=lambda receipt: receipts.update({receipt.message_id: receipt}))
    device.start()
    try:
        with running(site.path) as gateway:
            device.publish("good", body("good", energy("grid", 0, 5, 5), energy("pv", 0, 1)))
            device.publish("bad", body("bad", energy("grid", 0.5, 5), energy("ghost", 0, 1)))
            device.publish("ugly", b'{"id": "ugly", "readings": 5}')
            device.wait(PATIENCE_S)
            stored = where(gateway, "grid", 0)
            assert stored["record"] == {"status": "measured", "supply_wh": 5, "draw_wh": 5}
            assert stored["messages"][0]["id"] == "good"
    finally:
        device.close()
    assert (receipts["good"].status, receipts["good"].accepted) == ("accepted", 2)
    assert [item["type"] for item in receipts["bad"].refused] == [
        "urn:ped:problem:misaligned",
        "urn:ped:problem:unknown-point",
    ]
    assert "Expected `array`" in receipts["ugly"].refused[0]["detail"]


def test_a_device_reaches_its_own_topics_only(world: World, site: Site) -> None:
    world.register(site.path)
    world.pass_time(24)
    heard: list[MQTTMessage] = []
    stranger = site.client("stranger")
    stranger.on_message = lambda _client, _data, message: heard.append(message)
    stranger.subscribe("ped/v1/#", 1)
    stranger.subscribe(f"{BASE}/down/receipts", 1)
    device = site.device()
    device.start()
    try:
        with running(site.path) as gateway:
            stranger.publish(f"{BASE}/up/readings", body("forged", energy("grid", 1, 9, 9)), qos=1)
            stranger.publish(
                f"ped/v1/{DISTRICT}/stranger/up/readings", body("mine", energy("grid", 2, 9, 9)), qos=1
            )
            device.publish("true", body("true", energy("grid", 1, 4, 4)))
            device.wait(PATIENCE_S)
            wait_until(lambda: where(gateway, "grid", 2)["state"] == "refused", "the stranger is refused")
            assert "'stranger' may not post point grid" in where(gateway, "grid", 2)["reason"]
            found = where(gateway, "grid", 1)
            assert found["record"]["supply_wh"] == 4
            assert [message["id"] for message in found["messages"]] == ["true"]
    finally:
        device.close()
        stranger.loop_stop()
    assert [message.topic for message in heard if DEVICE in message.topic] == []


@pytest.mark.skipif(shutil.which(MOSQUITTO) is None, reason="mosquitto is not installed")
def test_mqtt_5(world: World) -> None:
    site = Site(world, "mosquitto", version="5")
    world.register(site.path)
    world.pass_time(24)
    receipts: list[bytes] = []
    client = site.client(DEVICE, MQTTProtocolVersion.MQTTv5)
    client.on_message = lambda _client, _data, message: receipts.append(bytes(message.payload))
    client.subscribe(f"{BASE}/down/receipts", 1)
    try:
        with running(site.path):
            client.publish(f"{BASE}/up/readings", body("five", energy("grid", 0, 5, 5)), qos=1)
            wait_until(lambda: bool(receipts), "a receipt")
        assert json.loads(receipts[0])["id"] == "five"
    finally:
        client.loop_stop()
        site.broker.stop()


@pytest.mark.skipif(shutil.which(MOSQUITTO) is None, reason="mosquitto is not installed")
def test_a_killed_broker_loses_nothing_that_has_a_receipt(world: World) -> None:
    site = Site(world, "mosquitto")
    assert isinstance(site.broker, Mosquitto)
    world.register(site.path)
    world.pass_time(24)
    sent = {
        f"m{hour}": [energy("grid", hour, 100 + hour, hour), energy("pv", hour, hour)] for hour in range(24)
    }
    receipts: list[DeviceReceipt] = []
    device = site.device(resend_s=0.5, on_receipt=receipts.append)
    device.start()
    try:
        with running(site.path) as gateway:
            gateway.mqtt._client.reconnect_delay_set(1, 1)  # type: ignore[union-attr]
            for count, (name, readings) in enumerate(sent.items()):
                device.publish(name, body(name, *readings))
                if count in (5, 15):
                    site.broker.kill()
                    site.broker.start()
            device.wait(PATIENCE_S)
            assert gateway.relay.flush(30)
    finally:
        device.close()
        site.broker.stop()
    assert sorted(receipt.message_id for receipt in receipts) == sorted(sent)
    assert on_chain(world) == {hour: (100 + hour, hour, hour) for hour in range(24)}


def on_chain(world: World) -> dict[int, tuple[int, int, int]]:
    """Hour -> energies that the chain holds now; fails when an hour is first recorded twice."""
    held: dict[int, tuple[int, int, int]] = {}
    for batch in events(world):
        for section in unpack_open(batch.payload, 2):
            assert batch.replaces or section.hour_of_day not in held
            grid, pv = section.records
            held[section.hour_of_day] = (grid.supply_wh, grid.draw_wh, pv.supply_wh)
    return held


@pytest.mark.skipif(shutil.which(MOSQUITTO) is None, reason="mosquitto is not installed")
def test_a_gateway_killed_at_random_points_brings_every_acknowledged_reading_once(world: World) -> None:
    """The device keeps posting while the gateway is killed; then it settles."""
    site = Site(world, "mosquitto")
    config = world.register(site.path)
    world.pass_time(24)
    chance = random.Random(7)
    messages = {f"{hour}": full_day()[2 * hour : 2 * hour + 2] for hour in range(24)}
    receipts: dict[str, DeviceReceipt] = {}
    device = site.device(
        resend_s=0.3, on_receipt=lambda receipt: receipts.update({receipt.message_id: receipt})
    )
    device.start()
    gateway = GatewayProcess(site.path)
    stopped = threading.Event()

    def post() -> None:
        for name, readings in messages.items():
            device.publish(name, body(name, *readings))
            if stopped.wait(0.25):
                return

    poster = threading.Thread(target=post)
    try:
        gateway.start()
        poster.start()
        for _ in range(3):
            time.sleep(chance.uniform(0.05, 1.5))
            gateway.kill()
            acknowledged = dict(receipts)
            stored = connect(config.gateway.data)
            for name in acknowledged:
                start_s = (first_hour(DAY) + int(name)) * 3600
                assert stored.execute(
                    "SELECT count(*) FROM intervals WHERE start_s = ?", (start_s,)
                ).fetchone() == (2,)
            stored.close()
            gateway.start()
        poster.join()
        device.wait(PATIENCE_S)
        wait_until(lambda: len(on_chain(world)) == 24, "the whole day is on chain")
        assert gateway.stop() == 0
    finally:
        stopped.set()
        device.close()
        site.broker.stop()
    assert on_chain(world) == {hour: (100 + hour, hour, 7 * hour) for hour in range(24)}
    assert {receipt.status for receipt in receipts.values()} == {"accepted"}


def test_passwords_are_hashed_as_mosquitto_does() -> None:
    stored = password_hash("secret")
    assert password_fits("secret", stored)
    assert not password_fits("Secret", stored)
    assert not password_fits("secret", "plain")
    assert stored.startswith("$7$101$")
    assert password_hash("secret") != stored


def test_broker_configuration_is_not_overwritten(tmp_path: Path) -> None:
    path = write_config(tmp_path)
    assert load_config(path).gateway.id == GATEWAY
    first = ped("gateway", "broker-config", path, "--out", tmp_path / "broker")
    assert set(json.loads(first.stdout)) == {GATEWAY, DEVICE}
    again = ped("gateway", "broker-config", path, "--out", tmp_path / "broker")
    assert again.returncode == 1
    assert "passwords" in again.stderr
    acl = (tmp_path / "broker" / "acl").read_text()
    assert "pattern write ped/v1/+/%u/up/#" in acl
    assert at(0) == "2019-01-02T00:00:00Z"
