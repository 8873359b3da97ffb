"""The published scenarios under growing buying prices (Bruck et al. 2021, Fig. 10).

The figure has no table, so there is no number to compare with. What is compared instead holds for optima and
for nothing else: with `b` what a plan buys in a year at today's prices, EUR, and W(g) the weight of a growing
yearly payment (README), a plan's NPV at another growth is `NPV - (W(g') - W(g)) b`. The plan without growth,
paid at growing prices, must not beat the plan that was made for them, nor the latter, paid at constant
prices, the former. The status quo decides nothing: there both are equal.
"""

from collections.abc import Iterator, Mapping

from optimiser.case import make_case
from optimiser.inputs import Store, read_inputs
from optimiser.planning.net_rule import plan
from optimiser.planning.paper import (
    DATA,
    NPV_TOLERANCE,
    Comparison,
    Reproduction,
    scenario_case,
    scenario_document,
)
from optimiser.planning.plan import Plan

SCENARIOS, GROWTHS = ("S1", "SVS3U", "PES_lim2_U"), (0.02, 0.04)
SOURCE = "optimality"


def reproduce_growth(
    bases: Mapping[str, Plan], growths: tuple[float, ...] = GROWTHS
) -> Iterator[Reproduction]:
    """Plan each scenario under each growth of the buying price, 1/a; `bases`: the plans without, by name."""
    store = Store()
    for name, base in bases.items():
        for growth in growths:
            document = scenario_document(name)
            document["grid"]["buy_growth_per_a"] = growth
            case = make_case(document, DATA, f"scenario {name}")
            found = plan(case, read_inputs(case, store))
            more = case.economy.weight(growth) - scenario_case(name).economy.weight()
            comparisons = tuple(_compared(found, base, more, decides="pv" in document))
            words = f"{name}, buying price + {100 * growth:g} % a year (Fig. 10)"
            yield Reproduction(f"{name} +{100 * growth:g} %", words, found, comparisons)


def _compared(found: Plan, base: Plan, more: float, decides: bool) -> Iterator[Comparison]:
    tolerance = NPV_TOLERANCE * abs(base.npv_eur)
    repriced = base.npv_eur - more * _bought_eur(base)
    agrees = found.npv_eur >= repriced - tolerance
    if not decides:
        agrees = abs(found.npv_eur - repriced) <= tolerance
    sign = ">= " if decides else ""
    yield Comparison("NPV, EUR", found.npv_eur, f"{sign}{repriced:.2f}", SOURCE, agrees)
    constant = found.npv_eur + more * _bought_eur(found)
    agrees = constant <= base.npv_eur + tolerance
    yield Comparison("NPV at constant prices, EUR", constant, f"<= {base.npv_eur:.2f}", SOURCE, agrees)


def _bought_eur(found: Plan) -> float:
    """What is bought in a year at today's prices, EUR."""
    return found.step_h * float((found.flows["import_kw"] * found.flows["buy_eur_per_kwh"]).sum())
