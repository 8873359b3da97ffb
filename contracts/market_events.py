"""What the contracts of the market announce: rules, escrow, claims, orders, settlement (domain.md §6).

Identifiers are slugs, hashes bytes, energies Wh, money micro-euro (token units), prices micro-euro per kWh,
times unix seconds, hours unix time // 3600. A book is numbered `hour * 2 + (1 with attributes, else 0)`.
"""

from dataclasses import dataclass

from contracts.account import Account
from contracts.events import Event
from contracts.order import BilateralTrade, Order
from contracts.outcome import Outcome

# MarketRules


@dataclass(frozen=True)
class ImbalancePublished(Event):
    """Imbalance prices of consecutive hours of one day."""

    first_hour: int
    prices_micro_eur_per_kwh: tuple[int, ...]


@dataclass(frozen=True)
class HolidaysPublished(Event):
    """The holidays of a year (days since 1970)."""

    year: int
    holidays: tuple[int, ...]


# Escrow


@dataclass(frozen=True)
class Deposited(Event):
    """Free money of an account grew by what an address paid in."""

    account: Account
    from_: str
    amount: int


@dataclass(frozen=True)
class Withdrawn(Event):
    """Free money of an account was sent to an address."""

    account: Account
    to: str
    amount: int


@dataclass(frozen=True)
class Held(Event):
    """Free money of an account is held for trades, or for demand response."""

    account: Account
    is_response: bool
    amount: int


@dataclass(frozen=True)
class Unheld(Event):
    """What was held is free again."""

    account: Account
    is_response: bool
    amount: int


@dataclass(frozen=True)
class Paid(Event):
    """What was held of one account is free money of the other."""

    from_: Account
    to: Account
    is_response: bool
    amount: int


@dataclass(frozen=True)
class Owed(Event):
    """A follow-up settlement left a debt: so much more is outstanding."""

    debtor: Account
    creditor: Account
    amount: int


@dataclass(frozen=True)
class DebtPaid(Event):
    """So much of a debt was paid."""

    debtor: Account
    creditor: Account
    amount: int


@dataclass(frozen=True)
class SplitPaid(Event):
    """Proceeds of an organisation were shared; each recipient's share is free money of its address."""

    organisation_id: str
    purpose: bytes
    recipients: tuple[str, ...]
    amounts: tuple[int, ...]


# Claims


@dataclass(frozen=True)
class ExternalDeclared(Event):
    """Energy of an hour will be certified elsewhere; replaces what was declared before."""

    district_id: str
    hour: int
    energy_wh: int
    evidence_hash: bytes


@dataclass(frozen=True)
class DeliveryBooked(Event):
    """What a district delivered in trades of an hour; replaces what was booked before."""

    district_id: str
    hour: int
    delivered_wh: int


@dataclass(frozen=True)
class AttributesBooked(Event):
    """What moved with its attributes in an hour, in all."""

    district_id: str
    hour: int
    attributes_out_wh: int
    attributes_in_wh: int


@dataclass(frozen=True)
class ResponseBooked(Event):
    """Demand response of an hour that counted, over all events."""

    district_id: str
    hour: int
    response_wh: int


# Market


@dataclass(frozen=True)
class TradingKeySet(Event):
    """A key signs for a district, or does so no longer."""

    district_id: str
    key: str
    allowed: bool


@dataclass(frozen=True)
class OrderRecorded(Event):
    """A signed order is live."""

    order_hash: bytes
    book: int
    district_id: str
    order: Order
    signature: bytes


@dataclass(frozen=True)
class OrderCancelled(Event):
    """An order is live no longer."""

    order_hash: bytes
    book: int
    by: str
    """Who signed the cancellation, or who called."""


@dataclass(frozen=True)
class TradeRegistered(Event):
    """Two districts agreed on a trade."""

    trade_hash: bytes
    seller_district_id: str
    buyer_district_id: str
    trade: BilateralTrade
    seller_signature: bytes
    buyer_signature: bytes


@dataclass(frozen=True)
class ClearingStep(Event):
    """A proposer verified further orders of a book."""

    book: int
    proposer: str
    step: int
    bids: int
    offers: int


@dataclass(frozen=True)
class BookCleared(Event):
    """The outcome of a book stands."""

    book: int
    proposer: str
    outcome: Outcome


@dataclass(frozen=True)
class OrderApplied(Event):
    """What an order of a cleared book trades, perhaps nothing."""

    order_hash: bytes
    book: int
    fill_wh: int
    start_wh: int
    """Where its fill begins on the book's axis of quantity."""
    bought_before_wh: int
    """Of a bid with attributes: what the district had bought so for the hour before."""


@dataclass(frozen=True)
class OrderReleased(Event):
    """An order of a book that was not cleared in time got back what it held."""

    order_hash: bytes
    book: int


@dataclass(frozen=True)
class CallSkipped(Event):
    """A call of a bundle was refused; see `contracts.errors.decode_error` for `reason`."""

    index: int
    reason: bytes


# Settlement


@dataclass(frozen=True)
class SettlementStep(Event):
    """A proposer proved further shares of a seller's hour."""

    seller_district_id: str
    hour: int
    round: int
    proposer: str
    step: int
    trades: int
    """How many the step shows: with these numbers anyone can show the same steps again."""


@dataclass(frozen=True)
class SettlementProven(Event):
    """The shares of a seller's hour stand: what was sold and what of it the ledger certifies."""

    seller_district_id: str
    hour: int
    round: int
    sold_wh: int
    certified_wh: int


@dataclass(frozen=True)
class TradeSettled(Event):
    """A trade was settled: what the seller got, what the buyer got back and what for the shortfall."""

    trade_id: bytes
    seller_district_id: str
    buyer_district_id: str
    hour: int
    with_attributes: bool
    price_micro_eur_per_kwh: int
    quantity_wh: int
    delivered_wh: int
    attributes_wh: int
    paid: int
    refunded: int
    compensation: int


@dataclass(frozen=True)
class TradeFollowedUp(Event):
    """A follow-up changed a settled trade."""

    trade_id: bytes
    seller_district_id: str
    buyer_district_id: str
    hour: int
    round: int
    delivered_wh: int
    attributes_wh: int
    to_seller: int
    """What the buyer owes the seller; negative: the seller owes the buyer."""


@dataclass(frozen=True)
class HourSettled(Event):
    """A round of a seller's hour is over."""

    seller_district_id: str
    hour: int
    round: int
