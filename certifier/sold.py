"""What a seller sold in an hour, put together from the logs as settlement takes it (domain.md §6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from certifier import market_tables as tables
from contracts.order import NO_ORDER, BilateralTrade, Order, book_number
from contracts.settlement import AppliedOrder, RegisteredTrade, Trade, trades_of_seller


def order_of(row: Row[Any]) -> Order:
    """The order that a row records, as it was signed."""
    return Order(
        district_id=row.district_id,
        hour=row.hour,
        with_attributes=row.with_attributes,
        is_bid=row.is_bid,
        quantity_wh=row.quantity_wh,
        price_micro_eur_per_kwh=row.price_micro_eur_per_kwh,
        nonce=row.nonce,
        expiry=row.expiry,
        replaces=NO_ORDER if row.replaces is None else bytes.fromhex(row.replaces[2:]),
    )


class HourTrades:
    """All fills and bilateral trades of one hour."""

    def __init__(self, connection: Connection, hour: int) -> None:
        self.hour = hour
        placed, ends = tables.orders, tables.order_ends
        rows = connection.execute(
            select(placed, ends.c.fill_wh, ends.c.start_wh, ends.c.bought_before_wh)
            .join(ends, ends.c.order_hash == placed.c.order_hash)
            .where(placed.c.book.in_((book_number(hour, False), book_number(hour, True))))
            .where(ends.c.kind == "applied", ends.c.fill_wh > 0)
        )
        self._applied = [
            AppliedOrder(
                order_of(row),
                bytes.fromhex(row.order_hash[2:]),
                row.fill_wh,
                row.start_wh,
                row.bought_before_wh,
            )
            for row in rows
        ]
        self._registered = _registered(connection, hour)
        cleared = tables.clearings
        self._prices = {
            row.book: row.price_micro_eur_per_kwh
            for row in connection.execute(
                select(cleared).where(cleared.c.book.in_((book_number(hour, False), book_number(hour, True))))
            )
        }

    def of_seller(self, district_id: str) -> Sequence[Trade]:
        """A seller's trades in the order of settlement. Raises contracts.settlement.TradesInvalid."""
        return trades_of_seller(district_id, self.hour, self._registered, self._applied, self._prices)

    def bought_with_attributes_wh(self, district_id: str) -> int:
        """All that a district bought with attributes for the hour, Wh."""
        orders = (
            item.fill_wh
            for item in self._applied
            if item.order.is_bid and item.order.with_attributes and item.order.district_id == district_id
        )
        agreed = (
            item.trade.quantity_wh
            for item in self._registered
            if item.trade.with_attributes and item.trade.buyer_district_id == district_id
        )
        return sum(orders) + sum(agreed)


def _registered(connection: Connection, hour: int) -> list[RegisteredTrade]:
    """Bilateral trades of the hour; all of them precede its fills, since they end with gate closure."""
    table = tables.bilateral_trades
    bought: dict[str, int] = {}
    found = []
    for row in connection.execute(
        select(table).where(table.c.hour == hour).order_by(table.c.block_number, table.c.log_index)
    ):
        trade = BilateralTrade(
            seller_district_id=row.seller_district_id,
            buyer_district_id=row.buyer_district_id,
            hour=row.hour,
            with_attributes=row.with_attributes,
            quantity_wh=row.quantity_wh,
            price_micro_eur_per_kwh=row.price_micro_eur_per_kwh,
            nonce=row.nonce,
            expiry=row.expiry,
        )
        before_wh = bought.get(trade.buyer_district_id, 0) if trade.with_attributes else 0
        if trade.with_attributes:
            bought[trade.buyer_district_id] = before_wh + trade.quantity_wh
        found.append(RegisteredTrade(trade, bytes.fromhex(row.trade_hash[2:]), before_wh))
    return found
