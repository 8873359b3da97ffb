"""Pages of the market and of demand response: books, positions, accounts, events (domain.md §§6, 7)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from sqlalchemy import Connection

from certifier import districts, escrow_queries, market_queries, response_queries
from certifier.market_views import Order, ResponseHour
from certifier.openadr import objects
from certifier.queries import NotFound, to_time
from certifier.store import Store
from certifier.web import market_charts
from contracts.hour import DAY_S, HOUR_S, HOURS_PER_DAY, TimeInvalid, day_of, parse_day, parse_hour_utc
from contracts.order import book_number

if TYPE_CHECKING:
    from certifier.web.pages import Pages

SHOWN_LINES: Final = 200
SHOWN_DAYS: Final = 31


class MarketPages:
    """Renders these pages from a projection."""

    def __init__(self, pages: Pages, store: Store) -> None:
        self._pages = pages
        self._store = store

    def _shown(self, content: Callable[[Connection], HTMLResponse]) -> HTMLResponse:
        with self._store.read() as connection:
            try:
                return content(connection)
            except NotFound as problem:
                return self._pages.not_found(connection, problem)

    def market(self, day: str | None) -> HTMLResponse:
        """All books of a day, and the rules."""

        def content(connection: Connection) -> HTMLResponse:
            now_s = market_queries.now_s(connection)
            chosen = self._day(day, now_s)
            first = chosen * HOURS_PER_DAY
            shown = date(1970, 1, 1) + timedelta(days=chosen)
            return self._pages.render(
                connection,
                "market.html",
                terms=market_queries.market_terms(connection),
                books=market_queries.books(connection, first, first + HOURS_PER_DAY),
                imbalance={
                    price.start_time_utc: price.price_micro_eur_per_kwh
                    for price in market_queries.imbalance_prices(connection, first, first + HOURS_PER_DAY)
                },
                day=shown,
                before=shown - timedelta(days=1),
                after=shown + timedelta(days=1),
                days=[
                    to_time(found * DAY_S).date()
                    for found in market_queries.traded_days(connection)[-SHOWN_DAYS:]
                ],
                traders=districts.district_ids(connection),
                accounts=escrow_queries.accounts(connection, limit=SHOWN_LINES),
            )

        return self._shown(content)

    def book(self, hour: str, attributes: bool) -> HTMLResponse:
        """One book: its curves and orders."""

        def content(connection: Connection) -> HTMLResponse:
            number = self._hour(hour)
            book = market_queries.book(connection, number, attributes)
            identity = book_number(number, attributes)
            orders = [order for _, order in market_queries.book_orders(connection, identity)]
            return self._pages.render(
                connection,
                "book.html",
                book=book,
                path=hour,
                plot_=market_charts.book_curves(
                    market_queries.curve(connection, identity), book.volume_wh, book.price_micro_eur_per_kwh
                ),
                orders=sorted(orders, key=_best_first),
            )

        return self._shown(content)

    def trader(self, district_id: str, day: str | None) -> HTMLResponse:
        """A district's position: orders, fills, settlements, claims and its owner's money."""

        def content(connection: Connection) -> HTMLResponse:
            districts.require_district(connection, district_id)
            chosen = self._day(day, market_queries.now_s(connection))
            traded = market_queries.traded_days(connection, district_id)
            if day is None and traded:
                chosen = traded[-1]
            span = (chosen * HOURS_PER_DAY, (chosen + 1) * HOURS_PER_DAY)
            owner = districts.owner_of(connection, district_id)
            return self._pages.render(
                connection,
                "trader.html",
                district_id=district_id,
                day=to_time(chosen * DAY_S).date(),
                days=[to_time(found * DAY_S).date() for found in traded[-SHOWN_DAYS:]],
                account=escrow_queries.account(connection, owner),
                orders=[order for _, order in market_queries.district_orders(connection, district_id, *span)],
                trades=market_queries.trades(connection, district_id, *span),
                seller_hours=market_queries.seller_hours(connection, district_id, *span),
                settlements=[
                    trade for _, trade in market_queries.settled_trades(connection, district_id, *span)
                ],
                claims=market_queries.hour_claims(connection, district_id, *span),
                enrolments=response_queries.enrolments(connection, district_id=district_id),
            )

        return self._shown(content)

    def account(self, name: str) -> HTMLResponse:
        """An account with the last lines of its statement."""

        def content(connection: Connection) -> HTMLResponse:
            lines = escrow_queries.statement(connection, name)
            return self._pages.render(
                connection,
                "account.html",
                account=escrow_queries.account(connection, name),
                lines=lines[-SHOWN_LINES:],
                hidden=max(0, len(lines) - SHOWN_LINES),
            )

        return self._shown(content)

    def events(self) -> HTMLResponse:
        """Demand-response events."""

        def content(connection: Connection) -> HTMLResponse:
            events = response_queries.response_events(connection, limit=SHOWN_LINES)
            return self._pages.render(connection, "events.html", events=events)

        return self._shown(content)

    def event(self, event_id: int) -> HTMLResponse:
        """One event with its progress, and its settlement."""

        def content(connection: Connection) -> HTMLResponse:
            event = response_queries.response_event(connection, event_id)
            progress: dict[str, list[ResponseHour]] = {}
            for hour in response_queries.progress(connection, event_id):
                progress.setdefault(hour.district_id, []).append(hour)
            reports = [
                report
                for report in objects.find(connection, "REPORT", None)
                if report["eventID"] == str(event_id)
            ]
            return self._pages.render(
                connection,
                "event.html",
                event=event,
                enrolments=response_queries.enrolments(connection, event_id),
                progress=progress,
                plots={
                    district_id: market_charts.response(hours, event.direction == "increase")
                    for district_id, hours in progress.items()
                },
                statement=response_queries.statement(connection, event_id),
                report_count=len(reports),
            )

        return self._shown(content)

    def _day(self, text: str | None, now_s: int) -> int:
        if text is None:
            return day_of(now_s)
        try:
            found = parse_day(text)
        except TimeInvalid:
            found = -1
        if not 0 <= found < 2**20:
            raise NotFound("day (write it as 2019-03-31)", text)
        return found

    def _hour(self, text: str) -> int:
        try:
            found = parse_hour_utc(text)
        except (TimeInvalid, OverflowError):
            found = -1
        if not 0 <= found < 2**20 * HOUR_S:
            raise NotFound("hour (write it as 2019-07-15T12:00:00Z)", text)
        return found


def _best_first(order: Order) -> tuple[str, int, str]:
    """Bids before offers, each the best first, as clearing sorts them."""
    price = order.price_micro_eur_per_kwh
    return order.side, -price if order.side == "bid" else price, order.order_hash


def routes(pages: Pages, store: Store) -> APIRouter:
    """`/market`, `/market/books/...`, `/traders/...`, `/accounts/...` and `/events/...`."""
    shown = MarketPages(pages, store)
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

    @router.get("/market")
    def show_market(day: str | None = None) -> HTMLResponse:
        return shown.market(day)

    @router.get("/market/books/{hour}")
    def show_book(hour: str, attributes: str = "") -> HTMLResponse:
        return shown.book(hour, attributes in ("1", "true", "yes"))

    @router.get("/traders/{district_id}")
    def show_trader(district_id: str, day: str | None = None) -> HTMLResponse:
        return shown.trader(district_id, day)

    @router.get("/accounts/{name}")
    def show_account(name: str) -> HTMLResponse:
        return shown.account(name)

    @router.get("/events")
    def show_events() -> HTMLResponse:
        return shown.events()

    @router.get("/events/{event_id}")
    def show_event(event_id: str) -> HTMLResponse:
        known = event_id.isascii() and event_id.isdecimal() and len(event_id) < 18
        return shown.event(int(event_id)) if known else pages.missing(f"/events/{event_id}")

    return router
