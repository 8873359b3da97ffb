"""A small real run: the contracts on the embedded chain, two districts, a few days of signed readings.

Used by the tests of proof bundles and pages. Everything is sent as the platform's users would send it;
nothing is written behind the contracts' backs.
"""

import math
from dataclasses import dataclass, field
from typing import Any

from contracts.chain import Chain
from contracts.deployment import CONTRACTS, Deployment
from contracts.evidence import AdjustmentBatch, Batch
from contracts.examination import BatchKey, SignedBatch
from contracts.factor import FactorHour, pack_day
from contracts.hour import DAY_S, day_of, day_start
from contracts.keccak import keccak
from contracts.key import SigningKey
from contracts.platform import deploy_platform
from contracts.point import Kind
from contracts.privacy import MemberReading, commitment, in_order, root
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
from contracts.slug import serial_to_bytes32, to_bytes32
from tests.contracts.nodes import GENESIS

FINALITY_S = 7 * DAY_S
FIRST_DAY = day_of(GENESIS) + 1
MEMBERS = 6


def account(name: str) -> SigningKey:
    """A key that is the same in every run."""
    return SigningKey(keccak(b"small run " + name.encode()))


def role(name: str) -> bytes:
    """Identifier of a role; the scheme administrator's is zero."""
    return bytes(32) if name == "SCHEME_ADMIN" else keccak(name.encode())


@dataclass
class SmallRun:
    """The platform on a chain, and what was sent."""

    chain: Chain
    deployment: Deployment = field(init=False)
    """Where the contracts are."""
    addresses: dict[str, str] = field(default_factory=dict)
    batches: dict[BatchKey, SignedBatch] = field(default_factory=dict)
    assessments: dict[str, bytes] = field(default_factory=dict)
    certificates: dict[str, int] = field(default_factory=dict)

    @property
    def domain(self) -> SigningDomain:
        """What gateways sign for."""
        return SigningDomain(self.chain.chain_id, self.addresses["Ledger"])

    def send(self, sender: str, contract: str, function: str, *arguments: Any) -> None:
        """A transaction, in a block of its own."""
        transaction = self.chain.send(
            account(sender), self.addresses[contract], contract, function, *arguments, gas=8_000_000
        )
        self.chain.wait(transaction)

    def at(self, time_s: int) -> None:
        """The next block has this Unix time."""
        self.chain.mine(time_s)

    def find(self, key: BatchKey) -> SignedBatch:
        """A batch that was sent."""
        return self.batches[key]

    def set_up(self) -> None:
        """Contracts, organisations, scheme and factor vintage."""
        admin = account("admin")
        self.chain.set_next_block_time(GENESIS + 60)
        self.deployment = deploy_platform(
            self.chain, admin, "city", "City of Santa Cruz", finality_s=FINALITY_S
        )
        self.addresses = {name: self.deployment.address(name) for name in CONTRACTS}
        for organisation, name, member, role_name in (
            ("cabildo", "Cabildo de La Palma", "owner", "DISTRICT_OWNER"),
            ("metering", "Metering Canarias", "operator", "METER_OPERATOR"),
            ("grid", "Grid Operator of the Canaries", "publisher", "FACTOR_PUBLISHER"),
            ("audit", "Auditors of Tenerife", "auditor", "AUDITOR"),
        ):
            self.send("admin", "Registry", "registerOrganisation", to_bytes32(organisation), name)
            self.send(
                "admin",
                "Registry",
                "enrol",
                account(member).address,
                to_bytes32(organisation),
                role(role_name),
            )
        scheme = (False, False, 0, 3000, 0, 1000, 200, 50, 5, 1, 14, 30, 365)
        self.send("admin", "Registry", "registerScheme", to_bytes32("total-dynamic"), scheme)
        electricity = (2500, 2400, 700, 2500, 2400, 700)
        self.send(
            "publisher",
            "Factors",
            "createVintage",
            to_bytes32("measured"),
            bytes(32),
            0,
            3000,
            1000,
            electricity,
            [],
        )

    def add_district(self, district: str, capacity_kw: int) -> None:
        """A district with one plant gateway and, where `capacity_kw` is above 200, one of households."""
        self.send(
            "admin",
            "Registry",
            "registerDistrict",
            to_bytes32(district),
            to_bytes32("la-palma"),
            to_bytes32("cabildo"),
            to_bytes32("metering"),
            5,
        )
        plant = f"{district}-plant"
        self.send(
            "operator",
            "Registry",
            "registerGateway",
            to_bytes32(plant),
            to_bytes32(district),
            account(plant).address,
        )
        points = [
            (serial_to_bytes32(f"{district}-grid"), Kind.GRID, False, 8, 0, 500_000, 0),
            (serial_to_bytes32(f"{district}-pv"), Kind.GENERATION, True, 8, 0, 1000 * capacity_kw, 0),
            (serial_to_bytes32(f"{district}-load"), Kind.LOAD, False, 8, 0, 200_000, 0),
        ]
        changes: list[Any] = [(to_bytes32(plant), points, [])]
        if capacity_kw > 200:
            homes = f"{district}-homes"
            self.send(
                "operator",
                "Registry",
                "registerGateway",
                to_bytes32(homes),
                to_bytes32(district),
                account(homes).address,
            )
            members = [(home(number), Kind.LOAD, False, 0, 0, 10_000, 0) for number in range(MEMBERS)]
            changes.append((to_bytes32(homes), [], members))
        self.send("operator", "Registry", "publishBoundary", to_bytes32(district), FIRST_DAY, changes)
        self.send(
            "owner",
            "Assessments",
            "openAssessment",
            to_bytes32(district),
            to_bytes32("total-dynamic"),
            to_bytes32("measured"),
            FIRST_DAY,
        )
        names = (district, "total-dynamic", "measured")
        self.assessments[district] = keccak(b"".join(map(to_bytes32, names)))

    def record(
        self, gateway: str, day: int, payload: bytes, replaces: int = 0, private: bool = False
    ) -> None:
        """A day's batch, signed with the gateway's key."""
        sequence = 1 + max(
            (key.sequence for key in self.batches if key[:3] == (gateway, day, private)), default=0
        )
        key = BatchKey(gateway, day, private, sequence)
        changed = MEMBERS if private and replaces else 0
        message: OpenBatch | PrivateBatch
        fields: tuple[Any, ...] = (to_bytes32(gateway), day, sequence, replaces)
        if private:
            message = PrivateBatch(gateway, day, sequence, replaces, changed, payload)
            fields = (*fields, changed, payload)
        else:
            message = OpenBatch(gateway, day, sequence, replaces, payload)
            fields = (*fields, payload)
        signature = message.sign(account(gateway), self.domain)
        arguments: list[Any] = [fields, signature]
        if replaces:
            old = self.batches[key._replace(sequence=replaces)]
            arguments.append(bytes.fromhex(old.payload[2:]))
        verb = "correct" if replaces else "record"
        self.send("relay", "Ledger", f"{verb}{'Private' if private else 'Open'}", *arguments)
        self.batches[key] = Batch(
            gateway_id=gateway,
            day=day,
            stream="private" if private else "open",
            sequence=sequence,
            replaces=replaces,
            changed_members=changed,
            payload="0x" + payload.hex(),
            signature="0x" + signature.hex(),
        )

    def adjust(self, gateway: str, day: int, payload: bytes, replaces: int) -> None:
        """An adjustment of a final day."""
        sequence = 1 + max(key.sequence for key in self.batches if key[:3] == (gateway, day, False))
        reason = keccak(b"meter report 7")
        message = Adjustment(gateway, day, sequence, replaces, False, reason, 0, payload)
        signatures = [message.sign(account(name), self.domain) for name in ("operator", "auditor")]
        fields = (to_bytes32(gateway), day, sequence, replaces, False, reason, 0, payload)
        old = self.batches[BatchKey(gateway, day, False, replaces)]
        self.send("relay", "Ledger", "adjust", fields, bytes.fromhex(old.payload[2:]), *signatures)
        self.batches[BatchKey(gateway, day, False, sequence)] = AdjustmentBatch(
            gateway_id=gateway,
            day=day,
            stream="open",
            sequence=sequence,
            replaces=replaces,
            reason_hash="0x" + reason.hex(),
            changed_members=0,
            payload="0x" + payload.hex(),
            operator_signature="0x" + signatures[0].hex(),
            auditor_signature="0x" + signatures[1].hex(),
        )

    def publish_factors(self, day: int) -> None:
        """A day's factors: cheaper at noon."""
        hours = [
            FactorHour(2400 - 20 * sun, 2750, 2300 - 20 * sun, 2700, 600, 700)
            for sun in map(sunshine, range(24))
        ]
        self.send(
            "publisher",
            "Factors",
            "publishDay",
            to_bytes32("measured"),
            to_bytes32("la-palma"),
            day,
            pack_day(hours),
        )

    def apply(self, district: str) -> None:
        """Apply for a certificate and grant the provisional one."""
        self.send("owner", "Certificates", "applyFor", self.assessments[district])
        number = len(self.certificates) + 1
        self.certificates[district] = number
        self.send("auditor", "Certificates", "grantProvisional", number)


def sunshine(hour_of_day: int) -> int:
    """0 at night to 10 at noon."""
    return max(0, round(10 * math.sin(math.pi * (hour_of_day - 6) / 12)))


def plant_day(
    capacity_kw: int, day: int, hours: range = range(24), statuses: dict[int, Status] | None = None
) -> bytes:
    """An open payload: grid, photovoltaics, load."""
    sections = []
    for hour in hours:
        weather = 0.5 + 0.5 * abs(math.sin(day * 1.7))
        production = round(100 * capacity_kw * sunshine(hour) * 0.8 * weather)
        consumption = 40_000 + 2_000 * ((hour * 7 + day) % 9) + (15_000 if 18 <= hour < 22 else 0)
        homes = 6_000 if capacity_kw > 200 else 0
        net = production - consumption - homes
        status = (statuses or {}).get(hour, Status.MEASURED)
        grid = Record(status, 0, 0) if status is Status.MISSING else Record(status, max(0, -net), max(0, net))
        sections.append(
            OpenSection(
                hour,
                (
                    grid,
                    Record(Status.MEASURED, production, 0),
                    Record(Status.MEASURED, 0, consumption),
                ),
            )
        )
    return pack_open(sections)


def home(number: int) -> bytes:
    """Commitment to the meter of a household."""
    return commitment(f"home-{number}", keccak(f"home {number}".encode()))


def home_readings(hour: int, shift_wh: int = 0) -> list[MemberReading]:
    """What the households used in an hour; 6,000 Wh and the shift in all."""
    return [
        MemberReading(
            home(number),
            hour,
            0,
            500 + 200 * number + (shift_wh if number == 0 else 0),
            keccak(f"salt {number} {hour} {shift_wh}".encode()),
        )
        for number in range(MEMBERS)
    ]


def homes_day(day: int, hours: range = range(24), shift_wh: int = 0) -> bytes:
    """A private payload of the households' load."""
    sections = []
    for hour in hours:
        readings = home_readings(24 * day + hour, shift_wh)
        top = root([reading.leaf for reading in in_order(readings)])
        total = sum(reading.draw_wh for reading in readings)
        sections.append(PrivateSection(hour, top, (KindSum(Kind.LOAD, MEMBERS, 0, total),)))
    return pack_private(sections)


def run(chain: Chain, days: int) -> SmallRun:
    """The finished run of some days on a chain whose clock stands at GENESIS.

    The first day has a correction, the second a gap, a missing and an estimated grid record, the third (if
    there is one) an adjustment after it was final.
    """
    small = SmallRun(chain)
    small.set_up()
    small.add_district("barlovento", 300)
    small.add_district("garafia", 150)
    for number in range(days):
        day = FIRST_DAY + number
        small.at(day_start(day + 1) + 600)
        for district, capacity in (("barlovento", 300), ("garafia", 150)):
            plant = f"{district}-plant"
            if number == 1 and district == "barlovento":
                small.record(
                    plant,
                    day,
                    plant_day(capacity, day, range(4, 24), {9: Status.MISSING, 10: Status.ESTIMATED}),
                )
            else:
                small.record(plant, day, plant_day(capacity, day))
        small.record("barlovento-homes", day, homes_day(day, range(12)), private=True)
        small.record("barlovento-homes", day, homes_day(day, range(12, 24)), private=True)
        if number == 0:
            small.record("barlovento-plant", day, plant_day(300, day + 3, range(5, 9)), replaces=1)
            small.record("barlovento-homes", day, homes_day(day, range(3), 100), replaces=1, private=True)
        small.publish_factors(day)
    small.at(day_start(FIRST_DAY + days) + FINALITY_S + 600)
    for identifier in small.assessments.values():
        for _ in range(-(-days // 20)):
            small.send("relay", "Assessments", "finalise", identifier, 20)
    for district in small.assessments:
        small.apply(district)
    if days > 2:
        small.adjust("barlovento-plant", FIRST_DAY + 2, plant_day(300, FIRST_DAY + 9, range(8, 12)), 1)
        small.send("relay", "Assessments", "bookAdjustments", small.assessments["barlovento"], 10)
    return small
