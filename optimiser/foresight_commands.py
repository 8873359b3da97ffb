"""`ped dispatch`: `outlook`, `backtest` (what is foreseen, how well), `run`, `serve` (optimiser.dispatch)."""

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from rich.console import Console
from rich.table import Table

from optimiser.balances import BalancesInvalid, fetch_balances, read_balances
from optimiser.command_errors import errors_in_words
from optimiser.dispatch.run_command import run_command
from optimiser.dispatch.serve_command import serve_command
from optimiser.forecast import (
    Baseline,
    ClearSky,
    Corrected,
    Forecaster,
    HistoryInvalid,
    Learned,
    Persistence,
    PointModel,
    Score,
    SimilarDays,
    Site,
    backtest,
)
from optimiser.outlook import outlook
from optimiser.series import SeriesError, TimeSeries

commands = typer.Typer()
dispatch = typer.Typer(help="Runs a district hour by hour, and looks ahead.", no_args_is_help=True)
commands.add_typer(dispatch, name="dispatch")
dispatch.command("run")(run_command)
dispatch.command("serve")(serve_command)

WARM_UP_DAYS = 60
_EXPECTED = (BalancesInvalid, HistoryInvalid, SeriesError, OSError)


class Kind(StrEnum):
    """What a series is: it decides which forecasts make sense."""

    LOAD = "load"
    GENERATION = "generation"
    PRICE = "price"
    FACTOR = "factor"


@dispatch.command("outlook")
def outlook_command(
    balances: Annotated[
        Path | None, typer.Argument(help="balances.csv of a replay, or the certifier's days or hours as CSV.")
    ] = None,
    certifier: Annotated[str | None, typer.Option(help="URL of a certifier, instead of a file.")] = None,
    district: Annotated[str | None, typer.Option(help="District at the certifier.")] = None,
    horizon_days: Annotated[int, typer.Option(help="Days to look ahead, 1 to 365.")] = 365,
    confidence: Annotated[float, typer.Option(help="Probability with which the status is to be kept.")] = 0.9,
    paths: Annotated[int, typer.Option(help="Paths that are drawn.")] = 2_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same outlook.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on one line.")] = False,
) -> None:
    """Days until PED status is lost: dates, probabilities, and what keeps it."""
    with errors_in_words(*_EXPECTED):
        if balances is not None and certifier is None:
            found = read_balances(balances)
        elif balances is None and certifier is not None and district is not None:
            found = fetch_balances(certifier, district)
        else:
            raise BalancesInvalid("give a file, or --certifier URL with --district ID")
        result = outlook(
            found.days,
            factors=found.factors,
            horizon_days=horizon_days,
            confidence=confidence,
            paths=paths,
            seed=seed,
        )
    if as_json:
        typer.echo(json.dumps(result.to_json()))
        return
    for sentence in result.sentences:
        typer.echo(sentence)
    table = Table("midnight", "10 % kWh_PE", "50 % kWh_PE", "90 % kWh_PE", "fails", "lost by then")
    shown = sorted({*range(29, len(result.points), 30), len(result.points) - 1})
    for point in (result.points[place] for place in shown):
        table.add_row(
            point.window_end.isoformat(),
            f"{point.balance_q10_kwh_pe:,.0f}",
            f"{point.balance_q50_kwh_pe:,.0f}",
            f"{point.balance_q90_kwh_pe:,.0f}",
            f"{point.probability_not_positive:.0%}",
            f"{point.probability_lost_by:.0%}",
        )
    Console().print(table)


@dispatch.command("backtest")
def backtest_command(
    series: Annotated[Path, typer.Argument(help="CSV with a column of time (UTC) and one per series.")],
    column: Annotated[str, typer.Option(help="Column to forecast.")],
    kind: Annotated[Kind, typer.Option(help="What the column is.")] = Kind.LOAD,
    site: Annotated[
        str | None,
        typer.Option(help="For generation: latitude,longitude[,altitude m[,tilt,azimuth]] in degrees."),
    ] = None,
    interval_minutes: Annotated[int, typer.Option(help="Length of an interval: 60 or 15.")] = 60,
    every_hours: Annotated[int, typer.Option(help="Hours between forecasts; 23 meets every hour.")] = 23,
    hours: Annotated[int, typer.Option(help="Hours that are forecast.")] = 48,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on one line.")] = False,
) -> None:
    """Scores of the forecasts on a series, as they would have been issued after its first 60 days."""
    with errors_in_words(*_EXPECTED):
        step_s = interval_minutes * 60
        bounds = (None, None) if kind is Kind.PRICE else (0.0, None)
        forecasters = _forecasters(kind, site, step_s, bounds)
        history = _history(series, column, step_s, kind is Kind.PRICE)
        start = history.index[0].ceil("D") + pd.Timedelta(days=WARM_UP_DAYS)
        end = history.index[-1] - pd.Timedelta(hours=hours)
        if end <= start:
            raise HistoryInvalid(
                f"{series}: {column} ends {history.index[-1]}; a back-test needs {WARM_UP_DAYS} days before "
                f"it starts and {hours} h after each forecast"
            )
        scores = backtest(
            history,
            forecasters,
            start=start,
            end=end,
            step_s=step_s,
            hours=hours,
            every_hours=every_hours,
            bounds=bounds,
        )
    if as_json:
        typer.echo(json.dumps({"column": column, "scores": [asdict(score) for score in scores]}))
    else:
        for lead_hours in dict.fromkeys(score.lead_hours for score in scores):
            Console().print(_score_table(lead_hours, [s for s in scores if s.lead_hours == lead_hours]))


def _history(path: Path, column: str, step_s: int, signed: bool) -> "pd.Series[Any]":
    file = TimeSeries(path, step_s)
    start_s, end_s = file.times_s[0], file.times_s[-1] + step_s
    numbers = file.numbers(column, start_s, end_s, gaps_allowed=True, signed=signed)
    index = pd.date_range(
        pd.Timestamp(start_s, unit="s", tz="UTC"), periods=len(numbers), freq=pd.Timedelta(seconds=step_s)
    )
    return pd.Series([np.nan if number is None else float(number) for number in numbers], index=index)


def _forecasters(
    kind: Kind, site: str | None, step_s: int, bounds: tuple[float | None, float | None]
) -> list[Forecaster]:
    models: list[PointModel] = [SimilarDays(alike=kind is Kind.GENERATION)]
    if kind is Kind.GENERATION:
        if site is not None:
            models.append(ClearSky(_site(site)))
    elif kind is Kind.FACTOR:
        models.append(Corrected(Persistence("day"), fade_hours=12))
    else:
        models += [SimilarDays(count=5), Corrected(SimilarDays(count=5))]
    best = models[-1]
    return [
        *(Baseline(model, step_s=step_s, bounds=bounds) for model in models),
        Learned(best, step_s=step_s, bounds=bounds),
    ]


def _site(text: str) -> Site:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (2, 3, 5) or not (-90 <= numbers[0] <= 90 and -180 <= numbers[1] <= 180):
        raise HistoryInvalid(f"site {text!r}; write for example 28.803,-17.774,288,28.8,180")
    return Site(*numbers)


def _score_table(lead_hours: str, scores: list[Score]) -> Table:
    table = Table("method", "MAE", "RMSE", "skill", "pinball", "covered")
    table.title = (
        f"{lead_hours} h ahead, {scores[0].count} values; quantiles promise {scores[0].promised:.0%}"
    )
    for score in scores:
        table.add_row(
            score.method,
            f"{score.mae:.4g}",
            f"{score.rmse:.4g}",
            f"{score.skill:+.1%}",
            f"{score.pinball:.4g}",
            f"{score.coverage:.0%}",
        )
    return table
