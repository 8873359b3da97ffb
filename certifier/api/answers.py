"""Answers: JSON or CSV bodies of views, labelled with the projection's revision."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, Generic, TypeVar

from fastapi import Request, Response
from sqlalchemy import Connection

from certifier.api.parameters import wants_csv
from certifier.queries import as_of, revision
from certifier.views import AsOf, View

Item = TypeVar("Item", bound=View)


class Page(View, Generic[Item]):
    """Some of the items, and where to go on; `next_cursor` is null on the last page."""

    as_of: AsOf | None
    items: list[Item]
    next_cursor: str | None = None


CSV_DOCUMENTED: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/csv": {"schema": {"type": "string"}}}}
}


def one(connection: Connection, view: View) -> Response:
    """A single view as JSON."""
    return _labelled(connection, view.model_dump_json().encode(), "application/json")


def page(
    request: Request,
    connection: Connection,
    model: type[Item],
    items: Sequence[Item],
    chosen_format: str | None,
    next_cursor: str | None = None,
) -> Response:
    """A list of views as a JSON page, or as CSV with one row per item."""
    if wants_csv(request, chosen_format):
        response = _labelled(connection, to_csv(model, items).encode(), "text/csv; charset=utf-8")
        if next_cursor is not None:
            response.headers["x-next-cursor"] = next_cursor
        return response
    body = Page[model](as_of=as_of(connection), items=list(items), next_cursor=next_cursor)  # type: ignore[valid-type]
    return _labelled(connection, body.model_dump_json().encode(), "application/json")


def _labelled(connection: Connection, body: bytes, media_type: str) -> Response:
    kind = "csv" if media_type.startswith("text/csv") else "json"
    headers = {"etag": f'"{revision(connection)}-{kind}"', "vary": "Accept", "cache-control": "no-cache"}
    return Response(body, media_type=media_type, headers=headers)


def to_csv(model: type[Item], items: Iterable[Item]) -> str:
    """CSV with a header; nested lists are joined with `;`, null is empty, times are ISO 8601 UTC."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    names = list(model.model_fields)
    writer.writerow(names)
    for item in items:
        writer.writerow([_cell(getattr(item, name)) for name in names])
    return text.getvalue()


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list):
        return ";".join(str(_cell(part)) for part in value)
    if isinstance(value, View):
        return " ".join(f"{name}={_cell(getattr(value, name))}" for name in type(value).model_fields)
    if isinstance(value, dict):
        return " ".join(f"{name}={_cell(part)}" for name, part in value.items())
    return value
