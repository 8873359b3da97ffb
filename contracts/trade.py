"""What districts sign to trade: orders and bilateral trades (domain.md §6, on chain types/Trade.sol).

Energies are Wh, prices micro-euro per kWh, times unix seconds, hours unix time // 3600.
"""

from dataclasses import astuple, dataclass
from typing import Any, Final

from contracts.slug import to_bytes32, to_text

NO_ORDER: Final = bytes(32)
"""What an order replaces that replaces none."""


def book_of(hour: int, with_attributes: bool) -> int:
    """Number of a book."""
    return 2 * hour + with_attributes


def hour_of_book(book: int) -> int:
    """Hour of a book; it is with attributes when its number is odd."""
    return book // 2


@dataclass(frozen=True, slots=True)
class Order:
    """What one district is ready to buy or sell in one hour. Field order is the contract's."""

    district_id: str
    hour: int
    with_attributes: bool
    is_bid: bool
    quantity_wh: int
    price_micro_eur_per_kwh: int
    """Limit; at most ten times the bond rate."""
    nonce: int
    expiry: int
    """Unix seconds: the last second in which it can be recorded; once recorded it lives until it is cancelled
    or its book is over."""
    replaces: bytes = NO_ORDER
    """Hash of a live order of the same district and book that it takes the place of."""

    @property
    def book(self) -> int:
        """Number of its book."""
        return book_of(self.hour, self.with_attributes)

    @property
    def abi(self) -> tuple[Any, ...]:
        """As the contract takes it. Raises IdentifierInvalid."""
        district_id, *rest = astuple(self)
        return (to_bytes32(district_id), *rest)

    @classmethod
    def from_abi(cls, raw: Any) -> "Order":
        """From what the contract announces."""
        district_id, *rest = raw
        return cls(to_text(district_id), *rest)


@dataclass(frozen=True, slots=True)
class BilateralTrade:
    """A trade that two districts agreed on, signed by both. Field order is the contract's."""

    seller_district_id: str
    buyer_district_id: str
    hour: int
    with_attributes: bool
    quantity_wh: int
    price_micro_eur_per_kwh: int
    nonce: int
    expiry: int
    """Unix seconds: the last second in which it can be registered."""

    @property
    def abi(self) -> tuple[Any, ...]:
        """As the contract takes it. Raises IdentifierInvalid."""
        seller, buyer, *rest = astuple(self)
        return (to_bytes32(seller), to_bytes32(buyer), *rest)

    @classmethod
    def from_abi(cls, raw: Any) -> "BilateralTrade":
        """From what the contract announces."""
        seller, buyer, *rest = raw
        return cls(to_text(seller), to_text(buyer), *rest)
