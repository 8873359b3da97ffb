"""OpenADR clients and their tokens (OAuth 2.0 client credentials).

Events and programs stand on chain and are read without a token; whoever reports, registers or subscribes
shows one. A token is good for an hour and holds its own proof, so that every server process accepts what any
of them gave out.

The file lists the clients, `{"clients": [{"client_id": "...", "client_secret": "...", "role": "ven"}]}`; the
role is `ven` or `bl` (business logic, for a grid operator: it reads all reports).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

TOKEN_S = 3600
LEAST_SECRET = 16
Role = Literal["ven", "bl"]


class ClientsInvalid(ValueError):
    """The file of clients cannot be used; the message names the entry."""


class TokenInvalid(ValueError):
    """The token, or the client's secret, is not accepted."""


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    client_id: str
    client_secret: str
    role: Role


class _File(msgspec.Struct, forbid_unknown_fields=True):
    clients: list[_Entry]


@dataclass(frozen=True, slots=True)
class Client:
    """Who may report. Its secret appears in no `repr`."""

    client_id: str
    role: Role


class Clients:
    """The clients of this server, by identifier: secret and role."""

    def __init__(self, entries: Mapping[str, tuple[str, Role]]) -> None:
        self._entries = dict(entries)

    @classmethod
    def load(cls, path: Path) -> Clients:
        """Read the file. Raises ClientsInvalid, OSError."""
        try:
            found = msgspec.json.decode(path.read_bytes(), type=_File)
        except msgspec.DecodeError as problem:
            raise ClientsInvalid(f"{path}: {problem}") from None
        entries: dict[str, tuple[str, Role]] = {}
        for entry in found.clients:
            if not entry.client_id or entry.client_id in entries:
                raise ClientsInvalid(f"{path}: client_id {entry.client_id!r} is empty or there twice")
            if len(entry.client_secret) < LEAST_SECRET:
                raise ClientsInvalid(
                    f"{path}: the secret of {entry.client_id!r} has less than {LEAST_SECRET} characters"
                )
            entries[entry.client_id] = entry.client_secret, entry.role
        return cls(entries)

    def token(self, client_id: str, client_secret: str, now_s: float | None = None) -> str:
        """A token for a client that shows its secret. Raises TokenInvalid."""
        known = self._entries.get(client_id)
        if known is None or not hmac.compare_digest(known[0].encode(), client_secret.encode()):
            raise TokenInvalid("unknown client or wrong secret")
        expiry = int(time.time() if now_s is None else now_s) + TOKEN_S
        body = json.dumps([client_id, expiry]).encode()
        return f"{_text(body)}.{_text(_proof(known[0], body))}"

    def client(self, token: str, now_s: float | None = None) -> Client:
        """The client that a token was given to. Raises TokenInvalid."""
        body_text, _, proof_text = token.partition(".")
        try:
            body, proof = _bytes(body_text), _bytes(proof_text)
            client_id, expiry = json.loads(body)
            secret, role = self._entries[client_id]
        except (ValueError, TypeError, KeyError):
            raise TokenInvalid("the token is none that this server gave out") from None
        if not hmac.compare_digest(_proof(secret, body), proof):
            raise TokenInvalid("the token is none that this server gave out")
        if expiry < (time.time() if now_s is None else now_s):
            raise TokenInvalid("the token has expired; fetch a new one")
        return Client(client_id, role)


def _proof(secret: str, body: bytes) -> bytes:
    return hmac.new(secret.encode(), b"ped openadr token\n" + body, hashlib.sha256).digest()


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
