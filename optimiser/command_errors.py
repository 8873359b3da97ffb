"""What a command of the optimiser does when its input is wrong."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer


@contextmanager
def errors_in_words(*expected: type[Exception]) -> Iterator[None]:
    """Print an expected error's message to stderr and end with exit code 1."""
    try:
        yield
    except expected as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
