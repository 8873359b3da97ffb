"""Routes of the market: books, orders, curves, positions, settlements, claims, money (domain.md §6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from sqlalchemy import Connection

from certifier import districts, escrow_queries, market_queries
from certifier.api import answers
from certifier.api.context import Read
from certifier.api.parameters import (
    Cursor,
    Format,
    From,
    Limit,
    To,
    optional_time,
    place_of,
    span_of_hours,
    time_of,
)
from certifier.api.problems import DOCUMENTED, ParameterInvalid
from certifier.market_views import (
    Account,
    Book,
    CurveStep,
    Holiday,
    HourClaims,
    ImbalancePrice,
    MarketTerms,
    Order,
    SellerHour,
    SettledTrade,
    StatementLine,
    Trade,
)
from contracts.hour import HOUR_S, HOURS_PER_DAY
from contracts.order import book_number

router = APIRouter(prefix="/v1", tags=["market"], responses=DOCUMENTED)
SHOWN_HOURS = 7 * HOURS_PER_DAY

Hour = Annotated[str, Path(description="Start of the hour, ISO 8601 UTC", examples=["2019-07-15T12:00:00Z"])]
WithAttributes = Annotated[bool, Query(description="Which of the hour's two books")]


def _hour(value: str) -> int:
    time_s = time_of("hour", value)
    if time_s % HOUR_S:
        raise ParameterInvalid("hour", value, f"hour {value!r} is not the start of an hour")
    return time_s // HOUR_S


def _span(connection: Connection, from_: str | None, to: str | None) -> tuple[int, int]:
    """Hours `[from, to)`; default: a week around now, as far as the chain has been followed."""
    now = market_queries.now_s(connection) // HOUR_S
    return span_of_hours(from_, to, (max(0, now - SHOWN_HOURS), now + SHOWN_HOURS))


def _cursor(place: tuple[int, int]) -> str:
    return f"{place[0]}-{place[1]}"


def _placed_page(
    request: Request,
    connection: Connection,
    model: type[answers.Item],
    found: Sequence[tuple[tuple[int, int], answers.Item]],
    limit: int,
    format_: str | None,
) -> Response:
    """A page of items that come with their places on the chain, one more than `limit` where there are."""
    following = _cursor(found[limit - 1][0]) if len(found) > limit else None
    return answers.page(request, connection, model, [item for _, item in found[:limit]], format_, following)


@router.get("/market", response_model=MarketTerms)
def show_market(connection: Read) -> Response:
    """The market's rules, and what orders are signed for."""
    return answers.one(connection, market_queries.market_terms(connection))


@router.get("/market/books", response_model=answers.Page[Book], responses=answers.CSV_DOCUMENTED)
def list_books(
    request: Request, connection: Read, from_: From = None, to: To = None, format_: Format = None
) -> Response:
    """Books of a span of hours in which anything was ordered; default: a week around now."""
    first, end = _span(connection, from_, to)
    items = market_queries.books(connection, first, end)
    return answers.page(request, connection, Book, items, format_)


@router.get("/market/books/{hour}", response_model=Book)
def show_book(connection: Read, hour: Hour, attributes: WithAttributes = False) -> Response:
    """One book: state, quantities, and the outcome once it stands."""
    return answers.one(connection, market_queries.book(connection, _hour(hour), attributes))


@router.get(
    "/market/books/{hour}/orders", response_model=answers.Page[Order], responses=answers.CSV_DOCUMENTED
)
def list_book_orders(
    request: Request,
    connection: Read,
    hour: Hour,
    attributes: WithAttributes = False,
    limit: Limit = 1000,
    cursor: Cursor = None,
    format_: Format = None,
) -> Response:
    """The book's orders in the order of their recording, cancelled ones included."""
    number = book_number(_hour(hour), attributes)
    found = market_queries.book_orders(connection, number, place_of(cursor), limit + 1)
    return _placed_page(request, connection, Order, found, limit, format_)


@router.get(
    "/market/books/{hour}/curves", response_model=answers.Page[CurveStep], responses=answers.CSV_DOCUMENTED
)
def list_curves(
    request: Request,
    connection: Read,
    hour: Hour,
    attributes: WithAttributes = False,
    format_: Format = None,
) -> Response:
    """The book's curves: demand falling, supply rising, of the orders that were not cancelled."""
    items = market_queries.curve(connection, book_number(_hour(hour), attributes))
    return answers.page(request, connection, CurveStep, items, format_)


@router.get(
    "/market/imbalance-prices", response_model=answers.Page[ImbalancePrice], responses=answers.CSV_DOCUMENTED
)
def list_imbalance_prices(
    request: Request, connection: Read, from_: From = None, to: To = None, format_: Format = None
) -> Response:
    """Published imbalance prices; default: a week around now."""
    items = market_queries.imbalance_prices(connection, *_span(connection, from_, to))
    return answers.page(request, connection, ImbalancePrice, items, format_)


@router.get("/market/holidays", response_model=answers.Page[Holiday], responses=answers.CSV_DOCUMENTED)
def list_holidays(request: Request, connection: Read, format_: Format = None) -> Response:
    """Published holidays: rest days of demand-response baselines."""
    return answers.page(request, connection, Holiday, market_queries.holidays(connection), format_)


@router.get("/orders/{order_hash}", response_model=Order)
def show_order(connection: Read, order_hash: str) -> Response:
    """One order by its hash."""
    return answers.one(connection, market_queries.order(connection, order_hash))


@router.get(
    "/districts/{district_id}/orders", response_model=answers.Page[Order], responses=answers.CSV_DOCUMENTED
)
def list_district_orders(
    request: Request,
    connection: Read,
    district_id: str,
    from_: From = None,
    to: To = None,
    limit: Limit = 1000,
    cursor: Cursor = None,
    format_: Format = None,
) -> Response:
    """A district's orders for a span of hours; default: a week around now."""
    districts.require_district(connection, district_id)
    span = _span(connection, from_, to)
    found = market_queries.district_orders(connection, district_id, *span, place_of(cursor), limit + 1)
    return _placed_page(request, connection, Order, found, limit, format_)


@router.get(
    "/districts/{district_id}/trades", response_model=answers.Page[Trade], responses=answers.CSV_DOCUMENTED
)
def list_trades(
    request: Request,
    connection: Read,
    district_id: str,
    from_: From = None,
    to: To = None,
    format_: Format = None,
) -> Response:
    """A district's position: filled orders and bilateral trades of a span of hours."""
    districts.require_district(connection, district_id)
    items = market_queries.trades(connection, district_id, *_span(connection, from_, to))
    return answers.page(request, connection, Trade, items, format_)


@router.get(
    "/districts/{district_id}/settlements",
    response_model=answers.Page[SettledTrade],
    responses=answers.CSV_DOCUMENTED,
)
def list_settlements(
    request: Request,
    connection: Read,
    district_id: str,
    from_: From = None,
    to: To = None,
    limit: Limit = 1000,
    cursor: Cursor = None,
    format_: Format = None,
) -> Response:
    """Settlements and follow-ups of what a district sold and bought; default: a week around now."""
    districts.require_district(connection, district_id)
    span = _span(connection, from_, to)
    found = market_queries.settled_trades(connection, district_id, *span, place_of(cursor), limit + 1)
    return _placed_page(request, connection, SettledTrade, found, limit, format_)


@router.get(
    "/districts/{district_id}/seller-hours",
    response_model=answers.Page[SellerHour],
    responses=answers.CSV_DOCUMENTED,
)
def list_seller_hours(
    request: Request,
    connection: Read,
    district_id: str,
    from_: From = None,
    to: To = None,
    format_: Format = None,
) -> Response:
    """Hours in which a district sold anything: what is certified and delivered of it, and how far it is."""
    districts.require_district(connection, district_id)
    items = market_queries.seller_hours(connection, district_id, *_span(connection, from_, to))
    return answers.page(request, connection, SellerHour, items, format_)


@router.get(
    "/districts/{district_id}/claims",
    response_model=answers.Page[HourClaims],
    responses=answers.CSV_DOCUMENTED,
)
def list_claims(
    request: Request,
    connection: Read,
    district_id: str,
    from_: From = None,
    to: To = None,
    format_: Format = None,
) -> Response:
    """Who claims which part of a district's hours: certificates elsewhere, trades, demand response."""
    districts.require_district(connection, district_id)
    items = market_queries.hour_claims(connection, district_id, *_span(connection, from_, to))
    return answers.page(request, connection, HourClaims, items, format_)


@router.get("/accounts", response_model=answers.Page[Account], responses=answers.CSV_DOCUMENTED)
def list_accounts(
    request: Request,
    connection: Read,
    limit: Limit = 100,
    cursor: Cursor = None,
    format_: Format = None,
) -> Response:
    """Accounts of the escrow: organisations, and addresses of members who got a share."""
    items = escrow_queries.accounts(connection, cursor or "", limit + 1)
    following = items[limit - 1].account if len(items) > limit else None
    return answers.page(request, connection, Account, items[:limit], format_, following)


@router.get("/accounts/{account}", response_model=Account)
def show_account(connection: Read, account: str) -> Response:
    """One account: free, held and owed money."""
    return answers.one(connection, escrow_queries.account(connection, account))


@router.get(
    "/accounts/{account}/statement",
    response_model=answers.Page[StatementLine],
    responses=answers.CSV_DOCUMENTED,
)
def list_statement(
    request: Request,
    connection: Read,
    account: str,
    from_: From = None,
    to: To = None,
    limit: Limit = 1000,
    cursor: Cursor = None,
    format_: Format = None,
) -> Response:
    """The account's statement: every line with date, reference, debit, credit and balance.

    Each page begins with the balance brought forward.
    """
    from_s, to_s = optional_time("from", from_), optional_time("to", to)
    found = escrow_queries.statement(connection, account, from_s, to_s, place_of(cursor), limit)
    last = found[-1]
    following = None
    if len(found) > 1:
        place = (last.block_number, last.log_index)
        if len(escrow_queries.statement(connection, account, from_s, to_s, place, 1)) > 1:
            following = _cursor(place)
    return answers.page(request, connection, StatementLine, found, format_, following)
