"""`ped bench NAME`: the measurements by which the platform is judged."""

import json
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

commands = typer.Typer()


class Bench(StrEnum):
    """What can be measured."""

    GAS = "gas"
    INGEST = "ingest"
    API = "api"


@commands.command()
def bench(
    name: Annotated[Bench, typer.Argument(help="gas, ingest or api.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on one line.")] = False,
) -> None:
    """Measure gas, ingest from MQTT to the chain, or the API under load; each beside its reference."""
    figures = _measure(name)
    if as_json:
        typer.echo(json.dumps(figures))
        return
    table = Table("figure", "value")
    for key, value in figures.items():
        table.add_row(key, f"{value:,}" if isinstance(value, int | float) else str(value))
    Console().print(table)


def _measure(name: Bench) -> dict[str, Any]:
    if name is Bench.GAS:
        from scripts.benches.gas import measure as gas

        return gas()
    if name is Bench.INGEST:
        from scripts.benches.ingest import measure as ingest

        return ingest()
    from scripts.benches.api import measure as api

    return api()
