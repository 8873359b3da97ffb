"""Where the year's energy goes, and what each interval adds to the balances: made from the `Terms` alone.

A link is energy of a year from one node to the next: the buses, what is bought and sold, fuels, components.
What a component takes in and does not give on is used or lost inside (a vehicle drives); what it gives beyond
its intake (a heat pump) comes from its surroundings.
"""

from dataclasses import dataclass

import numpy as np
import pandas

from optimiser.planning.components.component import Terms
from optimiser.planning.hourly import Floats, Rule
from optimiser.planning.model import District

BOUGHT, SOLD, OUTSIDE = "grid: bought", "grid: sold", "charged elsewhere"
ELECTRICITY, HEAT, COOLING = "district electricity", "district heat", "district cooling"
LOST, SURROUNDINGS = "use and losses", "surroundings"
SMALLEST_MWH = 1e-3


@dataclass(frozen=True)
class Link:
    """Energy of a year, MWh."""

    source: str
    target: str
    mwh: float


def links_of(district: District, x: Floats) -> tuple[Link, ...]:
    """All links of a solution; less than a kWh is left out."""
    hourly = district.hourly
    per_mwh = hourly.step_h / 1000

    def year(rule: Rule | None) -> float:
        return 0.0 if rule is None else float(hourly.evaluate(rule, x).sum()) * per_mwh

    grid = district.connection
    found = [
        Link(BOUGHT, ELECTRICITY, year(lambda t: grid.load_import[t])),
        Link(ELECTRICITY, SOLD, year(grid.export_kw)),
    ]
    for name, terms in district.terms.items():
        found += [
            Link(name, ELECTRICITY, year(terms.production_kw)),
            Link(ELECTRICITY, name, year(terms.consumption_kw)),
            Link(ELECTRICITY, name, year(terms.charge_from_production_kw)),
            Link(BOUGHT, name, year(terms.charge_from_grid_kw)),
            Link(name, ELECTRICITY, year(terms.discharge_kw)),
            Link(OUTSIDE, name, year(terms.foreign_kw)),
            *(Link(f"fuel: {carrier}", name, year(rule)) for carrier, rule in terms.fuel_kw.items()),
        ]
        for bus, signed in ((HEAT, terms.heat_kw), (COOLING, terms.cooling_kw)):
            if signed is not None:
                power = hourly.evaluate(signed, x)
                found.append(Link(name, bus, float(np.maximum(0.0, power).sum()) * per_mwh))
                found.append(Link(bus, name, float(np.maximum(0.0, -power).sum()) * per_mwh))
        found += _rest(name, terms, found)
    return tuple(link for link in found if link.mwh >= SMALLEST_MWH)


def _rest(name: str, terms: Terms, found: list[Link]) -> list[Link]:
    """What a component that takes and gives loses, or takes from its surroundings."""
    taken = sum(link.mwh for link in found if link.target == name)
    given = sum(link.mwh for link in found if link.source == name)
    if taken < SMALLEST_MWH or given < SMALLEST_MWH:
        return []
    return [Link(name, LOST, taken - given), Link(SURROUNDINGS, name, given - taken)]


def hourly_balances(district: District, x: Floats, flows: pandas.DataFrame) -> dict[str, Floats]:
    """Columns of the plan's table: the factors of each interval and what it adds to the year's balances.

    `balance_kwh_pe` sums to the year's primary-energy balance, `ghg_kg` to its greenhouse gas (domain.md §4).
    """
    hourly, factors, case = district.hourly, district.inputs.factors, district.case
    load = flows["import_load_kw"].to_numpy()
    sold = flows["export_kw"].to_numpy()
    other = flows["import_kw"].to_numpy() - load
    fuel_pe, fuel_kg = np.zeros((2, hourly.steps))
    for terms in district.terms.values():
        if terms.foreign_kw is not None:
            other = other + hourly.evaluate(terms.foreign_kw, x)
        for carrier, rule in terms.fuel_kw.items():
            burnt, price = hourly.evaluate(rule, x), case.fuel[carrier]
            non_renewable = case.factors.primary_energy == "non-renewable"
            fuel_pe = fuel_pe + burnt * (price.non_renewable_pef if non_renewable else price.pef)
            fuel_kg = fuel_kg + burnt * price.ghg_kg_per_kwh
    pef, ghg, h = factors.primary_energy, factors.ghg, hourly.step_h
    return {
        "pef_import_load": pef.import_load,
        "pef_import_storage": pef.import_storage,
        "pef_export": pef.export,
        "balance_kwh_pe": h
        * (sold * pef.export - load * pef.import_load - other * pef.import_storage - fuel_pe),
        "ghg_kg": h * (load * ghg.import_load + other * ghg.import_storage - sold * ghg.export + fuel_kg),
    }
