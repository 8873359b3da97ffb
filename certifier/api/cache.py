"""Answers once computed are served again until the projection changes, before any framework code runs.

An entry belongs to one revision of the projection; the first request after a new revision computes anew.
A client that shows the revision it has (If-None-Match) gets 304 without a body.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

Key = tuple[str, bytes, bytes]
Entry = tuple[Message, bytes]
MAX_CACHED_BYTES = 128 * 1024 * 1024
MAX_COMPUTING = 2
"""Answers computed at once; more would only make each other slower."""
UNCACHED = ("/v1/status",)


class RevisionCache:
    """ASGI middleware for GET and HEAD under `/v1/`; `revision` reads the projection's current revision."""

    def __init__(self, application: ASGIApp, revision: Callable[[], str], poll_s: float = 0.1) -> None:
        self._application = application
        self._read_revision = revision
        self._poll_s = poll_s
        self._revision: str | None = None
        self._entries: dict[Key, Entry] = {}
        self._bytes = 0
        self._running: dict[Key, asyncio.Future[Entry]] = {}
        self._computing = asyncio.Semaphore(MAX_COMPUTING)
        self._poller: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_cacheable(scope):
            await self._application(scope, receive, send)
            return
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
        accept, known = b"", b""
        for name, value in scope["headers"]:
            if name == b"accept":
                accept = value
            elif name == b"if-none-match":
                known = value
        key = (scope["path"], scope["query_string"], accept)
        entry = self._entries.get(key)
        if entry is None:
            entry = await self._once(key, scope, receive)
        await _serve(entry, known, scope["method"] == "HEAD", send)

    async def _once(self, key: Key, scope: Scope, receive: Receive) -> Entry:
        """Compute an answer; those who ask for the same meanwhile wait for it instead of computing it too."""
        running = self._running.get(key)
        if running is None:
            running = asyncio.ensure_future(self._limited(key, scope, receive))
            self._running[key] = running
            running.add_done_callback(lambda _: self._running.pop(key, None))
        return await asyncio.shield(running)

    async def _limited(self, key: Key, scope: Scope, receive: Receive) -> Entry:
        async with self._computing:
            return await self._compute(key, scope, receive)

    async def _compute(self, key: Key, scope: Scope, receive: Receive) -> Entry:
        start: Message = {}
        parts: list[bytes] = []

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            elif message["type"] == "http.response.body":
                parts.append(message.get("body", b""))

        await self._application({**scope, "method": "GET"}, receive, keep)
        body = b"".join(parts)
        label = _header(start, b"etag")
        current = self._revision
        if start["status"] == 200 and current is not None and label.startswith(f'"{current}-'.encode()):
            if self._bytes + len(body) > MAX_CACHED_BYTES:
                self._clear()
            if key not in self._entries:
                self._bytes += len(body)
            self._entries[key] = (start, body)
        return start, body

    async def _poll(self) -> None:
        while True:
            with contextlib.suppress(Exception):  # the next request reports what is wrong with the database
                revision = await asyncio.to_thread(self._read_revision)
                if revision != self._revision:
                    self._clear()
                    self._revision = revision
            await asyncio.sleep(self._poll_s)

    def _clear(self) -> None:
        self._entries.clear()
        self._bytes = 0


def _is_cacheable(scope: Scope) -> bool:
    path: str = scope["path"]
    return scope["method"] in ("GET", "HEAD") and path.startswith("/v1/") and path not in UNCACHED


def _header(start: Message, name: bytes) -> bytes:
    for found, value in start["headers"]:
        if found == name:
            return bytes(value)
    return b""


async def _serve(entry: Entry, known: bytes, without_body: bool, send: Send) -> None:
    start, body = entry
    label = _header(start, b"etag")
    if start["status"] == 200 and label and _matches(known, label):
        headers = [pair for pair in start["headers"] if pair[0] not in (b"content-length", b"content-type")]
        await send({"type": "http.response.start", "status": 304, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
        return
    await send(start)
    await send({"type": "http.response.body", "body": b"" if without_body else body})


def _matches(known: bytes, label: bytes) -> bool:
    candidates: list[Any] = [part.strip().removeprefix(b"W/") for part in known.split(b",")]
    return label in candidates or b"*" in candidates
