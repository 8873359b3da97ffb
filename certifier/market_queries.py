"""Reads of the market: books, orders, curves, trades, settlements, claims (domain.md §6)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, select, tuple_

from certifier import market_tables as tables
from certifier import store
from certifier.market_views import (
    Book,
    CurveStep,
    Holiday,
    HourClaims,
    ImbalancePrice,
    MarketTerms,
    Order,
    SellerHour,
    SettledTrade,
    Trade,
)
from certifier.order_check import live_orders
from certifier.queries import NotFound, to_date, to_time
from contracts.clearing import Step, curves
from contracts.hour import HOURS_PER_DAY, hour_start
from contracts.order import book_number

Place = tuple[int, int]
"""Block and log: where a page goes on."""


def market_row(connection: Connection) -> Row[Any]:
    """The rules of the market. Raises NotFound where there is none."""
    row = connection.execute(select(tables.market_terms)).one_or_none()
    if row is None:
        raise NotFound("market", "of this platform")
    return row


def market_terms(connection: Connection) -> MarketTerms:
    """The rules of the market. Raises NotFound where there is none."""
    row = market_row(connection)
    chain_id = connection.execute(select(store.head.c.chain_id)).scalar_one()
    return MarketTerms.model_validate(
        {
            **row._mapping,
            "chain_id": chain_id,
            "publisher_organisation_id": row.publisher_org,
            "highest_price_micro_eur_per_kwh": 10 * row.bond_micro_eur_per_kwh,
        }
    )


def now_s(connection: Connection) -> int:
    """Time of the followed block: by it books are open or closed."""
    return int(connection.execute(select(store.head.c.block_time)).scalar() or 0)


# Books


def books(connection: Connection, first: int, end: int) -> list[Book]:
    """Books of the hours `[first, end)` in which anything was ever ordered, in order."""
    placed = tables.orders.c
    numbers = connection.execute(
        select(placed.book).where(placed.book >= 2 * first, placed.book < 2 * end).distinct()
    ).scalars()
    return _books(connection, sorted(numbers))


def book(connection: Connection, hour: int, with_attributes: bool) -> Book:
    """One book; without orders it is empty. Raises NotFound where there is no market."""
    return _books(connection, [book_number(hour, with_attributes)])[0]


def _books(connection: Connection, numbers: Sequence[int]) -> list[Book]:
    rules, now = market_row(connection), now_s(connection)
    placed, ends, cleared = tables.orders, tables.order_ends, tables.clearings
    outcomes = {
        row.book: row for row in connection.execute(select(cleared).where(cleared.c.book.in_(numbers)))
    }
    sides = {
        (row.book, row.is_bid): row
        for row in connection.execute(
            select(
                placed.c.book,
                placed.c.is_bid,
                func.count().label("orders"),
                func.sum(placed.c.quantity_wh).label("quantity_wh"),
            )
            .outerjoin(ends, ends.c.order_hash == placed.c.order_hash)
            .where(placed.c.book.in_(numbers))
            .where(ends.c.kind.is_(None) | (ends.c.kind != "cancelled"))
            .group_by(placed.c.book, placed.c.is_bid)
        )
    }
    found = []
    for number in numbers:
        start_s = hour_start(number // 2)
        closes_s = start_s - rules.gate_closure_s
        clear_by_s = closes_s + rules.clearing_s
        outcome = outcomes.get(number)
        bids, offers = sides.get((number, True)), sides.get((number, False))
        found.append(
            Book(
                book=number,
                start_time_utc=to_time(start_s),
                with_attributes=number % 2 == 1,
                state="cleared"
                if outcome
                else "open"
                if now < closes_s
                else "frozen"
                if now < clear_by_s
                else "void",
                closes_time_utc=to_time(closes_s),
                clear_by_time_utc=to_time(clear_by_s),
                bids=bids.orders if bids else 0,
                offers=offers.orders if offers else 0,
                bid_wh=int(bids.quantity_wh) if bids else 0,
                offer_wh=int(offers.quantity_wh) if offers else 0,
                volume_wh=outcome.volume_wh if outcome else None,
                price_micro_eur_per_kwh=outcome.price_micro_eur_per_kwh
                if outcome and outcome.volume_wh
                else None,
                proposer=outcome.proposer if outcome else None,
            )
        )
    return found


def curve(connection: Connection, number: int) -> list[CurveStep]:
    """Both curves of a book, of the orders that were not cancelled: demand falling, supply rising."""
    found = curves(live_orders(connection, number))
    return [*_steps("bid", found.demand), *_steps("offer", found.supply)]


def _steps(side: str, steps: Iterable[Step]) -> list[CurveStep]:
    found, from_wh = [], 0
    for step in steps:
        found.append(
            CurveStep.model_validate(
                {
                    "side": side,
                    "price_micro_eur_per_kwh": step.price_micro_eur_per_kwh,
                    "from_wh": from_wh,
                    "until_wh": step.until_wh,
                }
            )
        )
        from_wh = step.until_wh
    return found


# Orders


def book_orders(
    connection: Connection, number: int, after: Place | None = None, limit: int | None = None
) -> list[tuple[Place, Order]]:
    """Orders of a book in the order of their recording, with their places."""
    return _orders(connection, tables.orders.c.book == number, after, limit)


def district_orders(
    connection: Connection,
    district_id: str,
    first: int,
    end: int,
    after: Place | None = None,
    limit: int | None = None,
) -> list[tuple[Place, Order]]:
    """A district's orders for the hours `[first, end)` in the order of their recording."""
    placed = tables.orders.c
    where = (placed.district_id == district_id) & (placed.hour >= first) & (placed.hour < end)
    return _orders(connection, where, after, limit)


def order(connection: Connection, order_hash: str) -> Order:
    """One order. Raises NotFound."""
    found = _orders(connection, tables.orders.c.order_hash == order_hash, None, 1)
    if not found:
        raise NotFound("order", order_hash)
    return found[0][1]


def _orders(
    connection: Connection, where: Any, after: Place | None, limit: int | None
) -> list[tuple[Place, Order]]:
    placed, ends, cleared = tables.orders, tables.order_ends, tables.clearings
    query = (
        select(
            placed,
            store.blocks.c.time,
            ends.c.kind.label("end_kind"),
            ends.c.fill_wh,
            cleared.c.price_micro_eur_per_kwh.label("clearing_price"),
            cleared.c.volume_wh,
        )
        .join(store.blocks, store.blocks.c.block_number == placed.c.block_number)
        .outerjoin(ends, ends.c.order_hash == placed.c.order_hash)
        .outerjoin(cleared, cleared.c.book == placed.c.book)
        .where(where)
        .order_by(placed.c.block_number, placed.c.log_index)
        .limit(limit)
    )
    if after is not None:
        query = query.where(tuple_(placed.c.block_number, placed.c.log_index) > after)
    return [((row.block_number, row.log_index), _order(row)) for row in connection.execute(query)]


def _order(row: Row[Any]) -> Order:
    return Order.model_validate(
        {
            **row._mapping,
            "start_time_utc": to_time(hour_start(row.hour)),
            "side": "bid" if row.is_bid else "offer",
            "state": row.end_kind or "live",
            "fill_wh": row.fill_wh if row.end_kind == "applied" else None,
            "clearing_price_micro_eur_per_kwh": row.clearing_price if row.volume_wh else None,
            "recorded_time_utc": to_time(row.time),
        }
    )


# Trades and settlements


def trades(connection: Connection, district_id: str, first: int, end: int) -> list[Trade]:
    """What a district bought and sold in the hours `[first, end)`: filled orders and bilateral trades."""
    placed, ends, cleared = tables.orders, tables.order_ends, tables.clearings
    filled = connection.execute(
        select(placed, ends.c.fill_wh, cleared.c.price_micro_eur_per_kwh.label("clearing_price"))
        .join(ends, ends.c.order_hash == placed.c.order_hash)
        .join(cleared, cleared.c.book == placed.c.book)
        .where(placed.c.district_id == district_id, placed.c.hour >= first, placed.c.hour < end)
        .where(ends.c.kind == "applied", ends.c.fill_wh > 0)
    )
    found = [
        _trade(row, "bid" if row.is_bid else "offer", district_id, None, row.fill_wh, row.clearing_price)
        for row in filled
    ]
    agreed = tables.bilateral_trades
    for row in connection.execute(
        select(agreed).where(
            (agreed.c.seller_district_id == district_id) | (agreed.c.buyer_district_id == district_id),
            agreed.c.hour >= first,
            agreed.c.hour < end,
        )
    ):
        buys = row.buyer_district_id == district_id
        other = row.seller_district_id if buys else row.buyer_district_id
        price = row.price_micro_eur_per_kwh
        found.append(_trade(row, "bid" if buys else "offer", district_id, other, row.quantity_wh, price))
    return sorted(found, key=lambda trade: (trade.start_time_utc, trade.identity))


def _trade(
    row: Row[Any], side: str, district_id: str, other: str | None, quantity_wh: int, price: int
) -> Trade:
    value = quantity_wh * price
    return Trade.model_validate(
        {
            "start_time_utc": to_time(hour_start(row.hour)),
            "with_attributes": row.with_attributes,
            "side": side,
            "district_id": district_id,
            "counterparty_district_id": other,
            "kind": "book" if other is None else "bilateral",
            "identity": row.order_hash if other is None else row.trade_hash,
            "quantity_wh": quantity_wh,
            "price_micro_eur_per_kwh": price,
            "value_micro_eur": -(-value // 1000) if side == "bid" else value // 1000,
        }
    )


def settled_trades(
    connection: Connection,
    district_id: str,
    first: int,
    end: int,
    after: Place | None = None,
    limit: int | None = None,
) -> list[tuple[Place, SettledTrade]]:
    """Settlements and follow-ups of a district's trades in the hours `[first, end)`, as they came."""
    table = tables.settled_trades
    query = (
        select(table, store.blocks.c.time)
        .join(store.blocks, store.blocks.c.block_number == table.c.block_number)
        .where(
            (table.c.seller_district_id == district_id) | (table.c.buyer_district_id == district_id),
            table.c.hour >= first,
            table.c.hour < end,
        )
        .order_by(table.c.block_number, table.c.log_index)
        .limit(limit)
    )
    if after is not None:
        query = query.where(tuple_(table.c.block_number, table.c.log_index) > after)
    return [
        (
            (row.block_number, row.log_index),
            SettledTrade.model_validate(
                {
                    **row._mapping,
                    "start_time_utc": to_time(hour_start(row.hour)),
                    "settled_time_utc": to_time(row.time),
                }
            ),
        )
        for row in connection.execute(query)
    ]


def seller_hours(connection: Connection, district_id: str, first: int, end: int) -> list[SellerHour]:
    """Hours in `[first, end)` in which a district sold anything, and how far each is settled."""
    sold: dict[int, int] = {}
    for trade in trades(connection, district_id, first, end):
        if trade.side == "offer":
            hour = int(trade.start_time_utc.timestamp()) // 3600
            sold[hour] = sold.get(hour, 0) + trade.quantity_wh
    proven, settled, paid = tables.proven_hours, tables.settled_hours, tables.settled_trades

    def of_seller(table: Any) -> Any:
        return (table.c.seller_district_id == district_id) & table.c.hour.in_(sold)

    certified = {
        row.hour: row.certified_wh
        for row in connection.execute(select(proven).where(of_seller(proven)).order_by(proven.c.round))
    }
    last_round = func.max(settled.c.round).label("last_round")
    rounds: dict[int, int] = {
        row.hour: row.last_round
        for row in connection.execute(
            select(settled.c.hour, last_round).where(of_seller(settled)).group_by(settled.c.hour)
        )
    }
    delivered: dict[int, dict[str, int]] = {}
    money: dict[int, list[int]] = {}
    for row in connection.execute(select(paid).where(of_seller(paid)).order_by(paid.c.round)):
        delivered.setdefault(row.hour, {})[row.trade_id] = row.delivered_wh
        sums = money.setdefault(row.hour, [0, 0])
        sums[0] += row.paid_micro_eur
        sums[1] += row.compensation_micro_eur
    return [
        SellerHour(
            seller_district_id=district_id,
            start_time_utc=to_time(hour_start(hour)),
            sold_wh=sold[hour],
            certified_wh=certified.get(hour),
            delivered_wh=sum(delivered[hour].values()) if hour in delivered else None,
            paid_micro_eur=money[hour][0] if hour in money else None,
            compensation_micro_eur=money[hour][1] if hour in money else None,
            rounds=rounds.get(hour, 0),
            state="settled" if hour in rounds else "proven" if hour in certified else "sold",
        )
        for hour in sorted(sold)
    ]


# Claims


def hour_claims(connection: Connection, district_id: str, first: int, end: int) -> list[HourClaims]:
    """Claims of a district's hours in `[first, end)`, of hours in which there are any."""
    table = tables.claims
    newest: dict[int, dict[str, Row[Any]]] = {}
    for row in connection.execute(
        select(table)
        .where(table.c.district_id == district_id, table.c.hour >= first, table.c.hour < end)
        .order_by(table.c.block_number, table.c.log_index)
    ):
        newest.setdefault(row.hour, {})[row.kind] = row
    metered = {
        row.hour: row.export_wh - row.import_wh
        for row in connection.execute(
            select(store.hours).where(
                store.hours.c.district_id == district_id, store.hours.c.hour.in_(newest)
            )
        )
    }

    def energy_wh(kinds: dict[str, Row[Any]], kind: str, name: str = "energy_wh") -> int:
        return int(kinds[kind]._mapping[name]) if kind in kinds else 0

    return [
        HourClaims(
            district_id=district_id,
            start_time_utc=to_time(hour_start(hour)),
            net_export_wh=metered.get(hour),
            external_wh=energy_wh(kinds, "external"),
            delivered_wh=energy_wh(kinds, "delivery"),
            attributes_out_wh=energy_wh(kinds, "attributes"),
            attributes_in_wh=energy_wh(kinds, "attributes", "energy_in_wh"),
            response_wh=energy_wh(kinds, "response"),
        )
        for hour, kinds in sorted(newest.items())
    ]


# What the rules' publisher adds


def imbalance_prices(connection: Connection, first: int, end: int) -> list[ImbalancePrice]:
    """Published imbalance prices of the hours `[first, end)`."""
    table = tables.imbalance_prices
    return [
        ImbalancePrice(
            start_time_utc=to_time(hour_start(row.hour)),
            price_micro_eur_per_kwh=row.price_micro_eur_per_kwh,
            published_time_utc=to_time(row.time),
        )
        for row in connection.execute(
            select(table, store.blocks.c.time)
            .join(store.blocks, store.blocks.c.block_number == table.c.block_number)
            .where(table.c.hour >= first, table.c.hour < end)
            .order_by(table.c.hour)
        )
    ]


def holidays(connection: Connection) -> list[Holiday]:
    """Published holidays."""
    days = connection.execute(select(tables.holidays.c.day).order_by(tables.holidays.c.day)).scalars()
    return [Holiday(day=to_date(day)) for day in days]


def traded_days(connection: Connection, district_id: str | None = None) -> list[int]:
    """Days for which anything was ordered or agreed, in order."""
    placed, agreed = tables.orders.c, tables.bilateral_trades.c
    ordered = select(placed.hour).distinct()
    traded = select(agreed.hour).distinct()
    if district_id is not None:
        ordered = ordered.where(placed.district_id == district_id)
        traded = traded.where(
            (agreed.seller_district_id == district_id) | (agreed.buyer_district_id == district_id)
        )
    hours = {*connection.execute(ordered).scalars(), *connection.execute(traded).scalars()}
    return sorted({hour // HOURS_PER_DAY for hour in hours})
