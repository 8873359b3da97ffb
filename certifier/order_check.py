"""The second opinion on orders: who signed them, and what their book clears, from the logs alone.

Where our own computation and the chain's differ there is an alarm (domain.md §6).
"""

from __future__ import annotations

from sqlalchemy import Connection, select

from certifier import market_tables as tables
from certifier.alarms import raise_alarm
from certifier.assessment import Position
from contracts import market_events
from contracts.clearing import BookOrder, Clearing, Fill, Side, clear
from contracts.hour import format_hour_utc
from contracts.key import SignatureInvalid
from contracts.order import BilateralTrade, MarketDomain, Order, OrderInvalid


class OrderCheck:
    """Judges orders, bilateral trades and clearings within one transaction of the projection."""

    def __init__(self, connection: Connection, domain: MarketDomain | None) -> None:
        self._connection = connection
        self._domain = domain
        self._books: dict[int, tuple[Clearing, dict[bytes, tuple[int, int]]]] = {}
        self._position: Position = (0, 0)

    def at(self, position: Position) -> None:
        """The log that is being applied."""
        self._position = position

    def order(self, event: market_events.OrderRecorded) -> None:
        """The chain recorded an order: is it what a trading key of the district signed?"""
        if self._domain is None:
            return
        self._signature(event.order, event.order_hash, event.signature, event.order.district_id)

    def bilateral(self, event: market_events.TradeRegistered) -> None:
        """The chain registered a bilateral trade: did both sides sign it?"""
        if self._domain is None:
            return
        for signature, district_id in (
            (event.seller_signature, event.seller_district_id),
            (event.buyer_signature, event.buyer_district_id),
        ):
            self._signature(event.trade, event.trade_hash, signature, district_id)

    def _signature(
        self, message: Order | BilateralTrade, identity: bytes, signature: bytes, district_id: str
    ) -> None:
        assert self._domain is not None
        try:
            signer = message.signer(signature, self._domain)
        except (SignatureInvalid, OrderInvalid) as problem:
            signer = f"none: {problem}"
        own = message.digest(self._domain)
        if own == identity and is_trading_key(self._connection, district_id, signer):
            return
        self._alarm(
            "order_signature",
            _hex(identity),
            chain="accepted",
            own=f"hash {_hex(own)} signed by {signer}",
            explanation=f"the chain accepted what no trading key of {district_id} signed",
            district_id=district_id,
        )

    def cleared(self, event: market_events.BookCleared) -> Clearing:
        """The outcome of a book stands: clear the same orders ourselves and compare volume and price."""
        own, _ = self._clearing(event.book)
        for name, chain, computed in (
            ("volume_wh", event.outcome.volume_wh, own.volume_wh),
            ("price", event.outcome.price_micro_eur_per_kwh, own.price_micro_eur_per_kwh or 0),
        ):
            if chain != computed:
                self._alarm(
                    "clearing",
                    f"{event.book}/{name}",
                    chain=chain,
                    own=computed,
                    explanation=f"the {name} of {book_text(event.book)} is not what its orders give",
                )
        return own

    def applied(self, event: market_events.OrderApplied) -> int:
        """An order was filled: our own fill of it."""
        _, places = self._clearing(event.book)
        fill_wh, start_wh = places.get(event.order_hash, (0, 0))
        chain = (event.fill_wh, event.start_wh if event.fill_wh else 0)
        own = (fill_wh, start_wh if fill_wh else 0)
        if chain != own:
            self._alarm(
                "fill",
                _hex(event.order_hash),
                chain=f"{chain[0]} Wh from {chain[1]}",
                own=f"{own[0]} Wh from {own[1]}",
                explanation=f"the fill of an order in {book_text(event.book)} is not what its book gives",
            )
        return fill_wh

    def _clearing(self, book: int) -> tuple[Clearing, dict[bytes, tuple[int, int]]]:
        """A book cleared by us, and of each order fill and start on the book's axis, Wh."""
        known = self._books.get(book)
        if known is None:
            clearing = clear(live_orders(self._connection, book))
            known = self._books[book] = (clearing, _places(clearing))
        return known

    def _alarm(
        self,
        kind: str,
        subject: str,
        *,
        chain: object,
        own: object,
        explanation: str,
        district_id: str | None = None,
    ) -> None:
        raise_alarm(
            self._connection,
            kind,
            subject,
            block_number=self._position[0],
            chain_figure=chain,
            own_figure=own,
            explanation=explanation,
            district_id=district_id,
        )


def is_trading_key(connection: Connection, district_id: str, signer: str) -> bool:
    """Whether a key signs for a district, as far as the logs have been read."""
    table = tables.trading_keys
    return bool(
        connection.execute(
            select(table.c.allowed)
            .where(table.c.district_id == district_id, table.c.key == signer)
            .order_by(table.c.block_number.desc(), table.c.log_index.desc())
            .limit(1)
        ).scalar()
    )


def live_orders(connection: Connection, book: int) -> list[BookOrder]:
    """Orders of a book that were not cancelled, as clearing takes them."""
    placed, ends = tables.orders, tables.order_ends
    rows = connection.execute(
        select(placed.c.order_hash, placed.c.is_bid, placed.c.price_micro_eur_per_kwh, placed.c.quantity_wh)
        .outerjoin(ends, ends.c.order_hash == placed.c.order_hash)
        .where(placed.c.book == book, ends.c.kind.is_(None) | (ends.c.kind != "cancelled"))
    )
    return [
        BookOrder(
            bytes.fromhex(row.order_hash[2:]),
            Side.BID if row.is_bid else Side.OFFER,
            row.price_micro_eur_per_kwh,
            row.quantity_wh,
        )
        for row in rows
    ]


def _places(clearing: Clearing) -> dict[bytes, tuple[int, int]]:
    found: dict[bytes, tuple[int, int]] = {}
    for side in (clearing.bids, clearing.offers):
        start_wh = 0
        fills: tuple[Fill, ...] = side
        for order, fill_wh in fills:
            found[order.id] = fill_wh, start_wh
            start_wh += fill_wh
    return found


def book_text(book: int) -> str:
    """A book in words."""
    return f"book {format_hour_utc(book // 2)} {'with' if book % 2 else 'without'} attributes"


def _hex(value: bytes) -> str:
    return "0x" + value.hex()
