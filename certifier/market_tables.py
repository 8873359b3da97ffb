"""Tables of the market, of demand response and of the money behind both: facts, one row per log.

Energies are Wh, prices micro-euro per kWh, amounts token units (micro-euro), times unix seconds UTC, `hour`
is `unix // 3600`; a book is `hour * 2 + (with attributes ? 1 : 0)`. `own_` figures are what we compute from
the logs before (domain.md §§6, 7); where they are not the chain's there is an alarm.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Dialect, Index, Integer, Table, Text, TypeDecorator

from certifier.schema import binary, fact, fact_parts, flag, integer, key, metadata, text


class WholeNumber(TypeDecorator[int]):
    """A whole number of any size, kept as text: an amount of an ERC-20 may have 256 bits."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> str | None:
        """As text."""
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> int | None:
        """As a number."""
        return None if value is None else int(value)


def amount(name: str, nullable: bool = False) -> Column[Any]:
    """A whole number of up to 256 bits, or negative."""
    return Column(name, WholeNumber, nullable=nullable)


market_terms = Table(
    "market_terms",
    metadata,
    key("one", Integer),
    text("market"),
    text("publisher_org"),
    integer("gate_closure_s"),
    integer("clearing_s"),
    integer("imbalance_s"),
    integer("bond_micro_eur_per_kwh"),
    integer("sensitivity_wh"),
    integer("tolerance_bp"),
    integer("tolerance_wh"),
)
"""The rules that are fixed at deployment, read from the chain once."""

# MarketRules
imbalance_prices = fact_parts(
    "imbalance_prices",
    integer("hour"),
    integer("price_micro_eur_per_kwh"),
    Index("imbalance_prices_by_hour", "hour"),
)
holidays = fact_parts("holidays", integer("year"), integer("day"))

# Market
trading_keys = fact("trading_keys", text("district_id"), text("key"), flag("allowed"))
orders = fact(
    "orders",
    text("order_hash"),
    integer("book"),
    text("district_id"),
    integer("hour"),
    flag("with_attributes"),
    flag("is_bid"),
    integer("quantity_wh"),
    integer("price_micro_eur_per_kwh"),
    amount("nonce"),
    amount("expiry"),
    text("replaces", nullable=True),
    binary("signature"),
    text("transaction_hash"),
    Index("orders_by_hash", "order_hash", unique=True),
    Index("orders_by_book", "book"),
    Index("orders_by_district", "district_id", "hour"),
)
order_ends = fact(
    "order_ends",
    text("order_hash"),
    integer("book"),
    text("kind"),
    text("by_account", nullable=True),
    integer("fill_wh"),
    integer("start_wh"),
    integer("bought_before_wh"),
    integer("own_fill_wh", nullable=True),
    text("transaction_hash"),
    Index("order_ends_by_hash", "order_hash", unique=True),
    Index("order_ends_by_book", "book"),
)
"""How an order ended: cancelled, applied or released, each at most once."""
bilateral_trades = fact(
    "bilateral_trades",
    text("trade_hash"),
    text("seller_district_id"),
    text("buyer_district_id"),
    integer("hour"),
    flag("with_attributes"),
    integer("quantity_wh"),
    integer("price_micro_eur_per_kwh"),
    amount("nonce"),
    amount("expiry"),
    text("transaction_hash"),
    Index("bilateral_trades_by_hash", "trade_hash", unique=True),
    Index("bilateral_trades_by_seller", "seller_district_id", "hour"),
    Index("bilateral_trades_by_buyer", "buyer_district_id", "hour"),
)
clearings = fact(
    "clearings",
    integer("book"),
    text("proposer"),
    integer("volume_wh"),
    integer("price_micro_eur_per_kwh"),
    integer("bids"),
    integer("offers"),
    integer("own_volume_wh"),
    integer("own_price_micro_eur_per_kwh"),
    text("transaction_hash"),
    Index("clearings_by_book", "book", unique=True),
)

# Settlement
proven_hours = fact(
    "proven_hours",
    text("seller_district_id"),
    integer("hour"),
    integer("round"),
    integer("sold_wh"),
    integer("certified_wh"),
    integer("own_certified_wh", nullable=True),
    Index("proven_hours_by_seller", "seller_district_id", "hour"),
)
settled_hours = fact(
    "settled_hours",
    text("seller_district_id"),
    integer("hour"),
    integer("round"),
    text("transaction_hash"),
    Index("settled_hours_by_seller", "seller_district_id", "hour"),
)
settled_trades = fact(
    "settled_trades",
    text("trade_id"),
    text("seller_district_id"),
    text("buyer_district_id"),
    integer("hour"),
    integer("round"),
    flag("with_attributes"),
    integer("price_micro_eur_per_kwh"),
    integer("quantity_wh"),
    integer("delivered_wh"),
    integer("attributes_wh"),
    amount("paid_micro_eur"),
    amount("refunded_micro_eur"),
    amount("compensation_micro_eur"),
    amount("to_seller_micro_eur"),
    text("transaction_hash"),
    Index("settled_trades_by_id", "trade_id"),
    Index("settled_trades_by_seller", "seller_district_id", "hour"),
    Index("settled_trades_by_buyer", "buyer_district_id", "hour"),
)
"""Round 1: a settlement with what was paid; later rounds: follow-ups, with the difference that they owe."""

# Claims
claims = fact(
    "claims",
    text("kind"),
    text("district_id"),
    integer("hour"),
    integer("day"),
    integer("energy_wh"),
    integer("energy_in_wh"),
    text("evidence_hash", nullable=True),
    Index("claims_by_hour", "district_id", "hour"),
    Index("claims_by_day", "district_id", "day"),
)
"""`kind` is external, delivery, attributes (out, and in) or response; the newest of a kind and hour holds."""

# Escrow
escrow_lines = fact_parts(
    "escrow_lines",
    text("account"),
    text("kind"),
    text("counterparty", nullable=True),
    text("purse", nullable=True),
    amount("free_change"),
    amount("held_change"),
    amount("owed_change"),
    text("reference"),
    text("explanation"),
    text("transaction_hash"),
    Index("escrow_lines_by_account", "account", "block_number"),
)
"""Each log of the escrow as lines of the accounts that it concerns."""

# Flexibility
response_events = fact(
    "response_events",
    integer("event_id"),
    text("zone"),
    text("operator_org"),
    flag("increase"),
    text("method"),
    integer("start_hour"),
    integer("hour_count"),
    integer("requested_wh"),
    integer("price_micro_eur_per_kwh"),
    integer("penalty_micro_eur_per_kwh"),
    integer("enrol_until"),
    integer("notice_s"),
    amount("budget_micro_eur"),
    integer("opened_at"),
    text("transaction_hash"),
    Index("response_events_by_id", "event_id", unique=True),
)
response_ends = fact(
    "response_ends",
    integer("event_id"),
    text("kind"),
    amount("spent_micro_eur"),
    amount("returned_micro_eur"),
    Index("response_ends_by_id", "event_id"),
)
"""Withdrawn or settled."""
enrolments = fact(
    "enrolments",
    integer("event_id"),
    text("district_id"),
    integer("capacity_wh"),
    amount("deposit_micro_eur"),
    integer("baseline_days"),
    Index("enrolments_by_event", "event_id"),
    Index("enrolments_by_district", "district_id"),
)
measured_hours = fact_parts(
    "measured_hours",
    integer("event_id"),
    text("district_id"),
    integer("hour"),
    integer("baseline_wh", nullable=True),
    integer("measured_wh", nullable=True),
    integer("response_wh"),
    integer("own_baseline_wh", nullable=True),
    integer("own_measured_wh", nullable=True),
    integer("own_response_wh", nullable=True),
    Index("measured_hours_by_event", "event_id", "district_id"),
)
response_payments = fact(
    "response_payments",
    integer("event_id"),
    text("district_id"),
    amount("remuneration_micro_eur"),
    amount("penalty_micro_eur"),
    amount("deposit_returned_micro_eur"),
    amount("own_remuneration_micro_eur", nullable=True),
    amount("own_penalty_micro_eur", nullable=True),
    text("transaction_hash"),
    Index("response_payments_by_event", "event_id"),
)
