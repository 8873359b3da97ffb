"""HTTP intake, questions about readings, status page and metrics. Errors are RFC 9457 problem details."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, Header, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from jinja2 import Environment, FileSystemLoader, select_autoescape
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from contracts.hour import TimeInvalid, parse_hour_utc
from gateway.control_http import add_control
from gateway.intake import Delivery, KeyReused, Receipt
from gateway.lookup import Lookup, PointUnknown
from gateway.outbox import OutboxFull, connect
from gateway.payload import MAX_MESSAGE_BYTES
from gateway.problem import (
    Problem,
    add_errors,
    body_of,
    device_of,
    is_operator,
    problem_response,
    token_digest,
)

if TYPE_CHECKING:
    from gateway.application import Gateway

_PAGES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=select_autoescape()
)


def http_application(gateway: "Gateway") -> FastAPI:
    """The HTTP side of a gateway."""
    application = FastAPI(
        title="PED gateway",
        version="1",
        description="Takes meter readings in and says where each of them is (formats: `gateway.payload`).",
        docs_url=None,
        redoc_url=None,
    )
    add_errors(application)
    _add_intake(application, gateway)
    _add_questions(application, gateway)
    add_control(application, gateway)
    _add_pages(application, gateway)
    return application


def _add_intake(application: FastAPI, gateway: "Gateway") -> None:
    @application.post("/v1/readings", summary="Post readings")
    async def post_readings(
        request: Request,
        idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
    ) -> Response:
        """Store readings (plain JSON or SenML); answers once they are safe.

        200 is the receipt. 422 lists each refused reading; the others of the message are stored all the same.
        """
        device = device_of(gateway, token_digest(request))
        if device is None:
            raise Problem(401, "Unknown token", "no device of this gateway has this token")
        too_large = f"a message has at most {MAX_MESSAGE_BYTES} bytes; send parts"
        body = await body_of(request, MAX_MESSAGE_BYTES, too_large)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Receipt] = loop.create_future()

        def done(receipt: Receipt) -> None:
            loop.call_soon_threadsafe(_resolve, answer, receipt)

        def failed(error: Exception) -> None:
            loop.call_soon_threadsafe(_reject, answer, error)

        gateway.intake.submit(Delivery(device, body, done, failed, idempotency_key))
        try:
            receipt = await answer
        except KeyReused as error:
            raise Problem(422, "Idempotency-Key reused", str(error)) from None
        except OutboxFull as error:
            raise Problem(507, "Outbox full", f"nothing was stored: {error}") from None
        except Exception as error:
            raise Problem(503, "Not stored", f"nothing was stored, send it again: {error}") from None
        if receipt.refused:
            return problem_response(_refusal(receipt))
        return Response(receipt.to_json(), media_type="application/json")


def _resolve(answer: "asyncio.Future[Receipt]", receipt: Receipt) -> None:
    if not answer.done():
        answer.set_result(receipt)


def _reject(answer: "asyncio.Future[Receipt]", error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)


def _refusal(receipt: Receipt) -> Problem:
    first = receipt.refused[0]
    whole = receipt.accepted + receipt.duplicates + len(receipt.refused)
    stored = receipt.accepted + receipt.duplicates
    malformed = first["type"].endswith("malformed") and "index" not in first
    return Problem(
        400 if malformed else 422,
        first["title"],
        first["detail"]
        if whole == 1
        else f"{stored} of {whole} readings are stored; first refusal: {first['detail']}",
        first["type"],
        id=receipt.id,
        accepted=receipt.accepted,
        duplicates=receipt.duplicates,
        refused=receipt.refused,
        notes=receipt.notes,
    )


def _add_questions(application: FastAPI, gateway: "Gateway") -> None:
    @application.get("/v1/readings/{point}/{hour}", summary="Where is a reading?")
    def where(request: Request, point: str, hour: str) -> dict[str, Any]:
        """State of a point's hour (its start in ISO 8601 UTC): for the operator and the point's device."""
        digest = token_digest(request)
        if not is_operator(gateway, digest):
            device = device_of(gateway, digest)
            own = {entry.serial for entry in gateway.config.points if entry.device == device}
            if point not in own:
                raise Problem(403, "Not yours", f"this token may not ask for point {point!r}")
        try:
            number = parse_hour_utc(hour)
        except TimeInvalid as error:
            raise Problem(422, "Invalid hour", str(error)) from None
        connection = connect(gateway.config.gateway.data)
        try:
            return Lookup(gateway.config, connection).where(point, number, gateway.clock.now_s())
        except PointUnknown as error:
            raise Problem(404, "Unknown point", str(error)) from None
        finally:
            connection.close()

    @application.post("/v1/relay", summary="Send every closed hour now")
    def relay(request: Request, timeout_s: Annotated[float, Query(gt=0, le=600)] = 60.0) -> dict[str, bool]:
        """For the operator: send closed hours, complete or not, and wait until the chain has answered."""
        if not is_operator(gateway, token_digest(request)):
            raise Problem(403, "Operator only", "the operator's token is needed (http.operator_token_sha256)")
        return {"settled": gateway.relay.flush(timeout_s)}


def _add_pages(application: FastAPI, gateway: "Gateway") -> None:
    @application.get("/v1/status", summary="How the gateway is")
    def status() -> dict[str, Any]:
        """Problems, what waits, batches by state, latest refusals."""
        return gateway.status()

    @application.get("/", response_class=HTMLResponse, include_in_schema=False)
    def page() -> str:
        return _PAGES.get_template("status.html").render(gateway.status())

    @application.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        return Response(generate_latest(gateway.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    @application.get("/healthz", summary="Can readings be stored?")
    def healthz() -> JSONResponse:
        """200 while readings can be stored, 503 otherwise; chain and broker are reported beside."""
        problems = {
            "outbox": gateway.intake.problem,
            "broker": gateway.mqtt.problem if gateway.mqtt else "",
            "chain": gateway.relay.problem,
        }
        return JSONResponse(
            {"ok": not any(problems.values()), **problems}, 503 if problems["outbox"] else 200
        )
