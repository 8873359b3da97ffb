"""Random cleared hours, as the market contract applies them: orders, fills and their places on the axis."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from random import Random

from contracts.clearing import clear
from contracts.order import BilateralTrade, Order
from contracts.settlement import AppliedOrder, RegisteredTrade

SELLERS = ("sun-hill", "wind-port")
BUYERS = ("old-town", "harbour", "mill-side")


def random_orders(random: Random, hour: int, with_attributes: bool, count: int) -> list[Order]:
    """Orders of one book: buyers bid, sellers offer, with ties and small quantities."""
    orders = []
    for nonce in range(count):
        is_bid = random.random() < 0.5
        orders.append(
            Order(
                district_id=random.choice(BUYERS if is_bid else SELLERS),
                hour=hour,
                with_attributes=with_attributes,
                is_bid=is_bid,
                quantity_wh=random.choice((1, random.randint(1, 20), random.randint(1, 50_000))),
                price_micro_eur_per_kwh=random.choice((0, 90_000, 100_001, random.randint(0, 200_000))),
                nonce=nonce,
                expiry=2**40,
            )
        )
    return orders


def applied_orders(
    orders: Iterable[tuple[bytes, Order]], bought_before_wh: defaultdict[str, int]
) -> tuple[int, list[AppliedOrder]]:
    """Clear one book of (hash, order) and apply it: the price (0 for none) and the orders with their fills.

    `bought_before_wh` counts what each district bought with attributes, and goes on counting.
    """
    known = dict(orders)
    cleared = clear(order.in_book(order_hash) for order_hash, order in known.items())
    applied = []
    for side in (cleared.bids, cleared.offers):
        start_wh = 0
        for entry, fill_wh in side:
            order, before_wh = known[entry.id], 0
            if order.is_bid and order.with_attributes:
                before_wh = bought_before_wh[order.district_id]
                bought_before_wh[order.district_id] += fill_wh
            applied.append(AppliedOrder(order, entry.id, fill_wh, start_wh, before_wh))
            start_wh += fill_wh
    return cleared.price_micro_eur_per_kwh or 0, applied


def random_trades(
    random: Random, hour: int, hashes: Sequence[bytes], bought_before_wh: defaultdict[str, int]
) -> list[RegisteredTrade]:
    """Bilateral trades of the hour, one for each hash."""
    trades = []
    for nonce, trade_hash in enumerate(hashes):
        trade = BilateralTrade(
            seller_district_id=random.choice(SELLERS),
            buyer_district_id=random.choice(BUYERS),
            hour=hour,
            with_attributes=random.random() < 0.5,
            quantity_wh=random.randint(1, 30_000),
            price_micro_eur_per_kwh=random.randint(0, 300_000),
            nonce=nonce,
            expiry=2**40,
        )
        before_wh = 0
        if trade.with_attributes:
            before_wh = bought_before_wh[trade.buyer_district_id]
            bought_before_wh[trade.buyer_district_id] += trade.quantity_wh
        trades.append(RegisteredTrade(trade, trade_hash, before_wh))
    return trades
