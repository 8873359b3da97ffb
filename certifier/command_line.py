"""The `ped certifier` commands; `scripts.command_line` joins them with those of the others."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

commands = typer.Typer()
certifier = typer.Typer(
    help="Follow the chain, judge independently, serve people and programs.", no_args_is_help=True
)
commands.add_typer(certifier, name="certifier")

Database = Annotated[
    str,
    typer.Option(help="Projection: sqlite:///FILE or postgresql://USER@HOST/DATABASE.", metavar="URL"),
]
DeploymentFile = Annotated[
    Path, typer.Option("--deployment", help="File that names the chain and its contracts.", metavar="FILE")
]
Depth = Annotated[int, typer.Option(help="Blocks to wait before a block counts (reorganisations).", min=0)]

DEFAULT_DATABASE = "sqlite:///certifier.sqlite"
DEFAULT_DEPLOYMENT = Path("deployment.json")


@contextmanager
def _explained(command: str) -> Iterator[None]:
    """Ends the command with the problem's own words instead of a traceback."""
    from certifier.store import StoreError
    from contracts.chain import ChainUnavailable, RpcFailed
    from contracts.deployment import DeploymentInvalid

    try:
        yield
    except (StoreError, DeploymentInvalid, ChainUnavailable, RpcFailed, OSError, ValueError) as problem:
        sys.exit(f"ped certifier {command}: {problem}")


@certifier.command()
def serve(
    database: Database = DEFAULT_DATABASE,
    deployment: DeploymentFile = DEFAULT_DEPLOYMENT,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="TCP port; 0 takes a free one and says which.")] = 8080,
    workers: Annotated[int, typer.Option(help="Processes that answer requests.", min=1)] = 1,
    follow: Annotated[bool, typer.Option(help="Follow the chain too, in a process of its own.")] = True,
    depth: Depth = 0,
    public_url: Annotated[
        str, typer.Option(help="Address under which people reach the pages; for QR codes.")
    ] = "",
    relayer_keystore: Annotated[
        Path | None,
        typer.Option(
            help="Encrypted key of the account that carries traders' orders to the market; without it none "
            "are carried.",
            metavar="FILE",
        ),
    ] = None,
    relayer_password_file: Annotated[
        Path | None,
        typer.Option(
            help="File with its password; else PED_CERTIFIER_RELAYER_PASSWORD has it.", metavar="FILE"
        ),
    ] = None,
    openadr_clients: Annotated[
        Path | None,
        typer.Option(help="OpenADR clients that may report (JSON); without it nobody may.", metavar="FILE"),
    ] = None,
) -> None:
    """Serve the API and the pages, and follow the chain beside them. Stop with Ctrl-C."""
    from certifier import service

    with _explained("serve"):
        used = port or service.free_port(host)
        address = f"http://{host}:{used}"
        settings = service.Settings(
            database,
            deployment,
            public_url or address,
            depth,
            relayer_keystore,
            relayer_password_file,
            openadr_clients,
        )
        typer.echo(f"certifier at {address}")
        service.serve(settings, host, used, workers, follow)


@certifier.command()
def follow(
    database: Database = DEFAULT_DATABASE,
    deployment: DeploymentFile = DEFAULT_DEPLOYMENT,
    depth: Depth = 0,
) -> None:
    """Follow the chain into the projection. Stop with Ctrl-C."""
    from certifier import service

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    with _explained("follow"):
        service.follow(service.Settings(database, deployment, depth=depth), stop)


@certifier.command()
def rebuild(
    database: Database = DEFAULT_DATABASE,
    deployment: DeploymentFile = DEFAULT_DEPLOYMENT,
    depth: Depth = 0,
) -> None:
    """Empty the projection and build it again from the platform's first block."""
    from certifier import service
    from certifier.follower import only_follower
    from certifier.queries import status
    from certifier.store import reset

    with _explained("rebuild"):
        reset(database)
        follower, store = service.open_follower(service.Settings(database, deployment, depth=depth))
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with only_follower(store), Progress(*columns, console=Console(stderr=True)) as progress:
            task = progress.add_task("blocks", total=None)
            more = True
            while more:
                more = follower.step()
                with store.read() as connection:
                    now = status(connection)
                progress.update(task, completed=now.followed_block_number or 0, total=now.chain_block_number)
            follower.catch_up()
        with store.read() as connection:
            found = status(connection)
        store.close()
        typer.echo(f"rebuilt up to block {found.followed_block_number}, alarms: {found.alarm_count}")
        if found.alarm_count:
            sys.exit(3)


@certifier.command()
def status(
    database: Database = DEFAULT_DATABASE,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on one line.")] = False,
) -> None:
    """Where the projection stands, and its alarms. Ends with 3 while there are alarms."""
    from certifier.queries import alarms
    from certifier.queries import status as read_status
    from certifier.store import Store

    with _explained("status"):
        store = Store(database)
        with store.read() as connection:
            found, raised = read_status(connection), alarms(connection)
        store.close()
    if as_json:
        content = found.model_dump(mode="json") | {
            "alarms": [entry.model_dump(mode="json") for entry in raised]
        }
        typer.echo(json.dumps(content))
    else:
        table = Table(show_header=False)
        for name, value in found.model_dump(mode="json").items():
            table.add_row(name.replace("_", " "), "-" if value is None else str(value))
        for entry in raised:
            table.add_row(f"alarm: {entry.kind}", f"{entry.subject}: {entry.explanation}")
        Console().print(table)
    if raised:
        sys.exit(3)
