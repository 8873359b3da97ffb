"""The grid connection: tariffs, limits, and the two kinds of import (domain.md §2, §3).

Symbols, kW: `il` import for the load, `ib` import for storage (summed over the storages), `ex` export;
`imp = il + ib <= limit`, `ex <= limit`. A year costs `sum h (buy imp - sell ex)` and a standing charge; the
buying price may grow by a rate from year to year (Bruck et al. 2021, Fig. 10), all else stays. `tariff.py`
says what time of use, peaks and contracts add.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from optimiser.inputs import Inputs, Source
from optimiser.planning.components.component import YearlyCost
from optimiser.planning.components.tariff import (
    Contract,
    Peak,
    TimeOfUse,
    checked_timezone,
    local_times,
    period_numbers,
)
from optimiser.planning.hourly import Floats, Hourly, Rule
from optimiser.series import Quantity, SeriesSetting
from optimiser.table import Table


class Tariff(Table):
    """`[[grid.tariff]]`: an offer; what it does not say is as in `[grid]`."""

    name: str
    buy: SeriesSetting | None = None
    sell: SeriesSetting | None = None
    buy_growth_per_a: float | None = Field(default=None, gt=-1)
    standing_eur_a: float | None = None
    time_of_use: list[TimeOfUse] | None = None
    peak: list[Peak] | None = None
    contract: list[Contract] | None = None


class Grid(Table):
    """`[grid]`: prices as a number or a series; a limit that is not given does not exist."""

    buy: SeriesSetting
    sell: SeriesSetting
    import_limit_kw: float | None = Field(default=None, ge=0)
    export_limit_kw: float | None = Field(default=None, ge=0)
    buy_growth_per_a: float = Field(default=0, gt=-1)
    standing_eur_a: float = 0.0
    timezone: Annotated[str, AfterValidator(checked_timezone)] = "UTC"
    """Clock of the time of use and of the months of peaks."""
    time_of_use: list[TimeOfUse] = Field(default_factory=list)
    peak: list[Peak] = Field(default_factory=list)
    contract: list[Contract] = Field(default_factory=list)
    tariff: list[Tariff] = Field(default_factory=list)
    """With offers, the district takes the best one for the whole plan (`tariff_choice.py`)."""

    @model_validator(mode="after")
    def _consistent(self) -> "Grid":
        for kind, entries in (("contract", self.contract), ("tariff", self.tariff)):
            names = [entry.name for entry in entries]
            doubled = {name for name in names if names.count(name) > 1}
            if doubled:
                raise ValueError(f"two of [[grid.{kind}]] are called {doubled.pop()!r}")
        return self

    def read(self, source: Source) -> dict[str, Floats]:
        """Prices, EUR/kWh. Raises SeriesError."""
        buy = source.series(self.buy, Quantity.PRICE, "grid.buy")
        if self.time_of_use:
            times = local_times(source.period, self.timezone)
            buy = buy + sum(entry.added(times) for entry in self.time_of_use)
        found = {
            "buy_eur_per_kwh": buy,
            "sell_eur_per_kwh": source.series(self.sell, Quantity.PRICE, "grid.sell"),
        }
        for number, contract in enumerate(self.contract):
            place = f"grid.contract[{number + 1}].price"
            found[_price_of(number)] = source.series(contract.price, Quantity.PRICE, place)
        return found

    def offers(self) -> dict[str, "Grid"]:
        """The connection under each tariff."""
        return {
            entry.name: self.model_copy(
                update={
                    "tariff": [],
                    **{
                        key: getattr(entry, key)
                        for key in Tariff.model_fields
                        if key != "name" and getattr(entry, key) is not None
                    },
                }
            )
            for entry in self.tariff
        }


@dataclass(frozen=True)
class Connection:
    """The grid in the model."""

    load_import: Any
    """Variable `il`."""
    export: Any
    """Variable `ex`."""
    storage_import_kw: Rule | None
    import_kw: Rule
    export_kw: Rule
    costs: tuple[YearlyCost, ...]


def connect(
    grid: Grid, hourly: Hourly, inputs: Inputs, consumption_kw: Rule, storage_import_kw: Rule | None
) -> Connection:
    """State the connection. `il` is at most the consumption: more would charge at the average factor."""
    import_limit = np.inf if grid.import_limit_kw is None else grid.import_limit_kw
    export_limit = np.inf if grid.export_limit_kw is None else grid.export_limit_kw
    known = hourly.known(consumption_kw)
    load_import = hourly.flow(
        "grid_import_load", import_limit if known is None else np.minimum(known, import_limit)
    )
    export = hourly.flow("grid_export", export_limit)
    if known is None:
        hourly.rows("grid_import_load", lambda t: load_import[t] <= consumption_kw(t))

    def import_kw(t: Any) -> Any:
        return load_import[t] if storage_import_kw is None else load_import[t] + storage_import_kw(t)

    def export_kw(t: Any) -> Any:
        return export[t]

    if storage_import_kw is not None and np.isfinite(import_limit):
        hourly.rows("grid_import", lambda t: import_kw(t) <= import_limit)
    costs = [
        *_energy(grid, hourly, inputs, import_kw, export_kw),
        *_peaks(grid, hourly, inputs, import_kw, export_kw),
    ]
    if grid.standing_eur_a:
        costs.append(YearlyCost("standing charge", grid.standing_eur_a))
    return Connection(load_import, export, storage_import_kw, import_kw, export_kw, tuple(costs))


def _energy(grid: Grid, hourly: Hourly, inputs: Inputs, import_kw: Rule, export_kw: Rule) -> list[YearlyCost]:
    buy = hourly.series("grid_buy", inputs.of("grid", "buy_eur_per_kwh"))
    sell = hourly.series("grid_sell", inputs.of("grid", "sell_eur_per_kwh"))
    h, by_contract = hourly.step_h, list[YearlyCost]()
    parts: dict[str, list[Any]] = {"buy": [], "sell": []}
    for number, contract in enumerate(grid.contract):
        part = contract.part(f"grid_contract_{number}", hourly)
        price = hourly.series(f"grid_contract_price_{number}", inputs.of("grid", _price_of(number)))
        parts[contract.direction].append(part)
        eur = h * hourly.total(_product(price, part))
        by_contract.append(YearlyCost(contract.name, eur if contract.direction == "buy" else -1 * eur))

    def rest(t: Any, whole: Rule, direction: str) -> Any:
        return whole(t) - sum(part[t] for part in parts[direction]) if parts[direction] else whole(t)

    for direction, whole in (("buy", import_kw), ("sell", export_kw)):
        if parts[direction]:
            hourly.rows(
                f"grid_contracts_{direction}",
                lambda t, whole=whole, direction=direction: rest(t, whole, direction) >= 0,  # type: ignore[misc]
            )
    bought = h * hourly.total(lambda t: buy[t] * rest(t, import_kw, "buy"))
    sold = h * hourly.total(lambda t: sell[t] * rest(t, export_kw, "sell"))
    return [
        YearlyCost("electricity bought", bought, grid.buy_growth_per_a),
        YearlyCost("electricity sold", -1 * sold),
        *by_contract,
    ]


def _peaks(grid: Grid, hourly: Hourly, inputs: Inputs, import_kw: Rule, export_kw: Rule) -> list[YearlyCost]:
    local = local_times(inputs.period, grid.timezone)
    return [
        peak.cost(f"grid_peak_{number}", hourly, period_numbers(local, peak.period), import_kw, export_kw)
        for number, peak in enumerate(grid.peak)
    ]


def _product(price: Any, part: Any) -> Rule:
    return lambda t: price[t] * part[t]


def _price_of(number: int) -> str:
    return f"contract_{number}_eur_per_kwh"
