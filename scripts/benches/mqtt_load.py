"""A lean MQTT 3.1.1 device for the bench, so that the device costs little of what is measured.

It shares the processors with broker, gateway and chain, as no real device does. QoS 1 both ways; a message
counts as taken when the gateway's receipt says that all of it is accepted.
"""

import select
import socket
import struct
import time
from collections.abc import Sequence
from itertools import count

import msgspec

_CONNECT, _CONNACK, _PUBLISH, _PUBACK, _SUBSCRIBE, _SUBACK = 0x10, 0x20, 0x30, 0x40, 0x82, 0x90
_CLEAN_WITH_PASSWORD, _QOS_1 = 0xC2, 0x02
_KEEP_ALIVE_S = 3600


class MqttLoadFailed(RuntimeError):
    """The broker or the gateway did not take the messages; the text says which and why."""


class _Receipt(msgspec.Struct):
    id: str
    status: str
    refused: list[msgspec.Raw]


_RECEIPT = msgspec.json.Decoder(_Receipt)


class MqttLoad:
    """One device's connection."""

    def __init__(self, host: str, port: int, district: str, device: str, password: str) -> None:
        """Connect and subscribe to the receipts. Raises MqttLoadFailed, OSError."""
        base = f"ped/v1/{district}/{device}"
        self._topic = _text(f"{base}/up/readings")
        self._numbers = count()
        self._received = bytearray()
        self._socket = socket.create_connection((host, port), timeout=10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        hello = _text("MQTT") + struct.pack(">BBH", 4, _CLEAN_WITH_PASSWORD, _KEEP_ALIVE_S)
        self._ask(
            _packet(_CONNECT, hello + _text(f"{device}-bench") + _text(device) + _text(password)), _CONNACK
        )
        topic = struct.pack(">H", 1) + _text(f"{base}/down/receipts") + b"\x01"
        self._ask(_packet(_SUBSCRIBE, topic), _SUBACK)

    def close(self) -> None:
        """Disconnect."""
        self._socket.close()

    def publish(self, messages: Sequence[tuple[str, bytes]], timeout_s: float) -> None:
        """Send (id, body) and return when each has its receipt. Raises MqttLoadFailed, OSError."""
        out = memoryview(b"".join(self._publication(body) for _, body in messages))
        waiting = {name for name, _ in messages}
        deadline = time.monotonic() + timeout_s
        while waiting:
            readable, writable, _ = select.select(
                [self._socket], [self._socket] if out else [], [], deadline - time.monotonic()
            )
            if not readable and not writable:
                raise MqttLoadFailed(f"no receipt for {len(waiting)} messages after {timeout_s:g} s")
            if readable:
                answers = bytearray()
                for kind, content in self._packets():
                    if kind & 0xF0 == _PUBLISH:
                        name_end = 2 + int.from_bytes(content[:2], "big")
                        answers += _packet(_PUBACK, content[name_end : name_end + 2])
                        waiting.discard(_accepted(content[name_end + 2 :]))
                if answers:
                    self._socket.sendall(answers)
            elif writable:
                self._socket.setblocking(False)
                try:
                    out = out[self._socket.send(out) :]
                finally:
                    self._socket.setblocking(True)

    def _publication(self, body: bytes) -> bytes:
        number = struct.pack(">H", 1 + next(self._numbers) % 0xFFFF)
        return _packet(_PUBLISH | _QOS_1, self._topic + number + body)

    def _ask(self, packet: bytes, expected: int) -> None:
        self._socket.sendall(packet)
        kind, content = next(iter(self._packets()))
        if kind != expected or content[-1] & 0x80 or (kind == _CONNACK and content[1]):
            raise MqttLoadFailed(f"the broker answered {kind:#x} {content.hex()} instead of {expected:#x}")

    def _packets(self) -> list[tuple[int, bytes]]:
        """At least one packet: first byte and content."""
        found: list[tuple[int, bytes]] = []
        while not found:
            part = self._socket.recv(1 << 18)
            if not part:
                raise MqttLoadFailed("the broker closed the connection")
            self._received += part
            place = 0
            while (end := _end(self._received, place)) is not None:
                start, stop = end
                found.append((self._received[place], bytes(self._received[start:stop])))
                place = stop
            del self._received[:place]
        return found


def _accepted(body: bytes) -> str:
    receipt = _RECEIPT.decode(body)
    if receipt.status != "accepted":
        raise MqttLoadFailed(
            f"message {receipt.id} is {receipt.status}: {bytes(receipt.refused[0]).decode()}"
        )
    return receipt.id


def _end(data: bytearray, place: int) -> tuple[int, int] | None:
    """Where a packet's content begins and ends; None when it has not come whole."""
    length, shift, start = 0, 0, place + 1
    while start < len(data):
        byte = data[start]
        start += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return (start, start + length) if start + length <= len(data) else None
    return None


def _packet(kind: int, content: bytes) -> bytes:
    length, head = len(content), bytearray([kind])
    while True:
        length, part = divmod(length, 128)
        head.append(part | (0x80 if length else 0))
        if not length:
            return bytes(head) + content


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack(">H", len(encoded)) + encoded
