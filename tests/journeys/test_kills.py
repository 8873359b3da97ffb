"""`kill -9` of everything at random points: at the end exactly the acknowledged readings, once each.

`PED_JOURNEY_KILLS` sets how many kills there are (default 30), `PED_JOURNEY_SEED` repeats a run.
"""

import os
import random
import threading
import time
from pathlib import Path

from contracts.hour import HOUR_S, first_hour
from contracts.keccak import keccak
from scripts.replay.case import open_case
from scripts.replay.processes import Supervised, listening
from tests.journeys.town import HOMES, PLANT, Town, energies, restart, running_town, wait_until

KILLS = int(os.environ.get("PED_JOURNEY_KILLS", "30"))
DAYS = 3


class Killer(threading.Thread):
    """Kills one process after another at random moments, and starts each again."""

    def __init__(self, town: Town, rng: random.Random, kills: int) -> None:
        super().__init__(name="killer", daemon=True)
        world = town.world
        settings = {setting.id: setting.http_port for setting in world.settings}
        (broker,) = world.brokers.values()
        broker_port = town.broker_port
        self._ports: list[tuple[Supervised, int]] = [
            (world.chain_process, world.chain_port),
            (world.certifier, world.certifier_port),
            (broker, broker_port),
            *((process, settings[name]) for name, process in world.gateways.items()),
        ]
        order = self._ports * -(-kills // len(self._ports))
        rng.shuffle(order)
        gateways = self._ports[-2:]  # last of all, so that none is in a long back-off at the end
        self._order = [*order[: max(0, kills - len(gateways))], *gateways]
        self._rng = rng
        self.killed: list[str] = []
        self.problem: Exception | None = None

    def run(self) -> None:
        try:
            for process, port in self._order:
                time.sleep(self._rng.uniform(0, 0.8))
                process.kill()
                self.killed.append(process.name)
                process.start()
                if self._rng.random() < 0.4:  # else the next kill may come while it is still starting
                    process.wait_until(lambda port=port: listening(port))  # type: ignore[misc]
            for process, port in self._ports:
                process.wait_until(lambda port=port: listening(port))  # type: ignore[misc]
        except Exception as problem:
            self.problem = problem


def test_what_was_acknowledged_is_on_chain_once_whatever_is_killed(tmp_path: Path) -> None:
    seed = int(os.environ.get("PED_JOURNEY_SEED", time.time_ns() % 1_000_000))
    print(f"PED_JOURNEY_SEED={seed}")
    rng = random.Random(seed)
    with running_town(tmp_path) as town:
        case = open_case(town.world.founder, town.config, town.config.district[0])
        killer = Killer(town, random.Random(seed + 1), KILLS)
        killer.start()
        begin = first_hour(town.first_day)
        for place, hour in enumerate(range(begin, begin + 24 * DAYS)):
            # The readings are spread over the kills.
            wait_until(
                lambda place=place: (  # type: ignore[misc]
                    killer.problem is not None or len(killer.killed) >= KILLS * place // (24 * DAYS)
                ),
                "the killer goes on",
            )
            town.pass_time((hour + 1) * HOUR_S + 60)
            values = energies(rng)
            for gateway_id in (PLANT, HOMES):
                town.post(gateway_id, {hour: values})
        killer.join()
        assert killer.problem is None, killer.problem
        assert len(killer.killed) == max(KILLS, 2)

        town.wait_for_receipts()
        for gateway_id, messages in town.messages.items():
            assert messages == 24 * DAYS, gateway_id
        days = range(town.first_day, town.first_day + DAYS)
        town.pass_time((begin + 24 * DAYS) * HOUR_S + 2 * HOUR_S)
        for day in days:
            wait_until(lambda day=day: town.covered(day), f"day {day} is on chain")  # type: ignore[misc]
        town.check_chain()

        town.make_final(days[-1])
        platform, accounts = town.platform, town.world.founder.accounts
        town.chain.wait(platform.finalise(accounts.caller, case.assessment_id, DAYS))
        assert platform.assessment(case.assessment_id).frontier == days.stop
        town.check_projection("0x" + case.assessment_id.hex())
        town.world.supervisor.check()

        for setting in town.world.settings:  # a gateway looks at what is final when it starts
            process = town.world.gateways[setting.id]
            process.kill()
            restart(process, lambda port=setting.http_port: listening(port))  # type: ignore[misc]
        for gateway_id, serial in ((PLANT, "grid-1"), (HOMES, "home-3")):
            for hour in (begin, begin + 24 * DAYS - 1):
                wait_until(
                    lambda g=gateway_id, s=serial, h=hour: town.where(g, s, h)["state"] == "final",  # type: ignore[misc]
                    f"{serial} at hour {hour} is final",
                )
        found = town.where(PLANT, "grid-1", begin)["batch"]
        payloads = {batch.sequence: batch.payload for batch in town.batches()[PLANT, days[0], False]}
        held = platform.batch_hash(PLANT, days[0], False, found["sequence"])
        assert held == keccak(payloads[found["sequence"]])
