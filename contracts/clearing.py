"""Clearing of one book of orders: a uniform-price double auction in exact integers (domain.md §6).

Prices are micro-euro per kWh, quantities Wh. With `b(q)` the price of the q-th Wh demanded, dearest first,
and `s(q)` that of the q-th Wh offered, cheapest first, the volume `Q*` is the largest q with `b(q) >= s(q)`.
Every price from `max(s(Q*), b(Q*+1))` to `min(b(Q*), s(Q*+1))` then clears; the middle is taken, rounded
down. That volume earns the most welfare that any matching can, and of the matchings that do it is the
largest.

Nothing depends on the order of submission: orders of one price rank by identifier, in the order of its bytes
(on chain the order's hash).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate, islice, takewhile
from operator import attrgetter
from typing import NamedTuple

from contracts.pro_rata import NO_SHARES, Shares, share_out


class BookInvalid(ValueError):
    """Orders that are no book; the message names the order and the value."""


class Side(StrEnum):
    """Side of a book."""

    BID = "bid"
    OFFER = "offer"


class BookOrder(NamedTuple):
    """One order as clearing sees it."""

    id: bytes
    """What names the order in its book and ranks it among equals: on chain its 32-byte hash."""
    side: Side
    price_micro_eur_per_kwh: int
    """Limit: a buyer pays at most, a seller takes at least this."""
    quantity_wh: int


class Fill(NamedTuple):
    """An order and what it trades, Wh."""

    order: BookOrder
    fill_wh: int


@dataclass(frozen=True, slots=True)
class Clearing:
    """A book cleared: everything that is shown to the contract, which verifies it (domain.md §6)."""

    price_micro_eur_per_kwh: int | None
    """None when nothing trades."""
    volume_wh: int
    bids: tuple[Fill, ...]
    """Every bid, dearest first; equal prices by identifier."""
    offers: tuple[Fill, ...]
    """Every offer, cheapest first; equal prices by identifier."""
    bid_margin: Shares
    """How the bids whose limit is the price share what better ones leave of the volume."""
    offer_margin: Shares

    @property
    def fills(self) -> dict[bytes, int]:
        """Wh of every order of the book, by identifier."""
        return {order.id: fill_wh for order, fill_wh in self.bids + self.offers}


class Step(NamedTuple):
    """A step of a curve: the price that holds up to a total quantity, from the step before."""

    price_micro_eur_per_kwh: int
    until_wh: int


class Curves(NamedTuple):
    """Both sides of a book as stepped curves, one step per price."""

    demand: tuple[Step, ...]
    """Falling prices."""
    supply: tuple[Step, ...]
    """Rising prices."""


def clear(orders: Iterable[BookOrder]) -> Clearing:
    """Clear a book (domain.md §6), in O(n log n).

    Raises BookInvalid for a doubled identifier and for a negative price or quantity.
    """
    bids, offers = _sorted_sides(orders)
    volume_wh, price = _volume_and_price(bids, offers)
    if price is None:
        return Clearing(None, 0, _unfilled(bids), _unfilled(offers), NO_SHARES, NO_SHARES)
    bid_margin, filled_bids = _fill(bids, price, volume_wh)
    offer_margin, filled_offers = _fill(offers, price, volume_wh)
    return Clearing(price, volume_wh, filled_bids, filled_offers, bid_margin, offer_margin)


def curves(orders: Iterable[BookOrder]) -> Curves:
    """The stepped curves of demand and supply, for plotting. Raises BookInvalid as `clear` does."""
    bids, offers = _sorted_sides(orders)
    return Curves(_steps(bids), _steps(offers))


def _sorted_sides(orders: Iterable[BookOrder]) -> tuple[list[BookOrder], list[BookOrder]]:
    bids: list[BookOrder] = []
    offers: list[BookOrder] = []
    seen: set[bytes] = set()
    for order in orders:
        identifier, side, price, quantity_wh = order
        if identifier in seen:
            raise BookInvalid(
                f"order {identifier!r} is in the book twice; give each order its own identifier"
            )
        if price < 0 or quantity_wh < 0:
            raise BookInvalid(
                f"order {identifier!r}: price {price} and quantity {quantity_wh} must not be negative"
            )
        seen.add(identifier)
        (bids if side is Side.BID else offers).append(order)
    for orders_of_side in (bids, offers):
        orders_of_side.sort(key=attrgetter("id"))
    bids.sort(key=attrgetter("price_micro_eur_per_kwh"), reverse=True)
    offers.sort(key=attrgetter("price_micro_eur_per_kwh"))
    return bids, offers


def _steps(side: Sequence[BookOrder]) -> tuple[Step, ...]:
    wanted_wh: dict[int, int] = {}
    for _, _, price, quantity_wh in side:
        if quantity_wh:
            wanted_wh[price] = wanted_wh.get(price, 0) + quantity_wh
    return tuple(map(Step, wanted_wh, accumulate(wanted_wh.values())))


def _volume_and_price(bids: Sequence[BookOrder], offers: Sequence[BookOrder]) -> tuple[int, int | None]:
    """`Q*` and `p*`: both curves are followed up to the first Wh at which they have crossed."""
    demand, supply = _steps(bids), _steps(offers)
    volume_wh = bid = offer = 0
    low = high = 0
    while bid < len(demand) and offer < len(supply):
        buyer, seller = demand[bid], supply[offer]
        if buyer.price_micro_eur_per_kwh < seller.price_micro_eur_per_kwh:
            break
        low, high = seller.price_micro_eur_per_kwh, buyer.price_micro_eur_per_kwh
        volume_wh = min(buyer.until_wh, seller.until_wh)
        bid += buyer.until_wh == volume_wh
        offer += seller.until_wh == volume_wh
    if volume_wh == 0:
        return 0, None
    if bid < len(demand):
        low = max(low, demand[bid].price_micro_eur_per_kwh)
    if offer < len(supply):
        high = min(high, supply[offer].price_micro_eur_per_kwh)
    return volume_wh, (low + high) // 2


def _unfilled(side: Sequence[BookOrder]) -> tuple[Fill, ...]:
    return tuple(Fill(order, 0) for order in side)


def _fill(side: Sequence[BookOrder], price: int, volume_wh: int) -> tuple[Shares, tuple[Fill, ...]]:
    """Fills of one sorted side: better orders whole, those at the price by share, the rest nothing."""
    better = list(takewhile(lambda order: _is_better(order, price), side))
    equals = list(
        takewhile(lambda order: order.price_micro_eur_per_kwh == price, islice(side, len(better), None))
    )
    rest_wh = volume_wh - sum(order.quantity_wh for order in better)
    margin = share_out(rest_wh, [(order.id, order.quantity_wh) for order in equals])
    return margin, (
        *(Fill(order, order.quantity_wh) for order in better),
        *(Fill(order, margin.of(order.id, order.quantity_wh)) for order in equals),
        *_unfilled(side[len(better) + len(equals) :]),
    )


def _is_better(order: BookOrder, price: int) -> bool:
    if order.side is Side.BID:
        return order.price_micro_eur_per_kwh > price
    return order.price_micro_eur_per_kwh < price
