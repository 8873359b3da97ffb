"""Devices and gateway with client certificates, against a real Mosquitto (domain.md §9)."""

import shutil
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from gateway.device import Device
from gateway.outbox import connect
from tests.contracts.nodes import free_port
from tests.gateway.test_mqtt import body
from tests.gateway.test_relay import energy, running, where
from tests.gateway.world import (
    DEVICE,
    DISTRICT,
    GATEWAY,
    MOSQUITTO,
    PATIENCE_S,
    Mosquitto,
    World,
    ped,
    wait_until,
    write_config,
)

pytestmark = pytest.mark.skipif(shutil.which(MOSQUITTO) is None, reason="mosquitto is not installed")


class Site:
    """A broker configured by `ped gateway broker-config` with TLS, and the authority that names its users."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority = trustme.CA()
        self._authority.cert_pem.write_to_path(folder / "ca.pem")
        server = self._authority.issue_cert("127.0.0.1")
        server.private_key_pem.write_to_path(folder / "broker.key")
        server.cert_chain_pems[0].write_to_path(folder / "broker.pem")
        self.issue(GATEWAY, self._authority)
        port = free_port()
        files = {"ca": "ca.pem", "certificate": f"{GATEWAY}.pem", "certificate_key": f"{GATEWAY}.key"}
        mqtt = {"url": f"mqtts://127.0.0.1:{port}", **files}
        self.path = write_config(folder, devices=({"id": DEVICE}, {"id": "stranger"}), mqtt=mqtt)
        tls = [
            "--ca",
            folder / "ca.pem",
            "--certificate",
            folder / "broker.pem",
            "--key",
            folder / "broker.key",
        ]
        made = ped("gateway", "broker-config", self.path, "--out", folder / "broker", "--port", port, *tls)
        assert (made.returncode, made.stdout) == (0, "{}\n"), made.stderr
        self.broker = Mosquitto(folder / "broker", port)
        self.broker.start()
        self.url = f"mqtts://127.0.0.1:{port}"

    def issue(self, name: str, authority: trustme.CA) -> None:
        """A key and a certificate whose common name is `name`."""
        certificate = authority.issue_cert(f"{name}.example.com", common_name=name)
        certificate.private_key_pem.write_to_path(self._folder / f"{name}.key")
        certificate.cert_chain_pems[0].write_to_path(self._folder / f"{name}.pem")

    def context(self, name: str | None, authority: trustme.CA | None = None) -> ssl.SSLContext:
        """TLS as `name`, signed by `authority`: the site's own by default."""
        context = ssl.create_default_context(cafile=str(self._folder / "ca.pem"))
        if name is not None:
            self.issue(name, authority or self._authority)
            context.load_cert_chain(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        return context

    def client(self, context: ssl.SSLContext) -> tuple[Client, list[str]]:
        """A client and what became of its connection."""
        outcomes: list[str] = []
        client = Client(CallbackAPIVersion.VERSION2)
        client.tls_set_context(context)
        client.on_connect = lambda *given: outcomes.append(str(given[3]))
        client.connect_async("127.0.0.1", self.broker.port)
        return client, outcomes


@pytest.fixture
def site(world: World) -> Iterator[Site]:
    made = Site(world.folder)
    yield made
    made.broker.stop()


def test_a_certificate_is_all_that_a_device_needs(world: World, site: Site) -> None:
    world.register(site.path)
    world.pass_time(24)
    device = Device(site.url, DISTRICT, DEVICE, tls=site.context(DEVICE), resend_s=1.0)
    device.start()
    try:
        with running(site.path) as gateway:
            device.publish("m1", body("m1", energy("grid", 0, 7, 3)))
            device.wait(PATIENCE_S)
            assert where(gateway, "grid", 0)["record"] == {
                "status": "measured",
                "supply_wh": 7,
                "draw_wh": 3,
            }
    finally:
        device.close()


def test_a_device_writes_under_its_own_name_only(world: World, site: Site) -> None:
    world.register(site.path)
    world.pass_time(24)
    heard: list[MQTTMessage] = []
    stranger, connected = site.client(site.context("stranger"))
    stranger.on_message = lambda _client, _data, message: heard.append(message)
    stranger.loop_start()
    device = Device(site.url, DISTRICT, DEVICE, tls=site.context(DEVICE), resend_s=1.0)
    try:
        wait_until(lambda: connected == ["Success"], "the stranger is connected")
        stranger.subscribe(f"ped/v1/{DISTRICT}/{DEVICE}/down/receipts", 1)
        forged = body("forged", energy("grid", 0, 1, 1))
        stranger.publish(f"ped/v1/{DISTRICT}/{DEVICE}/up/readings", forged, 1).wait_for_publish(PATIENCE_S)
        with running(site.path) as gateway:
            device.start()
            device.publish("mine", body("mine", energy("grid", 1, 1, 1)))
            device.wait(PATIENCE_S)
            outbox = connect(gateway.config.gateway.data)
            assert outbox.execute("SELECT message_id FROM messages").fetchall() == [("mine",)]
    finally:
        device.close()
        stranger.disconnect()
        stranger.loop_stop()
    assert heard == []


@pytest.mark.parametrize("who", ["nobody", "an authority of his own"])
def test_without_a_certificate_of_the_authority_there_is_no_connection(site: Site, who: str) -> None:
    context = site.context(None) if who == "nobody" else site.context(DEVICE, trustme.CA())
    client, connected = site.client(context)
    lost: list[Any] = []
    client.on_connect_fail = lambda *given: lost.append(given)
    client.on_disconnect = lambda *given: lost.append(given)
    client.loop_start()
    try:
        wait_until(lambda: bool(lost), "the broker refuses")
    finally:
        client.loop_stop()
    assert "Success" not in connected


def test_a_gateway_does_not_talk_to_a_broker_that_its_authority_did_not_sign(
    world: World, site: Site
) -> None:
    world.register(site.path)
    trustme.CA().cert_pem.write_to_path(world.folder / "ca.pem")
    with running(site.path, subscribed=False) as gateway:
        assert gateway.mqtt is not None
        wait_until(lambda: "CERTIFICATE_VERIFY_FAILED" in gateway.mqtt.problem, "a named problem")
