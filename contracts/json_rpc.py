"""JSON-RPC over HTTP by web3's provider, tried again while nobody answers.

The provider alone, without web3's middleware and formatters: those turn every answer over several times.
"""

import json
import time
from collections.abc import Callable
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from web3 import HTTPProvider
from web3.types import RPCEndpoint


class ChainUnavailable(ConnectionError):
    """Nobody answers at the chain's address; what was asked can be asked again."""


class RpcFailed(Exception):
    """The node answered with an error; `code` and `data` are its own."""

    def __init__(self, method: str, code: int, message: str, data: Any) -> None:
        super().__init__(f"{method}: {message} (code {code})")
        self.method, self.code, self.message, self.data = method, code, message, data


class JsonRpc:
    """The methods of the node at `url`; may be used from several threads.

    A request is tried again for `retry_s` while nobody answers, and given up after `timeout_s` without an
    answer.
    """

    def __init__(self, url: str, *, retry_s: float, timeout_s: float) -> None:
        self.url = url
        self._retry_s = retry_s
        session = requests.Session()
        session.trust_env = False
        session.mount(url, HTTPAdapter(pool_connections=4, pool_maxsize=64))
        options = {"timeout": timeout_s, "headers": {"Content-Type": "application/json"}}
        self._provider = HTTPProvider(url, options, session, exception_retry_configuration=None)

    def request(self, method: str, *parameters: Any, on_retry: Callable[[], None] | None = None) -> Any:
        """The result of a method; `on_retry` hears of further tries. Raises ChainUnavailable or RpcFailed."""
        deadline, pause = time.monotonic() + self._retry_s, 0.05
        while True:
            try:
                answer = self._provider.make_request(RPCEndpoint(method), list(parameters))
                break
            except (requests.RequestException, OSError, json.JSONDecodeError) as problem:
                if time.monotonic() + pause > deadline:
                    raise ChainUnavailable(
                        f"no chain answers at {self.url} ({method}): {problem}; is it running?"
                    ) from problem
            if on_retry is not None:
                on_retry()
            time.sleep(pause)
            pause = min(pause * 2, 1.0)
        error: Any = answer.get("error")
        if error:
            raise RpcFailed(method, error.get("code", 0), error.get("message", ""), error.get("data"))
        return answer["result"]
