"""The API as one ASGI application over a store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from certifier.api import (
    certificate_routes,
    district_routes,
    market_routes,
    operation_routes,
    problems,
    response_routes,
    trading_routes,
)
from certifier.api.cache import RevisionCache
from certifier.openadr import routes as openadr_routes
from certifier.openadr.clients import Clients
from certifier.queries import revision
from certifier.relay import Relayer
from certifier.store import Store


def create_application(
    store: Store, relayer: Relayer | None = None, openadr_clients: Clients | None = None
) -> FastAPI:
    """The API over an open store, which it closes when it stops. Serve it through `cached`.

    Without a relayer it carries no messages to the market, without OpenADR clients it takes no reports.
    """

    @asynccontextmanager
    async def lifespan(_application: FastAPI) -> AsyncIterator[None]:
        yield
        if relayer is not None:
            relayer.close()
        store.close()

    application = FastAPI(
        title="PED certifier",
        version="1",
        description="Positive Energy Districts: hours, balances, verdicts and certificates, recomputed from "
        "the chain's logs. Energies Wh, primary energy mWh_PE, GHG mg CO2e, times ISO 8601 UTC.",
        lifespan=lifespan,
    )
    application.state.store = store
    application.state.relayer = relayer
    application.state.openadr_clients = openadr_clients or Clients({})
    for routes in (
        district_routes,
        certificate_routes,
        market_routes,
        response_routes,
        trading_routes,
        operation_routes,
    ):
        application.include_router(routes.router)
    application.include_router(openadr_routes.router)
    problems.install(application)
    _document_problems(application)
    return application


def cached(application: FastAPI) -> ASGIApp:
    """The application behind the cache by revision of the projection."""
    store: Store = application.state.store

    def read_revision() -> str:
        with store.read() as connection:
            return revision(connection)

    cache = RevisionCache(application, read_revision)

    async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
        await cache(scope, receive, send)

    return asgi


def _document_problems(application: FastAPI) -> None:
    """Describe problem documents in OpenAPI; FastAPI's own form of invalid requests is never sent."""
    original = application.openapi

    def openapi() -> dict[str, Any]:
        schema = original()
        schemas = schema["components"]["schemas"]
        schemas["Problem"] = problems.Problem.model_json_schema()
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        for path in schema["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
        return schema

    application.openapi = openapi  # type: ignore[method-assign]
