"""The small real run with its projection and its pages, made once."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI

from certifier.api.application import create_application
from certifier.api.bundle_routes import bundle_path
from certifier.follower import Follower
from certifier.store import Store
from certifier.web.pages import attach
from contracts.platform import Platform
from tests.certifier.small_run import SmallRun, run


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallRun]:
    """Two districts with four final days, on the embedded chain."""
    folder: Path = tmp_path_factory.mktemp("chain")
    node, small = run(folder, 4)
    yield small
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
def website(small_run: SmallRun, projection: Store) -> Iterator[str]:
    """Address of a server with pages and API over the projection."""
    application = create_application(projection)
    application.state.platform = Platform(small_run.chain, small_run.deployment)
    with serving(application) as url:
        yield url


@contextmanager
def serving(application: FastAPI) -> Iterator[str]:
    """Serve the API and its pages on a free port of the loopback interface."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    attach(application, application.state.store, url, "/docs", bundle_path)
    server = uvicorn.Server(uvicorn.Config(application, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield url
    server.should_exit = True
    thread.join()
    listener.close()
