"""Routes for those who run the certifier: health, metrics, status."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from certifier import queries
from certifier.api.context import Read
from certifier.api.problems import DOCUMENTED
from certifier.views import Status

router = APIRouter(tags=["operations"], responses={503: DOCUMENTED[503]})


@router.get("/v1/status", response_model=Status)
def show_status(connection: Read) -> Response:
    """Head of the chain, followed block, lag, alarms."""
    return Response(queries.status(connection).model_dump_json(), media_type="application/json")


@router.get("/healthz", response_model=dict[str, str])
def health(connection: Read) -> Response:
    """200 when the projection can be read."""
    return JSONResponse({"status": "ok", "revision": queries.revision(connection)})


@router.get("/metrics", responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}})
def metrics(connection: Read) -> Response:
    """Prometheus metrics of the projection; every worker answers the same."""
    status = queries.status(connection)
    registry = CollectorRegistry()
    figures = {
        "ped_certifier_alarms": ("Differences between our own computation and the chain", status.alarm_count),
        "ped_certifier_followed_block": ("Newest block applied", status.followed_block_number),
        "ped_certifier_chain_block": ("Newest block seen", status.chain_block_number),
        "ped_certifier_lag_blocks": ("Blocks not yet applied", status.lag_blocks),
        "ped_certifier_pending_checks": (
            "Figures to be compared with the chain's views",
            status.pending_checks,
        ),
    }
    for name, (documentation, value) in figures.items():
        if value is not None:
            Gauge(name, documentation, registry=registry).set(value)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
