"""What every route gets: a read of the projection that sees one consistent state."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import Connection

from certifier.store import Store


def _connection(request: Request) -> Iterator[Connection]:
    store: Store = request.app.state.store
    with store.read() as connection:
        yield connection


Read = Annotated[Connection, Depends(_connection)]
