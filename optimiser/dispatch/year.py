"""A year (or any period) of dispatch on data: cost and balance of the rule, the rolling horizon and
foresight."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from optimiser.dispatch.account import Account
from optimiser.dispatch.controller import Controller, track
from optimiser.dispatch.devices import DeviceSettings
from optimiser.dispatch.fallback import Decision, Source, from_plan
from optimiser.dispatch.foresight import Foresight
from optimiser.dispatch.model import Plan
from optimiser.dispatch.plant import Plant, StepFlows
from optimiser.dispatch.price import YearPrice
from optimiser.dispatch.rule_based import rule_based
from optimiser.dispatch.state import Outlook, State
from optimiser.forecast.grid import DAY_S


@dataclass(frozen=True)
class YearResult:
    """What a way of running the district came to."""

    name: str
    cost_eur: float
    """Purchases minus sales, wear, capacity charges, and what storage lacks at the end at the mean
    purchase price."""
    balance_kwh_pe: float
    import_kwh: float
    export_kwh: float
    missed_kwh: float
    discomfort_k_h: float
    over_limit_kwh: float
    end_stored_kwh: float
    """In batteries and vehicles."""
    sources: dict[str, int] = field(default_factory=dict)
    """How many steps had which kind of schedule."""
    step_s: tuple[float, ...] = ()
    """Duration of each decision, s: outlook, solve and read."""
    prices_eur_per_kwh_pe: tuple[float, ...] = ()
    """Price of primary energy, each time it was set."""
    flows: tuple[StepFlows, ...] = ()


Decide = Callable[[int, Plant, Account], Decision]


def run(
    name: str,
    devices: DeviceSettings,
    truth: Outlook,
    decide: Decide,
    start: State | None = None,
    tracked: bool = True,
) -> YearResult:
    """Run a plant through all steps of the truth; `decide` sees the state after arrivals and departures.

    The true values of the step itself reach the set-points only through the local controller (`track`),
    which a plan that knows them already does without (`tracked`).
    """
    plant = Plant(devices, start or State.initial(devices, truth.start_s), truth)
    account = Account(devices, truth)
    before = stored_kwh(devices, plant.state)
    sources: Counter[str] = Counter()
    durations, flows = [], []
    for step in range(truth.steps):
        began = time.perf_counter()
        decision = decide(step, plant, account)
        durations.append(time.perf_counter() - began)
        missed = plant.arrive_and_depart(step)
        now = truth.part(step, step + 1)
        if tracked:
            decision = track(devices, decision, plant.state, now)
        flow = plant.step(step, decision.action, missed)
        account.add(step, flow)
        sources[decision.source] += 1
        flows.append(flow)
    after = stored_kwh(devices, plant.state)
    return YearResult(
        name=name,
        cost_eur=account.cost_eur + (before - after) * float(truth.buy_eur_per_kwh.mean()),
        balance_kwh_pe=account.balance_kwh_pe,
        import_kwh=sum(f.import_wh for f in flows) / 1000,
        export_kwh=sum(f.export_wh for f in flows) / 1000,
        missed_kwh=account.missed_kwh,
        discomfort_k_h=account.discomfort_k_h,
        over_limit_kwh=account.over_limit_kwh,
        end_stored_kwh=after,
        sources=dict(sources),
        step_s=tuple(durations),
        flows=tuple(flows),
    )


def stored_kwh(devices: DeviceSettings, state: State) -> float:
    """Energy in batteries and vehicles."""
    return sum(state.stored_kwh[device.name] for device in devices.storages)


def run_rule(devices: DeviceSettings, truth: Outlook) -> YearResult:
    """The rule-based controller."""

    def decide(step: int, plant: Plant, _: Account) -> Decision:
        plant_now = truth.part(step, step + 1)
        return Decision(rule_based(devices, plant.state, plant_now), Source.SAFE_RULE, "rule-based", None)

    return run("rule-based", devices, truth, decide)


def run_rolling(
    devices: DeviceSettings,
    truth: Outlook,
    foresight: Foresight,
    price: YearPrice | float,
    horizon: int = 48,
    time_limit_s: float = 10.0,
    balance_before_kwh_pe: float = 0.0,
) -> YearResult:
    """The rolling horizon: the price is set anew every UTC day, the horizon solved at every step."""
    controller = Controller(devices, horizon, truth.step_s, time_limit_s)
    prices: list[float] = []

    def decide(step: int, plant: Plant, account: Account) -> Decision:
        now_s = plant.state.time_s
        if not prices or now_s % DAY_S == 0:
            balance = balance_before_kwh_pe + account.balance_kwh_pe
            prices.append(price if isinstance(price, float) else price.price(now_s, balance))
        return controller.decide(plant.state, foresight.outlook(step, horizon), prices[-1])

    result = run("rolling horizon", devices, truth, decide)
    return YearResult(**{**result.__dict__, "prices_eur_per_kwh_pe": tuple(prices)})


def run_plan(name: str, devices: DeviceSettings, truth: Outlook, plan: Plan) -> YearResult:
    """A plan of the whole period that knows the truth, such as perfect foresight's, run on the plant."""

    def decide(step: int, _: Plant, __: Account) -> Decision:
        return from_plan(devices, plan, step, Source.OPTIMUM, "")

    return run(name, devices, truth, decide, tracked=False)


def percentile_s(result: YearResult, percent: float) -> float:
    """A percentile of the durations of the decisions, s."""
    return float(np.percentile(result.step_s, percent))
