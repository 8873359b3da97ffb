"""Workers share the connections, and a port that is taken is refused."""

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.nodes import free_port

PROGRAM = """
import os, sys
import uvicorn
from certifier.workers import run_workers

async def application(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(os.getpid()).encode()})

if __name__ == "__main__":
    port = int(sys.argv[1])
    run_workers(uvicorn.Config("served:application", port=port, workers=2, lifespan="off", access_log=False))
"""
CONNECTIONS = 60


@contextlib.contextmanager
def served(folder: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    (folder / "served.py").write_text(PROGRAM)
    root = Path(__file__).parent.parent.parent
    process = subprocess.Popen(
        [sys.executable, "served.py", str(port)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{root}"},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(120)
        assert process.stderr is not None
        process.stderr.close()


def answer(connection: http.client.HTTPConnection) -> bytes:
    connection.request("GET", "/")
    return connection.getresponse().read()


def wait_for_both(port: int) -> None:
    """Ask until two workers have answered."""
    seen: set[bytes] = set()
    deadline = time.monotonic() + 180
    while len(seen) < 2:
        assert time.monotonic() < deadline, f"only {len(seen)} of 2 workers answer"
        with (
            contextlib.suppress(OSError),
            contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=120)) as connection,
        ):
            seen.add(answer(connection))


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels do not deal connections out")
def test_connections_that_come_together_are_shared_and_the_port_is_ours(tmp_path: Path) -> None:
    port = free_port()
    with served(tmp_path, port):
        wait_for_both(port)
        connections = [http.client.HTTPConnection("127.0.0.1", port, timeout=120) for _ in range(CONNECTIONS)]
        for connection in connections:
            connection.connect()
        answers = [answer(connection) for connection in connections]
        for connection in connections:
            connection.close()
        counts = [answers.count(worker) for worker in set(answers)]
        assert len(counts) == 2
        assert min(counts) >= CONNECTIONS // 6
        with served(tmp_path, port) as second:
            assert second.stderr is not None
            assert second.wait(120) != 0
            assert "Address already in use" in second.stderr.read()
