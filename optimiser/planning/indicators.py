"""Indicators of a plan, each with identifier, formula and unit (domain.md §5)."""

from dataclasses import dataclass

import numpy as np
import pandas

from optimiser.planning.hourly import Floats
from optimiser.planning.model import District


@dataclass(frozen=True)
class Indicator:
    """A value with what it means."""

    identifier: str
    value: float
    unit: str
    formula: str


def metered_balance(district: District, flows: pandas.DataFrame) -> tuple[float, float]:
    """Primary energy (kWh_PE) and greenhouse gas (kg CO2e) of the year's electricity as the ledger judges it.

    Import and export net out, and so do charge and discharge; then the allocation rule of domain.md §2.
    """
    consumption, production = flows["consumption_kw"].to_numpy(), flows["production_kw"].to_numpy()
    net = (flows["export_kw"] - flows["import_kw"]).to_numpy()
    bought, sold = np.maximum(0.0, -net), np.maximum(0.0, net)
    charge = np.maximum(0.0, (flows["charge_kw"] - flows["discharge_kw"]).to_numpy())
    from_production = np.minimum(charge, np.maximum(0.0, production - consumption))
    storage = np.minimum(bought, charge - from_production)
    load = np.minimum(bought - storage, consumption)
    rest = bought - load
    step_h, factors = district.hourly.step_h, district.inputs.factors
    pef, ghg = factors.primary_energy, factors.ghg
    primary = step_h * float((sold * pef.export - load * pef.import_load - rest * pef.import_storage).sum())
    gas = step_h * float((load * ghg.import_load + rest * ghg.import_storage - sold * ghg.export).sum())
    return primary, gas


def indicators_of(district: District, x: Floats, flows: pandas.DataFrame) -> tuple[Indicator, ...]:
    """All indicators of a solution."""
    step_h, hourly = district.hourly.step_h, district.hourly
    table = {name: flows[name].to_numpy() for name in flows.columns}
    g, load = table["production_kw"], table["consumption_kw"]
    bought, sold = table["import_kw"], table["export_kw"]
    pef = district.inputs.factors.primary_energy
    metered_pe, metered_ghg = _with_the_rest(district, x, metered_balance(district, flows))
    years = district.case.economy.years
    average = district.inputs.factors.ghg_average
    storage = bought - table["import_load_kw"]
    import_pe = table["import_load_kw"] @ pef.import_load + storage @ pef.import_storage
    both = np.minimum(table["import_load_kw"], sold)
    own = np.minimum(g, load)
    return (
        Indicator("primary_energy_balance", hourly.evaluate_total(district.primary_energy_kwh, x), "kWh_PE/a",
                  "sum export m - import_load a - import_storage m - fuel f, flows of the plan"),
        Indicator("primary_energy_metered", metered_pe, "kWh_PE/a",
                  "the same after netting and allocation of each interval (domain.md §2)"),
        Indicator("ghg_balance", hourly.evaluate_total(district.ghg_kg, x), "kg CO2e/a",
                  "sum import_load a' + import_storage m' - export m' + fuel f', flows of the plan"),
        Indicator("ghg_metered", metered_ghg, "kg CO2e/a", "the same after netting and allocation"),
        Indicator("co2_import", years * step_h * float(bought @ average) / 1000, f"t/{years} a",
                  "years sum import a', no credit for export (as published)"),
        Indicator("export_import", _ratio(sold.sum(), bought.sum()), "-", "sum export / sum import"),
        Indicator("export_import_pe", _ratio(float(sold @ pef.export), float(import_pe)), "-",
                  "sum export PE / sum import PE"),
        Indicator("self_consumption", _ratio(own.sum(), g.sum()), "-", "sum min(g,l) / sum g"),
        Indicator("self_sufficiency", _ratio(own.sum(), load.sum()), "-", "sum min(g,l) / sum l"),
        Indicator("OER", _ratio(g.sum(), load.sum()), "-", "sum g / sum l"),
        Indicator("peak_import", float(bought.max(initial=0.0)), "kW", "max import"),
        Indicator("peak_export", float(sold.max(initial=0.0)), "kW", "max export"),
        Indicator("simultaneous", step_h * float(both.sum()), "kWh/a",
                  "sum min(import_load, export): what the net rule forbids"),
    )  # fmt: skip


def _with_the_rest(district: District, x: Floats, metered: tuple[float, float]) -> tuple[float, float]:
    """Add what fuel, and what vehicles bring in, takes to the metered balances."""
    primary, gas = metered
    for carrier, burnt in district.fuels_kwh.items():
        price = district.case.fuel[carrier]
        kwh = district.hourly.evaluate_total(burnt, x)
        non_renewable = district.case.factors.primary_energy == "non-renewable"
        primary -= kwh * (price.non_renewable_pef if non_renewable else price.pef)
        gas += kwh * price.ghg_kg_per_kwh
    for entry in district.terms.values():
        if entry.foreign_kw is not None:
            brought = district.hourly.step_h * district.hourly.evaluate(entry.foreign_kw, x)
            primary -= float(brought @ district.inputs.factors.primary_energy.import_storage)
            gas += float(brought @ district.inputs.factors.ghg.import_storage)
    return primary, gas


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")
