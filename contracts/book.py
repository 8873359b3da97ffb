"""Reads a book of orders from a CSV file, for clearing it off chain (domain.md §6).

UTF-8, comma separated, with a header line that names the columns of `COLUMNS` in any order; more columns may
be there. `side` is bid or offer (buy and sell mean the same); price and quantity are whole numbers.
"""

import csv
import io
import re
from pathlib import Path
from typing import Final, NamedTuple

from contracts.clearing import BookInvalid, BookOrder, Side

PRICE: Final = "price_micro_eur_per_kwh"
QUANTITY: Final = "quantity_wh"
MOST_ON_CHAIN: Final = 2**32 - 1
"""Largest price and quantity of an order on chain."""
COLUMNS: Final = ("id", "owner", "side", PRICE, QUANTITY)

_SIDES: Final = {"bid": Side.BID, "buy": Side.BID, "offer": Side.OFFER, "sell": Side.OFFER}
_WHOLE_NUMBER: Final = re.compile(r"[0-9]{1,30}")


class OwnedOrder(NamedTuple):
    """One line of the file."""

    line: int
    owner: str
    order: BookOrder
    """Its identifier is that of the file in UTF-8."""

    @property
    def fits_chain(self) -> bool:
        """Whether the contract could hold such an order."""
        return max(self.order.price_micro_eur_per_kwh, self.order.quantity_wh) <= MOST_ON_CHAIN


def read_book(path: Path) -> list[OwnedOrder]:
    """The orders of a file in its order; a header alone is an empty book.

    Raises BookInvalid naming file, line and column, and OSError.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BookInvalid(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from None
    rows = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    book: list[OwnedOrder] = []
    lines: dict[bytes, int] = {}
    owners: dict[str, OwnedOrder] = {}
    try:
        header = [name.strip() for name in next(rows, [])]
        _require_columns(path, header)
        for cells in rows:
            if not cells:
                continue
            place = f"{path}: line {rows.line_num}"
            if len(cells) != len(header):
                raise BookInvalid(f"{place} has {len(cells)} cells under {len(header)} columns; mend it")
            found = _owned_order(place, rows.line_num, dict(zip(header, map(str.strip, cells), strict=True)))
            first_line = lines.setdefault(found.order.id, found.line)
            if first_line != found.line:
                raise BookInvalid(
                    f"{place}, column id: {found.order.id.decode()!r} is already on line {first_line}; "
                    "give each order its own"
                )
            other = owners.setdefault(found.owner, found)
            if other.order.side is not found.order.side:
                raise BookInvalid(
                    f"{place}, column side: {found.owner!r} is on the other side on line {other.line}; an "
                    "owner trades on one side of a book only, take one of the two out"
                )
            book.append(found)
    except csv.Error as error:
        raise BookInvalid(f"{path}: line {rows.line_num}: not valid CSV: {error}") from None
    return book


def _require_columns(path: Path, header: list[str]) -> None:
    for name in COLUMNS:
        if header.count(name) != 1:
            found = "is missing" if name not in header else "is there twice"
            raise BookInvalid(
                f"{path}: line 1: column {name} {found}; the header must name {', '.join(COLUMNS)} once each"
            )


def _owned_order(place: str, line: int, cells: dict[str, str]) -> OwnedOrder:
    for name in ("id", "owner"):
        if not cells[name]:
            raise BookInvalid(f"{place}, column {name}: it is empty; fill it in")
    side = _SIDES.get(cells["side"].lower())
    if side is None:
        raise BookInvalid(f"{place}, column side: {cells['side']!r} is no side; write bid or offer")
    price, quantity_wh = (_whole_number(f"{place}, column {name}", cells[name]) for name in (PRICE, QUANTITY))
    if quantity_wh == 0:
        raise BookInvalid(
            f"{place}, column {QUANTITY}: an order of 0 Wh trades nothing; give 1 or more, or drop the line"
        )
    return OwnedOrder(line, cells["owner"], BookOrder(cells["id"].encode(), side, price, quantity_wh))


def _whole_number(place: str, text: str) -> int:
    if _WHOLE_NUMBER.fullmatch(text) is None:
        raise BookInvalid(
            f"{place}: {text!r} is no whole number from 0 (at most 30 digits); write digits only"
        )
    return int(text)
