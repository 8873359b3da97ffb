"""Composition root: joins the commands of the applications to one command line, `ped`.

A command loads its own application only: all of them together take seconds to import.
"""

import sys
from importlib import import_module

import typer

OWNERS = {
    "verify": "contracts.command_line",
    "chain": "contracts.command_line",
    "contracts": "contracts.command_line",
    "market": "contracts.market_commands",
    "trade": "certifier.trade_commands",
    "dr": "contracts.response_commands",
    "escrow": "contracts.escrow_commands",
    "gateway": "gateway.command_line",
    "certifier": "certifier.command_line",
    "plan": "optimiser.command_line",
    "dispatch": "optimiser.foresight_commands",
    "advise": "optimiser.strategy.command_line",
    "replay": "scripts.replay.command_line",
    "demo": "scripts.replay.command_line",
    "bench": "scripts.benches.command_line",
}
"""The module of each command, in the order in which help lists them."""


def build_application(command: str | None = None) -> typer.Typer:
    """The command line: all of it, or only as much as `command` needs."""
    application = typer.Typer(
        name="ped",
        help="Certification of Positive Energy Districts: from signed readings to a checkable certificate.",
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
    )
    modules = [OWNERS[command]] if command in OWNERS else list(dict.fromkeys(OWNERS.values()))
    for module in modules:
        application.add_typer(import_module(module).commands)
    application.callback()(_ped)
    return application


def _ped() -> None:
    """Keeps the name of a command in front even while there is only one."""


def main() -> None:
    """Run the command line with the arguments of this process."""
    build_application(sys.argv[1] if len(sys.argv) > 1 else None)(prog_name="ped")


if __name__ == "__main__":
    main()
