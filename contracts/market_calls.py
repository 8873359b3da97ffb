"""Typed calls of Market.sol: orders, bilateral trades, and the clearing of books (domain.md §6)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import NamedTuple

from contracts.contract_calls import ContractCalls
from contracts.interface import Interface
from contracts.key import SigningKey
from contracts.order import BilateralTrade, Order
from contracts.outcome import Outcome
from contracts.slug import to_bytes32

_NOW = "pending"


class OrderStatus(IntEnum):
    """Where an order stands, by the number of the contract."""

    NONE = 0
    LIVE = 1
    CANCELLED = 2
    APPLIED = 3
    """Its book is cleared and the order is applied: some of it trades, perhaps nothing."""
    RELEASED = 4
    """Its book was not cleared in time and what it held was given back."""


class BookStatus(IntEnum):
    """Where a book stands, by the number of the contract."""

    OPEN = 0
    """Orders can be recorded, replaced and cancelled."""
    FROZEN = 1
    """The gate is closed; an outcome can be proposed."""
    CLEARED = 2
    """The outcome stands; its orders are being applied."""
    VOID = 3
    """Nobody proposed a valid outcome in time: every order can be released."""


class OrderState(NamedTuple):
    """An order as of now, Wh."""

    status: OrderStatus
    fill_wh: int
    start_wh: int
    """Where its fill begins on the book's axis: bid and offer trade where their fills overlap."""
    bought_before_wh: int
    """Of a bid with attributes: what the district had bought so for the hour before this fill."""


@dataclass(frozen=True, slots=True)
class BookState:
    """A book as of now. Field order is the contract's."""

    status: BookStatus
    bids: int
    """Live orders, or those that the outcome which stands is made of."""
    offers: int
    steps: int
    """Verification steps of the outcome that stands."""
    applied: int
    """How many of them are applied."""
    outcome: Outcome


class TradeState(NamedTuple):
    """A bilateral trade as of now."""

    registered: bool
    bought_before_wh: int


@cache
def _market() -> Interface:
    return Interface.of("Market")


def encode_place_order(order: Order, signature: bytes) -> bytes:
    """Calldata that records an order."""
    return _market().encode_call("placeOrder", (order.abi, signature))


def encode_cancel_order(order_hash: bytes, signature: bytes = b"") -> bytes:
    """Calldata that cancels an order; without a signature of its Cancellation the sender must be entitled."""
    return _market().encode_call("cancelOrder", (order_hash, signature))


def encode_register_trade(trade: BilateralTrade, seller_signature: bytes, buyer_signature: bytes) -> bytes:
    """Calldata that registers a bilateral trade."""
    return _market().encode_call("registerTrade", (trade.abi, seller_signature, buyer_signature))


def encode_place_many(calls: Sequence[bytes]) -> bytes:
    """Calldata that carries several calls of the three above; one that fails is skipped (see CallSkipped)."""
    return _market().encode_call("placeMany", (list(calls),))


class MarketCalls(ContractCalls):
    """Orders, bilateral trades, clearing."""

    def set_trading_key(
        self, key: SigningKey, district_id: str, address: str, allowed: bool, *, gas: int | None = None
    ) -> bytes:
        """Let a key sign for a district, or no longer. By a DISTRICT_OWNER of the district's owner."""
        arguments = to_bytes32(district_id), address, allowed
        return self._send(key, "Market", "setTradingKey", *arguments, gas=gas)

    def place_order(
        self, key: SigningKey, order: Order, signature: bytes, *, gas: int | None = None
    ) -> bytes:
        """Carry a signed order to the market; anyone may."""
        return self._market_data(key, encode_place_order(order, signature), gas)

    def cancel_order(
        self, key: SigningKey, order_hash: bytes, signature: bytes = b"", *, gas: int | None = None
    ) -> bytes:
        """Cancel a live order: with a signed Cancellation anyone may, else a trading key or an owner's
        account."""
        return self._market_data(key, encode_cancel_order(order_hash, signature), gas)

    def register_trade(
        self,
        key: SigningKey,
        trade: BilateralTrade,
        seller_signature: bytes,
        buyer_signature: bytes,
        *,
        gas: int | None = None,
    ) -> bytes:
        """Carry a trade that both sides signed to the market; anyone may."""
        call = encode_register_trade(trade, seller_signature, buyer_signature)
        return self._market_data(key, call, gas)

    def place_many(self, key: SigningKey, calls: Sequence[bytes], *, gas: int | None = None) -> bytes:
        """Carry several calls in one transaction; CallSkipped tells which failed."""
        return self._market_data(key, encode_place_many(calls), gas)

    def propose_outcome(
        self,
        key: SigningKey,
        book: int,
        outcome: Outcome,
        bids: Sequence[bytes],
        offers: Sequence[bytes],
        *,
        gas: int | None = None,
    ) -> bytes:
        """Verify the next orders of the sender's proposal, by hash, sorted as Clearing has them; the last
        ones make the outcome stand. At most most_orders_per_step() together, at least one unless the book has
        none."""
        arguments = book, outcome, list(bids), list(offers)
        return self._send(key, "Market", "proposeOutcome", *arguments, gas=gas)

    def apply_outcome(
        self,
        key: SigningKey,
        book: int,
        bids: Sequence[bytes],
        offers: Sequence[bytes],
        *,
        gas: int | None = None,
    ) -> bytes:
        """Apply the next verified step of the outcome that stands, with the same orders; anyone may."""
        return self._send(key, "Market", "applyOutcome", book, list(bids), list(offers), gas=gas)

    def clear_book(
        self,
        key: SigningKey,
        book: int,
        outcome: Outcome,
        bids: Sequence[bytes],
        offers: Sequence[bytes],
        *,
        gas: int | None = None,
    ) -> bytes:
        """Propose and apply the outcome of a book that fits into one transaction; anyone may."""
        return self._send(key, "Market", "clear", book, outcome, list(bids), list(offers), gas=gas)

    def abandon_proposal(self, key: SigningKey, book: int, *, gas: int | None = None) -> bytes:
        """Forget the steps of the sender's proposal, so that it can begin again, or with another outcome."""
        return self._send(key, "Market", "abandonProposal", book, gas=gas)

    def release_order(self, key: SigningKey, order_hash: bytes, *, gas: int | None = None) -> bytes:
        """Give back what an order of a void book held; anyone may."""
        return self._send(key, "Market", "releaseOrder", order_hash, gas=gas)

    def most_orders_per_step(self) -> int:
        """Most orders of a verification step, bids and offers together."""
        return int(self._call("Market", "mostOrdersPerStep"))

    def is_trading_key(self, district_id: str, address: str) -> bool:
        """Whether a key signs for a district."""
        return bool(self._call("Market", "isTradingKey", to_bytes32(district_id), address))

    def book(self, book: int) -> BookState:
        """A book as of the block to come."""
        raw = self._call("Market", "book", book, block=_NOW)
        return BookState(*(BookStatus(raw[0]), *raw[1:5], Outcome.from_abi(raw[5])))

    def order_state(self, order_hash: bytes) -> OrderState:
        """An order as of now."""
        status, *numbers = self._call("Market", "orderState", order_hash)
        return OrderState(OrderStatus(status), *numbers)

    def trade_state(self, trade_hash: bytes) -> TradeState:
        """A bilateral trade as of now."""
        return TradeState(*self._call("Market", "tradeState", trade_hash))

    def sold_wh(self, district_id: str, hour: int) -> int:
        """What a district sold in an hour: fills of offers and bilateral trades."""
        return int(self._call("Market", "soldWh", to_bytes32(district_id), hour))

    def bought_with_attributes_wh(self, district_id: str, hour: int) -> int:
        """What a district bought with attributes in an hour."""
        return int(self._call("Market", "boughtWithAttributesWh", to_bytes32(district_id), hour))

    def fills_complete(self, hour: int) -> bool:
        """Whether no fill of an hour can be added any more."""
        return bool(self._call("Market", "fillsComplete", hour, block=_NOW))

    def _market_data(self, key: SigningKey, call: bytes, gas: int | None) -> bytes:
        return self.chain.send_data(key, self.deployment.address("Market"), call, gas=gas)
