"""`api`: certificate and balance queries per second with 50 clients, over real sockets."""

import tempfile
from pathlib import Path
from typing import Any

from certifier.store import Store
from contracts.hour import format_day
from scripts.benches.http_load import measure as load
from scripts.benches.progress import Tell, tell_nobody
from scripts.replay.command_line import DEMO
from scripts.replay.config import load_config
from scripts.replay.processes import LOOPBACK, Supervisor, free_port, listening
from scripts.replay.results import wait_until_followed
from scripts.replay.run import Replay, read_inputs
from scripts.replay.world import PED, World

YEAR_DAYS, CLIENTS, WARM_S, SECONDS, WORKERS = 365, 50, 3.0, 10.0, 2
ASKED_DAYS = 60
"""So many different days are asked for; the server keeps answers until the projection changes."""


def measure(days: int = YEAR_DAYS, seconds: float = SECONDS, tell: Tell = tell_nobody) -> dict[str, Any]:
    """Replay the demonstration, then ask for certificates, a day's hours and ten days' balances in turn."""
    inputs = read_inputs(DEMO.parent, load_config(DEMO).shortened(days))
    with (
        tempfile.TemporaryDirectory(prefix="ped-bench-") as name,
        Supervisor(Path(name) / "logs") as supervisor,
    ):
        world = World(supervisor, Path(name), inputs.config)
        world.start()
        cases = Replay(world, inputs, lambda done: tell("days replayed", done, inputs.config.day_count)).run()
        store = Store(world.database_url)
        wait_until_followed(store, world.chain)
        store.close()
        port = free_port()
        command = [
            *(*PED, "certifier", "serve", "--no-follow", "--workers", str(WORKERS)),
            *("--deployment", str(world.deployment), "--database", world.database_url, "--port", str(port)),
        ]
        supervisor.start("api", command, lambda: listening(port))
        paths = []
        for day in range(min(days, ASKED_DAYS)):
            start = inputs.config.first_day_number + day
            first, next_day, tenth = (format_day(start + later) for later in (0, 1, 10))
            for case in cases:
                district = f"/v1/districts/{case.district.id}"
                paths += [
                    f"/v1/certificates/{case.certificate_id}",
                    f"{district}/hours?from={first}&to={next_day}",
                    f"{district}/days?from={first}&to={tenth}",
                ]
        load(LOOPBACK, port, paths, CLIENTS, min(WARM_S, seconds))
        result = load(LOOPBACK, port, paths, CLIENTS, seconds)
        world.close()
    return {
        "requests_per_s": round(result.requests_per_s, 1),
        "p50_ms": round(result.quantile_ms(0.5), 2),
        "p99_ms": round(result.quantile_ms(0.99), 2),
        "clients": CLIENTS,
        "workers": WORKERS,
        "days": days,
        "requests": len(result.latencies_s),
    }
