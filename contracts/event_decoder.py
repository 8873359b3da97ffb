"""Turns the logs of a platform's contracts into the events of `contracts.events` and its neighbours."""

import re
from collections.abc import Callable
from dataclasses import fields
from typing import Any, get_type_hints

from contracts import events, market_events, response_events
from contracts.account import Account, to_account
from contracts.boundary import MemberDeclaration, member_points, open_points
from contracts.chain_data import Log
from contracts.events import Event, Totals, as_verdict, slug_or_empty
from contracts.interface import Interface
from contracts.lifecycle import Decision, Status
from contracts.order import BilateralTrade, Order
from contracts.outcome import Outcome
from contracts.point import PointDeclaration
from contracts.response import EventTerms
from contracts.scheme import CarrierFactors, Scheme, StaticFactors
from contracts.verdict import Verdict

_CONVERTERS: dict[Any, Callable[[Any], Any]] = {
    str: lambda value: slug_or_empty(value) if isinstance(value, bytes) else value,
    Account: to_account,
    Scheme: lambda value: Scheme(*value),
    StaticFactors: lambda value: StaticFactors(*value),
    tuple[CarrierFactors, ...]: lambda value: tuple(CarrierFactors(*item) for item in value),
    tuple[PointDeclaration, ...]: open_points,
    tuple[MemberDeclaration, ...]: member_points,
    tuple[int, ...]: tuple,
    tuple[str, ...]: tuple,
    Totals: lambda value: Totals(*value),
    Verdict: as_verdict,
    Decision: Decision,
    Status: Status,
    Order: Order.from_abi,
    BilateralTrade: BilateralTrade.from_abi,
    Outcome: Outcome.from_abi,
    EventTerms: EventTerms.from_abi,
}

_CLASSES: dict[str, type[Event]] = {
    name: cls
    for module in (events, market_events, response_events)
    for name, cls in vars(module).items()
    if isinstance(cls, type) and issubclass(cls, Event) and cls is not Event
}


def _solidity_name(name: str) -> str:
    """For example orderHash for order_hash, and from for from_."""
    return re.sub(r"_([a-z])", lambda match: match.group(1).upper(), name.rstrip("_"))


_FIELDS: dict[str, list[tuple[str, str, Callable[[Any], Any] | None]]] = {
    name: [
        (field.name, _solidity_name(field.name), _CONVERTERS.get(get_type_hints(cls)[field.name]))
        for field in fields(cls)
    ]
    for name, cls in _CLASSES.items()
}


class EventDecoder:
    """Decodes the logs of a platform's contracts, known by address."""

    def __init__(self, contracts: dict[str, str]) -> None:
        """`contracts` maps an address to the name of the contract there, for example "Ledger"."""
        self._interfaces = {address: Interface.of(name) for address, name in contracts.items()}

    def decode(self, log: Log) -> Event | None:
        """The event, or None when no contract of the platform or no event listed here made the log."""
        interface = self._interfaces.get(log.address)
        decoded = interface.decode_event(log.topics, log.data) if interface else None
        if decoded is None or decoded.name not in _CLASSES:
            return None
        values = {}
        for name, solidity_name, convert in _FIELDS[decoded.name]:
            value = decoded.values[solidity_name]
            values[name] = convert(value) if convert else value
        return _CLASSES[decoded.name](**values)
