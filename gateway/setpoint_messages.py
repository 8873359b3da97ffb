"""What gateway and device say to each other about set-points over MQTT (domain.md §9). Plain JSON, QoS 1.

`down/setpoints`, gateway to device; the device answers each, also one that comes twice:

    {"id": 12, "device": "battery", "from_utc": "2026-07-15T12:00:00Z", "until_utc": "2026-07-15T12:15:00Z",
     "setpoint_w": -1500, "source": "proposal", "proposal": "0x..."}

`setpoint_w` is the mean power of the interval, positive when the device draws from the busbar; `source` is
`proposal` (whose digest is in `proposal`) or `safe`, the local schedule. Of several that cover an instant the
one with the highest `id` holds. With none that covers it the device follows its own safe rule.

`up/setpoints`, device to gateway. `setpoint_w` is what it means to do, within its physics:

    {"id": 12, "status": "clipped", "setpoint_w": -900, "detail": "battery holds 225 Wh"}

`up/status`, device to gateway, retained, and the last will of the connection. `min_w` and `max_w` are the
powers that it can hold now, until `until_utc` where it knows that; `readout` is its state in numbers, whose
names carry the unit, for who plans. More fields may follow:

    {"status": "online", "time_utc": "2026-07-15T12:00:00Z", "min_w": 0, "max_w": 3000,
     "readout": {"stored_wh": 5200}}
"""

from typing import Literal

import msgspec

from contracts.hour import TimeInvalid, parse_time_utc

Source = Literal["proposal", "safe"]


class MessageInvalid(ValueError):
    """A message about set-points cannot be read."""


class Command(msgspec.Struct, frozen=True):
    """A set-point on its way to a device."""

    id: int
    device: str
    from_utc: str
    until_utc: str
    setpoint_w: int
    source: Source
    proposal: str | None = None

    @property
    def from_s(self) -> int:
        """Unix time, in seconds, from which it holds."""
        return parse_time_utc(self.from_utc)

    @property
    def until_s(self) -> int:
        """Unix time, in seconds, until which it holds."""
        return parse_time_utc(self.until_utc)

    def to_json(self) -> bytes:
        """The message."""
        return msgspec.json.encode(self)


class Answer(msgspec.Struct, frozen=True):
    """A device's answer to a command."""

    id: int
    status: Literal["accepted", "clipped", "refused"]
    setpoint_w: int | None = None
    detail: str = ""

    def to_json(self) -> bytes:
        """The message."""
        return msgspec.json.encode(self)


class DeviceState(msgspec.Struct, frozen=True):
    """What a device declares of itself."""

    status: Literal["online", "offline"]
    time_utc: str | None = None
    min_w: int | None = None
    max_w: int | None = None
    until_utc: str | None = None
    detail: str = ""
    readout: dict[str, float] = {}

    @property
    def until_s(self) -> int | None:
        """Unix time, in seconds, until which the range holds; None: for the present only."""
        return None if self.until_utc is None else parse_time_utc(self.until_utc)

    def to_json(self) -> bytes:
        """The message."""
        return msgspec.json.encode(self)


def read_command(payload: bytes) -> Command:
    """Raises MessageInvalid."""
    try:
        command = msgspec.json.decode(payload, type=Command)
        if command.from_s >= command.until_s:
            raise MessageInvalid(f"set-point {command.id} ends before it begins")
    except (msgspec.DecodeError, TimeInvalid) as error:
        raise MessageInvalid(f"set-point: {error}") from None
    return command


def read_answer(payload: bytes) -> Answer:
    """Raises MessageInvalid."""
    try:
        return msgspec.json.decode(payload, type=Answer)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MessageInvalid(f"answer to a set-point: {error}") from None


def read_state(payload: bytes) -> DeviceState:
    """Raises MessageInvalid."""
    try:
        state = msgspec.json.decode(payload, type=DeviceState)
        if state.until_utc is not None:
            parse_time_utc(state.until_utc)
    except (msgspec.DecodeError, UnicodeDecodeError, TimeInvalid, OverflowError) as error:
        raise MessageInvalid(f"status: {error}") from None
    if state.min_w is not None and state.max_w is not None and state.min_w > state.max_w:
        raise MessageInvalid(f"status: min_w {state.min_w} is above max_w {state.max_w}")
    return state
