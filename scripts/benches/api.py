"""`api`: certificate and balance queries per second with 50 clients, over real sockets."""

import tempfile
from pathlib import Path
from typing import Any

from certifier.store import Store
from scripts.benches.http_load import measure as load
from scripts.replay.command_line import DEMO
from scripts.replay.config import load_config
from scripts.replay.processes import LOOPBACK, Supervisor, free_port, listening
from scripts.replay.results import wait_until_followed
from scripts.replay.run import Replay, read_inputs
from scripts.replay.world import PED, World

DAYS, CLIENTS, WARM_S, SECONDS, WORKERS = 31, 50, 2.0, 10.0, 2


def measure() -> dict[str, Any]:
    """Replay a month of the demonstration, then ask for certificates, hours and days in turn."""
    inputs = read_inputs(DEMO.parent, load_config(DEMO).shortened(DAYS))
    with (
        tempfile.TemporaryDirectory(prefix="ped-bench-") as name,
        Supervisor(Path(name) / "logs") as supervisor,
    ):
        world = World(supervisor, Path(name), inputs.config)
        world.start()
        cases = Replay(world, inputs).run()
        store = Store(world.database_url)
        wait_until_followed(store, world.chain)
        store.close()
        port = free_port()
        command = [
            *(*PED, "certifier", "serve", "--no-follow", "--workers", str(WORKERS)),
            *("--deployment", str(world.deployment), "--database", world.database_url, "--port", str(port)),
        ]
        supervisor.start("api", command, lambda: listening(port))
        paths = [
            path
            for case in cases
            for path in (
                f"/v1/certificates/{case.certificate_id}",
                f"/v1/districts/{case.district.id}/hours?from=2019-01-10&to=2019-01-11",
                f"/v1/districts/{case.district.id}/days?from=2019-01-01&to=2019-01-11",
            )
        ]
        load(LOOPBACK, port, paths, CLIENTS, WARM_S)
        result = load(LOOPBACK, port, paths, CLIENTS, SECONDS)
        world.close()
    return {
        "requests_per_s": round(result.requests_per_s, 1),
        "p50_ms": round(result.quantile_ms(0.5), 2),
        "p99_ms": round(result.quantile_ms(0.99), 2),
        "clients": CLIENTS,
        "workers": WORKERS,
        "requests": len(result.latencies_s),
    }
