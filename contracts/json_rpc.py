"""JSON-RPC over HTTP, tried again while nobody answers.

By urllib3 alone: importing web3 takes each process a second, and its formatters turn every answer over.
"""

import itertools
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import msgspec
import urllib3


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
    answer. Basic authentication is taken from a URL such as https://user:password@node.
    """

    def __init__(self, url: str, *, retry_s: float, timeout_s: float) -> None:
        self.url = url
        self._retry_s = retry_s
        self._ids = itertools.count(1)
        headers = {"Content-Type": "application/json", "User-Agent": "ped"}
        user, at, _ = url.partition("://")[2].partition("/")[0].rpartition("@")
        if at:
            headers |= urllib3.make_headers(basic_auth=unquote(user))
        self._http = urllib3.PoolManager(maxsize=64, timeout=timeout_s, retries=False, headers=headers)

    def request(self, method: str, *parameters: Any, on_retry: Callable[[], None] | None = None) -> Any:
        """The result of a method; `on_retry` hears of further tries. Raises ChainUnavailable or RpcFailed."""
        deadline, pause = time.monotonic() + self._retry_s, 0.05
        while True:
            try:
                answer = self._post(method, parameters)
                break
            except (urllib3.exceptions.HTTPError, OSError, msgspec.DecodeError) as problem:
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

    def _post(self, method: str, parameters: tuple[Any, ...]) -> dict[str, Any]:
        body = {"jsonrpc": "2.0", "method": method, "params": parameters, "id": next(self._ids)}
        answer = self._http.request("POST", self.url, body=msgspec.json.encode(body))
        if answer.status >= 400:
            raise urllib3.exceptions.HTTPError(f"HTTP {answer.status} {answer.reason}")
        return msgspec.json.decode(answer.data, type=dict[str, Any])
