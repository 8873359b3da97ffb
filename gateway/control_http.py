"""Proposals over HTTP, and what came of them (`gateway.control`)."""

import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

from fastapi import FastAPI, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from contracts.hour import DAY_S, TimeInvalid, format_time_utc, parse_time_utc
from contracts.setpoint import MAX_DOCUMENT_BYTES
from gateway.comparison import Comparison, to_csv
from gateway.outbox import OutboxFull, OutboxUnusable, connect
from gateway.problem import Problem, body_of, is_operator, token_digest
from gateway.proposal_rules import TITLES, ProposalRefused

if TYPE_CHECKING:
    from gateway.application import Gateway

_STATUSES = {"malformed": 400, "wrong-signature": 403, "unknown-optimiser": 403, "replayed": 409}
MAX_SPAN_DAYS: Final = 62
Answer = TypeVar("Answer")
Time = Annotated[str | None, Query(description="ISO 8601 UTC.")]


def add_control(application: FastAPI, gateway: "Gateway") -> None:
    """Add `/v1/proposals` and `/v1/control`."""

    @application.post("/v1/proposals", summary="Propose set-points")
    async def propose(request: Request) -> dict[str, Any]:
        """Take a signed proposal (format: `contracts.setpoint`) whole or not at all.

        200: it is kept and governs while it is valid; the same document again changes nothing. 400, 403, 409
        and 422 say what speaks against it, `refused` lists every reason.
        """
        control = gateway.control
        if control is None:
            raise Problem(404, "No control", "this gateway takes no set-points ([control] is not configured)")
        too_large = f"a proposal has at most {MAX_DOCUMENT_BYTES} bytes"
        body = await body_of(request, MAX_DOCUMENT_BYTES, too_large)
        try:
            return await run_in_threadpool(control.submit, body)
        except ProposalRefused as refused:
            raise _problem(refused) from None
        except OutboxFull as error:
            raise Problem(507, "Outbox full", f"nothing was kept: {error}") from None
        except (OutboxUnusable, OSError, sqlite3.Error) as error:
            raise Problem(503, "Not decided", f"nothing was kept, send it again: {error}") from None

    @application.get("/v1/proposals/{digest}", summary="An accepted proposal as it was signed")
    def proposal(request: Request, digest: str) -> Response:
        """For the operator: the document, which anybody can verify offline."""
        _require_operator(gateway, request)
        try:
            number = bytes.fromhex(digest.removeprefix("0x"))
        except ValueError:
            raise Problem(422, "Invalid digest", f"{digest!r} is no hexadecimal number") from None
        document = _ask(gateway, lambda comparison: comparison.document(number))
        if document is None:
            raise Problem(404, "Unknown proposal", f"no proposal {digest} was accepted here")
        return Response(document, media_type="application/json")

    @application.get("/v1/control", summary="Proposed, accepted, sent, acknowledged and done")
    def control(request: Request, from_utc: Time = None, until_utc: Time = None) -> dict[str, Any]:
        """For the operator: proposals, refusals and every command of a span (by default the last day)."""
        _require_operator(gateway, request)
        from_s, until_s = _span(gateway, from_utc, until_utc)
        return _ask(
            gateway,
            lambda comparison: {
                "from_utc": format_time_utc(from_s),
                "until_utc": format_time_utc(until_s),
                "proposals": comparison.proposals(),
                "refusals": comparison.refusals(),
                "setpoints": comparison.rows(from_s, until_s),
            },
        )

    @application.get("/v1/control/devices", summary="What devices can do now")
    def devices(request: Request) -> list[dict[str, Any]]:
        """For the operator, and the optimiser that has the token: limits, and what each declared last."""
        _require_operator(gateway, request)
        return _ask(gateway, lambda comparison: comparison.devices())

    @application.get("/v1/control.csv", summary="The same set-points as CSV")
    def control_csv(request: Request, from_utc: Time = None, until_utc: Time = None) -> Response:
        """For the operator: one line for each command."""
        _require_operator(gateway, request)
        rows = _ask(gateway, lambda comparison: comparison.rows(*_span(gateway, from_utc, until_utc)))
        return Response(to_csv(rows), media_type="text/csv; charset=utf-8")


def _require_operator(gateway: "Gateway", request: Request) -> None:
    if gateway.control is None:
        raise Problem(404, "No control", "this gateway takes no set-points ([control] is not configured)")
    if not is_operator(gateway, token_digest(request)):
        raise Problem(403, "Operator only", "the operator's token is needed (http.operator_token_sha256)")


def _ask(gateway: "Gateway", question: Callable[[Comparison], Answer]) -> Answer:
    connection = connect(gateway.config.gateway.data)
    try:
        return question(Comparison(gateway.config, connection))
    finally:
        connection.close()


def _span(gateway: "Gateway", from_utc: str | None, until_utc: str | None) -> tuple[int, int]:
    try:
        until_s = gateway.clock.now_s() + DAY_S if until_utc is None else parse_time_utc(until_utc)
        from_s = until_s - 2 * DAY_S if from_utc is None else parse_time_utc(from_utc)
    except TimeInvalid as error:
        raise Problem(422, "Invalid time", str(error)) from None
    if from_s >= until_s:
        raise Problem(422, "Invalid span", f"from_utc {from_utc} is not before until_utc {until_utc}")
    if until_s - from_s > MAX_SPAN_DAYS * DAY_S:
        raise Problem(
            422, "Span too long", f"{from_utc} to {until_utc}: ask for at most {MAX_SPAN_DAYS} days at once"
        )
    return from_s, until_s


def _problem(refused: ProposalRefused) -> Problem:
    first = refused.problems[0]
    more = {} if refused.last_sequence is None else {"last_sequence": refused.last_sequence}
    return Problem(
        _STATUSES.get(first.kind, 422),
        TITLES[first.kind],
        first.detail,
        f"urn:ped:problem:{first.kind}",
        refused=[
            {"type": f"urn:ped:problem:{kind}", "title": TITLES[kind], "detail": detail}
            for kind, detail in refused.problems
        ],
        **more,
    )
