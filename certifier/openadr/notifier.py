"""Tells OpenADR subscribers of events by webhook: opened (CREATE), settled (UPDATE), withdrawn (DELETE).

Each subscription has a cursor in the projection, moved on only when the subscriber has answered with 2xx, so
that a notification is delivered at least once and in order. One that does not answer is asked again with
growing pauses and holds up nobody else.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import httpx2
import structlog
from sqlalchemy import Connection, select, tuple_, update

from certifier import market_tables as tables
from certifier.openadr import objects
from certifier.service_tables import openadr_deliveries, openadr_objects
from certifier.store import Store

log = structlog.get_logger(__name__)

TIMEOUT_S: Final = 10.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 300.0
MOST_AT_ONCE: Final = 50


class _Change(NamedTuple):
    place: tuple[int, int]
    operation: str
    event_id: int


@dataclass(slots=True)
class _Pause:
    until_s: float
    length_s: float


@dataclass
class Notifier:
    """Works off the subscriptions of a store; one per store."""

    store: Store
    _pauses: dict[str, _Pause] = field(default_factory=dict)

    def run(self, stop: threading.Event, poll_s: float = 1.0) -> None:
        """Notify until `stop` is set."""
        with httpx2.Client(timeout=TIMEOUT_S, follow_redirects=False) as http:
            while not stop.wait(poll_s):
                self.notify(http)

    def notify(self, http: httpx2.Client) -> int:
        """Deliver what is new; how many notifications were taken."""
        with self.store.read() as connection:
            table = openadr_objects.c
            wishes = connection.execute(
                select(table.object_id, table.body, openadr_deliveries)
                .join(openadr_deliveries, openadr_deliveries.c.subscription_id == table.object_id)
                .where(table.object_type == "SUBSCRIPTION")
            ).all()
        taken = 0
        for wish in wishes:
            pause = self._pauses.get(wish.object_id)
            if pause is None or pause.until_s <= time.monotonic():
                taken += self._deliver(http, wish)
        return taken

    def _deliver(self, http: httpx2.Client, wish: Any) -> int:
        body = json.loads(wish.body)
        with self.store.read() as connection:
            changes = _changes(connection, (wish.block_number, wish.log_index))
            told = [
                (change, objects.any_event(connection, change.event_id)) for change in changes[:MOST_AT_ONCE]
            ]
        taken = 0
        for change, document in told:
            wanted = body.get("programID") in (None, document["programID"])
            notification = {"objectType": "EVENT", "operation": change.operation, "object": document}
            for entry in body["objectOperations"] if wanted else ():
                if change.operation not in entry["operations"]:
                    continue
                if not self._post(http, wish.object_id, entry, notification):
                    return taken
                taken += 1
            self._move_on(wish.object_id, change.place)
        return taken

    def _post(
        self, http: httpx2.Client, object_id: str, entry: dict[str, Any], notification: dict[str, Any]
    ) -> bool:
        token = entry.get("bearerToken")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            answer = http.post(entry["callbackUrl"], json=notification, headers=headers)
            problem = None if answer.is_success else f"answered {answer.status_code}"
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            problem = str(error)
        if problem is None:
            self._pauses.pop(object_id, None)
            return True
        before = self._pauses.get(object_id)
        length_s = FIRST_PAUSE_S if before is None else min(before.length_s * 1.5, LONGEST_PAUSE_S)
        self._pauses[object_id] = _Pause(time.monotonic() + length_s, length_s)
        log.warning("subscriber not notified", subscription=object_id, detail=problem, retry_s=length_s)
        return False

    def _move_on(self, object_id: str, place: tuple[int, int]) -> None:
        with self.store.write() as connection:
            connection.execute(
                update(openadr_deliveries)
                .where(openadr_deliveries.c.subscription_id == object_id)
                .values(block_number=place[0], log_index=place[1])
            )


def _changes(connection: Connection, after: tuple[int, int]) -> list[_Change]:
    opened, ends = tables.response_events.c, tables.response_ends.c
    found = [
        _Change((row.block_number, row.log_index), "CREATE", row.event_id)
        for row in connection.execute(
            select(opened.block_number, opened.log_index, opened.event_id).where(
                tuple_(opened.block_number, opened.log_index) > after
            )
        )
    ]
    for row in connection.execute(
        select(ends.block_number, ends.log_index, ends.event_id, ends.kind).where(
            tuple_(ends.block_number, ends.log_index) > after
        )
    ):
        operation = "DELETE" if row.kind == "withdrawn" else "UPDATE"
        found.append(_Change((row.block_number, row.log_index), operation, row.event_id))
    return sorted(found)
