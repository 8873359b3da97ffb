"""A fleet of like cars that charge in the district, with V2G if wanted.

Aggregated, which is exact for identical cars (MODEL.md §11.6). Symbols, per interval: `n` cars that are
plugged in; `P` power of a charger, kW; `K` power of all chargers together, kW; `B` battery of a car, kWh;
`c`, `v` charge and discharge, kW; `e` energy in the plugged cars at the end, kWh; `eta` efficiency of each.
Cars come and go at the start of an interval: `arr = max(0, n[t] - n[t-1])` bring `arr soc_arr B`,
`dep = max(0, n[t-1] - n[t])` take `dep soc_dep B`:

    e0[t] = e[t-1] + arr soc_arr B - dep soc_dep B,    soc_min n B <= e0, e <= n B
    e[t]  = e0[t] + h (eta c - v / eta),               c + v <= n P,  c + v <= K,  v = 0 without V2G

Discharge costs `wear v`, EUR/kWh. Without V2G the fleet is a load, with it a storage (domain.md §2, roles).
Of each UTC day `x = max(0, h sum (v - eta^2 c))` was brought in from outside and counts as import at the
day's largest marginal factor (domain.md §2): it stands in the interval that has it. The year closes on
itself.
"""

from typing import Any

import numpy as np
from pydantic import Field

from optimiser.inputs import Inputs, Source
from optimiser.planning.components.component import Component, Size, Terms, YearlyCost
from optimiser.planning.hourly import Floats, Hourly, Rule
from optimiser.series import Quantity, SeriesError, SeriesSetting

DAY_H = 24
UNDECIDED_EUR_PER_KWH = 1e-6
"""Keeps `x` at its definition where primary energy has no price: far below a cent a year."""


class Vehicles(Component):
    """`[vehicles]`; shares are of the battery, `plugged` is the share of the cars (0 to 1)."""

    count: float = Field(gt=0)
    battery_kwh: float = Field(gt=0)
    charger_kw: float = Field(gt=0)
    plugged: SeriesSetting
    arrival_share: float = Field(ge=0, le=1)
    departure_share: float = Field(ge=0, le=1)
    minimum_share: float = Field(default=0.1, ge=0, le=1)
    efficiency: float = Field(default=0.95, gt=0, le=1)
    v2g: bool = False
    grid_charging: bool = True
    """With V2G: whether cars may also be charged from the grid."""
    wear_eur_per_kwh: float = Field(default=0, ge=0)
    """Of the cars' batteries, per kWh discharged here."""
    capex_eur_per_kw: float = Field(default=0, ge=0)
    opex_eur_per_kw_a: float = Field(default=0, ge=0)
    lifetime_years: int | None = Field(default=None, gt=0)
    """Of the chargers."""

    def read(self, source: Source) -> dict[str, Floats]:
        """Share of the cars that are plugged in. Raises SeriesError."""
        plugged = source.series(self.plugged, Quantity.SHARE, "vehicles.plugged")
        if (plugged > 1).any():
            first = int(np.argmax(plugged > 1))
            raise SeriesError(
                f"vehicles.plugged is {plugged[first]} in interval {first}; a share is at most 1"
            )
        return {"plugged_share": plugged}

    def terms(self, name: str, hourly: Hourly, inputs: Inputs) -> Terms:
        cars = self.count * inputs.of(name, "plugged_share")
        change = cars - np.roll(cars, 1)
        energy = self.battery_kwh * (
            self.arrival_share * np.maximum(0.0, change) - self.departure_share * np.maximum(0.0, -change)
        )
        chargers = hourly.size(f"{name}_chargers", self.count * self.charger_kw)
        produced = hourly.flow(f"{name}_charge", np.inf)
        bought = hourly.flow(f"{name}_charge_from_grid", np.inf) if self._buys else None
        discharge = hourly.flow(f"{name}_discharge", np.inf) if self.v2g else None

        def charge(t: Any) -> Any:
            return produced[t] if bought is None else produced[t] + bought[t]

        def power(t: Any) -> Any:
            return charge(t) if discharge is None else charge(t) + discharge[t]

        self._state(name, hourly, cars, energy, charge, discharge)
        plugged_kw = hourly.series(f"{name}_plugged_kw", self.charger_kw * cars)
        hourly.rows(f"{name}_plugged", lambda t: power(t) <= plugged_kw[t])
        hourly.rows(f"{name}_chargers", lambda t: power(t) <= chargers)
        size = Size(chargers, "kW", self.capex_eur_per_kw, self.opex_eur_per_kw_a, self.lifetime_years)
        if discharge is None:
            return Terms(consumption_kw=charge, sizes={name: size}, flows={f"{name}_charge_kw": charge})
        foreign, brought = self._foreign(name, hourly, inputs, charge, discharge)
        h = hourly.step_h
        cost = self.wear_eur_per_kwh * h * hourly.total(lambda t: discharge[t])
        return Terms(
            charge_from_production_kw=lambda t: produced[t],
            charge_from_grid_kw=None if bought is None else lambda t: bought[t],
            discharge_kw=lambda t: discharge[t],
            foreign_kw=foreign,
            sizes={name: size},
            costs=(YearlyCost(f"{name} wear", cost + UNDECIDED_EUR_PER_KWH * brought),),
            flows={
                f"{name}_charge_kw": charge,
                f"{name}_discharge_kw": lambda t: discharge[t],
                f"{name}_brought_in_kw": foreign,
            },
            production_charging=(produced,),
            grid_charging=() if bought is None else (bought,),
        )

    @property
    def _buys(self) -> bool:
        return self.v2g and self.grid_charging

    def _state(
        self, name: str, hourly: Hourly, cars: Floats, energy: Floats, charge: Rule, discharge: Any
    ) -> None:
        h, eta, before = hourly.step_h, self.efficiency, hourly.before
        most, least = self.battery_kwh * cars, self.minimum_share * self.battery_kwh * cars
        content = hourly.flow(f"{name}_content", most, least)
        driven = hourly.series(f"{name}_driven", energy)
        room = hourly.series(f"{name}_room", most - energy)
        need = hourly.series(f"{name}_need", least - energy)
        hourly.rows(f"{name}_start_most", lambda t: content[before[t]] <= room[t])
        hourly.rows(f"{name}_start_least", lambda t: content[before[t]] >= need[t])

        def balance(t: Any) -> Any:
            gained = h * eta * charge(t)
            if discharge is not None:
                gained = gained - (h / eta) * discharge[t]
            return content[t] - content[before[t]] == gained + driven[t]

        hourly.rows(f"{name}_content", balance)

    def _foreign(
        self, name: str, hourly: Hourly, inputs: Inputs, charge: Rule, discharge: Any
    ) -> tuple[Rule, Any]:
        """Power brought in from outside, and its energy over the year."""
        h, eta = hourly.step_h, self.efficiency
        steps_per_day = round(DAY_H / h)
        days = np.arange(hourly.steps) // steps_per_day
        count = int(days[-1]) + 1
        first = np.arange(hourly.steps) % steps_per_day == 0
        last = np.append(first[1:], True)
        marginal = inputs.factors.primary_energy.import_storage
        weighs = np.zeros(hourly.steps)
        for number in range(count):
            weighs[np.flatnonzero(days == number)[np.argmax(marginal[days == number])]] = 1.0
        day = hourly.series(f"{name}_day", days)
        carries = hourly.series(f"{name}_carries", 1.0 - first)
        ends = hourly.series(f"{name}_ends", last * 1.0)
        heaviest = hourly.series(f"{name}_heaviest", weighs)
        so_far = hourly.flow(f"{name}_so_far", np.inf, -np.inf)
        brought = hourly.sizes(f"{name}_brought_in", count)
        before = hourly.before
        hourly.rows(
            f"{name}_so_far",
            lambda t: (
                so_far[t] - carries[t] * so_far[before[t]] + h * eta**2 * charge(t) - h * discharge[t] == 0
            ),
        )
        hourly.rows(f"{name}_brought_in", lambda t: ends[t] * so_far[t] - h * brought[day[t]] <= 0)
        return (
            lambda t: heaviest[t] * brought[day[t]],
            h * hourly.total(lambda t: heaviest[t] * brought[day[t]]),
        )
