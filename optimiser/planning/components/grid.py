"""The grid connection: tariffs, limits, and the two kinds of import (domain.md §2, §3).

Symbols, kW: `il` import for the load, `ib` import for storage (summed over the storages), `ex` export;
`imp = il + ib <= limit`, `ex <= limit`. A year costs `sum h (buy imp - sell ex)`; the buying price may grow.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field

from optimiser.inputs import Inputs, Source
from optimiser.planning.components.component import YearlyCost
from optimiser.planning.hourly import Floats, Hourly, Rule
from optimiser.series import Quantity, SeriesSetting
from optimiser.table import Table


class Grid(Table):
    """`[grid]`: prices as a number or a series; a limit that is not given does not exist."""

    buy: SeriesSetting
    sell: SeriesSetting
    import_limit_kw: float | None = Field(default=None, ge=0)
    export_limit_kw: float | None = Field(default=None, ge=0)
    buy_growth_per_a: float = Field(default=0, gt=-1)

    def read(self, source: Source) -> dict[str, Floats]:
        """Prices, EUR/kWh. Raises SeriesError."""
        return {
            "buy_eur_per_kwh": source.series(self.buy, Quantity.PRICE, "grid.buy"),
            "sell_eur_per_kwh": source.series(self.sell, Quantity.PRICE, "grid.sell"),
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

    if storage_import_kw is not None and np.isfinite(import_limit):
        hourly.rows("grid_import", lambda t: import_kw(t) <= import_limit)
    buy = hourly.series("grid_buy", inputs.of("grid", "buy_eur_per_kwh"))
    sell = hourly.series("grid_sell", inputs.of("grid", "sell_eur_per_kwh"))
    h = hourly.step_h
    return Connection(
        load_import,
        export,
        storage_import_kw,
        import_kw,
        lambda t: export[t],
        (
            YearlyCost(
                "electricity bought", h * hourly.total(lambda t: buy[t] * import_kw(t)), grid.buy_growth_per_a
            ),
            YearlyCost("electricity sold", -h * hourly.total(lambda t: sell[t] * export[t])),
        ),
    )
