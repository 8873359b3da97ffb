"""Errors as RFC 9457 problem details that name the offending value."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException

from certifier.api.idempotency import KeyReused
from certifier.indicators import ResolutionUnknown
from certifier.queries import NotFound
from contracts.hour import TimeInvalid

MEDIA_TYPE = "application/problem+json"


class ParameterInvalid(ValueError):
    """A parameter's value cannot be used; the message names it and says what to write."""

    def __init__(self, parameter: str, value: str, message: str) -> None:
        super().__init__(message)
        self.parameter = parameter
        self.value = value


class BundleMissing(Exception):
    """A proof bundle cannot be made now; the message says why."""


class RelayerMissing(Exception):
    """The server has no key to carry messages with; the message says what to do."""


class BodyTooLarge(Exception):
    """The body of a request exceeds what it may have."""


class Problem(BaseModel):
    """RFC 9457 problem details; `parameter` and `value` name what was wrong in the request."""

    model_config = ConfigDict(extra="allow")

    type: str = "about:blank"
    title: str
    status: int = Field(ge=400, le=599)
    detail: str
    instance: str
    parameter: str | None = None
    value: str | None = None


def _documented(status: HTTPStatus) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": status.phrase, "content": {MEDIA_TYPE: {"schema": schema}}}


DOCUMENTED: dict[int | str, dict[str, Any]] = {
    int(status): _documented(status)
    for status in (
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.SERVICE_UNAVAILABLE,
    )
}
"""What every route may answer besides its own content."""


def install(application: FastAPI) -> None:
    """Make every error of `application` a problem document."""

    @application.exception_handler(NotFound)
    def not_found(request: Request, error: NotFound) -> JSONResponse:
        return _answer(request, HTTPStatus.NOT_FOUND, str(error), parameter=error.what, value=error.name)

    @application.exception_handler(ParameterInvalid)
    def parameter_invalid(request: Request, error: ParameterInvalid) -> JSONResponse:
        return _answer(
            request, HTTPStatus.BAD_REQUEST, str(error), parameter=error.parameter, value=error.value
        )

    @application.exception_handler(TimeInvalid)
    @application.exception_handler(ResolutionUnknown)
    def value_invalid(request: Request, error: Exception) -> JSONResponse:
        return _answer(request, HTTPStatus.BAD_REQUEST, str(error))

    @application.exception_handler(RequestValidationError)
    def request_invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][1:])
        value = str(first.get("input"))
        return _answer(
            request,
            HTTPStatus.BAD_REQUEST,
            f"{place} {value!r}: {first['msg']}",
            parameter=place,
            value=value,
        )

    @application.exception_handler(HTTPException)
    def http_error(request: Request, error: HTTPException) -> JSONResponse:
        status = HTTPStatus(error.status_code)
        detail = f"{request.method} {request.url.path}: {status.phrase}"
        if error.detail and error.detail != status.phrase:
            detail = str(error.detail)
        return _answer(request, status, detail, headers=dict(error.headers or {}))

    @application.exception_handler(BundleMissing)
    def bundle_missing(request: Request, error: BundleMissing) -> JSONResponse:
        return _answer(request, HTTPStatus.SERVICE_UNAVAILABLE, str(error))

    @application.exception_handler(RelayerMissing)
    def relayer_missing(request: Request, error: RelayerMissing) -> JSONResponse:
        return _answer(request, HTTPStatus.SERVICE_UNAVAILABLE, str(error))

    @application.exception_handler(BodyTooLarge)
    def body_too_large(request: Request, error: BodyTooLarge) -> JSONResponse:
        return _answer(request, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error))

    @application.exception_handler(KeyReused)
    def key_reused(request: Request, error: KeyReused) -> JSONResponse:
        return _answer(request, HTTPStatus.CONFLICT, str(error), parameter="Idempotency-Key")

    @application.exception_handler(OperationalError)
    def store_unavailable(request: Request, error: OperationalError) -> JSONResponse:
        return _answer(
            request, HTTPStatus.SERVICE_UNAVAILABLE, f"the projection cannot be read now: {error.orig}"
        )


def _answer(
    request: Request,
    status: HTTPStatus,
    detail: str,
    *,
    parameter: str | None = None,
    value: str | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    problem = Problem(
        title=status.phrase,
        status=int(status),
        detail=detail,
        instance=request.url.path,
        parameter=parameter,
        value=value,
    )
    return JSONResponse(
        problem.model_dump(exclude_none=True), status_code=status, headers=headers, media_type=MEDIA_TYPE
    )
