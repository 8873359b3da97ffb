"""A reorganisation on anvil takes a day's batches away; the end is as if it had not happened."""

import random
from pathlib import Path

from certifier.follower import Follower
from certifier.queries import hour_balances
from certifier.store import Store
from contracts.hour import DAY_S, first_hour
from scripts.replay.processes import Supervised, listening
from scripts.replay.world import DAYS_BEFORE, World
from tests.contracts.nodes import ANVIL
from tests.journeys.town import DISTRICT, HOMES, PLANT, restart, running_town, wait_until


class AnvilWorld(World):
    """The same processes on anvil, set up like the embedded engine."""

    def _start_chain(self) -> Supervised:
        genesis = self.config.start_s - DAYS_BEFORE * DAY_S
        command = [
            *(str(ANVIL), "--port", str(self.chain_port), "--silent", "--order", "fifo"),
            *("--gas-price", "0", "--base-fee", "0", "--gas-limit", "100000000"),
            *("--chain-id", "1337", "--hardfork", "paris", "--timestamp", str(genesis)),
        ]
        return self.supervisor.start("chain", command, lambda: listening(self.chain_port))


def test_what_a_reorganisation_removed_comes_back_once(tmp_path: Path) -> None:
    rng = random.Random(3)
    with running_town(tmp_path, AnvilWorld) as town:
        for setting in town.world.settings:  # look at the chain more often than every half minute
            text = setting.config.read_text("utf-8")
            assert "poll_s = " in text
            setting.config.write_text(text.replace("poll_s = ", "audit_s = 0.5\npoll_s = "), "utf-8")
            process = town.world.gateways[setting.id]
            process.stop()
            restart(process, lambda port=setting.http_port: listening(port))  # type: ignore[misc]
            # Unlike on the embedded chain, who sends a transaction here pays for it.
            town.chain.request("anvil_setBalance", setting.key.address, hex(10**21))
        first = town.first_day
        town.post_day(first, rng)
        town.wait_for_receipts()
        wait_until(lambda: town.covered(first), "the first day is on chain")

        town.pass_time((first + 2) * DAY_S + 300)
        mark = town.chain.request("evm_snapshot")
        town.post_day(first + 1, rng)
        town.wait_for_receipts()
        wait_until(lambda: town.covered(first + 1), "the second day is on chain")
        town.check_projection()
        removed = town.chain.block()

        assert town.chain.request("evm_revert", mark)
        # A longer branch without them, as a reorganisation brings it.
        for place in range(1, 6):
            town.chain.mine((first + 2) * DAY_S + 300 + 7 * place)
        assert town.chain.block(removed.number).hash != removed.hash
        wait_until(lambda: town.covered(first + 1), "the second day is on chain again")

        town.check_chain()
        town.check_projection()
        for gateway_id, private in ((PLANT, False), (HOMES, True)):
            (batch,) = town.batches()[gateway_id, first + 1, private]
            assert (batch.sequence, batch.replaces) == (1, 0)
            wait_until(
                lambda g=gateway_id: (  # type: ignore[misc]
                    town.where(g, "grid-1" if g == PLANT else "home-1", first_hour(first + 1))["state"]
                    == "on chain"
                ),
                f"{gateway_id} knows that it is on chain",
            )

        # The follower that undid is equal to one that never saw the removed blocks.
        followed = town.projection()
        fresh = Store(f"sqlite:///{tmp_path / 'fresh.sqlite'}")
        try:
            Follower(town.platform, fresh).catch_up()
            with fresh.read() as connection:
                hours = first_hour(first), first_hour(first + 2)
                assert hour_balances(connection, DISTRICT, *hours) == followed
        finally:
            fresh.close()
