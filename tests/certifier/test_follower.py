"""The follower on real chains: rebuilt equally, undone exactly, killed at any point, on both databases."""

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from certifier import queries, store
from certifier.follower import Follower, FollowerBusy, market_rules, only_follower
from certifier.market_projection import MarketRules
from certifier.projection import Projection
from certifier.store import Store, StoreError, content, reset
from contracts.hour import DAY_S, day_start
from contracts.platform import Platform
from tests.certifier.certified_run import GATEWAY, START_DAY, WINDOW_END, Year, payload, rewound
from tests.certifier.small_run import FIRST_DAY, SmallRun
from tests.contracts.nodes import ROOT


def follower_of(small: SmallRun, url: str, depth: int = 0) -> tuple[Follower, Store]:
    opened = Store(url)
    return Follower(Platform(small.chain, small.deployment), opened, depth), opened


def projected(small: SmallRun) -> tuple[int, str, MarketRules]:
    deployment = small.deployment
    rules = market_rules(Platform(small.chain, deployment))
    return deployment.chain_id, deployment.ledger, rules


def rows_of(opened: Store) -> dict[str, list[tuple[object, ...]]]:
    with opened.read() as connection:
        return content(connection)


def sqlite(folder: Path, name: str = "projection") -> str:
    return f"sqlite:///{folder / name}.sqlite"


@pytest.fixture(scope="module")
def followed(small_run: SmallRun, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The small run, followed and checked once."""
    follower, opened = follower_of(small_run, sqlite(tmp_path_factory.mktemp("followed")))
    follower.catch_up()
    return opened


def test_our_figures_are_the_chains_to_the_last_integer(followed: Store) -> None:
    with followed.read() as connection:
        assert queries.alarms(connection) == []
        days = connection.execute(select(store.finalised_days)).all()
        assert len(days) == 8
        for row in days:
            for name in (*store.FIGURES, "complete_hours", "edge_estimated", "boundary_version"):
                assert row._mapping[name] == row._mapping[f"chain_{name}"], (row.day, name)
        booked = connection.execute(select(store.booked_adjustments)).one()
        assert booked.day == FIRST_DAY + 2
        assert booked.balance_mwh_pe == booked.chain_balance_mwh_pe != 0
        assert queries.status(connection).pending_checks == 0


def test_a_corrected_hour_shows_the_correction_only(followed: Store) -> None:
    with followed.read() as connection:
        batches = connection.execute(
            select(store.batches.c.sequence, store.batches.c.replaces).where(
                store.batches.c.gateway_id == "barlovento-plant", store.batches.c.day == FIRST_DAY
            )
        ).all()
        assert [tuple(row) for row in batches] == [(1, 0), (2, 1)]
        covered = queries.coverage(connection, "barlovento", FIRST_DAY, FIRST_DAY + 1)[0]
        assert covered.measured_records == covered.expected_records == 72
        gap = queries.coverage(connection, "barlovento", FIRST_DAY + 1, FIRST_DAY + 2)[0]
        assert gap.gaps == ["00:00Z", "01:00Z", "02:00Z", "03:00Z", "09:00Z", "10:00Z"]


def test_rebuilding_gives_the_same_content_block_by_block_or_at_once(
    small_run: SmallRun, followed: Store, tmp_path: Path
) -> None:
    follower, opened = follower_of(small_run, sqlite(tmp_path))
    blocks = follower.read_blocks(small_run.deployment.deployed_block, small_run.chain.head())
    single = Projection(opened, *projected(small_run))
    for block in blocks:
        single.apply([block])
    assert rows_of(opened) == rows_of(followed)
    reset(opened.url)
    again, fresh = follower_of(small_run, opened.url)
    again.catch_up()
    assert rows_of(fresh) == rows_of(followed)


def test_undoing_to_any_block_is_as_if_the_rest_had_never_been(small_run: SmallRun, tmp_path: Path) -> None:
    follower, opened = follower_of(small_run, sqlite(tmp_path))
    follower.catch_up()
    blocks = follower.read_blocks(small_run.deployment.deployed_block, small_run.chain.head())
    parameters = projected(small_run)
    for place in (len(blocks) - 2, len(blocks) - 6, len(blocks) // 2, 20, 3):
        Projection(opened, *parameters).undo_after(blocks[place])
        fresh = Store(sqlite(tmp_path, f"fresh-{place}"))
        Projection(fresh, *parameters).apply(blocks[: place + 1])
        assert rows_of(opened) == rows_of(fresh), place
        fresh.close()
    follower.catch_up()
    fresh_follower, fresh = follower_of(small_run, sqlite(tmp_path, "fresh"))
    fresh_follower.catch_up()
    assert rows_of(opened) == rows_of(fresh)


def test_depth_holds_blocks_back(small_run: SmallRun, tmp_path: Path) -> None:
    follower, opened = follower_of(small_run, sqlite(tmp_path), depth=7)
    follower.catch_up()
    with opened.read() as connection:
        found = queries.status(connection)
    assert found.followed_block_number == small_run.chain.head() - 7
    assert found.lag_blocks == 7
    with pytest.raises(ValueError, match="depth -1 is negative"):
        follower_of(small_run, sqlite(tmp_path), depth=-1)


def test_a_reorganisation_is_undone(year: Year, year_store: Store, tmp_path: Path) -> None:
    opened = year_store
    follower = Follower(year.platform, opened)
    before = rows_of(opened)
    with rewound(year):
        year.adjust(START_DAY + 40, payload(1_000))
        year.send("book_adjustments", "relay", year.assessment, 5)
        year.send("revoke_key", "operator", GATEWAY, 0)
        follower.catch_up()
        during = rows_of(opened)
        assert len(during["batches"]) == len(before["batches"]) + 1
        assert during["booked_adjustments"]
        assert during["verdicts"] != before["verdicts"]
    with rewound(year):  # the chain that won is longer than the one that lost
        year.adjust(START_DAY + 41, payload(500))
        for _ in range(4):
            year.chain.mine(year.now_s() + 60)
        follower = Follower(year.platform, opened)
        follower.catch_up()
        fresh = Store(sqlite(tmp_path, "fresh"))
        Follower(year.platform, fresh).catch_up()
        assert rows_of(opened) == rows_of(fresh)
    follower = Follower(year.platform, opened)
    follower.catch_up()
    assert rows_of(opened) == before


def test_killed_at_any_point_it_goes_on_where_it_was(
    small_run: SmallRun, followed: Store, tmp_path: Path
) -> None:
    file = tmp_path / "deployment.json"
    small_run.deployment.save(file)
    url = sqlite(tmp_path)
    # It ends itself before a statement of its own, which may be in the middle of what belongs together; one
    # block a transaction, so that there are many.
    program = f"""
import itertools, os, pathlib, signal, sys, threading
from sqlalchemy import Engine, event
from certifier import follower, service
left = itertools.count(int(sys.argv[1]), -1)
@event.listens_for(Engine, "before_cursor_execute")
def before(*_):
    if next(left) == 0:
        os.kill(os.getpid(), signal.SIGKILL)
follower.RANGE_BLOCKS = 1
service.follow(service.Settings({url!r}, pathlib.Path({str(file)!r})), threading.Event())
"""
    opened = Store(url)

    def followed_block() -> int:
        with opened.read() as connection:
            return queries.status(connection).followed_block_number or 0

    dice, blocks = random.Random(5), [0]
    for _ in range(4):
        killed = subprocess.run([sys.executable, "-c", program, str(dice.randrange(100, 300))], cwd=ROOT)
        assert killed.returncode == -signal.SIGKILL
        blocks.append(followed_block())
    assert len(set(blocks)) == len(blocks)  # each went on with what the one before had not done
    assert blocks[-1] < small_run.chain.head()
    follower, _ = follower_of(small_run, url)
    follower.catch_up()
    assert rows_of(opened) == rows_of(followed)


def test_the_command_ends_when_told(small_run: SmallRun, tmp_path: Path) -> None:
    small_run.deployment.save(tmp_path / "deployment.json")
    command = [sys.executable, "-m", "scripts.command_line", "certifier"]
    options = ["--database", sqlite(tmp_path), "--deployment", str(tmp_path / "deployment.json")]
    process = subprocess.Popen([*command, "follow", *options], cwd=ROOT)
    opened = Store(sqlite(tmp_path))
    deadline = time.monotonic() + 180
    while True:
        with opened.read() as connection:
            if queries.status(connection).followed_block_number == small_run.chain.head():
                break
        assert time.monotonic() < deadline
        time.sleep(0.2)
    process.terminate()
    assert process.wait(timeout=120) == 0
    before = rows_of(opened)
    rebuilt = subprocess.run([*command, "rebuild", *options], cwd=ROOT, capture_output=True, text=True)
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert f"rebuilt up to block {small_run.chain.head()}, alarms: 0" in rebuilt.stdout
    assert rows_of(opened) == before
    said = subprocess.run(
        [*command, "status", *options[:2], "--json"], cwd=ROOT, capture_output=True, text=True
    )
    assert json.loads(said.stdout)["lag_blocks"] == 0
    missing = subprocess.run(
        [*command, "follow", *options[:2], "--deployment", str(tmp_path / "none.json")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert missing.returncode == 1
    assert "none.json" in missing.stderr
    assert "Traceback" not in missing.stderr


def test_the_server_does_not_outlive_its_follower(small_run: SmallRun, tmp_path: Path) -> None:
    small_run.deployment.save(tmp_path / "deployment.json")
    store = Store(sqlite(tmp_path))
    command = [sys.executable, "-m", "scripts.command_line", "certifier", "serve", "--port", "0"]
    options = ["--database", sqlite(tmp_path), "--deployment", str(tmp_path / "deployment.json")]
    with only_follower(store):
        ended = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, timeout=120)
    store.close()
    assert ended.returncode == 1
    assert "another process follows the chain into" in ended.stderr
    assert "the follower ended, so nothing is served" in ended.stderr


def test_a_transaction_that_fails_leaves_nothing(small_run: SmallRun, tmp_path: Path) -> None:
    follower, opened = follower_of(small_run, sqlite(tmp_path))
    blocks = follower.read_blocks(small_run.deployment.deployed_block, small_run.chain.head())
    projection = Projection(opened, small_run.deployment.chain_id, small_run.deployment.ledger)
    projection.apply(blocks[:30])
    before = rows_of(opened)
    with pytest.raises(Exception, match="UNIQUE"):
        projection.apply([*blocks[30:33], blocks[31]])
    assert rows_of(opened) == before
    projection.apply(blocks[30:])
    follower.catch_up()
    assert rows_of(opened)["head"][0][4] == small_run.chain.head()


def test_postgresql_holds_the_same(small_run: SmallRun, followed: Store, postgres_url: str) -> None:
    reset(postgres_url)
    follower, opened = follower_of(small_run, postgres_url)
    follower.catch_up()
    assert rows_of(opened) == rows_of(followed)
    blocks = follower.read_blocks(small_run.deployment.deployed_block, small_run.chain.head())
    projection = Projection(opened, small_run.deployment.chain_id, small_run.deployment.ledger)
    projection.undo_after(blocks[25])
    follower.catch_up()
    assert rows_of(opened) == rows_of(followed)
    with only_follower(opened), pytest.raises(FollowerBusy), only_follower(Store(postgres_url)):
        raise AssertionError("two followers")


def test_one_follower_at_a_time(tmp_path: Path) -> None:
    opened = Store(sqlite(tmp_path))
    with (
        only_follower(opened),
        pytest.raises(FollowerBusy, match="another process follows"),
        only_follower(Store(sqlite(tmp_path))),
    ):
        raise AssertionError("two followers")
    with only_follower(opened):
        pass


def _url_of_missing_folder(folder: Path) -> str:
    return f"sqlite:///{folder}/missing/p.sqlite"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (lambda _: "mysql://user@host/db", "'mysql' is no supported database"),
        (lambda _: "no url", "is no database URL"),
        (lambda _: "sqlite://", "names no file"),
        (_url_of_missing_folder, "does not exist: create it first"),
        (lambda _: "postgresql://ped@127.0.0.1:1/none", "cannot open the projection database"),
    ],
)
def test_a_bad_database_is_named(url: Callable[[Path], str], words: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=words):
        Store(url(tmp_path))


def test_a_projection_of_another_chain_is_refused(small_run: SmallRun, year: Year, tmp_path: Path) -> None:
    follower, _ = follower_of(small_run, sqlite(tmp_path))
    follower.step()
    with pytest.raises(StoreError, match="is of chain 1337, ledger"):
        Follower(year.platform, Store(sqlite(tmp_path)))


def test_the_whole_year_agrees(year: Year, followed_year: Store) -> None:
    with followed_year.read() as connection:
        assert queries.alarms(connection) == []
        assert queries.status(connection).pending_checks == 0
        found = queries.latest_verdict(connection, "0x" + year.assessment.hex())
    chain = year.platform.latest_verdict(year.assessment)
    assert found is not None
    assert found.positive
    assert (found.balance_mwh_pe, found.ghg_upper_mg) == (chain.balance_mwh_pe, chain.ghg_upper_mg)
    assert found.complete_hours == found.total_hours == 8760
    assert day_start(WINDOW_END) < year.now_s() - 7 * DAY_S
