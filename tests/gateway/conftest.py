"""Fixtures of the gateway's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.world import World


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of a stopped chain with one district."""
    folder: Path = tmp_path_factory.mktemp("founded")
    World.found(folder).stop()
    return folder


@pytest.fixture
def world(founded: Path, tmp_path: Path) -> Iterator[World]:
    """A chain with one district, thrown away afterwards."""
    started = World.copy(founded, tmp_path)
    yield started
    started.stop()
