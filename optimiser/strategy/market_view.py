"""What the certifier's API shows of the market to anybody: terms, and what a district has sold or offered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx2

from contracts.hour import format_hour_utc, parse_hour_utc
from contracts.order import MarketDomain
from optimiser.strategy.reason import AdviceInvalid

LIVE = "live"
"""State of an order that can still be cleared; what a cleared one got is among the trades."""


@dataclass(frozen=True)
class Terms:
    """The market's rules as far as advice needs them. Defaults are those of the rules' first deployment."""

    gate_closure_s: int = 3600
    bond_micro_eur_per_kwh: int = 500_000
    sensitivity_wh: int = 100
    domain: MarketDomain | None = None
    """What orders are signed for; None without a certifier."""


@dataclass(frozen=True)
class Position:
    """What a district has in the market already, Wh by (hour, with attributes)."""

    sold_wh: Mapping[tuple[int, bool], int] = field(default_factory=dict)
    """Sold, or offered and still open."""
    bought_wh: Mapping[tuple[int, bool], int] = field(default_factory=dict)
    """Bought, or bid for and still open."""
    declared_wh: Mapping[int, int] = field(default_factory=dict)
    """Wh by hour that were declared to external certificates, which come before trades (domain.md §6)."""


def get_json(client: httpx2.Client, path: str, parameters: dict[str, str] | None = None) -> Any:
    """One JSON answer. Raises AdviceInvalid when the certifier does not answer or refuses."""
    try:
        answer = client.get(path, params=parameters or {}, headers={"accept": "application/json"})
    except httpx2.HTTPError as error:
        raise AdviceInvalid(f"the certifier at {client.base_url} does not answer: {error}") from None
    if answer.status_code != 200:
        raise AdviceInvalid(f"the certifier refuses {path}: {answer.status_code} {answer.text[:300]}")
    return answer.json()


def fetch_terms(client: httpx2.Client) -> Terms:
    """The market's rules. Raises AdviceInvalid."""
    found = get_json(client, "/v1/market")
    domain = MarketDomain(found["chain_id"], found["market"])
    return Terms(found["gate_closure_s"], found["bond_micro_eur_per_kwh"], found["sensitivity_wh"], domain)


def fetch_position(client: httpx2.Client, district_id: str, first: int, end: int) -> Position:
    """What the district sold, bought, offers, bids and declared in the hours [first, end). Raises
    AdviceInvalid."""
    base = f"/v1/districts/{quote(district_id, safe='')}"
    span = {"from": format_hour_utc(first), "to": format_hour_utc(end)}
    sums: tuple[dict[tuple[int, bool], int], dict[tuple[int, bool], int]] = ({}, {})

    def add(bought: bool, item: dict[str, Any], quantity_wh: int) -> None:
        key = parse_hour_utc(item["start_time_utc"]), bool(item["with_attributes"])
        sums[bought][key] = sums[bought].get(key, 0) + quantity_wh

    for order in _items(client, f"{base}/orders", span):
        if order["state"] == LIVE:
            add(order["side"] == "bid", order, order["quantity_wh"])
    for trade in _items(client, f"{base}/trades", span):
        add(trade["side"] == "bid", trade, trade["quantity_wh"])
    claims = _items(client, f"{base}/claims", span)
    declared = {parse_hour_utc(item["start_time_utc"]): int(item["external_wh"]) for item in claims}
    return Position(*sums, {hour: energy_wh for hour, energy_wh in declared.items() if energy_wh})


def _items(client: httpx2.Client, path: str, span: dict[str, str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        more = {} if cursor is None else {"cursor": cursor}
        page = get_json(client, path, {**span, **more})
        found += page["items"]
        cursor = page.get("next_cursor")
        if cursor is None:
            return found
