"""The `ped trade` commands: sign on this machine, send to the certifier (domain.md §6).

What a command needs is imported when it runs, so that `ped --help` stays quick.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from certifier.client import MarketClient

commands = typer.Typer()
trade = typer.Typer(
    help="Buy and sell energy of a district: orders are signed here, the key stays here.",
    no_args_is_help=True,
)
commands.add_typer(trade, name="trade")

PASSWORD = "PED_TRADING_PASSWORD"

Url = Annotated[
    str, typer.Option("--url", help="Address of the certifier.", metavar="URL", envvar="PED_CERTIFIER_URL")
]
Key = Annotated[
    Path, typer.Option("--key", help="Encrypted keystore of the district's trading key.", metavar="FILE")
]
PasswordFile = Annotated[
    Path | None,
    typer.Option(help=f"File with the keystore's password; else {PASSWORD} has it.", metavar="FILE"),
]
District = Annotated[str, typer.Argument(help="District that buys or sells.", metavar="DISTRICT")]
Hour = Annotated[
    str, typer.Argument(help="Start of the hour, UTC, such as 2026-07-15T12:00:00Z.", metavar="HOUR")
]
Quantity = Annotated[int, typer.Argument(help="Energy, Wh.", metavar="WH", min=1)]
Price = Annotated[
    int, typer.Argument(help="Limit, micro-euro per kWh (80000 is 8 ct).", metavar="PRICE", min=0)
]
Attributes = Annotated[
    bool, typer.Option("--attributes", help="In the book with attributes, which count in both balances.")
]
Replaces = Annotated[
    str | None, typer.Option(help="Hash of a live order that it takes the place of.", metavar="HASH")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]
DEFAULT_URL = "http://127.0.0.1:8080"
DEFAULT_KEY = Path("trading-key.json")
LEAST_WIDTH = 8
"""Characters of a column of words in a narrow terminal."""


@contextmanager
def _client(
    command: str, url: str, key: Path | None = None, password_file: Path | None = None
) -> Iterator[MarketClient]:
    """A client; ends the command with the problem's own words instead of a traceback."""
    from certifier.client import MarketClient, MarketRefused
    from contracts.hour import TimeInvalid
    from contracts.key import KeystoreInvalid, SigningKey
    from contracts.keystore import PasswordMissing, read_secret
    from contracts.order import OrderInvalid

    try:
        signing = None
        if key is not None:
            signing = SigningKey.load(key, read_secret(password_file, PASSWORD, f"password of {key}"))
        with MarketClient(url, signing) as client:
            yield client
    except (
        MarketRefused,
        OrderInvalid,
        TimeInvalid,
        KeystoreInvalid,
        PasswordMissing,
        OSError,
        ValueError,
    ) as problem:
        sys.exit(f"ped trade {command}: {problem}")


def _place(
    side: str,
    url: str,
    key: Path,
    password_file: Path | None,
    district: str,
    hour: str,
    quantity_wh: int,
    price: int,
    options: dict[str, Any],
) -> None:
    from contracts.hour import parse_hour_utc

    with _client(side, url, key, password_file) as client:
        placed = client.place(district, side, parse_hour_utc(hour), quantity_wh, price, **options)
        typer.echo(json.dumps(placed))


@trade.command()
def bid(
    district: District,
    hour: Hour,
    quantity_wh: Quantity,
    price: Price,
    attributes: Attributes = False,
    replaces: Replaces = None,
    key: Key = DEFAULT_KEY,
    password_file: PasswordFile = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Bid to buy energy of one hour; prints the order's hash and where it is on chain."""
    options = {"with_attributes": attributes, "replaces": replaces}
    _place("bid", url, key, password_file, district, hour, quantity_wh, price, options)


@trade.command()
def offer(
    district: District,
    hour: Hour,
    quantity_wh: Quantity,
    price: Price,
    attributes: Attributes = False,
    replaces: Replaces = None,
    key: Key = DEFAULT_KEY,
    password_file: PasswordFile = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Offer energy of one hour for sale; prints the order's hash and where it is on chain."""
    options = {"with_attributes": attributes, "replaces": replaces}
    _place("offer", url, key, password_file, district, hour, quantity_wh, price, options)


@trade.command()
def cancel(
    order: Annotated[str, typer.Argument(help="Hash of the order.", metavar="HASH")],
    key: Key = DEFAULT_KEY,
    password_file: PasswordFile = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Take a live order back, before its gate closes."""
    with _client("cancel", url, key, password_file) as client:
        typer.echo(json.dumps(client.cancel(order)))


@trade.command()
def orders(
    district: District,
    from_: Annotated[str, typer.Option("--from", help="First day or hour, ISO 8601 UTC.")] = "",
    to: Annotated[str, typer.Option(help="First day or hour after it.")] = "",
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """A district's orders and what became of them; default: a week around now."""
    with _client("orders", url) as client:
        found = list(client.orders(district, from_=from_, to=to))
    columns = (
        "start_time_utc",
        "side",
        "with_attributes",
        "quantity_wh",
        "price_micro_eur_per_kwh",
        "state",
        "fill_wh",
        "order_hash",
    )
    _show(found, columns, as_json, f"{district} has no orders {_span(from_, to)}")


@trade.command()
def account(
    account: Annotated[str, typer.Argument(help="Organisation, or address.", metavar="ACCOUNT")],
    from_: Annotated[str, typer.Option("--from", help="First day or time, ISO 8601 UTC.")] = "",
    to: Annotated[str, typer.Option(help="First day or time after it.")] = "",
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """The statement of an account in the escrow, line by line with the balance."""
    with _client("account", url) as client:
        found = list(client.statement(account, from_=from_, to=to))
    columns = (
        "time_utc",
        "kind",
        "reference",
        "debit_micro_eur",
        "credit_micro_eur",
        "balance_micro_eur",
        "held_micro_eur",
    )
    _show(found, columns, as_json, f"nothing moved on {account} {_span(from_, to)}")


def _span(from_: str, to: str) -> str:
    """The hours asked for, in words."""
    if not from_ and not to:
        return "in the week around now; name others with --from and --to"
    return " ".join(f"{word} {day}" for word, day in (("from", from_), ("to", to)) if day)


def _show(items: list[dict[str, Any]], columns: tuple[str, ...], as_json: bool, nothing: str) -> None:
    """A table, in which a narrow terminal breaks words and hashes but hides nothing and breaks no number."""
    if as_json:
        typer.echo(json.dumps(items))
        return
    if not items:
        typer.echo(nothing)
        return
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    rows = [[_cell(name, item[name]) for name in columns] for item in items]
    for place, name in enumerate(columns):
        heading = name.replace("_micro_eur_per", "_µEUR_per").replace("_micro_eur", "_EUR")
        number = name.endswith(("_wh", "_eur", "_kwh"))
        table.add_column(
            heading.replace("_", " "),
            justify="right" if number else "left",
            min_width=max(len(row[place]) for row in rows) if number else LEAST_WIDTH,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*row)
    Console(markup=False, highlight=False).print(table)


def _cell(name: str, value: Any) -> str:
    """A value as people read it: amounts of money in EUR, to the last micro-euro."""
    if value is None:
        return ""
    return f"{Decimal(value) / 10**6:.6f}" if name.endswith("_micro_eur") else str(value)
