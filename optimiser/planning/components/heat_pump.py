"""A heat pump that heats, cools, or both.

Symbols (MODEL.md §11.5), per interval: `Ph`, `Pc` electric power for heating and cooling, kW; `Qh = COPh Ph`,
`Qc = COPc Pc` heat and cold, kW; `K` rated heat output, kW; `fh = max(0, 1 + k (T - T_rated))`, `fc` capacity
relative to `K`; `T` source temperature, degC (outdoor air unless given). One machine does one thing at a
time, or shares the interval: `Qh / fh + Qc / fc <= K`, the convex form of two binaries per hour. Carnot times
`zeta`: `COPh = zeta (Ts + 273.15) / (Ts - T + dT)`, `COPc = zeta (Tc + 273.15) / (T - Tc + dT)`, at most
`maximum_cop` (also where the lift is not positive); `Ts` supply, `Tc` chilled water, degC, `dT` heat
exchangers, K. A measured `heating_cop` or `cooling_cop` replaces the formula. Electricity is consumption
(role load).
"""

from typing import Any

import numpy as np
from pydantic import Field, model_validator

from optimiser.inputs import Inputs, Source
from optimiser.planning.components.component import Component, Size, Terms
from optimiser.planning.hourly import Floats, Hourly
from optimiser.series import Quantity, SeriesSetting

ZERO_DEGC_K = 273.15


class HeatPump(Component):
    """`[heat_pump]`."""

    capex_eur_per_kw: float = Field(default=0, ge=0)
    opex_eur_per_kw_a: float = Field(default=0, ge=0)
    lifetime_years: int | None = Field(default=None, gt=0)
    minimum_kw: float = Field(default=0, ge=0)
    maximum_kw: float | None = Field(default=None, ge=0)
    heating: bool = True
    cooling: bool = False
    source: SeriesSetting | None = None
    """Temperature of air, ground or water, degC; without it the outdoor air of [weather]."""
    supply_degc: float = 45.0
    chilled_degc: float = 7.0
    exergy_efficiency: float = Field(default=0.45, gt=0, lt=1)
    approach_k: float = Field(default=0.0, ge=0)
    maximum_cop: float = Field(default=8.0, ge=1)
    rated_source_degc: float = 7.0
    capacity_per_k: float = Field(default=0.0, ge=0)
    """Share of the rated heat output gained per K of warmer source (air: 0.02 to 0.03)."""
    cooling_capacity_share: float = Field(default=1.0, gt=0)
    """Rated cold output over rated heat output."""
    heating_cop: SeriesSetting | None = None
    cooling_cop: SeriesSetting | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "HeatPump":
        if not self.heating and not self.cooling:
            raise ValueError("set heating = true or cooling = true: it has nothing to do")
        return self

    def read(self, source: Source) -> dict[str, Floats]:
        """Temperature (degC) and measured COP (-), those that are given. Raises SeriesError."""
        given = {
            "source_degc": (self.source, Quantity.TEMPERATURE, "heat_pump.source"),
            "heating_cop": (self.heating_cop, Quantity.NUMBER, "heat_pump.heating_cop"),
            "cooling_cop": (self.cooling_cop, Quantity.NUMBER, "heat_pump.cooling_cop"),
        }
        return {
            key: source.series(setting, quantity, place)
            for key, (setting, quantity, place) in given.items()
            if setting is not None
        }

    def terms(self, name: str, hourly: Hourly, inputs: Inputs) -> Terms:
        most = float("inf") if self.maximum_kw is None else self.maximum_kw
        rated = hourly.size(f"{name}_rated", most, self.minimum_kw)
        heating, cooling = np.inf if self.heating else 0.0, np.inf if self.cooling else 0.0
        power_heat = hourly.flow(f"{name}_heating_power", heating)
        power_cold = hourly.flow(f"{name}_cooling_power", cooling)
        ones = np.ones(inputs.steps)
        cop_heat = hourly.series(f"{name}_cop_heat", self._heating_cop(name, inputs) if heating else ones)
        cop_cold = hourly.series(f"{name}_cop_cold", self._cooling_cop(name, inputs) if cooling else ones)
        share_heat = hourly.series(f"{name}_share_heat", self._capacity(name, inputs) if heating else ones)
        share_cold = self.cooling_capacity_share

        def heat(t: Any) -> Any:
            return cop_heat[t] * power_heat[t]

        def cold(t: Any) -> Any:
            return cop_cold[t] * power_cold[t]

        # Qh / fh + Qc / fc <= K, times fh fc: a capacity of zero is allowed
        hourly.rows(
            f"{name}_rated",
            lambda t: share_cold * heat(t) + share_heat[t] * cold(t) <= share_cold * share_heat[t] * rated,
        )
        flows = {f"{name}_power_kw": lambda t: power_heat[t] + power_cold[t]}
        if self.heating:
            flows[f"{name}_heat_kw"] = heat
        if self.cooling:
            flows[f"{name}_cold_kw"] = cold
        return Terms(
            consumption_kw=lambda t: power_heat[t] + power_cold[t],
            heat_kw=heat if self.heating else None,
            cooling_kw=cold if self.cooling else None,
            sizes={
                name: Size(rated, "kW", self.capex_eur_per_kw, self.opex_eur_per_kw_a, self.lifetime_years)
            },
            flows=flows,
        )

    def _source_degc(self, name: str, inputs: Inputs) -> Floats:
        return inputs.temperature_degc() if self.source is None else inputs.of(name, "source_degc")

    def _capacity(self, name: str, inputs: Inputs) -> Floats:
        if not self.capacity_per_k:
            return np.ones(inputs.steps)
        warmer = self._source_degc(name, inputs) - self.rated_source_degc
        return np.maximum(0.0, 1 + self.capacity_per_k * warmer)

    def _heating_cop(self, name: str, inputs: Inputs) -> Floats:
        if self.heating_cop is not None:
            return inputs.of(name, "heating_cop")
        lift = self.supply_degc - self._source_degc(name, inputs) + self.approach_k
        return self._carnot(self.supply_degc, lift)

    def _cooling_cop(self, name: str, inputs: Inputs) -> Floats:
        if self.cooling_cop is not None:
            return inputs.of(name, "cooling_cop")
        lift = self._source_degc(name, inputs) - self.chilled_degc + self.approach_k
        return self._carnot(self.chilled_degc, lift)

    def _carnot(self, useful_degc: float, lift_k: Floats) -> Floats:
        best = self.exergy_efficiency * (useful_degc + ZERO_DEGC_K)
        return best / np.maximum(lift_k, best / self.maximum_cop)
