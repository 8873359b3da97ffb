"""Demand response: a load that may be moved in time, but not be left out.

Symbols (MODEL.md §11.7): `L[t]` the load as people would have it, kW; `up`, `dn` more and less, kW:
`L'[t] = L[t] + up[t] - dn[t]`, `up <= f_up L`, `dn <= f_dn L`. Balance `b[t] = b[t-1] + h (up - dn)`, kWh, is
zero at the end of each window (a day unless said otherwise, from the period's first interval on), and never
further than `E` from zero. Moving costs `c dn`, EUR/kWh. Consumption (role load) is `L'`. What cannot be
moved belongs to `[load]`.
"""

import numpy as np
from pydantic import Field

from optimiser.inputs import Inputs, Source
from optimiser.planning.components.component import Component, Terms, YearlyCost
from optimiser.planning.hourly import Floats, Hourly
from optimiser.series import Quantity, SeriesSetting


class FlexibleLoad(Component):
    """`[flexible_load]`."""

    series: SeriesSetting
    scale: float = 1.0
    up_share: float = Field(default=1.0, ge=0)
    down_share: float = Field(default=1.0, ge=0, le=1)
    maximum_kw: float | None = Field(default=None, gt=0)
    """The most that it may draw."""
    window_h: int = Field(default=24, gt=0)
    most_moved_kwh: float | None = Field(default=None, gt=0)
    eur_per_kwh_moved: float = Field(default=0, ge=0)

    def read(self, source: Source) -> dict[str, Floats]:
        return {"load_kw": self.scale * source.series(self.series, Quantity.POWER, "flexible_load")}

    def terms(self, name: str, hourly: Hourly, inputs: Inputs) -> Terms:
        wanted, h = inputs.of(name, "load_kw"), hourly.step_h
        load = hourly.series(f"{name}_load_kw", wanted)
        up_most = self.up_share * wanted
        if self.maximum_kw is not None:
            up_most = np.minimum(up_most, np.maximum(0.0, self.maximum_kw - wanted))
        up = hourly.flow(f"{name}_up", up_most)
        down = hourly.flow(f"{name}_down", self.down_share * wanted)
        open_window = (np.arange(1, hourly.steps + 1) * h) % self.window_h != 0
        open_window[-1] = False
        most = np.inf if self.most_moved_kwh is None else self.most_moved_kwh
        limit = np.where(open_window, most, 0.0)
        moved, before = hourly.flow(f"{name}_moved", limit, -limit), hourly.before
        hourly.rows(
            f"{name}_moved",
            lambda t: moved[t] - moved[before[t]] == h * up[t] - h * down[t],
        )
        cost = h * self.eur_per_kwh_moved * hourly.total(lambda t: down[t])
        return Terms(
            consumption_kw=lambda t: load[t] + up[t] - down[t],
            costs=(YearlyCost(f"{name} moved", cost),) if self.eur_per_kwh_moved else (),
            flows={
                f"{name}_kw": lambda t: load[t] + up[t] - down[t],
                f"{name}_wanted_kw": lambda t: load[t],
                f"{name}_moved_kwh": lambda t: moved[t],
            },
        )
