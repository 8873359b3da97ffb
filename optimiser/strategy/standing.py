"""What a district can give away of its rolling-year balance, or lacks, at a chosen confidence (domain.md §4).

Export sold with its attributes leaves the seller's balance: E falls by Wh times the marginal factor, and GHG
loses its credit (domain.md §6). Import bought with attributes stops counting at the average factor. An hour
to come lies in all windows of the year after it, so what counts is the worst of the coming midnights on each
path of `optimiser.outlook`: of these worst values the quantile is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from optimiser.balances import Day
from optimiser.outlook import project
from optimiser.strategy.reason import AdviceInvalid

STRICTLY_KWH_PE = 1e-6
"""The condition is "greater than zero", in whole mWh_PE."""


@dataclass(frozen=True)
class GhgRates:
    """GHG that goes with primary energy, kg CO2e per kWh_PE; None: no hour shows it."""

    out: float | None
    """The most that a kWh_PE given away with its attributes loses of GHG credit."""
    into: float | None
    """The least that a kWh_PE of import taken over with attributes spares."""


@dataclass(frozen=True)
class Standing:
    """Where a district stands with its status. Energies kWh_PE."""

    status: bool
    known_until: date
    horizon: date
    confidence: float
    probability_kept: float
    """That every verdict from the first delivery to the horizon is positive, with nothing traded."""
    spare_kwh_pe: float
    """Can be given away and every verdict is still positive with the confidence."""
    need_kwh_pe: float
    """Must come in for that; where the status is lost already, for the verdict of the horizon."""
    hindrance: str | None
    """What energy does not mend."""


def find_standing(
    days: Sequence[Day],
    delivery: date,
    *,
    confidence: float = 0.95,
    ghg: GhgRates,
    horizon_days: int = 365,
    paths: int = 2_000,
    seed: int = 0,
) -> Standing:
    """Standing at the midnights after the day of the first `delivery`.

    Raises BalancesInvalid for days without a projection, AdviceInvalid for a delivery outside the horizon.
    """
    if not 0 < confidence < 1:
        raise AdviceInvalid(f"confidence {confidence}; give a probability between 0 and 1, such as 0.95")
    ahead = project(days, horizon_days=horizon_days, paths=paths, seed=seed)
    first = (delivery - ahead.known_until).days
    if not 0 <= first < horizon_days:
        raise AdviceInvalid(
            f"delivery on {delivery}, but the balance is known until {ahead.known_until} and projected for "
            f"{horizon_days} days; give newer balances or a longer horizon"
        )
    balance, net_ghg = ahead.windows[:, first:, 0], ahead.windows[:, first:, 1]
    incomplete = bool(ahead.incomplete_now or ahead.incomplete[first:].any())
    kept = ((balance > 0) & (net_ghg <= 0)).all(axis=1) & (not incomplete)
    spare = need = 0.0
    hindrance = "too few complete hours in a window ahead (domain.md §4)" if incomplete else None
    if ahead.status and not incomplete:
        if ghg.out is None:
            hindrance = "no hour of pure export shows how much GHG credit goes with its attributes"
        else:
            slack = balance.min(axis=1) - STRICTLY_KWH_PE
            if ghg.out > 0:
                slack = np.minimum(slack, (-net_ghg).min(axis=1) / ghg.out)
            spare = max(0.0, float(np.quantile(slack, 1 - confidence, method="lower")))
    last = slice(None) if ahead.status else slice(-1, None)
    short = np.where(balance[:, last] > 0, 0.0, STRICTLY_KWH_PE - balance[:, last]).max(axis=1)
    excess = np.maximum(net_ghg[:, last], 0).max(axis=1)
    if ghg.into is not None and ghg.into > 0:
        short = np.maximum(short, excess / ghg.into)
    elif np.quantile(excess, confidence, method="higher") > 0:
        hindrance = "net GHG may rise above zero, and no hour of import shows how much attributes would spare"
    need = float(np.quantile(short, confidence, method="higher"))
    horizon = date.fromordinal(ahead.known_until.toordinal() + horizon_days)
    return Standing(
        ahead.status,
        ahead.known_until,
        horizon,
        confidence,
        float(kept.mean()),
        spare,
        need,
        hindrance,
    )
