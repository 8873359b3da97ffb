"""Settings of all tests: how long an example takes depends on the machine, and is no finding; a command run
inside a test leaves no logger behind that writes to that test's closed output; long files begin first."""

from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

settings.register_profile("ped", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ped")


_LONG_FIRST = ("journeys", "certifier", "scripts", "optimiser", "contracts", "gateway")
"""Folders in the order of their longest file, so that no worker is left alone with one at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The order in which files are handed out; within a file nothing changes."""
    root = Path(__file__).parent

    def place(item: pytest.Item) -> int:
        folder = item.path.relative_to(root).parts[0]
        return _LONG_FIRST.index(folder) if folder in _LONG_FIRST else len(_LONG_FIRST)

    items.sort(key=place)


def pytest_runtest_teardown() -> None:
    """After each test, structlog logs to the present output again."""
    structlog.reset_defaults()
