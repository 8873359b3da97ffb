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
def own_world(founded: Path, tmp_path: Path) -> Iterator[World]:
    """A chain of the test's own with one district: for what stops the chain or starts it again."""
    started = World.copy(founded, tmp_path)
    yield started
    started.stop()


@pytest.fixture(scope="session")
def shared(founded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A chain with one district that the tests use one after the other."""
    started = World.copy(founded, tmp_path_factory.mktemp("shared"))
    yield started
    started.stop()


@pytest.fixture
def world(shared: World, tmp_path: Path) -> Iterator[World]:
    """A chain with one district; what the test does to it is undone afterwards."""
    mark = shared.chain.request("evm_snapshot")
    yield shared.at(tmp_path)
    assert shared.chain.request("evm_revert", mark)
