"""`ingest`: readings per second from MQTT publish to accepted on the durable embedded chain.

Messages of 20 points, QoS 1, a gateway of 500 points. The reference is the engine alone, fed in the same run
with ready-made batches of the same hours as the gateway's own, for the days that follow. Broker, gateway,
chain and the device that publishes share the machine, as they do in the reference; the stages tell which of
them limits.
"""

import json
import tempfile
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from contracts.events import OpenBatchRecorded
from contracts.hour import HOURS_PER_DAY, day_start, format_time_utc
from contracts.reading import RECORD_BYTES
from scripts.benches.laboratory import Laboratory, district_config
from scripts.benches.mqtt_load import MqttLoad
from scripts.benches.processor import processor_s
from scripts.benches.progress import Tell, tell_nobody
from scripts.replay.founding import GAS
from scripts.replay.processes import LOOPBACK, Supervisor
from scripts.replay.world import World

POINTS, POINTS_PER_MESSAGE, DAYS, TIMEOUT_S = 500, 20, 12, 600.0
LOOK_S = 0.02


def measure(points: int = POINTS, days: int = DAYS, tell: Tell = tell_nobody) -> dict[str, Any]:
    """Rates in readings per second; `ratio` is end to end over engine alone.

    `*_per_processor_s`: what a process could do at most with a processor of its own.
    """
    config = district_config([points], last_day="2024-03-31")
    with (
        tempfile.TemporaryDirectory(prefix="ped-bench-") as name,
        Supervisor(Path(name) / "logs") as supervisor,
    ):
        world = World(supervisor, Path(name), config)
        world.start(with_certifier=False)
        first = config.first_day_number
        processes = {
            "gateway": world.gateways[world.settings[0].id],
            "chain": world.chain_process,
            "broker": world.brokers[config.district[0].id],
        }
        before = {process: processor_s(running.pid) for process, running in processes.items()}
        receipts_s, total_s = _end_to_end(world, range(first, first + days), tell)
        used = {process: processor_s(running.pid) - before[process] for process, running in processes.items()}
        taken = _batches(world)
        signing_s, engine_s = _engine_alone(world, taken, days, tell)
        world.close()
    readings = points * HOURS_PER_DAY * days
    return {
        "end_to_end_readings_per_s": round(readings / total_s, 1),
        "engine_readings_per_s": round(readings / engine_s, 1),
        "ratio": round(engine_s / total_s, 3),
        "publish_to_receipt_readings_per_s": round(readings / receipts_s, 1),
        "packing_and_signing_readings_per_s": round(readings / signing_s, 1),
        **{
            f"{process}_readings_per_processor_s": round(readings / max(seconds, 0.01), 1)
            for process, seconds in used.items()
        },
        "readings": readings,
        "points_per_message": POINTS_PER_MESSAGE,
        "batches": len(taken),
        "readings_per_batch": round(readings / len(taken), 1),
    }


def _messages(world: World, day: int) -> list[tuple[str, bytes]]:
    points = [point.serial for point in world.settings[0].points]
    return [
        (
            f"{day}-{hour}-{first}",
            json.dumps(
                {
                    "id": f"{day}-{hour}-{first}",
                    "readings": [
                        {
                            "point": serial,
                            "time_utc": format_time_utc(day_start(day) + 3600 * hour),
                            "interval_s": 3600,
                            "draw_wh": 1 + (31 * (first + place) + 7 * hour) % 9_999,
                        }
                        for place, serial in enumerate(points[first : first + POINTS_PER_MESSAGE])
                    ],
                },
                separators=(",", ":"),
            ).encode(),
        )
        for hour in range(HOURS_PER_DAY)
        for first in range(0, len(points), POINTS_PER_MESSAGE)
    ]


def _end_to_end(world: World, days: range, tell: Tell) -> tuple[float, float]:
    """Seconds in which messages waited for receipts, and until the last batch is on the chain.

    A day's messages come when the chain's clock has reached its end and the day before is in the outbox, so
    the gateway meters one day while the chain takes the other, and no hour is sent before it is complete.
    """
    setting = world.settings[0]
    platform, chain = world.founder.platform, world.chain
    messages = {day: _messages(world, day) for day in days}
    device = _device(world)
    receipts_s = 0.0
    began = time.perf_counter()
    for done, day in enumerate(days):
        tell("days published", done, len(days))
        chain.mine(day_start(day + 1) + 300)
        published = time.perf_counter()
        device.publish(messages[day], TIMEOUT_S)
        receipts_s += time.perf_counter() - published
    device.close()
    head = -1
    for day in days:
        while not all(platform.stream(setting.id, day, False).holders):
            while (newest := chain.head()) == head:  # the stream itself is a call that the engine executes
                world.check()
                if time.perf_counter() - began > TIMEOUT_S:
                    raise TimeoutError(f"day {day} is not on the chain after {TIMEOUT_S:g} s")
                time.sleep(LOOK_S)
            head = newest
    return receipts_s, time.perf_counter() - began


def _device(world: World) -> MqttLoad:
    """The gateway's device, in place of the one that the world connected."""
    setting = world.settings[0]
    world.devices[setting.id].close()
    port = tomllib.loads(setting.config.read_text("utf-8"))["mqtt"]["url"].rpartition(":")[2]
    return MqttLoad(LOOPBACK, int(port), setting.district.id, setting.device, setting.device_password)


def _batches(world: World) -> list[OpenBatchRecorded]:
    """What the gateway brought to the chain, in order."""
    platform, chain = world.founder.platform, world.chain
    logs = chain.logs(0, chain.head(), [platform.deployment.ledger])
    return [event for event in platform.events(logs) if isinstance(event, OpenBatchRecorded)]


def _engine_alone(
    world: World, taken: Sequence[OpenBatchRecorded], later: int, tell: Tell
) -> tuple[float, float]:
    """Seconds to pack and sign batches of the same hours `later` days on, and until the engine has them."""
    laboratory = Laboratory(world.config, world.chain, world.founder, world.settings)
    platform, key = world.founder.platform, world.settings[0].key
    section = 1 + RECORD_BYTES * len(world.settings[0].points)
    began = time.perf_counter()
    batches = [
        laboratory.open_batch(
            0, event.day + later, event.sequence, list(event.payload[::section]), event.replaces
        )
        for event in taken
    ]
    signing_s = time.perf_counter() - began
    engine_s, day = 0.0, -1
    for done, (batch, signature) in enumerate(batches):
        tell("batches in the engine alone", done, len(batches))
        if batch.day != day:
            day = batch.day
            world.chain.mine(day_start(day + 1) + 300)
        began = time.perf_counter()
        world.chain.wait(platform.record_open(key, batch, signature, gas=GAS))
        engine_s += time.perf_counter() - began
    return signing_s, engine_s
