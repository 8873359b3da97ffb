"""The OpenADR 3.1 resources under `/openadr3/3.1.0`."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from certifier.api.context import Read
from certifier.api.problems import BodyTooLarge
from certifier.openadr import objects
from certifier.openadr.clients import TOKEN_S, Client, Clients, TokenInvalid
from certifier.openadr.documents import (
    Document,
    ReportRequest,
    ResourceRequest,
    SubscriptionRequest,
    VenRequest,
)
from certifier.openadr.objects import NameTaken, ObjectType
from certifier.store import Store

BASE = "/openadr3/3.1.0"
MOST_FORM_BYTES = 10_000
router = APIRouter(prefix=BASE, include_in_schema=False)

Skip = Annotated[int, Query(ge=0)]
Limit = Annotated[int, Query(ge=0, le=50)]
Targets = Annotated[list[str] | None, Query()]
ON_CHAIN = "stands on chain: grid operators open and withdraw events with `ped dr`, not here"


def _client(request: Request, authorization: Annotated[str, Header()] = "") -> Client:
    scheme, _, token = authorization.partition(" ")
    clients: Clients = request.app.state.openadr_clients
    try:
        if scheme.lower() != "bearer":
            raise TokenInvalid("send a token: Authorization: Bearer ..., fetched at /auth/token")
        return clients.client(token.strip())
    except TokenInvalid as problem:
        raise HTTPException(
            HTTPStatus.UNAUTHORIZED, str(problem), headers={"WWW-Authenticate": "Bearer"}
        ) from None


Known = Annotated[Client, Depends(_client)]


def _page(items: list[Document], skip: int, limit: int, targets: list[str] | None = None) -> JSONResponse:
    if targets:
        items = [item for item in items if set(targets) & set(item.get("targets") or ())]
    return JSONResponse(items[skip : skip + limit])


# Authorization


@router.get("/auth/server")
def show_auth_server(request: Request) -> JSONResponse:
    """Where tokens are given out."""
    return JSONResponse({"tokenURL": f"{str(request.base_url).rstrip('/')}{BASE}/auth/token"})


@router.post("/auth/token")
async def give_token(request: Request) -> JSONResponse:
    """A token for a client's credentials (RFC 6749 §4.4)."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_FORM_BYTES:
            raise BodyTooLarge(f"the form has more than {MOST_FORM_BYTES} bytes")
    form = dict(parse_qsl(body.decode("latin-1")))
    clients: Clients = request.app.state.openadr_clients
    if form.get("grant_type") != "client_credentials":
        return JSONResponse({"error": "unsupported_grant_type"}, HTTPStatus.BAD_REQUEST)
    try:
        token = clients.token(form.get("client_id", ""), form.get("client_secret", ""))
    except TokenInvalid as problem:
        refusal = {"error": "invalid_client", "error_description": str(problem)}
        return JSONResponse(refusal, HTTPStatus.UNAUTHORIZED)
    answer = {"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_S}
    return JSONResponse(answer, headers={"cache-control": "no-store"})


# Programs and events: read only


@router.get("/programs")
def list_programs(connection: Read, skip: Skip = 0, limit: Limit = 50, targets: Targets = None) -> Response:
    """A program per zone."""
    return _page(objects.programs(connection), skip, limit, targets)


@router.get("/programs/{program_id}")
def show_program(connection: Read, program_id: str) -> Response:
    """One program."""
    return JSONResponse(objects.program(connection, program_id))


@router.get("/events")
def list_events(
    connection: Read,
    program_id: Annotated[str | None, Query(alias="programID")] = None,
    skip: Skip = 0,
    limit: Limit = 50,
    targets: Targets = None,
) -> Response:
    """Events, the newest first."""
    return _page(objects.events(connection, program_id), skip, limit, targets)


@router.get("/events/{event_id}")
def show_event(connection: Read, event_id: str) -> Response:
    """One event."""
    return JSONResponse(objects.event(connection, event_id))


@router.api_route("/programs", methods=["POST"])
@router.api_route("/programs/{program_id}", methods=["PUT", "DELETE"])
@router.api_route("/events", methods=["POST"])
@router.api_route("/events/{program_id}", methods=["PUT", "DELETE"])
def refuse_change(request: Request) -> Response:
    """Programs and events follow from the chain."""
    raise HTTPException(HTTPStatus.FORBIDDEN, f"{request.url.path} {ON_CHAIN}")


@router.get("/notifiers")
def list_notifiers() -> JSONResponse:
    """How subscribers are notified."""
    return JSONResponse({"WEBHOOK": True})


# What clients keep here


def _of(client: Client) -> str | None:
    """Whose objects a client sees: its own, or with business logic all."""
    return None if client.role == "bl" else client.client_id


def _created(
    request: Request, client: Client, kind: ObjectType, name: str, body: Any, unique: bool = False
) -> JSONResponse:
    store: Store = request.app.state.store
    try:
        with store.write() as connection:
            content = body.model_dump(mode="json", exclude_unset=True)
            found = objects.create(connection, kind, client.client_id, name, content, unique)
    except NameTaken as problem:
        raise HTTPException(HTTPStatus.CONFLICT, str(problem)) from None
    return JSONResponse(found, HTTPStatus.CREATED)


def _changed(
    request: Request, client: Client, kind: ObjectType, object_id: str, name: str, body: Any
) -> JSONResponse:
    store: Store = request.app.state.store
    with store.write() as connection:
        content = body.model_dump(mode="json", exclude_unset=True)
        return JSONResponse(objects.change(connection, kind, object_id, client.client_id, name, content))


def _deleted(request: Request, client: Client, kind: ObjectType, object_id: str) -> JSONResponse:
    store: Store = request.app.state.store
    with store.write() as connection:
        return JSONResponse(objects.delete(connection, kind, object_id, client.client_id))


@router.get("/reports")
def list_reports(
    connection: Read,
    client: Known,
    event_id: Annotated[str | None, Query(alias="eventID")] = None,
    client_name: Annotated[str | None, Query(alias="clientName")] = None,
    skip: Skip = 0,
    limit: Limit = 50,
) -> Response:
    """Reports of the client."""
    found = [
        report
        for report in objects.find(connection, "REPORT", _of(client))
        if event_id in (None, report["eventID"]) and client_name in (None, report["clientName"])
    ]
    return _page(found, skip, limit)


@router.post("/reports")
def create_report(request: Request, connection: Read, client: Known, body: ReportRequest) -> Response:
    """Report on an event."""
    objects.event(connection, body.eventID)
    return _created(request, client, "REPORT", body.reportName or "", body)


@router.get("/reports/{object_id}")
def show_report(connection: Read, client: Known, object_id: str) -> Response:
    """One report."""
    return JSONResponse(objects.get(connection, "REPORT", object_id, _of(client)))


@router.put("/reports/{object_id}")
def change_report(
    request: Request, connection: Read, client: Known, object_id: str, body: ReportRequest
) -> Response:
    """Replace a report."""
    objects.event(connection, body.eventID)
    return _changed(request, client, "REPORT", object_id, body.reportName or "", body)


@router.delete("/reports/{object_id}")
def delete_report(request: Request, client: Known, object_id: str) -> Response:
    """Remove a report."""
    return _deleted(request, client, "REPORT", object_id)


@router.get("/vens")
def list_vens(
    connection: Read,
    client: Known,
    ven_name: Annotated[str | None, Query(alias="venName")] = None,
    skip: Skip = 0,
    limit: Limit = 50,
) -> Response:
    """Virtual end nodes of the client."""
    found = objects.find(connection, "VEN", _of(client))
    return _page([ven for ven in found if ven_name in (None, ven["venName"])], skip, limit)


@router.post("/vens")
def create_ven(request: Request, client: Known, body: VenRequest) -> Response:
    """Register a node."""
    return _created(request, client, "VEN", body.venName, body, unique=True)


@router.get("/vens/{object_id}")
def show_ven(connection: Read, client: Known, object_id: str) -> Response:
    """One node."""
    return JSONResponse(objects.get(connection, "VEN", object_id, _of(client)))


@router.put("/vens/{object_id}")
def change_ven(request: Request, client: Known, object_id: str, body: VenRequest) -> Response:
    """Replace a node's description."""
    return _changed(request, client, "VEN", object_id, body.venName, body)


@router.delete("/vens/{object_id}")
def delete_ven(request: Request, client: Known, object_id: str) -> Response:
    """Remove a node."""
    return _deleted(request, client, "VEN", object_id)


@router.get("/resources")
def list_resources(
    connection: Read,
    client: Known,
    ven_id: Annotated[str | None, Query(alias="venID")] = None,
    skip: Skip = 0,
    limit: Limit = 50,
) -> Response:
    """Resources of the client."""
    found = objects.find(connection, "RESOURCE", _of(client))
    return _page([item for item in found if ven_id in (None, item["venID"])], skip, limit)


@router.post("/resources")
def create_resource(request: Request, connection: Read, client: Known, body: ResourceRequest) -> Response:
    """Register a resource of a node."""
    objects.get(connection, "VEN", body.venID, client.client_id)
    return _created(request, client, "RESOURCE", f"{body.venID}/{body.resourceName}", body, unique=True)


@router.get("/resources/{object_id}")
def show_resource(connection: Read, client: Known, object_id: str) -> Response:
    """One resource."""
    return JSONResponse(objects.get(connection, "RESOURCE", object_id, _of(client)))


@router.put("/resources/{object_id}")
def change_resource(
    request: Request, connection: Read, client: Known, object_id: str, body: ResourceRequest
) -> Response:
    """Replace a resource's description."""
    objects.get(connection, "VEN", body.venID, client.client_id)
    name = f"{body.venID}/{body.resourceName}"
    return _changed(request, client, "RESOURCE", object_id, name, body)


@router.delete("/resources/{object_id}")
def delete_resource(request: Request, client: Known, object_id: str) -> Response:
    """Remove a resource."""
    return _deleted(request, client, "RESOURCE", object_id)


@router.get("/subscriptions")
def list_subscriptions(
    connection: Read,
    client: Known,
    program_id: Annotated[str | None, Query(alias="programID")] = None,
    skip: Skip = 0,
    limit: Limit = 50,
) -> Response:
    """Subscriptions of the client."""
    found = objects.find(connection, "SUBSCRIPTION", client.client_id)
    return _page([item for item in found if program_id in (None, item.get("programID"))], skip, limit)


@router.post("/subscriptions")
def create_subscription(
    request: Request, connection: Read, client: Known, body: SubscriptionRequest
) -> Response:
    """Be told of events that come from now on."""
    if body.programID is not None:
        objects.program(connection, body.programID)
    return _created(request, client, "SUBSCRIPTION", body.clientName, body)


@router.get("/subscriptions/{object_id}")
def show_subscription(connection: Read, client: Known, object_id: str) -> Response:
    """One subscription."""
    return JSONResponse(objects.get(connection, "SUBSCRIPTION", object_id, client.client_id))


@router.put("/subscriptions/{object_id}")
def change_subscription(
    request: Request, connection: Read, client: Known, object_id: str, body: SubscriptionRequest
) -> Response:
    """Replace a subscription."""
    if body.programID is not None:
        objects.program(connection, body.programID)
    return _changed(request, client, "SUBSCRIPTION", object_id, body.clientName, body)


@router.delete("/subscriptions/{object_id}")
def delete_subscription(request: Request, client: Known, object_id: str) -> Response:
    """End a subscription."""
    return _deleted(request, client, "SUBSCRIPTION", object_id)
