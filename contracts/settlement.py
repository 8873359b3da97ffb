"""Settlement of trades against certified energy, stated in exact integers (domain.md §6, ISettlement.sol).

Pure: what a seller delivered, who gets what of the money held, which attributes move, and in which order the
trades of an hour are shown to the contract. Energies are Wh, prices micro-euro per kWh, money micro-euro,
hours unix time // 3600.

```
sold = trades_of_seller("harbour", hour, registered, applied, {book: price})
settled = settle(sold, certified_wh, imbalance_price, bond_rate, imports)
for shown in showings(sold, 40):
    platform.prove_shares(key, "harbour", hour, settled.cut, shown)
```
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, NamedTuple

from contracts.energy import BoundarySummary, HourSums, Row, Tolerance, allocate, classify
from contracts.keccak import keccak
from contracts.order import BilateralTrade, Order
from contracts.pro_rata import Cut, share_out

_WH_PER_KWH: Final = 1000


class TradesInvalid(ValueError):
    """Orders and trades that are not those of a cleared hour; the message names what does not fit."""


class CertifiedHour(NamedTuple):
    """What the ledger certifies of an hour by the market's rules."""

    complete: bool
    net_export_wh: int
    """Signed: import is negative."""

    def available_wh(self, external_wh: int) -> int:
        """C: certified net export less what was declared for external certificates, which comes first."""
        export_wh = max(0, self.net_export_wh) if self.complete else 0
        return export_wh - min(external_wh, export_wh)

    @property
    def import_wh(self) -> int:
        """I: certified net import; 0 for an hour that is not complete."""
        return max(0, -self.net_export_wh) if self.complete else 0


def certify(sums: HourSums, boundary: BoundarySummary, tolerance: Tolerance) -> CertifiedHour:
    """Certify an hour of the ledger: covered by measured records, not tainted, energy conserved."""
    row = classify(sums, allocate(sums, boundary.load_metered, tolerance), boundary, lacking=False)
    complete = row is Row.COMPLETE and boundary.version > 0
    return CertifiedHour(complete, sums.export_wh - sums.import_wh)


@dataclass(frozen=True, slots=True)
class AppliedOrder:
    """An order of a cleared book, as OrderRecorded and OrderApplied tell."""

    order: Order
    order_hash: bytes
    fill_wh: int
    start_wh: int
    """Where its fill begins on the axis of its side of the book."""
    bought_before_wh: int = 0
    """Of a bid with attributes: what the district had bought so for the hour before."""

    @property
    def end_wh(self) -> int:
        """Where its fill ends."""
        return self.start_wh + self.fill_wh


@dataclass(frozen=True, slots=True)
class RegisteredTrade:
    """A bilateral trade on chain."""

    trade: BilateralTrade
    trade_hash: bytes
    bought_before_wh: int = 0
    """As in AppliedOrder, for the buyer."""


@dataclass(frozen=True, slots=True)
class Trade:
    """One sale of a seller's hour; its parts of the two orders that it comes from are `[begin, end)`."""

    trade_id: bytes
    seller_district_id: str
    buyer_district_id: str
    hour: int
    with_attributes: bool
    price_micro_eur_per_kwh: int
    quantity_wh: int
    sold_from_wh: int
    """Begin of its place in the fill of the seller's order; 0 for a bilateral trade."""
    bought_from_wh: int
    """Begin of its place in the fill of the buyer's order; 0 for a bilateral trade."""
    attributes_from_wh: int
    """Begin of its place in all that the buyer bought with attributes for the hour."""
    source: RegisteredTrade | tuple[AppliedOrder, AppliedOrder]
    """Offer and bid, or what the two districts agreed on."""

    @property
    def paid_in_micro_eur(self) -> int:
        """What the buyer's order holds for it."""
        return _part(self.bought_from_wh, self.quantity_wh, self.price_micro_eur_per_kwh)

    def bond_micro_eur(self, bond_rate: int) -> int:
        """What the seller's order holds for it, at so many micro-euro per kWh."""
        return _part(self.sold_from_wh, self.quantity_wh, bond_rate)


class Sale(NamedTuple):
    """An offer and the bids whose fills overlap its fill, along the axis, as the contract takes them."""

    offer: Order
    bids: tuple[Order, ...]


class Showing(NamedTuple):
    """Trades of one step, as the contract takes them."""

    trades: tuple[BilateralTrade, ...]
    sales: tuple[Sale, ...]

    @property
    def abi(self) -> tuple[Any, Any]:
        """The contract's two arguments."""
        sales = [(sale.offer.abi, [bid.abi for bid in sale.bids]) for sale in self.sales]
        return [trade.abi for trade in self.trades], sales


class BuyerHour(NamedTuple):
    """What settling needs of a buyer's hour for trades with attributes."""

    import_wh: int
    """I: certified net import."""
    bought_with_attributes_wh: int
    """B: all that it bought so for the hour."""


class SettledTrade(NamedTuple):
    """A trade after settlement: Wh and micro-euro."""

    trade: Trade
    delivered_wh: int
    attributes_wh: int
    paid_micro_eur: int
    """To the seller, of what the buyer paid in."""
    refunded_micro_eur: int
    """To the buyer, the rest of what it paid in."""
    compensation_micro_eur: int
    """To the buyer, from the seller's bond."""
    bond_returned_micro_eur: int
    """To the seller, the rest of its bond."""

    @property
    def to_seller_micro_eur(self) -> int:
        """What the buyer spent on the trade in the end, and the seller earned; can be negative."""
        return self.paid_micro_eur - self.compensation_micro_eur


class SettledHour(NamedTuple):
    """A seller's hour after settlement."""

    certified_wh: int
    cut: Cut
    trades: tuple[SettledTrade, ...]


class FollowUp(NamedTuple):
    """What a follow-up changes of a settled trade."""

    settled: SettledTrade
    """The trade as it is now."""
    to_seller_micro_eur: int
    """What the buyer owes the seller; negative: the seller owes the buyer."""


def trades_of_seller(
    seller_district_id: str,
    hour: int,
    registered: Iterable[RegisteredTrade],
    applied: Iterable[AppliedOrder],
    prices: Mapping[int, int],
) -> list[Trade]:
    """All trades of a seller's hour, in the order in which the contract takes them.

    `registered` and `applied` must hold all of the hour that concern the seller, `applied` all bids of its
    books; others are passed over. `prices` are those of the outcomes, by book. Raises TradesInvalid when the
    fills of a book do not meet.
    """
    bilateral = sorted(
        (item for item in registered if _is_sale(item.trade, seller_district_id, hour)),
        key=lambda item: item.trade_hash,
    )
    offers: list[AppliedOrder] = []
    bids: dict[int, list[AppliedOrder]] = defaultdict(list)
    for item in applied:
        if item.order.hour != hour or not item.fill_wh:
            continue
        if item.order.is_bid:
            bids[item.order.book].append(item)
        elif item.order.district_id == seller_district_id:
            offers.append(item)
    for side in bids.values():
        side.sort(key=lambda bid: bid.start_wh)
    offers.sort(key=lambda offer: offer.order_hash)
    return [
        *map(_bilateral, bilateral),
        *(trade for offer in offers for trade in _sales(offer, bids[offer.order.book], prices)),
    ]


def settle(
    trades: Sequence[Trade],
    certified_wh: int,
    imbalance_price: int,
    bond_rate: int,
    buyers: Mapping[str, BuyerHour],
) -> SettledHour:
    """Settle a seller's hour of which `certified_wh` (C) can be delivered.

    `buyers` has each buyer of a trade with attributes, by district. Prices in micro-euro per kWh.
    """
    sold_wh = sum(trade.quantity_wh for trade in trades)
    available_wh = min(certified_wh, sold_wh)
    shares = share_out(available_wh, [(trade.trade_id, trade.quantity_wh) for trade in trades])
    settled = []
    for trade in trades:
        delivered_wh = shares.of(trade.trade_id, trade.quantity_wh)
        price = trade.price_micro_eur_per_kwh
        rate = min(max(imbalance_price - price, price // 10), bond_rate)
        paid = delivered_wh * price // _WH_PER_KWH
        compensation = (trade.quantity_wh - delivered_wh) * rate // _WH_PER_KWH
        settled.append(
            SettledTrade(
                trade=trade,
                delivered_wh=delivered_wh,
                attributes_wh=_attributes_wh(trade, delivered_wh, buyers),
                paid_micro_eur=paid,
                refunded_micro_eur=trade.paid_in_micro_eur - paid,
                compensation_micro_eur=compensation,
                bond_returned_micro_eur=trade.bond_micro_eur(bond_rate) - compensation,
            )
        )
    return SettledHour(certified_wh, shares.cut, tuple(settled))


def follow_up(before: SettledHour, after: SettledHour) -> list[FollowUp]:
    """The trades that an adjustment changed: in delivery, attributes or money."""
    return [
        FollowUp(new, new.to_seller_micro_eur - old.to_seller_micro_eur)
        for old, new in zip(before.trades, after.trades, strict=True)
        if old != new
    ]


def showings(trades: Sequence[Trade], most: int) -> Iterator[Showing]:
    """The trades of a seller's hour in steps of at most `most`, in order."""
    for first in range(0, len(trades), most):
        yield _showing(trades[first : first + most])


def _showing(trades: Sequence[Trade]) -> Showing:
    bilateral = tuple(trade.source.trade for trade in trades if isinstance(trade.source, RegisteredTrade))
    pairs = [trade.source for trade in trades if not isinstance(trade.source, RegisteredTrade)]
    sales = tuple(
        Sale(offer.order, tuple(bid.order for _, bid in group))
        for offer, group in groupby(pairs, key=lambda pair: pair[0])
    )
    return Showing(bilateral, sales)


def _is_sale(trade: BilateralTrade, seller_district_id: str, hour: int) -> bool:
    return trade.seller_district_id == seller_district_id and trade.hour == hour


def _bilateral(item: RegisteredTrade) -> Trade:
    trade = item.trade
    return Trade(
        trade_id=item.trade_hash,
        seller_district_id=trade.seller_district_id,
        buyer_district_id=trade.buyer_district_id,
        hour=trade.hour,
        with_attributes=trade.with_attributes,
        price_micro_eur_per_kwh=trade.price_micro_eur_per_kwh,
        quantity_wh=trade.quantity_wh,
        sold_from_wh=0,
        bought_from_wh=0,
        attributes_from_wh=item.bought_before_wh,
        source=item,
    )


def _sales(offer: AppliedOrder, bids: Sequence[AppliedOrder], prices: Mapping[int, int]) -> Iterator[Trade]:
    """The trades of an offer: its fill cut where one bid's fill ends and the next begins."""
    place = bisect_right(bids, offer.start_wh, key=lambda bid: bid.start_wh) - 1
    begin = offer.start_wh
    while begin < offer.end_wh:
        if not 0 <= place < len(bids) or not bids[place].start_wh <= begin < bids[place].end_wh:
            raise TradesInvalid(
                f"offer 0x{offer.order_hash.hex()} trades from {begin} Wh of its book's axis on, but no bid "
                "shown trades there; give all applied bids of the book"
            )
        bid = bids[place]
        end = min(offer.end_wh, bid.end_wh)
        yield Trade(
            trade_id=keccak(offer.order_hash + bid.order_hash),
            seller_district_id=offer.order.district_id,
            buyer_district_id=bid.order.district_id,
            hour=offer.order.hour,
            with_attributes=offer.order.with_attributes,
            price_micro_eur_per_kwh=prices[offer.order.book],
            quantity_wh=end - begin,
            sold_from_wh=begin - offer.start_wh,
            bought_from_wh=begin - bid.start_wh,
            attributes_from_wh=bid.bought_before_wh + begin - bid.start_wh,
            source=(offer, bid),
        )
        begin, place = end, place + 1


def _attributes_wh(trade: Trade, delivered_wh: int, buyers: Mapping[str, BuyerHour]) -> int:
    """`min(D, its part of the buyer's net import)`; parts add up to the import, whoever settles first."""
    if not trade.with_attributes:
        return 0
    import_wh, bought_wh = buyers[trade.buyer_district_id]
    begin = trade.attributes_from_wh
    end = begin + trade.quantity_wh
    return min(delivered_wh, import_wh * end // bought_wh - import_wh * begin // bought_wh)


def _part(begin_wh: int, quantity_wh: int, rate: int) -> int:
    """Money held for a place in an order: cumulative and rounded up, so that the parts make the whole."""
    end_wh = begin_wh + quantity_wh
    return _rounded_up(end_wh * rate) - _rounded_up(begin_wh * rate)


def _rounded_up(amount: int) -> int:
    return -(-amount // _WH_PER_KWH)
