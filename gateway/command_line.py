"""The `ped gateway` commands; `scripts.command_line` joins them with those of the others."""

import asyncio
import hashlib
import json
import secrets
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import structlog
import typer
from rich.console import Console
from rich.table import Table

from contracts.chain import ChainUnavailable
from contracts.deployment import DeploymentInvalid
from contracts.hour import TimeInvalid, format_time_utc, parse_day, parse_hour_utc, parse_time_utc
from contracts.key import KeystoreInvalid, SigningKey
from contracts.keystore import PasswordMissing, new_key, read_secret
from gateway.application import Gateway, HttpFailed
from gateway.broker import Tls, serve, write_configuration
from gateway.config import ConfigInvalid, load_config
from gateway.declaration import DeclarationInvalid, declare_exchange, resend_day
from gateway.disclosure import NothingToDisclose, disclose_hour
from gateway.lookup import Lookup, PointUnknown
from gateway.metering import Exchange
from gateway.outbox import OutboxUnusable, connect
from gateway.payload import PayloadInvalid, whole_wh

commands = typer.Typer()
gateway = typer.Typer(help="Takes readings in, meters, signs and relays them.", no_args_is_help=True)
keys = typer.Typer(help="The gateway's signing key.", no_args_is_help=True)
gateway.add_typer(keys, name="keys")
commands.add_typer(gateway, name="gateway")

Config = Annotated[Path, typer.Argument(help="TOML file of the gateway; see gateway/config.py.")]

_EXPECTED = (
    ChainUnavailable,
    ConfigInvalid,
    DeclarationInvalid,
    DeploymentInvalid,
    HttpFailed,
    KeystoreInvalid,
    NothingToDisclose,
    OutboxUnusable,
    PasswordMissing,
    PayloadInvalid,
    PointUnknown,
    TimeInvalid,
    OSError,
)


@contextmanager
def _errors_in_words() -> Iterator[None]:
    try:
        yield
    except _EXPECTED as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


@gateway.command()
def run(config: Config) -> None:
    """Run a gateway until it is interrupted (Ctrl-C or SIGTERM)."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    with _errors_in_words():
        application = Gateway(load_config(config))
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        application.start()
        name, port = application.config.gateway.id, application.http_port
        typer.echo(f"gateway {name} is running" + (f", http://127.0.0.1:{port}/" if port else ""))
        sys.stdout.flush()
        stop.wait()
        application.stop()


@gateway.command()
def check(config: Config) -> None:
    """Check a configuration and show the points in the order that the registered boundary must have."""
    with _errors_in_words():
        settings = load_config(config)
    table = Table("serial", "kind", "stream", "nameplate W", "posts", "device", "supply", "draw")
    for point in settings.points:
        supply, draw = point.channels()
        table.add_row(
            point.serial,
            point.kind,
            "private" if point.private else "open",
            str(point.nameplate_w),
            point.posts,
            point.device,
            " ".join(supply),
            " ".join(draw),
        )
    Console().print(table)


@keys.command("new")
def keys_new(
    keystore: Annotated[Path, typer.Argument(help="New file for the encrypted key.")],
    password_file: Annotated[Path | None, typer.Option(help="File with the password.")] = None,
    password_env: Annotated[str | None, typer.Option(help="Environment variable with the password.")] = None,
) -> None:
    """Make a signing key and print its address, which the meter operator registers."""
    with _errors_in_words():
        typer.echo(new_key(keystore, read_secret(password_file, password_env, "keystore password")).address)


@keys.command("address")
def keys_address(
    keystore: Annotated[Path, typer.Argument(help="File of the encrypted key.")],
    password_file: Annotated[Path | None, typer.Option(help="File with the password.")] = None,
    password_env: Annotated[str | None, typer.Option(help="Environment variable with the password.")] = None,
) -> None:
    """Print the address of a key."""
    with _errors_in_words():
        password = read_secret(password_file, password_env, "keystore password")
        typer.echo(SigningKey.load(keystore, password).address)


@gateway.command()
def token() -> None:
    """Make a bearer token for a device or the operator: the token, and its hash for the configuration."""
    secret = secrets.token_urlsafe(32)
    typer.echo(f"token        {secret}\ntoken_sha256 {hashlib.sha256(secret.encode()).hexdigest()}")


@gateway.command("broker-config")
def broker_config(
    config: Config,
    out: Annotated[Path, typer.Option(help="Folder for mosquitto.conf, acl and passwords.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 1883,
    ca: Annotated[Path | None, typer.Option(help="TLS: certificates of who may sign devices.")] = None,
    certificate: Annotated[Path | None, typer.Option(help="TLS: the broker's certificate.")] = None,
    key: Annotated[Path | None, typer.Option(help="TLS: the key of that certificate.")] = None,
) -> None:
    """Write a Mosquitto configuration; prints the new passwords as JSON, once.

    Each device may write and read its own topics only. With the three TLS files there are no passwords:
    the common name of a client certificate is the device.
    """
    with _errors_in_words():
        settings = load_config(config)
        given = [path for path in (ca, certificate, key) if path is not None]
        if given and len(given) != 3:
            raise ConfigInvalid("TLS needs --ca, --certificate and --key together")
        tls = Tls(*given) if given else None
        user = (settings.mqtt.user if settings.mqtt else None) or settings.gateway.id
        devices = [device.id for device in settings.devices]
        if user in devices:
            raise ConfigInvalid(f"user {user!r} is the gateway and a device; give one another id")
        passwords = write_configuration(out, settings.gateway.district, user, devices, host, port, tls)
        typer.echo(json.dumps(passwords, indent=1))


@gateway.command()
def broker(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 picks a free one.", min=0, max=65535)] = 1883,
    config: Annotated[Path | None, typer.Option(help="Gateway whose devices may connect.")] = None,
    passwords: Annotated[Path | None, typer.Option(help="Password file of `broker-config`.")] = None,
) -> None:
    """Run the embedded MQTT broker, for machines without Mosquitto (MQTT 3.1.1).

    Without --config and --passwords everyone on this machine may connect.
    """
    with _errors_in_words():
        access = None
        if (config is None) != (passwords is None):
            raise ConfigInvalid("--config and --passwords go together")
        if config is None and host not in ("127.0.0.1", "::1", "localhost"):
            raise ConfigInvalid(f"a broker on {host} needs --config and --passwords")
        if config is not None and passwords is not None:
            settings = load_config(config)
            user = (settings.mqtt.user if settings.mqtt else None) or settings.gateway.id
            access = (passwords, user, settings.gateway.district)

        def ready(bound: int) -> None:
            typer.echo(f"broker is running, mqtt://{host}:{bound}")
            sys.stdout.flush()

        async def until_told() -> None:
            task = asyncio.current_task()
            assert task is not None
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
            await serve(host, port, access=access, ready=ready)

        with suppress(asyncio.CancelledError, KeyboardInterrupt):
            asyncio.run(until_told())


@gateway.command()
def where(
    config: Config,
    point: Annotated[str, typer.Option(help="Serial of the metering point.")],
    hour: Annotated[str, typer.Option(help="Start of the hour, such as 2026-07-15T12:00:00Z.")],
    as_json: Annotated[bool, typer.Option("--json", help="Everything, for programs.")] = False,
) -> None:
    """Where is a reading now: received, recorded, signed, submitted, on chain, final, or refused and why?"""
    with _errors_in_words():
        settings = load_config(config)
        connection = connect(settings.gateway.data)
        found = Lookup(settings, connection).where(point, parse_hour_utc(hour), int(time.time()))
    if as_json:
        typer.echo(json.dumps(found))
        return
    record, batch = found["record"], found["batch"]
    typer.echo(
        f"{point} {found['hour_utc']}: {found['state']}"
        + (f" ({found['reason']})" if found["reason"] else "")
    )
    typer.echo(f"  record   {record['status']}, supply {record['supply_wh']} Wh, draw {record['draw_wh']} Wh")
    if batch:
        typer.echo(
            f"  batch    {batch['day']} {batch['stream']} {batch['sequence']}, "
            f"transaction {batch['transaction']}"
        )
    for message in found["messages"]:
        typer.echo(f"  message  {message['id']} of {message['device']}, {message['received_utc']}")
    for refusal in found["refusals"]:
        typer.echo(f"  refused  {refusal['detail']}")


@gateway.command()
def disclose(
    config: Config,
    hour: Annotated[str, typer.Option(help="Start of the hour, such as 2026-07-15T12:00:00Z.")],
    out: Annotated[Path, typer.Option(help="File to write, for `ped verify --disclosure`.")],
    point: Annotated[
        list[str] | None, typer.Option(help="Serial of a private point to show; repeatable. None: all.")
    ] = None,
    with_serials: Annotated[
        bool, typer.Option(help="Also show which meters they are; else they stay anonymous.")
    ] = False,
) -> None:
    """Show private readings of an hour to an auditor, proven against the root on chain."""
    with _errors_in_words():
        settings = load_config(config)
        connection = connect(settings.gateway.data)
        content = disclose_hour(settings, connection, parse_hour_utc(hour), point or (), with_serials)
        out.write_bytes(content)
    typer.echo(f"{out}: {len(point) if point else 'all'} private readings of {hour}")


@gateway.command()
def declare(
    config: Config,
    point: Annotated[str, typer.Option(help="Serial of the metering point.")],
    at: Annotated[str, typer.Option("--time", help="When, such as 2026-07-15T12:30:00Z.")],
    reason: Annotated[str, typer.Option(help="Why; kept with the declaration.")],
    register: Annotated[str | None, typer.Option(help="OBIS code, where the point has several.")] = None,
    final_wh: Annotated[
        str | None, typer.Option(help="Last value of the old register; none: unknown.")
    ] = None,
    first_wh: Annotated[str | None, typer.Option(help="First value of the new one; none: unknown.")] = None,
) -> None:
    """Declare that a meter was exchanged or its register reset, so that the interval counts again."""
    with _errors_in_words():
        exchange = Exchange(parse_time_utc(at), _wh("--final-wh", final_wh), _wh("--first-wh", first_wh))
        declare_exchange(load_config(config), point, register, exchange, reason, int(time.time()))
    typer.echo(f"declared for {point} at {format_time_utc(exchange.time_s)}")


def _wh(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return whole_wh(option, Decimal(text))
    except InvalidOperation:
        raise PayloadInvalid(f"{option} {text!r} is no number") from None


@gateway.command()
def resend(config: Config, day: Annotated[str, typer.Option(help="UTC day, such as 2026-07-15.")]) -> None:
    """Look at a day's hours again, after the reason of a refusal was put right. Nothing is sent twice."""
    with _errors_in_words():
        resend_day(load_config(config), parse_day(day), int(time.time()))
    typer.echo(f"{day} will be looked at again")
