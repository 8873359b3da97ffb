"""The `ped plan` command; `scripts.command_line` joins it with those of the others."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from optimiser.case import CaseError, load_case
from optimiser.command_errors import errors_in_words
from optimiser.inputs import InputMissing
from optimiser.planning.growth import SCENARIOS as FIGURE_10
from optimiser.planning.growth import reproduce_growth
from optimiser.planning.model import CaseImpossible
from optimiser.planning.net_rule import plan as make_plan
from optimiser.planning.paper import Reproduction, reproduce
from optimiser.planning.pareto import GHG, PRIMARY_ENERGY, front
from optimiser.planning.plan import Plan
from optimiser.planning.solve import SolverFailed, Status
from optimiser.planning.sweep import SweepInvalid, parse_axis
from optimiser.planning.sweep import sweep as run_sweep
from optimiser.report.documents import plan_document
from optimiser.report.files import write
from optimiser.report.study import study_csv, study_document
from optimiser.series import SeriesError

commands = typer.Typer()

_EXPECTED = (CaseError, CaseImpossible, InputMissing, SeriesError, SolverFailed, SweepInvalid, OSError)

INFEASIBLE_EXIT = 3


@commands.command()
def plan(
    case: Annotated[
        Path | None, typer.Argument(help="TOML file of the case; see optimiser/README.md.")
    ] = None,
    paper: Annotated[
        bool, typer.Option("--paper", help="Reproduce the published scenarios and compare; no CASE.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for report.html, plan.json and flows.csv.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    sweep: Annotated[
        list[str] | None,
        typer.Option(help="NAME=START:STOP:COUNT or NAME=a,b,c, as exchange_limit_kw=66:198:11; repeatable."),
    ] = None,
    pareto: Annotated[
        int, typer.Option(help="Points of the fronts of NPV against primary energy and greenhouse gas.")
    ] = 0,
    scheduler: Annotated[
        str | None, typer.Option(help="Dask scheduler for sweeps and fronts, tcp://HOST:PORT.")
    ] = None,
) -> None:
    """Plan a district: what to build so that it is positive at the best net present value.

    Ends with 3 when no plan is possible, with 1 when the input is wrong or a published result differs.
    """
    if paper == (case is not None):
        raise typer.BadParameter("give either CASE.toml or --paper")
    with errors_in_words(*_EXPECTED):
        if case is None:
            _paper(as_json)
            return
        settings = load_case(case)
        axes = [parse_axis(text) for text in sweep or []]
        points, fronts = [], {}
        if axes:
            with _progress("sweep") as progress:
                points = run_sweep(settings, axes, scheduler, progress=progress)
        for against in (PRIMARY_ENERGY, GHG) if pareto else ():
            with _progress(f"NPV against {against}") as progress:
                fronts[against] = front(settings, against, pareto, scheduler, progress=progress)
        found = make_plan(settings)
        written = [] if out is None else write(found, out, points, fronts)
    if as_json:
        document = plan_document(found)
        if points:
            document["sweep"] = study_document(points)
        if fronts:
            document["pareto"] = {against: study_document(study) for against, study in fronts.items()}
        typer.echo(json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False))
    else:
        _show(found)
        for study in (points, *fronts.values()):
            if study:
                typer.echo(study_csv(study), nl=False)
        for path in written:
            typer.echo(f"written: {path}")
    if found.status is not Status.OPTIMAL:
        raise typer.Exit(INFEASIBLE_EXIT)


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal's standard error that leaves nothing behind."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda ready, count: bar.update(task, completed=ready, total=count)


def _show(found: Plan) -> None:
    console = Console()
    console.print(f"[bold]{found.title}[/bold] (profile {found.profile}, {found.formula}): {found.status}")
    if found.status is Status.OPTIMAL:
        console.print(f"NPV {found.npv_eur:,.0f} EUR, at best {found.bound_eur:,.0f} EUR")
        table = Table("size", "value", "unit")
        for name, size in found.sizes.items():
            table.add_row(name, f"{size.value:,.1f}", size.unit)
        console.print(table)
        table = Table("indicator", "value", "unit", "formula")
        for entry in found.indicators:
            table.add_row(entry.identifier, f"{entry.value:,.3f}", entry.unit, entry.formula)
        console.print(table)
    for sentence in (*found.explanation, *(dual.sentence for dual in found.duals)):
        console.print(sentence)


def _paper(as_json: bool) -> None:
    console = Console()
    failed = 0
    bases: dict[str, Plan] = {}
    for reproduction in chain(reproduce(), reproduce_growth(bases)):
        if reproduction.scenario in FIGURE_10:
            bases[reproduction.scenario] = reproduction.plan
        failed += not reproduction.passes
        if as_json:
            typer.echo(json.dumps(_document(reproduction), allow_nan=False))
        else:
            _show_reproduction(console, reproduction)
    if failed:
        typer.echo(f"{failed} scenarios differ from the published results without explanation", err=True)
        raise typer.Exit(1)
    if not as_json:
        console.print(
            "All 22 scenarios and those of Fig. 10 agree; differences that have a reason are named above."
        )


def _show_reproduction(console: Console, reproduction: Reproduction) -> None:
    table = Table("quantity", "ours", "expected", "source", "", "reason")
    for entry in reproduction.comparisons:
        ours = "" if entry.ours != entry.ours else f"{entry.ours:,.4f}"
        verdict = "equal" if entry.agrees else "explained" if entry.passes else "DIFFERS"
        table.add_row(entry.quantity, ours, entry.expected, entry.source, verdict, entry.reason)
    table.title = f"{reproduction.scenario}: {reproduction.description} ({reproduction.plan.seconds:.1f} s)"
    console.print(table)


def _document(reproduction: Reproduction) -> dict[str, object]:
    comparisons = [
        {
            "quantity": entry.quantity,
            "ours": None if entry.ours != entry.ours else entry.ours,
            "expected": entry.expected,
            "source": entry.source,
            "agrees": entry.agrees,
            "reason": entry.reason,
        }
        for entry in reproduction.comparisons
    ]
    return {
        "scenario": reproduction.scenario,
        "passes": reproduction.passes,
        "comparisons": comparisons,
        "plan": plan_document(reproduction.plan),
    }
