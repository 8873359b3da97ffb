"""Idempotency-Key: a repeated request is answered as the first one was, and worked on once."""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from certifier.service_tables import requests
from certifier.store import Store
from contracts.keccak import keccak

KEPT_S = 86_400
UNFINISHED_S = 120
"""After so long a request without an answer is taken to have died with its server."""
JSON, PROBLEM = "application/json", "application/problem+json"

Answer = tuple[int, bytes, str]
"""Status, body, media type."""


class KeyReused(Exception):
    """The key stands for another request, or for one that is still worked on."""


def answer_once(store: Store, key: str | None, body: bytes, work: Callable[[], Answer]) -> Answer:
    """The answer to a request; with a key from before, the kept one.

    Only final answers are kept: after one above 499 the same key tries again. Raises KeyReused.
    """
    if not key:
        return work()
    body_hash = keccak(body).hex()
    known = _begin(store, key, body_hash)
    if known is not None:
        return known
    try:
        answer = work()
    except BaseException:
        _forget(store, key)
        raise
    if answer[0] >= 500:
        _forget(store, key)
    else:
        with store.write() as connection:
            connection.execute(
                update(requests)
                .where(requests.c.idempotency_key == key)
                .values(status=answer[0], answer=answer[1].decode())
            )
    return answer


def _begin(store: Store, key: str, body_hash: str) -> Answer | None:
    now = int(time.time())
    table = requests.c
    with store.write() as connection:
        connection.execute(
            requests.delete().where(
                (table.created_at < now - KEPT_S)
                | (table.status.is_(None) & (table.created_at < now - UNFINISHED_S))
            )
        )
    row = {"idempotency_key": key, "body_hash": body_hash, "status": None, "answer": None, "created_at": now}
    try:
        with store.write() as connection:
            connection.execute(insert(requests), [row])
        return None
    except IntegrityError:
        pass
    with store.read() as connection:
        known = connection.execute(select(requests).where(table.idempotency_key == key)).one_or_none()
    if known is None or known.status is None:
        raise KeyReused(f"the request with Idempotency-Key {key!r} is still worked on; ask again shortly")
    if known.body_hash != body_hash:
        raise KeyReused(f"Idempotency-Key {key!r} was used for another request; take a new one")
    return known.status, known.answer.encode(), JSON if known.status < 400 else PROBLEM


def _forget(store: Store, key: str) -> None:
    with store.write() as connection:
        connection.execute(requests.delete().where(requests.c.idempotency_key == key))
