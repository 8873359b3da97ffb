"""The price of primary energy: what one more kWh_PE until the end of the certified window costs, EUR.

A rolling horizon of two days cannot see the year. Its objective therefore pays `price * E`, with the price
being the dual of the row `E so far + E of the rest >= reserve` of the *remaining* year (MODEL.md §11.4).
The rest of the year is made of the days of a profile (design year, last year), each calendar month of its
own, and each day is a linear programme of its own with a store that ends as it began. So the dual
decomposes: the programmes are solved once for a grid of prices, which gives each month's supply of primary
energy at a price, and the price of the day is where the supply of the days that are left meets what is still
missing. It is found again every day with the realised balance: a poor spring raises it, a good one lowers
it, down to zero.

The reserve is `z(confidence) * s * sqrt(days left)`, with `s` the spread of a day's E around its month in the
profile: what weather can still take away. It melts to nothing at the end of the window.

| symbol | name | unit |
|---|---|---|
| λ | `price_eur_per_kwh_pe` | EUR/kWh_PE |
| E | balance (domain.md §4) | kWh_PE |
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Annotated, Any, Final

import numpy as np
import pandas as pd
import pyomo.environ as pyo
from pydantic import Field

from optimiser.dispatch.devices import DeviceSettings, NotNegative, Table
from optimiser.dispatch.handover import LiveModel
from optimiser.dispatch.state import Outlook
from optimiser.forecast.grid import DAY_S, HOUR_S, Floats, Integers

PRICES_TRIED: Final = 20
SUPPLY_TIME_LIMIT_S: Final = 10.0
TIE_BREAK: Final = 1e-6
LEAST_PRICE_TRIED_EUR_PER_KWH_PE: Final = 0.004
HOURS: Final = 24
MONTHS: Final = 12


class PriceSettings(Table):
    """How the year is steered."""

    ceiling_eur_per_kwh_pe: NotNegative = 0.5
    """Never pay more for primary energy; 0 switches steering off."""
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.6
    """Probability with which the weather still to come shall not spoil the year; 0.5: no reserve."""


@dataclass(frozen=True)
class TypicalDays:
    """Days of a profile: arrays of shape (days, 24), and the calendar month (1 to 12) of each."""

    month: Integers
    load_kw: Floats
    pv_kw: Floats
    buy_eur_per_kwh: Floats
    sell_eur_per_kwh: Floats
    pef_average: Floats
    pef_import: Floats
    pef_export: Floats
    spread_kwh_pe: float
    """Standard deviation of a day's E around the mean of its month."""

    SERIES = (
        "load_kw",
        "pv_kw",
        "buy_eur_per_kwh",
        "sell_eur_per_kwh",
        "pef_average",
        "pef_import",
        "pef_export",
    )

    @classmethod
    def of(cls, profile: Outlook, devices: DeviceSettings) -> TypicalDays:
        """From a profile of whole UTC days, at best a year; devices add what they need on an average day.

        Raises ValueError for a profile that is shorter than a day or does not begin at UTC midnight.
        """
        if profile.start_s % DAY_S or profile.steps * profile.step_s < DAY_S:
            raise ValueError("the typical profile must begin at 00:00 UTC and hold whole days")
        per_hour = HOUR_S // profile.step_s
        days = profile.steps * profile.step_s // DAY_S
        size = days * HOURS * per_hour
        daily = {
            name: getattr(profile, name)[:size].reshape(days, HOURS, per_hour).mean(axis=2)
            for name in cls.SERIES
        }
        daily["load_kw"] = daily["load_kw"] + usual_device_load_kw(devices, profile)[:size].reshape(
            days, HOURS, per_hour
        ).mean(axis=2)
        times = pd.to_datetime(profile.start_s + DAY_S * np.arange(days), unit="s", utc=True)
        month = np.asarray(times.month, dtype=np.int64)
        balances = _balance(daily)
        deviations = [
            balances[month == number] - balances[month == number].mean() for number in np.unique(month)
        ]
        spread = float(np.concatenate(deviations).std())
        return cls(month=month, spread_kwh_pe=spread, **daily)

    def weights(self, start_s: int, end_s: int) -> Floats:
        """How often each day of the profile stands for one in [start, end): the days of a month share its
        days.

        A month that the profile lacks counts with the month nearest to it in the calendar.
        """
        starts_s = np.arange(start_s, end_s, HOUR_S)
        month = np.asarray(pd.to_datetime(starts_s, unit="s", utc=True).month, dtype=np.int64)
        hours = np.bincount(month, minlength=MONTHS + 1)
        weights = np.zeros(self.month.size)
        for number in np.flatnonzero(hours):
            away = np.abs(self.month - number)
            away = np.minimum(away, MONTHS - away)
            nearest = away == away.min()
            weights[nearest] += hours[number] / HOURS / nearest.sum()
        return weights


def _balance(daily: dict[str, Floats]) -> Floats:
    net = daily["load_kw"] - daily["pv_kw"]
    gained = daily["pef_export"] * np.maximum(0.0, -net) - daily["pef_average"] * np.maximum(0.0, net)
    return np.asarray(gained.sum(axis=1), dtype=np.float64)


def usual_device_load_kw(devices: DeviceSettings, profile: Outlook) -> Floats:
    """What vehicles, heat pumps and flexible loads need on average: spread over the time in which they may
    draw."""
    total = np.zeros(profile.steps)
    starts_s = profile.starts_s
    for fleet in devices.vehicles:
        at = fleet.timetable(starts_s, profile.step_s)
        needed = fleet.count * max(0.0, fleet.trip_kwh - fleet.outside_kwh) / fleet.charge_efficiency
        hours = max(1.0, float(at.plugged.sum()) * profile.hours)
        total += at.plugged * needed * float(at.leaves.sum()) / hours
    for pump in devices.heat_pump:
        heat = (pump.room_min_degc - profile.outdoor_degc) / pump.resistance_k_per_kw - pump.gains_kw
        total += np.clip(heat / pump.cop(profile.outdoor_degc), 0.0, pump.power_kw)
    for load in devices.shiftable:
        total += load.window(starts_s)[1] * (load.energy_kwh / load.duration_h)
    return total


class YearPrice:
    """Gives the price of primary energy from what the window has gained so far."""

    def __init__(
        self, devices: DeviceSettings, days: TypicalDays, end_s: int, settings: PriceSettings
    ) -> None:
        self.days = days
        self.end_s = end_s
        self.settings = settings
        ceiling = settings.ceiling_eur_per_kwh_pe
        least = min(LEAST_PRICE_TRIED_EUR_PER_KWH_PE, ceiling / 2)
        self.tried: Floats = (
            np.concatenate([[TIE_BREAK], np.geomspace(least, ceiling, PRICES_TRIED)])
            if ceiling
            else np.zeros(1)
        )
        self.supply_kwh_pe = _supply(devices, days, self.tried)
        """E of each day of the profile at each tried price."""

    def reserve_kwh_pe(self, now_s: int) -> float:
        """What the weather of the rest may take away, with the settings' confidence."""
        left = max(0.0, (self.end_s - now_s) / DAY_S)
        return NormalDist().inv_cdf(self.settings.confidence) * self.days.spread_kwh_pe * float(np.sqrt(left))

    def price(self, now_s: int, balance_kwh_pe: float) -> float:
        """EUR/kWh_PE at a time, with E of the window so far; the ceiling where even that is not enough."""
        if now_s >= self.end_s:
            return 0.0
        missing = self.reserve_kwh_pe(now_s) - balance_kwh_pe
        total = np.maximum.accumulate(self.days.weights(now_s, self.end_s) @ self.supply_kwh_pe)
        if total[0] >= missing:
            return 0.0
        if total[-1] < missing:
            return self.settings.ceiling_eur_per_kwh_pe
        above = int(np.argmax(total >= missing))
        share = (missing - total[above - 1]) / (total[above] - total[above - 1])
        return float(self.tried[above - 1] + share * (self.tried[above] - self.tried[above - 1]))


def _supply(devices: DeviceSettings, days: TypicalDays, prices: Floats) -> Floats:
    """E of every day at every price, shape (days, prices)."""
    live = LiveModel(_state_day(devices))
    flows = [live.columns(name) for name in ("load_import_kw", "other_import_kw", "export_kw")]
    supply = np.zeros((days.month.size, prices.size))
    for day in range(days.month.size):
        net = days.load_kw[day] - days.pv_kw[day]
        live.set("net_load_kw", net)
        live.set("deficit_kw", np.maximum(0.0, net))
        live.set("surplus_kw", np.maximum(0.0, -net))
        factors = (-days.pef_average[day], -days.pef_import[day], days.pef_export[day])
        sale = np.minimum(days.sell_eur_per_kwh[day], days.buy_eur_per_kwh[day])
        costs = (days.buy_eur_per_kwh[day], days.buy_eur_per_kwh[day], -sale)
        for place, price in enumerate(prices):
            for name, cost, factor in zip(
                ("load_eur", "other_eur", "export_eur"), costs, factors, strict=True
            ):
                live.set(name, cost - price * factor)
            values = live.solve(SUPPLY_TIME_LIMIT_S)
            supply[day, place] = sum(
                float(factor @ values[flow]) for factor, flow in zip(factors, flows, strict=True)
            )
    return supply


def _state_day(devices: DeviceSettings) -> Any:
    """A day: the batteries as one, cyclic. Import for load only in hours of deficit and up to it: the net
    rule
    (domain.md §2) for the given load. Only surplus is sold."""
    m = pyo.ConcreteModel("day")
    m.T = pyo.RangeSet(0, HOURS - 1)
    for name in ("net_load_kw", "deficit_kw", "surplus_kw", "load_eur", "other_eur", "export_eur"):
        setattr(m, name, pyo.Param(m.T, mutable=True, initialize=1.0))
    batteries = devices.battery
    capacity = sum(b.capacity_kwh for b in batteries)
    shares = [b.capacity_kwh / capacity for b in batteries]
    gain = sum(s * b.charge_efficiency for s, b in zip(shares, batteries, strict=True)) or 1.0
    loss = sum(s * b.discharge_efficiency for s, b in zip(shares, batteries, strict=True)) or 1.0
    wear = sum(s * b.wear_eur_per_kwh for s, b in zip(shares, batteries, strict=True))
    m.load_import_kw = pyo.Var(m.T, bounds=lambda _, t: (0, m.deficit_kw[t]))
    m.other_import_kw = pyo.Var(m.T, domain=pyo.NonNegativeReals)
    m.export_kw = pyo.Var(m.T, bounds=lambda _, t: (0, m.surplus_kw[t]))
    m.curtailed_kw = pyo.Var(m.T, bounds=lambda _, t: (0, m.surplus_kw[t]))
    m.charge_kw = pyo.Var(m.T, bounds=(0, sum(b.charge_kw for b in batteries)))
    m.discharge_kw = pyo.Var(m.T, bounds=(0, sum(b.discharge_kw for b in batteries)))
    m.stored_kwh = pyo.Var(m.T, bounds=(0, capacity))
    m.balance = pyo.Constraint(
        m.T,
        rule=lambda _, t: (
            m.load_import_kw[t] + m.other_import_kw[t] + m.discharge_kw[t]
            - m.export_kw[t] - m.charge_kw[t] - m.curtailed_kw[t] == m.net_load_kw[t]
        ),
    )  # fmt: skip
    m.energy = pyo.Constraint(
        m.T,
        rule=lambda _, t: (
            m.stored_kwh[t] - m.stored_kwh[(t - 1) % HOURS] - gain * m.charge_kw[t] + m.discharge_kw[t] / loss
            == 0
        ),
    )
    m.cost_eur = pyo.Objective(
        expr=pyo.quicksum(
            m.load_eur[t] * m.load_import_kw[t] + m.other_eur[t] * m.other_import_kw[t]
            + m.export_eur[t] * m.export_kw[t] + wear * m.discharge_kw[t]
            for t in m.T
        )
    )  # fmt: skip
    return m
