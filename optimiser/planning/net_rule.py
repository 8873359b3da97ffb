"""Plans a case, with the metered net rule where the case asks for it.

domain.md §2 nets import and export in every hour and lets storage charge from production only in hours of
surplus. In hour t either `il = 0` (surplus) or `ex = 0` and `pb = 0` (deficit): a choice that is not
convex. The linear program without the choice is a bound. From its solution each hour is put on one side,
the program solved again, and the sides chosen anew until they stay: a feasible plan, printed with its
distance to the bound (MODEL.md §11.2; small instances are compared with the exact mixed-integer program in
the tests).

A meter that only forbids importing and exporting at once is a weaker rule: the plan of PES_lim2_U that
keeps it (-519,133 EUR) lets storage charge from production in hours of deficit, and by the allocation of
domain.md §2 its balance is -2,581 kWh_PE a year.
"""

import numpy as np
from numpy.typing import NDArray

from optimiser.case import Case
from optimiser.inputs import Inputs, read_inputs
from optimiser.planning.hourly import Floats
from optimiser.planning.infeasible import explain
from optimiser.planning.model import District, build
from optimiser.planning.plan import Plan, make_plan, without_solution
from optimiser.planning.solve import Solution, Solver, Status
from optimiser.planning.storage_free import solve_without
from optimiser.planning.tariff_choice import best_offer, plan_offers

PASSES = 6
WORTH = 1e-5
"""Relative improvement for which hours are put on their sides once more."""
TOLERANCE_KW = 1e-3


def plan(case: Case, inputs: Inputs | None = None, explained: bool = True) -> Plan:
    """The best plan of a case; why there is none takes several programs and can be left out.

    Raises SeriesError, InputMissing, CaseImpossible, SolverFailed.
    """
    known = read_inputs(case) if inputs is None else inputs
    if case.grid.tariff:
        return best_offer(plan_offers(case, known, lambda offer, series: plan(offer, series, explained)))
    district, relaxed = optimum(case, known)
    if relaxed.status is not Status.OPTIMAL:
        return without_solution(
            district, relaxed, explain(case, district.inputs, with_rule) if explained else ()
        )
    if case.balance.netting == "gross" or not _breaks_rule(district, relaxed.x):
        return make_plan(district, relaxed, -relaxed.cost)
    kept = with_rule(district, relaxed)
    if kept is None:
        return without_solution(
            district,
            relaxed,
            (
                f"Without the net rule the best NPV is {-relaxed.cost:,.0f} EUR; no assignment of the hours "
                "to surplus or deficit that was tried keeps the balance.",
            ),
        )
    gap = (kept.cost - relaxed.cost) / max(1.0, abs(relaxed.cost))
    return make_plan(
        district,
        kept,
        -relaxed.cost,
        (f"Net rule: a feasible plan; the best possible is at most {100 * gap:.2f} % better.",),
    )


def optimum(case: Case, inputs: Inputs) -> tuple[District, Solution]:
    """The model of a case and the solution of its linear program, without the net rule.

    Raises CaseImpossible, SolverFailed.
    """
    district = build(case, inputs)
    lp = district.hourly.compile()
    return district, solve_without(lp, *_storage(district)) or Solver(lp).solve()


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


def _flows(district: District, x: Floats) -> tuple[Floats, Floats, Floats]:
    hourly, grid = district.hourly, district.connection
    return (
        x[hourly.columns(grid.load_import)],
        hourly.evaluate(grid.export_kw, x),
        hourly.evaluate(district.charge_from_production_kw, x),
    )


def _breaks_rule(district: District, x: Floats) -> bool:
    bought, sold, charged = _flows(district, x)
    return bool((np.minimum(bought, np.maximum(sold, charged)) > TOLERANCE_KW).any())


def _produces_enough(district: District, x: Floats) -> NDArray[np.bool_]:
    """Hours in which production covers the load."""
    production = district.hourly.evaluate(district.production_kw, x)
    consumption = district.hourly.evaluate(district.consumption_kw, x)
    return np.asarray(production >= consumption - TOLERANCE_KW)


def _surplus(district: District, x: Floats) -> NDArray[np.bool_]:
    """The side of each hour that fits a solution: surplus where nothing need be bought for the load."""
    bought, _, _ = _flows(district, x)
    return np.asarray(_produces_enough(district, x) | (bought <= TOLERANCE_KW))


def with_rule(district: District, relaxed: Solution) -> Solution | None:
    """A solution near the relaxed one that keeps the net rule; None if none was found."""
    solver = Solver(district.hourly.compile())
    best: Solution | None = None
    x = relaxed.x
    for _ in range(PASSES):
        found = _on_sides(district, solver, _surplus(district, x))
        if best is None and found.status is Status.INFEASIBLE:
            found = _on_sides(district, solver, _produces_enough(district, x))
        if found.status is not Status.OPTIMAL:
            break
        if best is not None and found.cost > best.cost - WORTH * abs(best.cost):
            return min(best, found, key=lambda solution: solution.cost)
        best, x = found, found.x
    return best


def _on_sides(district: District, solver: Solver, surplus: NDArray[np.bool_]) -> Solution:
    """The best solution with every hour on its side."""
    _fix(district, solver, surplus)
    return solver.solve()


def _fix(district: District, solver: Solver, surplus: NDArray[np.bool_]) -> None:
    hourly, grid = district.hourly, district.connection
    for variable, allowed in (
        (grid.load_import, ~surplus),
        (grid.export, surplus),
        *((charging, surplus) for charging in district.production_charging),
    ):
        solver.bound_columns(hourly.columns(variable), 0.0, np.where(allowed, hourly.upper(variable), 0.0))
