"""`plan`: the published case PES_lim2_U, stated in Pyomo, against the same program given straight to HiGHS.

`total_s` is what a user waits for: model, hand-over, the try without storage, solution. `direct_s` is the
small linear program (seven columns an hour) written down with numpy and solved by the same solver with the
same algorithm, in the same run; both are the best of alternating repetitions. Reading the CSV is in
neither. `twenty_years_s` is the 20-year problem through its exact one-year equivalent (why it is one:
`optimiser/planning/model.py`); the 20 years written out are 4,029,853 columns.
"""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import coo_array, csr_array

from optimiser.case import Case, make_case
from optimiser.inputs import Inputs, read_inputs
from optimiser.planning.hourly import Lp
from optimiser.planning.net_rule import optimum
from optimiser.planning.paper import DATA, reproduce, scenario_document, scenario_names
from optimiser.planning.solve import Solver
from scripts.benches.progress import Tell, tell_nobody

CASE = "PES_lim2_U"
REPETITIONS = 2


def measure(
    first_day: str = "2019-01-01",
    days: int = 365,
    repetitions: int = REPETITIONS,
    scenarios: Sequence[str] | None = None,
    tell: Tell = tell_nobody,
) -> dict[str, Any]:
    """All figures; `scenarios` are those of `paper_s`, all 22 by default."""
    case = make_case(scenario_document(CASE) | {"first_day": first_day, "days": days}, DATA)
    inputs = read_inputs(case)
    total, direct, build = [], [], []
    for repetition in range(repetitions):
        tell("Pyomo", 2 * repetition, 2 * repetitions)
        start = time.perf_counter()
        district, solution = optimum(case, inputs)
        total.append(time.perf_counter() - start)
        build.append(total[-1] - solution.seconds)
        tell("direct", 2 * repetition + 1, 2 * repetitions)
        start = time.perf_counter()
        reference = Solver(small_program(case, inputs)).solve()
        direct.append(time.perf_counter() - start)
    names = list(scenarios) if scenarios is not None else scenario_names()
    start = time.perf_counter()
    agree = 0
    for number, reproduction in enumerate(reproduce(names)):
        tell(reproduction.scenario, number, len(names))
        agree += reproduction.passes
    return {
        "total_s": round(min(total), 3),
        "direct_s": round(min(direct), 3),
        "ratio": round(min(total) / min(direct), 3),
        "without_solver_s": round(min(build), 3),
        "minus_npv_eur": round(solution.cost, 2),
        "direct_minus_npv_eur": round(reference.cost, 2),
        "twenty_years_s": round(min(total), 3),
        "columns": district.hourly.count,
        "paper_s": round(time.perf_counter() - start, 3),
        "paper_scenarios": len(names),
        "paper_agree": agree,
    }


def small_program(case: Case, inputs: Inputs) -> Lp:
    """Seven columns an hour: import for load and for storage, export, charge, PV, discharge, content."""
    steps = inputs.steps
    at = [np.arange(steps) + steps * number for number in range(7)]
    bought, stored, sold, charged, pv, discharged, content = at
    surfaces = [surface for surface in _table(case, "pv")["surface"] if surface["area_m2"] > 0]
    battery, panel = _table(case, "battery"), _table(case, "pv")
    capacity, areas = 7 * steps, 7 * steps + 1 + np.arange(len(surfaces))
    root, rate = battery["round_trip_efficiency"] ** 0.5, battery["power_per_capacity_per_h"]
    load = inputs.of("load", "load_kw")
    limit = case.grid.import_limit_kw or np.inf
    cost, upper = np.zeros(areas[-1] + 1), np.full(areas[-1] + 1, np.inf)
    weight = case.economy.weight()
    cost[bought] = cost[stored] = weight * inputs.of("grid", "buy_eur_per_kwh")
    cost[sold] = -weight * inputs.of("grid", "sell_eur_per_kwh")
    cost[capacity] = battery["capex_eur_per_kwh"]
    cost[areas] = panel["module_efficiency"] * (
        panel["capex_eur_per_kwp"] + weight * panel["opex_eur_per_kwp_a"]
    )
    upper[bought], upper[stored], upper[sold] = np.minimum(load, limit), limit, limit
    upper[areas] = [surface["area_m2"] * surface["coverage"] for surface in surfaces]
    yields = [
        panel["module_efficiency"]
        * panel["performance_ratio"]
        * inputs.irradiance_kw_per_m2(surface["tilt_deg"], surface["azimuth_deg"])
        for surface in surfaces
    ]
    rows = _Rows(areas[-1] + 1, steps)
    rows.add([(pv, 1.0), *((area, -k) for area, k in zip(areas, yields, strict=True))], 0.0, 0.0)
    rows.add([(pv, 1), (bought, 1), (discharged, 1), (sold, -1), (charged, -1)], load, load)
    rows.add(
        [(content, 1), (np.roll(content, 1), -1), (charged, -root), (stored, -root), (discharged, 1 / root)],
        0.0,
        0.0,
    )
    rows.add([(charged, 1), (pv, -1)], -np.inf, 0.0)
    rows.add([(content, 1), (capacity, -1)], -np.inf, 0.0)
    rows.add([(discharged, 1 / root), (capacity, -rate)], -np.inf, 0.0)
    rows.add([(charged, root), (stored, root), (capacity, -rate)], -np.inf, 0.0)
    rows.add([(bought, 1), (stored, 1)], -np.inf, limit)
    pef = inputs.factors.primary_energy
    rows.add_total([(sold, pef.export), (bought, -pef.import_load), (stored, -pef.import_storage)])
    return rows.program(cost, upper)


def _table(case: Case, name: str) -> dict[str, Any]:
    return case.components[name].model_dump()


class _Rows:
    """Rows in coordinates."""

    def __init__(self, columns: int, steps: int) -> None:
        self._columns, self._steps, self._count = columns, steps, 0
        self._entries: list[tuple[Any, Any, Any]] = []
        self._lower: list[Any] = []
        self._upper: list[Any] = []

    def add(self, terms: list[tuple[Any, Any]], lower: Any, upper: Any) -> None:
        """A row in every interval."""
        place = self._count + np.arange(self._steps)
        for columns, values in terms:
            self._entries.append(
                (place, np.broadcast_to(columns, place.shape), np.broadcast_to(values, place.shape))
            )
        self._lower.append(np.broadcast_to(lower, place.shape))
        self._upper.append(np.broadcast_to(upper, place.shape))
        self._count += self._steps

    def add_total(self, terms: list[tuple[Any, Any]]) -> None:
        """One row, at least zero."""
        for columns, values in terms:
            self._entries.append((np.full(self._steps, self._count), columns, values))
        self._lower.append(np.zeros(1))
        self._upper.append(np.full(1, np.inf))
        self._count += 1

    def program(self, cost: Any, upper: Any) -> Lp:
        """The linear program."""
        rows, columns, values = (np.concatenate([entry[k] for entry in self._entries]) for k in range(3))
        matrix = csr_array(
            coo_array((values.astype(float), (rows, columns)), shape=(self._count, self._columns))
        )
        matrix.eliminate_zeros()
        integer = np.zeros(self._columns, dtype=bool)
        lower, high = np.concatenate(self._lower), np.concatenate(self._upper)
        return Lp(cost, 0.0, np.zeros(self._columns), upper, integer, matrix, lower, high)
