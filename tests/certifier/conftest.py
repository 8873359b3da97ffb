"""The small real run with its projection and its pages, made once."""

import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn

from certifier.api.application import cached
from certifier.follower import Follower
from certifier.service import Settings, build_application
from certifier.store import Store
from contracts.chain import Chain
from contracts.platform import Platform
from tests.certifier.certified_run import Year, certified_year
from tests.certifier.databases import PostgresServer, find_server_programs, wait_until_open
from tests.certifier.small_run import SmallRun, run
from tests.contracts.nodes import AnvilNode, EmbeddedNode


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallRun]:
    """Two districts with four final days, on the embedded chain."""
    folder: Path = tmp_path_factory.mktemp("chain")
    node = EmbeddedNode(folder, "--genesis-time", "2018-12-01")
    yield run(Chain(node.url), 4)
    node.stop()


@pytest.fixture(scope="session")
def projection(small_run: SmallRun, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The run as the follower projects it."""
    store = Store(f"sqlite:///{tmp_path_factory.mktemp('projection') / 'projection.sqlite'}")
    follower = Follower(Platform(small_run.chain, small_run.deployment), store)
    while follower.step():
        pass
    yield store
    store.close()


@pytest.fixture(scope="session")
def website(
    small_run: SmallRun, projection: Store, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Address of the certifier's server: pages and API over the projection."""
    file = tmp_path_factory.mktemp("deployment") / "deployment.json"
    small_run.deployment.save(file)
    with serving(projection.url, file) as url:
        yield url


@contextmanager
def serving(database_url: str, deployment_file: Path | None = None) -> Iterator[str]:
    """Serve on a free port of the loopback interface, as `ped certifier serve` does."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    application = cached(build_application(Settings(database_url, deployment_file, url)))
    server = uvicorn.Server(uvicorn.Config(application, log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield url
    server.should_exit = True
    thread.join()
    listener.close()


@pytest.fixture(scope="session")
def year() -> Iterator[Year]:
    """A certified district on anvil; a test that sends anything puts the chain back (`Rewound`)."""
    node = AnvilNode()
    yield certified_year(node.chain())
    node.stop()


@pytest.fixture(scope="session")
def followed_year(year: Year, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The certified year as the follower projects it from the first block; tests write to copies."""
    store = Store(f"sqlite:///{tmp_path_factory.mktemp('followed-year') / 'projection.sqlite'}")
    Follower(year.platform, store).catch_up()
    yield store
    store.close()


@pytest.fixture
def year_store(followed_year: Store, tmp_path: Path) -> Iterator[Store]:
    """A copy of the certified year's projection, from which a follower goes on."""
    store = copied(followed_year, tmp_path / "projection.sqlite")
    yield store
    store.close()


def copied(store: Store, file: Path) -> Store:
    """A copy of a SQLite projection in `file`, so that the projection of other tests stays as it is."""
    source = sqlite3.connect(str(store.engine.url.database))
    target = sqlite3.connect(file)
    source.backup(target)
    target.close()
    source.close()
    return Store(f"sqlite:///{file}")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Database of a private PostgreSQL server."""
    programs = find_server_programs()
    if programs is None:
        pytest.skip("no PostgreSQL server is installed: apt-get install postgresql")
    server = PostgresServer(programs)
    wait_until_open(server)
    yield server.url
    server.stop()
