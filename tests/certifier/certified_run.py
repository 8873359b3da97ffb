"""A certified district on anvil: one whole year of signed readings, a positive verdict, a certificate.

`Year` also offers what may happen afterwards: a compromised key, an adjustment, a scan, further days.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from contracts.boundary import GatewayBoundary
from contracts.chain import Chain
from contracts.contract_calls import Role
from contracts.hour import DAY_S, day_of, day_start
from contracts.keccak import keccak
from contracts.key import SigningKey
from contracts.ledger_calls import encode_record
from contracts.platform import FINALITY_S, Platform, deploy_platform
from contracts.point import Kind, PointDeclaration
from contracts.reading import Adjustment, OpenBatch, OpenSection, Record, Status, pack_open
from contracts.scheme import Scheme, StaticFactors, VintageFactors
from tests.contracts.nodes import GENESIS

GAS = 60_000_000
DISTRICT = "harbour"
GATEWAY = "harbour-plant"
SCHEME = Scheme(False, True, 0, 3000, 0, 1000, challenge_days=1)
VINTAGE = VintageFactors(0, 3000, 1000, StaticFactors(2000, 1800, 300, 2000, 1800, 300))
START_DAY = day_of(GENESIS) + 1
YEAR_DAYS = 365
WINDOW_END = START_DAY + YEAR_DAYS
CHUNK_DAYS = 6


def account(name: str) -> SigningKey:
    """A key that is the same in every run."""
    return SigningKey(keccak(b"certified run " + name.encode()))


def payload(export_wh: int, import_wh: int = 2_000, status: Status = Status.MEASURED) -> bytes:
    """A day that delivers `export_wh` net of its own use in every hour."""
    production = export_wh + 10_000 - import_wh
    records = (
        Record(status, import_wh, export_wh),
        Record(Status.MEASURED, production, 0),
        Record(Status.MEASURED, 0, 10_000),
    )
    return pack_open([OpenSection(hour, records) for hour in range(24)])


class Year:
    """The platform on a chain with one district; times are the chain's."""

    def __init__(self, chain: Chain) -> None:
        chain.set_next_block_time(GENESIS + 60)
        self.chain = chain
        deployment = deploy_platform(chain, account("admin"), "city", "City of Santa Cruz", gas=GAS)
        self.platform = Platform(chain, deployment)
        self.assessment = self.platform.assessment_id(DISTRICT, "total-static", "fixed")
        self.payloads: dict[tuple[int, int], bytes] = {}

    def send(self, name: str, sender: str, *arguments: object, **options: object) -> None:
        """A typed call of the platform, in its block."""
        call = getattr(self.platform, name)
        self.chain.wait(call(account(sender), *arguments, gas=GAS, **options))

    def set_up(self) -> None:
        """Organisations, scheme, vintage, district, boundary, assessment."""
        for organisation, member, role in (
            ("cabildo", "owner", Role.DISTRICT_OWNER),
            ("metering", "operator", Role.METER_OPERATOR),
            ("grid", "publisher", Role.FACTOR_PUBLISHER),
            ("audit", "auditor", Role.AUDITOR),
        ):
            self.send("register_organisation", "admin", organisation, organisation.title())
            self.send("enrol", "admin", account(member).address, organisation, role)
        self.send("register_scheme", "admin", "total-static", SCHEME)
        self.send("create_vintage", "publisher", "fixed", VINTAGE)
        self.send("register_district", "admin", DISTRICT, "la-palma", "cabildo", "metering")
        self.send("register_gateway", "operator", GATEWAY, DISTRICT, account("gateway").address)
        points = (
            PointDeclaration("grid-1", Kind.GRID, 100_000),
            PointDeclaration("pv-1", Kind.GENERATION, 100_000, renewable=True),
            PointDeclaration("load-1", Kind.LOAD, 100_000),
        )
        self.send("publish_boundary", "operator", DISTRICT, START_DAY, [GatewayBoundary(GATEWAY, points)])
        self.send("open_assessment", "owner", DISTRICT, "total-static", "fixed", START_DAY)

    def record(self, days: range, export_wh: int = 3_000, signer: str = "gateway") -> None:
        """A batch for each day, carried in one transaction after the last of them."""
        self.chain.mine(day_start(days.stop) + 300)
        calls = []
        for day in days:
            batch = OpenBatch(GATEWAY, day, 1, 0, payload(export_wh + 10 * (day % 7)))
            self.payloads[day, 1] = batch.payload
            signature = batch.sign(account(signer), self.platform.deployment.signing_domain)
            calls.append(encode_record(batch, signature))
        self.chain.wait(self.platform.record_many(account("relay"), calls, gas=GAS))

    def record_year(self) -> None:
        """Every day of the window."""
        for first in range(START_DAY, WINDOW_END, CHUNK_DAYS):
            self.record(range(first, min(first + CHUNK_DAYS, WINDOW_END)))

    def finalise(self) -> None:
        """Every day that is final by now."""
        self.chain.mine(day_start(WINDOW_END) + FINALITY_S + 60)
        for _ in range(-(-YEAR_DAYS // 30)):
            self.send("finalise", "relay", self.assessment, 30)

    def certify(self) -> None:
        """Application, provisional, request, challenge period, certificate 1."""
        self.send("apply_for_certificate", "owner", self.assessment)
        self.send("grant_provisional", "auditor", 1)
        self.send("request_certification", "relay", 1, WINDOW_END)
        self.chain.mine(self.now_s() + DAY_S + 60)
        self.send("confirm_certification", "relay", 1)

    def adjust(self, day: int, content: bytes) -> None:
        """A final day is corrected by meter operator and auditor."""
        message = Adjustment(GATEWAY, day, 2, 1, False, keccak(b"report"), 0, content)
        domain = self.platform.deployment.signing_domain
        signatures = (message.sign(account("operator"), domain), message.sign(account("auditor"), domain))
        self.send("adjust", "relay", message, *signatures, self.payloads[day, 1])

    def now_s(self) -> int:
        """Unix time of the newest block."""
        return self.chain.block().time_s


@contextmanager
def rewound(year: Year) -> Iterator[Year]:
    """Whatever is sent inside is undone at the end, as by a reorganisation."""
    mark = year.chain.request("evm_snapshot")
    payloads = dict(year.payloads)
    try:
        yield year
    finally:
        year.chain.request("evm_revert", mark)
        year.chain = Chain(year.chain.url, gas_price_wei=0)
        year.platform = Platform(year.chain, year.platform.deployment)
        year.payloads = payloads


def certified_year(chain: Chain) -> Year:
    """The year up to its certificate."""
    year = Year(chain)
    year.set_up()
    year.record_year()
    year.finalise()
    year.certify()
    return year
