"""Quantiles of a point forecast from its own past errors: split conformal prediction.

The model is run again from origins in the past and its errors are ordered, for each clock time (and its
neighbours) and group of lead times; with n errors the level q is the one of rank ceil((n + 1) q) (below the
median: floor), so that a new error of the same kind lies beyond it as rarely as promised (Vovk et al. 2005;
exact where errors are exchangeable). Errors are divided by the model's scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

import numpy as np

from optimiser.forecast.baselines import PointModel
from optimiser.forecast.grid import Floats, Grid, Integers

LEAD_HOURS = (2, 6, 24)
"""Upper ends of the groups of lead times; the last group has no end."""
HORIZON_HOURS = 48
FEWEST = 20
"""With fewer errors a group takes those of all clock times, and then of all lead times."""


@dataclass(frozen=True)
class Offsets:
    """Error quantiles of shape (levels, lead groups, clock times), in units of the model's scale."""

    table: Floats

    def at(self, grid: Grid, origin: int, steps: int) -> Floats:
        """Shape (levels, steps)."""
        group = lead_groups(grid, steps)
        slot = (grid.first + origin + np.arange(steps)) % grid.per_day
        return self.table[:, group, slot]


def lead_groups(grid: Grid, steps: int) -> Integers:
    """Number of the group of lead times that each step belongs to."""
    lead_hours = np.arange(steps) / grid.per_hour
    return np.searchsorted(LEAD_HOURS, lead_hours, side="right").astype(np.int64)


def past_origins(grid: Grid, days: int) -> Integers:
    """Origins of the last `days` days of the grid, about every fifth hour, so that each clock time is met."""
    stride = grid.per_day // 5 + 1
    while gcd(stride, grid.per_day) > 1:
        stride += 1
    end = grid.values.size
    return np.arange(end - 1, max(0, end - days * grid.per_day), -stride, dtype=np.int64)[::-1]


def calibrate(model: PointModel, grid: Grid, days: int, levels: tuple[float, ...]) -> Offsets | None:
    """Error quantiles of `model` in the last `days` days of `grid`; None with fewer than FEWEST errors."""
    origins = past_origins(grid, days)
    if origins.size == 0:
        return None
    steps = HORIZON_HOURS * grid.per_hour
    targets = origins[:, None] + np.arange(steps)
    ended = targets < grid.values.size
    actual = np.where(ended, grid.values[np.minimum(targets, grid.values.size - 1)], np.nan)
    scale = model.scale(grid, origins, steps)
    error = np.divide(
        actual - model.points(grid, origins, steps), scale, out=np.full(scale.shape, np.nan), where=scale > 0
    )
    usable = ~np.isnan(error)
    if usable.sum() < FEWEST:
        return None
    group = np.broadcast_to(lead_groups(grid, steps), error.shape)[usable]
    slot = ((grid.first + targets) % grid.per_day)[usable]
    return Offsets(_table(error[usable], group, slot, grid, levels))


def _table(errors: Floats, group: Integers, slot: Integers, grid: Grid, levels: tuple[float, ...]) -> Floats:
    """Quantiles per group and clock time, pooled with the hour before and after."""
    groups, per_day = len(LEAD_HOURS) + 1, grid.per_day
    table = np.empty((len(levels), groups, per_day))
    everything = quantiles_of(errors, levels)
    for number in range(groups):
        inside = group == number
        of_group, slots = errors[inside], slot[inside]
        pooled = quantiles_of(of_group, levels) if of_group.size >= FEWEST else everything
        order = np.argsort(slots, kind="stable")
        ordered = of_group[order]
        edges = np.searchsorted(slots[order], np.arange(per_day + 1))
        by_slot = [ordered[edges[place] : edges[place + 1]] for place in range(per_day)]
        reach = grid.per_hour
        for place in range(per_day):
            near = np.concatenate([by_slot[(place + j) % per_day] for j in range(-reach, reach + 1)])
            table[:, number, place] = quantiles_of(near, levels) if near.size >= FEWEST else pooled
    return table


def quantiles_of(errors: Floats, levels: tuple[float, ...]) -> Floats:
    """Conformal quantiles of at least one error; levels ascending, so the result ascends too."""
    ordered = np.sort(errors)
    number = ordered.size
    ranks = [
        number / 2 + 0.5
        if level == 0.5
        else np.ceil((number + 1) * level)
        if level > 0.5
        else np.floor((number + 1) * level)
        for level in levels
    ]
    place = np.clip(np.asarray(ranks) - 1, 0, number - 1)
    low, high = np.floor(place).astype(int), np.ceil(place).astype(int)
    middle: Floats = (ordered[low] + ordered[high]) / 2
    return middle
