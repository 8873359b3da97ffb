"""What devices send: plain JSON and SenML (RFC 8428), decoded into readings (domain.md §9).

Plain JSON is one object. `time_utc` is ISO 8601 with an offset: the start of an interval, or when a register
was read. Numbers are exact decimals.

    {"id": "88123",
     "readings": [
       {"point": "m17", "time_utc": "2026-07-15T16:00:00Z", "interval_s": 900,
        "supply_wh": 120, "draw_wh": 0},
       {"point": "m18", "time_utc": "2026-07-15T16:00:00Z", "obis": "1-0:1.8.0", "register_kwh": 4426.125}]}

| field | meaning |
|---|---|
| `id` | text or whole number; comes back in the receipt (without it: the SHA-256 of the message) |
| `point` | serial of the metering point |
| `supply_wh`, `draw_wh` | energy of an interval into or out of the busbar, whole Wh; one or both |
| `energy_wh` | the same with `obis`, or of a point with one channel |
| `interval_s` | 900 or 3600; may be left out |
| `register_wh`, `register_kwh` | cumulative register; fractions of a Wh are cut off (differences add up) |
| `obis` | register, `1.8.0` or `1-0:1.8.0`; may be left out where the point has one |
| `corrects_wh` | states the stored value (Wh) that this reading replaces |

SenML is an array of records with the resolved name `urn:dev:ped:<district>:<serial>:<OBIS>`, unit `Wh` or
`kWh`, and an absolute time. OBIS group D 8 is a cumulative register (`1-0:1.8.0`), 29 the energy of an
interval that starts at the record's time (`1-0:1.29.0`). A record `seq` gives the message's id. Fields
beyond bn, bt, bu, bv, bver, n, u, v and t are refused, not ignored: they could change the meaning.
"""

import hashlib
import re
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from contracts.hour import parse_time_utc
from contracts.nesting import too_deep

MAX_MESSAGE_BYTES: Final = 1_000_000
MAX_READINGS: Final = 10_000
_LIMIT_WH: Final = 10**18
_LAST_TIME_S: Final = 2**33
_OBIS = re.compile(r"(?:\d{1,3}-\d{1,3}:)?(\d{1,3}\.\d{1,3}\.\d{1,3})(?:\*255)?")
_SENML_NAME = re.compile(r"urn:dev:ped:([^:]+):([^:]+):(.+)")


class PayloadInvalid(ValueError):
    """The message as a whole cannot be read; nothing of it was stored."""


class ReadingProblem(NamedTuple):
    """A reading of a message that cannot be read, and why."""

    point: str
    detail: str


class Reading(msgspec.Struct, frozen=True, gc=False):
    """One reading as sent: an interval's energies or a register's value."""

    point: str
    time_s: int
    interval_s: int | None = None
    supply_wh: int | None = None
    draw_wh: int | None = None
    energy_wh: int | None = None
    register_wh: int | None = None
    obis: str | None = None
    corrects_wh: int | None = None
    district: str | None = None


class Message(NamedTuple):
    """A decoded message: its id, and each reading or what is wrong with it, in the order sent."""

    id: str
    readings: list[Reading | ReadingProblem]


class _PlainReading(msgspec.Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    point: Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
    time_utc: datetime
    interval_s: int | None = None
    supply_wh: int | Decimal | None = None
    draw_wh: int | Decimal | None = None
    energy_wh: int | Decimal | None = None
    register_wh: int | Decimal | None = None
    register_kwh: Decimal | None = None
    obis: str | None = None
    corrects_wh: int | Decimal | None = None


class _PlainMessage(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    readings: list[_PlainReading]
    id: str | int | None = None


class _SenmlRecord(msgspec.Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    bn: str = ""
    bt: Decimal | None = None
    bu: str | None = None
    bv: Decimal | None = None
    bver: int | None = None
    n: str = ""
    u: str | None = None
    v: Decimal | None = None
    t: Decimal | None = None


_PLAIN = msgspec.json.Decoder(_PlainMessage)
_SENML = msgspec.json.Decoder(list[_SenmlRecord])


def decode(body: bytes) -> Message:
    """Decode a message of a device. Raises PayloadInvalid naming the place and the value."""
    if len(body) > MAX_MESSAGE_BYTES:
        raise PayloadInvalid(
            f"message of {len(body)} bytes; at most {MAX_MESSAGE_BYTES} are taken, send parts"
        )
    try:
        message = _decode_senml(body) if body.lstrip()[:1] == b"[" else _decode_plain(body)
    except msgspec.ValidationError as error:
        raise PayloadInvalid(f"{error}{_found_at(body, str(error))}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PayloadInvalid(f"not JSON: {error}; the message begins {body[:40]!r}") from None
    if not message.readings:
        raise PayloadInvalid("the message holds no reading")
    if len(message.readings) > MAX_READINGS:
        raise PayloadInvalid(
            f"{len(message.readings)} readings in a message; at most {MAX_READINGS} are taken"
        )
    return message


def digest_id(body: bytes) -> str:
    """Id of a message that gives none."""
    return "sha256:" + hashlib.sha256(body).hexdigest()


def id_of_refused(body: bytes) -> str:
    """Id of a message that cannot be read otherwise, so that its device knows which one is refused."""
    message = _any_json(body)
    found = message.get("id") if isinstance(message, dict) else None
    return str(found) if isinstance(found, str | int) and 0 < len(str(found)) <= 100 else digest_id(body)


def obis_register(code: str) -> str:
    """Groups C.D.E of an OBIS code, `1.8.0` of `1-0:1.8.0*255`. Raises PayloadInvalid."""
    match = _OBIS.fullmatch(code)
    if match is None:
        raise PayloadInvalid(f"{code!r} is no OBIS code; write for example 1-0:1.8.0")
    return match.group(1)


def _any_json(body: bytes) -> Any:
    """The message whatever its form; None when it cannot be read, or is nested too deeply for the stack."""
    if too_deep(body):
        return None
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _found_at(body: bytes, error: str) -> str:
    """The offending value itself, which the decoder's message lacks."""
    value = _any_json(body)
    if value is None:
        return ""
    place = re.search(r"at `\$(.*?)`", error)
    for name, index in re.findall(r"\.(\w+)|\[(\d+)\]", place.group(1)) if place else ():
        value = value[name] if name else value[int(index)]
    return f" (found {str(value)[:100]!r})"


def _decode_plain(body: bytes) -> Message:
    plain = _PLAIN.decode(body)
    name = digest_id(body) if plain.id is None else str(plain.id)
    if not 0 < len(name) <= 100:
        raise PayloadInvalid(f"id of {len(name)} characters; an id has 1 to 100")
    return Message(name, [_plain_reading(item) for item in plain.readings])


def _plain_reading(item: _PlainReading) -> Reading | ReadingProblem:
    time = item.time_utc
    try:
        if time.tzinfo is None:
            raise PayloadInvalid(f"time_utc {time.isoformat()} has no offset; write {time.isoformat()}Z")
        if time.microsecond:
            parse_time_utc(time.isoformat())
        time_s = int(time.timestamp())
        if not 0 <= time_s < _LAST_TIME_S:
            raise PayloadInvalid(f"time_utc {time.isoformat()} is out of range: years 1970 to 2241")
        register = item.register_wh
        if item.register_kwh is not None:
            if register is not None:
                raise PayloadInvalid("register_wh and register_kwh are both given; give one")
            register = _bounded("register_kwh", item.register_kwh) * 1000
        return Reading(
            item.point,
            time_s,
            item.interval_s,
            None if item.supply_wh is None else whole_wh("supply_wh", item.supply_wh),
            None if item.draw_wh is None else whole_wh("draw_wh", item.draw_wh),
            None if item.energy_wh is None else whole_wh("energy_wh", item.energy_wh),
            None if register is None else int(_bounded("register", register)),
            None if item.obis is None else obis_register(item.obis),
            None if item.corrects_wh is None else whole_wh("corrects_wh", item.corrects_wh),
        )
    except ValueError as error:
        return ReadingProblem(item.point, str(error))


def whole_wh(name: str, value: int | Decimal) -> int:
    """A whole number of Wh, not negative. Raises PayloadInvalid naming the field and the value."""
    if type(value) is int and 0 <= value < _LIMIT_WH:
        return value
    whole = int(_bounded(name, value))
    if whole != value:
        raise PayloadInvalid(f"{name} {value} is not a whole number of Wh; energies are exact integers")
    return whole


def _bounded(name: str, value: int | Decimal) -> int | Decimal:
    if not 0 <= value < _LIMIT_WH:
        raise PayloadInvalid(
            f"{name} {Decimal(value):.6g} is out of range: an energy is 0 or more and below 10^18 Wh"
        )
    return value


def _decode_senml(body: bytes) -> Message:
    base_name, base_time, base_value, base_unit = "", Decimal(0), Decimal(0), None
    name = digest_id(body)
    readings: list[Reading | ReadingProblem] = []
    for record in _SENML.decode(body):
        if record.bver is not None and not 1 <= record.bver <= 10:
            raise PayloadInvalid(f"bver {record.bver}: SenML versions up to 10 are understood")
        base_name = record.bn or base_name
        base_time = base_time if record.bt is None else record.bt
        base_value = base_value if record.bv is None else record.bv
        base_unit = base_unit if record.bu is None else record.bu
        if record.v is None:
            if record.n:
                raise PayloadInvalid(f"record {record.n!r} has no numeric value v")
            continue
        value = base_value + record.v
        if record.n == "seq":
            name = str(int(_bounded("seq", value)))
            continue
        full_name = base_name + record.n
        try:
            time = base_time + (record.t or 0)
            readings.append(_senml_reading(full_name, record.u or base_unit, value, time))
        except PayloadInvalid as error:
            parts = _SENML_NAME.fullmatch(full_name)
            readings.append(ReadingProblem(parts.group(2)[:32] if parts else full_name[:32], str(error)))
    return Message(name, readings)


def _senml_reading(name: str, unit: str | None, value: Decimal, time: Decimal) -> Reading:
    parts = _SENML_NAME.fullmatch(name)
    if parts is None:
        raise PayloadInvalid(f"name {name!r} is not urn:dev:ped:<district>:<serial>:<OBIS>")
    if not 2**28 <= time < _LAST_TIME_S:
        raise PayloadInvalid(f"time {time:.12g} is relative or out of range; give the absolute unix time")
    if time != int(time):
        raise PayloadInvalid(f"time {time} lies between two seconds; give whole seconds")
    if unit not in ("Wh", "kWh"):
        raise PayloadInvalid(f"unit {unit!r} of {name}: energies come in Wh or kWh")
    energy = _bounded(name, value) * (1000 if unit == "kWh" else 1)
    district, point, code = parts.groups()
    obis = obis_register(code)
    quantity, integral, tariff = obis.split(".")
    if integral == "8":
        return Reading(point, int(time), register_wh=int(energy), obis=obis, district=district)
    if integral == "29":
        register = f"{quantity}.8.{tariff}"
        return Reading(point, int(time), energy_wh=whole_wh(name, energy), obis=register, district=district)
    raise PayloadInvalid(f"{name}: OBIS {obis} is no energy register (x.8.y) and no interval energy (x.29.y)")
