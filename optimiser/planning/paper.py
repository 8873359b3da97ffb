"""The published results, reproduced: all scenarios of Bruck et al. 2021 beside what the paper prints.

The profile has the paper's rules, errors included: beam irradiance taken for horizontal, no curtailment,
gross flows, CO2 of fuel applied to electricity. The NPV must agree with `reproduced.csv` to 1e-6 and
everything with the printed digits; each exception is named in `EXCEPTIONS` or `ALTERNATIVE` with its
reason, and anything else that differs makes the comparison fail.
"""

import csv
import math
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from optimiser.case import Case, make_case
from optimiser.inputs import Store, read_inputs
from optimiser.planning.net_rule import plan
from optimiser.planning.plan import Plan
from optimiser.planning.solve import Status

DATA = Path(__file__).parents[1] / "data" / "lapalma"
HOURLY = "hourly_2019.csv.gz"
NPV_TOLERANCE = 1e-6
ALTERNATIVE = 0.003
ALTERNATIVE_REASON = (
    "alternative optima: with a battery, import, export and CO2 are not unique at equal NPV; "
    "compared at 0.3 %"
)
EXCEPTIONS = {
    ("PES_lim1_U", "npv"): "the print is wrong: the authors' own code gives -0.9146; its other columns agree",
    (
        "PES_lim1.5_R",
        "battery",
    ): "the optimum is flat: 148.49 kWh at most costs 0.86 EUR of NPV",
    (
        "PES_lim1_R",
        "PV tilted",
    ): "the optimum is flat: 199.51 kWp at least costs 1.01 EUR of NPV",
}
TILTED_DEG, FLAT_TILT_DEG, FLAT_COVERAGE = 30, 28.803, 0.8


@dataclass(frozen=True)
class Comparison:
    """One number of one scenario."""

    quantity: str
    ours: float
    expected: str
    """As printed, or as reproduced with all digits; empty where the paper prints nothing."""
    source: str
    agrees: bool
    reason: str = ""
    """Why a difference is explained."""

    @property
    def passes(self) -> bool:
        """Whether it agrees or the difference is explained."""
        return self.agrees or bool(self.reason)


@dataclass(frozen=True)
class Reproduction:
    """One scenario."""

    scenario: str
    description: str
    plan: Plan
    comparisons: tuple[Comparison, ...]

    @property
    def passes(self) -> bool:
        """Whether nothing is unexplained."""
        return all(comparison.passes for comparison in self.comparisons)


@cache
def _scenarios() -> dict[str, Any]:
    with (DATA / "scenarios.toml").open("rb") as file:
        return tomllib.load(file)


def scenario_names() -> list[str]:
    """The identifiers of the 22 scenarios."""
    return [scenario["id"] for scenario in _scenarios()["scenario"]]


def scenario_document(name: str) -> dict[str, Any]:
    """The case of a scenario as a TOML document, to be changed or planned. Raises KeyError."""
    scenario = {entry["id"]: entry for entry in _scenarios()["scenario"]}[name]
    with (DATA / "paper.toml").open("rb") as file:
        document = tomllib.load(file)
    mix, technologies = scenario["mix"], _scenarios()["technology"]
    document["title"] = f"{name}: {scenario['description']}"
    document["balance"]["positive"] = scenario["positive"]
    document["factors"]["mix"] = {
        "csv": HOURLY,
        "technology": [
            {
                "column": f"{mix}_{technology}_kW",
                "pef": technologies[technology]["pef"],
                "non_renewable_pef": technologies[technology]["non_renewable_pef"],
                "ghg_kg_per_kwh": technologies[technology]["published_ghg_kg_per_kwh"],
            }
            for technology in _scenarios()["mix"][mix]
        ],
    }
    if "exchange_limit_kw" in scenario:
        limit = scenario["exchange_limit_kw"]
        document["grid"] |= {"import_limit_kw": limit, "export_limit_kw": limit}
    if "flat_area_m2" in scenario:
        document["pv"]["surface"] = _surfaces(scenario)
    else:
        del document["pv"], document["battery"]
    return document


def _surfaces(scenario: dict[str, Any]) -> list[dict[str, Any]]:
    flat = {
        "name": "flat",
        "azimuth_deg": 180,
        "tilt_deg": FLAT_TILT_DEG,
        "area_m2": scenario["flat_area_m2"],
        "coverage": FLAT_COVERAGE,
        "group": "PV flat",
    }
    tilted = [
        {
            "name": f"roof {45 * number}",
            "azimuth_deg": 45 * number,
            "tilt_deg": TILTED_DEG,
            "area_m2": area,
            "group": "PV tilted",
        }
        for number, area in enumerate(scenario["tilted_area_m2"])
    ]
    return [flat, *tilted]


def scenario_case(name: str) -> Case:
    """The case of a scenario in the paper's profile. Raises KeyError."""
    return make_case(scenario_document(name), DATA, f"scenario {name}")


def reproduce(names: list[str] | None = None) -> Iterator[Reproduction]:
    """Plan the scenarios (all by default), one after the other, and compare."""
    store = Store()
    printed, reproduced = _table("printed.csv"), _table("reproduced.csv")
    for name in names or scenario_names():
        case = scenario_case(name)
        result = plan(case, read_inputs(case, store), explained=False)
        comparisons = tuple(_compared(name, result, printed[name], reproduced[name]))
        yield Reproduction(name, case.title.partition(": ")[2], result, comparisons)


def _table(name: str) -> dict[str, dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return {row["scenario"]: row for row in csv.DictReader(file)}


def _compared(
    name: str, found: Plan, printed: dict[str, str], reproduced: dict[str, str]
) -> Iterator[Comparison]:
    same = found.status == reproduced["status"]
    yield Comparison(f"status: {found.status}", math.nan, reproduced["status"], "reproduced", same)
    if found.status is not Status.OPTIMAL or not same:
        return
    expected = reproduced["npv_cyclic_eur"]
    close = abs(found.npv_eur / float(expected) - 1) <= NPV_TOLERANCE
    yield Comparison("NPV, EUR", found.npv_eur, expected, "reproduced", close)
    has_battery = float(printed["battery_kWh"]) > 0
    sizes = {key: found.sizes[key].value if key in found.sizes else 0.0 for key in _SIZES.values()}
    for column, quantity, value in (
        ("npv_million_eur", "npv", found.npv_eur / 1e6),
        *((column, quantity, sizes[quantity]) for column, quantity in _SIZES.items()),
        ("export_import_ratio", "export/import", found.indicator("export_import")),
        ("co2_t_20y", "CO2, t in 20 years", found.indicator("co2_import")),
    ):
        text = printed[column]
        if not text:
            continue
        agrees = is_printed(value, text)
        reason = "" if agrees else EXCEPTIONS.get((name, quantity), "")
        flow = quantity in ("export/import", "CO2, t in 20 years")
        if not agrees and flow and has_battery and abs(value / float(text) - 1) <= ALTERNATIVE:
            reason = ALTERNATIVE_REASON
        yield Comparison(quantity, value, text, "printed", agrees, reason)


_SIZES = {"pv_flat_kWp": "PV flat", "pv_tilt_kWp": "PV tilted", "battery_kWh": "battery"}


def is_printed(value: float, text: str) -> bool:
    """Whether `value`, rounded to the digits of `text`, is `text` (a half may have gone either way)."""
    unit = 10.0 ** -len(text.partition(".")[2])
    return abs(value - float(text)) <= unit / 2 * (1 + 1e-6) + 1e-9
