"""A private PostgreSQL server for tests: its own cluster in a temporary folder, on a free loopback port."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

from tests.contracts.nodes import free_port

_USER = "nobody"


def find_server_programs() -> Path | None:
    """Folder of initdb and postgres, or None where no server is installed."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return candidates[-1].parent if candidates else None


class PostgresServer:
    """A running server; `url` names its database."""

    def __init__(self, programs: Path) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="ped-postgres-"))
        # PostgreSQL refuses to run as root.
        self._as_user = {"user": _USER, "group": "nogroup"} if os.getuid() == 0 else {}
        if self._as_user:
            shutil.chown(self._folder, _USER)
        port = free_port()
        self._run(programs / "initdb", "-D", self._folder / "data", "-U", "ped", "--auth=trust", "-E", "UTF8")
        self.process = subprocess.Popen(
            [
                str(programs / "postgres"),
                *("-D", str(self._folder / "data")),
                *("-p", str(port)),
                *("-c", "listen_addresses=127.0.0.1"),
                *("-c", f"unix_socket_directories={self._folder}"),
                *("-c", "fsync=off"),
            ],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **self._as_user,  # type: ignore[call-overload]
        )
        self.url = f"postgresql://ped@127.0.0.1:{port}/postgres"

    def _run(self, *command: str | Path) -> None:
        subprocess.run(
            [str(part) for part in command],
            cwd=self._folder,
            check=True,
            capture_output=True,
            **self._as_user,  # type: ignore[call-overload]
        )

    def stop(self) -> None:
        """Stop the server and remove its folder."""
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def wait_until_open(server: PostgresServer, timeout_s: float = 30.0) -> None:
    """Return once the server takes connections."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            psycopg.connect(server.url, connect_timeout=2).close()
            return
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, "PostgreSQL did not start"
            time.sleep(0.1)
