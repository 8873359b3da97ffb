"""Reads of programs and events for OpenADR, and what its clients keep here: reports, nodes, subscriptions."""

from __future__ import annotations

import json
import secrets
import time
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, func, insert, select, update

from certifier import market_tables as tables
from certifier import store
from certifier.openadr import documents
from certifier.openadr.documents import Document, time_text
from certifier.queries import NotFound, to_time
from certifier.response_queries import response_event, response_events
from certifier.service_tables import openadr_deliveries, openadr_objects

ObjectType = Literal["REPORT", "VEN", "RESOURCE", "SUBSCRIPTION"]


class NameTaken(Exception):
    """Another object of the client's kind has this name."""


def programs(connection: Connection) -> list[Document]:
    """One program per zone that has districts or events."""
    return [documents.program(zone, created) for zone, created in sorted(_zones(connection).items())]


def program(connection: Connection, program_id: str) -> Document:
    """One program. Raises NotFound."""
    created = _zones(connection).get(program_id)
    if created is None:
        raise NotFound("program", program_id)
    return documents.program(program_id, created)


def _zones(connection: Connection) -> dict[str, datetime]:
    found: dict[str, datetime] = {}
    for table in (store.districts, tables.response_events):
        for row in connection.execute(
            select(table.c.zone, func.min(store.blocks.c.time).label("time"))
            .join(store.blocks, store.blocks.c.block_number == table.c.block_number)
            .group_by(table.c.zone)
        ):
            created = to_time(row.time)
            found[row.zone] = min(created, found.get(row.zone, created))
    return found


def events(connection: Connection, program_id: str | None = None) -> list[Document]:
    """Events that were not withdrawn, the newest first."""
    return [
        documents.event(found, _modified(connection, found.event_id, found.opened_time_utc))
        for found in response_events(connection, zone=program_id)
        if found.state != "withdrawn"
    ]


def event(connection: Connection, event_id: str) -> Document:
    """One event. Raises NotFound."""
    if not (event_id.isascii() and event_id.isdecimal() and len(event_id) < 18):
        raise NotFound("event", event_id)
    return any_event(connection, int(event_id))


def any_event(connection: Connection, event_id: int) -> Document:
    """One event by its number, withdrawn ones too. Raises NotFound."""
    found = response_event(connection, event_id)
    return documents.event(found, _modified(connection, found.event_id, found.opened_time_utc))


def _modified(connection: Connection, event_id: int, opened: datetime) -> datetime:
    ends = tables.response_ends
    ended = connection.execute(
        select(store.blocks.c.time)
        .join(ends, ends.c.block_number == store.blocks.c.block_number)
        .where(ends.c.event_id == event_id)
    ).scalar()
    return opened if ended is None else to_time(ended)


# Objects of clients


def create(
    connection: Connection, kind: ObjectType, client_id: str, name: str, body: Document, unique: bool = False
) -> Document:
    """Keep an object. Raises NameTaken when `unique` and the client's name is taken."""
    table = openadr_objects.c
    if unique:
        taken = connection.execute(
            select(table.object_id).where(
                table.object_type == kind, table.client_id == client_id, table.name == name
            )
        ).first()
        if taken is not None:
            raise NameTaken(f"there is a {kind} {name!r} already, with id {taken.object_id}")
    now = int(time.time())
    row = {
        "object_type": kind,
        "object_id": f"{kind.lower()}-{secrets.token_hex(8)}",
        "client_id": client_id,
        "name": name,
        "body": json.dumps(body),
        "created_at": now,
        "modified_at": now,
    }
    connection.execute(insert(openadr_objects), [row])
    if kind == "SUBSCRIPTION":
        head = connection.execute(select(store.head.c.block_number)).scalar() or 0
        connection.execute(
            insert(openadr_deliveries),
            [{"subscription_id": row["object_id"], "block_number": head, "log_index": 2**31}],
        )
    return get(connection, kind, str(row["object_id"]), None)


def get(connection: Connection, kind: ObjectType, object_id: str, client_id: str | None) -> Document:
    """One object, of `client_id` or (None) of any client. Raises NotFound."""
    return _document(_row(connection, kind, object_id, client_id))


def find(connection: Connection, kind: ObjectType, client_id: str | None) -> list[Document]:
    """Objects of `client_id` or (None) of all, in the order of their creation."""
    table = openadr_objects.c
    query = select(openadr_objects).where(table.object_type == kind)
    if client_id is not None:
        query = query.where(table.client_id == client_id)
    return [_document(row) for row in connection.execute(query.order_by(table.created_at, table.object_id))]


def change(
    connection: Connection, kind: ObjectType, object_id: str, client_id: str, name: str, body: Document
) -> Document:
    """Replace an object of a client. Raises NotFound."""
    _row(connection, kind, object_id, client_id)
    connection.execute(
        update(openadr_objects)
        .where(openadr_objects.c.object_type == kind, openadr_objects.c.object_id == object_id)
        .values(name=name, body=json.dumps(body), modified_at=int(time.time()))
    )
    return get(connection, kind, object_id, None)


def delete(connection: Connection, kind: ObjectType, object_id: str, client_id: str) -> Document:
    """Remove an object of a client; what it was. Raises NotFound."""
    found = get(connection, kind, object_id, client_id)
    table = openadr_objects
    connection.execute(table.delete().where(table.c.object_type == kind, table.c.object_id == object_id))
    deliveries = openadr_deliveries
    connection.execute(deliveries.delete().where(deliveries.c.subscription_id == object_id))
    return found


def _row(connection: Connection, kind: ObjectType, object_id: str, client_id: str | None) -> Row[Any]:
    table = openadr_objects.c
    query = select(openadr_objects).where(table.object_type == kind, table.object_id == object_id)
    if client_id is not None:
        query = query.where(table.client_id == client_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound(kind.lower(), object_id)
    return row


def _document(row: Row[Any]) -> Document:
    return {
        **json.loads(row.body),
        "id": row.object_id,
        "createdDateTime": time_text(to_time(row.created_at)),
        "modificationDateTime": time_text(to_time(row.modified_at)),
        "objectType": row.object_type,
        "clientID": row.client_id,
    }
