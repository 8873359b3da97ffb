"""The result of planning: sizes, flows, money, indicators and what the limits are worth."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas

from optimiser.planning.energy_flows import Link, hourly_balances, links_of
from optimiser.planning.indicators import Indicator, indicators_of
from optimiser.planning.model import BALANCE, GHG, PRIMARY_ENERGY, District
from optimiser.planning.solve import Solution, Status

FORMULA = "ped-plan/1"
"""Identifies the equations: those of `planning/model.py` and the components, in this version."""


@dataclass(frozen=True)
class Quantity:
    """A value with its unit."""

    value: float
    unit: str


@dataclass(frozen=True)
class Dual:
    """What one more unit of a limit is worth; `value` > 0: more of it lowers the NPV (a requirement), or
    raises it (a limit), as the sentence says."""

    name: str
    value: float
    unit: str
    sentence: str


@dataclass(frozen=True)
class Nearest:
    """The nearest district that can be planned where the case cannot: one limit loosened, the others kept."""

    limit: str
    """The limit that is to blame, as the case calls it."""
    now: float
    needed: float
    unit: str
    """Of `now` and `needed`."""
    npv_eur: float
    bound_eur: float
    sizes: Mapping[str, Quantity]


@dataclass(frozen=True)
class Plan:
    """What to build and what comes of it. Without a solution the numbers are NaN and the tables empty."""

    title: str
    profile: str
    status: Status
    npv_eur: float
    bound_eur: float
    """No plan that keeps the rules has a higher NPV."""
    seconds: float
    """Of the solver."""
    formula: str = FORMULA
    sizes: Mapping[str, Quantity] = field(default_factory=dict)
    yearly_mwh: Mapping[str, float] = field(default_factory=dict)
    indicators: tuple[Indicator, ...] = ()
    flows: pandas.DataFrame = field(default_factory=pandas.DataFrame)
    """Index `time_utc`; a unit ends each column's name."""
    duals: tuple[Dual, ...] = ()
    cash_flow_eur: tuple[float, ...] = ()
    """Year 0 to the last, each paid at the year's end, not discounted."""
    payments_eur: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """The parts of the cash flow by what is paid for; discounted with `interest` they sum to the NPV."""
    interest: float = 0.0
    step_h: float = 1.0
    """Hours per row of `flows`."""
    links: tuple[Link, ...] = ()
    """The year's energy from node to node."""
    explanation: tuple[str, ...] = ()
    """Sentences: which rule was applied, why nothing is possible, what would make it possible."""
    nearest: Nearest | None = None
    """Where no plan is possible and one limit is enough to change that."""

    def indicator(self, identifier: str) -> float:
        """The value of an indicator. Raises KeyError."""
        return {entry.identifier: entry.value for entry in self.indicators}[identifier]

    @property
    def gap(self) -> float:
        """How far the NPV may be below the best possible, relative."""
        return (self.bound_eur - self.npv_eur) / max(1.0, abs(self.bound_eur))


def without_solution(
    district: District,
    solution: Solution,
    explanation: tuple[str, ...] = (),
    nearest: Nearest | None = None,
) -> Plan:
    """The plan when there is none; a solution that could not be made to keep the rules is a `LIMIT`."""
    case = district.case
    status = Status.LIMIT if solution.status is Status.OPTIMAL else solution.status
    return Plan(
        case.title,
        case.profile,
        status,
        float("nan"),
        float("nan"),
        solution.seconds,
        explanation=explanation,
        nearest=nearest,
        interest=case.economy.interest,
        step_h=district.hourly.step_h,
    )


def make_plan(
    district: District, solution: Solution, bound_eur: float, explanation: tuple[str, ...] = ()
) -> Plan:
    """Read a solution."""
    case, hourly, x = district.case, district.hourly, solution.x
    flows = _flows(district, x)
    step_h = hourly.step_h
    yearly = {
        name.removesuffix("_kw"): float(flows[name].sum()) * step_h / 1000
        for name in flows.columns
        if name.endswith("_kw")
    }
    payments = _payments(district, x)
    return Plan(
        case.title,
        case.profile,
        solution.status,
        -solution.cost,
        bound_eur,
        solution.seconds,
        sizes=sizes_of(district, x),
        yearly_mwh=yearly,
        indicators=indicators_of(district, x, flows),
        flows=flows,
        duals=_duals(district, solution),
        cash_flow_eur=tuple(float(value) for value in np.sum(list(payments.values()), axis=0)),
        payments_eur=payments,
        interest=case.economy.interest,
        step_h=step_h,
        links=links_of(district, x),
        explanation=explanation,
    )


def sizes_of(district: District, x: np.ndarray) -> dict[str, Quantity]:
    """What a solution builds, by name."""
    evaluate = district.hourly.evaluate_total
    return {
        name: Quantity(_clean(evaluate(size.amount, x)), size.unit) for name, size in district.sizes.items()
    }


def _flows(district: District, x: np.ndarray) -> pandas.DataFrame:
    hourly, grid = district.hourly, district.connection
    rules = {
        "consumption_kw": district.consumption_kw,
        "production_kw": district.production_kw,
        "import_kw": grid.import_kw,
        "import_load_kw": lambda t: grid.load_import[t],
        "export_kw": grid.export_kw,
        "charge_from_production_kw": district.charge_from_production_kw,
        "discharge_kw": district.discharge_kw,
    }
    for entry in district.terms.values():
        rules.update(entry.flows)
    table = {name: hourly.evaluate(rule, x) for name, rule in rules.items()}
    table = {name: np.where(np.abs(values) < 1e-5, 0.0, values) for name, values in table.items()}
    table["charge_kw"] = table["charge_from_production_kw"] + table["import_kw"] - table["import_load_kw"]
    table["buy_eur_per_kwh"] = district.inputs.of("grid", "buy_eur_per_kwh")
    table["sell_eur_per_kwh"] = district.inputs.of("grid", "sell_eur_per_kwh")
    found = pandas.DataFrame(table, index=district.inputs.times_utc)
    return found.assign(**hourly_balances(district, x, found))


def _payments(district: District, x: np.ndarray) -> dict[str, tuple[float, ...]]:
    economy, hourly = district.case.economy, district.hourly
    paid: dict[str, np.ndarray] = {}

    def add(name: str, year: slice | int, eur: Any) -> None:
        paid.setdefault(name, np.zeros(economy.years + 1))[year] += eur

    for size in district.sizes.values():
        amount = hourly.evaluate_total(size.amount, x)
        for year, share in economy.payments(size.lifetime_years):
            name = "investment" if year == 0 else "replacement" if share > 0 else "rest value"
            add(name, year, -share * size.eur_per_unit * amount)
        add("upkeep", slice(1, None), -size.eur_per_unit_a * amount)
    for cost in district.costs:
        eur = hourly.evaluate_total(cost.eur, x)
        add(cost.name, slice(1, None), -eur * (1 + cost.growth) ** np.arange(economy.years))
    return {name: tuple(float(value) for value in values) for name, values in paid.items()}


def _duals(district: District, solution: Solution) -> tuple[Dual, ...]:
    case, hourly = district.case, district.hourly
    weight = case.economy.weight()
    rows = hourly.row_places
    found = []
    if PRIMARY_ENERGY in rows:
        value = _clean(-float(solution.row_dual[rows[PRIMARY_ENERGY]][0]))
        found.append(
            Dual(
                PRIMARY_ENERGY,
                value / weight,
                "EUR/kWh_PE",
                f"One more kWh of primary energy in the year's balance costs {value / weight:.4f} EUR a year "
                f"({value:.2f} EUR of NPV for one kWh in each of {case.economy.years} years)."
                if value
                else "The year's primary-energy balance is positive by itself: a kWh more costs nothing.",
            )
        )
    if GHG in rows:
        value = _clean(-float(solution.row_dual[rows[GHG]][0]))
        found.append(
            Dual(
                GHG,
                value / weight,
                "EUR/kg CO2e",
                f"One kg CO2e less in the year's balance costs {value / weight:.4f} EUR a year "
                f"({1000 * value / weight:.0f} EUR per tonne)."
                if value
                else "The year's greenhouse gas is not above zero by itself: a kg less costs nothing.",
            )
        )
    found += _limit_duals(district, solution)
    return tuple(found)


def _limit_duals(district: District, solution: Solution) -> list[Dual]:
    case, hourly, grid = district.case, district.hourly, district.connection
    rows = hourly.row_places
    found = []
    if case.grid.export_limit_kw is not None:
        value = -float(np.minimum(0.0, solution.column_dual[hourly.columns(grid.export)]).sum())
        found.append(_limit("export limit", value, "kW", case.grid.export_limit_kw))
    if case.grid.import_limit_kw is not None and "grid_import" in rows:
        value = -float(np.minimum(0.0, solution.row_dual[rows["grid_import"]]).sum())
        found.append(_limit("import limit", value, "kW", case.grid.import_limit_kw))
    for name, size in district.sizes.items():
        place = hourly.place_of(size.amount)
        if place is not None:
            reduced, most = float(solution.column_dual[place.start]), float(hourly.upper(size.amount)[0])
            if np.isfinite(most) and abs(solution.x[place.start] - most) < 1e-4 * max(1.0, most):
                worth = max(0.0, -reduced) * size.per_limit
                found.append(_limit(size.limit_name or name, worth, size.unit, most / size.per_limit))
    return found


def _limit(name: str, value: float, unit: str, now: float) -> Dual:
    return Dual(
        name,
        _clean(value),
        f"EUR/{unit}",
        f"One more {unit} of {name} (now {now:g} {unit}) raises the NPV by {value:.2f} EUR."
        if value > 1e-6
        else f"More than {now:g} {unit} of {name} would change nothing.",
    )


def _clean(value: float) -> float:
    """Without the noise of an interior point: no size, flow or price is that small."""
    return 0.0 if abs(value) < 1e-5 else value


__all__ = ["BALANCE", "Dual", "Nearest", "Plan", "Quantity", "make_plan", "sizes_of", "without_solution"]
