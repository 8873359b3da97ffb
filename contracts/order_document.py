"""Traders' signed messages as plain JSON: what an API takes and what traders keep (domain.md §6, §9).

    {"domain": {"name": "PED Market", "version": "1", "chain_id": 1337, "market": "0x..."},
     "order": {"district": "old-town", "hour_utc": "2026-07-15T12:00:00Z", "with_attributes": false,
               "side": "bid", "quantity_wh": 2000, "price_micro_eur_per_kwh": 120000, "nonce": 7,
               "expiry_utc": "2026-07-15T11:00:00Z", "replaces": null},
     "signature": "0x..."}

A cancellation has `"cancellation": {"order": "0x..."}` in place of the order; a bilateral trade has
`"trade": {"seller": ..., "buyer": ..., "hour_utc": ..., ...}` with `seller_signature` and `buyer_signature`,
null as long as that side has not signed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

import msgspec

from contracts.hour import TimeInvalid, format_hour_utc, format_time_utc, parse_hour_utc, parse_time_utc
from contracts.key import SIGNATURE_BYTES, SignatureInvalid
from contracts.nesting import too_deep
from contracts.order import (
    DOMAIN_NAME,
    DOMAIN_VERSION,
    NO_ORDER,
    BilateralTrade,
    Cancellation,
    MarketDomain,
    Order,
    OrderInvalid,
)

MAX_DOCUMENT_BYTES: Final = 10_000


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    pass


class _Domain(_Body):
    name: str
    version: str
    chain_id: int
    market: str


class _Order(_Body):
    district: str
    hour_utc: str
    with_attributes: bool
    side: Literal["bid", "offer"]
    quantity_wh: int
    price_micro_eur_per_kwh: int
    nonce: int
    expiry_utc: str
    replaces: str | None = None


class _OrderDocument(_Body):
    domain: _Domain
    order: _Order
    signature: str


class _Cancellation(_Body):
    order: str


class _CancellationDocument(_Body):
    domain: _Domain
    cancellation: _Cancellation
    signature: str


class _Trade(_Body):
    seller: str
    buyer: str
    hour_utc: str
    with_attributes: bool
    quantity_wh: int
    price_micro_eur_per_kwh: int
    nonce: int
    expiry_utc: str


class _TradeDocument(_Body):
    domain: _Domain
    trade: _Trade
    seller_signature: str | None
    buyer_signature: str | None


@dataclass(frozen=True, slots=True)
class SignedOrder:
    """An order as it travels."""

    order: Order
    domain: MarketDomain
    signature: bytes
    """65 bytes r, s, v."""

    @property
    def digest(self) -> bytes:
        """The 32 bytes that were signed: the order's identity."""
        return self.order.digest(self.domain)

    def signer(self) -> str:
        """Checksummed address that signed. Raises SignatureInvalid."""
        return self.order.signer(self.signature, self.domain)

    def to_json(self) -> bytes:
        """The document. Raises OrderInvalid for a time after the year 9999."""
        body = _order_body(self.order)
        return msgspec.json.encode(_OrderDocument(_domain_body(self.domain), body, _hex(self.signature)))

    @classmethod
    def from_json(cls, document: bytes) -> "SignedOrder":
        """The order of a document; its signature is read, not judged. Raises OrderInvalid."""
        found = _decode(_OrderDocument, document)
        body = found.order
        order = Order(
            body.district,
            _time(parse_hour_utc, "hour_utc", body.hour_utc),
            body.with_attributes,
            body.side == "bid",
            body.quantity_wh,
            body.price_micro_eur_per_kwh,
            body.nonce,
            _time(parse_time_utc, "expiry_utc", body.expiry_utc),
            NO_ORDER if body.replaces is None else _unhex("replaces", body.replaces, 32),
        )
        return cls(order, _domain(found.domain), _signature("signature", found.signature))


@dataclass(frozen=True, slots=True)
class SignedCancellation:
    """A cancellation as it travels."""

    cancellation: Cancellation
    domain: MarketDomain
    signature: bytes
    """65 bytes r, s, v."""

    def signer(self) -> str:
        """Checksummed address that signed. Raises SignatureInvalid."""
        return self.cancellation.signer(self.signature, self.domain)

    def to_json(self) -> bytes:
        """The document."""
        body = _Cancellation(_hex(self.cancellation.order_hash))
        return msgspec.json.encode(
            _CancellationDocument(_domain_body(self.domain), body, _hex(self.signature))
        )

    @classmethod
    def from_json(cls, document: bytes) -> "SignedCancellation":
        """The cancellation of a document; its signature is read, not judged. Raises OrderInvalid."""
        found = _decode(_CancellationDocument, document)
        cancellation = Cancellation(_unhex("order", found.cancellation.order, 32))
        return cls(cancellation, _domain(found.domain), _signature("signature", found.signature))


@dataclass(frozen=True, slots=True)
class SignedTrade:
    """A bilateral trade as it travels, signed by one side or both."""

    trade: BilateralTrade
    domain: MarketDomain
    seller_signature: bytes | None = None
    """65 bytes r, s, v; None as long as that side has not signed."""
    buyer_signature: bytes | None = None

    @property
    def digest(self) -> bytes:
        """The 32 bytes that both sign: the trade's identity."""
        return self.trade.digest(self.domain)

    def signers(self) -> tuple[str, str]:
        """Checksummed addresses that signed for seller and buyer. Raises SignatureInvalid, also when one is
        missing."""
        seller, buyer = (
            self._signer(name, signature)
            for name, signature in (("seller", self.seller_signature), ("buyer", self.buyer_signature))
        )
        return seller, buyer

    def _signer(self, side: str, signature: bytes | None) -> str:
        if signature is None:
            raise SignatureInvalid(f"the {side} has not signed the trade")
        return self.trade.signer(signature, self.domain)

    def to_json(self) -> bytes:
        """The document. Raises OrderInvalid for a time after the year 9999."""
        trade = self.trade
        body = _Trade(
            trade.seller_district_id,
            trade.buyer_district_id,
            _text(format_hour_utc, "hour", trade.hour),
            trade.with_attributes,
            trade.quantity_wh,
            trade.price_micro_eur_per_kwh,
            trade.nonce,
            _text(format_time_utc, "expiry", trade.expiry),
        )
        signatures = (
            None if signature is None else _hex(signature)
            for signature in (self.seller_signature, self.buyer_signature)
        )
        return msgspec.json.encode(_TradeDocument(_domain_body(self.domain), body, *signatures))

    @classmethod
    def from_json(cls, document: bytes) -> "SignedTrade":
        """The trade of a document; its signatures are read, not judged. Raises OrderInvalid."""
        found = _decode(_TradeDocument, document)
        body = found.trade
        trade = BilateralTrade(
            body.seller,
            body.buyer,
            _time(parse_hour_utc, "hour_utc", body.hour_utc),
            body.with_attributes,
            body.quantity_wh,
            body.price_micro_eur_per_kwh,
            body.nonce,
            _time(parse_time_utc, "expiry_utc", body.expiry_utc),
        )
        signatures = (
            None if text is None else _signature(name, text)
            for name, text in (
                ("seller_signature", found.seller_signature),
                ("buyer_signature", found.buyer_signature),
            )
        )
        return cls(trade, _domain(found.domain), *signatures)


def unsigned_order(order: Order, domain: MarketDomain | None) -> dict[str, Any]:
    """An order's document before anybody signed it: `signature` is null, and so is a domain not known yet.

    Raises OrderInvalid for a time after the year 9999.
    """
    named = None if domain is None else msgspec.to_builtins(_domain_body(domain))
    return {"domain": named, "order": msgspec.to_builtins(_order_body(order)), "signature": None}


_Document = TypeVar("_Document", bound=_Body)


def _decode(kind: type[_Document], document: bytes) -> _Document:
    if len(document) > MAX_DOCUMENT_BYTES:
        raise OrderInvalid(f"the document has {len(document)} bytes, more than {MAX_DOCUMENT_BYTES}")
    if too_deep(document):
        raise OrderInvalid("the document is nested too deep")
    try:
        return msgspec.json.decode(document, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise OrderInvalid(f"the document cannot be read: {error}") from None


def _order_body(order: Order) -> _Order:
    return _Order(
        order.district_id,
        _text(format_hour_utc, "hour", order.hour),
        order.with_attributes,
        "bid" if order.is_bid else "offer",
        order.quantity_wh,
        order.price_micro_eur_per_kwh,
        order.nonce,
        _text(format_time_utc, "expiry", order.expiry),
        None if order.replaces == NO_ORDER else _hex(order.replaces),
    )


def _domain_body(domain: MarketDomain) -> _Domain:
    return _Domain(DOMAIN_NAME, DOMAIN_VERSION, domain.chain_id, domain.market)


def _domain(body: _Domain) -> MarketDomain:
    named = body.name, body.version
    if named != (DOMAIN_NAME, DOMAIN_VERSION):
        raise OrderInvalid(
            f"domain {named} is another one; a market's is {DOMAIN_NAME!r}, {DOMAIN_VERSION!r}"
        )
    domain = MarketDomain(body.chain_id, body.market)
    domain.separator  # noqa: B018  (judges the address)
    return domain


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


def _unhex(name: str, text: str, size: int) -> bytes:
    try:
        value = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raise OrderInvalid(f"{name} {text[:140]!r} is no hexadecimal number") from None
    if len(value) != size:
        raise OrderInvalid(f"{name} has {len(value)} bytes, not {size}")
    return value


def _signature(name: str, text: str) -> bytes:
    return _unhex(name, text, SIGNATURE_BYTES)


def _text(format_time: Callable[[int], str], name: str, value: int) -> str:
    try:
        return format_time(value)
    except (OverflowError, ValueError, OSError):
        raise OrderInvalid(f"{name} {value} lies after the year 9999; choose an earlier one") from None


def _time(parse: Callable[[str], int], name: str, text: str) -> int:
    try:
        return parse(text)
    except (TimeInvalid, OverflowError) as error:
        raise OrderInvalid(f"{name}: {error}") from None
