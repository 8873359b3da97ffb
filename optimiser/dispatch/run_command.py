"""`ped dispatch run`: a case hour by hour on its own data, beside the usual rule and perfect foresight."""

import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from optimiser.case import CaseError
from optimiser.command_errors import errors_in_words
from optimiser.dispatch.case import DispatchCase, load_dispatch_case
from optimiser.dispatch.foresight import Forecasters, ForecastOutlook
from optimiser.dispatch.handover import SolveFailed
from optimiser.dispatch.model import MODEL_VERSION
from optimiser.dispatch.perfect import LABEL, plan_year
from optimiser.dispatch.price import TypicalDays, YearPrice
from optimiser.dispatch.state import OutlookInvalid, State
from optimiser.dispatch.year import YearResult, percentile_s, run_plan, run_rolling, run_rule
from optimiser.forecast.grid import DAY_S
from optimiser.inputs import InputMissing
from optimiser.series import SeriesError

_EXPECTED = (CaseError, SeriesError, InputMissing, OutlookInvalid, SolveFailed, OSError)
CEILING_OF_FORESIGHT_EUR_PER_KWH_PE = 5.0


def run_command(
    case: Annotated[
        Path, typer.Argument(help="TOML file of the case; format in optimiser/dispatch/case.py.")
    ],
    days: Annotated[int | None, typer.Option(min=1, help="Only the first days; default: all.")] = None,
    before_kwh_pe: Annotated[
        float, typer.Option(help="Balance of the certified window before the first day.")
    ] = 0.0,
    perfect: Annotated[bool, typer.Option(help="Compare with perfect foresight (a large programme).")] = True,
    out: Annotated[Path | None, typer.Option(help="Folder for summary.json and steps.csv.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on one line.")] = False,
) -> None:
    """Run a district on its data: rolling horizon with forecasts, beside the usual rule and perfect
    foresight."""
    with errors_in_words(*_EXPECTED):
        results, price = _run(load_dispatch_case(case), days, before_kwh_pe, perfect)
    document = {
        "model": MODEL_VERSION,
        "price_of_foresight_eur_per_kwh_pe": price,
        "runs": [_summary(result, before_kwh_pe) for result in results],
    }
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "summary.json").write_text(json.dumps(document, indent=2) + "\n")
        _write_steps(out / "steps.csv", results[1])
    if as_json:
        typer.echo(json.dumps(document))
        return
    _show(document)


def _run(
    case: DispatchCase, days: int | None, before_kwh_pe: float, perfect: bool
) -> tuple[list[YearResult], float | None]:
    devices = case.settings
    steps = case.truth.steps if days is None else min(case.truth.steps, days * DAY_S // case.truth.step_s)
    truth = case.truth.part(0, steps)
    end_s = truth.start_s + steps * truth.step_s
    price = YearPrice(devices, TypicalDays.of(case.truth, devices), end_s, devices.price)
    foresight = ForecastOutlook(case.truth, case.horizon, Forecasters.usual(truth.step_s, case.site))
    results = [
        run_rule(devices, truth),
        run_rolling(devices, truth, foresight, price, case.horizon, devices.time_limit_s, before_kwh_pe),
    ]
    if not perfect:
        return results, None
    state = State.initial(devices, truth.start_s)
    plan = plan_year(devices, state, truth, -before_kwh_pe, CEILING_OF_FORESIGHT_EUR_PER_KWH_PE)
    return [*results, run_plan(LABEL, devices, truth, plan.plan)], plan.price_eur_per_kwh_pe


def _summary(result: YearResult, before_kwh_pe: float) -> dict[str, Any]:
    return {
        "name": result.name,
        "cost_eur": result.cost_eur,
        "balance_kwh_pe": result.balance_kwh_pe,
        "balance_with_before_kwh_pe": result.balance_kwh_pe + before_kwh_pe,
        "import_kwh": result.import_kwh,
        "export_kwh": result.export_kwh,
        "missed_kwh": result.missed_kwh,
        "discomfort_k_h": result.discomfort_k_h,
        "over_limit_kwh": result.over_limit_kwh,
        "schedules": result.sources,
        "step_p50_s": percentile_s(result, 50),
        "step_p99_s": percentile_s(result, 99),
    }


def _show(document: dict[str, Any]) -> None:
    table = Table(
        "run", "cost EUR", "E kWh_PE", "import kWh", "export kWh", "missed kWh", "K h outside comfort"
    )
    for run in document["runs"]:
        table.add_row(
            run["name"],
            f"{run['cost_eur']:,.2f}",
            f"{run['balance_with_before_kwh_pe']:,.1f}",
            f"{run['import_kwh']:,.0f}",
            f"{run['export_kwh']:,.0f}",
            f"{run['missed_kwh']:,.1f}",
            f"{run['discomfort_k_h']:,.1f}",
        )
    console = Console()
    console.print(table)
    price = document["price_of_foresight_eur_per_kwh_pe"]
    if price is not None:
        console.print(f"With perfect foresight one more kWh of primary energy would cost {price:.3f} EUR.")
    schedules = ", ".join(f"{count} {name}" for name, count in document["runs"][1]["schedules"].items())
    console.print(f"Schedules of the rolling horizon: {schedules}.")


def _write_steps(path: Path, result: YearResult) -> None:
    names = sorted(result.flows[0].power_kw) if result.flows else []
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        flows = ("import_wh", "export_wh", "production_wh", "consumption_wh", "charge_wh", "discharge_wh")
        writer.writerow(["time_utc", *flows, *(f"{name}_kW" for name in names)])
        for flow in result.flows:
            time = datetime.fromtimestamp(flow.time_s, UTC).strftime("%Y-%m-%dT%H:%MZ")
            powers = (f"{flow.power_kw[name]:.3f}" for name in names)
            writer.writerow([time, *(getattr(flow, name) for name in flows), *powers])
