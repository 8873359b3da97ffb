"""The real processes of a replay: brokers, chain, gateways, certifier, and the devices that post."""

import os
import secrets
import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from contracts.chain import Chain
from contracts.hour import DAY_S
from contracts.key import SigningKey
from gateway.broker import write_configuration
from gateway.device import Device, DeviceReceipt
from scripts.replay.config import DistrictTable, ReplayConfig
from scripts.replay.founding import Accounts, Founder
from scripts.replay.gateways import GATEWAY_USER, GatewaySetting, device_of, write_setting
from scripts.replay.processes import LOOPBACK, Supervised, Supervisor, free_port, listening

PED = (sys.executable, "-m", "scripts.command_line")
DAYS_BEFORE = 3
"""The chain begins so many days before the first replayed day, because boundaries start in the future."""


class ReadingsRefused(RuntimeError):
    """A gateway refused readings of the replay; the message holds its reasons."""


class World:
    """Everything that runs for a replay; processes end with the supervisor."""

    def __init__(self, supervisor: Supervisor, folder: Path, config: ReplayConfig) -> None:
        self.supervisor = supervisor
        self.folder = folder
        self.config = config
        self.deployment = folder / "deployment.json"
        self.database_url = f"sqlite:///{folder / 'certifier.sqlite'}"
        self.settings: list[GatewaySetting] = []
        self.devices: dict[str, Device] = {}
        self.brokers: dict[str, Supervised] = {}
        self.gateways: dict[str, Supervised] = {}
        self.certifier_port = free_port()
        self.chain_port = free_port()
        self.refused: list[str] = []

    def start(self, with_certifier: bool = True, with_relayer: bool = False) -> None:
        """Start all, found the world on chain, connect the devices. Raises ProcessFailed and others.

        With a relayer the certifier carries traders' orders, from an account of its own.

        The processes start beside each other and beside the founding; only the chain must be there first.
        """
        for district in self.config.district:
            self._start_broker(district)
        self.chain_process = self._start_chain()
        self.chain = Chain(f"http://{LOOPBACK}:{self.chain_port}", gas_price_wei=0)
        self.founder = Founder(self.chain, Accounts(), self.deployment)
        if with_certifier:
            self.certifier = self._start_certifier(with_relayer)
        self.founder.register(self.config, self.settings)
        for setting in self.settings:
            self._start_gateway(setting)
        self.supervisor.wait()
        for device in self.devices.values():
            device.start()

    @property
    def pages_url(self) -> str:
        """Where the certifier's pages are."""
        return f"http://{LOOPBACK}:{self.certifier_port}/"

    def close(self) -> None:
        """Disconnect the devices; the supervisor ends the processes."""
        for device in self.devices.values():
            device.close()

    def check(self) -> None:
        """Raises ProcessFailed when a process ended by itself, ReadingsRefused when a gateway refused."""
        self.supervisor.check()
        if self.refused:
            raise ReadingsRefused(self.refused[0])

    def _start_chain(self) -> Supervised:
        genesis = datetime.fromtimestamp(self.config.start_s - DAYS_BEFORE * DAY_S, UTC)
        command = [
            *(*PED, "chain", "serve"),
            *("--data", str(self.folder / "chain")),
            *("--port", str(self.chain_port)),
            *("--genesis-time", genesis.strftime("%Y-%m-%dT%H:%M:%SZ")),
        ]
        return self.supervisor.start("chain", command, lambda: listening(self.chain_port))

    def _start_broker(self, district: DistrictTable) -> None:
        port = free_port()
        folder = self.folder / "brokers" / district.id
        devices = [device_of(table) for table in district.gateway]
        passwords = write_configuration(folder, district.id, GATEWAY_USER, devices, LOOPBACK, port, None)
        for table in district.gateway:
            setting = write_setting(
                self.folder / "gateways",
                self.config,
                district,
                table,
                port,
                free_port(),
                self.deployment.resolve(),
                passwords,
            )
            self.settings.append(setting)
            self.devices[table.id] = Device(
                f"mqtt://{LOOPBACK}:{port}",
                district.id,
                setting.device,
                user=setting.device,
                password=setting.device_password,
                on_receipt=self._keep_refusals,
            )

        configuration = next(setting.config for setting in self.settings if setting.district is district)
        self.brokers[district.id] = self.supervisor.start(
            f"broker-{district.id}",
            broker_command(folder, configuration, port),
            lambda: listening(port),
            wait=False,
        )

    def _keep_refusals(self, receipt: DeviceReceipt) -> None:
        self.refused += [f"message {receipt.message_id}: {problem}" for problem in receipt.refused]

    def _start_gateway(self, setting: GatewaySetting) -> None:
        command = [*PED, "gateway", "run", str(setting.config)]
        self.gateways[setting.id] = self.supervisor.start(
            setting.id, command, lambda: listening(setting.http_port), wait=False
        )

    def _start_certifier(self, with_relayer: bool) -> Supervised:
        command = [
            *(*PED, "certifier", "serve"),
            *("--deployment", str(self.deployment)),
            *("--database", self.database_url),
            *("--port", str(self.certifier_port)),
        ]
        if with_relayer:
            keystore, password = save_keys({"relayer": SigningKey.generate()}, self.folder / "relayer")
            command += ["--relayer-keystore", str(keystore), "--relayer-password-file", str(password)]
        return self.supervisor.start("certifier", command, lambda: listening(self.certifier_port), wait=False)


def save_keys(keys: Mapping[str, SigningKey], folder: Path) -> tuple[Path, Path]:
    """Keystores of accounts by name, `NAME.json`, under one new password: the last one, and its file."""
    folder.mkdir(mode=0o700)
    secret, password = secrets.token_hex(), folder / "password"
    password.write_text(secret + "\n")
    for name, key in keys.items():
        keystore = folder / f"{name}.json"
        key.save(keystore, secret)
    return keystore, password


def mosquitto() -> str | None:
    """Path of the installed Mosquitto; None where there is none."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def broker_command(folder: Path, gateway: Path, port: int) -> Sequence[str]:
    """Mosquitto with the configuration in `folder` where it is installed, else the embedded broker.

    `gateway` is the configuration file of one of the district's gateways.
    """
    program = mosquitto()
    if program is not None:
        configuration = folder / "mosquitto.conf"
        if os.geteuid() == 0:  # it would become another user, who may not read the folder
            configuration.write_text(configuration.read_text("utf-8") + "user root\n", "utf-8")
        return [program, "-c", str(configuration)]
    access = ["--config", str(gateway), "--passwords", str(folder / "passwords")]
    return [*PED, "gateway", "broker", "--port", str(port), *access]
