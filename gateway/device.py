"""A device's side of the conversation: it keeps each message until the gateway's receipt (domain.md §9).

The broker's acknowledgement promises nothing, so a message without a receipt is sent again: after a
reconnection at once, else every `resend_s`. The gateway recognises what it has already. A device that takes
set-points answers each of them, and declares what it can do (`gateway.setpoint_messages`). Whoever builds a
device may use this as the reference; the replays, benches and journeys do.
"""

import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from gateway.setpoint_messages import Answer, Command, DeviceState, MessageInvalid, read_command

MAX_IN_FLIGHT: Final = 1000


class ReceiptsMissing(TimeoutError):
    """The gateway gave no receipt in time; the messages are kept and sent again."""


@dataclass(frozen=True)
class DeviceReceipt:
    """What the gateway said of a message: safe in its outbox, or refused with the reasons."""

    message_id: str
    status: str
    accepted: int
    duplicates: int
    refused: list[dict[str, Any]]
    notes: list[str]


class Device:
    """One device with its own connection to the broker; may be used from several threads."""

    def __init__(
        self,
        url: str,
        district: str,
        device: str,
        *,
        user: str | None = None,
        password: str | None = None,
        tls: ssl.SSLContext | None = None,
        resend_s: float = 5.0,
        on_receipt: Callable[[DeviceReceipt], None] = lambda _: None,
        on_setpoint: Callable[[Command], Answer] | None = None,
    ) -> None:
        """`url` is `mqtt://host:port`, or `mqtts://host:port` with `tls`: whom to trust, and the device's
        certificate. `on_receipt` is called from the network thread, once per message; `on_setpoint`
        too, for each command, and what it returns is the answer.
        """
        parts = urlsplit(url)
        if parts.scheme != ("mqtt" if tls is None else "mqtts") or not parts.hostname:
            raise ValueError(f"broker {url!r}: write mqtt://host:port, or mqtts://host:port with TLS")
        self._host, self._port = parts.hostname, parts.port or (1883 if tls is None else 8883)
        base = f"ped/v1/{district}/{device}"
        self._up, self._down = f"{base}/up/readings", f"{base}/down/receipts"
        self._commands = f"{base}/down/setpoints"
        self._answers, self._status = f"{base}/up/setpoints", f"{base}/up/status"
        self._on_setpoint = on_setpoint
        self._state: DeviceState | None = None
        self._resend_s = resend_s
        self._on_receipt = on_receipt
        self._changed = threading.Condition()
        self._unacknowledged: dict[str, tuple[bytes, float]] = {}
        self._closing = threading.Event()
        self._subscribed = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=device, protocol=MQTTv311)
        self._client.max_inflight_messages_set(MAX_IN_FLIGHT)
        self._client.reconnect_delay_set(1, 5)
        if user is not None:
            self._client.username_pw_set(user, password)
        if tls is not None:
            self._client.tls_set_context(tls)
        if on_setpoint is not None:
            gone = DeviceState("offline", detail="the connection was lost")
            self._client.will_set(self._status, gone.to_json(), qos=1, retain=True)
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._disconnected
        self._client.on_subscribe = self._ready
        self._client.on_message = self._received
        self._resender = threading.Thread(target=self._resend, name=f"resend {device}", daemon=True)

    def start(self) -> None:
        """Connect in the background, now or as soon as the broker is there."""
        self._client.connect_async(self._host, self._port)
        self._client.loop_start()
        self._resender.start()

    def close(self) -> None:
        """Disconnect. What has no receipt is forgotten."""
        self._closing.set()
        if self._state is not None:
            self.declare(DeviceState("offline", detail="the device was closed"))
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, message_id: str, body: bytes) -> None:
        """Send a message and keep it until its receipt; `message_id` is the `id` in `body`."""
        with self._changed:
            self._unacknowledged[message_id] = body, time.monotonic()
        if self._subscribed.is_set():
            self._client.publish(self._up, body, qos=1)

    def declare(self, state: DeviceState) -> None:
        """Tell what the device is and can do now, and again after each reconnection."""
        self._state = state
        if self._subscribed.is_set():
            self._client.publish(self._status, state.to_json(), qos=1, retain=True)

    @property
    def unacknowledged(self) -> int:
        """Messages that have no receipt yet."""
        with self._changed:
            return len(self._unacknowledged)

    def wait(self, timeout_s: float, at_most: int = 0) -> None:
        """Return when at most `at_most` messages lack a receipt. Raises ReceiptsMissing."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._unacknowledged) <= at_most, timeout_s):
                waiting = list(self._unacknowledged)
                raise ReceiptsMissing(
                    f"no receipt on {self._down} after {timeout_s:g} s for {len(waiting)} messages, "
                    f"first {waiting[0]!r}"
                )

    def _connected(
        self, client: Client, _user: Any, _flags: ConnectFlags, reason: ReasonCode, _props: Any
    ) -> None:
        if not reason.is_failure:
            topics = [self._down] if self._on_setpoint is None else [self._down, self._commands]
            client.subscribe([(topic, 1) for topic in topics])

    def _ready(self, *_: Any) -> None:
        self._subscribed.set()
        if self._state is not None:
            self.declare(self._state)
        self._send_older_than(0)

    def _disconnected(
        self, _client: Client, _user: Any, _flags: DisconnectFlags, _reason: ReasonCode, _props: Any
    ) -> None:
        self._subscribed.clear()

    def _received(self, _client: Client, _user: Any, message: MQTTMessage) -> None:
        if message.topic == self._commands and self._on_setpoint is not None:
            with suppress(MessageInvalid):  # nobody could be answered
                answer = self._on_setpoint(read_command(bytes(message.payload)))
                self._client.publish(self._answers, answer.to_json(), qos=1)
            return
        content = msgspec.json.decode(message.payload)
        receipt = DeviceReceipt(
            content["id"],
            content["status"],
            content["accepted"],
            content["duplicates"],
            content["refused"],
            content["notes"],
        )
        with self._changed:
            known = self._unacknowledged.pop(receipt.message_id, None)
            self._changed.notify_all()
        if known is not None:
            self._on_receipt(receipt)

    def _resend(self) -> None:
        while not self._closing.wait(self._resend_s / 4):
            if self._subscribed.is_set():
                self._send_older_than(self._resend_s)

    def _send_older_than(self, age_s: float) -> None:
        now = time.monotonic()
        with self._changed:
            due = [(name, body) for name, (body, sent) in self._unacknowledged.items() if now - sent >= age_s]
            for name, body in due:
                self._unacknowledged[name] = body, now
        for _, body in due:
            self._client.publish(self._up, body, qos=1)
