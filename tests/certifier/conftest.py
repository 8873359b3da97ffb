"""The small real run, made once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certifier.small_run import SmallRun, run


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallRun]:
    """Two districts with four final days, on the embedded chain."""
    folder: Path = tmp_path_factory.mktemp("chain")
    node, small = run(folder, 4)
    yield small
    node.stop()
