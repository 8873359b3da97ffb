"""A store of heat or cold: a water tank, or ice.

Symbols (MODEL.md §11.5): `C` capacity, kWh thermal; `s[t]` content at the end of the interval, kWh; `ch`,
`dis` charge and discharge, kW, on the bus; `eta` efficiency of either; `e` standing loss per hour, 1/h; `h`
hours per interval; `r` power per capacity, 1/h: `s[t] = (1 - e)^h s[t-1] + h (eta ch - dis / eta)`,
`0 <= s <= C`, `ch <= r C`, `dis <= r C`. The year closes on itself.
"""

from typing import Any, Literal

from pydantic import Field

from optimiser.inputs import Inputs
from optimiser.planning.components.component import Component, Size, Terms
from optimiser.planning.hourly import Hourly


class ThermalStore(Component):
    """`[thermal_store]`. A litre of water holds 1.16e-3 kWh per K between its warm and its cold end."""

    bus: Literal["heat", "cooling"] = "heat"
    capex_eur_per_kwh: float = Field(default=0, ge=0)
    opex_eur_per_kwh_a: float = Field(default=0, ge=0)
    lifetime_years: int | None = Field(default=None, gt=0)
    minimum_kwh: float = Field(default=0, ge=0)
    maximum_kwh: float | None = Field(default=None, ge=0)
    efficiency: float = Field(default=0.98, gt=0, le=1)
    loss_per_h: float = Field(default=0.005, ge=0, lt=1)
    power_per_capacity_per_h: float | None = Field(default=None, gt=0)

    def terms(self, name: str, hourly: Hourly, inputs: Inputs) -> Terms:
        h, eta, kept = hourly.step_h, self.efficiency, (1 - self.loss_per_h) ** hourly.step_h
        most = float("inf") if self.maximum_kwh is None else self.maximum_kwh
        capacity = hourly.size(f"{name}_capacity", most, self.minimum_kwh)
        content = hourly.flow(f"{name}_content")
        charge = hourly.flow(f"{name}_charge")
        discharge = hourly.flow(f"{name}_discharge")
        before = hourly.before
        hourly.rows(
            f"{name}_content",
            lambda t: (
                content[t] - kept * content[before[t]] == h * eta * charge[t] - (h / eta) * discharge[t]
            ),
        )
        hourly.rows(f"{name}_capacity", lambda t: content[t] <= capacity)
        if self.power_per_capacity_per_h is not None:
            rate = self.power_per_capacity_per_h
            hourly.rows(f"{name}_charge", lambda t: charge[t] <= rate * capacity)
            hourly.rows(f"{name}_discharge", lambda t: discharge[t] <= rate * capacity)

        def into_bus(t: Any) -> Any:
            return discharge[t] - charge[t]

        return Terms(
            heat_kw=into_bus if self.bus == "heat" else None,
            cooling_kw=into_bus if self.bus == "cooling" else None,
            sizes={
                name: Size(
                    capacity, "kWh", self.capex_eur_per_kwh, self.opex_eur_per_kwh_a, self.lifetime_years
                )
            },
            flows={
                f"{name}_charge_kw": lambda t: charge[t],
                f"{name}_discharge_kw": lambda t: discharge[t],
                f"{name}_content_kwh": lambda t: content[t],
            },
            optional=True,
        )
