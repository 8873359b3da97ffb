"""The month's energy and money, stated twice: as the contracts hold it, and from the series by the rules.

The second statement takes from the chain only what people did (orders, clearings, when an event was opened),
and computes deliveries, payments, baselines and pay itself. Each line says both; they must agree to the last
unit. Energies are Wh, money micro-euro (domain.md §§6, 7).
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from contracts.baseline import compute_baseline, hour_pay_micro_eur, hour_penalty_micro_eur, response_wh
from contracts.events import Event
from contracts.hour import first_hour
from contracts.market_events import Deposited, TradeSettled
from contracts.platform import Platform
from contracts.response_events import Measured, ResponsePaid
from contracts.settlement import BuyerHour, SettledTrade, settle
from scripts.market_demo.activity import OPERATOR, MarketMonth
from scripts.market_demo.plan import CAPACITY_WH

UNIT_ENERGY: Final = "Wh"
UNIT_MONEY: Final = "micro-EUR"
ENERGY, COMPENSATION, RESPONSE, PENALTY = "energy delivered", "compensation", "demand response", "penalties"
KINDS: Final = (ENERGY, COMPENSATION, RESPONSE, PENALTY)
"""Of money; received, or spent where negative."""
DEPOSITS: Final = "deposits"


class Line(NamedTuple):
    """One figure, twice."""

    subject: str
    """District or organisation."""
    what: str
    unit: str
    on_chain: int
    stated: int

    @property
    def difference(self) -> int:
        """Must be 0."""
        return self.on_chain - self.stated


class Answer(NamedTuple):
    """How a district answered an event hour, Wh; as the contract measured it."""

    event_id: int
    planned: str
    district_id: str
    hour: int
    baseline_wh: int
    measured_wh: int
    response_wh: int


@dataclass(frozen=True)
class Reconciliation:
    """All lines, and what the events' hours looked like."""

    lines: tuple[Line, ...]
    answers: tuple[Answer, ...]
    trades: int
    seller_hours: int

    @property
    def is_exact(self) -> bool:
        """Whether every difference is 0."""
        return not any(line.difference for line in self.lines)

    @property
    def summary(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "reconciled": self.is_exact,
            "trades": self.trades,
            "seller_hours": self.seller_hours,
            "lines": [{**line._asdict(), "difference": line.difference} for line in self.lines],
            "answers": [answer._asdict() for answer in self.answers],
        }


@dataclass
class _Statement:
    """By the rules alone: energies by district, earnings by organisation."""

    delivered_wh: Counter[str]
    attributes_out_wh: Counter[str]
    attributes_in_wh: Counter[str]
    response_wh: Counter[str]
    money: Counter[tuple[str, str]]
    """By organisation and kind of line."""

    def book(self, kind: str, payer: str, payee: str, amount: int) -> None:
        """Money went from one organisation to another."""
        self.money[payee, kind] += amount
        self.money[payer, kind] -= amount


def reconcile(month: MarketMonth, platform: Platform, events: list[Event]) -> Reconciliation:
    """Both statements of the month, once all is settled."""
    stated = _state(month, platform)
    settled = [event for event in events if isinstance(event, TradeSettled)]
    paid = _announced(month, events)
    lines: list[Line] = []
    for district_id in month.owner_of:
        lines += _energy_lines(month, platform, district_id, stated)
    for organisation in month.record.deposited:
        lines += _money_lines(month, platform, organisation, paid, stated)
    total = platform.escrow_total_micro_eur()
    lines.append(Line("escrow", "all accounts", UNIT_MONEY, total, sum(month.record.deposited.values())))
    tokens = platform.tokens_of(platform.deployment.address("Escrow"))
    lines.append(Line("escrow", "tokens that it holds", UNIT_MONEY, tokens, total))
    answers = [
        Answer(event.event_id, plan.answer, event.district_id, hour, *figures)
        for event in events
        if isinstance(event, Measured)
        for plan in [month.record.event_ids[event.event_id]]
        for hour, *figures in zip(
            plan.hours, event.baseline_wh, event.measured_wh, event.response_wh, strict=True
        )
    ]
    hours = {(event.seller_district_id, event.hour) for event in settled}
    return Reconciliation(tuple(lines), tuple(answers), len(settled), len(hours))


def _state(month: MarketMonth, platform: Platform) -> _Statement:
    stated = _Statement(*(Counter() for _ in range(5)))
    sold_wh: Counter[tuple[str, int]] = Counter()
    terms = platform.market_terms()
    for hour in month.hours:
        trades = month.trades(hour)
        if not trades:
            continue
        export_wh = month.net.export_wh(month.seller, hour)
        available_wh = max(0, export_wh - month.record.external_wh.get((month.seller, hour), 0))
        bought_wh = sum(trade.quantity_wh for trade in trades if trade.with_attributes)
        buyers = {month.buyer: BuyerHour(month.net.import_wh(month.buyer, hour), bought_wh)}
        imbalance = month.record.imbalance.get(hour, terms.bond_micro_eur_per_kwh)
        for item in settle(trades, available_wh, imbalance, terms.bond_micro_eur_per_kwh, buyers).trades:
            _add_trade(month, stated, item)
            sold_wh[month.seller, hour] += item.delivered_wh
    for event_id, event in month.record.event_ids.items():
        found = platform.response_event(event_id)
        past = [other.day for other in month.record.event_ids.values() if other.day < event.day]
        responses: dict[str, list[int]] = {}
        for district_id in month.owner_of:
            history = month.net.history(district_id, past)
            baseline = compute_baseline(
                history, found.terms.method, found.terms.increase, event.hours, found.opened_at
            )
            if baseline.baseline_wh is None:
                raise ValueError(f"{district_id} has no baseline for event {event_id}: {baseline.reason}")
            responses[district_id] = [
                response_wh(
                    expected,
                    month.net.by_hour[district_id][hour],
                    CAPACITY_WH,
                    found.terms.increase,
                    terms.sensitivity_wh,
                    sold_wh[district_id, hour],
                )
                for hour, expected in zip(event.hours, baseline.baseline_wh, strict=True)
            ]
            stated.response_wh[district_id] += sum(responses[district_id])
        price, penalty = found.terms.price_micro_eur_per_kwh, found.terms.penalty_micro_eur_per_kwh
        for place in range(len(event.hours)):
            counted = [hours[place] for hours in responses.values()]
            pays = hour_pay_micro_eur(price, found.terms.requested_wh, counted)
            for district_id, pay, response in zip(responses, pays, counted, strict=True):
                owner = month.owner_of[district_id]
                stated.book(RESPONSE, OPERATOR, owner, pay)
                stated.book(PENALTY, owner, OPERATOR, hour_penalty_micro_eur(penalty, CAPACITY_WH, response))
    return stated


def _add_trade(month: MarketMonth, stated: _Statement, item: SettledTrade) -> None:
    stated.delivered_wh[month.seller] += item.delivered_wh
    stated.attributes_out_wh[month.seller] += item.attributes_wh
    stated.attributes_in_wh[month.buyer] += item.attributes_wh
    seller, buyer = month.owner_of[month.seller], month.owner_of[month.buyer]
    stated.book(ENERGY, buyer, seller, item.paid_micro_eur)
    stated.book(COMPENSATION, seller, buyer, item.compensation_micro_eur)


def _energy_lines(month: MarketMonth, platform: Platform, district_id: str, stated: _Statement) -> list[Line]:
    hours = range(first_hour(month.plan.days[0]), first_hour(month.plan.days[-1] + 1))
    certified = {hour: platform.certified_net_export(district_id, hour) for hour in hours}
    eventful = [hour for event in month.plan.events for hour in event.hours]
    claims = {hour: platform.hour_claims(district_id, hour) for hour in sorted({*month.hours, *eventful})}
    exported = sum(max(0, hour.net_export_wh) for hour in certified.values())
    external = sum(
        min(claim.external_wh, max(0, certified[hour].net_export_wh)) for hour, claim in claims.items()
    )
    delivered = sum(claim.delivered_wh for claim in claims.values())
    own = month.net
    stated_export = sum(own.export_wh(district_id, hour) for hour in hours)
    stated_external = sum(
        min(energy_wh, own.export_wh(district_id, hour))
        for (name, hour), energy_wh in month.record.external_wh.items()
        if name == district_id
    )
    stated_delivered = stated.delivered_wh[district_id]
    moved_out = sum(claim.attributes_out_wh for claim in claims.values())
    moved_in = sum(claim.attributes_in_wh for claim in claims.values())
    responded = sum(claim.response_wh for claim in claims.values())
    figures = (
        ("net export, metered", exported, stated_export),
        ("  certified elsewhere", external, stated_external),
        ("  delivered in trades", delivered, stated_delivered),
        (
            "  claimed by nobody",
            exported - external - delivered,
            stated_export - stated_external - stated_delivered,
        ),
        ("attributes given away", moved_out, stated.attributes_out_wh[district_id]),
        ("attributes received", moved_in, stated.attributes_in_wh[district_id]),
        ("demand response", responded, stated.response_wh[district_id]),
    )
    return [Line(district_id, what, UNIT_ENERGY, *both) for what, *both in figures]


def _money_lines(
    month: MarketMonth,
    platform: Platform,
    organisation: str,
    paid: Counter[tuple[str, str]],
    stated: _Statement,
) -> list[Line]:
    deposited = month.record.deposited[organisation]
    held = sum(platform.held_micro_eur(organisation, is_response) for is_response in (False, True))
    earned = sum(stated.money[organisation, kind] for kind in KINDS)
    return [
        Line(organisation, "paid in", UNIT_MONEY, paid[organisation, DEPOSITS], deposited),
        *(
            Line(
                organisation,
                f"  {kind}",
                UNIT_MONEY,
                paid[organisation, kind],
                stated.money[organisation, kind],
            )
            for kind in KINDS
        ),
        Line(organisation, "held", UNIT_MONEY, held, 0),
        Line(organisation, "free", UNIT_MONEY, platform.free_micro_eur(organisation), deposited + earned),
    ]


def _announced(month: MarketMonth, events: list[Event]) -> Counter[tuple[str, str]]:
    """Money by organisation and kind, as the contracts announced it."""
    paid: Counter[tuple[str, str]] = Counter()
    for event in events:
        if isinstance(event, Deposited):
            paid[event.account, DEPOSITS] += event.amount
        elif isinstance(event, TradeSettled):
            seller, buyer = (
                month.owner_of[name] for name in (event.seller_district_id, event.buyer_district_id)
            )
            for kind, amount in ((ENERGY, event.paid), (COMPENSATION, -event.compensation)):
                paid[seller, kind] += amount
                paid[buyer, kind] -= amount
        elif isinstance(event, ResponsePaid):
            for kind, amount in ((RESPONSE, event.remuneration), (PENALTY, -event.penalty)):
                paid[month.owner_of[event.district_id], kind] += amount
                paid[OPERATOR, kind] -= amount
    return paid
