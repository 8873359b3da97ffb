"""Download of proof bundles: the only routes that ask the chain itself."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Request, Response

from certifier.api.context import Read
from certifier.api.problems import DOCUMENTED
from certifier.certificates import certificate
from certifier.evidence import BundleUnavailable, certificate_bundle
from certifier.queries import revision
from contracts.chain import BlockUnknown, ChainUnavailable, RpcFailed
from contracts.evidence import MEDIA_TYPE
from contracts.platform import Platform

router = APIRouter(prefix="/v1", responses=DOCUMENTED)


def bundle_path(number: int) -> str:
    """Address of a certificate's bundle below the server's."""
    return f"/v1/certificates/{number}/bundle"


@router.get(
    "/certificates/{number}/bundle",
    tags=["certificates"],
    response_class=Response,
    responses={200: {"content": {MEDIA_TYPE: {}}, "description": "The proof bundle, a JSON file"}},
)
def download_bundle(
    request: Request,
    connection: Read,
    number: Annotated[int, Path(ge=1, lt=2**31, description="Number of the certificate")],
) -> Response:
    """Everything that is needed to check the certificate's verdict offline with `ped verify FILE`."""
    certificate(connection, number)
    platform: Platform | None = getattr(request.app.state, "platform", None)
    if platform is None:
        raise HTTPException(503, "this server has no connection to a chain, so it cannot prove anything")
    try:
        data = certificate_bundle(connection, platform.chain, platform.deployment, number)
    except (BundleUnavailable, BlockUnknown, ChainUnavailable, RpcFailed) as problem:
        raise HTTPException(503, f"no proof bundle of certificate {number} now: {problem}") from problem
    return Response(
        data,
        media_type=MEDIA_TYPE,
        headers={
            "content-disposition": f'attachment; filename="certificate-{number}.ped.json"',
            "etag": f'"{revision(connection)}-bundle"',
            "cache-control": "no-cache",
        },
    )
