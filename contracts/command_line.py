"""The `ped` commands of `contracts`; `scripts.command_line` joins them with those of the others."""

import typer

commands = typer.Typer()
