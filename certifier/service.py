"""The certifier's processes: the API and pages as a server, and the follower beside it.

The server's workers are started by import string, so what they need comes from the environment:
PED_CERTIFIER_DATABASE (URL), PED_CERTIFIER_DEPLOYMENT (file; without it no proof bundles are made),
PED_CERTIFIER_PUBLIC_URL (address under which people reach the pages), PED_CERTIFIER_RELAYER (encrypted
keystore of the account that carries traders' messages, with its password in PED_CERTIFIER_RELAYER_PASSWORD or
in the file PED_CERTIFIER_RELAYER_PASSWORD_FILE) and PED_CERTIFIER_OPENADR_CLIENTS (file of OpenADR clients).
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
from certifier.openadr.clients import Clients
from certifier.openadr.notifier import Notifier
from certifier.queries import revision
from certifier.relay import Relayer
from certifier.store import Store, StoreError
from certifier.web import pages
from certifier.workers import run_workers
from contracts.chain import Chain, ChainUnavailable
from contracts.deployment import Deployment, DeploymentInvalid
from contracts.key import SigningKey
from contracts.keystore import read_secret
from contracts.platform import Platform

DATABASE = "PED_CERTIFIER_DATABASE"
DEPLOYMENT = "PED_CERTIFIER_DEPLOYMENT"
PUBLIC_URL = "PED_CERTIFIER_PUBLIC_URL"
RELAYER = "PED_CERTIFIER_RELAYER"
RELAYER_PASSWORD = "PED_CERTIFIER_RELAYER_PASSWORD"
RELAYER_PASSWORD_FILE = "PED_CERTIFIER_RELAYER_PASSWORD_FILE"
OPENADR_CLIENTS = "PED_CERTIFIER_OPENADR_CLIENTS"

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
    relayer_keystore: Path | None = None
    """Encrypted keystore of the account that carries traders' messages; without it none are carried."""
    relayer_password_file: Path | None = None
    """Its password; without a file the environment has it."""
    openadr_clients: Path | None = None
    """OpenADR clients that may report; without it nobody may."""


def build_application(settings: Settings) -> FastAPI:
    """API, pages and proof bundles over a store.

    Raises StoreError, DeploymentInvalid, KeystoreInvalid, PasswordMissing, ClientsInvalid, OSError.
    """
    deployment = None if settings.deployment_file is None else Deployment.load(settings.deployment_file)
    relayer = _relayer(settings, deployment)
    clients = Clients({}) if settings.openadr_clients is None else Clients.load(settings.openadr_clients)
    store = Store(settings.database_url)
    application = create_application(store, relayer, clients)
    _add_bundles(application, deployment)
    pages.attach(application, store, settings.public_url, "/docs", bundle_path)
    return application


def _relayer(settings: Settings, deployment: Deployment | None) -> Relayer | None:
    if settings.relayer_keystore is None or deployment is None:
        return None
    purpose = f"password of {settings.relayer_keystore}"
    password = read_secret(settings.relayer_password_file, RELAYER_PASSWORD, purpose)
    key = SigningKey.load(settings.relayer_keystore, password)
    return Relayer(Platform(Chain(deployment.rpc_url), deployment), key)


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

    def path(name: str) -> Path | None:
        value = os.environ.get(name)
        return Path(value) if value else None

    settings = Settings(
        os.environ[DATABASE],
        path(DEPLOYMENT),
        os.environ.get(PUBLIC_URL, ""),
        relayer_keystore=path(RELAYER),
        relayer_password_file=path(RELAYER_PASSWORD_FILE),
        openadr_clients=path(OPENADR_CLIENTS),
    )
    return cached(build_application(settings))


def serve(settings: Settings, host: str, port: int, workers: int = 1, follow: bool = False) -> None:
    """Serve until interrupted; with `follow` a process of its own follows the chain into the same store.

    Raises StoreError and DeploymentInvalid before anything is started, FollowerEnded when the follower ends
    by itself: pages that no longer follow the chain must not look as if they did.
    """
    build_application(settings).state.store.close()
    os.environ[DATABASE] = settings.database_url
    os.environ[PUBLIC_URL] = settings.public_url
    for name, file in (
        (DEPLOYMENT, settings.deployment_file),
        (RELAYER, settings.relayer_keystore),
        (RELAYER_PASSWORD_FILE, settings.relayer_password_file),
        (OPENADR_CLIENTS, settings.openadr_clients),
    ):
        os.environ.pop(name, None)
        if file is not None:
            os.environ[name] = str(file)
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
    """Follow the chain until `stop` is set, from when it is there, and notify OpenADR subscribers beside it.

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
            notifier = threading.Thread(target=Notifier(store).run, args=(stop,), daemon=True)
            notifier.start()
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
