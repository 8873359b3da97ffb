"""Puts every hour on the side of surplus or of deficit, so that a solution keeps the net rule.

`[balance] netting` says what only one of the two sides may have (`model.py`): with `net` import for the load
meets neither export nor charging from production (domain.md §2, allocation included); with `one-way` import
does not meet export. The linear program without the choice is a bound. From its solution each hour is put on
one side and the program solved again: a feasible solution. Then hours that would earn more on the other side
are moved, as long as that helps. Small instances are compared with the exact mixed-integer program in the
tests.

The published study of this rule (MODEL.md §11.2 c, `nocheat_meter_fixedu`) solves once, with surplus where
the production of the bound's panels covers the load: `produces_enough`. Those sides are always among those
that are solved, so that the result is at least as good. The study keeps the rule `one-way`, which neither
contains `net` nor is contained in it: in hours of deficit it lets storage charge from production, which
domain.md §2 weighs as import, and in hours of surplus it forbids charging from the grid. Its plan of
PES_lim2_U (-519,133 EUR) has, by the allocation of domain.md §2, a balance of -2,581 kWh_PE a year, so no
result of `net` need reach its NPV; results of `one-way` must: measured, NPV in EUR and distance to the bound,

| scenario | published study | `one-way` | `net` |
|---|---|---|---|
| PES_lim2_U | -519,133 | -519,099 (1.06 %) | |
| EH_PES_lim2_U | -404,705 | -404,705 (3.35 %) | -426,564 (8.93 %; its heuristic under `net`: -477,744) |
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimiser.planning.hourly import Floats
from optimiser.planning.model import PRIMARY_ENERGY, District
from optimiser.planning.solve import Solution, Solver, Status

PASSES = 8
"""Programs that are solved to improve the first feasible solution."""
WORTH = 1e-5
"""Relative improvement that counts."""
FIRST_SHARE = 1 / 3
"""How many of the hours that would do better on the other side are moved at once; a third after a failure."""
TOLERANCE_KW = 1e-3
Sides = NDArray[np.bool_]
"""Per interval: surplus (true) or deficit."""


def _parts(district: District, x: Floats) -> tuple[Floats, Floats]:
    """Of each interval, kW: the largest of what only deficit may have, and of what only surplus may have."""
    columns = district.hourly.columns
    zero = np.zeros(district.hourly.steps)
    return (
        np.maximum.reduce([zero, *(x[columns(variable)] for variable in district.deficit_only)]),
        np.maximum.reduce([zero, *(x[columns(variable)] for variable in district.surplus_only)]),
    )


def breaks_rule(district: District, x: Floats) -> bool:
    return bool((np.minimum(*_parts(district, x)) > TOLERANCE_KW).any())


def produces_enough(district: District, x: Floats) -> Sides:
    """Hours in which production covers the load: the sides of the published heuristic."""
    production = district.hourly.evaluate(district.production_kw, x)
    consumption = district.hourly.evaluate(district.consumption_kw, x)
    return np.asarray(production >= consumption - TOLERANCE_KW)


def needs_no_import(district: District, x: Floats) -> Sides:
    """The side of each hour that fits a solution: surplus where nothing need be bought for the load."""
    return np.asarray(produces_enough(district, x) | (_parts(district, x)[0] <= TOLERANCE_KW))


def with_rule(district: District, relaxed: Solution, known: Sides | None = None) -> Solution | None:
    """A solution near the relaxed one that keeps the rule; None if none was found.

    At least as good as the best one with the sides `produces_enough` of the relaxed solution, or with those
    that are `known` to be possible, since they are among those it takes the best of.
    """
    solver = Solver(district.hourly.compile())
    tried: list[Sides] = []
    best: Solution | None = None
    for sides in _starts(district, relaxed, known):
        if not _contains(tried, sides):
            tried.append(sides)
            best = _better(best, on_sides(district, solver, sides))
    if best is None:
        honest = _without_gain(district, relaxed)
        best = None if honest is None else _better(None, on_sides(district, solver, honest))
    if best is None:
        return None
    share = FIRST_SHARE
    for _ in range(PASSES):
        sides = needs_no_import(district, best.x)
        flips = _contains(tried, sides)
        if flips:
            sides = _flipped(district, best, sides, share)
        tried.append(sides)
        found = on_sides(district, solver, sides)
        if found.cost < best.cost - WORTH * abs(best.cost):
            best = found
        elif flips:
            share /= 3
    return best


def _starts(district: District, relaxed: Solution, known: Sides | None) -> list[Sides]:
    near = [choose(district, relaxed.x) for choose in (produces_enough, needs_no_import)]
    return near if known is None else [*near, known]


def _contains(tried: list[Sides], sides: Sides) -> bool:
    return any(np.array_equal(sides, old) for old in tried)


def _better(best: Solution | None, found: Solution) -> Solution | None:
    if found.status is not Status.OPTIMAL or (best is not None and best.cost <= found.cost):
        return best
    return found


def _without_gain(district: District, relaxed: Solution) -> Sides | None:
    """Sides of the program in which the two sides of an hour gain nothing together.

    Import for the load is weighted up to where, at the price of primary energy of the relaxed solution (half
    as much again), importing and exporting a kWh in one hour no longer pays: a solution then needs the rule
    hardly anywhere, and is mostly feasible where sides taken from the relaxed one are not.
    """
    hourly = district.hourly
    if PRIMARY_ENERGY not in hourly.row_places:
        return None
    lp = hourly.compile()
    place = hourly.row_places[PRIMARY_ENERGY].start
    load, export = hourly.columns(district.connection.load_import), hourly.columns(district.connection.export)
    weights = np.ravel(lp.matrix[[place]].toarray())
    sign = np.sign(weights[export].sum())
    spread = np.maximum(0.0, lp.cost[load] + lp.cost[export])
    price = max(1.5 * abs(float(relaxed.row_dual[place])), 1e-9)
    weights[load] = sign * np.minimum(sign * weights[load], spread / price - sign * weights[export])
    matrix = lp.matrix.tolil()
    matrix[[place]] = weights.reshape(1, -1)
    found = Solver(replace(lp, matrix=matrix.tocsr())).solve()
    if found.status is not Status.OPTIMAL:
        return None
    needed, offered = (
        np.sum([found.x[hourly.columns(variable)] for variable in variables], axis=0)
        for variables in (district.deficit_only, district.surplus_only)
    )
    return np.asarray(needed <= offered + TOLERANCE_KW)


def _flipped(district: District, solution: Solution, sides: Sides, share: float) -> Sides:
    """The sides with those hours moved to the other one that gain most there at the solution's prices.

    A variable that its side keeps at zero has a reduced cost; if that is negative, each kW of it would earn
    it. What the hour's side can earn in this way, with powers as they occur in the solution, is compared with
    the other's, and of the hours that would do better `share` are moved.
    """

    def gain(variables: tuple[Any, ...]) -> Floats:
        total = np.zeros(district.hourly.steps)
        for variable in variables:
            columns = district.hourly.columns(variable)
            most = np.minimum(district.hourly.upper(variable), max(1.0, float(solution.x[columns].max())))
            total += np.maximum(0.0, -solution.column_dual[columns]) * most
        return total

    advantage = gain(district.surplus_only) - gain(district.deficit_only)
    advantage[sides] *= -1
    count = max(1, int(share * (advantage > 0).sum()))
    moved = np.argsort(-advantage, kind="stable")[:count]
    flipped = sides.copy()
    flipped[moved] = ~flipped[moved]
    return flipped


def on_sides(district: District, solver: Solver, surplus: Sides) -> Solution:
    """The best solution with every hour on its side."""
    hourly = district.hourly
    for variables, allowed in ((district.deficit_only, ~surplus), (district.surplus_only, surplus)):
        for variable in variables:
            most = np.where(allowed, hourly.upper(variable), 0.0)
            solver.bound_columns(hourly.columns(variable), 0.0, most)
    return solver.solve()
