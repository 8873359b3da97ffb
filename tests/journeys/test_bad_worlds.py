"""A chain or broker that is down, a wrong chain, a full disk: a clear word, and nothing lost."""

import json
import random
import subprocess
import sys
from pathlib import Path

from contracts.hour import DAY_S, first_hour
from scripts.replay.processes import listening
from tests.journeys.town import HOMES, PLANT, ROOT, energies, ped, restart, running_town, wait_until

DAYS = 4
FILE_LIMIT = 40_960
"""Bytes: enough for the outbox's index of 32 kB, too few for its log of some days of readings."""
LIMITED = """
import os, resource, sys
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
os.execv(sys.argv[2], sys.argv[2:])
"""


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
        wrong = tmp_path / "wrong.json"
        wrong.write_text(json.dumps({**content, "chain_id": 5}), "utf-8")
        right = str(world.deployment.resolve())
        for setting in world.settings:
            text = setting.config.read_text("utf-8")
            assert right in text
            setting.config.write_text(text.replace(right, str(wrong)), "utf-8")
            process = world.gateways[setting.id]
            process.stop()
            restart(process, lambda port=setting.http_port: listening(port))  # type: ignore[misc]
        restart(broker, lambda: listening(town.broker_port))
        town.wait_for_receipts()
        plant = world.gateways[PLANT]
        wait_until(lambda: "has id 1337" in plant.tail(200), "the gateway names the chain's id")
        assert town.where(PLANT, "grid-1", first_hour(day))["state"] == "recorded"
        assert town.batches() == {}

        # No chain when gateways and certifier start: they start, and go on as soon as it is there.
        world.chain_process.kill()
        world.certifier.kill()
        restart(world.certifier, lambda: listening(world.certifier_port))
        for setting in world.settings:
            text = setting.config.read_text("utf-8")
            setting.config.write_text(text.replace(str(wrong), right), "utf-8")
            process = world.gateways[setting.id]
            process.stop()
            restart(process, lambda port=setting.http_port: listening(port))  # type: ignore[misc]
        wait_until(
            lambda: str(world.chain_port) in plant.tail(5), "the gateway names the chain it cannot reach"
        )
        wait_until(
            lambda: "follower waits for the chain" in world.certifier.tail(20), "so does the certifier"
        )
        restart(world.chain_process, lambda: listening(world.chain_port))
        wait_until(lambda: town.covered(day), "the day is on chain")
        town.check_chain()
        town.check_projection()


def test_a_full_disk_stops_a_gateway_before_it_promises_anything(tmp_path: Path) -> None:
    """Files may not grow, as on a full disk: what has no receipt is sent again later, and nothing is lost."""
    rng = random.Random(7)
    with running_town(tmp_path) as town:
        days = range(town.first_day, town.first_day + DAYS)
        town.pass_time(days.stop * DAY_S + 300)
        setting = town.setting(PLANT)
        process = town.world.gateways[PLANT]
        process.stop()
        log = tmp_path / "limited.log"
        limited = subprocess.Popen(
            [
                *(sys.executable, "-c", LIMITED, str(FILE_LIMIT)),
                *(sys.executable, "-m", "scripts.command_line", "gateway", "run", str(setting.config)),
            ],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=log.open("wb"),
        )
        try:
            wait_until(lambda: listening(setting.http_port), "the gateway runs")
            for day in days:
                hours = {hour: energies(rng) for hour in range(first_hour(day), first_hour(day + 1))}
                town.post(PLANT, hours)
                town.post(HOMES, hours)
            wait_until(
                lambda: "the outbox has no room" in log.read_text("utf-8"),
                "the gateway says why",
            )
            assert limited.poll() is None
            assert town.devices[PLANT].unacknowledged > 0
        finally:
            limited.kill()
            limited.wait()
        restart(process, lambda: listening(setting.http_port))
        town.wait_for_receipts()
        for day in days:
            wait_until(lambda day=day: town.covered(day), "the day is on chain")  # type: ignore[misc]
        town.check_chain()


def test_a_bad_configuration_is_named_and_starts_nothing(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text('[gateway]\nid = "Not A Slug"\ndistrict = "harbour"\ndata = "x.sqlite"\n', "utf-8")
    answer = ped("gateway", "run", path)
    assert answer.returncode != 0
    assert "gateway.toml" in answer.stderr
    assert "Not A Slug" in answer.stderr
    assert list(tmp_path.iterdir()) == [path]
