"""What the gateway's tests run against: a real chain with one district, real brokers, real processes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.boundary import GatewayBoundary, MemberDeclaration
from contracts.chain import Chain
from contracts.contract_calls import Role
from contracts.deployment import Deployment
from contracts.hour import DAY_S, format_time_utc, parse_time_utc
from contracts.key import SigningKey
from contracts.platform import Platform, deploy_platform
from contracts.privacy import commitment
from gateway.config import GatewayConfig, PointTable, load_config
from tests.contracts.nodes import EmbeddedNode, free_port, key

ROOT = Path(__file__).parent.parent.parent
DAY = parse_time_utc("2019-01-02T00:00:00Z") // DAY_S
START_S = DAY * DAY_S
GATEWAY, DISTRICT, DEVICE = "gw-1", "old-town", "cabinet"
PASSWORD = "only for tests"
ITERATIONS = 2
PATIENCE_S = 120.0
"""How long a test waits for what must happen, on however busy a machine."""
MOSQUITTO = next(
    (path for path in ("/usr/sbin/mosquitto", "/usr/bin/mosquitto") if Path(path).exists()), "mosquitto"
)


def at(hour: float, day: int = 0) -> str:
    """ISO 8601 time of an hour of the test day."""
    return format_time_utc(START_S + day * DAY_S + int(hour * 3600))


def point(serial: str, kind: str, **options: Any) -> dict[str, Any]:
    """A point's table."""
    return {"serial": serial, "kind": kind, "nameplate_w": 10_000, "device": DEVICE, **options}


GRID_AND_PV = (point("grid", "grid"), point("pv", "generation", renewable=True))


def toml(content: dict[str, Any]) -> str:
    """TOML of tables and lists of tables."""
    lines = []
    for name, table in content.items():
        for entry in table if isinstance(table, list) else [table]:
            lines.append(f"[[{name}]]" if isinstance(table, list) else f"[{name}]")
            lines += [f"{option} = {json.dumps(value)}" for option, value in entry.items()]
    return "\n".join(lines) + "\n"


def write_config(
    folder: Path,
    points: Sequence[dict[str, Any]] = GRID_AND_PV,
    *,
    devices: Sequence[dict[str, Any]] = ({"id": DEVICE},),
    **tables: dict[str, Any],
) -> Path:
    """Key, password and configuration of a gateway in `folder`."""
    (folder / "password").write_text(PASSWORD + "\n")
    if not (folder / "key.json").exists():
        key(77).save(folder / "key.json", PASSWORD, ITERATIONS)
    content: dict[str, Any] = {
        "gateway": {"id": GATEWAY, "district": DISTRICT, "data": "outbox.sqlite"},
        "key": {"keystore": "key.json", "password_file": "password"},
        "chain": {"deployment": "deployment.json", "clock": "chain"},
        "http": {"port": 0},
        "relay": {"poll_s": 0.02},
        "devices": list(devices),
        "points": list(points),
    }
    content.update(tables)
    path = folder / "gateway.toml"
    path.write_text(toml(content))
    return path


@dataclass
class World:
    """A replaying chain with a deployed platform and one district."""

    folder: Path
    node: EmbeddedNode
    chain: Chain
    platform: Platform
    administrator: SigningKey
    operator: SigningKey

    @classmethod
    def found(cls, folder: Path) -> "World":
        """Deploy and register a district whose time is before the test day."""
        node = EmbeddedNode(folder / "chain", "--genesis-time", format_time_utc(START_S - 2 * DAY_S))
        chain = Chain(node.url)
        administrator, operator = key(1), key(2)
        deployment = deploy_platform(chain, administrator, "authority", "Authority", gas=60_000_000)
        deployment.save(folder / "deployment.json")
        platform = Platform(chain, deployment)
        world = cls(folder, node, chain, platform, administrator, operator)
        chain.wait(platform.register_organisation(administrator, "operator", "Operator"))
        chain.wait(platform.register_organisation(administrator, "owner", "Owner"))
        chain.wait(platform.enrol(administrator, operator.address, "operator", Role.METER_OPERATOR))
        chain.wait(platform.register_district(administrator, DISTRICT, "zone", "owner", "operator"))
        return world

    @classmethod
    def copy(cls, founded: Path, folder: Path) -> "World":
        """A world of its own that begins like the one at `founded`, which must be stopped."""
        shutil.copytree(founded, folder, dirs_exist_ok=True)
        node = EmbeddedNode(folder / "chain")
        content = json.loads((folder / "deployment.json").read_text())
        (folder / "deployment.json").write_text(json.dumps({**content, "rpc_url": node.url}))
        chain = Chain(node.url)
        platform = Platform(chain, Deployment.load(folder / "deployment.json"))
        return cls(folder, node, chain, platform, key(1), key(2))

    def at(self, folder: Path) -> "World":
        """The same chain, with the files of a test in `folder`."""
        shutil.copy(self.folder / "deployment.json", folder)
        chain = Chain(self.node.url)
        platform = Platform(chain, Deployment.load(folder / "deployment.json"))
        return World(folder, self.node, chain, platform, self.administrator, self.operator)

    def register(self, path: Path, signer: SigningKey | None = None) -> GatewayConfig:
        """Register a gateway with the points of its configuration, from the test day on."""
        config = load_config(path)
        address = (signer or key(77)).address
        platform, operator = self.platform, self.operator
        self.chain.wait(platform.register_gateway(operator, config.gateway.id, DISTRICT, address))
        boundary = GatewayBoundary(
            config.gateway.id,
            tuple(entry.declaration() for entry in config.points if not entry.private),
            tuple(member(entry) for entry in config.points if entry.private),
        )
        self.chain.wait(platform.publish_boundary(operator, DISTRICT, DAY, [boundary]))
        return config

    def pass_time(self, hour: float, day: int = 0) -> None:
        """Let the chain's clock reach an hour of the test day."""
        self.chain.mine(START_S + day * DAY_S + int(hour * 3600))

    def restart(self) -> None:
        """Start the chain again over its files, on another port; the deployment file follows."""
        self.node = EmbeddedNode(self.folder / "chain")
        self.chain = Chain(self.node.url)
        path = self.folder / "deployment.json"
        content = json.loads(path.read_text())
        content["rpc_url"] = self.node.url
        path.write_text(json.dumps(content))
        self.platform = Platform(self.chain, Deployment.load(path))

    def stop(self) -> None:
        self.node.stop()


def member(entry: PointTable) -> MemberDeclaration:
    """The registered form of a private point."""
    declared, salt = entry.declaration(), entry.salt
    assert salt is not None
    return MemberDeclaration(
        commitment(entry.serial, bytes.fromhex(salt)), declared.kind, declared.nameplate_w
    )


class Mosquitto:
    """A real broker over `folder`, with the configuration of `ped gateway broker-config`."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder = folder
        self.port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [MOSQUITTO, "-c", str(self.folder / "mosquitto.conf")]
        if os.geteuid() == 0:  # Mosquitto would change to a user that cannot read the folder
            text = (self.folder / "mosquitto.conf").read_text()
            if "user root" not in text:
                (self.folder / "mosquitto.conf").write_text("user root\n" + text)
        log = (self.folder / "mosquitto.log").open("ab")
        self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until(lambda: listens(self.port), f"mosquitto listens ({self.folder / 'mosquitto.log'})")

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait()


def listens(port: int) -> bool:
    """Whether something accepts connections."""
    import socket

    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = PATIENCE_S) -> None:
    """Wait for something that must happen."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not in {timeout_s:g} s: {what}"
        time.sleep(0.02)


def ped(*arguments: object, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command of `ped` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "scripts.command_line", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )


class GatewayProcess:
    """`ped gateway run` as a process that can be killed."""

    def __init__(self, config: Path) -> None:
        self.config = config
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        log = (self.config.parent / "gateway.log").open("a")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "scripts.command_line", "gateway", "run", str(self.config)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert "is running" in line, f"{line!r}: {(self.config.parent / 'gateway.log').read_text()}"

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode
