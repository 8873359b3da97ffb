"""Fixtures of the gateway's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A chain with one district, thrown away afterwards."""
    started = World.start(tmp_path)
    yield started
    started.stop()
