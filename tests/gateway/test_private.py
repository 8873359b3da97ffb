"""Households: sums, counts and a salted root on chain, and never one household's number (domain.md §8)."""

from contracts.hour import first_hour
from contracts.point import Kind
from contracts.privacy import MemberReading, commitment, in_order, root
from contracts.reading import KindSum, unpack_private
from gateway.application import Gateway
from gateway.batches import Batches
from gateway.outbox import connect
from tests.gateway.test_relay import energy, post, running, where
from tests.gateway.world import DAY, GATEWAY, World, point, wait_until, write_config

HOMES = [f"home-{number}" for number in range(7)]
SALTS = {home: bytes([number + 1] * 32) for number, home in enumerate(HOMES)}
POINTS = [point(home, "load", private=True, salt=SALTS[home].hex()) for home in HOMES]
ROOFS = [point(f"roof-{n}", "generation", private=True, salt=bytes([90 + n] * 32).hex()) for n in range(5)]
RELAY = {"poll_s": 0.02, "patience_s": 86_400, "batch_hours": 1}


def private_batches(world: World) -> list:  # type: ignore[type-arg]
    logs = world.chain.logs(0, world.chain.head(), world.platform.addresses)
    return [e for e in world.platform.events(logs) if type(e).__name__ == "PrivateBatchRecorded"]


def consumption(values: dict[str, int]) -> list[dict]:  # type: ignore[type-arg]
    return [energy(home, 0, None, draw_wh) for home, draw_wh in values.items()]


def flush(gateway: Gateway) -> None:
    assert gateway.relay.flush(20)


def test_sums_counts_and_root(world: World) -> None:
    path = write_config(world.folder, [*POINTS, *ROOFS], relay=RELAY)
    config = world.register(path)
    world.pass_time(1)
    values = {home: 100 + 10 * number for number, home in enumerate(HOMES)}
    with running(path) as gateway:
        post(gateway, *consumption(values), *[energy(f"roof-{n}", 0, 50) for n in range(4)])
        assert private_batches(world) == []
        flush(gateway)
        (batch,) = private_batches(world)
        (section,) = unpack_private(batch.payload)
        # four roofs are fewer than five: their sum would tell too much
        assert section.sums == (
            KindSum(Kind.GENERATION, 0, 0, 0),
            KindSum(Kind.LOAD, 7, 0, sum(values.values())),
        )
        connection = connect(config.gateway.data)
        (stored,) = Batches(connection).live(True, DAY)
        leaves = Batches(connection).leaves(stored.id, first_hour(DAY))
        serials = dict(connection.execute("SELECT id, serial FROM points"))
        readings = [
            MemberReading(commitment(serials[row], SALTS[serials[row]]), first_hour(DAY), supply, draw, salt)
            for row, (supply, draw, salt) in leaves.items()
        ]
        assert {serials[row]: draw for row, (_, draw, _) in leaves.items()} == values
        assert root([reading.leaf for reading in in_order(readings)]) == section.root
        assert len({salt for _, _, salt in leaves.values()}) == 7
        post(gateway, energy("roof-4", 0, 50))
        wait_until(lambda: len(private_batches(world)) == 2, "five roofs may be told")
        (later,) = unpack_private(private_batches(world)[1].payload)
        assert later.sums[0] == KindSum(Kind.GENERATION, 5, 250, 0)
        assert private_batches(world)[1].changed_members == 5
        wait_until(lambda: where(gateway, "home-0", 0)["state"] == "on chain", "on chain")
        assert "record" not in where(gateway, "home-0", 0)["batch"]
        connection.close()


def test_a_correction_waits_until_enough_households_changed(world: World) -> None:
    path = write_config(world.folder, POINTS, relay=RELAY)
    world.register(path)
    world.pass_time(1)
    values = dict.fromkeys(HOMES, 100)
    with running(path) as gateway:
        post(gateway, *consumption(values))
        wait_until(lambda: where(gateway, "home-0", 0)["state"] == "on chain", "the first batch")
        for number, home in enumerate(HOMES[:5]):
            assert len(private_batches(world)) == 1
            assert world.platform.stream(GATEWAY, DAY, True).last_sequence == 1
            fixed = {**energy(home, 0, None, 150 + number), "corrects_wh": 100}
            assert post(gateway, fixed).accepted == 1
            if number < 4:
                flush(gateway)
        wait_until(lambda: len(private_batches(world)) == 2, "five changed")
    correction = private_batches(world)[1]
    assert (correction.replaces, correction.changed_members) == (1, 5)
    (section,) = unpack_private(correction.payload)
    assert section.sums == (KindSum(Kind.LOAD, 7, 0, 150 + 151 + 152 + 153 + 154 + 200),)


def test_fewer_households_than_the_minimum_say_nothing(world: World) -> None:
    path = write_config(world.folder, POINTS[:5], relay=RELAY)
    world.register(path)
    world.pass_time(1)
    with running(path) as gateway:
        post(gateway, *consumption(dict.fromkeys(HOMES[:4], 100)))
        flush(gateway)
        assert private_batches(world) == []
        post(gateway, *consumption({HOMES[4]: 100}))
        wait_until(lambda: len(private_batches(world)) == 1, "five are enough")
