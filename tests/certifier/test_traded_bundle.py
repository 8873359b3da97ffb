"""A proof bundle of a district that sold and one that bought with attributes: both verify offline, with what
moved taken off export and import (domain.md §6)."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from certifier.evidence import build_bundle
from contracts.chain import Chain
from contracts.energy import NO_ATTRIBUTES, Attributes, assess_day
from contracts.evidence import Batch
from contracts.examination import BatchKey, SignedBatch
from contracts.hour import HOURS_PER_DAY, day_of, day_start
from contracts.order import Order
from contracts.outcome import Outcome
from contracts.reading import OpenBatch, Record, Status
from contracts.scheme import Scheme, StaticFactors, VintageFactors, day_weights
from contracts.settlement import BuyerHour, settle, showings, trades_of_seller
from contracts.verification import Report, VerificationFailed, verify
from tests.contracts.nodes import AnvilNode
from tests.contracts.towns import ADMIN, CARRIER, GAS, PUBLISHER, final_time, gateway_key, open_payload
from tests.contracts.traders import EXPIRY, Trader, TradingTown

SCHEME = Scheme(False, True, 1000, 2500, 0, 800)
VINTAGE = VintageFactors(1000, 2500, 800, StaticFactors(2000, 1500, 300, 1500, 1200, 200))
SOLD_WH, EXPORT_WH, IMPORT_WH = 300, 250, 220
TRADED = 12
"""Hour of the first day."""


@dataclass
class Traded:
    """Two districts, one day each, after the settlement of their trade."""

    town: TradingTown
    seller: Trader
    buyer: Trader
    certificates: dict[str, int]

    def find(self, key: BatchKey) -> SignedBatch:
        """The batch of a district's day, signed as it was sent."""
        trader = next(t for t in (self.seller, self.buyer) if t.site.gateway_id == key.gateway_id)
        first = HOURS_PER_DAY * key.day
        records = {hour - first: trader.readings[hour] for hour in range(first, first + HOURS_PER_DAY)}
        batch = OpenBatch(key.gateway_id, key.day, 1, 0, open_payload(records))
        signature = batch.sign(gateway_key(key.gateway_id), self.town.platform.deployment.signing_domain)
        return Batch(
            gateway_id=key.gateway_id,
            day=key.day,
            stream="open",
            sequence=1,
            replaces=0,
            changed_members=0,
            payload="0x" + batch.payload.hex(),
            signature="0x" + signature.hex(),
        )

    def bundle(self, trader: Trader) -> bytes:
        """Proof bundle of a district's certificate."""
        chain, deployment = self.town.chain, self.town.platform.deployment
        number = self.certificates[trader.district_id]
        return build_bundle(chain, deployment, number, chain.head(), self.find)


def records(net_export_wh: int) -> dict[int, tuple[Record, ...]]:
    """A day with the same net export in every hour."""
    out_wh, in_wh = max(0, net_export_wh), max(0, -net_export_wh)
    hour = (
        Record(Status.MEASURED, in_wh, out_wh),
        Record(Status.MEASURED, out_wh, 0),
        Record(Status.MEASURED, 0, in_wh),
    )
    return dict.fromkeys(range(HOURS_PER_DAY), hour)


@pytest.fixture(scope="module")
def traded() -> Iterator[Traded]:
    node = AnvilNode()
    town = TradingTown(Chain(node.url, gas_price_wei=0))
    platform, day = town.platform, day_of(town.chain.block().time_s) + 2
    seller, buyer = (town.found_trader(name, day) for name in ("sun-hill", "old-town"))
    town.do(platform.register_scheme(ADMIN, "static", SCHEME, gas=GAS))
    town.do(platform.create_vintage(PUBLISHER, "static", VINTAGE, gas=GAS))
    hour = HOURS_PER_DAY * day + TRADED
    certificates = {}
    for trader in (seller, buyer):
        name = trader.district_id
        town.do(platform.open_assessment(trader.key, name, "static", "static", day, gas=GAS))
        assessment = platform.assessment_id(name, "static", "static")
        town.do(platform.apply_for_certificate(trader.key, assessment, gas=GAS))
        certificates[name] = platform.certificate_of(assessment)
    calls = [
        town.place(trader, Order(trader.district_id, hour, True, is_bid, SOLD_WH, 90_000, 1, EXPIRY))
        for trader, is_bid in ((seller, False), (buyer, True))
    ]
    town.note(platform.events(town.do(platform.place_many(CARRIER, calls, gas=GAS)).logs))
    town.move_to(platform.gate_closes_at(hour) + 30)
    cleared, outcome = town.clear(2 * hour + 1)
    assert outcome == Outcome.of(cleared)
    sides = [[fill.order.id for fill in side] for side in (cleared.bids, cleared.offers)]
    sent = platform.clear_book(CARRIER, 2 * hour + 1, outcome, *sides, gas=GAS)
    town.note(platform.events(town.do(sent).logs))
    town.move_to(day_start(day + 1) + 60)
    for trader, net_export_wh in ((seller, EXPORT_WH), (buyer, -IMPORT_WH)):
        town.do(town.send_readings(trader, day, records(net_export_wh)))
    town.move_to(final_time(day, platform.finality_s()))
    prices = {2 * hour + 1: outcome.price_micro_eur_per_kwh}
    trades = trades_of_seller(seller.district_id, hour, [], town.applied.values(), prices)
    bond = platform.market_terms().bond_micro_eur_per_kwh
    buyers = {buyer.district_id: BuyerHour(IMPORT_WH, SOLD_WH)}
    settled = settle(trades, EXPORT_WH, bond, bond, buyers)
    (shown,) = showings(trades, 10)
    town.do(platform.settle(CARRIER, seller.district_id, hour, settled.cut, shown, gas=GAS))
    for trader in (seller, buyer):
        assessment = platform.assessment_id(trader.district_id, "static", "static")
        town.do(platform.finalise(CARRIER, assessment, 1, gas=GAS))
    yield Traded(town, seller, buyer, certificates)
    node.stop()


def balance_mwh_pe(trader: Trader, attributes: Attributes) -> int:
    """Balance of the district's day with what moved in the traded hour."""
    tally, weights = trader.tally(trader.from_day), day_weights(SCHEME, VINTAGE, None)
    moved = [attributes if place == TRADED else NO_ATTRIBUTES for place in range(HOURS_PER_DAY)]
    return assess_day(
        tally.hours,
        tally.vehicles,
        trader.boundary,
        SCHEME.tolerance,
        weights.primary,
        weights.ghg,
        moved,
    ).totals.balance_mwh_pe


def report_of(traded: Traded, trader: Trader) -> Report:
    return verify(traded.bundle(trader), traded.town.chain.block().hash)


def test_seller_and_buyer_are_proven_with_what_moved(traded: Traded) -> None:
    for trader, attributes in (
        (traded.seller, Attributes(IMPORT_WH, 0)),
        (traded.buyer, Attributes(0, IMPORT_WH)),
    ):
        report = report_of(traded, trader)
        assert any("moved with its attributes in trades (1 hours)" in line for line in report.proven)
        assert any("11 contracts are the published ones" in line for line in report.proven)
        platform = traded.town.platform
        day, assessment = trader.from_day, platform.assessment_id(trader.district_id, "static", "static")
        sums = platform.cumulative(assessment, day + 1)[0]
        assert sums.balance_mwh_pe == balance_mwh_pe(trader, attributes)
        assert sums.balance_mwh_pe != balance_mwh_pe(trader, NO_ATTRIBUTES)


def test_a_bundle_without_the_claims_is_refused(traded: Traded) -> None:
    content = json.loads(traded.bundle(traded.seller))
    claims = traded.town.platform.deployment.claims.lower()
    assert content["deployment"]["claims"] == claims
    text = json.dumps(content, indent=1, sort_keys=True) + "\n"
    changed = text.replace(claims, traded.town.platform.deployment.market.lower()).encode()
    with pytest.raises(VerificationFailed, match="is not the published contract"):
        verify(changed)
