"""The `ped` commands of `gateway`; `scripts.command_line` joins them with those of the others."""

import typer

commands = typer.Typer()
