"""How a bench tells how far it is."""

from collections.abc import Callable

Tell = Callable[[str, int, int], None]
"""What is being done, how much of it is done, and how much there is."""


def tell_nobody(_what: str, _done: int, _total: int) -> None:
    """For those who only want the figures."""
