"""Interval energies in the outbox, with what is stored of the newest times kept in memory.

Almost every reading is the first of its interval. The intake is the only writer of intervals, so it asks the
outbox once per time, not once per reading, and writes what changed as many rows at once.
"""

import sqlite3
from itertools import chain
from typing import Final

KEPT_INTERVALS: Final = 100_000
"""So many intervals stay in memory between transactions."""
_ROWS_AT_ONCE: Final = 100
_MARKS: Final = "(?, ?, ?, ?, ?)"

Interval = tuple[int | None, int | None]
"""Stored energies (supply_wh, draw_wh) of an interval; None is a channel of which nothing came yet."""

_Row = tuple[int, int, int | None, int | None, int]
"""start_s, point, supply_wh, draw_wh, message."""


class Intervals:
    """Reads and writes of the intake, inside a `transaction`; nothing is in the file before `write`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._known: dict[int, dict[int, Interval]] = {}
        self._count = 0
        self._new: dict[tuple[int, int], _Row] = {}
        self._changed: dict[tuple[int, int], _Row] = {}

    def get(self, point: int, start_s: int) -> Interval | None:
        """What is stored of an interval, or will be."""
        known = self._known.get(start_s)
        if known is None:
            known = self._read(start_s)
        return known.get(point)

    def put(self, point: int, start_s: int, interval: Interval, message: int) -> None:
        """Store an interval in place of what is there; `get` was called for it before."""
        known = self._known[start_s]
        place = start_s, point
        row = (start_s, point, *interval, message)
        if point not in known:
            self._count += 1
            self._new[place] = row
        elif place in self._new:
            self._new[place] = row
        else:
            self._changed[place] = row
        known[point] = interval

    def write(self) -> None:
        """Write what was put, before the transaction is committed.

        Should another process have stored one of the new intervals, the transaction fails, `forget` follows,
        and the next try sees what is there.
        """
        self._insert("INSERT", list(self._new.values()))
        self._insert("INSERT OR REPLACE", list(self._changed.values()))
        self._new.clear()
        self._changed.clear()
        while self._count > KEPT_INTERVALS and len(self._known) > 1:
            self._count -= len(self._known.pop(next(iter(self._known))))

    def forget(self) -> None:
        """To be called when the transaction was rolled back: the outbox is asked again."""
        self._known.clear()
        self._new.clear()
        self._changed.clear()
        self._count = 0

    def _insert(self, verb: str, rows: list[_Row]) -> None:
        for place in range(0, len(rows), _ROWS_AT_ONCE):
            part = rows[place : place + _ROWS_AT_ONCE]
            marks = ", ".join([_MARKS] * len(part))
            self._db.execute(f"{verb} INTO intervals VALUES {marks}", tuple(chain.from_iterable(part)))

    def _read(self, start_s: int) -> dict[int, Interval]:
        rows = self._db.execute(
            "SELECT point, supply_wh, draw_wh FROM intervals WHERE start_s = ?", (start_s,)
        )
        known = self._known[start_s] = {point: (supply_wh, draw_wh) for point, supply_wh, draw_wh in rows}
        self._count += len(known)
        return known
