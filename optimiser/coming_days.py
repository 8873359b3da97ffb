"""Days to come, drawn from a district's own days of similar season.

`b(d) = s(d) + a(d)`: `s` is the mean of the complete days of all known years within `SEASON_DAYS` of the
calendar date, `a` the anomaly that is left. Each path draws blocks of `BLOCK_DAYS` consecutive anomalies from
days of similar season (moving-block bootstrap, Künsch 1989: weather lasts for days), and once more to disturb
`s` itself as the sampling of the known years does (with n years its error is that of a mean of n): without
this a district with one known year would seem to know its climate. Balance and GHG of a day are drawn
together. There is no trend: after a change of the district or of the grid, give only the days since.
"""

from __future__ import annotations

from datetime import date

import numpy as np
from numpy.typing import NDArray

from contracts.hour import format_day
from optimiser.balances import BalancesInvalid

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SEASON_DAYS = 15
POOL_DAYS = 30
BLOCK_DAYS = 7
YEAR_DAYS = 365


def _season(numbers: Integers) -> Floats:
    """Place of each day in its year, the same for the same date of every year."""
    return np.array(
        [
            (date.fromisoformat(format_day(int(n))).replace(year=2000) - date(2000, 1, 1)).days
            * YEAR_DAYS
            / 366
            for n in numbers
        ]
    )


def _apart(a: Floats, b: Floats) -> Floats:
    """Days of the year between each of `a` and each of `b`, the short way round."""
    difference = np.abs(a[:, None] - b[None, :])
    shortest: Floats = np.minimum(difference, YEAR_DAYS - difference)
    return shortest


def coming_days(balances: Floats, complete: NDArray[np.bool_], first: int, paths: int, seed: int) -> Floats:
    """Balance and GHG of the days of the coming year, of shape (paths, days, 2)."""
    season = _season(first + np.arange(len(balances) + YEAR_DAYS))
    past, ahead = season[: len(balances)], season[len(balances) :]
    near_past = (_apart(past, past) <= SEASON_DAYS) & complete
    near_ahead = (_apart(ahead, past) <= SEASON_DAYS) & complete
    for near, offset in ((near_past, 0), (near_ahead, len(balances))):
        lonely = np.flatnonzero(~near.any(axis=1))
        if lonely.size:
            day = format_day(first + offset + int(lonely[0]))
            raise BalancesInvalid(
                f"no complete day within {SEASON_DAYS} days of the date of {day}: the season is unknown"
            )
    anomalies = np.where(complete[:, None], balances - _means(near_past, balances), 0)
    number = near_past.sum(axis=1)[:, None]
    anomalies *= np.sqrt(number / np.maximum(number - 1, 1))  # the mean holds the day itself
    chooser = np.random.default_rng(seed)
    starts = _block_starts(past, ahead, complete)
    drawn = anomalies[_blocks(starts, YEAR_DAYS, paths, chooser)]
    years = max(1.0, len(balances) / YEAR_DAYS)
    kernel = (_apart(ahead, ahead) <= SEASON_DAYS).astype(np.float64)
    kernel /= kernel.sum(axis=1, keepdims=True)
    again = anomalies[_blocks(starts, YEAR_DAYS, paths, chooser)]
    disturbed = np.einsum("ij,pjk->pik", kernel, again, optimize=True) / np.sqrt(years)
    coming: Floats = _means(near_ahead, balances) + disturbed + drawn
    return coming


def _means(near: NDArray[np.bool_], balances: Floats) -> Floats:
    means: Floats = (near @ balances) / near.sum(axis=1)[:, None]
    return means


def _block_starts(past: Floats, ahead: Floats, complete: NDArray[np.bool_]) -> list[Integers]:
    """For each block of coming days, where blocks of complete days of similar season begin."""
    length = min(BLOCK_DAYS, len(past))
    run = np.convolve(complete, np.ones(length, dtype=np.int64), mode="valid") == length
    whole = np.flatnonzero(run)
    if whole.size == 0:
        raise BalancesInvalid(f"no {length} complete days in a row; the outlook has nothing to draw from")
    near = _apart(ahead[::BLOCK_DAYS], past[whole]) <= POOL_DAYS
    return [whole[row] if row.any() else whole for row in near]


def _blocks(starts: list[Integers], days: int, paths: int, chooser: np.random.Generator) -> Integers:
    """Known days to draw from, of shape (paths, days)."""
    chosen = np.stack([chooser.choice(pool, paths) for pool in starts], axis=1)
    drawn: Integers = (chosen[:, :, None] + np.arange(BLOCK_DAYS)).reshape(paths, -1)[:, :days]
    return drawn
