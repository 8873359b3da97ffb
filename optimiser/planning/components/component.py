"""The protocol of a component: a table of the case, its equations, and what it gives to the district.

To add a component:

1. A class that derives from `Component` in a module of its own here; its fields are the TOML table, each with
   its unit in its name. `read` takes the series that it needs from CSV files.
2. `terms` states variables and rows on the `Hourly` model and returns `Terms`: what flows into and out of
   each bus, what is invested, what a year costs, and which sizes and flows the plan shows.
3. One line in `components/__init__.py` gives the table its name. Buses, primary energy, objective and
   reports are put together from the `Terms` alone.

Signs: every rule of `Terms` is >= 0 except `heat_kw` and `cooling_kw`, which are positive into their bus.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from optimiser.planning.hourly import Floats, Hourly, Rule
from optimiser.table import Table

if TYPE_CHECKING:
    from optimiser.inputs import Inputs, Source


@dataclass(frozen=True)
class Size:
    """A design variable as the plan shows it."""

    amount: Any
    """Expression of the model."""
    unit: str
    eur_per_unit: float = 0.0
    """Investment in year 0."""
    eur_per_unit_a: float = 0.0
    """Fixed operation and maintenance."""
    lifetime_years: int | None = None
    """Replaced at the same price each time it ends; None: lasts as long as the plan."""
    limit_name: str = ""
    """What its upper bound is called in the case, where that is something else (a surface)."""
    per_limit: float = 1.0
    """Units of the size per unit of the limit (panel area per area of surface)."""


@dataclass(frozen=True)
class YearlyCost:
    """Paid (or, when negative, earned) at the end of every year; grows from the second year on."""

    name: str
    eur: Any
    growth: float = 0.0


@dataclass(frozen=True)
class Terms:
    """What a component gives to the district."""

    production_kw: Rule | None = None
    """Electricity: on-site generation after curtailment (domain.md §2, role generation)."""
    consumption_kw: Rule | None = None
    """Electricity: role load."""
    charge_from_production_kw: Rule | None = None
    """Electricity: role storage; the net rule forbids it in hours without surplus."""
    charge_from_grid_kw: Rule | None = None
    """Electricity: role storage, bought at the marginal factor."""
    discharge_kw: Rule | None = None
    heat_kw: Rule | None = None
    cooling_kw: Rule | None = None
    fuel_kw: Mapping[str, Rule] = field(default_factory=dict)
    """Fuel power by carrier; price and factors stand in the case's [fuel.CARRIER]."""
    foreign_kw: Rule | None = None
    """Electricity brought inside otherwise than through the grid, weighted at the marginal factor like other
    import (what vehicles charged elsewhere discharge here, domain.md §2)."""
    sizes: Mapping[str, Size] = field(default_factory=dict)
    costs: tuple[YearlyCost, ...] = ()
    flows: Mapping[str, Rule] = field(default_factory=dict)
    """Columns of the plan's hourly table; the unit ends the name."""
    production_charging: tuple[Any, ...] = ()
    """The variables behind `charge_from_production_kw`."""
    grid_charging: tuple[Any, ...] = ()
    """The variables behind `charge_from_grid_kw`."""
    optional: bool = False
    """All its variables may be zero at once, and its costs are in them alone: a battery that is not built.
    Then the plan is tried without it first (`storage_free.py`)."""


class Component(Table):
    """One table of the case."""

    def read(self, source: "Source") -> dict[str, Floats]:
        """The series of the component, by name. Raises SeriesError."""
        return {}

    @abstractmethod
    def terms(self, name: str, hourly: Hourly, inputs: "Inputs") -> Terms:
        """State the equations on `hourly`; `name` starts the names of variables and columns."""


def joined(rules: list[Rule | None]) -> Rule | None:
    """The sum of the rules that are there, None when there is none."""
    present: list[Callable[[Any], Any]] = [rule for rule in rules if rule is not None]
    if not present:
        return None
    return lambda t: sum((rule(t) for rule in present[1:]), start=present[0](t))
