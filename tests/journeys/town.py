"""A small town for the journeys: real broker, chain, gateways and certifier, and known readings.

One district with a plant gateway (grid, generation, load) and a gateway of five households. All energies of
a reading are Wh and all times UTC; the test keeps every reading that it publishes, and what the chain and the
certifier hold at the end is compared with exactly those.
"""

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from certifier.queries import alarms, hour_balances
from certifier.store import Store
from certifier.views import HourBalance
from contracts.chain import Chain, ChainUnavailable, RpcFailed
from contracts.hour import DAY_S, HOUR_S, day_start, first_hour, format_time_utc
from contracts.keccak import keccak
from contracts.platform import Platform
from contracts.reading import Record, Status, unpack_open, unpack_private
from gateway.config import load_config
from gateway.device import Device, DeviceReceipt
from scripts.replay.config import ReplayConfig
from scripts.replay.config import load_config as load_replay
from scripts.replay.gateways import GatewaySetting
from scripts.replay.processes import Supervised, Supervisor
from scripts.replay.results import wait_until_followed
from scripts.replay.world import World

ROOT = Path(__file__).parent.parent.parent
DISTRICT, PLANT, HOMES = "harbour", "plant", "homes"
HOUSEHOLDS = tuple(f"home-{number}" for number in range(1, 6))
FIRST_DAY = "2019-03-01"
RECEIPTS_S = 120.0
SETTLE_S = 180.0
"""Generous deadlines of things that must happen; nothing waits for them when all is well."""

TOWN = f"""
title = "Harbour"
zone = "es-test"
first_day = {FIRST_DAY}
last_day = 2019-03-31
[scheme]
id = "total-static"
factors = "static"
pef_min = 0.5
pef_max = 3.0
ghg_max_g_per_kwh = 1000
[factors.electricity]
import_pef = 2.4
import_non_renewable_pef = 2.0
import_ghg_g_per_kwh = 700
export_pef = 2.2
export_non_renewable_pef = 1.8
export_ghg_g_per_kwh = 600
[[district]]
id = "{DISTRICT}"
name = "Harbour"
[[district.gateway]]
id = "{PLANT}"
[[district.gateway.point]]
serial = "grid-1"
kind = "grid"
nameplate_w = 100_000
csv = "none.csv"
supply = "import_wh"
draw = "export_wh"
[[district.gateway.point]]
serial = "pv-1"
kind = "generation"
nameplate_w = 100_000
renewable = true
csv = "none.csv"
supply = "pv_wh"
[[district.gateway.point]]
serial = "load-1"
kind = "load"
nameplate_w = 50_000
csv = "none.csv"
draw = "load_wh"
[[district.gateway]]
id = "{HOMES}"
""" + "".join(
    f'[[district.gateway.member]]\nserial = "{home}"\nkind = "load"\nnameplate_w = 10_000\n'
    f'csv = "none.csv"\ndraw = "{home}_wh"\n'
    for home in HOUSEHOLDS
)

Energies = Mapping[str, tuple[int | None, int | None]]
"""Serial -> (supply_wh, draw_wh); None for a direction that the meter does not have."""


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = SETTLE_S) -> None:
    """Poll for something that must happen; a chain that is down meanwhile is no answer."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            if condition():
                return
        except ChainUnavailable as problem:
            what = f"{what} ({problem})"
        assert time.monotonic() < deadline, f"not in {timeout_s:g} s: {what}"
        time.sleep(0.05)


def ped(*arguments: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a command of `ped` to its end."""
    command = [sys.executable, "-m", "scripts.command_line", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def energies(rng: random.Random) -> dict[str, tuple[int | None, int | None]]:
    """One hour of the whole town, conserved: the grid takes what production and use leave."""
    load, pv = rng.randrange(40_000), rng.randrange(0, 90_000)
    homes = [rng.randrange(8_000) for _ in HOUSEHOLDS]
    net = pv - load - sum(homes)
    return {
        "grid-1": (max(0, -net), max(0, net)),
        "pv-1": (pv, None),
        "load-1": (None, load),
        **{home: (None, used) for home, used in zip(HOUSEHOLDS, homes, strict=True)},
    }


@dataclass
class Town:
    """The running town, what was published, and every receipt of a device."""

    world: World
    folder: Path
    config: ReplayConfig
    published: dict[int, dict[str, tuple[int | None, int | None]]] = field(default_factory=dict)
    receipts: dict[str, dict[str, DeviceReceipt]] = field(default_factory=dict)
    devices: dict[str, Device] = field(default_factory=dict)
    messages: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        # The test's own chain client waits while the chain is being killed and started.
        self.chain = Chain(self.world.chain.url, gas_price_wei=0, retry_s=60)
        self.platform = Platform(self.chain, self.world.founder.platform.deployment)
        for setting in self.world.settings:
            self.world.devices[setting.id].close()
            self.devices[setting.id] = self._device(setting)

    @property
    def first_day(self) -> int:
        """Day number of the first day."""
        return self.config.first_day_number

    @property
    def broker_port(self) -> int:
        """Where the broker listens."""
        mqtt = load_config(self.world.settings[0].config).mqtt
        assert mqtt is not None
        return int(mqtt.url.rsplit(":", 1)[1])

    def setting(self, gateway_id: str) -> GatewaySetting:
        """How a gateway was set up."""
        return next(setting for setting in self.world.settings if setting.id == gateway_id)

    def _device(self, setting: GatewaySetting) -> Device:
        received = self.receipts.setdefault(setting.id, {})

        def keep(receipt: DeviceReceipt) -> None:
            assert receipt.message_id not in received
            received[receipt.message_id] = receipt

        mqtt = load_config(setting.config).mqtt
        assert mqtt is not None
        device = Device(
            mqtt.url,
            DISTRICT,
            setting.device,
            user=setting.device,
            password=setting.device_password,
            resend_s=2.0,
            on_receipt=keep,
        )
        device.start()
        return device

    def close(self) -> None:
        """Disconnect the devices."""
        for device in self.devices.values():
            device.close()

    def pass_time(self, time_s: int) -> None:
        """Let the chain's clock reach a time, whoever is killed meanwhile."""
        while self.chain.block().time_s < time_s:
            try:
                self.chain.mine(time_s)
            except (ChainUnavailable, RpcFailed):  # killed between the block and its answer: look again
                time.sleep(0.05)

    def post(self, gateway_id: str, hours: Mapping[int, Energies]) -> str:
        """Publish a gateway's readings of these hours as one message; its id."""
        self.messages[gateway_id] += 1
        name = f"message-{self.messages[gateway_id]}"
        own = {point.serial for point in self.setting(gateway_id).points}
        readings = []
        for hour, values in hours.items():
            for serial, (supply_wh, draw_wh) in values.items():
                if serial not in own:
                    continue
                self.published.setdefault(hour, {})[serial] = supply_wh, draw_wh
                reading: dict[str, Any] = {"point": serial, "time_utc": format_time_utc(hour * HOUR_S)}
                if supply_wh is not None:
                    reading["supply_wh"] = supply_wh
                if draw_wh is not None:
                    reading["draw_wh"] = draw_wh
                readings.append(reading)
        body = json.dumps({"id": name, "readings": readings}).encode()
        self.devices[gateway_id].publish(name, body)
        return name

    def post_day(self, day: int, rng: random.Random) -> None:
        """Publish a whole day of both gateways, once the chain's clock is behind it."""
        self.pass_time(day_start(day + 1) + 300)
        hours = {hour: energies(rng) for hour in range(first_hour(day), first_hour(day + 1))}
        for gateway_id in (PLANT, HOMES):
            self.post(gateway_id, hours)

    def wait_for_receipts(self) -> None:
        """Every message that was published has its receipt, and none was refused."""
        for gateway_id, device in self.devices.items():
            device.wait(RECEIPTS_S)
            received = self.receipts[gateway_id]
            assert len(received) == self.messages[gateway_id]
            assert [receipt.refused for receipt in received.values() if receipt.refused] == []

    def covered(self, day: int) -> bool:
        """Whether both gateways' batches hold all hours of a day."""
        streams = (self.platform.stream(PLANT, day), self.platform.stream(HOMES, day, True))
        return all(all(stream.holders) for stream in streams)

    def batches(self) -> dict[tuple[str, int, bool], list[Any]]:
        """(gateway, day, private) -> accepted batches in the chain's order, from the logs alone."""
        found: dict[tuple[str, int, bool], list[Any]] = {}
        for log in self.chain.logs(0, self.chain.head(), self.platform.addresses):
            event = self.platform.event(log)
            name = type(event).__name__
            if name in ("OpenBatchRecorded", "PrivateBatchRecorded"):
                batch: Any = event
                private = name == "PrivateBatchRecorded"
                found.setdefault((batch.gateway_id, batch.day, private), []).append(batch)
        return found

    def hour_sums(self, hour: int) -> tuple[int, int, int, int]:
        """(import, export, production, consumption) of an hour as the Ledger holds them, Wh."""
        word = self.platform.hour_words(DISTRICT, hour // 24)[hour % 24]
        lanes = [word >> 32 * lane & 0xFFFFFFFF for lane in range(4)]
        return lanes[0], lanes[1], lanes[2], lanes[3]

    def check_chain(self) -> None:
        """The chain holds what was published, once: by its sums, and by the signed batches in its logs."""
        self._check_sums()
        self._check_batches()

    def _check_sums(self) -> None:
        for hour, values in sorted(self.published.items()):
            used = sum(draw or 0 for serial, (_, draw) in values.items() if not serial.startswith("grid"))
            grid, pv = values["grid-1"], values["pv-1"]
            expected = grid[0] or 0, grid[1] or 0, pv[0] or 0, used
            assert self.hour_sums(hour) == expected, format_time_utc(hour * HOUR_S)

    def _check_batches(self) -> None:
        serials = [point.serial for point in self.setting(PLANT).table.point]
        held: dict[int, set[str]] = {}
        for (gateway_id, day, private), batches in self.batches().items():
            assert [batch.sequence for batch in batches] == list(range(1, len(batches) + 1))
            stream = self.platform.stream(gateway_id, day, private)
            for batch in batches:
                held_hash = self.platform.batch_hash(gateway_id, day, private, batch.sequence)
                assert held_hash == keccak(batch.payload)
                sections: Any = (
                    unpack_private(batch.payload) if private else unpack_open(batch.payload, len(serials))
                )
                for section in sections:
                    if stream.holders[section.hour_of_day] != batch.sequence:
                        assert stream.holders[section.hour_of_day] > batch.sequence  # it was corrected
                        continue
                    hour = first_hour(day) + section.hour_of_day
                    streams = held.setdefault(hour, set())
                    assert gateway_id not in streams
                    streams.add(gateway_id)
                    values = self.published[hour]
                    if private:
                        (total,) = section.sums
                        used = sum(values[home][1] or 0 for home in HOUSEHOLDS)
                        assert (total.members, total.supply_wh, total.draw_wh) == (5, 0, used)
                    else:
                        assert section.records == tuple(
                            Record(Status.MEASURED, values[serial][0] or 0, values[serial][1] or 0)
                            for serial in serials
                        )
        assert held == {hour: {PLANT, HOMES} for hour in self.published}

    def projection(self, assessment_id: str | None = None) -> list[HourBalance]:
        """The certifier's hours once it has followed the chain to its end; an alarm is a failure."""
        store = Store(self.world.database_url)
        try:
            wait_until_followed(store, self.chain, SETTLE_S)
            with store.read() as connection:
                assert alarms(connection) == []
                hours = min(self.published), max(self.published) + 1
                return hour_balances(connection, DISTRICT, *hours, assessment_id)
        finally:
            store.close()

    def check_projection(self, assessment_id: str | None = None) -> None:
        """The certifier agrees with the chain, hour by hour."""
        found = self.projection(assessment_id)
        assert [int(hour.start_time_utc.timestamp()) // HOUR_S for hour in found] == sorted(self.published)
        for hour in found:
            number = int(hour.start_time_utc.timestamp()) // HOUR_S
            sums = hour.import_wh, hour.export_wh, hour.production_wh, hour.consumption_wh
            assert sums == self.hour_sums(number)

    def where(self, gateway_id: str, serial: str, hour: int) -> dict[str, Any]:
        """What the gateway's own command says about a reading."""
        when = format_time_utc(hour * HOUR_S)
        config = self.setting(gateway_id).config
        answer = ped("gateway", "where", config, "--point", serial, "--hour", when, "--json")
        assert answer.returncode == 0, answer.stderr
        found: dict[str, Any] = json.loads(answer.stdout)
        return found

    def make_final(self, last_day: int) -> None:
        """Let the chain's clock pass the finality of a day."""
        self.pass_time(day_start(last_day + 1) + 7 * DAY_S + 300)


def restart(process: Supervised, ready: Callable[[], bool]) -> None:
    """Start a process that was killed or stopped, and wait until it is ready."""
    process.start()
    process.wait_until(ready)


def town_config(folder: Path, text: str = TOWN) -> ReplayConfig:
    """The town as `ped replay` would read it."""
    path = folder / "town.toml"
    path.write_text(text, "utf-8")
    return load_replay(path)


@contextmanager
def running_town(folder: Path, world_class: type[World] = World) -> Iterator[Town]:
    """The founded town with all its processes, ended afterwards."""
    config = town_config(folder)
    with Supervisor(folder / "logs") as supervisor:
        world = world_class(supervisor, folder, config)
        world.start()
        town = Town(world, folder, config)
        try:
            yield town
        finally:
            town.close()
