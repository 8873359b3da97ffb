"""Which orders a district should place, and why (domain.md §§4, 6).

Offers: of the net export that the forecast is sure of, so much goes into the book with attributes as the
balance can spare; the rest goes into the other book, where it costs no balance. Bids: a district that would
lose its status buys attributes for hours in which it is sure to import, for only min(D, import) moves.
Quantities are whole Wh, rounded so that no promise is broken: down for export, import and spare.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

from contracts.hour import first_hour, format_hour_utc, hour_start, parse_day
from contracts.order import Order
from contracts.order_document import unsigned_order
from optimiser.forecast import Forecast
from optimiser.strategy.floor_price import floor_price
from optimiser.strategy.hours import Hours
from optimiser.strategy.market_view import Position, Terms
from optimiser.strategy.reason import AdviceInvalid, Reason
from optimiser.strategy.standing import Standing

PERMILLE = 1000
WH_PER_KWH = 1000


@dataclass(frozen=True)
class Prices:
    """What the alternatives are worth, micro-euro. All from the user; nothing is guessed."""

    feed_in_micro_eur_per_kwh: int = 0
    """What a kWh earns that is not sold here: feed-in tariff or supplier."""
    supply_micro_eur_per_kwh: int = 0
    """What a kWh bought here saves at the supplier."""
    primary_energy_micro_eur_per_kwh_pe: int | None = None
    """What another kWh of primary energy costs or is worth (planning, dispatch)."""
    imbalance_micro_eur_per_kwh: int | None = None
    """Expected imbalance price; None: the bond rate is counted."""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value is not None and value < 0:
                raise AdviceInvalid(f"{name} {value} is negative; give 0 or more")


@dataclass(frozen=True)
class TradeAdvice:
    """Orders to place, unsigned, with the reasons."""

    district_id: str
    standing: Standing
    orders: tuple[Order, ...]
    reasons: tuple[Reason, ...]

    def to_json(self, terms: Terms) -> dict[str, Any]:
        """Plain values; each order as the document that is signed, and as the command that signs it."""
        standing = {
            name: value.isoformat() if hasattr(value, "isoformat") else value
            for name, value in asdict(self.standing).items()
        }
        return {
            "district": self.district_id,
            "standing": standing,
            "orders": [unsigned_order(order, terms.domain) for order in self.orders],
            "commands": [command_of(order) for order in self.orders],
            "reasons": [reason.to_json() for reason in self.reasons],
        }


def command_of(order: Order) -> str:
    """The command that signs and places the order."""
    words = ["ped trade", "bid" if order.is_bid else "offer", order.district_id, format_hour_utc(order.hour)]
    words += [str(order.quantity_wh), str(order.price_micro_eur_per_kwh)]
    return " ".join(words + (["--attributes"] if order.with_attributes else []))


def advise_trade(
    district_id: str,
    hours: Hours,
    coming: Sequence[int],
    forecast: Forecast,
    standing: Standing,
    *,
    shortfall: Fraction,
    prices: Prices,
    terms: Terms,
    position: Position,
) -> TradeAdvice:
    """Offers and bids for the hours `coming`, which `forecast` has at the levels `shortfall` and 1 - it.

    Raises AdviceInvalid for a shortfall of a half or more and an hour outside the forecast.
    """
    if not 0 < shortfall < Fraction(1, 2):
        raise AdviceInvalid(f"probability of a shortfall {float(shortfall)}; give more than 0, less than 0.5")
    reasons = [_standing_reason(standing)]
    low, high = _net_import(forecast, coming, shortfall)
    exports = {hour: max(0, int(-value)) for hour, value in high.items()}
    imports = {hour: max(0, int(value)) for hour, value in low.items()}
    reasons.append(
        Reason(
            f"With {1 - float(shortfall):.0%} in each hour at least so much is exported, over "
            f"{sum(map(bool, exports.values()))} of {len(coming)} hours; no more is offered",
            sum(exports.values()) / WH_PER_KWH,
            "kWh",
            f"forecast: {forecast.method}",
        )
    )
    sold = {hour: sum(position.sold_wh.get((hour, book), 0) for book in (False, True)) for hour in coming}
    declared = {hour: position.declared_wh.get(hour, 0) for hour in coming}
    free = {hour: max(0, exports[hour] - declared[hour] - sold[hour]) for hour in coming}
    if any(declared.values()):
        reasons.append(
            Reason(
                "So much was declared to external certificates, which come before trades",
                sum(declared.values()) / WH_PER_KWH,
                "kWh",
                "certifier's API (domain.md §6)",
            )
        )
    if any(sold.values()):
        reasons.append(
            Reason(
                "So much is sold or offered already",
                sum(sold.values()) / WH_PER_KWH,
                "kWh",
                "certifier's API",
            )
        )
    attributed = _attributed(hours, free, standing, position, reasons)
    orders: list[Order] = []
    orders += _offers(district_id, hours, free, attributed, shortfall, prices, terms, reasons)
    orders += _bids(district_id, hours, imports, standing, position, prices, terms, reasons)
    return TradeAdvice(district_id, standing, tuple(orders), tuple(reasons))


def _net_import(
    forecast: Forecast, coming: Sequence[int], shortfall: Fraction
) -> tuple[dict[int, float], dict[int, float]]:
    labels = [int(label.timestamp()) // 3600 for label in forecast.index]
    low, high = (
        dict(zip(labels, forecast.quantiles[level].tolist(), strict=True))
        for level in (float(shortfall), float(1 - shortfall))
    )
    missing = next((hour for hour in coming if hour not in low), None)
    if missing is not None:
        raise AdviceInvalid(f"{format_hour_utc(missing)} is not among the hours that are forecast")
    return {hour: low[hour] for hour in coming}, {hour: high[hour] for hour in coming}


def _standing_reason(standing: Standing) -> Reason:
    state = "has" if standing.status else "does not have"
    return Reason(
        f"The district {state} PED status and keeps it until {standing.horizon}, with nothing traded, with "
        f"this probability ({standing.confidence:.0%} is aimed at)"
        + (f"; {standing.hindrance}" if standing.hindrance else ""),
        100 * standing.probability_kept,
        "%",
        f"outlook of the rolling-year balance, known until {standing.known_until} (domain.md §4)",
    )


def _attributed(
    hours: Hours, free: dict[int, int], standing: Standing, position: Position, reasons: list[Reason]
) -> dict[int, int]:
    """Wh per hour for the book with attributes: the same share of each hour's free export, rounded down."""
    known_end = first_hour(parse_day(standing.known_until.isoformat()))
    factors = {hour: hours.highest_marginal(hour) for hour in free}
    highest = max((f.marginal_factor or 0 for f in hours.by_number.values()), default=0)
    promised_mwh = sum(
        quantity * (factors.get(hour) or highest)
        for (hour, with_attributes), quantity in position.sold_wh.items()
        if with_attributes and hour >= known_end
    )
    spare_mwh = int(standing.spare_kwh_pe * WH_PER_KWH * PERMILLE) - promised_mwh
    reasons.append(
        Reason(
            "So much primary energy can leave with attributes and every verdict is still positive with the "
            "chosen confidence"
            + (f", after {promised_mwh / 1e6:,.1f} kWh_PE promised already" if promised_mwh else ""),
            max(0, spare_mwh) / 1e6,
            "kWh_PE",
            f"{1 - standing.confidence:.0%} quantile of the worst coming midnight (domain.md §4)",
        )
    )
    costs = {hour: factor for hour, factor in factors.items() if factor}
    wanted_mwh = sum(free[hour] * factor for hour, factor in costs.items())
    if spare_mwh <= 0 or wanted_mwh <= 0:
        if wanted_mwh <= 0 and any(free.values()):
            reasons.append(
                Reason("No marginal factor is known, so nothing goes with attributes", None, "", "hours")
            )
        return dict.fromkeys(free, 0)
    share = min(Fraction(1), Fraction(spare_mwh, wanted_mwh))
    return {hour: int(free[hour] * share) if hour in costs else 0 for hour in free}


def _offers(
    district_id: str,
    hours: Hours,
    free: dict[int, int],
    attributed: dict[int, int],
    shortfall: Fraction,
    prices: Prices,
    terms: Terms,
    reasons: list[Reason],
) -> list[Order]:
    orders = []
    for hour, quantity in free.items():
        pe_price = prices.primary_energy_micro_eur_per_kwh_pe or 0
        pe_worth = -(-pe_price * (hours.highest_marginal(hour) or 0) // PERMILLE)
        for with_attributes, part in ((True, attributed[hour]), (False, quantity - attributed[hour])):
            if part > 0:
                worth = prices.feed_in_micro_eur_per_kwh + (pe_worth if with_attributes else 0)
                price = floor_price(
                    worth, shortfall, prices.imbalance_micro_eur_per_kwh, terms.bond_micro_eur_per_kwh
                )
                orders.append(_order(district_id, hour, with_attributes, False, part, price, terms))
    for with_attributes, words in (
        (True, "with attributes"),
        (False, "without attributes (costs no balance)"),
    ):
        placed = [order for order in orders if order.with_attributes == with_attributes]
        if placed:
            reasons.append(
                Reason(
                    f"Offered {words} in {len(placed)} hours",
                    sum(order.quantity_wh for order in placed) / WH_PER_KWH,
                    "kWh",
                    "forecast export, less what is sold, within the spare balance",
                )
            )
            reasons.append(
                Reason(
                    f"Lowest floor price {words}: worth elsewhere, and the risk of a shortfall, which costs "
                    + (
                        "the bond rate (no imbalance price given)"
                        if prices.imbalance_micro_eur_per_kwh is None
                        else "clamp(imbalance price - price, 10 % of the price, bond rate)"
                    ),
                    min(order.price_micro_eur_per_kwh for order in placed),
                    "micro-EUR/kWh",
                    "prices given, market rules (domain.md §6)",
                )
            )
    return orders


def _bids(
    district_id: str,
    hours: Hours,
    imports: dict[int, int],
    standing: Standing,
    position: Position,
    prices: Prices,
    terms: Terms,
    reasons: list[Reason],
) -> list[Order]:
    """Fewest kWh first: the hours in which a kWh of import weighs most."""
    if standing.need_kwh_pe <= 0:
        return []
    factors = {hour: hours.lowest_average(hour) or 0 for hour in imports}
    known_end = first_hour(parse_day(standing.known_until.isoformat()))
    lowest = min((f.average_factor for f in hours.by_number.values() if f.average_factor), default=0)
    coming_mwh = sum(
        quantity * (factors.get(hour) or lowest)
        for (hour, with_attributes), quantity in position.bought_wh.items()
        if with_attributes and hour >= known_end
    )
    need_mwh = int(standing.need_kwh_pe * WH_PER_KWH * PERMILLE) + 1 - coming_mwh
    reasons.append(
        Reason(
            "So much primary energy is lacking for the chosen confidence"
            + (f", after {coming_mwh / 1e6:,.1f} kWh_PE bought or bid for already" if coming_mwh else ""),
            max(0, need_mwh) / 1e6,
            "kWh_PE",
            f"{standing.confidence:.0%} quantile of the worst coming midnight (domain.md §4)",
        )
    )
    pe_price = prices.primary_energy_micro_eur_per_kwh_pe
    if pe_price is None:
        reasons.append(
            Reason(
                "No bid: give the price of primary energy, what the cheapest other way to a kWh_PE costs",
                None,
                "",
                "--primary-energy-price",
            )
        )
        return []
    orders: list[Order] = []
    for hour in sorted(imports, key=lambda number: (-factors[number], number)):
        factor = factors[hour]
        known = sum(position.bought_wh.get((hour, book), 0) for book in (False, True))
        if need_mwh <= 0 or factor <= 0:
            break
        quantity = min(max(0, imports[hour] - known), -(-need_mwh // factor))
        if quantity > 0:
            limit = prices.supply_micro_eur_per_kwh + pe_price * factor // PERMILLE
            orders.append(_order(district_id, hour, True, True, quantity, limit, terms))
            need_mwh -= quantity * factor
    orders.sort(key=lambda order: order.hour)
    reasons.append(
        Reason(
            f"Bid for with attributes in {len(orders)} hours, never more than the import that is sure, since "
            "only min(delivered, import) moves",
            sum(order.quantity_wh for order in orders) / WH_PER_KWH,
            "kWh",
            "forecast import, lowest average factors of late (domain.md §6)",
        )
    )
    if orders:
        reasons.append(
            Reason(
                "Highest limit: what the kWh saves at the supplier, and the primary energy at its price",
                max(order.price_micro_eur_per_kwh for order in orders),
                "micro-EUR/kWh",
                "prices given",
            )
        )
    if need_mwh > 0:
        reasons.append(
            Reason(
                "Still lacking after these bids: the hours ahead import no more; bid again for later hours",
                need_mwh / 1e6,
                "kWh_PE",
                "need less bids",
            )
        )
    return orders


def _order(
    district_id: str, hour: int, with_attributes: bool, is_bid: bool, quantity: int, price: int, terms: Terms
) -> Order:
    """Expires with the gate; the nonce is random, as for any order, and signing may renew it."""
    nonce = secrets.randbits(63)
    expiry = hour_start(hour) - terms.gate_closure_s
    return Order(district_id, hour, with_attributes, is_bid, quantity, price, nonce, expiry)
