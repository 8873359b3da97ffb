"""The dispatch day for people: `scripts/demo --dispatch`."""

import json
import sys
import tempfile
import time
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from contracts.chain import ChainUnavailable
from contracts.errors import ContractError
from contracts.hour import HOURS_PER_DAY
from gateway.device import ReceiptsMissing
from optimiser.dispatch.handover import SolveFailed
from optimiser.proposal import GatewayUnreachable, ProposalRejected
from scripts.devices.day import DayFailed, run_day
from scripts.devices.day_page import summarise, write_page
from scripts.devices.simulated import ReadingRefused
from scripts.replay.processes import ProcessFailed

_EXPECTED = (
    ChainUnavailable,
    ContractError,
    DayFailed,
    GatewayUnreachable,
    ProcessFailed,
    ProposalRejected,
    ReadingRefused,
    ReceiptsMissing,
    SolveFailed,
)


def dispatch_day(out: Path | None, as_json: bool) -> None:
    """Play the day, write its page into a new folder, print what came of it."""
    folder = out or Path(tempfile.mkdtemp(prefix="ped-dispatch-"))
    if folder.exists() and any(folder.iterdir()):
        sys.exit(f"ped demo: {folder} is not empty; name a new folder, so that nothing in it is lost")
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    began = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=Console(stderr=True)) as progress:
            task = progress.add_task("hours of dispatch", total=HOURS_PER_DAY)
            result = run_day(folder, lambda done: progress.update(task, completed=done))
    except _EXPECTED as problem:
        sys.exit(f"ped demo: {problem}\n(logs: {folder / 'logs'})")
    page = folder / "dispatch.html"
    write_page(result, page)
    rows, seconds = summarise(result), round(time.monotonic() - began, 1)
    if as_json:
        counts = {"proposals": len(result.proposals), "refusals": len(result.refusals)}
        typer.echo(json.dumps({"seconds": seconds, "page": str(page), **counts, "devices": rows}))
        return
    table = Table("device", "proposed h", "safe h", "answered", "asked kWh", "done kWh", "mean off W")
    for row in rows:
        table.add_row(
            row["device"],
            *(str(row[name]) for name in ("proposed", "safe", "acknowledged")),
            *(f"{row[name]:.1f}" for name in ("asked_kwh", "done_kwh", "mean_off_w")),
        )
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"\nOne day of dispatch in {seconds:.0f} s: {len(result.proposals)} proposals accepted")
    console.print(table)
    for entry in result.refusals:
        console.print(f"refused {entry['refused_utc']}: {entry['detail']}")
    console.print(f"Page: {page.as_uri()}")
