"""`ped dispatch outlook`: days until PED status is lost."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from optimiser.balances import BalancesInvalid, fetch_balances, read_balances
from optimiser.command_errors import errors_in_words
from optimiser.outlook import outlook

_EXPECTED = (BalancesInvalid, OSError)


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
