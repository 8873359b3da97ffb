"""`ped replay` and `ped demo`: a district's own data, or the La Palma year, through the whole platform."""

import json
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from contracts.platform import Platform
    from scripts.market_demo.activity import MarketMonth
    from scripts.market_demo.plan import MarketPlan
    from scripts.market_demo.reconciliation import Reconciliation
    from scripts.replay.config import ReplayConfig
    from scripts.replay.results import DistrictResult
    from scripts.replay.run import Inputs
    from scripts.replay.world import World

commands = typer.Typer()

DEMO = Path(__file__).parent.parent / "demo_data" / "lapalma.toml"
QUICK_DAYS = 31

_Headless = Annotated[bool, typer.Option(help="End with the results instead of serving pages.")]
_Json = Annotated[bool, typer.Option("--json", help="Print the results as one JSON object on one line.")]
_Days = Annotated[int | None, typer.Option(help="Replay only so many days.", min=1)]


@commands.command()
def replay(
    config: Annotated[
        Path, typer.Argument(help="TOML file, see scripts/replay/README.md.", metavar="CONFIG")
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for the results; made, and must be empty.", metavar="DIR")
    ],
    headless: _Headless = True,
    days: _Days = None,
    as_json: _Json = False,
) -> None:
    """Put measured series through broker, gateways, contracts and certifier, and write what comes out.

    Leaves balances.csv, certificate.json and bundle.json of each district in DIR.
    """
    _run(config, out, days, headless, as_json)


@commands.command()
def demo(
    quick: Annotated[bool, typer.Option(help="One month instead of the year.")] = False,
    headless: Annotated[bool, typer.Option(help="End when done instead of serving the pages.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results; a new one by default.", metavar="DIR")
    ] = None,
    as_json: _Json = False,
    dispatch: Annotated[
        bool, typer.Option(help="Instead: one day of signed set-points reaching simulated devices.")
    ] = False,
    market: Annotated[
        bool,
        typer.Option(
            help="Instead: a month of trade between the districts and three demand-response events."
        ),
    ] = False,
) -> None:
    """The La Palma year: two districts, one of which earns its certificate and one does not."""
    if dispatch:
        from scripts.devices.command_line import dispatch_day

        dispatch_day(out, as_json)
        return
    folder = out or Path(tempfile.mkdtemp(prefix="ped-demo-"))
    if market:
        from scripts.market_demo.plan import MONTH, SHORT

        _run(DEMO, folder, None, headless, as_json, SHORT if quick else MONTH)
        return
    _run(DEMO, folder, QUICK_DAYS if quick else None, headless, as_json)


class _Interrupted(Exception):
    """The person asked to stop."""


def _run(
    config_file: Path,
    out: Path,
    days: int | None,
    headless: bool,
    as_json: bool,
    plan: "MarketPlan | None" = None,
) -> None:
    from scripts.replay.config import ConfigError, load_config
    from scripts.replay.run import read_inputs
    from scripts.replay.series import SeriesError

    try:
        config = load_config(config_file)
        if days is not None:
            config = config.shortened(days)
        if plan is not None:
            config = plan.configure(config)
        inputs = read_inputs(config_file.parent, config)
    except (ConfigError, SeriesError) as problem:
        sys.exit(f"ped replay: {problem}")
    if out.exists() and any(out.iterdir()):
        sys.exit(f"ped replay: {out} is not empty; name a new folder, so that nothing in it is lost")
    out.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        _play(inputs, out, headless, as_json, plan)
    except (KeyboardInterrupt, _Interrupted):
        sys.exit("stopped; all processes of the replay were ended")


def _interrupt(_signal: int, _frame: object) -> NoReturn:
    raise _Interrupted


def _play(inputs: "Inputs", out: Path, headless: bool, as_json: bool, plan: "MarketPlan | None") -> None:
    from certifier.evidence import BundleUnavailable
    from contracts.chain import ChainUnavailable
    from contracts.errors import ContractError
    from contracts.verification import VerificationFailed
    from scripts.replay.processes import ProcessFailed, Supervisor
    from scripts.replay.results import FollowerLate, collect
    from scripts.replay.run import RelayStuck, Replay
    from scripts.replay.world import ReadingsRefused, World

    console = Console(stderr=True)
    config = inputs.config
    month: MarketMonth | None = None
    reconciled: Reconciliation | None = None
    if plan is not None:
        from scripts.market_demo.activity import prepare

        inputs, month = prepare(plan, inputs)
    began = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with Supervisor(out / "logs") as supervisor:
            world = World(supervisor, out, config)
            with Progress(*columns, console=console) as progress:
                task = progress.add_task(
                    "starting broker, chain, gateways, certifier", total=config.day_count
                )
                world.start(with_relayer=month is not None)
                if month is not None:
                    month.found(world.founder)
                progress.update(task, description="replayed days")
                run = Replay(
                    world,
                    inputs,
                    lambda done: progress.update(task, completed=done),
                    month.midnight if month is not None else lambda _: None,
                )
                cases = run.run()
                progress.update(task, description="collecting and proving")
                results, alarms = collect(world, cases, out)
                if month is not None:
                    reconciled = _reconcile(month, world.founder.platform, out)
                progress.update(task, description="replayed days")
            seconds = time.monotonic() - began
            if as_json:
                document = {
                    "seconds": round(seconds, 1),
                    "days": config.day_count,
                    "alarms": alarms,
                    "districts": [result.summary for result in results],
                }
                if reconciled is not None:
                    document["market"] = reconciled.summary
                typer.echo(json.dumps(document))
            else:
                if reconciled is not None:
                    _show_market(reconciled, out)
                _show(results, alarms, config, seconds, world.pages_url, headless)
                if month is not None and not headless:
                    _invite_to_trade(month, out / "trading", world)
            if alarms or (reconciled is not None and not reconciled.is_exact):
                sys.exit(3)
            while not headless:
                world.check()
                time.sleep(0.5)
    except (
        BundleUnavailable,
        ChainUnavailable,
        ContractError,
        FollowerLate,
        ProcessFailed,
        ReadingsRefused,
        RelayStuck,
        VerificationFailed,
    ) as problem:
        sys.exit(f"ped replay: {problem}\n(logs: {out / 'logs'})")


def _reconcile(month: "MarketMonth", platform: "Platform", out: Path) -> "Reconciliation":
    from scripts.market_demo.page import reconciliation_page
    from scripts.market_demo.reconciliation import reconcile

    logs = platform.chain.logs(platform.deployment.deployed_block, platform.chain.head(), platform.addresses)
    found = reconcile(month, platform, platform.events(logs))
    page = reconciliation_page(found, month.config.title)
    (out / "reconciliation.html").write_text(page, "utf-8")
    return found


def _show_market(found: "Reconciliation", out: Path) -> None:
    from itertools import groupby

    from rich.table import Table

    from scripts.market_demo.page import shown

    console = Console(highlight=False)
    for subject, lines in groupby(found.lines, key=lambda line: line.subject):
        table = Table(title=subject, title_justify="left")
        for head in ("", "by the contracts", "from the series", "difference"):
            table.add_column(head, justify="right" if head else "left")
        for line in lines:
            values = (line.on_chain, line.stated, line.difference)
            table.add_row(line.what, *(shown(value, line.unit) for value in values))
        console.print(table)
    console.print(
        f"{found.trades} trades in {found.seller_hours} hours: "
        + ("reconciled to the last unit" if found.is_exact else "THE STATEMENTS DIFFER")
    )
    console.print(f"As a page: {out / 'reconciliation.html'}")


def _invite_to_trade(month: "MarketMonth", folder: Path, world: "World") -> None:
    from contracts.hour import HOURS_PER_DAY, day_of_hour, format_hour_utc, format_time_utc

    password = month.save_trading_keys(folder)
    clock_s = world.chain.block().time_s
    hour = (day_of_hour(clock_s // 3600) + 2) * HOURS_PER_DAY + 12
    Console(highlight=False, soft_wrap=True).print(
        f"\nTrade on, while the demo's clock stands at {format_time_utc(clock_s)}:\n"
        f"  scripts/ped trade bid {month.buyer} {format_hour_utc(hour)} 1000 120000 "
        f"--key {folder / (month.buyer + '.json')} --password-file {password} --url {world.pages_url}"
    )


def _show(
    results: "list[DistrictResult]",
    alarms: list[str],
    config: "ReplayConfig",
    seconds: float,
    pages_url: str,
    headless: bool,
) -> None:
    console = Console(highlight=False, soft_wrap=True)
    span = f"{config.first_day} to {config.last_day}, {config.day_count} days, in {seconds:.0f} s"
    console.print(f"\n[bold]{config.title}[/bold]: {span}\n")
    for result in results:
        _show_district(console, result)
    for alarm in alarms:
        console.print(f"ALARM: {alarm}", style="bold red")
    if not alarms:
        console.print("The independent recomputation agrees with the chain for every day and verdict.")
    if not headless:
        console.print(f"Pages: {pages_url}   (stop with Ctrl-C)")


def _show_district(console: Console, result: "DistrictResult") -> None:
    found, verdict = result.certificate, result.verdict
    colour = "green" if found.valid else "yellow"
    console.print(f"[bold]{result.name}[/bold] ({result.district_id}): [{colour}]{found.status}[/{colour}]")
    if verdict is not None and verdict.total_hours:
        window = f"{verdict.window_start_day} to {verdict.window_end_day}"
        console.print(f"  verdict      {verdict.finding}, window {window}")
        console.print(
            f"  balance      {_mega(verdict.balance_mwh_pe)} kWh of primary energy, "
            f"between {_mega(verdict.lower_mwh_pe)} and {_mega(verdict.upper_mwh_pe)}"
        )
        console.print(f"  net GHG      {_mega(verdict.ghg_mg)} kg CO2e")
        console.print(f"  complete     {verdict.complete_hours:,} of {verdict.total_hours:,} hours")
    else:
        console.print("  verdict      none yet: a verdict needs twelve months of final days")
    if not found.valid:
        console.print(f"  not valid    {'; '.join(found.reasons)}")
    bundle = result.folder / "bundle.json"
    console.print("  evidence     proof bundle verified offline; do it yourself:")
    console.print(f"               scripts/ped verify {bundle} --block-hash {result.report.block_hash}\n")


def _mega(value: int) -> str:
    """Millionths as whole numbers: mWh_PE to kWh_PE, mg to kg."""
    return f"{round(value / 10**6):,}"
