"""Tries the plan without storage first, and proves when it is the optimum.

Many districts do best without a battery, and without one the program has a tenth of the rows. Its duals price
the buses; if no unit of storage, operated in the best possible way at these prices, earns its own cost, then
no storage is optimal (the pricing step of column generation; the proof is linear-programming duality, so the
result is exact). Otherwise nothing is known and the whole program is solved.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from optimiser.planning.hourly import Lp
from optimiser.planning.model import District
from optimiser.planning.solve import Solution, Solver, Status

EARNS = 1e-6
"""EUR per unit of storage that count as nothing."""


def best_relaxed(district: District) -> Solution:
    """The optimum of a district's linear program. Raises SolverFailed."""
    lp = district.hourly.compile()
    return solve_without(lp, *_storage(district)) or Solver(lp).solve()


def _storage(district: District) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which columns belong to components that need not be built, and which are sizes."""
    storage, sizes = np.zeros((2, district.hourly.count), dtype=bool)
    for columns in district.optional:
        storage[columns] = True
    for size in district.sizes.values():
        place = district.hourly.place_of(size.amount)
        if place is not None:
            sizes[place] = True
    return storage, sizes


def solve_without(lp: Lp, storage: NDArray[np.bool_], sizes: NDArray[np.bool_]) -> Solution | None:
    """The optimum of `lp` if it has no storage, None if that could not be proven.

    storage: which columns belong to storage; sizes: which columns are sizes.
    """
    columns = lp.matrix.tocsc()
    inner = np.diff(columns[:, ~storage].tocsr().indptr) == 0
    zero = (lp.row_lower[inner] <= 0).all() and (lp.row_upper[inner] >= 0).all()
    if not storage.any() or not zero or lp.lower[storage].any() or lp.is_integer.any():
        return None
    restricted = _part(lp, ~inner, ~storage, lp.cost[~storage])
    found = Solver(restricted).solve()
    if found.status is not Status.OPTIMAL:
        return None
    links = columns[:, storage].tocsr()[~inner]
    reduced = lp.cost[storage] - links.T @ found.row_dual
    pricing = _part(lp, inner, storage, reduced)
    upper = pricing.upper.copy()
    upper[sizes[storage]] = 1.0
    # Without storage every flow is zero, where simplex starts: a proof takes less than a step per row.
    most = pricing.matrix.shape[0]
    priced = Solver(replace(pricing, upper=upper, offset=0.0), simplex_iterations=most).solve()
    if priced.status is not Status.OPTIMAL or priced.cost < -EARNS:
        return None
    return replace(
        found,
        x=_spread(found.x, ~storage),
        column_dual=_spread(found.column_dual, ~storage),
        row_dual=_spread(found.row_dual, ~inner),
        seconds=found.seconds + priced.seconds,
    )


def _part(lp: Lp, rows: NDArray[np.bool_], columns: NDArray[np.bool_], cost: NDArray[np.float64]) -> Lp:
    return Lp(
        cost,
        lp.offset,
        lp.lower[columns],
        lp.upper[columns],
        lp.is_integer[columns],
        lp.matrix.tocsc()[:, columns].tocsr()[rows],
        lp.row_lower[rows],
        lp.row_upper[rows],
    )


def _spread(values: NDArray[np.float64], places: NDArray[np.bool_]) -> NDArray[np.float64]:
    full = np.zeros(len(places))
    full[places] = values
    return full
