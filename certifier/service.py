"""The certifier's processes: the API and pages as a server, and the follower beside it.

The server's workers are started by import string, so what they need comes from the environment:
PED_CERTIFIER_DATABASE (URL), PED_CERTIFIER_DEPLOYMENT (file; without it no proof bundles are made) and
PED_CERTIFIER_PUBLIC_URL (address under which people reach the pages).
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI, Response
from starlette.types import ASGIApp

from certifier.api.application import cached, create_application
from certifier.api.context import Read
from certifier.api.problems import DOCUMENTED, BundleMissing
from certifier.evidence import BundleUnavailable, certificate_bundle
from certifier.follower import Follower, FollowerBusy, only_follower
from certifier.queries import revision
from certifier.store import Store, StoreError
from certifier.web import pages
from certifier.workers import run_workers
from contracts.chain import Chain, ChainUnavailable
from contracts.deployment import Deployment, DeploymentInvalid
from contracts.platform import Platform

DATABASE = "PED_CERTIFIER_DATABASE"
DEPLOYMENT = "PED_CERTIFIER_DEPLOYMENT"
PUBLIC_URL = "PED_CERTIFIER_PUBLIC_URL"

PARENT_CHECK_S = 1.0


class FollowerEnded(ChildProcessError):
    """The process that follows the chain beside the server ended by itself."""


CHAIN_RETRY_S = 1.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Settings:
    """What server and follower need."""

    database_url: str
    deployment_file: Path | None = None
    public_url: str = ""
    depth: int = 0


def build_application(settings: Settings) -> FastAPI:
    """API, pages and proof bundles over a store. Raises StoreError, DeploymentInvalid, OSError."""
    store = Store(settings.database_url)
    application = create_application(store)
    deployment = None if settings.deployment_file is None else Deployment.load(settings.deployment_file)
    _add_bundles(application, deployment)
    pages.attach(application, store, settings.public_url, "/docs", bundle_path)
    return application


def bundle_path(number: int) -> str:
    """Address of a certificate's proof bundle."""
    return f"/v1/certificates/{number}/bundle"


def _add_bundles(application: FastAPI, deployment: Deployment | None) -> None:
    chain = None if deployment is None else Chain(deployment.rpc_url, retry_s=1.0)

    @application.get(
        "/v1/certificates/{number}/bundle",
        tags=["certificates"],
        responses={**DOCUMENTED, 200: {"content": {"application/json": {}}}},
    )
    def show_bundle(connection: Read, number: int) -> Response:
        """The proof bundle: everything that an auditor needs to check the certificate offline."""
        if deployment is None or chain is None:
            raise BundleMissing(
                "this server was started without a deployment file, so it cannot ask the chain"
            )
        try:
            bundle = certificate_bundle(connection, chain, deployment, number)
        except (BundleUnavailable, ChainUnavailable) as problem:
            raise BundleMissing(str(problem)) from problem
        headers = {
            "content-disposition": f'attachment; filename="certificate-{number}.json"',
            "etag": f'"{revision(connection)}-bundle"',
            "cache-control": "no-cache",
        }
        return Response(bundle, media_type="application/json", headers=headers)


def worker() -> ASGIApp:
    """The application of one server process, from the environment."""
    file = os.environ.get(DEPLOYMENT)
    settings = Settings(os.environ[DATABASE], Path(file) if file else None, os.environ.get(PUBLIC_URL, ""))
    return cached(build_application(settings))


def serve(settings: Settings, host: str, port: int, workers: int = 1, follow: bool = False) -> None:
    """Serve until interrupted; with `follow` a process of its own follows the chain into the same store.

    Raises StoreError and DeploymentInvalid before anything is started, FollowerEnded when the follower ends
    by itself: pages that no longer follow the chain must not look as if they did.
    """
    build_application(settings).state.store.close()
    os.environ[DATABASE] = settings.database_url
    os.environ[PUBLIC_URL] = settings.public_url
    os.environ.pop(DEPLOYMENT, None)
    if settings.deployment_file is not None:
        os.environ[DEPLOYMENT] = str(settings.deployment_file)
    follower = None
    if follow:
        context = multiprocessing.get_context("spawn")
        follower = context.Process(target=follow_until_parent_ends, args=(settings, os.getpid()))
        follower.start()
        threading.Thread(target=_end_with, args=(follower,), daemon=True).start()
    try:
        options: dict[str, Any] = {
            "factory": True,
            "host": host,
            "port": port,
            "workers": workers,
            "access_log": False,
            "log_level": "warning",
        }
        if workers > 1 and sys.platform == "linux":
            run_workers(uvicorn.Config("certifier.service:worker", **options))
        else:
            uvicorn.run("certifier.service:worker", **options)
        if follower is not None and follower.exitcode:
            raise FollowerEnded("the follower ended, so nothing is served; its message above says why")
    finally:
        if follower is not None:
            follower.terminate()
            follower.join()


def _end_with(follower: SpawnProcess) -> None:
    """End this process, as Ctrl-C does, when the follower has ended with an error."""
    follower.join()
    if follower.exitcode is not None and follower.exitcode > 0:
        os.kill(os.getpid(), signal.SIGINT)


def open_follower(settings: Settings) -> tuple[Follower, Store]:
    """A follower and its store. Raises StoreError, DeploymentInvalid, OSError."""
    if settings.deployment_file is None:
        raise ValueError("a follower needs the deployment file")
    deployment = Deployment.load(settings.deployment_file)
    platform = Platform(Chain(deployment.rpc_url), deployment)
    platform.require_code()
    store = Store(settings.database_url)
    return Follower(platform, store, settings.depth), store


def follow(settings: Settings, stop: threading.Event) -> None:
    """Follow the chain until `stop` is set, from when it is there.

    Raises FollowerBusy, StoreError, DeploymentInvalid, OSError.
    """
    while True:
        try:
            follower, store = open_follower(settings)
            break
        except ChainUnavailable as problem:
            log.warning("follower waits for the chain", problem=str(problem))
            if stop.wait(CHAIN_RETRY_S):
                return
    try:
        with only_follower(store):
            follower.run(stop)
    finally:
        store.close()


def follow_until_parent_ends(settings: Settings, parent: int) -> None:
    """The follower as a process beside the server: it ends with a signal, or when its parent is gone."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    threading.Thread(target=_watch_parent, args=(parent, stop), daemon=True).start()
    try:
        follow(settings, stop)
    except (FollowerBusy, StoreError, DeploymentInvalid, OSError) as problem:
        sys.exit(f"follower: {problem}")


def _watch_parent(parent: int, stop: threading.Event) -> None:
    while not stop.is_set():
        if os.getppid() != parent:
            stop.set()
        time.sleep(PARENT_CHECK_S)


def free_port(host: str) -> int:
    """A port on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
