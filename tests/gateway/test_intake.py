"""What comes in: every kind of bad input gets an error that names the value, and nothing is half applied."""

import itertools
import json
import random
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.hour import HOUR_S, first_hour
from contracts.reading import Status
from gateway.clock import Clock
from gateway.config import GatewayConfig, load_config
from gateway.declaration import DeclarationInvalid, declare_exchange
from gateway.intake import Delivery, IntakeWorker, Receipt
from gateway.lookup import Lookup
from gateway.metering import Exchange
from gateway.metrics import Metrics
from gateway.outbox import connect
from gateway.records import Records
from tests.gateway.world import DAY, DEVICE, START_S, at, point, wait_until, write_config


class StillClock:
    """A clock that stands at an hour of the test day."""

    def __init__(self, hour: float) -> None:
        self.time_s = START_S + int(hour * HOUR_S)

    def now_s(self, at_least: int = 0) -> int:
        return self.time_s


POINTS = (
    point("grid", "grid", interval_s=900),
    point("pv", "generation"),
    point("meter", "load", posts="register"),
    point("dsmr", "grid", posts="register", supply=["1.8.1", "1.8.2"], draw=["2.8.1", "2.8.2"]),
    point("old", "load", posts="register", register_digits=6, register_unit_wh=1000),
    point("other", "load", device="elsewhere"),
)
DEVICES = ({"id": DEVICE}, {"id": "elsewhere"})


class Bench:
    """An intake with its outbox."""

    def __init__(self, config: GatewayConfig, clock: Clock) -> None:
        self.config = config
        self.worker = IntakeWorker(config, clock, Metrics())
        self.worker.start()
        self.db = connect(config.gateway.data)

    def raw(self, body: bytes, device: str = DEVICE) -> Receipt:
        receipts: list[Receipt] = []
        self.worker.submit(Delivery(device, body, receipts.append))
        wait_until(lambda: bool(receipts), "a receipt")
        return receipts[0]

    def post(self, *readings: dict[str, Any], device: str = DEVICE) -> Receipt:
        return self.raw(json.dumps({"id": "m", "readings": readings}).encode(), device)

    def refusal(self, reading: dict[str, Any], device: str = DEVICE) -> str:
        """Why one reading is refused; nothing of it may be stored."""
        before = self.stored()
        receipt = self.post(reading, device=device)
        assert (receipt.accepted, len(receipt.refused)) == (0, 1), receipt
        assert self.stored() == before
        return str(receipt.refused[0]["detail"])

    def stored(self) -> list[Any]:
        tables = ("intervals", "samples", "superseded", "touched")
        return [self.db.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3").fetchall() for table in tables]

    def hours(self, serial: str, hours: Sequence[int]) -> list[tuple[Status, int, int]]:
        records = Records(self.config, self.db)
        found = records.point(serial)
        assert found is not None
        numbers = [first_hour(DAY) + hour for hour in hours]
        return [tuple(entry[0].record) for entry in records.hours([found], numbers).values()]  # type: ignore[misc]

    def close(self) -> None:
        self.worker.stop()
        self.db.close()


@contextmanager
def bench_in(folder: Path, hour: float = 24.0) -> Iterator[Bench]:
    bench = Bench(load_config(write_config(folder, POINTS, devices=DEVICES)), StillClock(hour))
    try:
        yield bench
    finally:
        bench.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with bench_in(tmp_path) as started:
        yield started


def quarter(hour: float, supply_wh: Any = 10, draw_wh: Any = 0, **more: Any) -> dict[str, Any]:
    return {"point": "grid", "time_utc": at(hour), "supply_wh": supply_wh, "draw_wh": draw_wh, **more}


def register(hour: float, value: Any, serial: str = "meter", **more: Any) -> dict[str, Any]:
    return {"point": serial, "time_utc": at(hour), "register_wh": value, **more}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"", "not JSON"),
        (b"42", "42"),
        pytest.param(b"[" * 100_000, "Expected", id="nested"),
        pytest.param(b'{"id": ' + b"[" * 100_000, "Expected", id="nested-id"),
        (b'{"readings": [{"point": "\xff", "time_utc": "2019-01-02T00:00:00Z"}]}', "not JSON"),
        (b'[{"n": "x", "v": 1e99999999999999999999}]', "Invalid decimal"),
        (b'{"readings": []}', "no reading"),
        (b'{"reading": []}', "unknown field `reading`"),
        (b'{"readings": [{"point": "grid", "time_utc": "yesterday", "supply_wh": 1}]}', "'yesterday'"),
        (
            b'{"readings": [{"point": "grid", "time_utc": "2019-01-02T00:00:00Z", "supply_mwh": 1}]}',
            "supply_mwh",
        ),
        (
            b'{"readings": [{"point": "grid", "time_utc": "2019-01-02T00:00:00Z", "x": 1}]}',
            "`x`",
        ),
        (b'{"readings": [{"point": 7, "time_utc": "2019-01-02T00:00:00Z", "supply_wh": 1}]}', "(found '7')"),
        (
            b'{"readings": [{"point": "grid", "time_utc": "2019-01-02T00:00:00Z", "supply_wh": "much"}]}',
            "'much'",
        ),
    ],
)
def test_a_message_that_cannot_be_read_is_refused_as_a_whole(bench: Bench, body: bytes, words: str) -> None:
    receipt = bench.raw(body)
    assert receipt.status == "refused"
    assert receipt.id.startswith("sha256:")
    named = body.replace(b'{"reading', b'{"id": "n7", "reading')
    if named != body and b"\xff" not in body:
        assert bench.raw(named).id == "n7"
    assert words in receipt.refused[0]["detail"]
    assert receipt.refused[0]["type"] == "urn:ped:problem:malformed"


@pytest.mark.parametrize(
    ("reading", "words"),
    [
        (quarter(0, point="ghost"), "'ghost' is not configured"),
        (quarter(0, supply_wh=-5), "supply_wh -5 is out of range"),
        (quarter(0, supply_wh=2.5), "2.5 is not a whole number"),
        (quarter(0, supply_wh=1e30), "1e+30 is out of range"),
        (quarter(0, supply_wh=10**400), "supply_wh 1.00000e+400 is out of range"),
        (
            quarter(0, supply_wh=2751),
            "2751 Wh in 900 s at point grid; its nameplate of 10000 W allows at most 2750",
        ),
        (quarter(0.1), "not a multiple of 900 s"),
        (quarter(0, interval_s=3600), "interval_s 3600 is not the 900 s"),
        (quarter(24), "2019-01-03T00:15:00Z is 900 s in the future (now 2019-01-03T00:00:00Z"),
        ({"point": "grid", "time_utc": "2019-01-02T00:00:00", "supply_wh": 1}, "has no offset"),
        ({"point": "grid", "time_utc": "0001-01-01T00:00:00+14:00", "supply_wh": 1}, "is out of range"),
        ({"point": "grid", "time_utc": "9999-12-31T23:59:59-14:00", "supply_wh": 1}, "is out of range"),
        ({"point": "grid", "time_utc": at(0)}, "no energy"),
        ({"point": "grid", "time_utc": at(0), "register_wh": 5}, "posts energies of intervals"),
        ({"point": "grid", "time_utc": at(0), "energy_wh": 5}, "no OBIS code"),
        ({"point": "grid", "time_utc": at(0), "energy_wh": 5, "obis": "3.8.0"}, "OBIS code 3.8.0"),
        ({"point": "grid", "time_utc": at(0), "energy_wh": 5, "obis": "power"}, "'power' is no OBIS code"),
        ({"point": "grid", "time_utc": at(0), "energy_wh": 5, "supply_wh": 5, "obis": "1.8.0"}, "one form"),
        ({"point": "pv", "time_utc": at(0), "draw_wh": 5}, "draw_wh 5 Wh, but point pv (generation)"),
        ({"point": "other", "time_utc": at(0), "draw_wh": 5}, "'cabinet' may not post point other"),
        (register(0, -1), "register -1 is out of range"),
        (register(0, 2**32), "cannot show 4294967296 Wh; it rolls over at 4294967296"),
        (register(0, 10**9, "old"), "rolls over at 1000000000"),
        (register(25, 5), "in the future"),
        (register(0, 5, register_kwh=5), "both given"),
        (register(0, 5, supply_wh=5), "a register value and an energy"),
        (register(0, 5, "dsmr"), "which has 1.8.1, 1.8.2, 2.8.1, 2.8.2"),
    ],
)
def test_a_bad_reading_is_refused_naming_the_value(bench: Bench, reading: dict[str, Any], words: str) -> None:
    assert words in bench.refusal(reading)
    found = bench.db.execute("SELECT detail FROM refusals").fetchall()
    assert words in found[0][0]


def test_good_readings_of_a_message_are_kept_beside_bad_ones(bench: Bench) -> None:
    receipt = bench.post(quarter(0), quarter(0.25, supply_wh=99_999), quarter(0.5))
    assert (receipt.status, receipt.accepted) == ("partly refused", 2)
    assert [(item["index"], item["point"]) for item in receipt.refused] == [(1, "grid")]
    assert bench.hours("grid", [0]) == [(Status.PARTIAL, 20, 0)]


def test_the_same_value_again_changes_nothing_and_another_is_a_conflict(bench: Bench) -> None:
    bench.post(quarter(0), register(0, 100))
    before = bench.stored()
    again = bench.post(quarter(0), register(0, 100))
    assert (again.accepted, again.duplicates, bench.stored()) == (0, 2, before)
    assert "holds 10 Wh, this says 11 Wh; send it with corrects_wh 10" in bench.refusal(
        quarter(0, supply_wh=11)
    )
    assert "holds 100 Wh, this says 101 Wh" in bench.refusal(register(0, 101))


def test_a_correction_names_what_it_replaces_and_keeps_it(bench: Bench) -> None:
    bench.post(quarter(0, draw_wh=3), register(0, 100))
    fixed = {"point": "grid", "time_utc": at(0), "supply_wh": 11, "corrects_wh": 10}
    assert bench.post(fixed, register(0, 90, corrects_wh=100)).accepted == 2
    assert "corrects_wh 10, but" in bench.refusal({**fixed, "supply_wh": 12})
    assert "holds 11 Wh" in bench.refusal({**fixed, "supply_wh": 12})
    assert "holds nothing" in bench.refusal({**fixed, "time_utc": at(1)})
    assert "one by one" in bench.refusal({**fixed, "draw_wh": 1})
    old = bench.db.execute("SELECT channel, old_wh, new_wh FROM superseded ORDER BY channel").fetchall()
    assert old == [("1.8.0", 100, 90), ("supply", 10, 11)]
    assert bench.hours("grid", [0]) == [(Status.PARTIAL, 11, 3)]


def test_channels_of_an_interval_may_come_apart(bench: Bench) -> None:
    for index in range(4):
        bench.post({"point": "grid", "time_utc": at(index / 4), "energy_wh": 5, "obis": "1-0:1.8.0"})
        bench.post({"point": "grid", "time_utc": at(index / 4), "draw_wh": 0})
    assert bench.hours("grid", [0]) == [(Status.MEASURED, 20, 0)]


def test_register_forms_and_tariffs(bench: Bench) -> None:
    for hour, (low, high) in enumerate([(1000, 5000), (1200, 5050)]):
        for obis, value in (("1.8.1", low), ("1.8.2", high), ("2.8.1", 0), ("2.8.2", 0)):
            bench.post({"point": "dsmr", "time_utc": at(hour), "obis": obis, "register_kwh": value / 1000})
    assert bench.hours("dsmr", [0]) == [(Status.MEASURED, 250, 0)]


def test_fractions_of_a_watt_hour_add_up_over_time(bench: Bench) -> None:
    bench.raw(
        b'{"readings": [{"point": "meter", "time_utc": "2019-01-02T00:00:00Z", "register_kwh": 1.0009}]}'
    )
    bench.raw(
        b'{"readings": [{"point": "meter", "time_utc": "2019-01-02T01:00:00Z", "register_kwh": 1.0021}]}'
    )
    assert bench.hours("meter", [0]) == [(Status.MEASURED, 0, 2)]


def test_a_jump_is_refused_with_both_numbers_and_the_register_goes_on(bench: Bench) -> None:
    bench.post(register(0, 1000))
    detail = bench.refusal(register(1, 50_000))
    assert "counted 49000 Wh" in detail
    assert "at most 11000 Wh" in detail
    assert bench.post(register(1, 2000), register(3, 4000)).accepted == 2
    assert "at most 11000 Wh" in bench.refusal(register(2, 20_000))
    assert bench.hours("meter", [0, 1, 2]) == [
        (Status.MEASURED, 0, 1000),
        (Status.ESTIMATED, 0, 1000),
        (Status.ESTIMATED, 0, 1000),
    ]


def test_a_single_low_value_does_not_block_the_register(bench: Bench) -> None:
    receipt = bench.post(register(0, 500_000), register(1, 0))
    assert "went down from 500000 to 0 Wh" in receipt.notes[0]
    assert bench.post(register(2, 501_000), register(3, 502_000)).refused == []
    assert [hour[0] for hour in bench.hours("meter", [0, 1, 2])] == [
        Status.MISSING,
        Status.MISSING,
        Status.MEASURED,
    ]
    assert bench.post(register(1, 500_400, corrects_wh=0)).accepted == 1
    assert bench.hours("meter", [0, 1]) == [(Status.MEASURED, 0, 400), (Status.MEASURED, 0, 600)]


def test_an_exchange_is_missing_until_it_is_declared(bench: Bench) -> None:
    bench.post(register(0, 500_000), register(1, 30), register(2, 130))
    assert [hour[0] for hour in bench.hours("meter", [0, 1])] == [Status.MISSING, Status.MEASURED]
    now_s = START_S + 24 * HOUR_S
    exchange = Exchange(START_S + 1800, 500_200, 10)
    with pytest.raises(DeclarationInvalid, match="'ghost'"):
        declare_exchange(bench.config, "ghost", None, exchange, "exchanged", now_s)
    with pytest.raises(DeclarationInvalid, match="reason"):
        declare_exchange(bench.config, "meter", None, exchange, "", now_s)
    with pytest.raises(DeclarationInvalid, match="posts energies"):
        declare_exchange(bench.config, "grid", None, exchange, "exchanged", now_s)
    with pytest.raises(DeclarationInvalid, match=r"1\.8\.1"):
        declare_exchange(bench.config, "dsmr", None, exchange, "exchanged", now_s)
    bench.db.execute("DELETE FROM touched")
    declare_exchange(bench.config, "meter", None, exchange, "exchanged by the operator", now_s)
    assert bench.hours("meter", [0]) == [(Status.MEASURED, 0, 220)]
    assert (0, first_hour(DAY)) in bench.db.execute("SELECT private, hour FROM touched").fetchall()


SENML = (
    '[{"bn":"urn:dev:ped:Old-Town:meter:","bt":%d,"bver":10},'
    '{"n":"1-0:1.8.0","u":"%s","v":%s},{"n":"seq","v":88123}]'
)


def test_senml_registers_and_intervals(bench: Bench) -> None:
    receipt = bench.raw((SENML % (START_S, "Wh", "4426000")).encode())
    assert (receipt.id, receipt.accepted) == ("88123", 1)
    assert bench.raw((SENML % (START_S + 3600, "kWh", "4426.700")).encode()).accepted == 1
    assert bench.hours("meter", [0]) == [(Status.MEASURED, 0, 700)]
    records: list[dict[str, Any]] = [{"bn": "urn:dev:ped:old-town:grid:1-0:", "bu": "Wh"}]
    for k, name in itertools.product(range(4), ("1.29.0", "2.29.0")):
        records.append({"n": name, "t": START_S + 900 * k, "v": 5 * k})
    assert bench.raw(json.dumps(records).encode()).accepted == 8
    assert bench.hours("grid", [0]) == [(Status.MEASURED, 30, 30)]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (SENML % (START_S, "W", "5"), "unit 'W'"),
        (SENML % (5, "Wh", "5"), "relative"),
        (SENML % (START_S, "Wh", '"5 kWh"'), "'5 kWh'"),
        ((SENML % (START_S, "Wh", "5")).replace("Old-Town", "new-town"), "district 'new-town'"),
        ((SENML % (START_S, "Wh", "5")).replace("urn:dev:ped", "urn:dev:mac"), "is not urn:dev:ped"),
        ((SENML % (START_S, "Wh", "5")).replace("1-0:1.8.0", "1-0:1.7.0"), "no energy register"),
        ((SENML % (START_S, "Wh", "5")).replace('"bver":10', '"bver":11'), "bver 11"),
    ],
)
def test_bad_senml_is_refused_naming_the_value(bench: Bench, body: str, words: str) -> None:
    receipt = bench.raw(body.encode())
    assert receipt.accepted == 0
    assert words in receipt.refused[0]["detail"]


def test_where_is_a_reading(bench: Bench) -> None:
    lookup = Lookup(bench.config, bench.db)
    hour, now_s = first_hour(DAY), START_S + 1800
    assert lookup.where("pv", hour, now_s)["state"] == "unknown"
    bench.post({"point": "pv", "time_utc": at(0), "supply_wh": 99_999})
    refused = lookup.where("pv", hour, now_s)
    assert (refused["state"], "99999 Wh" in refused["reason"]) == ("refused", True)
    bench.post({"point": "pv", "time_utc": at(0), "supply_wh": 9})
    assert lookup.where("pv", hour, now_s)["state"] == "received"
    recorded = lookup.where("pv", hour, START_S + HOUR_S)
    assert (recorded["state"], recorded["messages"][0]["id"]) == ("recorded", "m")
    assert recorded["record"] == {"status": "measured", "supply_wh": 9, "draw_wh": 0}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    energies=st.lists(st.integers(0, 2750), min_size=96, max_size=96),
    lost=st.sets(st.integers(0, 95), max_size=30),
    seed=st.integers(0, 2**32),
)
def test_energy_is_conserved_across_splitting_ordering_and_duplication(
    tmp_path_factory: pytest.TempPathFactory, energies: list[int], lost: set[int], seed: int
) -> None:
    """A day in quarter-hours and in register values, some lost, cut into messages at random."""
    chance = random.Random(seed)
    kept = [index for index in range(96) if index not in lost]
    readings = [quarter(index / 4, energies[index]) for index in kept]
    values = [0, *itertools.accumulate(energies)]
    boundaries = [index for index in range(25) if index * 4 not in lost] or [0]
    readings += [register(hour, values[4 * hour]) for hour in boundaries]
    readings += chance.choices(readings, k=20)
    chance.shuffle(readings)
    with bench_in(tmp_path_factory.mktemp("energy")) as bench:
        position = 0
        while position < len(readings):
            size = chance.randint(1, 40)
            receipt = bench.post(*readings[position : position + size])
            assert receipt.refused == []
            position += size
        hours = bench.hours("grid", range(24))
        assert sum(hour[1] for hour in hours) == sum(energies[index] for index in kept)
        for hour, (status, supply_wh, _) in enumerate(hours):
            present = [index for index in range(4 * hour, 4 * hour + 4) if index not in lost]
            expected = {4: Status.MEASURED, 0: Status.MISSING}.get(len(present), Status.PARTIAL)
            assert (status, supply_wh) == (expected, sum(energies[index] for index in present))
        counted = bench.hours("meter", range(24))
        span = values[4 * boundaries[-1]] - values[4 * boundaries[0]]
        assert sum(hour[2] for hour in counted) == span


def test_a_full_disk_gives_no_receipt_and_nothing_half_applied(tmp_path: Path) -> None:
    """SQLite is allowed a few pages more, as on a disk with no room."""
    with bench_in(tmp_path) as bench:
        bench.post(quarter(0))
        before = bench.stored()
        worker = bench.worker._db
        pages = worker.execute("PRAGMA page_count").fetchone()[0]
        full = threading.Event()
        worker.execute(f"PRAGMA max_page_count = {pages}")
        many = [register(hour / 4, 10 * hour, time_utc=at(hour / 100)) for hour in range(2000)]
        failures: list[Exception] = []
        receipts: list[Receipt] = []
        body = json.dumps({"id": "big", "readings": many}).encode()

        def failed(error: Exception) -> None:
            failures.append(error)
            full.set()

        bench.worker.submit(Delivery(DEVICE, body, receipts.append, failed))
        assert full.wait(120)
        assert "no room" in str(failures[0])
        assert "no room" in bench.worker.problem
        assert bench.stored() == before
        waiting: list[Receipt] = []
        bench.worker.submit(Delivery(DEVICE, body, waiting.append))
        assert not full.wait(0) or not waiting
        worker.execute("PRAGMA max_page_count = 1000000")
        wait_until(lambda: bool(waiting), "the message that waited is stored")
        assert waiting[0].accepted == 2000
        assert receipts == []
        assert bench.worker.problem == ""


def test_a_half_written_outbox_is_rolled_back_on_opening(tmp_path: Path) -> None:
    with bench_in(tmp_path) as bench:
        bench.post(quarter(0))
        before = bench.stored()
        other = sqlite3.connect(bench.config.gateway.data, isolation_level=None, timeout=10)
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM intervals")
        other.close()
        assert bench.stored() == before
        assert bench.post(quarter(0.25)).accepted == 1
