"""Founds the world of a replay on chain: contracts, organisations, scheme, vintage, districts, gateways."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from contracts.boundary import GatewayBoundary, MemberDeclaration
from contracts.chain import Chain
from contracts.contract_calls import Role
from contracts.factor import round_half_up
from contracts.key import SigningKey
from contracts.platform import FINALITY_S, Platform, deploy_platform
from contracts.point import CARRIERS
from contracts.privacy import commitment
from contracts.scheme import CarrierFactors, Scheme, StaticFactors, VintageFactors
from scripts.replay.config import (
    CarrierTable,
    DistrictTable,
    ElectricityTable,
    FactorsTable,
    ReplayConfig,
    SchemeTable,
)
from scripts.replay.gateways import GatewaySetting

GAS = 60_000_000
"""Given instead of estimated, which halves the work of the chain; what is not used costs nothing."""
ADMINISTRATOR, PUBLISHER, AUDITOR = "certification-body", "grid-observatory", "audit-house"
OPERATOR = "meter-operator"


@dataclass(frozen=True)
class Accounts:
    """The keys of the people of a replay, each of another organisation."""

    administrator: SigningKey = field(default_factory=SigningKey.generate)
    publisher: SigningKey = field(default_factory=SigningKey.generate)
    auditor: SigningKey = field(default_factory=SigningKey.generate)
    operator: SigningKey = field(default_factory=SigningKey.generate)
    caller: SigningKey = field(default_factory=SigningKey.generate)
    """Holds no role: finalises days and confirms, which anyone may."""
    owners: dict[str, SigningKey] = field(default_factory=dict)
    """Of the districts, by organisation."""


class Founder:
    """Founds the world, and keeps the platform and the accounts for what comes later."""

    def __init__(self, chain: Chain, accounts: Accounts, deployment_file: Path) -> None:
        """Create the contracts and write the deployment file. Raises as `deploy_platform` does."""
        self.chain = chain
        self.accounts = accounts
        deployment = deploy_platform(
            chain,
            accounts.administrator,
            ADMINISTRATOR,
            "Certification body",
            finality_s=FINALITY_S,
            gas=GAS,
        )
        deployment.save(deployment_file)
        self.platform = Platform(chain, deployment)

    def do(self, call: Callable[..., bytes], *arguments: Any) -> None:
        """Send a call of the platform and see it succeed. Raises ContractError and what the chain raises."""
        self.chain.wait(call(*arguments, gas=GAS))

    def register(self, config: ReplayConfig, settings: Sequence[GatewaySetting]) -> None:
        """Organisations, scheme, vintage, districts, gateways and the first boundaries."""
        accounts, platform = self.accounts, self.platform
        self.enrol(accounts.publisher, PUBLISHER, "Grid observatory", Role.FACTOR_PUBLISHER)
        self.enrol(accounts.auditor, AUDITOR, "Audit house", Role.AUDITOR)
        self.enrol(accounts.operator, OPERATOR, "Meter operator", Role.METER_OPERATOR)
        for owner in dict.fromkeys(district.owner for district in config.district):
            accounts.owners[owner] = SigningKey.generate()
            self.enrol(accounts.owners[owner], owner, owner.replace("-", " ").title(), Role.DISTRICT_OWNER)
        scheme = scheme_of(config.scheme)
        self.do(platform.register_scheme, accounts.administrator, config.scheme.id, scheme)
        vintage = vintage_of(config.factors, config.scheme)
        self.do(platform.create_vintage, accounts.publisher, config.factors.vintage, vintage)
        for district in config.district:
            self._register_district(config, district, [s for s in settings if s.district is district])

    def enrol(self, key: SigningKey, organisation: str, name: str, role: Role) -> None:
        """Register an organisation with its one account."""
        administrator = self.accounts.administrator
        self.do(self.platform.register_organisation, administrator, organisation, name)
        self.do(self.platform.enrol, administrator, key.address, organisation, role)

    def _register_district(
        self, config: ReplayConfig, district: DistrictTable, settings: Sequence[GatewaySetting]
    ) -> None:
        platform, operator = self.platform, self.accounts.operator
        self.do(
            platform.register_district,
            self.accounts.administrator,
            district.id,
            config.zone,
            district.owner,
            OPERATOR,
            district.minimum_members,
        )
        for setting in settings:
            self.do(platform.register_gateway, operator, setting.id, district.id, setting.key.address)
        changes = [gateway_boundary(setting) for setting in settings]
        self.do(platform.publish_boundary, operator, district.id, config.first_day_number, changes)


def permille(factor: Decimal) -> int:
    """A factor in 1/1000, rounded half up."""
    return round_half_up(factor * 1000)


def scheme_of(table: SchemeTable) -> Scheme:
    """The scheme as the Registry takes it. A vintage promises no least GHG or non-renewable factor: 0."""
    return Scheme(
        non_renewable=table.primary_energy == "non-renewable",
        is_static=table.factors == "static",
        f_min=permille(table.pef_min),
        f_max=permille(table.pef_max),
        g_min=0,
        g_max=round_half_up(table.ghg_max_g_per_kwh),
        tolerance_bp=round_half_up(table.tolerance_percent * 100),
        tolerance_wh=table.tolerance_wh,
        minimum_members=table.minimum_members,
        quorum=table.quorum,
        challenge_days=table.challenge_days,
        decision_days=table.decision_days,
        validity_days=table.validity_days,
    )


def vintage_of(factors: FactorsTable, scheme: SchemeTable) -> VintageFactors:
    """The vintage, with the scheme's range."""
    return VintageFactors(
        permille(scheme.pef_min),
        permille(scheme.pef_max),
        round_half_up(scheme.ghg_max_g_per_kwh),
        static_factors(factors.electricity, scheme),
        tuple(sorted(map(carrier_factors, factors.carrier), key=lambda carrier: carrier.carrier)),
    )


def static_factors(table: ElectricityTable | None, scheme: SchemeTable) -> StaticFactors:
    """Static factors of electricity; without any the scheme's least favourable ones, which flatter nobody."""
    most, least = permille(scheme.pef_max), permille(scheme.pef_min)
    if table is None:
        return StaticFactors(most, most, round_half_up(scheme.ghg_max_g_per_kwh), least, 0, 0)
    return StaticFactors(
        permille(table.import_pef),
        permille(table.import_non_renewable_pef),
        round_half_up(table.import_ghg_g_per_kwh),
        permille(table.export_pef),
        permille(table.export_non_renewable_pef),
        round_half_up(table.export_ghg_g_per_kwh),
    )


def carrier_factors(table: CarrierTable) -> CarrierFactors:
    """Factors of another carrier."""
    number = next(kind.carrier for kind in CARRIERS if kind.name.lower() == table.carrier)
    return CarrierFactors(
        number,
        permille(table.bought_pef),
        permille(table.bought_non_renewable_pef),
        round_half_up(table.bought_ghg_g_per_kwh),
        permille(table.export_pef),
        permille(table.export_non_renewable_pef),
        round_half_up(table.export_ghg_g_per_kwh),
    )


def gateway_boundary(setting: GatewaySetting) -> GatewayBoundary:
    """A gateway's part of the boundary; a member is known by a salted commitment only (domain.md §8)."""
    members = (point.declaration() for point in setting.table.member)
    return GatewayBoundary(
        setting.id,
        tuple(point.declaration() for point in setting.table.point),
        tuple(
            MemberDeclaration(
                commitment(member.serial, setting.salts[member.serial]),
                member.kind,
                member.nameplate_w,
                member.efficiency_permille,
                member.register_digits,
                member.renewable,
                member.capacity_wh,
            )
            for member in members
        ),
    )
