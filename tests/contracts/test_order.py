"""Traders' messages: EIP-712 typed data that another library computes alike, and their JSON strictly read."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.clearing import BookOrder, Side
from contracts.key import SignatureInvalid, SigningKey
from contracts.order import (
    NO_ORDER,
    BilateralTrade,
    Cancellation,
    MarketDomain,
    Order,
    OrderInvalid,
    book_number,
)
from contracts.order_document import MAX_DOCUMENT_BYTES, SignedCancellation, SignedOrder, SignedTrade

MARKET = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
DOMAIN = MarketDomain(1337, MARKET)
KEY, OTHER = SigningKey(bytes(31) + b"\x07"), SigningKey(bytes(31) + b"\x08")
ORDER = Order("old-town", 495_588, False, True, 2_000, 120_000, 7, 1_784_113_200)
TRADE = BilateralTrade("harbour", "old-town", 495_588, True, 500, 90_000, 3, 1_784_113_200)
SOURCES = Path(__file__).parents[2] / "contracts" / "src"

_U32, _U64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
_SLUGS = st.from_regex(r"[a-z0-9-]{1,32}", fullmatch=True)
_HASHES = st.binary(min_size=32, max_size=32)
_QUANTITIES = st.integers(1, 2**32 - 1)
_ORDERS = st.builds(Order, _SLUGS, _U32, st.booleans(), st.booleans(), _QUANTITIES, _U32, _U64, _U64, _HASHES)
_TRADES = st.builds(
    BilateralTrade,
    _SLUGS.map(lambda slug: "s" + slug[1:]),
    _SLUGS.map(lambda slug: "b" + slug[1:]),
    _U32,
    st.booleans(),
    _QUANTITIES,
    _U32,
    _U64,
    _U64,
)


def struct_of(name: str) -> list[dict[str, str]]:
    """Fields of a struct as the Solidity source declares it."""
    source = (SOURCES / "types" / "Trade.sol").read_text("utf-8")
    body = re.search(rf"^struct {name} {{(.*?)^}}", source, re.DOTALL | re.MULTILINE)
    assert body is not None
    fields = re.findall(r"^    (\w+) (\w+);", body.group(1), re.MULTILINE)
    return [{"type": kind, "name": field} for kind, field in fields]


def typed_data(name: str, values: tuple[Any, ...], domain: MarketDomain) -> dict[str, Any]:
    """A message as wallets take it."""
    fields = [{"type": "bytes32", "name": "orderHash"}] if name == "Cancellation" else struct_of(name)
    domain_fields = (("string", "name"), ("string", "version"), ("uint256", "chainId"))
    return {
        "types": {
            "EIP712Domain": [
                *({"type": kind, "name": field} for kind, field in domain_fields),
                {"type": "address", "name": "verifyingContract"},
            ],
            name: fields,
        },
        "primaryType": name,
        "domain": {
            "name": "PED Market",
            "version": "1",
            "chainId": domain.chain_id,
            "verifyingContract": domain.market,
        },
        "message": {field["name"]: value for field, value in zip(fields, values, strict=True)},
    }


def wallet_signature(name: str, values: tuple[Any, ...], domain: MarketDomain) -> bytes:
    message = encode_typed_data(full_message=typed_data(name, values, domain))
    return bytes(Account.sign_message(message, KEY.secret).signature)


@settings(max_examples=60, deadline=None)
@given(_ORDERS, _TRADES, st.integers(0, 2**256 - 1), st.binary(min_size=20, max_size=20))
def test_a_wallet_signs_the_same(order: Order, trade: BilateralTrade, chain_id: int, market: bytes) -> None:
    domain = MarketDomain(chain_id, "0x" + market.hex())
    cancellation = Cancellation(order.digest(domain))
    assert order.sign(KEY, domain) == wallet_signature("Order", order.abi, domain)
    assert trade.sign(KEY, domain) == wallet_signature("BilateralTrade", trade.abi, domain)
    assert cancellation.sign(KEY, domain) == wallet_signature(
        "Cancellation", (cancellation.order_hash,), domain
    )


@given(_ORDERS, _TRADES)
def test_messages_return_from_the_contract_unchanged(order: Order, trade: BilateralTrade) -> None:
    assert Order.from_abi(order.abi) == order
    assert BilateralTrade.from_abi(trade.abi) == trade


def test_every_field_chain_and_market_is_part_of_the_identity() -> None:
    changes: list[dict[str, Any]] = [
        {"district_id": "new-town"},
        {"hour": ORDER.hour + 1},
        {"with_attributes": True},
        {"is_bid": False},
        {"quantity_wh": 2_001},
        {"price_micro_eur_per_kwh": 120_001},
        {"nonce": 8},
        {"expiry": ORDER.expiry + 1},
        {"replaces": bytes(31) + b"\1"},
    ]
    assert {key for change in changes for key in change} == set(Order.__dataclass_fields__)
    digests = {replace(ORDER, **change).digest(DOMAIN) for change in changes} | {ORDER.digest(DOMAIN)}
    digests |= {ORDER.digest(MarketDomain(1338, MARKET)), ORDER.digest(MarketDomain(1337, "0x" + "11" * 20))}
    assert len(digests) == len(changes) + 3


def test_the_signer_is_recovered_and_a_changed_message_names_another() -> None:
    signed = SignedOrder(ORDER, DOMAIN, ORDER.sign(KEY, DOMAIN))
    assert signed.signer() == KEY.address
    assert signed.digest == ORDER.digest(DOMAIN)
    assert replace(signed, order=replace(ORDER, quantity_wh=1)).signer() != KEY.address
    assert replace(signed, domain=MarketDomain(1, MARKET)).signer() != KEY.address
    with pytest.raises(SignatureInvalid):
        replace(signed, signature=signed.signature[:64] + b"\0").signer()


def test_an_order_is_seen_by_clearing_under_its_identity() -> None:
    identity = ORDER.digest(DOMAIN)
    assert ORDER.in_book(identity) == BookOrder(identity, Side.BID, 120_000, 2_000)
    assert replace(ORDER, is_bid=False).in_book(identity).side is Side.OFFER
    assert (ORDER.book, replace(ORDER, with_attributes=True).book) == (991_176, 991_177)
    assert book_number(495_588, True) == 991_177


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"district_id": "Old Town"}, "district 'Old Town'"),
        ({"quantity_wh": 0}, "quantity_wh 0 is out of range 1 to 4294967295"),
        ({"quantity_wh": 2**32}, "quantity_wh 4294967296"),
        ({"price_micro_eur_per_kwh": -1}, "price_micro_eur_per_kwh -1"),
        ({"price_micro_eur_per_kwh": 2**32}, "price_micro_eur_per_kwh 4294967296"),
        ({"hour": 2**32}, "hour 4294967296"),
        ({"nonce": 2**64}, "nonce 18446744073709551616"),
        ({"expiry": -1}, "expiry -1"),
        ({"replaces": b"\1"}, "has 1 bytes, not 32"),
    ],
)
def test_orders_that_no_market_takes_are_refused(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(OrderInvalid, match=re.escape(named)):
        replace(ORDER, **changes)


def test_trades_and_cancellations_that_no_market_takes_are_refused() -> None:
    with pytest.raises(OrderInvalid, match="harbour trades with itself"):
        replace(TRADE, buyer_district_id="harbour")
    with pytest.raises(OrderInvalid, match="seller 'x y'"):
        replace(TRADE, seller_district_id="x y")
    with pytest.raises(OrderInvalid, match="quantity_wh 0"):
        replace(TRADE, quantity_wh=0)
    with pytest.raises(OrderInvalid, match="has 31 bytes"):
        Cancellation(bytes(31))


@pytest.mark.parametrize(
    "domain", [MarketDomain(1, "0x12"), MarketDomain(-1, MARKET), MarketDomain(1, "market")]
)
def test_a_domain_without_an_address_or_a_chain_is_refused(domain: MarketDomain) -> None:
    with pytest.raises(OrderInvalid, match=re.escape(repr(domain.market))):
        ORDER.sign(KEY, domain)


# ---------------------------------------------------------------- documents


def documents() -> list[tuple[Any, Callable[[bytes], Any]]]:
    """One signed message of each kind, and what reads its document."""
    cancellation = Cancellation(ORDER.digest(DOMAIN))
    return [
        (SignedOrder(ORDER, DOMAIN, ORDER.sign(KEY, DOMAIN)), SignedOrder.from_json),
        (
            SignedCancellation(cancellation, DOMAIN, cancellation.sign(KEY, DOMAIN)),
            SignedCancellation.from_json,
        ),
        (
            SignedTrade(TRADE, DOMAIN, TRADE.sign(KEY, DOMAIN), TRADE.sign(OTHER, DOMAIN)),
            SignedTrade.from_json,
        ),
    ]


def test_the_document_of_an_order_is_what_the_module_says() -> None:
    signed = SignedOrder(ORDER, DOMAIN, ORDER.sign(KEY, DOMAIN))
    assert json.loads(signed.to_json()) == {
        "domain": {"name": "PED Market", "version": "1", "chain_id": 1337, "market": MARKET},
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
        "signature": "0x" + signed.signature.hex(),
    }


@pytest.mark.parametrize("place", range(3))
def test_a_document_returns_what_was_signed(place: int) -> None:
    signed, read = documents()[place]
    assert read(signed.to_json()) == signed


@settings(deadline=None)
@given(_ORDERS.filter(lambda order: max(order.hour * 3600, order.expiry) < 253_402_300_800))
def test_any_order_returns_from_its_document(order: Order) -> None:
    signed = SignedOrder(order, DOMAIN, bytes(65))
    assert SignedOrder.from_json(signed.to_json()) == signed


def test_an_order_that_replaces_another_names_it() -> None:
    order = replace(ORDER, replaces=b"\5" * 32)
    signed = SignedOrder(order, DOMAIN, order.sign(KEY, DOMAIN))
    assert json.loads(signed.to_json())["order"]["replaces"] == "0x" + "05" * 32
    assert SignedOrder.from_json(signed.to_json()).order.replaces == b"\5" * 32
    absent = json.loads(signed.to_json())
    del absent["order"]["replaces"]
    assert SignedOrder.from_json(json.dumps(absent).encode()).order.replaces == NO_ORDER


def test_a_trade_is_signed_by_one_side_after_the_other() -> None:
    half = SignedTrade.from_json(SignedTrade(TRADE, DOMAIN, TRADE.sign(KEY, DOMAIN)).to_json())
    with pytest.raises(SignatureInvalid, match="the buyer has not signed"):
        half.signers()
    whole = replace(half, buyer_signature=half.trade.sign(OTHER, half.domain))
    assert SignedTrade.from_json(whole.to_json()).signers() == (KEY.address, OTHER.address)
    assert whole.digest == TRADE.digest(DOMAIN)


def test_a_time_that_no_calendar_has_cannot_be_written() -> None:
    for far in (replace(ORDER, expiry=2**64 - 1), replace(ORDER, hour=2**32 - 1)):
        with pytest.raises(OrderInvalid, match="after the year 9999"):
            SignedOrder(far, DOMAIN, bytes(65)).to_json()


Change = Callable[[dict[str, Any]], None]


def _set(*path: str, to: Any) -> Change:
    def change(document: dict[str, Any]) -> None:
        *parents, last = path
        for name in parents:
            document = document[name]
        document[last] = to

    return change


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (_set("domain", "name", to="PED Ledger"), "('PED Ledger', '1') is another one"),
        (_set("domain", "version", to="2"), "('PED Market', '2') is another one"),
        (_set("domain", "market", to="0x12"), "market '0x12'"),
        (_set("domain", "chain_id", to="1337"), "Expected `int`, got `str`"),
        (_set("order", "side", to="long"), "Invalid enum value 'long'"),
        (_set("order", "quantity_wh", to=0), "quantity_wh 0 is out of range"),
        (_set("order", "quantity_wh", to=1.5), "Expected `int`, got `float`"),
        (_set("order", "quantity_wh", to=True), "Expected `int`, got `bool`"),
        (_set("order", "with_attributes", to=1), "Expected `bool`, got `int`"),
        (_set("order", "hour_utc", to="2026-07-15T00:30:00Z"), "is not the start of an hour"),
        (_set("order", "hour_utc", to="2026-07-15T00:00:00"), "has no offset"),
        (_set("order", "expiry_utc", to="1969-12-31T00:00:00Z"), "expiry -86400 is out of range"),
        (_set("order", "replaces", to="0x1234"), "replaces has 2 bytes, not 32"),
        (_set("order", "owner", to="me"), "unknown field `owner`"),
        (_set("signature", to="0x12"), "signature has 1 bytes, not 65"),
        (_set("signature", to="signed"), "signature 'signed' is no hexadecimal number"),
        (lambda document: document.pop("signature"), "missing required field `signature`"),
        (lambda document: document["order"].pop("nonce"), "missing required field `nonce`"),
    ],
)
def test_what_is_wrong_in_a_document_is_named(change: Change, named: str) -> None:
    document = json.loads(documents()[0][0].to_json())
    change(document)
    with pytest.raises(OrderInvalid, match=re.escape(named)):
        SignedOrder.from_json(json.dumps(document).encode())


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b"{}", b"[" * 200, b" " * (MAX_DOCUMENT_BYTES + 1)])
def test_what_is_no_document_is_refused(body: bytes) -> None:
    for _, read in documents():
        with pytest.raises(OrderInvalid):
            read(body)


def test_a_document_of_one_kind_is_not_read_as_another() -> None:
    for place, (signed, _) in enumerate(documents()):
        for other, (_, read) in enumerate(documents()):
            if place != other:
                with pytest.raises(OrderInvalid, match="cannot be read"):
                    read(signed.to_json())
