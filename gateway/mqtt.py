"""MQTT intake (domain.md §9): readings come on `up/readings`, receipts go to `down/receipts`.

Of devices that take set-points (`gateway.control`) their answers and declared states come in too.

QoS 1 and a persistent session, MQTT 3.1.1 or 5. A message is acknowledged to the broker only after its
readings are committed; the device believes only the receipt.
"""

import ssl
import sys
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
from paho.mqtt.client import (
    MQTT_ERR_SUCCESS,
    Client,
    ConnectFlags,
    DisconnectFlags,
    MQTTMessage,
    MQTTv5,
    MQTTv311,
)
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from contracts.keystore import read_secret
from gateway.backoff import FIRST_S, LONGEST_S
from gateway.config import GatewayConfig, MqttTable
from gateway.control import Control
from gateway.intake import Delivery, IntakeWorker, Receipt
from gateway.metrics import Metrics

SESSION_S: Final = 7 * 86_400
"""How long a broker keeps what came while the gateway was away."""

log = structlog.get_logger()


class MqttIntake:
    """The gateway's connection to the broker."""

    def __init__(
        self,
        config: GatewayConfig,
        table: MqttTable,
        intake: IntakeWorker,
        metrics: Metrics,
        control: Control | None = None,
    ) -> None:
        """Raises PasswordMissing, OSError for files that cannot be read."""
        parts = urlsplit(table.url)
        self._host = parts.hostname or "127.0.0.1"
        self._port = parts.port or (8883 if parts.scheme == "mqtts" else 1883)
        self._keepalive_s = table.keepalive_s
        self._version = MQTTv5 if table.version == "5" else MQTTv311
        self._district = config.gateway.district
        self._topics = [f"ped/v1/{self._district}/{device.id}/up/readings" for device in config.devices]
        self._control = control
        if control is not None:
            self._topics += [
                f"ped/v1/{self._district}/{device}/up/{kind}"
                for device in control.devices
                for kind in ("setpoints", "status")
            ]
            control.publish = self.publish
        self._intake = intake
        self._metrics = metrics
        self.problem = "not connected yet"
        """Why there is no connection; empty when there is one."""
        options: dict[str, Any] = {} if self._version == MQTTv5 else {"clean_session": False}
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"ped-gateway-{config.gateway.id}",
            protocol=self._version,
            manual_ack=True,
            **options,
        )
        client.reconnect_delay_set(min_delay=int(FIRST_S), max_delay=int(LONGEST_S))
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_connect_fail = self._unreachable
        client.on_disconnect = self._disconnected
        client.on_message = self._message
        if table.user is not None:
            client.username_pw_set(
                table.user, read_secret(table.password_file, table.password_env, "[mqtt] password")
            )
        if parts.scheme == "mqtts":
            context = ssl.create_default_context(cafile=str(table.ca) if table.ca else None)
            if table.certificate is not None:
                context.load_cert_chain(str(table.certificate), table.certificate_key)
            client.tls_set_context(context)
        self._client = client

    def start(self) -> None:
        """Connect, and again whenever the connection is lost; returns at once."""
        properties = None
        options: dict[str, Any] = {}
        if self._version == MQTTv5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = SESSION_S
            options = {"clean_start": False, "properties": properties}
        self._client.connect_async(self._host, self._port, self._keepalive_s, **options)
        self._client.loop_start()

    def stop(self) -> None:
        """Disconnect; the broker keeps the session."""
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, topic: str, payload: bytes) -> bool:
        """Hand a message to the broker, QoS 1; False, and nothing done, while there is no connection."""
        return not self.problem and self._client.publish(topic, payload, qos=1).rc == MQTT_ERR_SUCCESS

    def _connected(
        self,
        client: Client,
        _data: Any,
        _flags: ConnectFlags,
        code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if code.is_failure:
            self.problem = f"the broker at {self._host}:{self._port} refused: {code}"
            log.error("broker refused", reason=str(code))
            return
        self.problem = f"the broker at {self._host}:{self._port} has not confirmed the subscriptions yet"
        client.subscribe([(topic, 1) for topic in self._topics])

    def _subscribed(
        self,
        _client: Client,
        _data: Any,
        _number: int,
        codes: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        refused = [topic for topic, code in zip(self._topics, codes, strict=False) if code.is_failure]
        if refused:
            self.problem = (
                f"the broker at {self._host}:{self._port} does not let this gateway read "
                f"{', '.join(refused)}: write the broker's access list again (ped gateway broker-config)"
            )
            log.error("subscription refused", topics=refused)
            return
        self.problem = ""
        self._metrics.connected.set(1)
        log.info("connected to the broker", host=self._host, port=self._port)
        if self._control is not None:
            self._control.wake()

    def _unreachable(self, _client: Client, _data: Any) -> None:
        # paho calls this while it handles the exception, and tells the reason in no other way.
        reason = sys.exception()
        self.problem = f"no connection to the broker at {self._host}:{self._port}: {reason}"
        log.warning("no connection to the broker", reason=str(reason))

    def _disconnected(
        self,
        _client: Client,
        _data: Any,
        _flags: DisconnectFlags,
        code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self.problem = f"connection to the broker at {self._host}:{self._port} lost: {code}"
        self._metrics.connected.set(0)
        if code.is_failure:
            log.warning("connection to the broker lost", reason=str(code))

    def _message(self, client: Client, _data: Any, message: MQTTMessage) -> None:
        device, kind = message.topic.split("/")[3], message.topic.split("/")[5]
        down = f"ped/v1/{self._district}/{device}/down/receipts"
        number, qos = message.mid, message.qos
        if kind != "readings":
            if self._control is None:  # the broker keeps subscriptions of before the control was taken away
                client.ack(number, qos)
            else:
                self._control.heard(device, kind, bytes(message.payload), lambda: client.ack(number, qos))
            return

        def done(receipt: Receipt) -> None:
            client.publish(down, receipt.to_json(), qos=1)
            client.ack(number, qos)

        self._intake.submit(Delivery(device, bytes(message.payload), done))
