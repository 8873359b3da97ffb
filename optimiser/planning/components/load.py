"""Electric load of the district, known hour by hour. It is always served (domain.md §2, role load)."""

from optimiser.inputs import Inputs, Source
from optimiser.planning.components.component import Component, Terms
from optimiser.planning.hourly import Floats, Hourly
from optimiser.series import Quantity, SeriesSetting


class Load(Component):
    """`[load]`: `series` in kW (mean of the interval) or kWh, times `scale`."""

    series: SeriesSetting
    scale: float = 1.0

    def read(self, source: Source) -> dict[str, Floats]:
        return {"load_kw": self.scale * source.series(self.series, Quantity.POWER, "load")}

    def terms(self, name: str, hourly: Hourly, inputs: Inputs) -> Terms:
        load_kw = hourly.series(f"{name}_load_kw", inputs.of(name, "load_kw"))
        return Terms(consumption_kw=lambda t: load_kw[t], flows={f"{name}_kw": lambda t: load_kw[t]})
