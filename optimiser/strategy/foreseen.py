"""Quantiles of the net import of coming hours, from the district's own past hours and forecast errors."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from contracts.hour import HOUR_S, format_hour_utc
from optimiser.forecast import Baseline, Corrected, Forecast, SimilarDays
from optimiser.strategy.hours import Hours
from optimiser.strategy.reason import AdviceInvalid

SIMILAR_DAYS = 5
LONGEST_LEAD_HOURS = 7 * 24


def foresee(hours: Hours, last: int, levels: Sequence[float]) -> Forecast:
    """Net import, Wh, signed, of every hour from the newest known one up to `last`, at the given levels.

    Raises AdviceInvalid when `last` lies too far ahead, HistoryInvalid for a history without values.
    """
    end = hours.end
    if not end <= last < end + LONGEST_LEAD_HOURS:
        raise AdviceInvalid(
            f"{format_hour_utc(last)} is to be forecast, but the newest complete hour ended "
            f"{format_hour_utc(end)}; up to {LONGEST_LEAD_HOURS} hours after it can be: give newer hours"
        )
    model = Baseline(Corrected(SimilarDays(count=SIMILAR_DAYS)), levels=levels, bounds=(None, None))
    return model.forecast(hours.net_import(), pd.Timestamp(end * HOUR_S, unit="s", tz="UTC"), last - end + 1)
