"""The district as one linear program: buses, the year's primary-energy and GHG rows, the objective.

Per interval, kW (domain.md §2): `production + il + discharge = consumption + ex + pb`, where `il` is import
for the load, `ex` export, `pb` charging from production; `ib`, charging from the grid, goes from grid to
storage and cancels. Heat and cooling: what comes into the bus equals what goes out. Over the year, h hours
per interval:

* primary energy: `sum h (ex m - il a - (ib + foreign) m) - sum fuel f >= margin` [B 6, appendix A];
* greenhouse gas: `sum h (il a' + (ib + foreign) m' - ex m') + sum fuel f' <= 0` (domain.md §3, §4);
* objective: minimise `sum size (price replaced(lifetime) + upkeep W) + sum W(g) cost`, which is -NPV, with
  `W(g) = sum_y (1+g)^(y-1) / (1+i)^y`.

**One year stands for all.** The years of the published 20-year program have the same load, weather and mix
and share only sizes and the state of charge at midnight of New Year. If each year closes on itself, the same
operation is feasible and equally good in every year: an optimum of one year, repeated, is an optimum of all,
and the objective is the year's cash flow times W(0) (20.5 EUR above the 20-year optimum of PES_lim2_U, which
must start with an empty battery once). With tariff growth the prices differ from year to year; weighting each
with its own W(g) is exact as long as operation does not follow prices from one year to another, and otherwise
the value of the best operation that is the same in all years: the plan is feasible, its NPV a lower bound.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from optimiser.case import Case
from optimiser.inputs import Inputs
from optimiser.planning.components.component import Size, Terms, YearlyCost, joined
from optimiser.planning.components.grid import Connection, connect
from optimiser.planning.hourly import Hourly, Rule

BALANCE, PRIMARY_ENERGY, GHG = "electricity", "primary_energy", "ghg"
"""Names of rows."""


class CaseImpossible(ValueError):
    """A case without something to plan, or with a bus that has a demand and no supply."""


@dataclass(frozen=True)
class District:
    """A model ready to be compiled, and how to read its solution."""

    case: Case
    inputs: Inputs
    hourly: Hourly
    terms: Mapping[str, Terms]
    connection: Connection
    production_kw: Rule
    consumption_kw: Rule
    charge_from_production_kw: Rule
    discharge_kw: Rule
    primary_energy_kwh: Any
    """Expression: the year's balance, kWh_PE; None without any row that could weigh it."""
    ghg_kg: Any
    """Expression: the year's net greenhouse gas, kg CO2e."""
    fuels_kwh: Mapping[str, Any]
    """Expressions: the year's fuel by carrier."""
    costs: tuple[YearlyCost, ...]
    sizes: Mapping[str, Size]
    deficit_only: tuple[Any, ...]
    """Variables that are zero in hours of surplus."""
    surplus_only: tuple[Any, ...]
    """Variables that are zero in hours of deficit: in every hour one of the two groups is."""
    optional: tuple[slice, ...]
    """Columns of components that need not be built."""


def build(case: Case, inputs: Inputs, expanded: bool = False, switch_kw: float | None = None) -> District:
    """State the case on a model.

    expanded: Pyomo builds every interval itself (slow; to check the expansion).
    switch_kw: state the net rule exactly, with a binary per interval; the largest power that can occur, kW
    (for small instances; `net_rule.py` plans whole years).
    """
    hourly = Hourly(inputs.steps, inputs.step_h, expanded)
    terms, optional = {}, []
    for name, component in case.components.items():
        first = hourly.count
        terms[name] = component.terms(name, hourly, inputs)
        if terms[name].optional:
            optional.append(slice(first, hourly.count))
    every = list(terms.values())
    consumption = _or_zero(joined([entry.consumption_kw for entry in every]))
    production = _or_zero(joined([entry.production_kw for entry in every]))
    charging = joined([entry.charge_from_production_kw for entry in every])
    discharge = joined([entry.discharge_kw for entry in every])
    bought = joined([entry.charge_from_grid_kw for entry in every])
    grid = connect(case.grid, hourly, inputs, consumption, bought)
    _busbar(case, hourly, grid, production, consumption, charging, discharge)
    _other_buses(hourly, every)
    fuels = {carrier: hourly.step_h * hourly.total(rule) for carrier, rule in _fuels(every).items()}
    primary, ghg, fuel_costs = _weigh(case, inputs, hourly, every, grid, fuels)
    if case.balance.positive:
        hourly.row(PRIMARY_ENERGY, primary >= case.balance.margin_kwh_pe)
    if case.balance.ghg_neutral:
        hourly.row(GHG, ghg <= case.balance.ghg_limit_kg)
    costs = (*grid.costs, *fuel_costs, *(cost for entry in every for cost in entry.costs))
    sizes = {name: size for entry in every for name, size in entry.sizes.items()}
    deficit_only, surplus_only = _sides(case, grid, every)
    if switch_kw is not None:
        _switch(hourly, deficit_only, surplus_only, switch_kw)
    hourly.minimise(_cost(case, sizes, costs))
    return District(
        case,
        inputs,
        hourly,
        terms,
        grid,
        production,
        consumption,
        _or_zero(charging),
        _or_zero(discharge),
        primary,
        ghg,
        fuels,
        costs,
        sizes,
        deficit_only,
        surplus_only,
        tuple(optional),
    )


def _busbar(
    case: Case,
    hourly: Hourly,
    grid: Connection,
    production: Rule,
    consumption: Rule,
    charging: Rule | None,
    discharge: Rule | None,
) -> None:
    inwards = joined([production, lambda t: grid.load_import[t], discharge])
    outwards = joined([consumption, grid.export_kw, charging])
    assert inwards is not None
    assert outwards is not None
    hourly.rows(BALANCE, lambda t: inwards(t) - outwards(t) == 0)
    if charging is not None and case.balance.netting != "net":
        # what is not allocated by the net rule must not go round from battery to battery (MODEL.md §13)
        hourly.rows("charge_from_production", lambda t: charging(t) <= production(t))


def _other_buses(hourly: Hourly, every: list[Terms]) -> None:
    for bus, rule in (
        ("heat", joined([entry.heat_kw for entry in every])),
        ("cooling", joined([entry.cooling_kw for entry in every])),
    ):
        if rule is not None:
            if hourly.known(rule) is not None:
                raise CaseImpossible(f"there is a {bus} demand but nothing that supplies {bus}")
            hourly.rows(bus, lambda t, rule=rule: rule(t) == 0)  # type: ignore[misc]


def _weigh(
    case: Case, inputs: Inputs, hourly: Hourly, every: list[Terms], grid: Connection, fuels: Mapping[str, Any]
) -> tuple[Any, Any, tuple[YearlyCost, ...]]:
    """Primary energy (kWh_PE) and greenhouse gas (kg CO2e) of the year, and what fuel costs."""
    h = hourly.step_h
    other = joined([grid.storage_import_kw, *(entry.foreign_kw for entry in every)])
    sums = []
    for name, weights in (("pef", inputs.factors.primary_energy), ("ghg", inputs.factors.ghg)):
        load = hourly.series(f"{name}_import_load", weights.import_load)
        storage = hourly.series(f"{name}_import_storage", weights.import_storage)
        export = hourly.series(f"{name}_export", weights.export)

        def weighed(t: Any, load: Any = load, storage: Any = storage, export: Any = export) -> Any:
            value = export[t] * grid.export[t] - load[t] * grid.load_import[t]
            return value if other is None else value - storage[t] * other(t)

        sums.append(h * hourly.total(weighed))
    primary, ghg = sums[0], -1 * sums[1]
    costs = []
    for carrier, burnt in fuels.items():
        if carrier not in case.fuel:
            raise CaseImpossible(f"add [fuel.{carrier}] with price and factors: a component burns {carrier}")
        price = case.fuel[carrier]
        non_renewable = case.factors.primary_energy == "non-renewable"
        primary = primary - (price.non_renewable_pef if non_renewable else price.pef) * burnt
        ghg = ghg + price.ghg_kg_per_kwh * burnt
        costs.append(YearlyCost(carrier, price.eur_per_kwh * burnt, price.growth_per_a))
    return primary, ghg, tuple(costs)


def _fuels(every: list[Terms]) -> dict[str, Rule]:
    carriers = sorted({carrier for entry in every for carrier in entry.fuel_kw})
    found = {}
    for carrier in carriers:
        rule = joined([entry.fuel_kw.get(carrier) for entry in every])
        assert rule is not None
        found[carrier] = rule
    return found


def _cost(case: Case, sizes: Mapping[str, Size], costs: tuple[YearlyCost, ...]) -> Any:
    economy = case.economy
    total: Any = 0.0
    for size in sizes.values():
        price = size.eur_per_unit * economy.replaced(size.lifetime_years)
        price += size.eur_per_unit_a * economy.weight()
        if price:
            total = total + price * size.amount
    for cost in costs:
        total = total + economy.weight(cost.growth) * cost.eur
    return total


def _sides(case: Case, grid: Connection, every: list[Terms]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """What only hours of deficit may have, and what only hours of surplus: two groups that never meet."""
    if case.balance.netting == "net":
        charging = [variable for entry in every for variable in entry.production_charging]
        return (grid.load_import,), (grid.export, *charging)
    if case.balance.netting == "one-way":
        bought = [variable for entry in every for variable in entry.grid_charging]
        return (grid.load_import, *bought), (grid.export,)
    return (), ()


def _switch(
    hourly: Hourly, deficit_only: tuple[Any, ...], surplus_only: tuple[Any, ...], switch_kw: float
) -> None:
    """The rule of `_sides` as a mixed-integer program, with a binary per interval."""
    surplus = hourly.flow("surplus", binary=True)
    for number, variable in enumerate(deficit_only):
        hourly.rows(
            f"switch_deficit_{number}",
            lambda t, v=variable: v[t] + switch_kw * surplus[t] <= switch_kw,  # type: ignore[misc]
        )
    for number, variable in enumerate(surplus_only):
        hourly.rows(
            f"switch_surplus_{number}",
            lambda t, v=variable: v[t] - switch_kw * surplus[t] <= 0,  # type: ignore[misc]
        )


def _or_zero(rule: Rule | None) -> Rule:
    return rule if rule is not None else lambda t: np.float64(0.0)
