"""A platform on a chain with its organisations, ready for districts of `worlds`."""

from collections.abc import Mapping, Sequence
from random import Random

from contracts.boundary import GatewayBoundary, MemberDeclaration
from contracts.chain import Chain
from contracts.chain_data import Receipt
from contracts.contract_calls import Role
from contracts.factor import FactorHour
from contracts.hour import HOURS_PER_DAY, day_start
from contracts.keccak import keccak
from contracts.key import SigningKey
from contracts.platform import Platform, deploy_platform
from contracts.point import PointDeclaration
from contracts.reading import (
    KindSum,
    OpenBatch,
    OpenSection,
    PrivateBatch,
    PrivateSection,
    Record,
    pack_open,
    pack_private,
)
from contracts.scheme import CarrierFactors, Scheme, StaticFactors, VintageFactors
from tests.contracts.nodes import key
from tests.contracts.worlds import Site

GAS = 30_000_000
MINIMUM_MEMBERS = 5
ADMIN, OPERATOR, PUBLISHER, AUDITOR, OWNER, CARRIER = (key(number) for number in range(101, 107))
MARKET_PUBLISHER = key(107)
"""Publishes imbalance prices and holidays."""


class Town:
    """One platform; districts, schemes and vintages of any number."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.platform = Platform(chain, deploy_platform(chain, ADMIN, "authority", "Authority"))
        for name, account, role in (
            ("operator", OPERATOR, Role.METER_OPERATOR),
            ("publisher", PUBLISHER, Role.FACTOR_PUBLISHER),
            ("auditor", AUDITOR, Role.AUDITOR),
            ("owner", OWNER, Role.DISTRICT_OWNER),
        ):
            self.do(self.platform.register_organisation(ADMIN, name, name.title(), gas=GAS))
            self.do(self.platform.enrol(ADMIN, account.address, name, role, gas=GAS))
        role = Role.FACTOR_PUBLISHER
        self.do(self.platform.enrol(ADMIN, MARKET_PUBLISHER.address, "authority", role, gas=GAS))

    def do(self, transaction: bytes) -> Receipt:
        """Wait until a transaction has succeeded."""
        return self.chain.wait(transaction)

    def move_to(self, time_s: int) -> None:
        """Let the chain's clock stand at `time_s` (unix seconds)."""
        self.chain.mine(time_s)

    def found_district(
        self, district_id: str, zone: str, sites: Sequence[Site], from_day: int, owner: str = "owner"
    ) -> None:
        """A district of an organisation whose gateways are the sites, from a day on."""
        self.do(
            self.platform.register_district(
                ADMIN, district_id, zone, owner, "operator", MINIMUM_MEMBERS, gas=GAS
            )
        )
        for site in sites:
            address = gateway_key(site.gateway_id).address
            self.do(self.platform.register_gateway(OPERATOR, site.gateway_id, district_id, address, gas=GAS))
        changes = [boundary_of(site) for site in sites]
        self.do(self.platform.publish_boundary(OPERATOR, district_id, from_day, changes, gas=GAS))

    def publish(self, vintage_id: str, zone: str, day: int, hours: Sequence[FactorHour]) -> None:
        """Publish a day's factors."""
        self.do(self.platform.publish_day(PUBLISHER, vintage_id, zone, day, hours, gas=GAS))

    def record(
        self, batch: OpenBatch | PrivateBatch, old_payload: bytes = b"", signer: SigningKey | None = None
    ) -> Receipt:
        """Sign a batch as its gateway and carry it."""
        signing = signer or gateway_key(batch.gateway_id)
        signature = batch.sign(signing, self.platform.deployment.signing_domain)
        return self.do(self.platform.record(CARRIER, batch, signature, old_payload, gas=GAS))


def gateway_key(gateway_id: str) -> SigningKey:
    """The first key of a gateway."""
    return SigningKey(keccak(gateway_id.encode()))


def boundary_of(site: Site) -> GatewayBoundary:
    """The declaration of a site's points."""
    return GatewayBoundary(
        site.gateway_id,
        tuple(
            PointDeclaration(
                f"{site.gateway_id}-p{n}", meter.kind, meter.nameplate_w, meter.efficiency_permille
            )
            for n, meter in enumerate(site.meters)
        ),
        tuple(
            MemberDeclaration(
                keccak(f"{site.gateway_id}-m{n}".encode()),
                meter.kind,
                meter.nameplate_w,
                meter.efficiency_permille,
            )
            for n, meter in enumerate(site.members)
        ),
    )


def open_payload(records: Mapping[int, Sequence[Record]]) -> bytes:
    """Payload of an open batch with these hours of the day."""
    return pack_open([OpenSection(hour, tuple(records[hour])) for hour in sorted(records)])


def private_payload(sums: Mapping[int, Sequence[KindSum]]) -> bytes:
    """Payload of a private batch with these hours of the day."""
    return pack_private(
        [PrivateSection(hour, keccak(bytes((hour,))), tuple(sums[hour])) for hour in sorted(sums)]
    )


def random_scheme(random: Random) -> Scheme:
    """Any scheme that a vintage of `random_vintage` fits."""
    is_static, non_renewable = random.random() < 0.3, random.random() < 0.3
    f_min = 0 if non_renewable else random.choice((0, 1000))
    return Scheme(
        non_renewable=non_renewable,
        is_static=is_static,
        f_min=f_min,
        f_max=random.randint(2500, 4000),
        g_min=0,
        g_max=random.randint(800, 1200),
        tolerance_bp=random.choice((0, 200, 1000)),
        tolerance_wh=random.choice((0, 50, 5000)),
        minimum_members=MINIMUM_MEMBERS,
    )


def random_vintage(random: Random) -> VintageFactors:
    """A vintage of factors from 1,000 to 2,500 and up to 800 g/kWh."""
    most, ghg_most = 2500, 800

    def pair(limit: int, least: int = 0) -> tuple[int, int]:
        bought = random.randint(least, limit)
        return bought, random.randint(least, bought)

    carriers = []
    for number in sorted(random.sample(range(1, 9), random.randint(0, 8))):
        (total, export_total), (part, export_part), (ghg, export_ghg) = pair(most), pair(most), pair(ghg_most)
        carriers.append(CarrierFactors(number, total, part, ghg, export_total, export_part, export_ghg))
    (total, export_total), (part, export_part), (ghg, export_ghg) = (
        pair(most, 1000),
        pair(1000),
        pair(ghg_most),
    )
    static = StaticFactors(total, part, ghg, export_total, export_part, export_ghg)
    return VintageFactors(1000, most, ghg_most, static, tuple(carriers))


def random_factors(random: Random) -> list[FactorHour]:
    """A day within the range of `random_vintage`."""

    def hour() -> FactorHour:
        total, part = random.randint(1000, 2500), random.randint(0, 2500)
        marginal, marginal_part = random.randint(1000, 2500), random.randint(0, 2500)
        ghg = random.randint(0, 800), random.randint(0, 800)
        return FactorHour(total, marginal, part, marginal_part, *ghg)

    return [hour() for _ in range(HOURS_PER_DAY)]


def final_time(day: int, finality_s: int) -> int:
    """Unix time from which a day is final."""
    return day_start(day + 1) + finality_s
