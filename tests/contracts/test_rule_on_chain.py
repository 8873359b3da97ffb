"""The contracts and the Python statement of the rule, on real engines: equal to the last integer.

Random districts, readings, corrections, compromises and adjustments go through the contracts over JSON-RPC;
what the contracts finalise must be what `contracts.tally`, `contracts.energy` and `contracts.verdict` say.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from contracts.chain import Chain
from contracts.energy import DayTotals, assess_day
from contracts.events import DayAdjusted, DayFinalised, Totals
from contracts.factor import FactorHour
from contracts.hour import day_of, day_start
from contracts.keccak import keccak
from contracts.key import SigningKey
from contracts.reading import Adjustment, KindSum, OpenBatch, PrivateBatch, Record, Status
from contracts.scheme import DayWeights, day_weights
from contracts.tally import Stream, summarise
from tests.contracts.nodes import AnvilNode, EmbeddedNode
from tests.contracts.towns import (
    ADMIN,
    AUDITOR,
    CARRIER,
    GAS,
    MINIMUM_MEMBERS,
    OPERATOR,
    PUBLISHER,
    Town,
    final_time,
    open_payload,
    private_payload,
    random_factors,
    random_scheme,
    random_vintage,
)
from tests.contracts.worlds import DAYS, Site, World, hide, true_sites

SEEDS = {"embedded": range(2), "anvil": range(100, 112)}


@pytest.fixture(scope="module", params=["embedded", "anvil"])
def town(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    node: Any
    if request.param == "anvil":
        node = AnvilNode()
    else:
        folder: Path = tmp_path_factory.mktemp("rule") / "chain"
        node = EmbeddedNode(folder, "--genesis-time", "2018-12-01")
    yield Town(Chain(node.url, gas_price_wei=0))
    node.stop()


def totals_of(day: DayTotals) -> Totals:
    return Totals(
        day.balance_mwh_pe,
        day.lower_mwh_pe,
        day.upper_mwh_pe,
        day.ghg_mg,
        day.ghg_upper_mg,
        day.complete_hours,
    )


class Trial:
    """One random district on a town's chain, beside its world in Python."""

    def __init__(self, town: Town, seed: int) -> None:
        self.town, self.platform, self.random = town, town.platform, Random(seed)
        self.name = f"trial-{seed}"
        self.sites = [site for site in true_sites(self.random) if site.meters or site.members]
        for site in self.sites:
            site.gateway_id = f"{self.name}-{site.gateway_id}"
        self.world = World(self.sites)
        hide(self.random, self.sites, self.world, self.random.choice((0.0, 0.05, 0.3)))
        self.world.tainted.clear()  # forged hours stay as they are: the ledger cannot know yet
        self._keep_the_privacy_rules()
        self.first_day = day_of(town.chain.block().time_s) + 1
        self.sequences: dict[tuple[str, int, bool], int] = {}
        self.payloads: dict[tuple[str, int, bool, int], bytes] = {}
        self.scheme, self.vintage = random_scheme(self.random), random_vintage(self.random)
        self.factors: list[list[FactorHour] | None] = [random_factors(self.random) for _ in range(DAYS)]
        if self.random.random() < 0.3:
            self.factors[0] = None  # skipped for good once the next day is published

    def _keep_the_privacy_rules(self) -> None:
        for key, sums in list(self.world.private.items()):
            if any((s.supply_wh or s.draw_wh) and s.members < MINIMUM_MEMBERS for s in sums):
                self.world.private[key] = [KindSum(s.kind, s.members, 0, 0) for s in sums]

    def found(self) -> None:
        town, platform = self.town, self.platform
        town.found_district(self.name, f"{self.name}-zone", self.sites, self.first_day)
        town.do(platform.register_scheme(ADMIN, self.name, self.scheme, gas=GAS))
        town.do(platform.create_vintage(PUBLISHER, self.name, self.vintage, gas=GAS))
        town.do(platform.open_assessment(ADMIN, self.name, self.name, self.name, self.first_day, gas=GAS))

    def next_sequence(self, gateway_id: str, day: int, is_private: bool) -> int:
        place = (gateway_id, day, is_private)
        self.sequences[place] = self.sequences.get(place, 0) + 1
        return self.sequences[place]

    def record_everything(self) -> None:
        self.town.move_to(day_start(self.first_day + DAYS) + 60)
        for site in self.sites:
            for place in range(DAYS):
                hours = range(24 * place, 24 * place + 24)
                known = {
                    h % 24: r for (g, h), r in self.world.open.items() if g == site.gateway_id and h in hours
                }
                sums = {
                    h % 24: s
                    for (g, h), s in self.world.private.items()
                    if g == site.gateway_id and h in hours
                }
                self._record(site, place, False, known)
                self._record(site, place, True, sums)

    def _record(self, site: Site, place: int, is_private: bool, values: dict[int, Any]) -> None:
        """In several batches, some of which are wrong first and then corrected in part."""
        left = list(values)
        while left:
            count = self.random.choice((len(left), self.random.randint(1, len(left))))
            chosen = sorted(self.random.sample(left, count))
            left = [hour for hour in left if hour not in chosen]
            right = {hour: values[hour] for hour in chosen}
            if self.random.random() < 0.4:
                wrong = {
                    hour: self.wrong(value, is_private) if self.random.random() < 0.5 else value
                    for hour, value in right.items()
                }
                first = self.send(site.gateway_id, place, is_private, wrong)
                corrected = {hour: value for hour, value in right.items() if wrong[hour] != value}
                if corrected:
                    self.send(site.gateway_id, place, is_private, corrected, replaces=first)
            else:
                self.send(site.gateway_id, place, is_private, right)

    def wrong(self, value: Sequence[Any], is_private: bool) -> list[Any]:
        if is_private:
            return [KindSum(s.kind, 0, 0, 0) for s in value]
        return [
            Record(self.random.choice((Status.MEASURED, Status.PARTIAL, Status.ESTIMATED)), 0, r.draw_wh // 2)
            for r in value
        ]

    def send(
        self,
        gateway_id: str,
        place: int,
        is_private: bool,
        values: dict[int, Any],
        replaces: int = 0,
        signer: SigningKey | None = None,
    ) -> int:
        day = self.first_day + place
        sequence = self.next_sequence(gateway_id, day, is_private)
        payload = private_payload(values) if is_private else open_payload(values)
        old = self.payloads[gateway_id, day, is_private, replaces] if replaces else b""
        batch: OpenBatch | PrivateBatch
        if is_private:
            changed = MINIMUM_MEMBERS if replaces else 0
            batch = PrivateBatch(gateway_id, day, sequence, replaces, changed, payload)
        else:
            batch = OpenBatch(gateway_id, day, sequence, replaces, payload)
        self.town.record(batch, old, signer)
        self.payloads[gateway_id, day, is_private, sequence] = payload
        return sequence

    def compromise_a_key(self) -> None:
        """All that one gateway sent was sent after its key was stolen; the scan finds it."""
        site = self.random.choice(self.sites)
        since = day_start(self.first_day + DAYS)
        self.town.do(self.platform.revoke_key(OPERATOR, site.gateway_id, since, gas=GAS))
        new = SigningKey(keccak(b"new" + site.gateway_id.encode()))
        self.town.do(self.platform.rotate_key(OPERATOR, site.gateway_id, new.address, gas=GAS))
        while self.platform.compromises_scanned(self.name) < 1:
            self.town.do(self.platform.scan_compromise(CARRIER, self.name, 5, gas=GAS))
        for is_private, held in ((False, self.world.open), (True, self.world.private)):
            self.world.tainted |= {Stream(g, h, is_private) for g, h in held if g == site.gateway_id}
        # a part is signed again with the new key, which clears the doubt
        for place in range(DAYS):
            day = self.first_day + place
            stream = self.platform.stream(site.gateway_id, day)
            if not stream.last_sequence or not site.meters:
                continue
            replaced = self.random.choice([holder for holder in stream.holders if holder])
            hours = [hour for hour, holder in enumerate(stream.holders) if holder == replaced]
            values = {hour: self.world.open[site.gateway_id, 24 * place + hour] for hour in hours}
            self.send(site.gateway_id, place, False, values, replaces=replaced, signer=new)
            self.world.tainted -= {Stream(site.gateway_id, 24 * place + hour, False) for hour in hours}

    def publish_factors(self) -> None:
        for place, hours in enumerate(self.factors):
            if hours is not None:
                self.town.publish(self.name, f"{self.name}-zone", self.first_day + place, hours)

    def weights(self, place: int) -> DayWeights:
        return day_weights(self.scheme, self.vintage, self.factors[place])

    def judge(self, place: int) -> DayTotals:
        boundary = summarise(list(self.world.gateways.values()))
        tally, weights = self.world.tally(place), self.weights(place)
        return assess_day(
            tally.hours, tally.vehicles, boundary, self.scheme.tolerance, weights.primary, weights.ghg
        ).totals

    @property
    def assessment(self) -> bytes:
        return self.platform.assessment_id(self.name, self.name, self.name)

    def finalise(self) -> list[DayFinalised]:
        self.town.move_to(final_time(self.first_day + DAYS - 1, self.platform.finality_s()) + 1)
        receipt = self.town.do(self.platform.finalise(CARRIER, self.assessment, DAYS, gas=GAS))
        events = self.platform.events(receipt.logs)
        return [event for event in events if isinstance(event, DayFinalised)]


def seeds_of(town: Town) -> range:
    anvil = "anvil" in str(town.chain.request("web3_clientVersion")).lower()
    return SEEDS["anvil" if anvil else "embedded"]


def test_random_days_are_judged_alike(town: Town) -> None:
    for seed in seeds_of(town):
        trial = Trial(town, seed)
        trial.found()
        trial.record_everything()
        if trial.random.random() < 0.4:
            trial.compromise_a_key()
        trial.publish_factors()
        finalised = trial.finalise()
        assert [event.day for event in finalised] == [trial.first_day, trial.first_day + 1], seed
        for place, event in enumerate(finalised):
            expected = trial.judge(place)
            assert event.totals == totals_of(expected), (seed, place)
            assert event.edge_estimated == expected.edge_estimated, (seed, place)
        assert trial.platform.boundary(trial.name, trial.first_day).summary == summarise(
            list(trial.world.gateways.values())
        )
        before, booked = trial.platform.cumulative(trial.assessment, trial.first_day + DAYS)
        sums = [totals_of(trial.judge(place)) for place in range(DAYS)]
        assert before == Totals(*(sum(column) for column in zip(*sums, strict=True)))
        assert booked == Totals(0, 0, 0, 0, 0, 0)


def test_an_adjustment_books_the_difference_to_its_hours_day(town: Town) -> None:
    for seed in range(500, 502):
        trial = Trial(town, seed)
        trial.found()
        trial.record_everything()
        trial.publish_factors()
        trial.finalise()
        site = next(site for site in trial.sites if site.meters)
        before = totals_of(trial.judge(1))
        stream = trial.platform.stream(site.gateway_id, trial.first_day + 1)
        replaced = next((holder for holder in stream.holders if holder), 0)
        held = [h for h, holder in enumerate(stream.holders) if holder == replaced]
        values = {h: [Record(Status.MEASURED, 0, m.cap_wh) for m in site.meters] for h in held}
        for hour, records in values.items():
            trial.world.open[site.gateway_id, 24 + hour] = records
        day = trial.first_day + 1
        sequence = trial.next_sequence(site.gateway_id, day, False)
        reason = keccak(b"meter was read again")
        message = Adjustment(site.gateway_id, day, sequence, replaced, False, reason, 0, open_payload(values))
        domain = trial.platform.deployment.signing_domain
        signatures = message.sign(OPERATOR, domain), message.sign(AUDITOR, domain)
        old = trial.payloads.get((site.gateway_id, day, False, replaced), b"")
        town.do(trial.platform.adjust(CARRIER, message, *signatures, old, gas=GAS))
        receipt = town.do(trial.platform.book_adjustments(CARRIER, trial.assessment, 10, gas=GAS))
        after = totals_of(trial.judge(1))
        difference = Totals(*(new - old for new, old in zip(after, before, strict=True)))
        [event] = [e for e in trial.platform.events(receipt.logs) if isinstance(e, DayAdjusted)]
        assert (event.day, event.difference) == (day, difference)
        assert trial.platform.cumulative(trial.assessment, day)[1] == Totals(0, 0, 0, 0, 0, 0)
        assert trial.platform.cumulative(trial.assessment, day + 1)[1] == difference
