"""The TOML file that describes what to plan. `optimiser/README.md` documents it for people."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SerializeAsAny, ValidationError, model_validator

from optimiser.factors import Factors
from optimiser.planning.components import COMPONENTS
from optimiser.planning.components.component import Component
from optimiser.planning.components.grid import Grid
from optimiser.series import Period
from optimiser.table import Table, explained, read_toml
from optimiser.weather import Location, WeatherSetting


class CaseError(ValueError):
    """A TOML file that cannot be used; the message names the file, the place, the value and what to do."""


class Economy(Table):
    """`[economy]`: investment in year 0; what a year costs is paid at its end."""

    years: int = Field(default=20, ge=1, le=100)
    interest: float = Field(default=0.05, gt=-1)

    def weight(self, growth: float = 0.0) -> float:
        """EUR of today of one EUR a year, growing from the second year on: sum (1+g)^(y-1) / (1+i)^y."""
        return float(
            sum((1 + growth) ** (year - 1) / (1 + self.interest) ** year for year in range(1, self.years + 1))
        )

    def replaced(self, lifetime_years: int | None) -> float:
        """EUR of today of what costs 1 EUR new, replaced at each end of life, less the rest value."""
        return float(
            sum(share / (1 + self.interest) ** year for year, share in self.payments(lifetime_years))
        )

    def payments(self, lifetime_years: int | None) -> list[tuple[int, float]]:
        """(year, share of the price): 1 when new and at each replacement, the rest value at the end."""
        if lifetime_years is None:
            return [(0, 1.0)]
        bought = range(0, self.years, lifetime_years)
        rest = len(bought) - self.years / lifetime_years
        return [*((year, 1.0) for year in bought), *([(self.years, -rest)] if rest else [])]


class Balance(Table):
    """`[balance]`: what the district must reach over the year (domain.md §4)."""

    positive: bool = True
    """Primary energy exported is at least what is imported."""
    ghg_neutral: bool = False
    """Net greenhouse gas, imports less exports, is not above zero."""
    ghg_limit_kg: float = 0.0
    """With `ghg_neutral`: the most net greenhouse gas of a year, kg CO2e, where it is not zero."""
    netting: Literal["net", "one-way", "gross"] = "net"
    """`net`: as metered at the boundary, no credit for importing and exporting in one hour (domain.md §2).
    `one-way`: no hour both imports and exports, and that is all (MODEL.md §11.2 a, a study of the published
    model). `gross`: as published."""
    margin_kwh_pe: float = 0.0
    """Primary energy by which the balance must at least be positive in a year."""


class FuelPrice(Table):
    """`[fuel.CARRIER]`: price and factors of a fuel, per kWh of fuel (upper or lower value, as bought)."""

    eur_per_kwh: float
    pef: float = Field(ge=0)
    non_renewable_pef: float = Field(ge=0)
    ghg_kg_per_kwh: float = Field(ge=0)
    growth_per_a: float = Field(default=0, gt=-1)


class Case(Table):
    """A whole case. Components (`[load]`, `[pv]`, ...) are in `components`, by name."""

    title: str
    profile: Literal["default", "paper"] = "default"
    first_day: date
    days: int = Field(default=365, ge=1, le=366)
    interval_s: Literal[900, 3600] = 3600
    economy: Economy = Economy()
    balance: Balance = Balance()
    factors: Factors
    location: Location | None = None
    weather: WeatherSetting | None = None
    grid: Grid
    fuel: dict[str, FuelPrice] = Field(default_factory=dict)
    components: dict[str, SerializeAsAny[Component]] = Field(default_factory=dict)
    folder: Path = Path()
    """Where the file stands: CSV paths are relative to it."""

    @model_validator(mode="after")
    def _consistent(self) -> "Case":
        if (self.weather is None) != (self.location is None):
            raise ValueError("[location] and [weather] belong together")
        return self

    @property
    def period(self) -> Period:
        """The planned year."""
        start = datetime(self.first_day.year, self.first_day.month, self.first_day.day, tzinfo=UTC)
        steps = timedelta(days=self.days) // timedelta(seconds=self.interval_s)
        return Period(int(start.timestamp()), steps, self.interval_s)


def load_case(path: Path) -> Case:
    """Read and check a case. Raises CaseError naming the place and the value."""
    return make_case(read_toml(path, CaseError), path.parent, str(path))


def make_case(document: dict[str, Any], folder: Path, origin: str = "case") -> Case:
    """A case from a TOML document. Raises CaseError; `origin` starts its messages."""
    tables = dict(document)
    components: dict[str, Component] = {}
    for key, kind in COMPONENTS.items():
        entries = tables.pop(key, None)
        if entries is None:
            continue
        for place, name, table in _entries(origin, key, entries):
            if name in components:
                raise CaseError(f"{origin}: {place}: a component {name!r} is there twice")
            try:
                components[name] = kind.model_validate(table)
            except ValidationError as error:
                raise CaseError(explained(origin, error, place)) from None
    try:
        return Case.model_validate({**tables, "components": components, "folder": folder})
    except ValidationError as error:
        raise CaseError(explained(origin, error)) from None


def _entries(origin: str, key: str, entries: Any) -> list[tuple[str, str, Any]]:
    if not isinstance(entries, list):
        return [(key, key, entries)]
    found = []
    for number, entry in enumerate(entries, 1):
        table = dict(entry)
        name = table.pop("name", None)
        if not isinstance(name, str) or not name.isidentifier():
            raise CaseError(f"{origin}: {key}[{number}]: give each a name of letters, digits and _: {name!r}")
        found.append((f"{key}[{number}]", name, table))
    return found
