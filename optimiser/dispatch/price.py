"""The price of primary energy: what one more kWh_PE until the end of the certified window costs, EUR.

A rolling horizon of two days cannot see the year. Its objective therefore pays `price * E`, with the price
being the dual of the row `E so far + E of the rest >= reserve` in a linear programme of the *remaining* year
(MODEL.md §11.4). That programme knows no future: the rest of the year is made of typical days of a profile
(design year, last year), three per calendar month (dull, middling, bright), each weighted with the days that
are left. It is solved again every day with the realised balance, so a poor spring raises the price and a good
one lowers it, down to zero.

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
from typing import Any, Final

import numpy as np
import pandas as pd
import pyomo.environ as pyo

from optimiser.dispatch.devices import DeviceSettings, NotNegative, Table
from optimiser.dispatch.handover import LiveModel, SolveFailed
from optimiser.dispatch.state import Outlook
from optimiser.forecast.grid import DAY_S, HOUR_S, Floats, Integers

KINDS_PER_MONTH: Final = 3
HOURS: Final = 24
MONTHS: Final = 12


class PriceSettings(Table):
    """How the year is steered."""

    ceiling_eur_per_kwh_pe: NotNegative = 0.5
    """Never pay more for primary energy; 0 switches steering off."""
    confidence: float = 0.8
    """Probability with which the weather still to come shall not spoil the year; 0.5: no reserve."""


@dataclass(frozen=True)
class TypicalDays:
    """Typical days of a profile: arrays of shape (kinds, 24), and the calendar month (1 to 12) of each."""

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
        sun = daily["pv_kw"].sum(axis=1)
        kinds: dict[str, list[Floats]] = {name: [] for name in cls.SERIES}
        months: list[int] = []
        balances = _balance(daily)
        deviations = []
        for number in np.unique(month):
            members = np.flatnonzero(month == number)
            deviations.append(balances[members] - balances[members].mean())
            for part in np.array_split(members[np.argsort(sun[members], kind="stable")], KINDS_PER_MONTH):
                if part.size:
                    months.append(int(number))
                    for name in cls.SERIES:
                        kinds[name].append(daily[name][part].mean(axis=0))
        spread = float(np.concatenate(deviations).std())
        stacked = {name: np.stack(rows) for name, rows in kinds.items()}
        return cls(month=np.array(months, dtype=np.int64), spread_kwh_pe=spread, **stacked)

    def weights(self, start_s: int, end_s: int) -> Floats:
        """Days of each kind in [start, end): the days of each month, shared by its kinds.

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
    """What vehicles, heat pumps and flexible loads need on average: spread over the time in which they may draw."""
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
    """Gives the price of primary energy from what the window has gained so far. One model, reused."""

    def __init__(
        self, devices: DeviceSettings, days: TypicalDays, end_s: int, settings: PriceSettings
    ) -> None:
        self.devices = devices
        self.days = days
        self.end_s = end_s
        self.settings = settings
        self.live = LiveModel(_state_year(devices, days))
        self.live.set("ceiling_eur_per_kwh_pe", settings.ceiling_eur_per_kwh_pe)

    def reserve_kwh_pe(self, now_s: int) -> float:
        """What the weather of the rest may take away, with the settings' confidence."""
        left = max(0.0, (self.end_s - now_s) / DAY_S)
        return NormalDist().inv_cdf(self.settings.confidence) * self.days.spread_kwh_pe * float(np.sqrt(left))

    def price(self, now_s: int, balance_kwh_pe: float, time_limit_s: float = 30.0) -> float:
        """EUR/kWh_PE at a time, with E of the window so far. Raises SolveFailed."""
        if now_s >= self.end_s or self.settings.ceiling_eur_per_kwh_pe <= 0:
            return 0.0
        days, live = self.days, self.live
        weight = days.weights(now_s, self.end_s)[:, None]
        net = days.load_kw - days.pv_kw
        live.set("net_load_kwh", weight * net)
        live.set("deficit_kwh", weight * np.maximum(0.0, net))
        live.set("surplus_kwh", weight * np.maximum(0.0, -net))
        live.set("weight", weight.ravel())
        live.set("required_kwh_pe", self.reserve_kwh_pe(now_s) - balance_kwh_pe)
        live.solve(time_limit_s)
        return float(min(max(live.duals("year")[0], 0.0), self.settings.ceiling_eur_per_kwh_pe))


def _state_year(devices: DeviceSettings, days: TypicalDays) -> Any:
    """The remaining year in typical days, all energies weighted with the number of days.

    Batteries as one, cyclic over each day. Import for load only in hours of deficit and up to it: the net rule
    (domain.md §2) for the given load, exact as long as `buy - sell >= price (f_imp - f_avg)`, otherwise a little
    optimistic.
    """
    m = pyo.ConcreteModel("year")
    m.K, m.T = pyo.RangeSet(0, days.month.size - 1), pyo.RangeSet(0, HOURS - 1)
    for name in ("net_load_kwh", "deficit_kwh", "surplus_kwh"):
        setattr(m, name, pyo.Param(m.K, m.T, mutable=True, initialize=0.0))
    m.weight = pyo.Param(m.K, mutable=True, initialize=1.0)
    m.required_kwh_pe = pyo.Param(mutable=True, initialize=0.0)
    m.ceiling_eur_per_kwh_pe = pyo.Param(mutable=True, initialize=1.0)
    batteries = devices.battery
    capacity = sum(b.capacity_kwh for b in batteries)
    charge_kw, discharge_kw = sum(b.charge_kw for b in batteries), sum(b.discharge_kw for b in batteries)
    shares = [b.capacity_kwh / capacity for b in batteries]
    gain = sum(s * b.charge_efficiency for s, b in zip(shares, batteries, strict=True)) or 1.0
    loss = sum(s * b.discharge_efficiency for s, b in zip(shares, batteries, strict=True)) or 1.0
    wear = sum(s * b.wear_eur_per_kwh for s, b in zip(shares, batteries, strict=True))
    limits = devices.grid
    curtails = limits.curtailable

    def bounded(limit: float | None) -> Any:
        return (lambda _, k, t: (0, None)) if limit is None else (lambda _, k, t: (0, limit * m.weight[k]))

    m.load_import = pyo.Var(m.K, m.T, bounds=lambda _, k, t: (0, m.deficit_kwh[k, t]))
    m.other_import = pyo.Var(m.K, m.T, domain=pyo.NonNegativeReals)
    m.export = pyo.Var(m.K, m.T, bounds=bounded(limits.export_kw))
    m.curtailed = pyo.Var(m.K, m.T, bounds=lambda _, k, t: (0, m.surplus_kwh[k, t] if curtails else 0))
    m.charge = pyo.Var(m.K, m.T, bounds=bounded(charge_kw))
    m.discharge = pyo.Var(m.K, m.T, bounds=bounded(discharge_kw))
    m.stored = pyo.Var(m.K, m.T, bounds=bounded(capacity))
    m.short = pyo.Var(domain=pyo.NonNegativeReals)
    m.balance = pyo.Constraint(
        m.K,
        m.T,
        rule=lambda _, k, t: (
            m.load_import[k, t] + m.other_import[k, t] + m.discharge[k, t]
            - m.export[k, t] - m.charge[k, t] - m.curtailed[k, t] == m.net_load_kwh[k, t]
        ),
    )  # fmt: skip
    m.energy = pyo.Constraint(
        m.K,
        m.T,
        rule=lambda _, k, t: (
            m.stored[k, t] - m.stored[k, (t - 1) % HOURS] - gain * m.charge[k, t] + m.discharge[k, t] / loss
            == 0
        ),
    )
    cells = [(k, t) for k in m.K for t in m.T]
    primary = pyo.quicksum(
        float(days.pef_export[k, t]) * m.export[k, t]
        - float(days.pef_average[k, t]) * m.load_import[k, t]
        - float(days.pef_import[k, t]) * m.other_import[k, t]
        for k, t in cells
    )
    m.year = pyo.Constraint(expr=primary + m.short >= m.required_kwh_pe)
    m.cost_eur = pyo.Objective(
        expr=pyo.quicksum(
            float(days.buy_eur_per_kwh[k, t]) * (m.load_import[k, t] + m.other_import[k, t])
            - float(min(days.sell_eur_per_kwh[k, t], days.buy_eur_per_kwh[k, t])) * m.export[k, t]
            + wear * m.discharge[k, t]
            for k, t in cells
        )
        + m.ceiling_eur_per_kwh_pe * m.short
    )
    return m


__all__ = ["PriceSettings", "SolveFailed", "TypicalDays", "YearPrice", "usual_device_load_kw"]
