"""Routes that carry traders' signed messages to the market (domain.md §6)."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Header, Request, Response
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import select

from certifier import market_tables as tables
from certifier.api.idempotency import answer_once
from certifier.api.problems import DOCUMENTED, MEDIA_TYPE, BodyTooLarge, Problem, RelayerMissing
from certifier.market_views import Carried as CarriedView
from certifier.order_check import is_trading_key
from certifier.relay import Carried, Relayer
from certifier.sold import order_of
from certifier.store import Store
from contracts.chain import ChainUnavailable, RpcFailed, TransactionPending
from contracts.errors import ContractError
from contracts.key import SignatureInvalid
from contracts.market_calls import encode_cancel_order, encode_place_order, encode_register_trade
from contracts.order import Cancellation, MarketDomain, Order, OrderInvalid
from contracts.order_document import MAX_DOCUMENT_BYTES, SignedCancellation, SignedOrder, SignedTrade

router = APIRouter(prefix="/v1", tags=["trading"], responses=DOCUMENTED)
MOST_DOCUMENTS = 200

IdempotencyKey = Annotated[
    str | None,
    Header(description="Makes a repeated request answer as the first one did, for a day", max_length=200),
]


class Refusal(Exception):
    """A message that is not carried, as its problem document says."""

    def __init__(self, status: HTTPStatus, detail: str, parameter: str | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.parameter = parameter


@dataclass(frozen=True, slots=True)
class _Call:
    identity: str
    data: bytes


def _body(example: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": {"type": "object"}, "example": example}}
    return {"requestBody": {"required": True, "content": content}}


_ORDER_EXAMPLE: dict[str, Any] = {
    "domain": {"name": "PED Market", "version": "1", "chain_id": 1337, "market": "0x..."},
    "order": {
        "district": "old-town",
        "hour_utc": "2026-07-15T12:00:00Z",
        "with_attributes": False,
        "side": "bid",
        "quantity_wh": 2000,
        "price_micro_eur_per_kwh": 120000,
        "nonce": 7,
        "expiry_utc": "2026-07-15T11:00:00Z",
        "replaces": None,
    },
    "signature": "0x...",
}


@router.post(
    "/orders",
    status_code=201,
    response_model=CarriedView,
    openapi_extra=_body(_ORDER_EXAMPLE),
)
async def place_order(request: Request, idempotency_key: IdempotencyKey = None) -> Response:
    """Carry a signed order (EIP-712, see `GET /v1/market`) to the market.

    Answers once the chain has recorded it; 409 with the contract's reason when it refuses.
    """
    return await _carry_one(request, idempotency_key, _order_call)


@router.post(
    "/cancellations",
    status_code=201,
    response_model=CarriedView,
    openapi_extra=_body({"domain": {}, "cancellation": {"order": "0x..."}, "signature": "0x..."}),
)
async def cancel_order(request: Request, idempotency_key: IdempotencyKey = None) -> Response:
    """Carry a signed cancellation of an order to the market."""
    return await _carry_one(request, idempotency_key, _cancellation_call)


@router.post(
    "/trades",
    status_code=201,
    response_model=CarriedView,
    openapi_extra=_body({"domain": {}, "trade": {}, "seller_signature": "0x", "buyer_signature": "0x"}),
)
async def register_trade(request: Request, idempotency_key: IdempotencyKey = None) -> Response:
    """Carry a bilateral trade that both districts signed to the market."""
    return await _carry_one(request, idempotency_key, _trade_call)


@router.post(
    "/orders/batch",
    response_model=list[CarriedView | Problem],
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"type": "array", "items": {"type": "object"}}}},
        }
    },
)
async def place_orders(request: Request, idempotency_key: IdempotencyKey = None) -> Response:
    """Carry up to 200 signed orders in one request; each has its own place or problem in the answer."""
    relayer = _relayer(request)
    body = await _read(request, MOST_DOCUMENTS * MAX_DOCUMENT_BYTES)

    def work() -> tuple[int, bytes]:
        try:
            documents = msgspec.json.decode(body, type=list[msgspec.Raw])
        except msgspec.DecodeError as problem:
            raise Refusal(HTTPStatus.BAD_REQUEST, f"the body is no JSON array: {problem}") from None
        if not 1 <= len(documents) <= MOST_DOCUMENTS:
            raise Refusal(
                HTTPStatus.BAD_REQUEST, f"{len(documents)} orders; give 1 to {MOST_DOCUMENTS} at a time"
            )
        calls: list[_Call | Refusal] = []
        for document in documents:
            try:
                calls.append(_order_call(request, relayer, bytes(document)))
            except Refusal as refusal:
                calls.append(refusal)
        carried = relayer.carry_all([call.data for call in calls if isinstance(call, _Call)])
        futures = iter(carried)
        waiting = [call if isinstance(call, Refusal) else (call.identity, next(futures)) for call in calls]
        answers = [_settled(request, entry) for entry in waiting]
        return 200, b"[" + b",".join(answers) + b"]"

    return await _answered(request, idempotency_key, body, work)


def _settled(request: Request, entry: tuple[str, Future[Carried]] | Refusal) -> bytes:
    try:
        if isinstance(entry, Refusal):
            raise entry
        return _outcome(*entry)
    except Refusal as refusal:
        return _problem(request, refusal).model_dump_json(exclude_none=True).encode()


async def _carry_one(request: Request, idempotency_key: str | None, prepare: Any) -> Response:
    relayer = _relayer(request)
    body = await _read(request, MAX_DOCUMENT_BYTES)

    def work() -> tuple[int, bytes]:
        call = prepare(request, relayer, body)
        return 201, _outcome(call.identity, relayer.carry(call.data))

    return await _answered(request, idempotency_key, body, work)


async def _answered(request: Request, idempotency_key: str | None, body: bytes, work: Any) -> Response:
    store: Store = request.app.state.store

    def guarded() -> tuple[int, bytes, str]:
        try:
            status, answer = work()
        except Refusal as refusal:
            problem = _problem(request, refusal)
            return problem.status, problem.model_dump_json(exclude_none=True).encode(), MEDIA_TYPE
        return status, answer, "application/json"

    status, answer, media_type = await run_in_threadpool(
        answer_once, store, idempotency_key, f"{request.url.path}\n".encode() + body, guarded
    )
    return Response(answer, status_code=status, media_type=media_type)


def _problem(request: Request, refusal: Refusal) -> Problem:
    return Problem(
        title=refusal.status.phrase,
        status=int(refusal.status),
        detail=refusal.detail,
        instance=request.url.path,
        parameter=refusal.parameter,
    )


def _relayer(request: Request) -> Relayer:
    relayer: Relayer | None = request.app.state.relayer
    if relayer is None:
        raise RelayerMissing(
            "this server carries no messages: it was started without a relayer key (see --relayer-keystore)"
        )
    return relayer


async def _read(request: Request, most: int) -> bytes:
    found = bytearray()
    async for part in request.stream():
        found += part
        if len(found) > most:
            raise BodyTooLarge(f"the body has more than {most} bytes")
    return bytes(found)


def _outcome(identity: str, carried: Future[Carried]) -> bytes:
    try:
        found = carried.result()
    except ContractError as problem:
        raise Refusal(HTTPStatus.CONFLICT, f"the market refuses it: {problem}", problem.error_name) from None
    except (ChainUnavailable, TransactionPending, RpcFailed) as problem:
        raise Refusal(
            HTTPStatus.SERVICE_UNAVAILABLE,
            f"the chain did not take it: {problem}; send it again, it cannot be recorded twice",
        ) from None
    view = CarriedView(
        identity=identity, transaction_hash=found.transaction_hash, block_number=found.block_number
    )
    return view.model_dump_json().encode()


def _order_call(request: Request, relayer: Relayer, body: bytes) -> _Call:
    document = _read_document(SignedOrder.from_json, body)
    _require_domain(document.domain, relayer.domain)
    _require_key(request, relayer, document.order.district_id, _signer(document))
    return _Call("0x" + document.digest.hex(), encode_place_order(document.order, document.signature))


def _cancellation_call(request: Request, relayer: Relayer, body: bytes) -> _Call:
    document = _read_document(SignedCancellation.from_json, body)
    _require_domain(document.domain, relayer.domain)
    order = _recorded(request.app.state.store, document.cancellation)
    _require_key(request, relayer, order.district_id, _signer(document))
    identity = "0x" + document.cancellation.order_hash.hex()
    return _Call(identity, encode_cancel_order(document.cancellation.order_hash, document.signature))


def _trade_call(request: Request, relayer: Relayer, body: bytes) -> _Call:
    document = _read_document(SignedTrade.from_json, body)
    _require_domain(document.domain, relayer.domain)
    try:
        seller, buyer = document.signers()
    except SignatureInvalid as problem:
        raise Refusal(HTTPStatus.BAD_REQUEST, str(problem), "signature") from None
    _require_key(request, relayer, document.trade.seller_district_id, seller)
    _require_key(request, relayer, document.trade.buyer_district_id, buyer)
    assert document.seller_signature is not None
    assert document.buyer_signature is not None
    data = encode_register_trade(document.trade, document.seller_signature, document.buyer_signature)
    return _Call("0x" + document.digest.hex(), data)


def _read_document(read: Any, body: bytes) -> Any:
    try:
        return read(body)
    except OrderInvalid as problem:
        raise Refusal(HTTPStatus.BAD_REQUEST, str(problem)) from None


def _signer(document: Any) -> str:
    try:
        return str(document.signer())
    except SignatureInvalid as problem:
        raise Refusal(HTTPStatus.BAD_REQUEST, str(problem), "signature") from None


def _require_domain(given: MarketDomain, expected: MarketDomain) -> None:
    if (given.chain_id, given.market.lower()) != (expected.chain_id, expected.market.lower()):
        raise Refusal(
            HTTPStatus.BAD_REQUEST,
            f"signed for chain {given.chain_id}, market {given.market}; this market is chain "
            f"{expected.chain_id}, {expected.market}",
            "domain",
        )


def _require_key(request: Request, relayer: Relayer, district_id: str, signer: str) -> None:
    """Refuse what the market would refuse, before it costs a transaction; the market has the last word."""
    store: Store = request.app.state.store
    with store.read() as connection:
        if is_trading_key(connection, district_id, signer):
            return
    try:
        allowed = relayer.platform.is_trading_key(district_id, signer)
    except (ChainUnavailable, RpcFailed) as problem:
        raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, f"the chain does not answer: {problem}") from None
    if not allowed:
        raise Refusal(
            HTTPStatus.FORBIDDEN,
            f"signed by {signer}, which is no trading key of {district_id}; its owner allows one with "
            "Market.setTradingKey",
            "signature",
        )


def _recorded(store: Store, cancellation: Cancellation) -> Order:
    order_hash = "0x" + cancellation.order_hash.hex()
    with store.read() as connection:
        row = connection.execute(
            select(tables.orders).where(tables.orders.c.order_hash == order_hash)
        ).one_or_none()
    if row is None:
        raise Refusal(
            HTTPStatus.NOT_FOUND, f"no order {order_hash} is recorded up to the followed block", "order"
        )
    return order_of(row)
