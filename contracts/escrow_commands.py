"""`ped escrow`: an organisation's money for trades and demand response."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from contracts.account_options import (
    DEFAULT_DEPLOYMENT,
    DeploymentFile,
    Json,
    Key,
    PasswordFile,
    load_account,
)

commands = typer.Typer()
escrow = typer.Typer(help="An organisation's money for trades and demand response.", no_args_is_help=True)
commands.add_typer(escrow, name="escrow")

_Organisation = Annotated[str, typer.Option("--organisation", help="Whose account in the escrow.")]
_Amount = Annotated[int, typer.Option("--micro-eur", min=1, help="Amount in micro-euro (1 EUR = 1000000).")]
_Node = Annotated[str | None, typer.Option("--rpc", help="Another node than the deployment's.")]


def _wallet(command: str, deployment: Path, key: Path, password_file: Path, rpc: str | None) -> Any:
    from contracts.deployment import DeploymentInvalid
    from contracts.key import KeystoreInvalid
    from contracts.keystore import PasswordMissing
    from contracts.wallet import Wallet, WalletRefused

    try:
        return Wallet(*load_account(deployment, key, password_file), rpc)
    except (DeploymentInvalid, KeystoreInvalid, PasswordMissing, WalletRefused, OSError) as problem:
        sys.exit(f"ped escrow {command}: {problem}")


def _tell(wallet: Any, organisation: str, as_json: bool, transaction: str | None = None) -> None:
    state: dict[str, Any] = {
        "organisation": organisation,
        "free_micro_eur": wallet.free(organisation),
        "held_micro_eur": wallet.held(organisation),
        "wallet": wallet.address,
        "wallet_micro_eur": wallet.tokens,
    }
    if as_json:
        typer.echo(json.dumps(state | ({"transaction": transaction} if transaction else {})))
        return
    if transaction:
        typer.echo(f"done in transaction {transaction}")
    free, held, tokens = (
        _eur(state[name]) for name in ("free_micro_eur", "held_micro_eur", "wallet_micro_eur")
    )
    typer.echo(
        f"{organisation}: {free} EUR free, {held} EUR held; {wallet.address} has {tokens} EUR in tokens"
    )


def _eur(micro_eur: int) -> str:
    return f"{micro_eur // 10**6:,}.{micro_eur % 10**6:06d}"


@escrow.command()
def account(
    organisation: _Organisation,
    key: Key,
    password_file: PasswordFile,
    deployment: DeploymentFile = DEFAULT_DEPLOYMENT,
    rpc: _Node = None,
    as_json: Json = False,
) -> None:
    """Show what the organisation has in the escrow, free and held, and the tokens beside it."""
    _tell(_wallet("account", deployment, key, password_file, rpc), organisation, as_json)


@escrow.command()
def deposit(
    organisation: _Organisation,
    micro_eur: _Amount,
    key: Key,
    password_file: PasswordFile,
    deployment: DeploymentFile = DEFAULT_DEPLOYMENT,
    rpc: _Node = None,
    as_json: Json = False,
) -> None:
    """Pay tokens of the key's address in to the organisation's account."""
    from contracts.wallet import WalletRefused

    wallet = _wallet("deposit", deployment, key, password_file, rpc)
    try:
        transaction = wallet.deposit(organisation, micro_eur)
    except WalletRefused as problem:
        sys.exit(f"ped escrow deposit: {problem}")
    _tell(wallet, organisation, as_json, transaction)


@escrow.command()
def withdraw(
    organisation: _Organisation,
    micro_eur: _Amount,
    key: Key,
    password_file: PasswordFile,
    to: Annotated[
        str | None,
        typer.Option(help="Address that gets the tokens; by default the key's.", metavar="ADDRESS"),
    ] = None,
    deployment: DeploymentFile = DEFAULT_DEPLOYMENT,
    rpc: _Node = None,
    as_json: Json = False,
) -> None:
    """Send free money of the organisation to an address."""
    from contracts.wallet import WalletRefused

    wallet = _wallet("withdraw", deployment, key, password_file, rpc)
    try:
        transaction = wallet.withdraw(organisation, micro_eur, to or wallet.address)
    except WalletRefused as problem:
        sys.exit(f"ped escrow withdraw: {problem}")
    _tell(wallet, organisation, as_json, transaction)
