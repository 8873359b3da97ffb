"""Plans a case: the linear program, and where it breaks the case's net rule a plan that keeps the rule.

The net rule is not convex (`sides.py`): the plan is feasible and printed with its distance to the bound.
"""

from optimiser.case import Case
from optimiser.inputs import Inputs, read_inputs
from optimiser.planning.infeasible import explain
from optimiser.planning.model import District, build
from optimiser.planning.plan import Plan, make_plan, without_solution
from optimiser.planning.sides import breaks_rule, with_rule
from optimiser.planning.solve import Solution, Status
from optimiser.planning.storage_free import best_relaxed
from optimiser.planning.tariff_choice import best_offer, plan_offers


def plan(case: Case, inputs: Inputs | None = None, explained: bool = True) -> Plan:
    """The best plan of a case; why there is none takes several programs and can be left out.

    Raises SeriesError, InputMissing, CaseImpossible, SolverFailed.
    """
    known = read_inputs(case) if inputs is None else inputs
    if case.grid.tariff:
        return best_offer(plan_offers(case, known, lambda offer, series: plan(offer, series, explained)))
    district, relaxed = optimum(case, known)
    if relaxed.status is not Status.OPTIMAL:
        return without_solution(district, relaxed, *(explain(case, known) if explained else ((), None)))
    if not breaks_rule(district, relaxed.x):
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
    return district, best_relaxed(district)
