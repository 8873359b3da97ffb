"""Brokers: configuration for Mosquitto, and an embedded one where none is installed.

Both use the same password file and give a device its own subtree only (domain.md §9):
`pattern write ped/v1/+/%u/up/#` and `pattern read ped/v1/+/%u/down/#`. The embedded broker speaks MQTT 3.1.1.
"""

import asyncio
import base64
import hashlib
import hmac
import logging
import os
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from amqtt.broker import Broker
from amqtt.contexts import Action
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.session import Session

ITERATIONS: Final = 101
"""Mosquitto's own number; the passwords are random, not chosen by people."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Files of a broker with TLS; devices need a client certificate whose common name is their id."""

    ca: Path
    certificate: Path
    key: Path


def password_hash(password: str) -> str:
    """Hash of a password as Mosquitto 2 keeps it: PBKDF2 with SHA-512."""
    salt = os.urandom(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    return f"$7${ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def password_fits(password: str, stored: str) -> bool:
    """Whether `password` has the hash `stored`."""
    try:
        _, scheme, iterations, salt, expected = stored.split("$")
        if scheme != "7":
            return False
        digest = hashlib.pbkdf2_hmac("sha512", password.encode(), base64.b64decode(salt), int(iterations))
        return hmac.compare_digest(digest, base64.b64decode(expected))
    except ValueError:
        return False


def write_configuration(
    folder: Path, district: str, gateway_user: str, devices: list[str], host: str, port: int, tls: Tls | None
) -> dict[str, str]:
    """Write mosquitto.conf, acl and passwords into `folder`; the new passwords by user.

    Raises FileExistsError when there are passwords already: devices hold them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    passwords = {user: secrets.token_urlsafe(18) for user in (gateway_user, *devices)}
    if tls is None:
        _write_new(folder / "passwords", "".join(f"{u}:{password_hash(p)}\n" for u, p in passwords.items()))
    (folder / "acl").write_text(
        f"user {gateway_user}\n"
        f"topic read ped/v1/{district}/+/up/#\n"
        f"topic write ped/v1/{district}/+/down/#\n\n"
        "pattern write ped/v1/+/%u/up/#\n"
        "pattern read ped/v1/+/%u/down/#\n",
        "utf-8",
    )
    access = (
        f"password_file {folder / 'passwords'}\n"
        if tls is None
        else f"cafile {tls.ca.resolve()}\ncertfile {tls.certificate.resolve()}\nkeyfile {tls.key.resolve()}\n"
        "require_certificate true\nuse_identity_as_username true\n"
    )
    (folder / "mosquitto.conf").write_text(
        f"listener {port} {host}\n{access}allow_anonymous false\nacl_file {folder / 'acl'}\n"
        f"persistence true\npersistence_location {folder}/\nautosave_interval 60\n"
        "max_queued_messages 100000\nmax_inflight_messages 200\nset_tcp_nodelay true\n",
        "utf-8",
    )
    return passwords if tls is None else {}


def _write_new(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


class PasswordFile(BaseAuthPlugin):  # type: ignore[misc]
    """Lets in the users of a password file in Mosquitto's format."""

    async def authenticate(self, *, session: Session) -> bool | None:
        """Whether the session's user and password fit."""
        wanted: dict[str, str] = {}
        for line in self.config.password_file.read_text("utf-8").splitlines():
            user, _, stored = line.partition(":")
            wanted[user] = stored
        stored = wanted.get(session.username or "", "")
        return bool(stored) and password_fits(session.password or "", stored)

    @dataclass
    class Config:
        """Where the passwords are."""

        password_file: Path


class OwnSubtree(BaseTopicPlugin):  # type: ignore[misc]
    """Gives a device its own subtree, and the gateway its district."""

    async def topic_filtering(
        self, *, session: Session | None = None, topic: str | None = None, action: Action | None = None
    ) -> bool | None:
        """Whether a user may publish, subscribe to or receive a topic."""
        user = session.username if session else None
        parts = (topic or "").split("/")
        if user is None or len(parts) < 6 or parts[:2] != ["ped", "v1"]:
            return False
        district, device, direction = parts[2], parts[3], parts[4]
        publishes = action is Action.PUBLISH
        if user == self.config.gateway_user:
            return district == self.config.district and direction == ("down" if publishes else "up")
        return device == user and direction == ("up" if publishes else "down")

    @dataclass
    class Config:
        """Who the gateway is."""

        gateway_user: str
        district: str


async def serve(
    host: str,
    port: int,
    *,
    access: tuple[Path, str, str] | None = None,
    ready: Callable[[int], None] = lambda _: None,
) -> None:
    """Run the embedded broker until cancelled. Port 0 picks a free one, `ready` is told.

    `access` is (password file, gateway user, district); None lets everyone in: for one machine's own use.
    """
    port = port or free_port(host)
    logging.getLogger("amqtt").setLevel(logging.WARNING)
    logging.getLogger("transitions").setLevel(logging.WARNING)
    plugins: dict[str, Any] = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
    if access is not None:
        file, gateway_user, district = access
        plugins = {
            "gateway.broker.PasswordFile": {"password_file": file},
            "gateway.broker.OwnSubtree": {"gateway_user": gateway_user, "district": district},
        }
    broker = Broker({"listeners": {"default": {"type": "tcp", "bind": f"{host}:{port}"}}, "plugins": plugins})
    await broker.start()
    try:
        ready(port)
        await asyncio.Event().wait()
    finally:
        await broker.shutdown()


def free_port(host: str) -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
