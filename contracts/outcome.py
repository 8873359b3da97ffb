"""The outcome of a book as it is proposed to the market contract, which recomputes it (domain.md §6)."""

from dataclasses import dataclass
from typing import Any

from contracts.clearing import Clearing
from contracts.pro_rata import Cut


@dataclass(frozen=True, slots=True)
class Outcome:
    """Volume, price and how the orders at the price share. Energies in Wh; field order is the contract's."""

    volume_wh: int
    price_micro_eur_per_kwh: int
    """0 when nothing trades."""
    bid_margin_wh: int
    """Quantity of all bids at the price."""
    offer_margin_wh: int
    bid_rest_wh: int
    """What of the volume the bids at the price share."""
    offer_rest_wh: int
    bid_cut: Cut
    """Who of the bids at the price gets one Wh more."""
    offer_cut: Cut

    @classmethod
    def of(cls, clearing: Clearing) -> "Outcome":
        """The outcome that a clearing amounts to."""
        bids, offers = clearing.bid_margin, clearing.offer_margin
        return cls(
            volume_wh=clearing.volume_wh,
            price_micro_eur_per_kwh=clearing.price_micro_eur_per_kwh or 0,
            bid_margin_wh=bids.wanted_wh,
            offer_margin_wh=offers.wanted_wh,
            bid_rest_wh=bids.available_wh,
            offer_rest_wh=offers.available_wh,
            bid_cut=bids.cut,
            offer_cut=offers.cut,
        )

    @classmethod
    def from_abi(cls, raw: Any) -> "Outcome":
        """From what the contract returns or announces."""
        return cls(*(*raw[:6], Cut(*raw[6]), Cut(*raw[7])))
