"""The agreed messages of traders: orders, their cancellation, bilateral trades (domain.md §6).

Each is signed once by a trading key of the district, as EIP-712 typed data of the domain "PED Market",
version "1", with the chain id and the Market contract of the deployment; anyone may carry it there. The
digest that is signed is the identity of the order or trade. `contracts.order_document` has them as JSON.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Final

from contracts.clearing import BookOrder, Side
from contracts.keccak import keccak
from contracts.key import SigningKey, recover
from contracts.slug import is_slug, to_bytes32, to_text
from contracts.typed_data import domain_separator, typed_digest

DOMAIN_NAME: Final = "PED Market"
DOMAIN_VERSION: Final = "1"
NO_ORDER: Final = bytes(32)
"""What an order that replaces none names."""

_U32: Final = 2**32 - 1
_U64: Final = 2**64 - 1

_ORDER_TYPE: Final = keccak(
    b"Order(bytes32 districtId,uint32 hour,bool withAttributes,bool isBid,uint32 quantityWh,"
    b"uint32 priceMicroEurPerKwh,uint64 nonce,uint64 expiry,bytes32 replaces)"
)
_CANCELLATION_TYPE: Final = keccak(b"Cancellation(bytes32 orderHash)")
_TRADE_TYPE: Final = keccak(
    b"BilateralTrade(bytes32 sellerDistrictId,bytes32 buyerDistrictId,uint32 hour,bool withAttributes,"
    b"uint32 quantityWh,uint32 priceMicroEurPerKwh,uint64 nonce,uint64 expiry)"
)


class OrderInvalid(ValueError):
    """A trader's message or its document that no market would accept; the message names the value."""


@dataclass(frozen=True, slots=True)
class MarketDomain:
    """EIP-712 domain of a market: what is signed for one means nothing on another."""

    chain_id: int
    market: str
    """Address of the Market contract."""

    @property
    def separator(self) -> bytes:
        """The 32 bytes of the domain separator. Raises OrderInvalid."""
        try:
            return domain_separator(DOMAIN_NAME, self.chain_id, self.market)
        except ValueError as error:
            raise OrderInvalid(f"market {self.market!r}, chain {self.chain_id}: {error}") from None


class _Message(ABC):
    """What a trading key signs."""

    __slots__ = ()

    @abstractmethod
    def _encoded(self) -> bytes:
        """The type's hash and the fields, 32 bytes each (EIP-712)."""

    def digest(self, domain: MarketDomain) -> bytes:
        """The 32 bytes that are signed. Raises OrderInvalid for a domain that is none."""
        return typed_digest(domain.separator, self._encoded())

    def sign(self, key: SigningKey, domain: MarketDomain) -> bytes:
        """Signature over the digest: 65 bytes r, s, v."""
        return key.sign(self.digest(domain))

    def signer(self, signature: bytes, domain: MarketDomain) -> str:
        """Checksummed address that signed. Raises SignatureInvalid."""
        return recover(self.digest(domain), signature)


@dataclass(frozen=True, slots=True)
class Order(_Message):
    """What a district is ready to buy or sell in one UTC hour; field order is the contract's.

    Raises OrderInvalid.
    """

    district_id: str
    hour: int
    """Unix time // 3600."""
    with_attributes: bool
    """Which of the hour's two books."""
    is_bid: bool
    quantity_wh: int
    price_micro_eur_per_kwh: int
    """Limit: a bid pays at most, an offer takes at least this."""
    nonce: int
    """Makes two equal orders two."""
    expiry: int
    """Unix seconds: the last in which it can be recorded; once recorded it stays."""
    replaces: bytes = NO_ORDER
    """Identity of the order of the same district and book that it takes the place of."""

    def __post_init__(self) -> None:
        _require_district("district", self.district_id)
        _require_numbers(self.hour, self.quantity_wh, self.price_micro_eur_per_kwh, self.nonce, self.expiry)
        if len(self.replaces) != 32:
            raise OrderInvalid(f"the order that it replaces has {len(self.replaces)} bytes, not 32")

    @property
    def book(self) -> int:
        """Number of its book."""
        return book_number(self.hour, self.with_attributes)

    def in_book(self, order_hash: bytes) -> BookOrder:
        """The order as clearing sees it; `order_hash` is its digest."""
        side = Side.BID if self.is_bid else Side.OFFER
        return BookOrder(order_hash, side, self.price_micro_eur_per_kwh, self.quantity_wh)

    @property
    def abi(self) -> tuple[Any, ...]:
        """As the contract takes it."""
        return (
            to_bytes32(self.district_id),
            self.hour,
            self.with_attributes,
            self.is_bid,
            self.quantity_wh,
            self.price_micro_eur_per_kwh,
            self.nonce,
            self.expiry,
            self.replaces,
        )

    @classmethod
    def from_abi(cls, raw: Any) -> "Order":
        """From what the contract announces."""
        district_id, *others = raw
        return cls(to_text(district_id), *others)

    def _encoded(self) -> bytes:
        return _ORDER_TYPE + _words(self.abi)


@dataclass(frozen=True, slots=True)
class Cancellation(_Message):
    """Takes an order back before gate closure. Raises OrderInvalid."""

    order_hash: bytes

    def __post_init__(self) -> None:
        if len(self.order_hash) != 32:
            raise OrderInvalid(f"the order to cancel has {len(self.order_hash)} bytes, not 32")

    def _encoded(self) -> bytes:
        return _CANCELLATION_TYPE + self.order_hash


@dataclass(frozen=True, slots=True)
class BilateralTrade(_Message):
    """A trade that two districts agreed on and both sign; field order is the contract's.

    Raises OrderInvalid.
    """

    seller_district_id: str
    buyer_district_id: str
    hour: int
    """Unix time // 3600."""
    with_attributes: bool
    quantity_wh: int
    price_micro_eur_per_kwh: int
    nonce: int
    expiry: int
    """Unix seconds: the last in which it can be registered."""

    def __post_init__(self) -> None:
        _require_district("seller", self.seller_district_id)
        _require_district("buyer", self.buyer_district_id)
        if self.seller_district_id == self.buyer_district_id:
            raise OrderInvalid(f"{self.seller_district_id} trades with itself; name two districts")
        _require_numbers(self.hour, self.quantity_wh, self.price_micro_eur_per_kwh, self.nonce, self.expiry)

    @property
    def abi(self) -> tuple[Any, ...]:
        """As the contract takes it."""
        return (
            to_bytes32(self.seller_district_id),
            to_bytes32(self.buyer_district_id),
            self.hour,
            self.with_attributes,
            self.quantity_wh,
            self.price_micro_eur_per_kwh,
            self.nonce,
            self.expiry,
        )

    @classmethod
    def from_abi(cls, raw: Any) -> "BilateralTrade":
        """From what the contract announces."""
        seller, buyer, *others = raw
        return cls(to_text(seller), to_text(buyer), *others)

    def _encoded(self) -> bytes:
        return _TRADE_TYPE + _words(self.abi)


def book_number(hour: int, with_attributes: bool) -> int:
    """Number of a book, as the contract counts them."""
    return 2 * hour + with_attributes


def _words(values: tuple[Any, ...]) -> bytes:
    return b"".join(value if isinstance(value, bytes) else int(value).to_bytes(32, "big") for value in values)


def _require_district(name: str, slug: str) -> None:
    if not is_slug(slug):
        raise OrderInvalid(f"{name} {slug!r}: use 1 to 32 of the characters a-z, 0-9 and hyphen")


def _require_numbers(hour: int, quantity_wh: int, price: int, nonce: int, expiry: int) -> None:
    for name, value, least, most in (
        ("hour", hour, 0, _U32),
        ("quantity_wh", quantity_wh, 1, _U32),
        ("price_micro_eur_per_kwh", price, 0, _U32),
        ("nonce", nonce, 0, _U64),
        ("expiry", expiry, 0, _U64),
    ):
        if not least <= value <= most:
            raise OrderInvalid(f"{name} {value} is out of range {least} to {most}")
