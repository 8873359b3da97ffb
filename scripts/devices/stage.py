"""A small platform with controllable devices: chain, broker and gateway as real processes, simulated devices.

The chain's clock is the time of all: `pass_time` lets it go on, `Stage.advance` the devices with it.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2

from contracts.boundary import GatewayBoundary
from contracts.chain import Chain
from contracts.contract_calls import Role
from contracts.deployment import Deployment
from contracts.hour import DAY_S, day_of, format_time_utc
from contracts.key import SigningKey
from contracts.platform import Platform, deploy_platform
from contracts.point import Kind, PointDeclaration
from contracts.setpoint import SetpointDomain
from gateway.broker import write_configuration
from scripts.devices.physics import Model
from scripts.devices.simulated import INTERVAL_S, SimulatedDevice
from scripts.replay.founding import GAS
from scripts.replay.gateways import KEYSTORE_ITERATIONS, PASSWORD, to_toml
from scripts.replay.processes import LOOPBACK, Supervisor, free_port, listening
from scripts.replay.world import PED, broker_command

DISTRICT: Final = "old-town"
GATEWAY: Final = "gw-plant"
OPERATOR_ORGANISATION: Final = "meter-operator"
RESEND_S: Final = 0.5
TIMEOUT_S: Final = 30.0


@dataclass(frozen=True)
class Equipment:
    """A device with its meter, the limits that the gateway knows, and its physical model."""

    device: str
    kind: Kind
    min_w: int
    max_w: int
    safe_w: int | tuple[int, ...]
    model: Model
    efficiency_permille: int = 0
    ramp_w_per_min: int | None = None

    @property
    def point(self) -> PointDeclaration:
        """Its metering point, registered in the boundary."""
        nameplate_w = max(abs(self.min_w), abs(self.max_w))
        return PointDeclaration(f"{self.device}-meter", self.kind, nameplate_w, self.efficiency_permille)

    @property
    def limits(self) -> dict[str, Any]:
        """Its table in the gateway's configuration."""
        table = {"device": self.device, "point": self.point.serial, "min_w": self.min_w, "max_w": self.max_w}
        ramp = {} if self.ramp_w_per_min is None else {"ramp_w_per_min": self.ramp_w_per_min}
        return {**table, **ramp, "safe_w": self.safe_w}


class Stage:
    """Everything that runs; the processes end with the supervisor."""

    def __init__(
        self,
        supervisor: Supervisor,
        folder: Path,
        equipment: Sequence[Equipment],
        start_s: int,
        optimiser: str,
    ) -> None:
        """`start_s` is a UTC midnight, `optimiser` the address whose proposals the gateway takes."""
        self.supervisor = supervisor
        self.folder = folder
        self.equipment = {entry.device: entry for entry in equipment}
        self.start_s = start_s
        self.devices: dict[str, SimulatedDevice] = {}
        self._optimiser = optimiser
        self._key = SigningKey.generate()
        self._token = secrets.token_urlsafe(18)
        self._chain_port, self._mqtt_port, self._http_port = free_port(), free_port(), free_port()

    def start(self) -> None:
        """Start all. Raises ProcessFailed and what the chain raises."""
        broker = self.folder / "broker"
        users = [GATEWAY, *self.equipment]
        self._passwords = write_configuration(
            broker, DISTRICT, GATEWAY, users[1:], LOOPBACK, self._mqtt_port, None
        )
        config = self._configure()
        self.broker = self.supervisor.start(
            "broker",
            broker_command(broker, config, self._mqtt_port),
            lambda: listening(self._mqtt_port),
            wait=False,
        )
        genesis = format_time_utc(self.start_s - 2 * DAY_S)
        command = [*PED, "chain", "serve", "--data", str(self.folder / "chain")]
        command += ["--port", str(self._chain_port), "--genesis-time", genesis]
        self.supervisor.start("chain", command, lambda: listening(self._chain_port))
        self._found()
        self.gateway = self.supervisor.start(
            "gateway", [*PED, "gateway", "run", str(config)], self.gateway_listens, wait=False
        )
        self.supervisor.wait()
        for entry in self.equipment.values():
            device = SimulatedDevice(
                f"mqtt://{LOOPBACK}:{self._mqtt_port}",
                DISTRICT,
                entry.device,
                entry.point.serial,
                entry.model,
                self.start_s,
                password=self._passwords[entry.device],
                supplies=entry.kind is not Kind.LOAD,
                resend_s=RESEND_S,
            )
            self.devices[entry.device] = device
            device.start()

    def close(self) -> None:
        """Disconnect the devices; the supervisor ends the processes."""
        for device in self.devices.values():
            device.close()

    def gateway_listens(self) -> bool:
        """Whether the gateway's HTTP port is open."""
        return listening(self._http_port)

    def client(self) -> httpx2.Client:
        """An HTTP client of the gateway with the operator's token."""
        return httpx2.Client(
            base_url=f"http://{LOOPBACK}:{self._http_port}",
            headers={"Authorization": f"Bearer {self._token}"},
            trust_env=False,
            timeout=TIMEOUT_S,
        )

    @property
    def domain(self) -> SetpointDomain:
        """What proposals are signed for."""
        return Deployment.load(self.folder / "deployment.json").setpoint_domain

    def pass_time(self, time_s: int) -> None:
        """Let the chain's clock reach a Unix time; nothing where it is there already."""
        if self.chain.block().time_s < time_s:
            self.chain.mine(time_s)

    def advance(self, until_s: int) -> None:
        """Let devices work until a full quarter-hour; returns when the gateway has their readings.

        Raises ReadingRefused and ReceiptsMissing.
        """
        for device in self.devices.values():
            device.work(until_s)
        # Not before: what the gateway sends for the time to come finds devices that are there already.
        self.pass_time(until_s)
        for device in self.devices.values():
            device.post(TIMEOUT_S)

    def _configure(self) -> Path:
        folder = self.folder
        (folder / "password").write_text(PASSWORD + "\n", "utf-8")
        (folder / "broker-password").write_text(self._passwords[GATEWAY] + "\n", "utf-8")
        self._key.save(folder / "gateway.json", PASSWORD, KEYSTORE_ITERATIONS)
        document: dict[str, Any] = {
            "gateway": {"id": GATEWAY, "district": DISTRICT, "data": "outbox.sqlite"},
            "key": {"keystore": "gateway.json", "password_file": "password"},
            "chain": {"deployment": "deployment.json", "clock": "chain"},
            "mqtt": {
                "url": f"mqtt://{LOOPBACK}:{self._mqtt_port}",
                "user": GATEWAY,
                "password_file": "broker-password",
            },
            "http": {
                "port": self._http_port,
                "operator_token_sha256": hashlib.sha256(self._token.encode()).hexdigest(),
            },
            "control": {
                "optimisers": [self._optimiser],
                "interval_s": 3600,
                "lead_s": 0,
                "retry_s": RESEND_S,
                "poll_s": 0.1,
            },
            "devices": [{"id": device} for device in self.equipment],
            "points": [
                {
                    "serial": entry.point.serial,
                    "kind": entry.kind.name.lower(),
                    "nameplate_w": entry.point.nameplate_w,
                    "device": entry.device,
                    "interval_s": INTERVAL_S,
                    "efficiency_permille": entry.efficiency_permille,
                }
                for entry in self.equipment.values()
            ],
            "controllable": [entry.limits for entry in self.equipment.values()],
        }
        path = folder / "gateway.toml"
        path.write_text(to_toml(document), "utf-8")
        return path

    def _found(self) -> None:
        """Contracts, organisations, district, gateway and boundary, as little as a gateway needs."""
        self.chain = Chain(f"http://{LOOPBACK}:{self._chain_port}", gas_price_wei=0)
        administrator, operator = SigningKey.generate(), SigningKey.generate()
        deployment = deploy_platform(
            self.chain, administrator, "certification-body", "Certification body", gas=GAS
        )
        deployment.save(self.folder / "deployment.json")
        platform = Platform(self.chain, deployment)
        boundary = GatewayBoundary(GATEWAY, tuple(entry.point for entry in self.equipment.values()), ())
        first_day = day_of(self.start_s)
        calls: tuple[tuple[Any, ...], ...] = (
            (platform.register_organisation, administrator, OPERATOR_ORGANISATION, "Meter operator"),
            (platform.register_organisation, administrator, "municipality", "Municipality"),
            (platform.enrol, administrator, operator.address, OPERATOR_ORGANISATION, Role.METER_OPERATOR),
            (
                platform.register_district,
                administrator,
                DISTRICT,
                "zone",
                "municipality",
                OPERATOR_ORGANISATION,
            ),
            (platform.register_gateway, operator, GATEWAY, DISTRICT, self._key.address),
            (platform.publish_boundary, operator, DISTRICT, first_day, [boundary]),
        )
        for call, *arguments in calls:
            self.chain.wait(call(*arguments, gas=GAS))
