"""The least price at which a Wh is worth offering, micro-euro per kWh (domain.md §6).

A Wh sold at price p earns p with the probability 1 - a that it is there, instead of what it is worth
elsewhere, v; with the probability a it is short and costs clamp(p_imbalance - p, 10 % of p, bond rate). It is
worth offering from the least p with (1 - a) (p - v) >= a penalty(p) on. This is the Wh at the lower quantile
a of the forecast; all Wh below it are surer. Without an imbalance price the penalty is the bond rate.
"""

from fractions import Fraction


def shortfall_penalty(price: int, imbalance: int | None, bond: int) -> int:
    """Penalty for a missing kWh sold at `price`, micro-euro per kWh; 10 % of the price is rounded up."""
    if imbalance is None:
        return bond
    return min(max(imbalance - price, -(-price // 10)), bond)


def floor_price(worth: int, shortfall: Fraction, imbalance: int | None, bond: int) -> int:
    """The least price for a Wh worth `worth` elsewhere and short with the probability `shortfall` (< 1/2)."""

    def worthwhile(price: int) -> bool:
        gain = (1 - shortfall) * (price - worth)
        return gain >= shortfall * shortfall_penalty(price, imbalance, bond)

    low = worth
    high = worth + bond  # shortfall < 1/2, so the gain there is at least the greatest penalty's share
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if worthwhile(middle) else (middle + 1, high)
    return low
