"""A stationary battery.

Symbols: `C` capacity, kWh; `so[t]` content at the end of the interval, kWh; `pb`, `ib` charging from
production and from the grid, `di` discharge, kW, all on the AC side; `s = sqrt(round-trip efficiency)`; `h`
hours per interval; `r` power per capacity, 1/h, on the cell side (Bruck et al. 2021): `so[t] = so[t-1] + h
(s (pb + ib) - di / s)`, `so <= f C`, `di / s <= r C`, `s (pb + ib) <= r C`. The year closes on itself: the
last hour precedes the first.

Ageing (MODEL.md §11.8): replaced at each end of `lifetime_years`; what fades to the share `q` of the capacity
at the end of life has `f = (1 + q) / 2` of it on average; throughput costs `wear di`, EUR/kWh; and with `N`
full cycles in a life of `Y` years, `Y h sum di / s <= N C`.
"""

from math import sqrt

from pydantic import Field, model_validator

from optimiser.inputs import Inputs
from optimiser.planning.components.component import Component, Size, Terms, YearlyCost
from optimiser.planning.hourly import Hourly


class Battery(Component):
    """`[battery]`."""

    capex_eur_per_kwh: float = Field(ge=0)
    opex_eur_per_kwh_a: float = Field(default=0, ge=0)
    lifetime_years: int | None = Field(default=None, gt=0)
    round_trip_efficiency: float = Field(default=0.95, gt=0, le=1)
    power_per_capacity_per_h: float = Field(default=0.3, gt=0)
    minimum_kwh: float = Field(default=0, ge=0)
    maximum_kwh: float | None = Field(default=None, ge=0)
    grid_charging: bool = True
    wear_eur_per_kwh: float = Field(default=0, ge=0)
    end_of_life_share: float = Field(default=1, gt=0, le=1)
    cycles: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _consistent(self) -> "Battery":
        if self.cycles is not None and self.lifetime_years is None:
            raise ValueError(f"cycles = {self.cycles:g} are of a life: give lifetime_years too")
        return self

    def terms(self, name: str, hourly: Hourly, inputs: Inputs) -> Terms:
        efficiency, rate, h = sqrt(self.round_trip_efficiency), self.power_per_capacity_per_h, hourly.step_h
        most = float("inf") if self.maximum_kwh is None else self.maximum_kwh
        capacity = hourly.size(f"{name}_capacity", most, self.minimum_kwh)
        content = hourly.flow(f"{name}_content")
        produced = hourly.flow(f"{name}_charge_from_production")
        bought = hourly.flow(f"{name}_charge_from_grid", float("inf") if self.grid_charging else 0.0)
        discharge = hourly.flow(f"{name}_discharge")
        before = hourly.before
        hourly.rows(
            f"{name}_content",
            lambda t: (
                content[t] - content[before[t]]
                == h * efficiency * produced[t] + h * efficiency * bought[t] - (h / efficiency) * discharge[t]
            ),
        )
        usable = (1 + self.end_of_life_share) / 2
        hourly.rows(f"{name}_capacity", lambda t: content[t] <= usable * capacity)
        hourly.rows(f"{name}_discharge", lambda t: (1 / efficiency) * discharge[t] <= rate * capacity)
        hourly.rows(
            f"{name}_charge",
            lambda t: efficiency * produced[t] + efficiency * bought[t] <= rate * capacity,
        )
        discharged = h * hourly.total(lambda t: discharge[t])
        if self.cycles is not None and self.lifetime_years is not None:
            most_kwh = efficiency * self.cycles / self.lifetime_years
            hourly.row(f"{name}_cycles", discharged <= most_kwh * capacity)
        wear = YearlyCost(f"{name} wear", self.wear_eur_per_kwh * discharged)
        size = Size(capacity, "kWh", self.capex_eur_per_kwh, self.opex_eur_per_kwh_a, self.lifetime_years)
        return Terms(
            charge_from_production_kw=lambda t: produced[t],
            charge_from_grid_kw=lambda t: bought[t],
            discharge_kw=lambda t: discharge[t],
            sizes={name: size},
            costs=(wear,) if self.wear_eur_per_kwh else (),
            flows={
                f"{name}_charge_from_production_kw": lambda t: produced[t],
                f"{name}_charge_from_grid_kw": lambda t: bought[t],
                f"{name}_discharge_kw": lambda t: discharge[t],
                f"{name}_content_kwh": lambda t: content[t],
            },
            production_charging=(produced,),
            grid_charging=(bought,),
            optional=True,
        )
