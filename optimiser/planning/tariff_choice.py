"""Several tariffs compared: the district is planned under each, and takes the best.

A tariff holds for the whole plan and the sizes that suit it differ from offer to offer, so that each is a
plan of its own (exact; a program with one binary per tariff would have to solve as many).
"""

from collections.abc import Callable
from dataclasses import replace

from optimiser.case import Case
from optimiser.inputs import Inputs, Source, Store
from optimiser.planning.plan import Plan
from optimiser.planning.solve import Status

Planner = Callable[[Case, Inputs], Plan]


def plan_offers(case: Case, inputs: Inputs, planner: Planner) -> dict[str, Plan]:
    """The plan under each of the case's tariffs, by name. Raises SeriesError and what `planner` raises."""
    source, plans = Source(case.folder, case.period, Store()), {}
    for name, grid in case.grid.offers().items():
        series = {("grid", key): values for key, values in grid.read(source).items()}
        offer = case.model_copy(update={"grid": grid})
        plans[name] = planner(offer, replace(inputs, series={**inputs.series, **series}))
    return plans


def best_offer(plans: dict[str, Plan]) -> Plan:
    """The plan with the highest NPV, which says what the others would have been."""
    possible = {name: plan for name, plan in plans.items() if plan.status is Status.OPTIMAL}
    if not possible:
        return next(iter(plans.values()))
    ranked = sorted(possible, key=lambda name: -possible[name].npv_eur)
    first, others = possible[ranked[0]], [name for name in plans if name != ranked[0]]
    sentences = [f"Tariff {ranked[0]!r} is the best of {len(plans)}: NPV {first.npv_eur:,.0f} EUR."]
    for name in sorted(others, key=lambda name: (ranked + others).index(name)):
        plan = plans[name]
        said = f"NPV {plan.npv_eur:,.0f} EUR" if name in possible else str(plan.status)
        sentences.append(f"Tariff {name!r}: {said}.")
    return replace(first, explanation=(*sentences, *first.explanation))
