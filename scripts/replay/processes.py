"""Starts, watches and ends the processes of a replay; each has a log, and none outlives its supervisor."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

LOOPBACK = "127.0.0.1"


class ProcessFailed(RuntimeError):
    """A process did not start, or ended before it was asked to; the message holds the end of its log."""


def free_port() -> int:
    """A TCP port on the loopback interface that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def listening(port: int) -> bool:
    """Whether something accepts TCP connections on the port."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=0.5):
            return True
    except OSError:
        return False


@dataclass
class Supervised:
    """One process, started in a session of its own so that Ctrl-C reaches only the supervisor."""

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, appending to its log."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id. Raises ProcessFailed when it was not started."""
        if self._process is None:
            raise ProcessFailed(f"{self.name} was not started")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it runs now."""
        return self._process is not None and self._process.poll() is None

    def check(self) -> None:
        """Raises ProcessFailed with the end of the log when it does not run."""
        if not self.running:
            code = None if self._process is None else self._process.returncode
            raise ProcessFailed(f"{self.name} ended with code {code}; the end of {self.log}:\n{self.tail()}")

    def tail(self, lines: int = 20) -> str:
        """The last lines of its log."""
        if not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:])

    def wait_until(self, ready: Callable[[], bool], timeout_s: float = 60) -> None:
        """Wait until `ready()`. Raises ProcessFailed when it ends first, or after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise ProcessFailed(
                    f"{self.name} was not ready after {timeout_s:g} s; the end of {self.log}:\n{self.tail()}"
                )
            time.sleep(0.02)

    def kill(self) -> None:
        """`kill -9`: the process gets no chance to save anything."""
        if self._process is not None and self.running:
            self._process.kill()
            self._process.wait()

    def stop(self, timeout_s: float = 10) -> None:
        """Ask it to end; kill it when it does not within `timeout_s`."""
        if self._process is None or not self.running:
            return
        self._process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
        self.kill()


class Supervisor:
    """Several processes, ended in the reverse order of their start when the block is left."""

    def __init__(self, log_folder: Path) -> None:
        self._log_folder = log_folder
        self._processes: list[Supervised] = []
        self._awaited: list[tuple[Supervised, Callable[[], bool], float]] = []
        log_folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> "Supervisor":
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes):
            process.stop()

    def start(
        self,
        name: str,
        command: Sequence[str],
        ready: Callable[[], bool],
        environment: Mapping[str, str] | None = None,
        timeout_s: float = 60,
        wait: bool = True,
    ) -> Supervised:
        """Start a process and wait until it is ready, now or with `wait()`. Raises ProcessFailed."""
        process = Supervised(name, command, self._log_folder / f"{name}.log", environment or {})
        self._processes.append(process)
        process.start()
        if wait:
            process.wait_until(ready, timeout_s)
        else:
            self._awaited.append((process, ready, timeout_s))
        return process

    def wait(self) -> None:
        """Wait until all processes that were started without waiting are ready. Raises ProcessFailed."""
        while self._awaited:
            process, ready, timeout_s = self._awaited.pop()
            process.wait_until(ready, timeout_s)

    def check(self) -> None:
        """Raises ProcessFailed when one of them ended by itself."""
        for process in self._processes:
            process.check()
