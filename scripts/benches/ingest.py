"""`ingest`: readings per second from MQTT publish to accepted on the durable embedded chain.

Messages of 20 points, QoS 1, a gateway of 500 points. The reference is the engine alone, fed in the same run
with ready-made batches of the same hours as the gateway's own, for the days that follow. Broker, gateway,
chain and the device that publishes share the machine, as they do in the reference; the stages tell which of
them limits.
"""

import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from contracts.events import OpenBatchRecorded
from contracts.hour import HOURS_PER_DAY, day_start, format_time_utc
from contracts.reading import RECORD_BYTES
from scripts.benches.laboratory import Laboratory, district_config
from scripts.benches.processor import processor_s
from scripts.replay.founding import GAS
from scripts.replay.processes import Supervisor
from scripts.replay.world import World

POINTS, POINTS_PER_MESSAGE, DAYS, TIMEOUT_S = 500, 20, 6, 600.0


def measure(points: int = POINTS, days: int = DAYS) -> dict[str, Any]:
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
        receipts_s, total_s = _end_to_end(world, range(first, first + days))
        used = {process: processor_s(running.pid) - before[process] for process, running in processes.items()}
        taken = _batches(world)
        signing_s, engine_s = _engine_alone(world, taken, days)
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


def _end_to_end(world: World, days: range) -> tuple[float, float]:
    """Seconds in which messages waited for receipts, and until the last batch is on the chain.

    A day's messages come when the chain's clock has reached its end and the day before is in the outbox, so
    the gateway meters one day while the chain takes the other, and no hour is sent before it is complete.
    """
    setting, device = world.settings[0], world.devices[world.settings[0].id]
    messages = {day: _messages(world, day) for day in days}
    receipts_s = 0.0
    began = time.perf_counter()
    for day in days:
        world.chain.mine(day_start(day + 1) + 300)
        published = time.perf_counter()
        for name, body in messages[day]:
            device.publish(name, body)
        device.wait(TIMEOUT_S)
        receipts_s += time.perf_counter() - published
    for day in days:
        while not all(world.founder.platform.stream(setting.id, day, False).holders):
            world.check()
            if time.perf_counter() - began > TIMEOUT_S:
                raise TimeoutError(f"day {day} is not on the chain after {TIMEOUT_S:g} s")
            time.sleep(0.02)
    return receipts_s, time.perf_counter() - began


def _batches(world: World) -> list[OpenBatchRecorded]:
    """What the gateway brought to the chain, in order."""
    platform, chain = world.founder.platform, world.chain
    logs = chain.logs(0, chain.head(), [platform.deployment.ledger])
    return [event for event in platform.events(logs) if isinstance(event, OpenBatchRecorded)]


def _engine_alone(world: World, taken: Sequence[OpenBatchRecorded], later: int) -> tuple[float, float]:
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
    world.chain.mine(day_start(taken[-1].day + later + 1) + 300)
    began = time.perf_counter()
    for batch, signature in batches:
        world.chain.wait(platform.record_open(key, batch, signature, gas=GAS))
    return signing_s, time.perf_counter() - began
