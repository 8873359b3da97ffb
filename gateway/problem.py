"""Error answers over HTTP as RFC 9457 problem details, and who asks."""

import hashlib
import hmac
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from gateway.application import Gateway

PROBLEM: Final = "application/problem+json"


class Problem(Exception):
    """An error answer."""

    def __init__(
        self, status: int, title: str, detail: str, kind: str = "about:blank", **members: Any
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.content = {"type": kind, "title": title, "status": status, "detail": detail, **members}


def problem_response(problem: Problem) -> JSONResponse:
    """A problem as an answer."""
    headers = {"WWW-Authenticate": "Bearer"} if problem.status == 401 else None
    return JSONResponse(problem.content, problem.status, headers, media_type=PROBLEM)


def add_errors(application: FastAPI) -> None:
    """Make every error of an application a problem."""

    @application.exception_handler(Problem)
    async def problem(_: Request, error: Problem) -> JSONResponse:
        return problem_response(error)

    @application.exception_handler(HTTPException)
    async def http_error(_: Request, error: HTTPException) -> JSONResponse:
        return problem_response(Problem(error.status_code, str(error.detail), str(error.detail)))

    @application.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        detail = "; ".join(
            f"{'.'.join(map(str, item['loc']))}: {item['msg']} (found {item.get('input')!r})"
            for item in error.errors()
        )
        return problem_response(Problem(422, "Invalid request", detail))


async def body_of(request: Request, most_bytes: int, too_large: str) -> bytes:
    """The body of a request. Raises Problem with `too_large` as soon as it has more than `most_bytes`."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most_bytes:
            raise Problem(413, "Too large", too_large)
    return bytes(body)


def token_digest(request: Request) -> str:
    """Hash of the bearer token of a request. Raises Problem."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Problem(401, "Credentials needed", "send the header Authorization: Bearer <token>")
    return hashlib.sha256(token.strip().encode()).hexdigest()


def device_of(gateway: "Gateway", digest: str) -> str | None:
    """The device that has the token of this hash."""
    found = None
    for device in gateway.config.devices:
        if device.token_sha256 is not None and hmac.compare_digest(device.token_sha256, digest):
            found = device.id
    return found


def is_operator(gateway: "Gateway", digest: str) -> bool:
    """Whether it is the hash of the operator's token."""
    table = gateway.config.http
    expected = table.operator_token_sha256 if table else None
    return expected is not None and hmac.compare_digest(expected, digest)
