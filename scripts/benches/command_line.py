"""`ped bench NAME`: the measurements by which the platform is judged."""

import json
from enum import StrEnum
from typing import Annotated, Any, NamedTuple

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from scripts.benches.progress import Tell, tell_nobody

commands = typer.Typer()


class Bench(StrEnum):
    """What can be measured."""

    GAS = "gas"
    INGEST = "ingest"
    API = "api"
    PLAN = "plan"
    DISPATCH = "dispatch"
    MARKET = "market"


class _Task(NamedTuple):
    name: Bench
    tell: Tell


@commands.command()
def bench(
    name: Annotated[Bench, typer.Argument(help="gas, ingest, api, plan, dispatch or market.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on one line.")] = False,
) -> None:
    """Measure gas, ingest, the API under load, planning, dispatch or the market, beside a reference."""
    if as_json:
        typer.echo(json.dumps(_measure(_Task(name, tell_nobody))))
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(f"{name}: starting", total=None)
        figures = _measure(
            _Task(
                name,
                lambda what, done, total: progress.update(
                    bar, description=f"{name}: {what}", completed=done, total=total
                ),
            )
        )
    table = Table("figure", "value")
    for key, value in figures.items():
        table.add_row(key, f"{value:,}" if isinstance(value, int | float) else str(value))
    Console().print(table)


def _measure(task: _Task) -> dict[str, Any]:
    if task.name is Bench.GAS:
        from scripts.benches.gas import measure as gas

        return gas(tell=task.tell)
    if task.name is Bench.INGEST:
        from scripts.benches.ingest import measure as ingest

        return ingest(tell=task.tell)
    if task.name is Bench.PLAN:
        from scripts.benches.plan import measure as plan

        return plan(tell=task.tell)
    if task.name is Bench.DISPATCH:
        from scripts.benches.dispatch import measure as dispatch

        return dispatch(tell=task.tell)
    if task.name is Bench.MARKET:
        from scripts.benches.market import measure as market

        return market(tell=task.tell)
    from scripts.benches.api import measure as api

    return api(tell=task.tell)
