"""Composition root: joins the commands of the applications to one command line, `ped`."""

import typer

from certifier.command_line import commands as certifier_commands
from contracts.command_line import commands as contracts_commands
from gateway.command_line import commands as gateway_commands
from scripts.benches.command_line import commands as bench_commands
from scripts.replay.command_line import commands as replay_commands

application = typer.Typer(
    name="ped",
    help="Certification of Positive Energy Districts: from signed readings to a checkable certificate.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
for _commands in (
    contracts_commands,
    gateway_commands,
    certifier_commands,
    replay_commands,
    bench_commands,
):
    application.add_typer(_commands)


@application.callback()
def _ped() -> None:
    """Keeps the name of a command in front even while there is only one."""


def main() -> None:
    """Run the command line with the arguments of this process."""
    application(prog_name="ped")


if __name__ == "__main__":
    main()
