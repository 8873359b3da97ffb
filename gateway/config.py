"""Configuration of a gateway: one TOML file, checked before anything starts.

Relative paths are relative to the file. A complete example:

    [gateway]
    id = "gw-school"
    district = "old-town"
    data = "gw-school.sqlite"              # the outbox

    [key]
    keystore = "gw-school.json"            # made by `ped gateway keys new`
    password_file = "gw-school.password"   # or password_env = "PED_GATEWAY_PASSWORD"

    [chain]
    deployment = "deployment.json"
    confirmations = 2                      # blocks on top before a batch counts as on chain
    clock = "system"                       # "chain": now is the newest block's time (replay)

    [mqtt]
    url = "mqtt://127.0.0.1:1883"          # mqtts:// for TLS
    user = "gw-school"
    password_file = "broker.password"      # or password_env

    [http]
    port = 8090                            # host = "127.0.0.1"

    [relay]
    batch_hours = 24                       # send when so many hours of a day are ready,
    max_age_s = 3600                       # or the oldest of them closed so long ago;
    patience_s = 900                       # wait so long for what an incomplete hour lacks

    [[devices]]
    id = "meter-cabinet"                   # MQTT user and topic
    token_sha256 = "..."                   # for HTTP, made by `ped gateway token`

    [[points]]                             # open points in the order of the registered boundary
    serial = "m17"
    kind = "grid"
    nameplate_w = 50000
    device = "meter-cabinet"
    posts = "register"                     # or "energy" with interval_s = 900 or 3600

    [control]                              # set-points; without it proposals are not taken
    optimisers = ["0x..."]                 # addresses whose proposals are looked at
    interval_s = 900                       # of the safe schedule: 900 or 3600

    [[controllable]]                       # positive power: the device draws from the busbar
    device = "battery"
    point = "b1"                           # its meter: what was done is compared with what was asked
    min_w = -5000
    max_w = 5000
    ramp_w_per_min = 1000                  # may be left out
    safe_w = 0                             # or 24 values, one per UTC hour: the safe local schedule

A household's point has `private = true` and `salt` (32 bytes, hex), the salt of its registered commitment.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from contracts.hour import DAY_S, HOUR_S, HOURS_PER_DAY, TimeInvalid, hour_of, hour_of_day, parse_day
from contracts.point import Kind, PointDeclaration, PointInvalid
from contracts.setpoint import MAX_POWER_W
from contracts.slug import is_slug


class ConfigInvalid(ValueError):
    """The configuration cannot be used; the message names the file, the place and the value."""


def _beside_the_file(path: Path, info: ValidationInfo) -> Path:
    folder: Path = (info.context or {}).get("folder", Path())
    return folder / path


RelativePath = Annotated[Path, AfterValidator(_beside_the_file)]
"""A path that is relative to the folder of the configuration file."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _slug(text: str) -> str:
    if not is_slug(text):
        raise ValueError("use 1 to 32 of the characters a-z, 0-9 and hyphen")
    return text


class GatewayTable(_Table):
    """Who this gateway is and where it keeps its outbox."""

    id: str
    district: str
    data: RelativePath

    _check = field_validator("id", "district")(_slug)


class KeyTable(_Table):
    """Where the signing key is."""

    keystore: RelativePath
    password_file: RelativePath | None = None
    password_env: str | None = None


class ChainTable(_Table):
    """Which ledger, and when a batch counts as being on it."""

    deployment: RelativePath
    confirmations: int = Field(default=0, ge=0, le=1000)
    clock: Literal["system", "chain"] = "system"
    relayer: KeyTable | None = None
    """Account that pays for transactions; the gateway's own key by default."""


class MqttTable(_Table):
    """Broker of the devices."""

    url: str
    user: str | None = None
    password_file: RelativePath | None = None
    password_env: str | None = None
    version: Literal["3.1.1", "5"] = "3.1.1"
    ca: RelativePath | None = None
    certificate: RelativePath | None = None
    certificate_key: RelativePath | None = None
    keepalive_s: int = Field(default=30, ge=5, le=3600)

    @field_validator("url")
    @classmethod
    def _url(cls, url: str) -> str:
        if not url.startswith(("mqtt://", "mqtts://")):
            raise ValueError("write mqtt://host:port, or mqtts://host:port for TLS")
        return url


class HttpTable(_Table):
    """HTTP intake, status page and metrics."""

    host: str = "127.0.0.1"
    port: int = Field(default=8090, ge=0, le=65535)
    operator_token_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """Token of who may ask for any reading and start the relay; without it only devices may ask."""


class RelayTable(_Table):
    """When hours are sent."""

    batch_hours: int = Field(default=24, ge=1, le=24)
    max_age_s: int = Field(default=HOUR_S, ge=0, le=7 * DAY_S)
    patience_s: int = Field(default=900, ge=0, le=7 * DAY_S)
    poll_s: float = Field(default=1.0, gt=0, le=60)
    audit_s: float = Field(default=30.0, gt=0, le=3600)
    """How often, in real time, what the chain holds is compared with the outbox."""
    minimum_members: int = Field(default=5, ge=5, le=255)
    """Fewest members behind a private sum, where this is more than what the registry demands."""
    max_records: int = Field(default=6000, ge=1, le=20_000)
    """Most records of one batch; a longer day is sent in several."""


class DeviceTable(_Table):
    """A device that may post readings of its points."""

    id: str
    token_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None

    _check = field_validator("id")(_slug)


class ControlTable(_Table):
    """Whose set-points are passed to devices, and how."""

    optimisers: tuple[Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$")], ...] = Field(min_length=1)
    """Addresses of the optimisers whose proposals are looked at."""
    interval_s: Literal[900, 3600] = 900
    """Length of an interval of the safe schedule."""
    lead_s: int = Field(default=30, ge=0, le=3600)
    """How long before its interval a set-point is sent."""
    retry_s: float = Field(default=5.0, gt=0, le=3600)
    """After how long, in real time, a set-point without an answer is sent again."""
    poll_s: float = Field(default=1.0, gt=0, le=60)
    max_validity_s: int = Field(default=3 * DAY_S, ge=900, le=14 * DAY_S)
    """How far ahead a proposal may reach."""


class ControllableTable(_Table):
    """Limits of a device that takes set-points, W; positive: it draws from the busbar."""

    device: str
    point: str
    min_w: int = Field(ge=-MAX_POWER_W, le=MAX_POWER_W)
    max_w: int = Field(ge=-MAX_POWER_W, le=MAX_POWER_W)
    ramp_w_per_min: int | None = Field(default=None, ge=1, le=MAX_POWER_W)
    safe_w: int | tuple[int, ...] = 0
    """The safe schedule: one power, or 24, one for each UTC hour of the day."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.min_w > self.max_w:
            raise ValueError(f"device {self.device}: min_w {self.min_w} is above max_w {self.max_w}")
        schedule = (self.safe_w,) if isinstance(self.safe_w, int) else self.safe_w
        if not isinstance(self.safe_w, int) and len(schedule) != HOURS_PER_DAY:
            raise ValueError(f"device {self.device}: safe_w has {len(schedule)} values, not 1 or 24")
        for power_w in schedule:
            if not self.min_w <= power_w <= self.max_w:
                raise ValueError(
                    f"device {self.device}: safe_w {power_w} is outside of {self.min_w} to {self.max_w} W"
                )
        return self

    def safe_at(self, time_s: int) -> int:
        """The safe schedule's power at a Unix time, W."""
        if isinstance(self.safe_w, int):
            return self.safe_w
        return self.safe_w[hour_of_day(hour_of(time_s))]


_KINDS = {kind.name.lower(): kind for kind in Kind}


class PointTable(_Table):
    """A metering point and how its readings come."""

    serial: str
    kind: str
    nameplate_w: int
    device: str
    posts: Literal["energy", "register"] = "energy"
    interval_s: Literal[900, 3600] = 3600
    supply: tuple[str, ...] | None = None
    """OBIS codes of the registers that count supply; by default 1.8.0 or 2.8.0, as the kind has it."""
    draw: tuple[str, ...] | None = None
    register_digits: int = 0
    register_unit_wh: int = Field(default=1, ge=1, le=1_000_000)
    """Wh of one count of the register, which rolls over at 2^32 or 10^register_digits counts."""
    sample_tolerance_s: int = Field(default=60, ge=0, le=1799)
    """How far from an hour's boundary a register value may be taken and still stand for it."""
    efficiency_permille: int = 0
    capacity_wh: int = 0
    renewable: bool = False
    private: bool = False
    salt: Annotated[str, Field(pattern=r"^(0x)?[0-9a-f]{64}$")] | None = None
    from_day: str | None = None
    """First UTC day on which the point belongs to the boundary."""
    until_day: str | None = None
    """First UTC day on which it no longer does."""

    @field_validator("kind")
    @classmethod
    def _kind(cls, kind: str) -> str:
        if kind not in _KINDS:
            raise ValueError(f"use one of {', '.join(_KINDS)}")
        return kind

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        try:
            self.declaration()
            for day in (self.from_day, self.until_day):
                if day is not None:
                    parse_day(day)
        except (PointInvalid, TimeInvalid) as error:
            raise ValueError(str(error)) from None
        if self.private and (self.salt is None or not _KINDS[self.kind].may_be_private):
            raise ValueError(
                f"point {self.serial}: a private point needs its salt and a kind among generation, "
                "storage, load and carriers"
            )
        if _KINDS[self.kind] is Kind.LOAD and self.supply:
            raise ValueError(f"point {self.serial}: a load supplies nothing, leave out supply")
        if not any(self.channels()):
            raise ValueError(f"point {self.serial}: supply and draw are both empty, so nothing is metered")
        codes = [code for registers in self.channels() for code in registers]
        if len(set(codes)) != len(codes):
            raise ValueError(f"point {self.serial}: a register counts once, but supply and draw list {codes}")
        return self

    def declaration(self) -> PointDeclaration:
        """The point as the registry knows it."""
        return PointDeclaration(
            self.serial,
            _KINDS[self.kind],
            self.nameplate_w,
            self.efficiency_permille,
            self.register_digits,
            self.renewable,
            self.capacity_wh,
        )

    def channels(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """OBIS codes of the registers of supply and of draw; empty for a channel that is not metered.

        A meter counts 1.8.0 as import and 2.8.0 as export seen from what is behind it, so at a grid
        connection or a carrier 1.8.0 is supply, and at a load, battery or generator it is draw.
        """
        kind = _KINDS[self.kind]
        if self.supply is not None or self.draw is not None:
            return self.supply or (), self.draw or ()
        if kind is Kind.GRID:
            return ("1.8.0",), ("2.8.0",)
        if kind.is_carrier:
            return ("1.8.0",), ()
        if kind in (Kind.STORAGE, Kind.VEHICLE):
            return ("2.8.0",), ("1.8.0",)
        return ((), ("1.8.0",)) if kind is Kind.LOAD else (("2.8.0",), ())


class GatewayConfig(_Table):
    """Everything that a gateway is told."""

    gateway: GatewayTable
    key: KeyTable
    chain: ChainTable
    mqtt: MqttTable | None = None
    http: HttpTable | None = None
    relay: RelayTable = RelayTable()
    control: ControlTable | None = None
    devices: tuple[DeviceTable, ...] = Field(min_length=1)
    points: tuple[PointTable, ...] = Field(min_length=1)
    controllable: tuple[ControllableTable, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        devices = {device.id for device in self.devices}
        if len(devices) != len(self.devices):
            raise ValueError("two devices have the same id")
        serials: set[str] = set()
        for point in self.points:
            if point.serial in serials:
                raise ValueError(f"point {point.serial} is listed twice")
            serials.add(point.serial)
            if point.device not in devices:
                raise ValueError(
                    f"point {point.serial} names the device {point.device!r}, which is not listed"
                )
        if self.mqtt is None and self.http is None:
            raise ValueError("there is no way in: add [mqtt] or [http]")
        self._check_control(devices)
        return self

    def _check_control(self, devices: set[str]) -> None:
        if (self.control is None) != (not self.controllable):
            raise ValueError("[control] and [[controllable]] go together")
        if self.control is not None and (self.mqtt is None or self.http is None):
            raise ValueError("[control] needs [http] for proposals and [mqtt] for set-points")
        if len({table.device for table in self.controllable}) != len(self.controllable):
            raise ValueError("a device is listed twice under [[controllable]]")
        meters = {(point.device, point.serial) for point in self.points}
        for table in self.controllable:
            if table.device not in devices:
                raise ValueError(f"controllable device {table.device!r} is not listed under [[devices]]")
            if (table.device, table.point) not in meters:
                raise ValueError(
                    f"controllable device {table.device!r}: {table.point!r} is no point that it posts"
                )


def load_config(path: Path) -> GatewayConfig:
    """The configuration in a TOML file, its paths made absolute. Raises ConfigInvalid, OSError."""
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"{path} is not TOML: {error}") from None
    return parse_config(content, path)


def parse_config(content: dict[str, object], path: Path) -> GatewayConfig:
    """The configuration in `content`, as read from `path`. Raises ConfigInvalid."""
    try:
        return GatewayConfig.model_validate(content, context={"folder": path.resolve().parent})
    except ValidationError as error:
        lines = [
            f"{path}: {'.'.join(str(part) for part in problem['loc']) or 'file'}: {problem['msg']}"
            + (f" (found {problem['input']!r})" if not isinstance(problem["input"], dict) else "")
            for problem in error.errors()
        ]
        raise ConfigInvalid("\n".join(lines)) from None
