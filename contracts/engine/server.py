"""Serves the embedded chain as JSON-RPC over HTTP until it is asked to stop."""

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import uvicorn

from contracts.engine.node import Node
from contracts.engine.rpc import JsonRpc
from contracts.engine.view import View

MAXIMUM_BODY_BYTES = 32 * 1024 * 1024

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class _Application:
    """The smallest ASGI application: POST a JSON-RPC request or batch to any path."""

    def __init__(self, rpc: JsonRpc) -> None:
        self._rpc = rpc
        self._waiting = ThreadPoolExecutor(64, "request")

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            await _respond(send, 405, b"POST a JSON-RPC request\n", b"text/plain")
            return
        body, more = bytearray(), True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > MAXIMUM_BODY_BYTES:
                text = f"a request may have {MAXIMUM_BODY_BYTES} bytes\n"
                await _respond(send, 413, text.encode(), b"text/plain")
                return
        answer = await asyncio.get_running_loop().run_in_executor(
            self._waiting, self._rpc.answer, bytes(body)
        )
        await _respond(send, 200, answer, b"application/json")


async def _respond(send: Send, status: int, body: bytes, media_type: bytes) -> None:
    headers = [(b"content-type", media_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def serve(folder: Path, node: Node, host: str, port: int, ready: Callable[[int], None]) -> None:
    """Serve `node`, whose files are in `folder`, until SIGINT or SIGTERM; calls `ready` with the port in use.

    Port 0 takes a free one. Raises OSError when the port cannot be had.
    """
    with (
        ThreadPoolExecutor(1, "writer") as writer,
        ThreadPoolExecutor(1, "reader") as reader,
        closing(View(folder, node.chain_id)) as view,
    ):
        application = _Application(JsonRpc(node, view, writer, reader))
        config = uvicorn.Config(
            application,
            host=host,
            port=port,
            lifespan="off",
            interface="asgi3",
            log_level="warning",
            access_log=False,
            timeout_keep_alive=75,
        )
        try:
            listener = socket.create_server((host, port))
        except OSError as problem:
            raise OSError(f"cannot listen on {host}:{port}: {problem.strerror or problem}") from problem
        with listener:
            server = uvicorn.Server(config)
            # uvicorn finishes what it has begun, then repeats the signal that ended it: no error here.
            for stop in (signal.SIGINT, signal.SIGTERM):
                signal.signal(stop, lambda *_: setattr(server, "should_exit", True))
            # Connections inherit this; without it each answer waits 40 ms for an acknowledgement.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            ready(int(listener.getsockname()[1]))
            server.run(sockets=[listener])
