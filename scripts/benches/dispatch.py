"""Dispatch: one step with all devices, and a year on La Palma against the rule and against perfect
foresight."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from optimiser.dispatch.case import DispatchCase, load_dispatch_case
from optimiser.dispatch.devices import Battery, DeviceSettings, HeatPump, Shiftable, Vehicles
from optimiser.dispatch.foresight import Forecasters, ForecastOutlook, TrueOutlook
from optimiser.dispatch.perfect import plan_year
from optimiser.dispatch.price import TypicalDays, YearPrice
from optimiser.dispatch.state import Outlook, State
from optimiser.dispatch.year import YearResult, percentile_s, run_plan, run_rolling, run_rule
from scripts.benches.progress import Tell, tell_nobody

CASE = Path(__file__).parents[2] / "optimiser" / "data" / "lapalma" / "dispatch.toml"
ALL_DEVICES = DeviceSettings(
    battery=(Battery(capacity_kwh=200, charge_kw=60, discharge_kw=60, wear_eur_per_kwh=0.02),),
    vehicles=(
        Vehicles(
            count=5, capacity_kwh=60, charge_kw=7, discharge_kw=7, departure_h=7, arrival_h=17,
            trip_kwh=15, needed_kwh=45, weekdays_only=True,
        ),
    ),
    heat_pump=(
        HeatPump(power_kw=10, store_kwh=40, store_kw=30, resistance_k_per_kw=0.5, capacitance_kwh_per_k=40),
    ),
    shiftable=(Shiftable(energy_kwh=30, power_kw=10, start_h=8, duration_h=10),),
)  # fmt: skip
STEP_PRICE_EUR_PER_KWH_PE = 0.05
STAGES = 4
PERFECT_CEILING_EUR_PER_KWH_PE = 5.0


def measure(days: int | None = None, step_days: int = 14, tell: Tell = tell_nobody) -> dict[str, Any]:
    """`days` of the year (None: all of it); `step_days` of hourly steps with all devices."""
    case = load_dispatch_case(CASE)
    tell("steps with all devices", 0, STAGES)
    figures = _steps(case, step_days)
    return figures | _year(case, days, tell)


def _steps(case: DispatchCase, days: int) -> dict[str, Any]:
    """Decisions with all devices: forecasts are given, model and state move on by an hour each time."""
    truth = replace(case.truth, outdoor_degc=_winter(case.truth))
    result = run_rolling(
        ALL_DEVICES,
        truth.part(0, days * 24),
        TrueOutlook(truth, case.horizon),
        STEP_PRICE_EUR_PER_KWH_PE,
        case.horizon,
    )
    return {"step_p50_s": percentile_s(result, 50), "step_p99_s": percentile_s(result, 99)}


def _winter(truth: Outlook) -> Any:
    """A cool outdoor temperature with a daily swing, so that the heat pump has work to do."""
    return 8 + 4 * np.sin((truth.starts_s % 86_400 / 3600 - 9) / 24 * 2 * np.pi)


def _year(case: DispatchCase, days: int | None, tell: Tell) -> dict[str, Any]:
    steps = case.truth.steps if days is None else days * 24
    truth, devices = case.truth.part(0, steps), case.settings
    end_s = truth.start_s + steps * truth.step_s
    tell("rule-based controller", 1, STAGES)
    rule = run_rule(devices, truth)
    tell("rolling horizon with forecasts", 2, STAGES)
    price = YearPrice(devices, TypicalDays.of(case.truth, devices), end_s, case.settings.price)
    foresight = ForecastOutlook(case.truth, case.horizon, Forecasters.usual(truth.step_s, case.site))
    began = time.perf_counter()
    rolling = run_rolling(devices, truth, foresight, price, case.horizon)
    year_s = time.perf_counter() - began
    tell("perfect foresight", 3, STAGES)
    least = 0.0 if days is None else min(0.0, rolling.balance_kwh_pe)
    state = State.initial(devices, truth.start_s)
    plan = plan_year(devices, state, truth, least, PERFECT_CEILING_EUR_PER_KWH_PE)
    perfect = run_plan("perfect foresight", devices, truth, plan.plan)
    return {
        "year_s": year_s,
        **_figures("", rolling),
        **_figures("_perfect", perfect),
        **_figures("_rule", rule),
        "regret_eur": rolling.cost_eur - perfect.cost_eur,
        "regret_kwh_pe": perfect.balance_kwh_pe - rolling.balance_kwh_pe,
        "gain_eur": rule.cost_eur - rolling.cost_eur,
        "gain_kwh_pe": rolling.balance_kwh_pe - rule.balance_kwh_pe,
        "price_perfect_eur_per_kwh_pe": plan.price_eur_per_kwh_pe,
        "year_step_p50_s": percentile_s(rolling, 50),
        "year_step_p99_s": percentile_s(rolling, 99),
    }


def _figures(suffix: str, result: YearResult) -> dict[str, float]:
    return {f"cost{suffix}_eur": result.cost_eur, f"balance{suffix}_kwh_pe": result.balance_kwh_pe}
