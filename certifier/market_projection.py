"""Writes the facts of the market, of money and of demand response, each beside our own figure of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import Connection, Table, insert, select

from certifier import market_tables as tables
from certifier import store
from certifier.derivation import Derivation
from certifier.escrow_lines import FollowUps, Line, Occasions, columns, follow_ups, lines
from certifier.metered import MeteredDays
from certifier.order_check import OrderCheck
from certifier.pending import check_later
from certifier.response_check import ResponseCheck, known
from certifier.settlement_check import SettlementCheck
from contracts import events, market_events, response_events
from contracts.hour import day_of, day_of_hour
from contracts.market_rules_calls import MarketTerms
from contracts.order import MarketDomain

MARKET_EVENTS = tuple(
    kind
    for module in (market_events, response_events)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, events.Event) and kind is not events.Event
)


@dataclass(frozen=True, slots=True)
class MarketRules:
    """What was fixed when the market was deployed."""

    market: str
    """Address of the Market contract."""
    terms: MarketTerms


class MarketWriter:
    """Writes such facts within one transaction of the projection."""

    def __init__(
        self,
        connection: Connection,
        derivation: Derivation,
        metered: MeteredDays,
        chain_id: int,
        rules: MarketRules | None,
    ) -> None:
        """`rules` is None where there is no market."""
        domain = None if rules is None else MarketDomain(chain_id, rules.market)
        terms = MarketTerms("none") if rules is None else rules.terms
        self._connection = connection
        self._derivation = derivation
        self._orders = OrderCheck(connection, domain)
        self._settlements = SettlementCheck(connection, metered, terms.bond_micro_eur_per_kwh)
        self._responses = ResponseCheck(connection, metered, terms.sensitivity_wh)
        self._place: dict[str, int] = {}
        self._transaction_hash = ""
        self._time_s = 0
        self._occasions: Occasions | None = None
        self._follow_ups = FollowUps({}, frozenset())
        self._owners: dict[str, str | None] = {}
        self._to_check: set[str] = set()

    def begin_block(self, logged: Sequence[tuple[int, str, events.Event]], time_s: int) -> None:
        """The block whose logs come next."""
        self._time_s = time_s
        self._occasions = Occasions(logged, self._owner, self._order_owner)
        self._follow_ups = follow_ups(logged, self._owner)

    def write(self, event: events.Event, block_number: int, log_index: int, transaction_hash: str) -> None:
        """Write one log."""
        self._place = {"block_number": block_number, "log_index": log_index}
        self._transaction_hash = transaction_hash
        for check in (self._orders, self._settlements, self._responses):
            check.at((block_number, log_index))
        if self._money(event) or self._trading(event) or self._settling(event):
            return
        self._responding(event)

    def _insert(self, table: Table, **values: object) -> None:
        if "transaction_hash" in table.c:
            values["transaction_hash"] = self._transaction_hash
        self._connection.execute(insert(table), [{**self._place, **values}])

    def _insert_parts(self, table: Table, rows: Sequence[dict[str, Any]]) -> None:
        if rows:
            numbered = [{**self._place, "position": number, **row} for number, row in enumerate(rows)]
            self._connection.execute(insert(table), numbered)

    def _owner(self, district_id: str) -> str | None:
        if self._owners.get(district_id) is None:
            table = store.districts
            self._owners[district_id] = self._connection.execute(
                select(table.c.owner_organisation_id).where(table.c.district_id == district_id)
            ).scalar()
        return self._owners[district_id]

    def _order_owner(self, order_hash: str) -> str | None:
        table = tables.orders
        district_id = self._connection.execute(
            select(table.c.district_id).where(table.c.order_hash == order_hash)
        ).scalar()
        return None if district_id is None else self._owner(district_id)

    def _money(self, event: events.Event) -> bool:
        found = lines(event)
        if not found:
            return False
        if self._place["log_index"] in self._follow_ups.set_off:
            found = [replace(line, kind="debt_set_off", free_change=0) for line in found if line.owed_change]
        self._write_lines(found)
        return True

    def _write_lines(self, found: Sequence[Line]) -> None:
        assert self._occasions is not None
        rows = []
        for line in found:
            reference, explanation = self._occasions.of(
                self._transaction_hash, self._place["log_index"], line
            )
            rows.append(
                {
                    **columns(line),
                    "reference": reference,
                    "explanation": explanation,
                    "transaction_hash": self._transaction_hash,
                }
            )
        self._insert_parts(tables.escrow_lines, rows)
        for account in {line.account for line in found} - self._to_check:
            self._to_check.add(account)
            check_later(self._connection, "account", account, day_of(self._time_s))

    def _trading(self, event: events.Event) -> bool:
        match event:
            case market_events.TradingKeySet():
                self._insert(tables.trading_keys, **asdict(event))
            case market_events.OrderRecorded(order=order):
                self._orders.order(event)
                self._insert(
                    tables.orders,
                    order_hash=_hex(event.order_hash),
                    book=event.book,
                    district_id=order.district_id,
                    hour=order.hour,
                    with_attributes=order.with_attributes,
                    is_bid=order.is_bid,
                    quantity_wh=order.quantity_wh,
                    price_micro_eur_per_kwh=order.price_micro_eur_per_kwh,
                    nonce=order.nonce,
                    expiry=order.expiry,
                    replaces=_hex(order.replaces) if any(order.replaces) else None,
                    signature=event.signature,
                )
            case market_events.OrderCancelled():
                self._order_end(event, "cancelled", by_account=event.by)
            case market_events.OrderReleased():
                self._order_end(event, "released")
            case market_events.OrderApplied():
                self._order_end(
                    event,
                    "applied",
                    fill_wh=event.fill_wh,
                    start_wh=event.start_wh,
                    bought_before_wh=event.bought_before_wh,
                    own_fill_wh=self._orders.applied(event),
                )
            case market_events.BookCleared(outcome=outcome):
                own = self._orders.cleared(event)
                self._insert(
                    tables.clearings,
                    book=event.book,
                    proposer=event.proposer,
                    volume_wh=outcome.volume_wh,
                    price_micro_eur_per_kwh=outcome.price_micro_eur_per_kwh,
                    bids=len(own.bids),
                    offers=len(own.offers),
                    own_volume_wh=own.volume_wh,
                    own_price_micro_eur_per_kwh=own.price_micro_eur_per_kwh or 0,
                )
            case market_events.TradeRegistered(trade=trade):
                self._orders.bilateral(event)
                self._insert(
                    tables.bilateral_trades,
                    trade_hash=_hex(event.trade_hash),
                    **{name: getattr(trade, name) for name in type(trade).__slots__},
                )
            case _:
                return False
        return True

    def _order_end(
        self,
        event: market_events.OrderCancelled | market_events.OrderReleased | market_events.OrderApplied,
        kind: str,
        **values: object,
    ) -> None:
        row: dict[str, object] = {"fill_wh": 0, "start_wh": 0, "bought_before_wh": 0}
        self._insert(
            tables.order_ends,
            order_hash=_hex(event.order_hash),
            book=event.book,
            kind=kind,
            **(row | values),
        )

    def _settling(self, event: events.Event) -> bool:
        match event:
            case market_events.ImbalancePublished():
                prices = enumerate(event.prices_micro_eur_per_kwh, start=event.first_hour)
                self._insert_parts(
                    tables.imbalance_prices,
                    [{"hour": hour, "price_micro_eur_per_kwh": price} for hour, price in prices],
                )
            case market_events.HolidaysPublished():
                self._insert_parts(
                    tables.holidays, [{"year": event.year, "day": day} for day in event.holidays]
                )
            case market_events.SettlementProven():
                self._insert(
                    tables.proven_hours, **asdict(event), own_certified_wh=self._settlements.proven(event)
                )
            case market_events.TradeSettled():
                values = asdict(event)
                self._insert(
                    tables.settled_trades,
                    **values
                    | {
                        "trade_id": _hex(event.trade_id),
                        "round": 1,
                        "paid_micro_eur": values.pop("paid"),
                        "refunded_micro_eur": values.pop("refunded"),
                        "compensation_micro_eur": values.pop("compensation"),
                        "to_seller_micro_eur": 0,
                    },
                )
            case market_events.TradeFollowedUp():
                self._followed_up(event)
                self._write_lines(self._follow_ups.moved.get(self._place["log_index"], ()))
            case market_events.HourSettled():
                self._insert(tables.settled_hours, **asdict(event))
                self._settlements.settled(event)
            case market_events.ExternalDeclared():
                self._claim(event, "external", event.energy_wh, evidence_hash=_hex(event.evidence_hash))
            case market_events.DeliveryBooked():
                self._claim(event, "delivery", event.delivered_wh)
            case market_events.ResponseBooked():
                self._claim(event, "response", event.response_wh)
            case market_events.AttributesBooked():
                self._claim(event, "attributes", event.attributes_out_wh, energy_in_wh=event.attributes_in_wh)
                self._derivation.touch_day(event.district_id, day_of_hour(event.hour))
            case _:
                return False
        return True

    def _followed_up(self, event: market_events.TradeFollowedUp) -> None:
        """A follow-up keeps price and quantity of the trade that it changes."""
        table = tables.settled_trades
        first = self._connection.execute(
            select(table).where(table.c.trade_id == _hex(event.trade_id), table.c.round == 1)
        ).one_or_none()
        self._insert(
            table,
            trade_id=_hex(event.trade_id),
            seller_district_id=event.seller_district_id,
            buyer_district_id=event.buyer_district_id,
            hour=event.hour,
            round=event.round,
            with_attributes=first is not None and first.with_attributes,
            price_micro_eur_per_kwh=0 if first is None else first.price_micro_eur_per_kwh,
            quantity_wh=0 if first is None else first.quantity_wh,
            delivered_wh=event.delivered_wh,
            attributes_wh=event.attributes_wh,
            paid_micro_eur=0,
            refunded_micro_eur=0,
            compensation_micro_eur=0,
            to_seller_micro_eur=event.to_seller,
        )

    def _claim(
        self,
        event: market_events.ExternalDeclared
        | market_events.DeliveryBooked
        | market_events.ResponseBooked
        | market_events.AttributesBooked,
        kind: str,
        energy_wh: int,
        energy_in_wh: int = 0,
        evidence_hash: str | None = None,
    ) -> None:
        self._insert(
            tables.claims,
            kind=kind,
            district_id=event.district_id,
            hour=event.hour,
            day=day_of_hour(event.hour),
            energy_wh=energy_wh,
            energy_in_wh=energy_in_wh,
            evidence_hash=evidence_hash,
        )

    def _responding(self, event: events.Event) -> None:
        match event:
            case response_events.EventOpened(terms=terms):
                self._insert(
                    tables.response_events,
                    event_id=event.event_id,
                    zone=event.zone,
                    operator_org=event.operator_org,
                    increase=terms.increase,
                    method=terms.method.label,
                    start_hour=terms.start_hour,
                    hour_count=terms.hour_count,
                    requested_wh=terms.requested_wh,
                    price_micro_eur_per_kwh=terms.price_micro_eur_per_kwh,
                    penalty_micro_eur_per_kwh=terms.penalty_micro_eur_per_kwh,
                    enrol_until=terms.enrol_until,
                    notice_s=terms.notice_s,
                    budget_micro_eur=event.budget,
                    opened_at=self._time_s,
                )
            case response_events.EventWithdrawn():
                self._response_end(event.event_id, "withdrawn")
            case response_events.EventSettled():
                self._response_end(event.event_id, "settled", event.spent, event.returned)
            case response_events.Enrolled():
                self._insert(
                    tables.enrolments,
                    event_id=event.event_id,
                    district_id=event.district_id,
                    capacity_wh=event.capacity_wh,
                    deposit_micro_eur=event.deposit,
                    baseline_days=event.baseline_days,
                )
            case response_events.Measured():
                self._measured(event)
            case response_events.ResponsePaid():
                own = self._responses.response_paid(event)
                self._insert(
                    tables.response_payments,
                    event_id=event.event_id,
                    district_id=event.district_id,
                    remuneration_micro_eur=event.remuneration,
                    penalty_micro_eur=event.penalty,
                    deposit_returned_micro_eur=event.deposit_returned,
                    own_remuneration_micro_eur=own[0],
                    own_penalty_micro_eur=own[1],
                )

    def _response_end(self, event_id: int, kind: str, spent: int = 0, returned: int = 0) -> None:
        self._insert(
            tables.response_ends,
            event_id=event_id,
            kind=kind,
            spent_micro_eur=spent,
            returned_micro_eur=returned,
        )

    def _measured(self, event: response_events.Measured) -> None:
        own = self._responses.measured(event)
        self._insert_parts(
            tables.measured_hours,
            [
                {
                    "event_id": event.event_id,
                    "district_id": event.district_id,
                    "hour": hour,
                    "baseline_wh": known(event.baseline_wh[place]),
                    "measured_wh": known(event.measured_wh[place]),
                    "response_wh": event.response_wh[place],
                    "own_baseline_wh": own[place].baseline_wh,
                    "own_measured_wh": own[place].measured_wh,
                    "own_response_wh": own[place].response_wh,
                }
                for place, hour in enumerate(self._responses.event_hours(event.event_id))
            ],
        )


def _hex(value: bytes) -> str:
    return "0x" + value.hex()
