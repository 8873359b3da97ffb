"""Demand for heat or cooling, known interval by interval, always served.

Symbols: `D[t]` demand, kW thermal (MODEL.md §11.5, `D_h,t`). Bus: what sources give less what stores take
equals `D[t]`. Demand that comes from a building's temperature instead is `[building]`.
"""

from typing import Any, ClassVar

from optimiser.inputs import Inputs, Source
from optimiser.planning.components.component import Component, Terms
from optimiser.planning.hourly import Floats, Hourly, Rule
from optimiser.series import Quantity, SeriesSetting


class _Demand(Component):
    series: SeriesSetting
    scale: float = 1.0
    table: ClassVar[str]

    def read(self, source: Source) -> dict[str, Floats]:
        return {"demand_kw": self.scale * source.series(self.series, Quantity.POWER, self.table)}

    def _demand(self, name: str, hourly: Hourly, inputs: Inputs) -> tuple[Any, dict[str, Rule]]:
        """The known series, and the column that shows it."""
        demand = hourly.series(f"{name}_demand_kw", inputs.of(name, "demand_kw"))
        return demand, {f"{name}_kw": lambda t: demand[t]}


class HeatDemand(_Demand):
    """`[heat_demand]`: `series` in kW (mean of the interval) or kWh, times `scale`."""

    table = "heat_demand"

    def terms(self, name: str, hourly: Hourly, inputs: Inputs) -> Terms:
        demand, flows = self._demand(name, hourly, inputs)
        return Terms(heat_kw=lambda t: -1 * demand[t], flows=flows)


class CoolingDemand(_Demand):
    """`[cooling_demand]`: as `[heat_demand]`, on the cooling bus."""

    table = "cooling_demand"

    def terms(self, name: str, hourly: Hourly, inputs: Inputs) -> Terms:
        demand, flows = self._demand(name, hourly, inputs)
        return Terms(cooling_kw=lambda t: -1 * demand[t], flows=flows)
