"""`ped dispatch backtest`: how good forecasts of a series would have been."""

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

from optimiser.command_errors import errors_in_words
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
from optimiser.series import SeriesError, TimeSeries

WARM_UP_DAYS = 60
_EXPECTED = (HistoryInvalid, SeriesError, OSError)


class Kind(StrEnum):
    """What a series is: it decides which forecasts make sense."""

    LOAD = "load"
    GENERATION = "generation"
    PRICE = "price"
    FACTOR = "factor"


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
