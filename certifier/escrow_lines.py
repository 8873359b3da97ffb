"""The escrow's logs as lines of accounts: what changed, with whom, and what it was for (domain.md §6).

The escrow says how much moved; what for is said by the other contracts' logs of the same transaction. A line
refers to the one of them that concerns its account, names its amount if one does, and stands nearest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from contracts import events, market_events, response_events
from contracts.hour import format_hour_utc

TRADE, RESPONSE = "trade", "response"


@dataclass(frozen=True, slots=True)
class Line:
    """What one log changed of one account; amounts in micro-euro."""

    account: str
    kind: str
    counterparty: str | None = None
    purse: str | None = None
    free_change: int = 0
    held_change: int = 0
    owed_change: int = 0


class Occasion(NamedTuple):
    """What a transaction did for some accounts."""

    log_index: int
    accounts: frozenset[str]
    """Empty: any."""
    reference: str
    explanation: str
    amounts: frozenset[int] = frozenset()
    """Amounts that it names, micro-euro."""
    other: tuple[str, str] | None = None
    """What another amount was for: the bonds of a step's trades are given back in one sum."""


def lines(event: events.Event) -> list[Line]:
    """The lines of a log of the escrow; none for any other."""
    match event:
        case market_events.Deposited(account, sender, amount):
            return [Line(account, "deposit", sender, free_change=amount)]
        case market_events.Withdrawn(account, to, amount):
            return [Line(account, "withdrawal", to, free_change=-amount)]
        case market_events.Held(account, is_response, amount):
            return [Line(account, "hold", None, _purse(is_response), -amount, amount)]
        case market_events.Unheld(account, is_response, amount):
            return [Line(account, "release", None, _purse(is_response), amount, -amount)]
        case market_events.Paid(payer, payee, is_response, amount):
            purse = _purse(is_response)
            return [
                Line(payer, "payment", payee, purse, held_change=-amount),
                Line(payee, "receipt", payer, purse, free_change=amount),
            ]
        case market_events.Owed(debtor, creditor, amount):
            return [Line(debtor, "debt", creditor, TRADE, owed_change=amount)]
        case market_events.DebtPaid(debtor, creditor, amount):
            return [
                Line(debtor, "debt_payment", creditor, TRADE, -amount, owed_change=-amount),
                Line(creditor, "debt_receipt", debtor, TRADE, amount),
            ]
        case market_events.SplitPaid(organisation_id, _, recipients, amounts):
            shares = list(zip(recipients, amounts, strict=True))
            return [
                *(Line(organisation_id, "share_paid", to, free_change=-part) for to, part in shares),
                *(Line(to, "share_received", organisation_id, free_change=part) for to, part in shares),
            ]
    return []


def _purse(is_response: bool) -> str:
    return RESPONSE if is_response else TRADE


class FollowUps(NamedTuple):
    """What follow-up settlements did with money, which the escrow announces only in part.

    After TradeFollowedUp the escrow first sets off what the receiver owes the payer (DebtPaid, without
    money), then moves free money of the payer as far as it reaches, then says what is still owed (Owed).
    """

    moved: dict[int, tuple[Line, Line]]
    """By the log of TradeFollowedUp: the free money that moved."""
    set_off: frozenset[int]
    """Logs of DebtPaid that only set off."""


def follow_ups(
    logged: Sequence[tuple[int, str, events.Event]], owner: Callable[[str], str | None]
) -> FollowUps:
    """The follow-ups among a block's logs (index, transaction, event)."""
    moved: dict[int, tuple[Line, Line]] = {}
    set_off: set[int] = set()
    for place, (log_index, transaction_hash, event) in enumerate(logged):
        if not isinstance(event, market_events.TradeFollowedUp) or not event.to_seller:
            continue
        seller, buyer = owner(event.seller_district_id), owner(event.buyer_district_id)
        payer, receiver = (buyer, seller) if event.to_seller > 0 else (seller, buyer)
        if payer is None or receiver is None:
            continue
        amount = abs(event.to_seller)
        following = [entry for entry in logged[place + 1 : place + 3] if entry[1] == transaction_hash]
        for index, _, step in following:
            match step:
                case market_events.DebtPaid(debtor, creditor, part) if (debtor, creditor) == (
                    receiver,
                    payer,
                ):
                    amount -= part
                    set_off.add(index)
                case market_events.Owed(debtor, creditor, part) if (debtor, creditor) == (payer, receiver):
                    amount -= part
                case _:
                    break
        if amount:
            moved[log_index] = (
                Line(payer, "follow_up_payment", receiver, TRADE, free_change=-amount),
                Line(receiver, "follow_up_receipt", payer, TRADE, free_change=amount),
            )
    return FollowUps(moved, frozenset(set_off))


class Occasions:
    """What the transactions of one block did, to explain their lines."""

    def __init__(
        self,
        logged: Iterable[tuple[int, str, events.Event]],
        owner: Callable[[str], str | None],
        order_owner: Callable[[str], str | None],
    ) -> None:
        """Of logs (index, transaction, event). `owner` gives the organisation that owns a district,
        `order_owner` the one whose order was recorded in a block before."""
        self._by_transaction: dict[str, list[Occasion]] = defaultdict(list)
        self._order_owner = order_owner
        self._owners: dict[str, frozenset[str]] = {}
        for log_index, transaction_hash, event in logged:
            found = self._occasion(log_index, event, owner)
            if found is not None:
                self._by_transaction[transaction_hash].append(found)

    def of(self, transaction_hash: str, log_index: int, line: Line) -> tuple[str, str]:
        """Reference and explanation of a line; the transaction itself when nothing explains it."""
        found = [
            occasion
            for occasion in self._by_transaction.get(transaction_hash, ())
            if not occasion.accounts or line.account in occasion.accounts
        ]
        if not found:
            return f"transaction {short(transaction_hash)}", ""
        amount = abs(line.free_change) or abs(line.held_change)
        nearest = min(
            found,
            key=lambda occasion: (amount not in occasion.amounts, abs(occasion.log_index - log_index)),
        )
        if nearest.other is not None and amount not in nearest.amounts:
            return nearest.other
        return nearest.reference, nearest.explanation

    def _occasion(
        self, log_index: int, event: events.Event, owner: Callable[[str], str | None]
    ) -> Occasion | None:
        def owners(*districts: str) -> frozenset[str]:
            return frozenset(filter(None, map(owner, districts)))

        match event:
            case market_events.OrderRecorded(order_hash=order_hash, order=order):
                self._owners[_hex(order_hash)] = owners(order.district_id)
                return Occasion(
                    log_index,
                    owners(order.district_id),
                    f"order {short(_hex(order_hash))}",
                    f"{'bid' if order.is_bid else 'offer'} of {order.district_id}: {order.quantity_wh} Wh at "
                    f"{order.price_micro_eur_per_kwh} micro-euro/kWh, {format_hour_utc(order.hour)}",
                )
            case market_events.OrderCancelled(order_hash=order_hash):
                return self._of_order(log_index, order_hash, "order cancelled")
            case market_events.OrderReleased(order_hash=order_hash):
                return self._of_order(log_index, order_hash, "book not cleared in time: given back")
            case market_events.OrderApplied(order_hash=order_hash, fill_wh=fill_wh):
                return self._of_order(log_index, order_hash, f"clearing: {fill_wh} Wh trade")
            case market_events.TradeRegistered(trade_hash=trade_hash, trade=trade):
                return Occasion(
                    log_index,
                    owners(trade.seller_district_id, trade.buyer_district_id),
                    f"trade {short(_hex(trade_hash))}",
                    f"{trade.seller_district_id} sells {trade.quantity_wh} Wh to {trade.buyer_district_id} "
                    f"for {format_hour_utc(trade.hour)}",
                )
            case market_events.TradeSettled() | market_events.TradeFollowedUp():
                what = "settled" if isinstance(event, market_events.TradeSettled) else "follow-up"
                return Occasion(
                    log_index,
                    owners(event.seller_district_id, event.buyer_district_id),
                    f"trade {short(_hex(event.trade_id))}",
                    f"{what}: {event.seller_district_id} delivered {event.delivered_wh} Wh to "
                    f"{event.buyer_district_id} in {format_hour_utc(event.hour)}",
                    frozenset((event.paid, event.refunded, event.compensation))
                    if isinstance(event, market_events.TradeSettled)
                    else frozenset((abs(event.to_seller),)),
                    (f"hour {format_hour_utc(event.hour)}", f"bond of {event.seller_district_id} returned")
                    if isinstance(event, market_events.TradeSettled)
                    else None,
                )
            case market_events.SplitPaid(organisation_id=organisation_id, recipients=recipients):
                accounts = frozenset((organisation_id, *recipients))
                return Occasion(
                    log_index, accounts, f"split {short(_hex(event.purpose))}", "shares of proceeds"
                )
            case response_events.EventOpened(event_id=event_id, operator_org=operator_org):
                return Occasion(
                    log_index, frozenset((operator_org,)), f"event {event_id}", "budget of the event"
                )
            case response_events.Enrolled(event_id=event_id, district_id=district_id):
                return Occasion(
                    log_index, owners(district_id), f"event {event_id}", f"deposit of {district_id}"
                )
            case response_events.ResponsePaid(event_id=event_id, district_id=district_id):
                return Occasion(
                    log_index,
                    frozenset(),
                    f"event {event_id}",
                    f"demand response of {district_id}",
                    frozenset((event.remuneration, event.penalty, event.deposit_returned)),
                )
            case response_events.EventSettled(event_id=event_id, returned=returned):
                return Occasion(
                    log_index, frozenset(), f"event {event_id}", "rest of the budget", frozenset((returned,))
                )
            case response_events.EventWithdrawn(event_id=event_id):
                return Occasion(log_index, frozenset(), f"event {event_id}", "event withdrawn")
        return None

    def _of_order(self, log_index: int, order_hash: bytes, explanation: str) -> Occasion:
        name = _hex(order_hash)
        owners = self._owners.get(name)
        if owners is None:
            owners = frozenset(filter(None, (self._order_owner(name),)))
        return Occasion(log_index, owners, f"order {short(name)}", explanation)


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


def short(text: str) -> str:
    """A hash as people quote it."""
    return text[:10]


def columns(line: Line) -> dict[str, Any]:
    """A line as the table has it."""
    return {name: getattr(line, name) for name in Line.__slots__}
