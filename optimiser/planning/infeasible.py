"""Why nothing can be planned, and what the nearest district that can would need.

Each limit is loosened alone and the least loosening that makes the case possible is found: a linear program
whose objective is the loosening. A battery of any size may be built in it, since what is possible does not
depend on money. The limits that are tried are those that bind when the primary-energy balance is made as
large as possible, the dearest first. The limit that needs the least is the one to change: the district
with it loosened just enough is planned, so that its price is known.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from optimiser.case import Case
from optimiser.inputs import Inputs
from optimiser.planning.hourly import Hourly
from optimiser.planning.model import District, build
from optimiser.planning.plan import Nearest, sizes_of
from optimiser.planning.sides import Sides, breaks_rule, needs_no_import, with_rule
from optimiser.planning.solve import Solution, Solver, Status
from optimiser.planning.storage_free import best_relaxed

MOST_CANDIDATES = 4
CONNECTION = "grid connection"
SLACK = 1e-5
"""Relative: room above the least that is possible, within which the solver finds its way."""


@dataclass(frozen=True)
class _Loosening:
    """What one limit would have to be, all others as they are."""

    component: str
    """Name of the size, or `CONNECTION`."""
    name: str
    """As the case calls it."""
    now: float
    at_least: float
    """With less, no operation is possible at all; infinite: no loosening of this limit alone is enough."""
    enough: float
    """With this, a plan that keeps the net rule was found; infinite: none was found."""
    unit: str
    scale: float = 1.0
    """Units of the size per unit shown."""
    sides: Sides | None = None
    """Those with which `enough` is enough."""

    @property
    def relative(self) -> float:
        """By which factor the limit must grow."""
        return self.enough / self.now if self.now else np.inf

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


def explain(case: Case, inputs: Inputs) -> tuple[tuple[str, ...], Nearest | None]:
    """Sentences with numbers and units, and the nearest district. Raises SolverFailed."""
    causes, found = _causes(case, inputs)
    sentences = (*causes, *(loosening.sentence for loosening in found))
    enough = [loosening for loosening in found if np.isfinite(loosening.enough)]
    nearest = _planned(case, inputs, min(enough, key=lambda entry: entry.relative)) if enough else None
    if nearest is None:
        return sentences, None
    sizes = ", ".join(
        f"{size.value:,.4g} {size.unit} {name}"
        for name, size in nearest.sizes.items()
        if size.value and size.unit != "m2"
    )
    priced = (
        f"With {nearest.needed:,.5g} {nearest.unit} of {nearest.limit} the best NPV found is "
        f"{nearest.npv_eur:,.0f} EUR ({sizes or 'nothing is built'})."
    )
    return (*sentences, priced), nearest


def _planned(case: Case, inputs: Inputs, loosening: _Loosening) -> Nearest | None:
    """The best plan with one limit loosened as far as is needed."""
    district = build(case, inputs)
    _, _, extra = _loosen(district, loosening.component)
    room = (loosening.enough - loosening.now) * loosening.scale
    district.hourly.row("room_needed", extra <= room * (1 + SLACK) + SLACK)
    relaxed = best_relaxed(district)
    if relaxed.status is not Status.OPTIMAL:
        return None
    kept: Solution | None = relaxed
    if breaks_rule(district, relaxed.x):
        kept = with_rule(district, relaxed, loosening.sides)
    if kept is None:
        return None
    return Nearest(
        loosening.name,
        loosening.now,
        loosening.enough,
        loosening.unit,
        -kept.cost,
        -relaxed.cost,
        sizes_of(district, kept.x),
    )


def _causes(case: Case, inputs: Inputs) -> tuple[list[str], list[_Loosening]]:
    best = _best_balance(case, inputs)
    if best is None:
        words = "Even without any primary-energy or greenhouse-gas requirement the demand cannot be served."
        return [words], _loosenings(case, inputs, None)
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
    found = _loosenings(case, inputs, (district, solution))
    if not found:
        causes.append("No area or connection limit binds: the components themselves cannot do more.")
    return causes, found


def _best_balance(case: Case, inputs: Inputs) -> tuple[District, Solution] | None:
    """The largest primary-energy balance, whatever it costs; the cost of the solution is its negative."""
    free = case.model_copy(
        update={"balance": case.balance.model_copy(update={"positive": False, "ghg_neutral": False})}
    )
    district = build(free, inputs)
    district.hourly.minimise(-1 * district.primary_energy_kwh)
    solution = Solver(district.hourly.compile()).solve()
    return (district, solution) if solution.status is Status.OPTIMAL else None


def _loosenings(case: Case, inputs: Inputs, best: tuple[District, Solution] | None) -> list[_Loosening]:
    """The limits that may be to blame, the one that needs the least first."""
    found = []
    for name in _candidates(case, inputs, best):
        district = build(case, inputs)
        now, unit, extra = _loosen(district, name)
        district.hourly.minimise(extra)
        solution = Solver(district.hourly.compile()).solve()
        size = district.sizes.get(name)
        scale, shown = (1.0, name) if size is None else (size.per_limit, size.limit_name or name)
        if solution.status is not Status.OPTIMAL:
            found.append(_Loosening(name, shown, now / scale, np.inf, np.inf, unit))
            continue
        kept = with_rule(district, solution) if breaks_rule(district, solution.x) else solution
        enough = np.inf if kept is None else (now + kept.cost) / scale
        sides = None if kept is None else needs_no_import(district, kept.x)
        least = (now + solution.cost) / scale
        found.append(_Loosening(name, shown, now / scale, least, enough, unit, scale, sides))
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
