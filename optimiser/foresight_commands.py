"""`ped dispatch`: `outlook` and `backtest` (what is foreseen, how well), `run` and `serve` (what is done)."""

from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

PLACES = {
    "outlook": ("optimiser.outlook_command", "outlook_command"),
    "backtest": ("optimiser.backtest_command", "backtest_command"),
    "run": ("optimiser.dispatch.run_command", "run_command"),
    "serve": ("optimiser.dispatch.serve_command", "serve_command"),
}
"""Module and function of each command, in the order in which help lists them."""


class _OnDemand(TyperGroup):
    """Loads a command's module when it is called: solver, forecasts and weather take seconds to import."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(PLACES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in PLACES:
            return None
        module, function = PLACES[cmd_name]
        alone = typer.Typer(add_completion=False)
        alone.command(cmd_name)(getattr(import_module(module), function))
        return typer.main.get_command(alone)


commands = typer.Typer()
dispatch = typer.Typer(
    cls=_OnDemand, help="Runs a district hour by hour, and looks ahead.", no_args_is_help=True
)
commands.add_typer(dispatch, name="dispatch")


@dispatch.callback(invoke_without_command=True)
def _dispatch(
    ctx: typer.Context,
    serve: Annotated[
        Path | None, typer.Option("--serve", metavar="SETTINGS", help="The same as `serve SETTINGS`.")
    ] = None,
) -> None:
    if serve is None:
        return
    if ctx.invoked_subcommand is not None:
        raise typer.BadParameter(f"--serve and {ctx.invoked_subcommand!r} are two commands: give one")
    from optimiser.dispatch.serve_command import serve_command  # only now, as `_OnDemand` says

    serve_command(serve)
