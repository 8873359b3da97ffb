"""From the outbox to the chain: signed once, never lost, never twice."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from contracts.hour import first_hour
from contracts.keccak import keccak
from contracts.reading import Record, Status, unpack_open
from gateway.application import Gateway
from gateway.config import load_config
from gateway.intake import Delivery, Receipt
from gateway.lookup import Lookup
from gateway.outbox import connect
from tests.gateway.world import (
    DAY,
    DEVICE,
    GATEWAY,
    GRID_AND_PV,
    START_S,
    World,
    at,
    point,
    wait_until,
    write_config,
)


@contextmanager
def running(path: Path, *, subscribed: bool = True) -> Iterator[Gateway]:
    """A gateway in this process, which hears its broker, if it has one that answers (`subscribed`)."""
    gateway = Gateway(load_config(path))
    gateway.start()
    try:
        if subscribed and gateway.mqtt is not None:
            wait_until(lambda: gateway.mqtt is None or not gateway.mqtt.problem, "the subscriptions hold")
        yield gateway
    finally:
        gateway.stop()


def post(gateway: Gateway, *readings: dict[str, Any], device: str = DEVICE) -> Receipt:
    """Hand in a message as the broker would; the receipt."""
    receipts: list[Receipt] = []
    body = json.dumps({"readings": readings}).encode()
    gateway.intake.submit(Delivery(device, body, receipts.append))
    wait_until(lambda: bool(receipts), "a receipt")
    return receipts[0]


def energy(serial: str, hour: float, supply_wh: int | None, draw_wh: int | None = None) -> dict[str, Any]:
    """A reading of an interval that begins at an hour of the test day."""
    values = {"supply_wh": supply_wh, "draw_wh": draw_wh}
    given = {name: value for name, value in values.items() if value is not None}
    return {"point": serial, "time_utc": at(hour), **given}


def where(gateway: Gateway, serial: str, hour: int) -> dict[str, Any]:
    """What the gateway says about a reading."""
    connection = connect(gateway.config.gateway.data)
    try:
        return Lookup(gateway.config, connection).where(serial, first_hour(DAY) + hour, gateway.clock.now_s())
    finally:
        connection.close()


def events(world: World) -> list[Any]:
    """Accepted open batches of the gateway, in order."""
    logs = world.chain.logs(0, world.chain.head(), world.platform.addresses)
    return [event for event in world.platform.events(logs) if type(event).__name__ == "OpenBatchRecorded"]


def full_day(supply: Callable[[int], int] = lambda hour: 100 + hour) -> list[dict[str, Any]]:
    """24 hours of both points."""
    return [
        reading
        for hour in range(24)
        for reading in (energy("grid", hour, supply(hour), hour), energy("pv", hour, 7 * hour))
    ]


def test_a_complete_day_is_one_batch_with_its_energies(world: World) -> None:
    path = write_config(world.folder)
    world.register(path)
    world.pass_time(24)
    with running(path) as gateway:
        receipt = post(gateway, *full_day())
        assert (receipt.accepted, receipt.refused) == (48, [])
        wait_until(lambda: where(gateway, "grid", 23)["state"] == "on chain", "the day is on chain")
        found = where(gateway, "pv", 5)
        assert found["batch"]["record"] == {"status": "measured", "supply_wh": 35, "draw_wh": 0}
    (batch,) = events(world)
    assert (batch.gateway_id, batch.day, batch.sequence) == (GATEWAY, DAY, 1)
    sections = unpack_open(batch.payload, 2)
    assert [section.hour_of_day for section in sections] == list(range(24))
    assert sections[23].records == (Record(Status.MEASURED, 123, 23), Record(Status.MEASURED, 161, 0))


def test_incomplete_hours_wait_are_sent_on_demand_and_corrected_once_by_late_data(world: World) -> None:
    points = (point("grid", "grid", interval_s=900), GRID_AND_PV[1])
    path = write_config(world.folder, points, relay={"poll_s": 0.02, "patience_s": 86_400})
    world.register(path)
    world.pass_time(2)
    with running(path) as gateway:
        post(gateway, *[energy("grid", hour / 4, 10, 0) for hour in range(3)])
        assert where(gateway, "grid", 0)["state"] == "recorded"
        assert events(world) == []
        assert gateway.relay.flush(20)
        found = where(gateway, "grid", 0)
        assert (found["state"], found["batch"]["record"]["status"]) == ("on chain", "partial")
        post(gateway, energy("grid", 0.75, 10, 0), energy("pv", 0, 0))
        wait_until(lambda: where(gateway, "grid", 0)["batch"]["sequence"] == 2, "the correction")
        wait_until(lambda: where(gateway, "grid", 0)["state"] == "on chain", "the correction on chain")
        post(gateway, energy("grid", 0.75, 10, 0))
        assert gateway.relay.flush(20)
    first, second = events(world)
    assert second.replaces == 1
    assert unpack_open(first.payload, 2)[0].records == (
        Record(Status.PARTIAL, 30, 0),
        Record(Status.MISSING, 0, 0),
    )
    assert unpack_open(second.payload, 2)[0].records == (
        Record(Status.MEASURED, 40, 0),
        Record(Status.MEASURED, 0, 0),
    )
    assert world.platform.batch_hash(GATEWAY, DAY, False, 2) == keccak(second.payload)


def test_an_outbox_that_was_lost_learns_from_the_chain_what_is_there(world: World) -> None:
    path = write_config(world.folder)
    world.register(path)
    world.pass_time(24)
    with running(path) as gateway:
        post(gateway, *full_day())
        wait_until(lambda: len(events(world)) == 1, "the day is on chain")
    for file in world.folder.glob("outbox.sqlite*"):
        file.unlink()
    with running(path) as gateway:
        post(gateway, *full_day(lambda hour: 200 if hour == 4 else 100 + hour))
        wait_until(lambda: len(events(world)) == 2, "the difference is on chain")
        wait_until(lambda: where(gateway, "grid", 4)["state"] == "on chain", "confirmed")
        assert where(gateway, "grid", 3)["batch"]["sequence"] == 1
    correction = events(world)[1]
    assert correction.replaces == 1
    (section,) = unpack_open(correction.payload, 2)
    assert (section.hour_of_day, section.records[0].supply_wh) == (4, 200)


def test_a_chain_that_was_away_gets_everything_once(own_world: World) -> None:
    world = own_world
    path = write_config(
        world.folder, mqtt={"url": "mqtt://127.0.0.1:1"}, chain={"deployment": "deployment.json"}
    )
    world.register(path)
    world.pass_time(24)
    world.node.kill()
    with running(path, subscribed=False) as gateway:
        assert post(gateway, *full_day()).accepted == 48
        wait_until(lambda: "no chain answers" in gateway.relay.problem, "the problem is said")
        assert where(gateway, "grid", 3)["state"] == "recorded"
    world.restart()
    with running(path, subscribed=False) as gateway:
        wait_until(lambda: where(gateway, "grid", 3)["state"] in ("on chain", "final"), "all is on chain")
    assert len(events(world)) == 1


def test_a_refusal_of_the_ledger_is_kept_with_its_reason_and_not_repeated(world: World) -> None:
    path = write_config(world.folder)
    world.register(path)
    world.pass_time(1, day=9)
    with running(path) as gateway:
        post(gateway, energy("grid", 3, 1, 1), energy("pv", 3, 1))
        gateway.relay.flush(20)
        found = where(gateway, "grid", 3)
        assert found["state"] == "refused"
        assert "DayIsFinal" in found["reason"]
        before = world.chain.head()
        gateway.relay.flush(20)
        assert world.chain.head() == before
        assert gateway.status()["refused_batches"][0]["reason"] == found["reason"]


def test_points_in_another_order_than_registered_are_not_sent(world: World) -> None:
    path = write_config(world.folder)
    world.register(path)
    write_config(world.folder, (point("pv", "generation"), point("grid", "grid")))
    world.pass_time(24)
    with running(path) as gateway:
        post(gateway, *full_day())
        wait_until(lambda: bool(gateway.relay.held), "the day is held")
        (reason,) = gateway.relay.held.values()
        assert "kinds, nameplates and order must be the same" in reason
        assert where(gateway, "grid", 3)["state"] == "recorded"
    assert events(world) == []


def test_register_gap_is_sent_as_estimated_and_adds_up(world: World) -> None:
    path = write_config(world.folder, (point("grid", "grid", posts="register"),))
    world.register(path)
    world.pass_time(24)
    with running(path) as gateway:
        values = {0: 1000, 1: 1100, 5: 1507, 6: 1600}
        for hour, value in values.items():
            for obis in ("1-0:1.8.0", "1-0:2.8.0"):
                reading = {"point": "grid", "time_utc": at(hour), "obis": obis, "register_wh": value}
                assert post(gateway, reading).refused == []
        assert gateway.relay.flush(20)
    records = {s.hour_of_day: s.records[0] for b in events(world) for s in unpack_open(b.payload, 1)}
    assert [records[h].status for h in range(6)] == [0, 1, 1, 1, 1, 0]
    assert [records[h].supply_wh for h in range(6)] == [100, 101, 102, 102, 102, 93]
    assert START_S % 86_400 == 0
