"""A chain or broker that is down, a wrong chain, a full disk: a clear word, and nothing lost."""

import json
import random
import resource
import subprocess
import sys
from pathlib import Path

from contracts.hour import DAY_S, first_hour
from scripts.replay.processes import listening
from tests.journeys.town import HOMES, PLANT, ROOT, energies, ped, restart, running_town, wait_until


def test_readings_survive_a_world_that_is_down(tmp_path: Path) -> None:
    rng = random.Random(6)
    with running_town(tmp_path) as town:
        world, day = town.world, town.first_day
        (broker,) = world.brokers.values()
        hours = {hour: energies(rng) for hour in range(first_hour(day), first_hour(day + 1))}
        town.pass_time((day + 1) * DAY_S + 300)

        # No broker: the devices keep their readings.
        broker.kill()
        for gateway_id in (PLANT, HOMES):
            town.post(gateway_id, hours)
        assert all(device.unacknowledged == 1 for device in town.devices.values())

        # A deployment of another chain: the gateway says so, takes the readings and keeps them.
        content = json.loads(world.deployment.read_text("utf-8"))
        world.deployment.write_text(json.dumps({**content, "chain_id": 5}), "utf-8")
        for setting in world.settings:
            process = world.gateways[setting.id]
            process.stop()
            restart(process, lambda port=setting.http_port: listening(port))  # type: ignore[misc]
        restart(broker, lambda: listening(town.broker_port))
        town.wait_for_receipts()
        plant = world.gateways[PLANT]
        wait_until(lambda: "has id 1337" in plant.tail(200), "the gateway names the chain's id")
        assert town.where(PLANT, "grid-1", first_hour(day))["state"] == "recorded"
        assert town.batches() == {}

        # No chain when the gateways start: they start, and send as soon as it is there.
        world.deployment.write_text(json.dumps(content), "utf-8")
        world.chain_process.kill()
        for setting in world.settings:
            process = world.gateways[setting.id]
            process.stop()
            restart(process, lambda port=setting.http_port: listening(port))  # type: ignore[misc]
        wait_until(
            lambda: str(world.chain_port) in plant.tail(5), "the gateway names the chain it cannot reach"
        )
        restart(world.chain_process, lambda: listening(world.chain_port))
        wait_until(lambda: town.covered(day), "the day is on chain")
        town.check_chain()
        town.check_projection()


def test_a_full_disk_stops_a_gateway_before_it_promises_anything(tmp_path: Path) -> None:
    """Files may not grow, as on a full disk: no receipt, and later nothing is lost."""
    rng = random.Random(7)
    with running_town(tmp_path) as town:
        day = town.first_day
        town.pass_time((day + 1) * DAY_S + 300)
        setting = town.setting(PLANT)
        process = town.world.gateways[PLANT]
        process.stop()
        outbox = load_size(setting.config)
        limited = subprocess.Popen(
            [sys.executable, "-m", "scripts.command_line", "gateway", "run", str(setting.config)],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=(tmp_path / "limited.log").open("wb"),
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (outbox, outbox)),
        )
        try:
            hours = {hour: energies(rng) for hour in range(first_hour(day), first_hour(day + 1))}
            town.post(PLANT, hours)
            town.post(HOMES, hours)
            wait_until(
                lambda: (
                    "outbox" in (tmp_path / "limited.log").read_text("utf-8").lower()
                    or limited.poll() is not None
                ),
                "the gateway says that it cannot write",
            )
            assert town.devices[PLANT].unacknowledged == 1
        finally:
            limited.kill()
            limited.wait()
        restart(process, lambda: listening(setting.http_port))
        town.wait_for_receipts()
        wait_until(lambda: town.covered(day), "the day is on chain")
        town.check_chain()


def load_size(config: Path) -> int:
    """Bytes of the outbox that belongs to a gateway's configuration, rounded down to whole pages."""
    return config.with_suffix(".sqlite").stat().st_size // 4096 * 4096


def test_a_bad_configuration_is_named_and_starts_nothing(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text('[gateway]\nid = "Not A Slug"\ndistrict = "harbour"\ndata = "x.sqlite"\n', "utf-8")
    answer = ped("gateway", "run", path)
    assert answer.returncode != 0
    assert "gateway.toml" in answer.stderr
    assert "Not A Slug" in answer.stderr
    assert list(tmp_path.iterdir()) == [path]
