"""Server processes that each have a listener of their own; the kernel deals connections out to them (Linux).

On one listener that they share, the worker that wakes first takes all connections that wait, and then answers
them alone. This module imports little: a worker is watched from the moment it has read its listener.
"""

import contextlib
import socket
from typing import Any

from uvicorn import Config
from uvicorn.supervisors import Multiprocess


def run_workers(config: Config) -> None:
    """Serve until interrupted. Ends the process, with a message, when another one listens there already."""
    with config.bind_socket() as probe:
        family, address = probe.family, probe.getsockname()
    with _own_listener(family, address) as listener, contextlib.suppress(KeyboardInterrupt):
        Multiprocess(config, [listener]).run()


class _OwnListener(socket.socket):
    """A bound socket that arrives in another process as another socket, bound to the same address.

    This one only holds the address and never listens, so no connection is dealt to it.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _own_listener, (self.family, self.getsockname())


def _own_listener(family: int, address: Any) -> _OwnListener:
    listener = _OwnListener(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(address)
    return listener
