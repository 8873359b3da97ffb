"""Intervals in memory and in the outbox say the same, whatever happens to a transaction."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import intervals as module
from gateway.intervals import Intervals
from gateway.outbox import OutboxUnusable, connect, transaction


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = connect(tmp_path / "outbox.sqlite")
    connection.executemany("INSERT INTO points VALUES (?, ?)", [(row, f"m{row}") for row in range(1, 300)])
    yield connection
    connection.close()


def stored(db: sqlite3.Connection) -> list[tuple[int | None, ...]]:
    return db.execute("SELECT start_s, point, supply_wh, draw_wh, message FROM intervals").fetchall()


def test_new_and_changed_intervals_are_written_together(db: sqlite3.Connection) -> None:
    intervals = Intervals(db)
    with transaction(db):
        for point in range(1, 251):
            assert intervals.get(point, 0) is None
            intervals.put(point, 0, (point, None), 7)
        intervals.put(1, 0, (1, 5), 8)
        assert intervals.get(1, 0) == (1, 5)
        assert stored(db) == []
        intervals.write()
    assert stored(db) == [(0, 1, 1, 5, 8), *((0, point, point, None, 7) for point in range(2, 251))]
    with transaction(db):
        intervals.put(2, 0, (3, 4), 9)
        intervals.write()
    assert stored(db)[1] == (0, 2, 3, 4, 9)
    assert Intervals(db).get(2, 0) == (3, 4)


def test_what_was_rolled_back_is_forgotten(db: sqlite3.Connection) -> None:
    intervals = Intervals(db)

    def fail() -> None:
        with transaction(db):
            intervals.get(1, 0)
            intervals.put(1, 0, (1, None), 1)
            intervals.write()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    intervals.forget()
    assert intervals.get(1, 0) is None
    assert stored(db) == []


def test_another_writer_is_noticed_and_not_overwritten(db: sqlite3.Connection, tmp_path: Path) -> None:
    intervals = Intervals(db)
    assert intervals.get(1, 0) is None
    other = sqlite3.connect(tmp_path / "outbox.sqlite")
    with other:
        other.execute("INSERT INTO intervals VALUES (0, 1, 10, NULL, 1)")
    other.close()

    def store() -> None:
        with transaction(db):
            intervals.put(1, 0, (99, None), 2)
            intervals.write()

    with pytest.raises(OutboxUnusable, match="UNIQUE"):
        store()
    intervals.forget()
    assert intervals.get(1, 0) == (10, None)
    assert stored(db) == [(0, 1, 10, None, 1)]


def test_memory_is_bounded_and_what_left_it_is_read_again(
    db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT_INTERVALS", 10)
    intervals = Intervals(db)
    for start_s in range(0, 100 * 3600, 3600):
        with transaction(db):
            for point in (1, 2):
                assert intervals.get(point, start_s) is None
                intervals.put(point, start_s, (start_s, point), 1)
            intervals.write()
    assert [intervals.get(2, start_s) for start_s in range(0, 100 * 3600, 3600)] == [
        (start_s, 2) for start_s in range(0, 100 * 3600, 3600)
    ]
