"""`ped advise`: what to offer, to bid and to enrol, with the reasons. Signs and sends nothing."""

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

PLACES = {
    "trade": ("optimiser.strategy.trade_command", "trade_command"),
    "response": ("optimiser.strategy.response_command", "response_command"),
}
"""Module and function of each command."""


class _OnDemand(TyperGroup):
    """Loads a command's module when it is called: forecasts take seconds to import."""

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
advise = typer.Typer(
    cls=_OnDemand,
    help="Advice with reasons: which orders keep or regain PED status, how much demand response to enrol.",
    no_args_is_help=True,
)
commands.add_typer(advise, name="advise")


@advise.callback()
def _advise() -> None:
    """Keeps the group's name in front."""
