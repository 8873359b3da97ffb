"""Demand for heat or cooling, known interval by interval, always served.

Symbols: `D[t]` demand, kW thermal (MODEL.md §11.5, `D_h,t`). Bus: what sources give less what stores take
equals `D[t]`. Demand that comes from a building's temperature instead is `[building]`.
"""

from optimiser.inputs import Inputs, Source
from optimiser.planning.components.component import Component, Terms
from optimiser.planning.hourly import Floats, Hourly
from optimiser.series import Quantity, SeriesSetting


class HeatDemand(Component):
    """`[heat_demand]`: `series` in kW (mean of the interval) or kWh, times `scale`."""

    series: SeriesSetting
    scale: float = 1.0

    def read(self, source: Source) -> dict[str, Floats]:
        return {"demand_kw": self.scale * source.series(self.series, Quantity.POWER, "heat_demand")}

    def terms(self, name: str, hourly: Hourly, inputs: Inputs) -> Terms:
        demand = hourly.series(f"{name}_demand_kw", inputs.of(name, "demand_kw"))
        return Terms(heat_kw=lambda t: -1 * demand[t], flows={f"{name}_kw": lambda t: demand[t]})


class CoolingDemand(Component):
    """`[cooling_demand]`: as `[heat_demand]`, on the cooling bus."""

    series: SeriesSetting
    scale: float = 1.0

    def read(self, source: Source) -> dict[str, Floats]:
        return {"demand_kw": self.scale * source.series(self.series, Quantity.POWER, "cooling_demand")}

    def terms(self, name: str, hourly: Hourly, inputs: Inputs) -> Terms:
        demand = hourly.series(f"{name}_demand_kw", inputs.of(name, "demand_kw"))
        return Terms(cooling_kw=lambda t: -1 * demand[t], flows={f"{name}_kw": lambda t: demand[t]})
