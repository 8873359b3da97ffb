"""A building whose mass stores heat: one resistance, one capacity (1R1C).

Symbols (MODEL.md §11.5), `n` alike: `Ti[t]` indoor temperature at the end of the interval, degC; `To`
outdoor air, degC; `C` heat capacity, kWh/K; `R` resistance to outdoors, K/kW; `g` gains of sun and people,
kW; `Qh`, `Qc` heat and cold, kW, each of one building. `C dTi/dt = (To - Ti) / R + g + Qh - Qc`, solved
exactly for constant inputs in the interval instead of by Euler's rule (stable for any interval):
`Ti[t] = a Ti[t-1] + (1 - a) (To + R (g + Qh - Qc))`, `a = exp(-h / (R C))`. Comfort: `low - s <= Ti <= high
+ s`; the slack `s`, K, costs `discomfort_eur_per_k_h` (without it: `s = 0`). The year closes on itself.
"""

from math import exp

import numpy as np
from pydantic import Field

from optimiser.inputs import Inputs, Source
from optimiser.planning.components.component import Component, Terms, YearlyCost
from optimiser.planning.hourly import Floats, Hourly
from optimiser.series import Quantity, SeriesError, SeriesSetting


class Building(Component):
    """`[building]`: an archetype; `count` of them. The comfort band may change over the day (series)."""

    count: float = Field(default=1, gt=0)
    heat_capacity_kwh_per_k: float = Field(gt=0)
    resistance_k_per_kw: float = Field(gt=0)
    low: SeriesSetting = SeriesSetting(value=20.0)
    high: SeriesSetting = SeriesSetting(value=26.0)
    gains: SeriesSetting = SeriesSetting(value=0.0)
    """kW per building, mean of the interval."""
    outdoor: SeriesSetting | None = None
    """degC; without it the air of [weather]."""
    heating: bool = True
    cooling: bool = False
    discomfort_eur_per_k_h: float | None = Field(default=None, gt=0)
    """Per building."""

    def read(self, source: Source) -> dict[str, Floats]:
        """Temperatures (degC) and gains (kW). Raises SeriesError."""
        low = source.series(self.low, Quantity.TEMPERATURE, "building.low")
        high = source.series(self.high, Quantity.TEMPERATURE, "building.high")
        if (low > high).any():
            first = int(np.argmax(low > high))
            raise SeriesError(
                f"building.low is {low[first]} degC in interval {first}, above high {high[first]}"
            )
        found = {
            "low_degc": low,
            "high_degc": high,
            "gains_kw": source.series(self.gains, Quantity.POWER, "building.gains"),
        }
        if self.outdoor is not None:
            found["outdoor_degc"] = source.series(self.outdoor, Quantity.TEMPERATURE, "building.outdoor")
        return found

    def terms(self, name: str, hourly: Hourly, inputs: Inputs) -> Terms:
        kept = exp(-hourly.step_h / (self.resistance_k_per_kw * self.heat_capacity_kwh_per_k))
        outdoor = inputs.temperature_degc() if self.outdoor is None else inputs.of(name, "outdoor_degc")
        drift = (1 - kept) * (outdoor + self.resistance_k_per_kw * inputs.of(name, "gains_kw"))
        push = (1 - kept) * self.resistance_k_per_kw / self.count
        low, high = inputs.of(name, "low_degc"), inputs.of(name, "high_degc")
        soft = self.discomfort_eur_per_k_h is not None
        indoor = hourly.flow(f"{name}_indoor", *((np.inf, -np.inf) if soft else (high, low)))
        heat = hourly.flow(f"{name}_heat", np.inf if self.heating else 0.0)
        cold = hourly.flow(f"{name}_cold", np.inf if self.cooling else 0.0)
        free, before = hourly.series(f"{name}_drift", drift), hourly.before
        hourly.rows(
            f"{name}_indoor",
            lambda t: indoor[t] - kept * indoor[before[t]] - push * heat[t] + push * cold[t] == free[t],
        )
        flows = {f"{name}_indoor_degc": lambda t: indoor[t]}
        if self.heating:
            flows[f"{name}_heat_kw"] = lambda t: heat[t]
        if self.cooling:
            flows[f"{name}_cold_kw"] = lambda t: cold[t]
        return Terms(
            heat_kw=(lambda t: -1 * heat[t]) if self.heating else None,
            cooling_kw=(lambda t: -1 * cold[t]) if self.cooling else None,
            costs=self._comfort(name, hourly, indoor, low, high),
            flows=flows,
        )

    def _comfort(
        self, name: str, hourly: Hourly, indoor: object, low: Floats, high: Floats
    ) -> tuple[YearlyCost, ...]:
        if self.discomfort_eur_per_k_h is None:
            return ()
        slack = hourly.flow(f"{name}_discomfort")
        least, most = hourly.series(f"{name}_low", low), hourly.series(f"{name}_high", high)
        hourly.rows(f"{name}_low", lambda t: indoor[t] + slack[t] >= least[t])  # type: ignore[index]
        hourly.rows(f"{name}_high", lambda t: indoor[t] - slack[t] <= most[t])  # type: ignore[index]
        price = self.discomfort_eur_per_k_h * self.count * hourly.step_h
        return (YearlyCost("discomfort", price * hourly.total(lambda t: slack[t])),)
