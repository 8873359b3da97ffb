"""The `ped market` commands of `contracts`; `scripts.command_line` joins them with the others.

What a command needs is imported when it runs: a book clears in less time than all of `contracts` loads.
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from contracts.book import OwnedOrder
    from contracts.clearing import Clearing

commands = typer.Typer()
market = typer.Typer(help="Trading between districts.", no_args_is_help=True)
commands.add_typer(market, name="market")


@market.callback()
def _market() -> None:
    """Keeps the name of a command even while there is only one."""


@market.command()
def clear(
    book: Annotated[
        Path,
        typer.Argument(
            help="CSV with the columns id, owner, side (bid or offer), price_micro_eur_per_kwh, quantity_wh.",
            metavar="BOOK.csv",
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> None:
    """Clear one book of orders: the price, the volume and what each order trades.

    The rule is the one that the contract verifies, to the last Wh. Ends with 1 when the file is no book.
    """
    from contracts.book import MOST_ON_CHAIN, read_book
    from contracts.clearing import BookInvalid
    from contracts.clearing import clear as clear_orders

    try:
        orders = read_book(book)
        clearing = clear_orders(owned.order for owned in orders)
    except (BookInvalid, OSError) as problem:
        sys.exit(f"ped market clear: {problem}")
    beyond = [owned.line for owned in orders if not owned.fits_chain]
    if beyond:
        typer.echo(
            f"ped market clear: {book}: {len(beyond)} orders, the first on line {beyond[0]}, have a price or "
            f"quantity above {MOST_ON_CHAIN}; they clear here, but the contract records no such order",
            err=True,
        )
    if as_json:
        typer.echo(json.dumps(_document(clearing), ensure_ascii=False))
    else:
        _show(clearing, orders)


def _document(clearing: "Clearing") -> dict[str, object]:
    """Fills by identifier, so that the same book gives the same text in whatever order it was written."""
    return {
        "price_micro_eur_per_kwh": clearing.price_micro_eur_per_kwh,
        "volume_wh": clearing.volume_wh,
        "fills": {name.decode(): fill_wh for name, fill_wh in sorted(clearing.fills.items())},
    }


def _show(clearing: "Clearing", orders: "list[OwnedOrder]") -> None:
    from rich.console import Console
    from rich.table import Table

    owners = {owned.order.id: owned.owner for owned in orders}
    console = Console(markup=False, highlight=False)
    if clearing.price_micro_eur_per_kwh is None:
        console.print("No price: no bid pays what an offer asks.")
    else:
        console.print(f"{clearing.volume_wh:,} Wh at {clearing.price_micro_eur_per_kwh:,} micro-euro per kWh")
    table = Table("side", "id", "owner", "limit, micro-euro/kWh", "quantity, Wh", "trades, Wh")
    for column in table.columns[3:]:
        column.justify = "right"
    for order, fill_wh in clearing.bids + clearing.offers:
        numbers = (order.price_micro_eur_per_kwh, order.quantity_wh, fill_wh)
        table.add_row(order.side, order.id.decode(), owners[order.id], *(f"{number:,}" for number in numbers))
    console.print(table)
