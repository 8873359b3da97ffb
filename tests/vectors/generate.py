"""Shared vectors: what the Python statement computes, for the contracts' libraries to repeat.

`python -m tests.vectors.generate` writes the JSON files beside this one. They are deterministic. For easy
reading in forge every file is flat: parallel arrays, numbers as decimal strings, bytes as hex; where one
case has several values of a kind they follow each other, and their number per case is fixed or in an array
of its own. Words are packed as ILedger says; packed carrier factors as HourBalance does.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

from contracts.baseline import History, compute_baseline
from contracts.clearing import BookOrder, Side, clear
from contracts.energy import (
    NO_ATTRIBUTES,
    Attributes,
    BoundarySummary,
    Carried,
    CarrierFactor,
    FactorRange,
    HourFactors,
    HourSums,
    Row,
    Tolerance,
    VehicleDay,
    Weights,
    assess_day,
    assess_hour,
)
from contracts.factor import FactorHour, pack_day
from contracts.hour import DAY_S, HOUR_S, HOURS_PER_DAY, parse_day, window_start
from contracts.key import SigningKey
from contracts.point import Kind
from contracts.privacy import MemberReading, commitment, prove, root
from contracts.reading import (
    Adjustment,
    KindSum,
    OpenBatch,
    OpenSection,
    PrivateBatch,
    PrivateSection,
    Record,
    SigningDomain,
    Status,
    pack_open,
    pack_private,
)
from contracts.response import BaselineMethod
from contracts.setpoint import MAX_POWER_W, Setpoint, SetpointDomain, SetpointProposal
from contracts.slug import serial_to_bytes32, to_bytes32

FOLDER = Path(__file__).parent
LANE_MAX = 2**32 - 1
CAP_MAX = 2**34
Columns = dict[str, Any]


def hour_word(sums: HourSums, extras: int) -> int:
    """The hour word of ILedger."""
    carriers = int(any(any(carried) for carried in sums.carriers))
    lanes = [sums.import_wh, sums.export_wh, sums.production_wh, sums.consumption_wh]
    lanes += [sums.charge_wh, sums.discharge_wh]
    word = sum(lane << 32 * place for place, lane in enumerate(lanes))
    return word | sums.measured << 192 | sums.members << 208 | extras << 224 | carriers << 240


def extra_word(sums: HourSums) -> int:
    """The extra word of ILedger."""
    return (
        sums.estimated
        | sums.tainted << 16
        | sums.short_grid_cap_wh << 32
        | sums.short_carrier_cap_wh << 72
        | sums.short_foreign_cap_wh << 112
        | sums.foreign_wh << 152
    )


def carrier_words(sums: HourSums) -> list[int]:
    """The two carrier words of ILedger."""
    return [
        sum(
            (carried.bought_wh | carried.delivered_wh << 32) << 64 * place
            for place, carried in enumerate(sums.carriers[half : half + 4])
        )
        for half in (0, 4)
    ]


def packed_carrier_factors(factors: Sequence[CarrierFactor]) -> int:
    """Carrier factors as HourBalance takes them."""
    return sum((f.bought | f.delivered << 16) << 32 * place for place, f in enumerate(factors))


def claims_word(attributes: Attributes, others: int = 0) -> int:
    """The word of IClaims; `others` in the lanes that the rule does not read."""
    word = attributes.out_wh << 64 | attributes.in_wh << 96
    return word | others << 32 | others << 128


def energy(random: Random, most: int = LANE_MAX) -> int:
    return random.choice((0, 0, 1, random.randint(0, 5000), random.randint(0, most), most))


def random_boundary(random: Random) -> BoundarySummary:
    return BoundarySummary(
        open_points=random.randint(1, 3),
        members=random.choice((0, 0, 6)),
        load_metered=random.random() < 0.8,
        grid_cap_wh=energy(random),
        carrier_cap_wh=energy(random, CAP_MAX),
        foreign_cap_wh=energy(random, CAP_MAX),
    )


def random_sums(random: Random, boundary: BoundarySummary, row: Row) -> HourSums:
    production, consumption, charge, discharge = (energy(random) for _ in range(4))
    net = production + discharge - consumption - charge
    imported, exported = min(max(0, -net), LANE_MAX), min(max(0, net), LANE_MAX)
    if random.random() < 0.5:  # both grid registers move
        both = random.randint(0, LANE_MAX - max(imported, exported))
        imported, exported = imported + both, exported + both
    if random.random() < 0.3:  # a meter is wrong
        imported = min(LANE_MAX, imported + random.choice((1, 49, 50, 51, 52, 1000, 10**7)))
    carriers = tuple(
        Carried(energy(random), energy(random)) if random.random() < 0.3 else Carried(0, 0) for _ in range(8)
    )
    covered = row is Row.COMPLETE
    short = row in (Row.SHORT, Row.TAINTED)
    estimated = random.randint(1, 3) if row is Row.ESTIMATED else random.choice((0, 0, 0, 2)) * (not covered)
    short_grid, short_carrier = (energy(random, CAP_MAX) * short for _ in range(2))
    short_foreign = random.choice((0, energy(random, CAP_MAX))) * (not covered)
    # a point that is estimated or short is not measured
    most_measured = boundary.open_points - any((estimated, short_grid, short_carrier, short_foreign))
    return HourSums(
        import_wh=imported,
        export_wh=exported,
        production_wh=production,
        consumption_wh=consumption,
        charge_wh=charge,
        discharge_wh=discharge,
        foreign_wh=random.choice((0, 0, random.randint(0, production))),
        carriers=carriers if random.random() < 0.5 else (Carried(0, 0),) * 8,
        measured=boundary.open_points if covered else random.randint(0, most_measured),
        members=boundary.members if covered else random.choice((0, boundary.members)),
        estimated=estimated,
        tainted=random.randint(1, 2) if row is Row.TAINTED else 0,
        short_grid_cap_wh=short_grid,
        short_carrier_cap_wh=short_carrier,
        short_foreign_cap_wh=short_foreign,
    )


def random_tolerance(random: Random) -> Tolerance:
    return Tolerance(random.choice((0, 200, 10_000)), random.choice((0, 50, LANE_MAX)))


def random_carriers(random: Random, most: int) -> tuple[CarrierFactor, ...]:
    bought = [random.randint(0, most) for _ in range(8)]
    return tuple(CarrierFactor(b, random.choice((0, b, random.randint(0, b)))) for b in bought)


def random_range(random: Random) -> FactorRange:
    least = random.choice((0, 0, 1000))
    return FactorRange(least, random.choice((least, 3000, 2**16 - 1)))


def random_factors(random: Random, within: FactorRange) -> HourFactors:
    first, second, third = (random.randint(within.minimum, within.maximum) for _ in range(3))
    return random.choice((HourFactors.dynamic(first, second), HourFactors.static(first, third)))


def random_attributes(random: Random, sums: HourSums, often: float) -> Attributes:
    """Out, in, both (after an adjustment), within the flows and beyond."""
    if random.random() > often:
        return NO_ATTRIBUTES
    net = sums.export_wh - sums.import_wh
    within = random.randint(0, abs(net))
    beyond = Attributes(energy(random), energy(random))
    return random.choice((Attributes(within, 0), Attributes(0, within), beyond, Attributes(0, LANE_MAX)))


def rule_columns(columns: Columns, boundary: BoundarySummary, tolerance: Tolerance) -> None:
    columns["openPoints"].append(str(boundary.open_points))
    columns["members"].append(str(boundary.members))
    columns["gridCapWh"].append(str(boundary.grid_cap_wh))
    columns["carrierCapWh"].append(str(boundary.carrier_cap_wh))
    columns["foreignCapWh"].append(str(boundary.foreign_cap_wh))
    columns["loadMetered"].append(str(int(boundary.load_metered)))
    columns["toleranceWh"].append(str(tolerance.energy_wh))
    columns["toleranceBp"].append(str(tolerance.basis_points))


def weight_columns(columns: Columns, name: str, weights: Weights) -> None:
    electricity = weights.electricity
    columns[f"{name}Average"].append(str(electricity.average))
    columns[f"{name}Import"].append(str(electricity.imported))
    columns[f"{name}Export"].append(str(electricity.exported))
    columns[f"{name}Lacking"].append(str(int(electricity.lacking)))
    columns[f"{name}Min"].append(str(weights.factor_range.minimum))
    columns[f"{name}Max"].append(str(weights.factor_range.maximum))
    columns[f"{name}Carriers"].append(str(packed_carrier_factors(weights.carriers)))


def hours() -> Columns:
    """Single hours: every row of the table of bounds, zero and the extremes."""
    random = Random(1)
    columns: Columns = defaultdict(list)
    for case in range(400):
        boundary, tolerance = random_boundary(random), random_tolerance(random)
        sums = random_sums(random, boundary, list(Row)[case % len(Row)])
        if case == 0:
            sums = HourSums(measured=boundary.open_points, members=boundary.members)
        pair = []
        for factor_range in (random_range(random), FactorRange(0, random.choice((0, 900, 2**16 - 1)))):
            electricity = random_factors(random, factor_range)
            pair.append(Weights(electricity, factor_range, random_carriers(random, factor_range.maximum)))
        primary, ghg = pair
        if random.random() < 0.1:
            primary, ghg = (
                Weights(HourFactors.least_favourable(w.factor_range), w.factor_range, w.carriers)
                for w in pair
            )
        attributes = random_attributes(random, sums, 0.5)
        judged = assess_hour(sums, boundary, tolerance, primary, ghg, attributes)
        rule_columns(columns, boundary, tolerance)
        weight_columns(columns, "primary", primary)
        weight_columns(columns, "ghg", ghg)
        columns["hourWord"].append(str(hour_word(sums, int(extra_word(sums) != 0))))
        columns["extraWord"].append(str(extra_word(sums)))
        columns["carrierWords"] += map(str, carrier_words(sums))
        columns["claimsWord"].append(str(claims_word(attributes, case)))
        columns["row"].append(str(int(judged.row)))
        columns["importLoadWh"].append(str(judged.flows.import_load_wh))
        columns["imbalanceWh"].append(str(abs(judged.imbalance_wh)))
        columns["conserved"].append(str(int(judged.flows.conserved)))
        columns["balance"].append(str(judged.balance_mwh_pe))
        columns["lower"].append(str(judged.lower_mwh_pe))
        columns["upper"].append(str(judged.upper_mwh_pe))
        columns["ghg"].append(str(judged.ghg_mg))
        columns["ghgLower"].append(str(judged.ghg_lower_mg))
        columns["ghgUpper"].append(str(judged.ghg_upper_mg))
    return columns


def days() -> Columns:
    """Days: 24 hour words, 24 extra words and 48 carrier words each; `published` empty: the same factors
    all day."""
    random = Random(2)
    columns: Columns = defaultdict(list)
    for case in range(24):
        boundary, tolerance = random_boundary(random), random_tolerance(random)
        rows = [Row.COMPLETE] if case % 3 == 0 else list(Row)
        sums = [random_sums(random, boundary, random.choice(rows)) for _ in range(24)]
        vehicles = random.choice(
            (VehicleDay(), VehicleDay(energy(random, 2**36), random.randint(0, 2**40)), VehicleDay(7, 6001))
        )
        primary_range, ghg_range = random_range(random), FactorRange(0, 900)
        primary_carriers = random_carriers(random, primary_range.maximum)
        ghg_carriers = random_carriers(random, ghg_range.maximum)
        non_renewable = random.random() < 0.5
        published = b""
        if case % 4 < 2:
            factors = [_factor_hour(random, primary_range, ghg_range) for _ in range(24)]
            published = pack_day(factors)
            electricity = [(hour.primary(non_renewable), hour.ghg()) for hour in factors]
        elif case % 4 == 2:
            electricity = [(random_factors(random, primary_range), random_factors(random, ghg_range))] * 24
        else:
            least = HourFactors.least_favourable
            electricity = [(least(primary_range), least(ghg_range))] * 24
        primary = [Weights(first, primary_range, primary_carriers) for first, _ in electricity]
        ghg = [Weights(second, ghg_range, ghg_carriers) for _, second in electricity]
        attributes = [random_attributes(random, hour, 0.3 * (case % 2)) for hour in sums]
        totals = assess_day(sums, vehicles, boundary, tolerance, primary, ghg, attributes).totals
        rule_columns(columns, boundary, tolerance)
        weight_columns(columns, "primary", primary[0])
        weight_columns(columns, "ghg", ghg[0])
        columns["nonRenewable"].append(str(int(non_renewable)))
        columns["published"].append("0x" + published.hex())
        columns["hourWords"] += [str(hour_word(hour, int(extra_word(hour) != 0))) for hour in sums]
        columns["extraWords"] += [str(extra_word(hour)) for hour in sums]
        columns["carrierWords"] += [str(word) for hour in sums for word in carrier_words(hour)]
        columns["claimsWords"] += [str(claims_word(moved)) for moved in attributes]
        columns["vehicleWord"].append(str(vehicles.discharge_wh | vehicles.weighted_charge << 64))
        columns["balance"].append(str(totals.balance_mwh_pe))
        columns["lower"].append(str(totals.lower_mwh_pe))
        columns["upper"].append(str(totals.upper_mwh_pe))
        columns["ghg"].append(str(totals.ghg_mg))
        columns["ghgUpper"].append(str(totals.ghg_upper_mg))
        columns["completeHours"].append(str(totals.complete_hours))
        columns["edgeEstimated"].append(str(int(totals.edge_estimated)))
    return columns


def _factor_hour(random: Random, primary: FactorRange, ghg: FactorRange) -> FactorHour:
    energy_factors = [random.randint(primary.minimum, primary.maximum) for _ in range(4)]
    emission_factors = [random.randint(ghg.minimum, ghg.maximum) for _ in range(2)]
    return FactorHour._make(energy_factors + emission_factors)


def windows() -> Columns:
    """Every day around each year's turn and February of 1972 to 2106, with the first day of its window."""
    ends: set[date] = set()
    for year in range(1972, 2107):
        ends |= {date(year, 1, 1), date(year, 2, 1), date(year, 12, 31), date(year, 7, 13)}
        ends |= {date(year, 2, 26) + timedelta(days=place) for place in range(7)}
    days = sorted(parse_day(end.isoformat()) for end in ends)
    return {"windowEnd": [str(day) for day in days], "windowStart": [str(window_start(day)) for day in days]}


def batches() -> Columns:
    """Signed batches of the three kinds: 0 open, 1 private, 2 adjustment."""
    random = Random(3)
    columns: Columns = defaultdict(list)
    for case in range(30):
        secret = random.randbytes(32)
        key = SigningKey(secret)
        domain = SigningDomain(random.randint(1, 2**53), "0x" + random.randbytes(20).hex())
        gateway_id = f"gateway-{case}"
        day, sequence = random.randint(0, 2**32 - 1), random.randint(1, 255)
        replaces = random.randint(0, sequence - 1)
        changed, is_private, reason_hash = 0, False, bytes(32)
        chosen = sorted(random.sample(range(24), random.randint(1, 24)))
        open_payload = pack_open([OpenSection(h, tuple(_records(random, 1 + case % 4))) for h in chosen])
        private_payload = pack_private([_private_section(random, h) for h in chosen])
        batch: OpenBatch | PrivateBatch | Adjustment
        if case % 3 == 0:
            batch = OpenBatch(gateway_id, day, sequence, replaces, open_payload)
        elif case % 3 == 1:
            changed = random.randint(0, 2**16 - 1)
            batch = PrivateBatch(gateway_id, day, sequence, replaces, changed, private_payload)
        else:
            is_private, reason_hash = random.random() < 0.5, random.randbytes(32)
            changed = random.randint(0, 2**16 - 1) if is_private else 0
            payload = private_payload if is_private else open_payload
            batch = Adjustment(gateway_id, day, sequence, replaces, is_private, reason_hash, changed, payload)
        values = {
            "kind": str(case % 3),
            "chainId": str(domain.chain_id),
            "ledger": domain.ledger,
            "gatewayId": "0x" + to_bytes32(gateway_id).hex(),
            "day": str(day),
            "sequence": str(sequence),
            "replaces": str(replaces),
            "changedMembers": str(changed),
            "isPrivate": str(int(is_private)),
            "reasonHash": "0x" + reason_hash.hex(),
            "payload": "0x" + batch.payload.hex(),
            "digest": "0x" + batch.digest(domain).hex(),
            "signature": "0x" + batch.sign(key, domain).hex(),
            "signer": key.address,
        }
        for name, value in values.items():
            columns[name].append(value)
    return columns


def _records(random: Random, count: int) -> list[Record]:
    records = []
    for _ in range(count):
        status = random.choice(list(Status))
        energies = (0, 0) if status is Status.MISSING else (random.randrange(2**31), random.randrange(2**31))
        records.append(Record(status, *energies))
    return records


def _private_section(random: Random, hour: int) -> PrivateSection:
    kinds = sorted(random.sample([kind for kind in Kind if kind.may_be_private], random.randint(1, 4)))
    sums = (
        KindSum(kind, random.randrange(2**16), random.randrange(2**32), random.randrange(2**32))
        for kind in kinds
    )
    return PrivateSection(hour, random.randbytes(32), tuple(sums))


def merkle() -> Columns:
    """Trees of 1 to 20 members: `count` leaves and one proof (of `siblingCount` hashes) each."""
    random = Random(4)
    columns: Columns = defaultdict(list)
    for count in range(1, 21):
        readings = []
        for member in range(count):
            serial, salt = f"meter-{count}.{member}", random.randbytes(32)
            committed = commitment(serial, salt)
            reading = MemberReading(
                committed,
                random.randrange(2**32),
                random.randrange(2**32),
                random.randrange(2**32),
                random.randbytes(32),
            )
            readings.append(reading)
            columns["serial"].append("0x" + serial_to_bytes32(serial).hex())
            columns["memberSalt"].append("0x" + salt.hex())
            columns["commitment"].append("0x" + committed.hex())
            columns["hour"].append(str(reading.hour))
            columns["supplyWh"].append(str(reading.supply_wh))
            columns["drawWh"].append(str(reading.draw_wh))
            columns["salt"].append("0x" + reading.salt.hex())
            columns["leaf"].append("0x" + reading.leaf.hex())
        leaves = [reading.leaf for reading in readings]
        index = random.randrange(count)
        proof = prove(leaves, index)
        columns["count"].append(str(count))
        columns["root"].append("0x" + root(leaves).hex())
        columns["index"].append(str(index))
        columns["siblingCount"].append(str(len(proof.siblings)))
        columns["siblings"] += ["0x" + sibling.hex() for sibling in proof.siblings]
    return columns


def setpoints() -> Columns:
    """Signed proposals of an optimiser, of `count` set-points each (contracts.setpoint)."""
    random = Random(5)
    columns: Columns = defaultdict(list)
    for case in range(12):
        key = SigningKey(random.randbytes(32))
        domain = SetpointDomain(random.randint(1, 2**53), "0x" + random.randbytes(20).hex())
        day_s = random.randint(10_000, 30_000) * 86_400
        chosen = tuple(
            Setpoint(
                f"device-{device}", day_s + slot * length, length, random.randint(-MAX_POWER_W, MAX_POWER_W)
            )
            for device in range(1 + case % 3)
            for length in (random.choice((900, 3600)),)
            for slot in sorted(random.sample(range(24), 1 + case % 5))
        )
        proposal = SetpointProposal(
            f"district-{case}",
            f"gateway-{case}",
            f"model {case}.0 \u00f1",
            random.randbytes(32),
            random.randint(1, 2**63 - 1),
            day_s - random.randint(0, 3600),
            day_s,
            day_s + 86_400,
            chosen,
        )
        signed = proposal.sign(key, domain)
        values = {
            "chainId": str(domain.chain_id),
            "registry": domain.registry,
            "districtId": "0x" + to_bytes32(proposal.district).hex(),
            "gatewayId": "0x" + to_bytes32(proposal.gateway).hex(),
            "modelVersion": proposal.model_version,
            "inputsHash": "0x" + proposal.inputs_hash.hex(),
            "sequence": str(proposal.sequence),
            "createdTime": str(proposal.created_s),
            "validFrom": str(proposal.valid_from_s),
            "validUntil": str(proposal.valid_until_s),
            "count": str(len(chosen)),
            "digest": "0x" + signed.digest.hex(),
            "signature": "0x" + signed.signature.hex(),
            "signer": key.address,
        }
        for name, value in values.items():
            columns[name].append(value)
        for entry in chosen:
            columns["deviceId"].append("0x" + to_bytes32(entry.device).hex())
            columns["startTime"].append(str(entry.start_s))
            columns["durationS"].append(str(entry.duration_s))
            columns["powerW"].append(str(entry.power_w))
    return columns


def clearings() -> Columns:
    """Books and what they clear: of each its `bidCount` bids, then its `offerCount` offers, as Market sorts.

    The first is the one of domain.md §6. A cut that gives nobody more is as in Trade.sol.
    """
    random = Random(6)
    columns: Columns = defaultdict(list)
    for case in range(36):
        clearing = clear(_book(random, case))
        bids, offers = clearing.bid_margin, clearing.offer_margin
        values = {
            "bidCount": len(clearing.bids),
            "offerCount": len(clearing.offers),
            "volumeWh": clearing.volume_wh,
            "priceMicroEurPerKwh": clearing.price_micro_eur_per_kwh or 0,
            "bidMarginWh": bids.wanted_wh,
            "offerMarginWh": offers.wanted_wh,
            "bidRestWh": bids.available_wh,
            "offerRestWh": offers.available_wh,
            "bidCutFraction": bids.cut.fraction,
            "offerCutFraction": offers.cut.fraction,
        }
        for name, number in values.items():
            columns[name].append(str(number))
        columns["bidCutId"].append("0x" + bids.cut.id.hex())
        columns["offerCutId"].append("0x" + offers.cut.id.hex())
        for order, fill_wh in clearing.bids + clearing.offers:
            columns["orderHash"].append("0x" + order.id.hex())
            columns["orderPriceMicroEurPerKwh"].append(str(order.price_micro_eur_per_kwh))
            columns["orderQuantityWh"].append(str(order.quantity_wh))
            columns["orderFillWh"].append(str(fill_wh))
    return columns


def _book(random: Random, case: int) -> list[BookOrder]:
    """The book of domain.md §6, an empty one, one-sided ones, and random ones with ties and extremes."""
    if case == 0:
        bids = ((3, 2), (9, 2), (1, 2), (9, 2), (7, 3), (10, 3))
        offers = ((5, 1), (7, 2), (9, 2), (7, 1))
        return [BookOrder(random.randbytes(32), Side.BID, *order) for order in bids] + [
            BookOrder(random.randbytes(32), Side.OFFER, *order) for order in offers
        ]
    count = 0 if case == 1 else random.randint(2, 14)
    sides = {2: [Side.BID], 3: [Side.OFFER]}.get(case, list(Side))
    most_price, most_wh = ((3, 5), (0, 9), (5_000_000, LANE_MAX), (1, LANE_MAX))[case % 4]
    return [
        BookOrder(
            random.randbytes(32),
            random.choice(sides),
            random.randint(0, most_price),
            random.randint(1, most_wh),
        )
        for _ in range(count)
    ]


def baselines() -> Columns:
    """Baselines of events in 2025 and 2026, from the hours that can matter:

    An hour that is not listed is not complete. Without a baseline its values are none (`baselineCount` 0).
    """
    random = Random(7)
    columns: Columns = defaultdict(list)
    for case in range(40):
        event_day = parse_day("2025-03-01") + random.randrange(650)
        start, count = random.randrange(HOURS_PER_DAY), random.choice((1, 1, 2, 3, 24))
        count = min(count, HOURS_PER_DAY - start)
        event = range(event_day * HOURS_PER_DAY + start, event_day * HOURS_PER_DAY + start + count)
        ahead_s = random.choice((0, HOUR_S, HOUR_S + 1, 5 * HOUR_S, DAY_S, 20 * DAY_S))
        opened_s = event[0] * HOUR_S - ahead_s
        first_day = opened_s // DAY_S - random.choice((9, 14, 45, 60))
        scale = random.choice((2, 9, 5_000, LANE_MAX))
        shift = random.choice((-scale, -scale // 2, 0))
        shown = random.choice((1.0, 1.0, 0.9, 0.3, 0.02))
        clocks = {hour % HOURS_PER_DAY for hour in range(event[0] - 4, event[-1] + 1)}
        hours = {
            hour: shift + random.randint(0, scale)
            for hour in range(first_day * HOURS_PER_DAY, event[0])
            if hour % HOURS_PER_DAY in clocks and random.random() < shown
        }
        holidays = {event_day - place for place in range(60) if random.random() < 0.1}
        history = History(hours, first_day, holidays=frozenset(holidays))
        method, increase = BaselineMethod(case % 2), case % 4 >= 2
        found = compute_baseline(history, method, increase, event, opened_s)
        values = {
            "method": int(method),
            "increase": int(increase),
            "startHour": event[0],
            "eventHours": count,
            "openedAt": opened_s,
            "firstDay": first_day,
            "holidayCount": len(holidays),
            "dayCount": len(found.days),
            "baselineCount": len(found.baseline_wh or ()),
        }
        for name, number in values.items():
            columns[name].append(str(number))
        columns["holiday"] += [str(day) for day in sorted(holidays)]
        columns["dayUsed"] += [str(day) for day in found.days]
        columns["baselineWh"] += [str(value) for value in found.baseline_wh or ()]
        # Per hour 9 bytes: its number in 4, net import in 5, signed.
        packed = (hour.to_bytes(4) + value.to_bytes(5, signed=True) for hour, value in hours.items())
        columns["netImport"].append("0x" + b"".join(packed).hex())
    return columns


def files() -> dict[str, str]:
    """Name and content of every vector file."""
    makers = {
        "hours": hours,
        "days": days,
        "windows": windows,
        "batches": batches,
        "merkle": merkle,
        "setpoints": setpoints,
        "clearing": clearings,
        "baselines": baselines,
    }
    return {f"{name}.json": json.dumps(make(), separators=(",", ":")) + "\n" for name, make in makers.items()}


if __name__ == "__main__":
    for name, content in files().items():
        (FOLDER / name).write_text(content, "utf-8")
