"""Why nothing can be planned, and what the nearest district that can would need.

Each limit is loosened alone and the least loosening that makes the case possible is found: a linear program
whose objective is the loosening. A battery of any size may be built in it, since what is possible does not
depend on money. The limits that are tried are those that bind when the primary-energy balance is made as
large as possible, the dearest first.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from optimiser.case import Case
from optimiser.inputs import Inputs
from optimiser.planning.hourly import Hourly
from optimiser.planning.model import District, build
from optimiser.planning.solve import Solution, Solver, Status

MOST_CANDIDATES = 4
CONNECTION = "grid connection"
Keeper = Callable[[District, Solution], Solution | None]
"""Makes a solution keep the net rule: `net_rule.with_rule`."""


@dataclass(frozen=True)
class Loosening:
    """What one limit would have to be, all others as they are."""

    name: str
    now: float
    at_least: float
    """With less, no operation is possible at all; infinite: no loosening of this limit alone is enough."""
    enough: float
    """With this, a plan that keeps the net rule was found; infinite: none was found."""
    unit: str

    @property
    def sentence(self) -> str:
        """In words."""
        now = f"{self.name} is {self.now:,.6g} {self.unit}"
        if not np.isfinite(self.at_least):
            return f"{now}: however much more, it is not enough on its own."
        more = f"{100 * (self.at_least / self.now - 1):.1f} % more" if self.now else "none now"
        least = f"{now}: the nearest possible district needs {self.at_least:,.5g} {self.unit} ({more})"
        if not np.isfinite(self.enough):
            return f"{least}, and more to keep the net rule."
        if self.enough > self.at_least * 1.001:
            return f"{least}; {self.enough:,.5g} {self.unit} keep the net rule."
        return f"{least}."


def explain(case: Case, inputs: Inputs, keep: Keeper) -> tuple[str, ...]:
    """Sentences with numbers and units. Raises SolverFailed."""
    best = _best_balance(case, inputs)
    if best is None:
        return (
            "Even without any primary-energy or greenhouse-gas requirement the demand cannot be served.",
            *(loosening.sentence for loosening in _loosenings(case, inputs, None, keep)),
        )
    district, solution = best
    missing = case.balance.margin_kwh_pe + solution.cost
    reached = f"{-solution.cost:,.0f} kWh_PE a year"
    causes = []
    if case.balance.positive and missing > 0:
        causes.append(
            f"The primary-energy balance is what cannot be reached: at best, whatever it costs, it is "
            f"{reached} ({missing:,.0f} too few)."
        )
    elif case.balance.ghg_neutral:
        causes.append(
            f"The primary-energy balance can be reached ({reached} at best), but not together with net "
            "greenhouse gas not above zero."
        )
    found = _loosenings(case, inputs, (district, solution), keep)
    if not found:
        causes.append("No area or connection limit binds: the components themselves cannot do more.")
    return (*causes, *(loosening.sentence for loosening in found))


def _best_balance(case: Case, inputs: Inputs) -> tuple[District, Solution] | None:
    """The largest primary-energy balance, whatever it costs; the cost of the solution is its negative."""
    free = case.model_copy(
        update={"balance": case.balance.model_copy(update={"positive": False, "ghg_neutral": False})}
    )
    district = build(free, inputs)
    district.hourly.minimise(-1 * district.primary_energy_kwh)
    solution = Solver(district.hourly.compile()).solve()
    return (district, solution) if solution.status is Status.OPTIMAL else None


def _loosenings(
    case: Case, inputs: Inputs, best: tuple[District, Solution] | None, keep: Keeper
) -> list[Loosening]:
    found = []
    for name in _candidates(case, inputs, best):
        district = build(case, inputs)
        now, unit, extra = _loosen(district, name)
        district.hourly.minimise(extra)
        solution = Solver(district.hourly.compile()).solve()
        size = district.sizes.get(name)
        scale, shown = (1.0, name) if size is None else (size.per_limit, size.limit_name or name)
        if solution.status is not Status.OPTIMAL:
            found.append(Loosening(shown, now / scale, np.inf, np.inf, unit))
            continue
        kept = solution if case.balance.netting == "gross" else keep(district, solution)
        enough = np.inf if kept is None else (now + kept.cost) / scale
        found.append(Loosening(shown, now / scale, (now + solution.cost) / scale, enough, unit))
    return sorted(found, key=lambda entry: entry.at_least / entry.now if entry.now else np.inf)


def _candidates(case: Case, inputs: Inputs, best: tuple[District, Solution] | None) -> list[str]:
    """Names of limits that may be to blame."""
    district = build(case, inputs) if best is None else best[0]
    hourly = district.hourly
    worth: dict[str, float] = {}
    if case.grid.import_limit_kw is not None or case.grid.export_limit_kw is not None:
        worth[CONNECTION] = np.inf
    for name, size in district.sizes.items():
        place = hourly.place_of(size.amount)
        if place is None or not np.isfinite(hourly.upper(size.amount)[0]):
            continue
        if best is None:
            worth[name] = 0.0
        elif abs(best[1].column_dual[place.start]) > 1e-6:
            worth[name] = -float(best[1].column_dual[place.start]) * float(hourly.upper(size.amount)[0])
    return sorted(worth, key=lambda name: -worth[name])[:MOST_CANDIDATES]


def _loosen(district: District, name: str) -> tuple[float, str, Any]:
    """Give a limit room: (its value now, its unit, the room as an expression)."""
    hourly, grid = district.hourly, district.case.grid
    extra = hourly.size("room")
    if name == CONNECTION:
        limits = [limit for limit in (grid.import_limit_kw, grid.export_limit_kw) if limit is not None]
        _loosen_connection(district, hourly, extra)
        return min(limits), "kW", extra
    size = district.sizes[name]
    now = float(hourly.upper(size.amount)[0])
    hourly.unlimit(size.amount)
    hourly.row("room", size.amount <= now + extra)
    return now, size.unit, extra


def _loosen_connection(district: District, hourly: Hourly, extra: Any) -> None:
    connection, grid = district.connection, district.case.grid
    if grid.export_limit_kw is not None:
        most = grid.export_limit_kw
        hourly.unlimit(connection.export)
        hourly.rows("room_export", lambda t: connection.export[t] <= most + extra)
    if grid.import_limit_kw is not None:
        limit = grid.import_limit_kw
        hourly.unlimit(connection.load_import)
        hourly.drop_rows("grid_import")
        hourly.rows("room_import", lambda t: connection.import_kw(t) <= limit + extra)
        hourly.rows("room_load", lambda t: connection.load_import[t] <= district.consumption_kw(t))
