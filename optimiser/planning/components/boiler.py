"""A boiler: heat from a fuel with its own price and factors, or from electricity (an immersion heater).

Symbols: `Q[t]` heat, kW; `K` rated heat output, kW; `eta` efficiency on the heating value that the fuel is
bought by. `0 <= Q[t] <= K`; fuel power `F[t] = Q[t] / eta`, kW (MODEL.md §11.5). Primary energy and
greenhouse gas of fuel count with the fuel's own factors (domain.md §3). Electricity is
consumption (role load).
"""

from typing import Any

from pydantic import Field

from optimiser.inputs import Inputs
from optimiser.planning.components.component import Component, Size, Terms
from optimiser.planning.hourly import Hourly

ELECTRICITY = "electricity"


class Boiler(Component):
    """`[boiler]`: `carrier` names a table [fuel.CARRIER], or is "electricity". A connection to a heat network
    is a boiler of efficiency 1 whose fuel is the bought heat."""

    carrier: str
    efficiency: float = Field(default=0.95, gt=0, le=1.1)
    capex_eur_per_kw: float = Field(default=0, ge=0)
    opex_eur_per_kw_a: float = Field(default=0, ge=0)
    lifetime_years: int | None = Field(default=None, gt=0)
    minimum_kw: float = Field(default=0, ge=0)
    maximum_kw: float | None = Field(default=None, ge=0)

    def terms(self, name: str, hourly: Hourly, inputs: Inputs) -> Terms:
        most = float("inf") if self.maximum_kw is None else self.maximum_kw
        rated = hourly.size(f"{name}_rated", most, self.minimum_kw)
        heat = hourly.flow(f"{name}_heat")
        hourly.rows(f"{name}_rated", lambda t: heat[t] <= rated)
        per_heat = 1 / self.efficiency

        def input_kw(t: Any) -> Any:
            return per_heat * heat[t]

        electric = self.carrier == ELECTRICITY
        return Terms(
            consumption_kw=input_kw if electric else None,
            fuel_kw={} if electric else {self.carrier: input_kw},
            heat_kw=lambda t: heat[t],
            sizes={
                name: Size(rated, "kW", self.capex_eur_per_kw, self.opex_eur_per_kw_a, self.lifetime_years)
            },
            flows={f"{name}_heat_kw": lambda t: heat[t], f"{name}_{self.carrier}_kw": input_kw},
        )
