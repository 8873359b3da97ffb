"""A trader's client: signs orders with the district's trading key and sends them to the certifier's API.

The key never leaves this process; the server carries what was signed and can change nothing (domain.md §6).

```
client = MarketClient("http://127.0.0.1:8080", SigningKey.load(Path("trading.json"), password))
bid = client.place("old-town", "bid", parse_hour_utc("2026-07-15T12:00:00Z"), 2_000, 120_000)
client.cancel(bid["identity"])
for order in client.orders("old-town"):
    print(order["side"], order["quantity_wh"], order["state"])
```
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final

import httpx2

from contracts.hour import format_hour_utc, hour_start
from contracts.key import SigningKey
from contracts.order import NO_ORDER, BilateralTrade, Cancellation, MarketDomain, Order
from contracts.order_document import SignedCancellation, SignedOrder, SignedTrade

TIMEOUT_S: Final = 90.0
"""A message is answered once a block has it."""


class MarketRefused(Exception):
    """The server or the market refused; the message is the problem's own, `status` its HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class MarketClient:
    """Orders, positions and money of districts, over HTTP. Without a key it only reads."""

    def __init__(self, url: str, key: SigningKey | None = None) -> None:
        """`url` is the address of the certifier, such as `http://127.0.0.1:8080`."""
        self._http = httpx2.Client(base_url=url.rstrip("/"), timeout=TIMEOUT_S)
        self._key = key

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> MarketClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- signing

    @cached_property
    def rules(self) -> dict[str, Any]:
        """The market's rules. Raises MarketRefused."""
        return dict(self._get("/v1/market"))

    @property
    def domain(self) -> MarketDomain:
        """What is signed for."""
        return MarketDomain(int(self.rules["chain_id"]), str(self.rules["market"]))

    def gate_closure_s(self, hour: int) -> int:
        """Unix seconds at which the books of an hour close."""
        return hour_start(hour) - int(self.rules["gate_closure_s"])

    def sign_order(
        self,
        district_id: str,
        side: str,
        hour: int,
        quantity_wh: int,
        price_micro_eur_per_kwh: int,
        *,
        with_attributes: bool = False,
        expiry_s: int | None = None,
        nonce: int | None = None,
        replaces: str | None = None,
    ) -> SignedOrder:
        """A signed order that is not sent; it expires with its hour's gate closure unless told otherwise.

        Raises contracts.order.OrderInvalid, MarketRefused.
        """
        order = Order(
            district_id=district_id,
            hour=hour,
            with_attributes=with_attributes,
            is_bid=side == "bid",
            quantity_wh=quantity_wh,
            price_micro_eur_per_kwh=price_micro_eur_per_kwh,
            nonce=secrets.randbits(63) if nonce is None else nonce,
            expiry=self.gate_closure_s(hour) if expiry_s is None else expiry_s,
            replaces=NO_ORDER if replaces is None else bytes.fromhex(replaces.removeprefix("0x")),
        )
        return SignedOrder(order, self.domain, order.sign(self._signing_key(), self.domain))

    def place(
        self,
        district_id: str,
        side: str,
        hour: int,
        quantity_wh: int,
        price_micro_eur_per_kwh: int,
        **options: Any,
    ) -> dict[str, Any]:
        """Sign an order (see `sign_order`) and have it recorded: identity, transaction and block.

        Raises contracts.order.OrderInvalid, MarketRefused.
        """
        signed = self.sign_order(district_id, side, hour, quantity_wh, price_micro_eur_per_kwh, **options)
        return self.send(signed)

    def send(self, document: SignedOrder | SignedCancellation | SignedTrade) -> dict[str, Any]:
        """Send a signed message. Sent again it is recorded once. Raises MarketRefused."""
        path = {SignedOrder: "orders", SignedCancellation: "cancellations", SignedTrade: "trades"}
        body = document.to_json()
        return dict(self._post(f"/v1/{path[type(document)]}", body))

    def send_many(self, documents: list[SignedOrder]) -> list[dict[str, Any]]:
        """Send up to 200 orders at once; each gets its place or its problem. Raises MarketRefused."""
        body = b"[" + b",".join(document.to_json() for document in documents) + b"]"
        return list(self._post("/v1/orders/batch", body))

    def cancel(self, order_hash: str) -> dict[str, Any]:
        """Take a live order back. Raises contracts.order.OrderInvalid, MarketRefused."""
        cancellation = Cancellation(bytes.fromhex(order_hash.removeprefix("0x")))
        signature = cancellation.sign(self._signing_key(), self.domain)
        return self.send(SignedCancellation(cancellation, self.domain, signature))

    def propose_trade(self, trade: BilateralTrade, as_seller: bool) -> SignedTrade:
        """A bilateral trade signed by one side, for the other to sign and send."""
        signature = trade.sign(self._signing_key(), self.domain)
        if as_seller:
            return SignedTrade(trade, self.domain, seller_signature=signature)
        return SignedTrade(trade, self.domain, buyer_signature=signature)

    def accept_trade(self, proposed: SignedTrade) -> dict[str, Any]:
        """Sign what the other side signed and have the trade registered. Raises MarketRefused."""
        signature = proposed.trade.sign(self._signing_key(), self.domain)
        complete = SignedTrade(
            proposed.trade,
            proposed.domain,
            proposed.seller_signature or signature,
            proposed.buyer_signature or signature,
        )
        return self.send(complete)

    # --- reading

    def book(self, hour: int, with_attributes: bool = False) -> dict[str, Any]:
        """The book of an hour. Raises MarketRefused."""
        attributes = str(with_attributes).lower()
        return dict(self._get(f"/v1/market/books/{format_hour_utc(hour)}", attributes=attributes))

    def orders(self, district_id: str, **span: str) -> Iterator[dict[str, Any]]:
        """A district's orders; `from_` and `to` are ISO 8601. Raises MarketRefused."""
        return self._pages(f"/v1/districts/{district_id}/orders", **span)

    def trades(self, district_id: str, **span: str) -> Iterator[dict[str, Any]]:
        """What a district bought and sold. Raises MarketRefused."""
        return self._pages(f"/v1/districts/{district_id}/trades", **span)

    def settlements(self, district_id: str, **span: str) -> Iterator[dict[str, Any]]:
        """Settlements of a district's trades. Raises MarketRefused."""
        return self._pages(f"/v1/districts/{district_id}/settlements", **span)

    def account(self, account: str) -> dict[str, Any]:
        """Money of an organisation or address. Raises MarketRefused."""
        return dict(self._get(f"/v1/accounts/{account}"))

    def statement(self, account: str, **span: str) -> Iterator[dict[str, Any]]:
        """An account's statement, each page with the balance brought forward. Raises MarketRefused."""
        return self._pages(f"/v1/accounts/{account}/statement", **span)

    def events(self, zone: str | None = None) -> Iterator[dict[str, Any]]:
        """Demand-response events, the newest first. Raises MarketRefused."""
        return self._pages("/v1/events", **({} if zone is None else {"zone": zone}))

    def progress(self, event_id: int) -> Iterator[dict[str, Any]]:
        """Hours of an event's districts against their baselines. Raises MarketRefused."""
        return self._pages(f"/v1/events/{event_id}/progress")

    # ---

    def _signing_key(self) -> SigningKey:
        if self._key is None:
            raise MarketRefused(0, "this client has no trading key; give one to sign with")
        return self._key

    def _pages(self, path: str, **parameters: str) -> Iterator[dict[str, Any]]:
        query = {name.rstrip("_"): value for name, value in parameters.items() if value}
        while True:
            page = self._get(path, **query)
            yield from page["items"]
            if page["next_cursor"] is None:
                return
            query["cursor"] = page["next_cursor"]

    def _get(self, path: str, **parameters: str) -> Any:
        return self._answer(lambda: self._http.get(path, params=parameters))

    def _post(self, path: str, body: bytes) -> Any:
        headers = {"content-type": "application/json"}
        return self._answer(lambda: self._http.post(path, content=body, headers=headers))

    def _answer(self, ask: Any) -> Any:
        try:
            answer = ask()
        except httpx2.HTTPError as problem:
            raise MarketRefused(0, f"{self._http.base_url} does not answer: {problem}") from None
        if answer.is_success:
            return answer.json()
        try:
            detail = answer.json()["detail"]
        except (json.JSONDecodeError, KeyError, TypeError):
            detail = answer.text[:200]
        raise MarketRefused(answer.status_code, str(detail))
