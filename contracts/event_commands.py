"""`ped dr open|enrol`: what a grid operator and a district's owner send to the chain themselves.

They are transactions of their accounts, so the certifier cannot carry them as it carries orders.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contracts.account_options import (
    DEFAULT_DEPLOYMENT,
    DeploymentFile,
    Json,
    Key,
    PasswordFile,
    load_account,
)

if TYPE_CHECKING:
    from contracts.events import Event
    from contracts.platform import Platform


def add_commands(dr: typer.Typer) -> None:
    """Add the commands to `ped dr`."""
    dr.command("open")(open_event)
    dr.command("enrol")(enrol)


def open_event(
    zone: Annotated[str, typer.Argument(help="Zone whose districts are asked.")],
    start: Annotated[str, typer.Argument(help="Begin of the first hour, ISO 8601.", metavar="START")],
    requested_wh: Annotated[int, typer.Option(help="Wh per hour, over all districts.", min=1)],
    price: Annotated[int, typer.Option(help="Micro-euro per delivered kWh.", min=0)],
    penalty: Annotated[int, typer.Option(help="Micro-euro per kWh missing; at least the price.", min=0)],
    enrol_until: Annotated[str, typer.Option(help="Districts enrol until then, ISO 8601.", metavar="TIME")],
    key: Key,
    password_file: PasswordFile,
    hours: Annotated[int, typer.Option(help="Number of consecutive hours.", min=1, max=24)] = 1,
    notice_minutes: Annotated[
        int, typer.Option(help="At least so long between the end of enrolment and the start.", min=0)
    ] = 60,
    increase: Annotated[bool, typer.Option(help="Ask for more net import instead of less.")] = False,
    high_5_of_10: Annotated[bool, typer.Option(help="This baseline instead of 10_of_10.")] = False,
    deployment: DeploymentFile = DEFAULT_DEPLOYMENT,
    as_json: Json = False,
) -> None:
    """Open an event; its whole budget is held of your organisation's money (`ped escrow deposit`)."""
    from contracts.hour import TimeInvalid, parse_hour_utc, parse_time_utc
    from contracts.response import BaselineMethod, EventTerms
    from contracts.response_events import EventOpened

    try:
        terms = EventTerms(
            zone,
            increase,
            BaselineMethod.HIGH_FIVE_OF_TEN if high_5_of_10 else BaselineMethod.TEN_OF_TEN,
            parse_hour_utc(start),
            hours,
            requested_wh,
            price,
            penalty,
            parse_time_utc(enrol_until),
            60 * notice_minutes,
        )
    except TimeInvalid as problem:
        sys.exit(f"ped dr open: {problem}")
    events = _send("open", deployment, key, password_file, lambda p, k: p.open_event(k, terms))
    opened = next(event for event in events if isinstance(event, EventOpened))
    if as_json:
        typer.echo(json.dumps({"event_id": opened.event_id, "budget_micro_eur": opened.budget}))
    else:
        typer.echo(f"event {opened.event_id} is open; {opened.budget} micro-euro are held for it")


def enrol(
    event: Annotated[int, typer.Argument(help="Number of the event.")],
    district: Annotated[str, typer.Argument(help="District that takes part.")],
    capacity_wh: Annotated[int, typer.Argument(help="Wh that it delivers in each hour.", min=1)],
    key: Key,
    password_file: PasswordFile,
    deployment: DeploymentFile = DEFAULT_DEPLOYMENT,
    as_json: Json = False,
) -> None:
    """Enrol a district of yours; the greatest possible penalty is held of its owner's money."""
    from contracts.response_events import Enrolled

    events = _send(
        "enrol",
        deployment,
        key,
        password_file,
        lambda p, k: p.enrol_district(k, event, district, capacity_wh),
    )
    enrolled = next(found for found in events if isinstance(found, Enrolled))
    if as_json:
        document = {
            "event_id": event,
            "district": district,
            "capacity_wh": enrolled.capacity_wh,
            "deposit_micro_eur": enrolled.deposit,
            "baseline_days": enrolled.baseline_days,
        }
        typer.echo(json.dumps(document))
    else:
        typer.echo(
            f"{district} takes part in event {event} with {capacity_wh} Wh per hour; {enrolled.deposit} "
            f"micro-euro are held; {enrolled.baseline_days} days make its baseline"
        )


def _send(
    command: str, deployment: Path, key: Path, password_file: Path, call: "Callable[[Platform, Any], bytes]"
) -> "list[Event]":
    from contracts.chain import Chain, ChainUnavailable, RpcFailed, TransactionPending
    from contracts.deployment import DeploymentInvalid
    from contracts.errors import ContractError
    from contracts.key import KeystoreInvalid
    from contracts.keystore import PasswordMissing
    from contracts.platform import Platform
    from contracts.slug import IdentifierInvalid

    try:
        found, signer = load_account(deployment, key, password_file)
        platform = Platform(Chain(found.rpc_url), found)
        return platform.events(platform.chain.wait(call(platform, signer)).logs)
    except (
        ChainUnavailable,
        ContractError,
        DeploymentInvalid,
        IdentifierInvalid,
        KeystoreInvalid,
        OSError,
        PasswordMissing,
        RpcFailed,
        TransactionPending,
    ) as problem:
        sys.exit(f"ped dr {command}: {problem}")
