"""`ingest`: readings per second from MQTT publish to accepted on the durable embedded chain.

Messages of 20 points, QoS 1, a gateway of 500 points that sends day batches. The reference is the engine
alone, fed in the same run with ready-made batches of the same size for the days that follow.
"""

import json
import tempfile
import time
from pathlib import Path
from typing import Any

from contracts.hour import HOURS_PER_DAY, day_start, format_time_utc
from scripts.benches.laboratory import Laboratory, district_config
from scripts.replay.founding import GAS
from scripts.replay.processes import Supervisor
from scripts.replay.world import World

POINTS, POINTS_PER_MESSAGE, DAYS, TIMEOUT_S = 500, 20, 4, 600.0


def measure() -> dict[str, Any]:
    """Rates in readings per second; `ratio` is end to end over engine alone."""
    config = district_config([POINTS], last_day="2024-03-31")
    with (
        tempfile.TemporaryDirectory(prefix="ped-bench-") as name,
        Supervisor(Path(name) / "logs") as supervisor,
    ):
        world = World(supervisor, Path(name), config)
        world.start(with_certifier=False)
        readings = POINTS * HOURS_PER_DAY * DAYS
        receipts_s, total_s = _end_to_end(world)
        engine_s = _engine_alone(world)
        world.close()
    return {
        "end_to_end_readings_per_s": round(readings / total_s, 1),
        "engine_readings_per_s": round(readings / engine_s, 1),
        "ratio": round(engine_s / total_s, 3),
        "publish_to_receipt_readings_per_s": round(readings / receipts_s, 1),
        "readings": readings,
        "points_per_message": POINTS_PER_MESSAGE,
        "readings_per_batch": POINTS * HOURS_PER_DAY,
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


def _end_to_end(world: World) -> tuple[float, float]:
    """Seconds until the last receipt, and until the last batch is on the chain."""
    setting, first = world.settings[0], world.config.first_day_number
    days = range(first, first + DAYS)
    messages = [message for day in days for message in _messages(world, day)]
    world.chain.mine(day_start(first + DAYS) + 300)
    device = world.devices[setting.id]
    began = time.perf_counter()
    for name, body in messages:
        device.publish(name, body)
    device.wait(TIMEOUT_S)
    receipts_s = time.perf_counter() - began
    for day in days:
        while not all(world.founder.platform.stream(setting.id, day, False).holders):
            world.check()
            if time.perf_counter() - began > TIMEOUT_S:
                raise TimeoutError(f"day {day} is not on the chain after {TIMEOUT_S:g} s")
            time.sleep(0.02)
    return receipts_s, time.perf_counter() - began


def _engine_alone(world: World) -> float:
    """Seconds in which the engine takes as many readings as ready-made batches of the same size."""
    laboratory = Laboratory(world.config, world.chain, world.founder, world.settings)
    platform, key = world.founder.platform, world.settings[0].key
    first = world.config.first_day_number + DAYS
    world.chain.mine(day_start(first + DAYS) + 300)
    batches = [laboratory.open_batch(0, day, 1, range(HOURS_PER_DAY)) for day in range(first, first + DAYS)]
    began = time.perf_counter()
    for batch, signature in batches:
        world.chain.wait(platform.record_open(key, batch, signature, gas=GAS))
    return time.perf_counter() - began
