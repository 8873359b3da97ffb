"""Reorganisations, keys that change, a relay that dies between two steps, and a chain that says no."""

import json
from pathlib import Path

import pytest

from contracts.deployment import Deployment
from contracts.hour import first_hour
from contracts.key import SigningKey
from contracts.reading import MAX_GATEWAY_SEQUENCE, MAX_RESIGNING_SEQUENCE, unpack_open
from gateway.batches import Batches, State
from gateway.builder import Builder, SequencesUsedUp
from gateway.clock import SystemClock
from gateway.config import load_config
from gateway.declaration import resend_day
from gateway.ledger import LedgerLink
from gateway.outbox import OutboxUnusable, connect
from gateway.signing import Signer
from tests.contracts.nodes import key
from tests.gateway.test_relay import energy, events, full_day, post, running, where
from tests.gateway.world import (
    DAY,
    DISTRICT,
    GATEWAY,
    ITERATIONS,
    PASSWORD,
    World,
    at,
    wait_until,
    write_config,
)

FAST = {"poll_s": 0.02, "audit_s": 0.05}


def use_key(folder: Path, signer: SigningKey) -> None:
    """Put another key into the gateway's keystore."""
    (folder / "key.json").unlink()
    signer.save(folder / "key.json", PASSWORD, ITERATIONS)


def test_what_a_reorganisation_removed_is_sent_again(world: World) -> None:
    path = write_config(world.folder, relay=FAST)
    world.register(path)
    world.pass_time(24)
    before = world.chain.request("evm_snapshot")
    with running(path) as gateway:
        post(gateway, *full_day())
        wait_until(lambda: where(gateway, "grid", 3)["state"] == "on chain", "the day is on chain")
        assert world.chain.request("evm_revert", before)
        assert events(world) == []
        wait_until(lambda: len(events(world)) == 1, "it is sent again")
        wait_until(lambda: where(gateway, "grid", 3)["state"] == "on chain", "and on chain again")
        assert where(gateway, "grid", 3)["batch"]["sequence"] == 1


def test_a_batch_counts_as_on_chain_only_under_enough_blocks(world: World) -> None:
    chain = {"deployment": "deployment.json", "clock": "chain", "confirmations": 2}
    path = write_config(world.folder, relay=FAST, chain=chain)
    world.register(path)
    world.pass_time(24)
    with running(path) as gateway:
        post(gateway, *full_day())
        wait_until(lambda: len(events(world)) == 1, "the batch is in a block")
        assert where(gateway, "grid", 3)["state"] == "submitted"
        world.chain.mine()
        assert where(gateway, "grid", 3)["state"] == "submitted"
        world.chain.mine()
        wait_until(lambda: where(gateway, "grid", 3)["state"] == "on chain", "two blocks are on top")
        world.pass_time(1, day=8)
        wait_until(lambda: where(gateway, "grid", 3)["state"] == "final", "the day is final")


def test_after_a_rotation_the_outbox_is_signed_anew(world: World) -> None:
    path = write_config(world.folder, relay=FAST)
    world.register(path)
    world.pass_time(24)
    world.chain.wait(world.platform.rotate_key(world.operator, GATEWAY, key(78).address))
    with running(path) as gateway:
        post(gateway, *full_day())
        wait_until(lambda: bool(gateway.relay.held), "the old key is refused")
        assert "WrongSigner" in next(iter(gateway.relay.held.values()))
        assert "WrongSigner" in where(gateway, "grid", 0)["reason"]
    use_key(world.folder, key(78))
    with running(path) as gateway:
        wait_until(lambda: where(gateway, "grid", 3)["state"] == "on chain", "signed with the new key")
        assert where(gateway, "grid", 3)["batch"]["signer"] == key(78).address
    (batch,) = events(world)
    assert (batch.sequence, batch.key) == (1, key(78).address)


def test_hours_of_a_compromised_key_are_signed_anew_with_the_next(world: World) -> None:
    path = write_config(world.folder, relay=FAST)
    world.register(path)
    world.pass_time(24)
    with running(path) as gateway:
        post(gateway, *full_day())
        wait_until(lambda: where(gateway, "grid", 3)["state"] == "on chain", "the day is on chain")
    platform, operator = world.platform, world.operator
    since = world.chain.block().time_s - 3600
    world.chain.wait(platform.revoke_key(operator, GATEWAY, since))
    world.chain.wait(platform.rotate_key(operator, GATEWAY, key(78).address))
    while platform.compromises_scanned(DISTRICT) == 0:
        world.chain.wait(platform.scan_compromise(operator, DISTRICT, 40))
    assert platform.stream(GATEWAY, DAY).tainted_hours == 2**24 - 1
    use_key(world.folder, key(78))
    with running(path) as gateway:
        wait_until(lambda: platform.stream(GATEWAY, DAY).tainted_hours == 0, "signed anew")
        wait_until(lambda: where(gateway, "grid", 3)["state"] == "on chain", "on chain")
    first, second = events(world)
    assert (second.replaces, second.key, second.payload) == (1, key(78).address, first.payload)


@pytest.mark.parametrize("submitted", [False, True])
def test_a_relay_that_died_after_signing_sends_once(own_world: World, submitted: bool) -> None:
    """It died before or just after the batch went out; the outbox says signed in both cases."""
    world = own_world
    path = write_config(world.folder, relay=FAST, chain={"deployment": "deployment.json"})
    config = world.register(path)
    world.pass_time(24)
    world.node.kill()
    with running(path) as gateway:
        post(gateway, *full_day())
    write_config(world.folder, relay=FAST)
    world.restart()
    connection = connect(config.gateway.data)
    link = LedgerLink(Deployment.load(world.folder / "deployment.json"), GATEWAY, key(77))
    signer = Signer(GATEWAY, key(77), link.domain)
    Builder(config, connection, signer).build(
        False,
        DAY,
        link.block_time_s(),
        flush=True,
        chain_sequence=0,
        tainted=frozenset(),
        minimum_members=lambda: 5,
        last_sequence=lambda: MAX_GATEWAY_SEQUENCE,
    )
    (batch,) = Batches(connection).in_state(State.SIGNED)
    connection.close()
    if submitted:
        message = signer.batch(False, DAY, 1, 0, 0, batch.payload)
        world.chain.wait(link.submit(message, batch.signature, b""))
    with running(path) as gateway:
        wait_until(lambda: where(gateway, "grid", 3)["state"] == "on chain", "the day is on chain")
    assert len(events(world)) == 1


def test_a_day_whose_sequences_a_stolen_key_used_up_is_signed_again_after_the_scan(own_world: World) -> None:
    """Batches up to the last sequence are made, then the day waits; the compromise opens some more."""
    world = own_world
    one_hour = {**FAST, "max_records": 1}
    path = write_config(world.folder, relay=one_hour, chain={"deployment": "deployment.json"})
    config = world.register(path)
    world.pass_time(24)
    world.node.kill()
    with running(path) as gateway:
        post(gateway, *full_day())
    world.restart()
    link = LedgerLink(Deployment.load(world.folder / "deployment.json"), GATEWAY, key(77))
    assert link.last_sequence(DAY) == MAX_GATEWAY_SEQUENCE
    now_s = link.block_time_s()
    connection = connect(config.gateway.data)
    builder = Builder(config, connection, Signer(GATEWAY, key(77), link.domain))

    def build() -> list[int]:
        return builder.build(
            False,
            DAY,
            now_s,
            flush=True,
            chain_sequence=MAX_GATEWAY_SEQUENCE - 2,
            tainted=frozenset(),
            minimum_members=lambda: 5,
            last_sequence=lambda: link.last_sequence(DAY),
        )

    assert len(build()) == 2
    with pytest.raises(SequencesUsedUp, match="200 batches"):
        build()
    world.chain.wait(world.platform.revoke_key(world.operator, GATEWAY, now_s - 3600))
    assert link.last_sequence(DAY) == MAX_RESIGNING_SEQUENCE
    assert len(build()) == 22
    connection.close()


def test_two_outboxes_of_one_gateway_never_record_an_hour_twice(world: World) -> None:
    """A second gateway with the same key, by mistake: its hours become corrections or are the same."""
    path = write_config(world.folder, relay={**FAST, "batch_hours": 1})
    world.register(path)
    world.pass_time(3)
    with running(path) as first:
        post(first, energy("grid", 0, 5, 5), energy("pv", 0, 5))
        wait_until(lambda: where(first, "grid", 0)["state"] == "on chain", "the first hour")
        other = {"id": GATEWAY, "district": DISTRICT, "data": "second.sqlite"}
        second_path = world.folder / "second.toml"
        second_path.write_text(
            write_config(world.folder, relay={**FAST, "batch_hours": 1}, gateway=other).read_text()
        )
        with running(second_path) as second:
            post(second, energy("grid", 1, 6, 6), energy("pv", 1, 6))
            wait_until(lambda: where(second, "grid", 1)["state"] == "on chain", "the second hour")
        post(first, energy("grid", 2, 7, 7), energy("pv", 2, 7))
        wait_until(lambda: where(first, "grid", 2)["state"] == "on chain", "the third hour")
    found = [(b.sequence, unpack_open(b.payload, 2)[0].hour_of_day) for b in events(world)]
    assert found == [(1, 0), (2, 1), (3, 2)]


def test_resend_sends_nothing_that_is_there(world: World) -> None:
    path = write_config(world.folder, relay=FAST)
    config = world.register(path)
    world.pass_time(24)
    with running(path) as gateway:
        post(gateway, *full_day())
        wait_until(lambda: where(gateway, "grid", 3)["state"] == "on chain", "the day is on chain")
        resend_day(config, DAY, gateway.clock.now_s())
        assert gateway.relay.flush(20)
        wait_until(lambda: not Batches(connect(config.gateway.data)).touched(), "all is looked at")
    assert len(events(world)) == 1
    assert first_hour(DAY) * 3600 == gateway.clock.now_s() - 86_400


def test_another_chain_than_the_deployment_is_said(world: World) -> None:
    path = write_config(world.folder, relay=FAST)
    world.register(path)
    world.pass_time(24)
    file = world.folder / "deployment.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "chain_id": 5}))
    with running(path) as gateway:
        post(gateway, *full_day())
        wait_until(lambda: "has id 1337" in gateway.relay.problem, "the problem is said")
        assert where(gateway, "grid", 3)["state"] == "recorded"


def test_an_outbox_of_another_schema_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    connection = connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(OutboxUnusable, match="schema 99"):
        connect(path)
    (tmp_path / "text").write_text("this is no database, but long enough to look at" * 50)
    with pytest.raises(OutboxUnusable, match="text"):
        connect(tmp_path / "text")
    assert SystemClock().now_s() > 1_700_000_000
    assert at(0) < at(1)
    assert load_config(write_config(tmp_path)).gateway.data == path
