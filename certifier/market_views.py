"""What people and programs are shown of the market, of demand response and of money.

Units are in the names: `_wh` Wh, `_micro_eur` micro-euro (one token unit), `_micro_eur_per_kwh`, times ISO
8601 UTC. Null means not known, never zero.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from pydantic import Field

from certifier.views import BatchReference, Reading, Verdict, View

Side = Literal["bid", "offer"]
BookState = Literal["open", "frozen", "cleared", "void"]
OrderState = Literal["live", "cancelled", "applied", "released"]


class MarketTerms(View):
    """The market's rules, fixed at deployment (domain.md §6)."""

    market: str = Field(description="Address of the Market contract, part of what orders are signed for")
    chain_id: int
    publisher_organisation_id: str
    gate_closure_s: int
    clearing_s: int
    imbalance_s: int
    bond_micro_eur_per_kwh: int
    highest_price_micro_eur_per_kwh: int
    sensitivity_wh: int
    tolerance_bp: int
    tolerance_wh: int


class Book(View):
    """The order book of one UTC hour, with or without attributes (domain.md §6)."""

    book: int = Field(description="hour * 2, plus 1 for the book with attributes")
    start_time_utc: datetime
    with_attributes: bool
    state: BookState
    closes_time_utc: datetime = Field(description="Gate closure: orders are frozen from here on")
    clear_by_time_utc: datetime = Field(description="Without an outcome by then all money is given back")
    bids: int
    offers: int
    bid_wh: int
    offer_wh: int
    volume_wh: int | None
    price_micro_eur_per_kwh: int | None = Field(description="Null before clearing, and when nothing trades")
    proposer: str | None


class Order(View):
    """A signed order and what became of it."""

    order_hash: str
    book: int
    start_time_utc: datetime
    with_attributes: bool
    side: Side
    district_id: str
    quantity_wh: int
    price_micro_eur_per_kwh: int
    state: OrderState
    fill_wh: int | None = Field(description="What trades; null before the outcome is applied")
    clearing_price_micro_eur_per_kwh: int | None
    replaces: str | None
    recorded_time_utc: datetime
    transaction_hash: str


class CurveStep(View):
    """One step of a book's curve: this price holds from one quantity to the next."""

    side: Side
    price_micro_eur_per_kwh: int
    from_wh: int
    until_wh: int


class Trade(View):
    """What a district sold or bought in an hour: a filled order or a bilateral trade."""

    start_time_utc: datetime
    with_attributes: bool
    side: Side
    district_id: str
    counterparty_district_id: str | None = Field(description="Null for a book: it has many")
    kind: Literal["book", "bilateral"]
    identity: str = Field(description="Hash of the order or of the bilateral trade")
    quantity_wh: int
    price_micro_eur_per_kwh: int
    value_micro_eur: int


class SettledTrade(View):
    """A trade as settled (round 1), or what a follow-up changed of it (domain.md §6)."""

    trade_id: str
    start_time_utc: datetime
    round: int
    seller_district_id: str
    buyer_district_id: str
    with_attributes: bool
    price_micro_eur_per_kwh: int
    quantity_wh: int
    delivered_wh: int
    attributes_wh: int
    paid_micro_eur: int
    refunded_micro_eur: int
    compensation_micro_eur: int
    to_seller_micro_eur: int = Field(description="Follow-ups: owed to the seller; negative: to the buyer")
    settled_time_utc: datetime
    transaction_hash: str


class SellerHour(View):
    """All that a district sold in an hour and how far its settlement is."""

    seller_district_id: str
    start_time_utc: datetime
    sold_wh: int
    certified_wh: int | None
    delivered_wh: int | None
    paid_micro_eur: int | None
    compensation_micro_eur: int | None
    rounds: int
    state: Literal["sold", "proven", "settled"]


class HourClaims(View):
    """Who claims which part of a district-hour (domain.md §6)."""

    district_id: str
    start_time_utc: datetime
    net_export_wh: int | None
    external_wh: int
    delivered_wh: int
    attributes_out_wh: int
    attributes_in_wh: int
    response_wh: int


class Account(View):
    """An account of the escrow: an organisation, or the address of a member."""

    account: str
    name: str
    free_micro_eur: int
    held_trade_micro_eur: int
    held_response_micro_eur: int
    balance_micro_eur: int = Field(description="Free and held together")
    owed_micro_eur: int = Field(description="Debts of follow-up settlements")


class StatementLine(View):
    """A line of an account's statement. The balance is free and held money together."""

    time_utc: datetime
    reference: str
    kind: str
    text: str
    counterparty: str | None
    debit_micro_eur: int
    credit_micro_eur: int
    balance_micro_eur: int
    held_change_micro_eur: int = Field(description="What moved from free to held money; negative: back")
    held_micro_eur: int
    free_micro_eur: int
    block_number: int
    log_index: int
    transaction_hash: str | None


class Enrolment(View):
    """A district in a demand-response event, with its result once measured and paid."""

    event_id: int
    district_id: str
    capacity_wh: int
    deposit_micro_eur: int
    baseline_days: int
    enrolled_time_utc: datetime
    response_wh: int | None
    remuneration_micro_eur: int | None
    penalty_micro_eur: int | None
    deposit_returned_micro_eur: int | None


class ResponseEvent(View):
    """A demand-response event (domain.md §7)."""

    event_id: int
    zone: str
    operator_organisation_id: str
    operator_organisation: str
    direction: Literal["reduce", "increase"]
    method: Literal["10_of_10", "high_5_of_10"]
    start_time_utc: datetime
    end_time_utc: datetime
    requested_wh: int = Field(description="Per hour, over all districts")
    price_micro_eur_per_kwh: int
    penalty_micro_eur_per_kwh: int
    enrol_until_utc: datetime
    notice_s: int
    opened_time_utc: datetime
    budget_micro_eur: int
    spent_micro_eur: int | None
    returned_micro_eur: int | None
    enrolled_districts: int
    enrolled_wh: int = Field(description="Per hour")
    state: Literal["open", "committed", "running", "over", "measured", "settled", "withdrawn"]


class ResponseHour(View):
    """One hour of one district in an event: progress while it runs, the contract's figures afterwards."""

    event_id: int
    district_id: str
    start_time_utc: datetime
    capacity_wh: int
    baseline_wh: int | None
    measured_wh: int | None = Field(description="Net import; null without a record")
    complete: bool
    response_wh: int | None
    final: bool = Field(description="As measured on chain; else our own preview from the records so far")


class ResponseStatementLine(View):
    """Settlement of an event for one district: energy, remuneration, penalty, deposit."""

    event_id: int
    district_id: str
    organisation_id: str
    enrolled_wh: int = Field(description="Over all hours of the event")
    delivered_wh: int
    remuneration_micro_eur: int
    penalty_micro_eur: int
    deposit_micro_eur: int
    deposit_returned_micro_eur: int
    net_micro_eur: int = Field(description="Remuneration less penalty")
    paid_time_utc: datetime
    transaction_hash: str


class ImbalancePrice(View):
    """Published price of being short in an hour."""

    start_time_utc: datetime
    price_micro_eur_per_kwh: int
    published_time_utc: datetime


class Holiday(View):
    """A day that counts as a rest day in baselines."""

    day: date


class Carried(View):
    """A message that the relayer carried to the chain."""

    identity: str = Field(description="Hash of the order or trade")
    transaction_hash: str
    block_number: int


class ReadingLineage(View):
    """From a reading to what rests on it."""

    point_id: str
    start_time_utc: datetime
    district_id: str
    readings: list[Reading]
    batches: list[BatchReference]
    assessments: list[str]
    verdicts: list[Verdict]
    certificate_numbers: list[int]
    claims: list[HourClaims] = Field(description="Who claims which part of the district's hour")
    settled_trades: list[SettledTrade] = Field(
        description="Trades of the hour that the district sold or bought, in the other's lineage too"
    )
