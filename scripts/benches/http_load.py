"""A lean HTTP/1.1 load generator: keep-alive over raw asyncio streams, so it costs little itself."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass


class LoadFailed(RuntimeError):
    """The server answered something else than it should; the message names path and status."""


@dataclass(frozen=True)
class LoadResult:
    """Latencies in seconds, sorted, and the duration of the run in seconds."""

    latencies_s: Sequence[float]
    duration_s: float

    @property
    def requests_per_s(self) -> float:
        """Answered requests per second."""
        return len(self.latencies_s) / self.duration_s

    def quantile_ms(self, share: float) -> float:
        """Latency in ms that `share` of the requests did not exceed."""
        index = min(len(self.latencies_s) - 1, int(share * len(self.latencies_s)))
        return self.latencies_s[index] * 1000


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> tuple[str, bytes]:
    """Status line and body of the answer to a request."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
    return head.decode("latin-1").splitlines()[0], await reader.readexactly(int(length))


async def _client(
    host: str, port: int, paths: Sequence[str], offset: int, until: float, latencies: list[float]
) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    requests = [
        (path, f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\n\r\n".encode())
        for path in paths
    ]
    turn = offset
    while time.perf_counter() < until:
        path, request = requests[turn % len(requests)]
        turn += 1
        started = time.perf_counter()
        status, _ = await _exchange(reader, writer, request)
        if status[9:12] != "200":
            raise LoadFailed(f"{path}: {status}")
        latencies.append(time.perf_counter() - started)
    writer.close()


async def _run(
    host: str, port: int, paths: Sequence[str], clients: int, seconds: float
) -> tuple[list[float], float]:
    latencies: list[float] = []
    started = time.perf_counter()
    tasks = [_client(host, port, paths, number, started + seconds, latencies) for number in range(clients)]
    await asyncio.gather(*tasks)
    return latencies, time.perf_counter() - started


def measure(host: str, port: int, paths: Sequence[str], clients: int, seconds: float) -> LoadResult:
    """Ask for `paths` in turn from `clients` connections for `seconds`. Raises LoadFailed, OSError."""
    latencies, duration = asyncio.run(_run(host, port, paths, clients, seconds))
    return LoadResult(sorted(latencies), duration)


async def _poster(host: str, port: int, path: str, waiting: list[bytes]) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    while waiting:
        body = waiting.pop()
        head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        status, answer = await _exchange(reader, writer, request)
        if status[9:12] != "201":
            raise LoadFailed(f"{path}: {status}: {answer.decode('utf-8', 'replace')}")
    writer.close()


async def _post_all(host: str, port: int, path: str, bodies: Sequence[bytes], clients: int) -> float:
    waiting = list(bodies)
    started = time.perf_counter()
    await asyncio.gather(*(_poster(host, port, path, waiting) for _ in range(clients)))
    return time.perf_counter() - started


def post_all(host: str, port: int, path: str, bodies: Sequence[bytes], clients: int) -> float:
    """Post each of `bodies` once from `clients` connections; seconds until the last is answered with 201.

    Raises LoadFailed, OSError.
    """
    return asyncio.run(_post_all(host, port, path, bodies, clients))
