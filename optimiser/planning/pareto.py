"""What primary energy and greenhouse gas cost: fronts of the NPV against each, by the epsilon constraint.

Both requirements of the case are dropped; the plan with the best NPV is one end, the best possible balance
the other, and between them the balance is required step by step (bounds in equal distances).
"""

from typing import Any

import numpy as np

from optimiser.case import Case, CaseError
from optimiser.inputs import read_inputs
from optimiser.planning.model import build
from optimiser.planning.solve import Solver, Status
from optimiser.planning.sweep import Point, Progress, plan_all

PRIMARY_ENERGY, GHG = "primary_energy_balance", "ghg_balance"
"""Indicators against which the NPV is set."""
SLACK = 1e-6
"""Relative; the last bound is that much inside the best possible."""


def front(
    case: Case,
    against: str,
    count: int,
    scheduler: str | None = None,
    workers: int = 0,
    progress: Progress | None = None,
) -> list[Point]:
    """Plans of which none is better in both, by falling NPV; `values` has the bound of each.

    Raises CaseError and what `sweep` raises.
    """
    if count < 2:
        raise CaseError(f"a front of {count} points: give at least 2, its ends")
    if case.grid.tariff:
        raise CaseError("a front needs one tariff: leave [[grid.tariff]] out and give [grid] buy and sell")
    free = _with(case, positive=False, ghg_neutral=False)
    best, error = plan_all([free], scheduler, workers=1)[0]
    if best is None or best.status is not Status.OPTIMAL:
        reason = error if best is None else "; ".join(best.explanation)
        raise CaseError(f"there is no plan even without requirements: {reason}")
    start = best.indicator(against)
    end = _extreme(free, against)
    end += SLACK * max(1.0, abs(end)) * (-1 if against == PRIMARY_ENERGY else 1)
    bounds = [float(bound) for bound in np.linspace(start, end, count)[1:]]
    cases = [
        _with(free, positive=True, margin_kwh_pe=bound)
        if against == PRIMARY_ENERGY
        else _with(free, ghg_neutral=True, ghg_limit_kg=bound)
        for bound in bounds
    ]
    points = [Point({against: start}, best)]
    for bound, (found, reason) in zip(bounds, plan_all(cases, scheduler, workers, progress), strict=True):
        points.append(Point({against: bound}, found, reason))
    return non_dominated(points, against)


def non_dominated(points: list[Point], against: str) -> list[Point]:
    """The points with a plan that no other beats in both, by falling NPV."""
    sign = 1 if against == PRIMARY_ENERGY else -1
    solved = [(point.plan, point) for point in points if point.plan and point.plan.status is Status.OPTIMAL]
    kept: list[Point] = []
    reached = -np.inf
    for plan, point in sorted(
        solved, key=lambda pair: (-pair[0].npv_eur, -sign * pair[0].indicator(against))
    ):
        if sign * plan.indicator(against) > reached:
            kept.append(point)
            reached = sign * plan.indicator(against)
    return kept


def _extreme(case: Case, against: str) -> float:
    district = build(case, read_inputs(case))
    target = -1 * district.primary_energy_kwh if against == PRIMARY_ENERGY else district.ghg_kg
    district.hourly.minimise(target)
    solution = Solver(district.hourly.compile()).solve()
    if solution.status is not Status.OPTIMAL:
        raise CaseError(f"the best {against} has no end ({solution.status}): limit sizes or the connection")
    return -solution.cost if against == PRIMARY_ENERGY else solution.cost


def _with(case: Case, **balance: Any) -> Case:
    return case.model_copy(update={"balance": case.balance.model_copy(update=balance)})
