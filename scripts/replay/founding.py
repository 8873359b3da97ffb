"""Founds the world of a replay on chain: contracts, organisations, scheme, vintage, districts, gateways."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from contracts.chain import Chain
from contracts.factor import round_half_up
from contracts.hour import DAY_S
from contracts.keccak import keccak
from contracts.key import SigningKey
from contracts.point import CARRIERS, PointDeclaration
from contracts.privacy import commitment
from contracts.slug import serial_to_bytes32, to_bytes32
from scripts.replay.config import CarrierTable, DistrictTable, ElectricityTable, ReplayConfig, SchemeTable
from scripts.replay.gateways import GatewaySetting

GAS = 60_000_000
"""Given instead of estimated, which halves the work of the chain; what is not used costs nothing."""
FINALITY_S = 7 * DAY_S
ADMINISTRATOR, PUBLISHER, AUDITOR = "certification-body", "grid-observatory", "audit-house"


@dataclass(frozen=True)
class Accounts:
    """The keys of the people of a replay, each of another organisation."""

    administrator: SigningKey = field(default_factory=SigningKey.generate)
    publisher: SigningKey = field(default_factory=SigningKey.generate)
    auditor: SigningKey = field(default_factory=SigningKey.generate)
    operator: SigningKey = field(default_factory=SigningKey.generate)
    owner: SigningKey = field(default_factory=SigningKey.generate)
    caller: SigningKey = field(default_factory=SigningKey.generate)
    """Holds no role: finalises days and confirms, which anyone may."""


class Founder:
    """Sends the founding transactions and keeps the addresses."""

    def __init__(self, chain: Chain, accounts: Accounts) -> None:
        self.chain = chain
        self.accounts = accounts
        self.addresses: dict[str, str] = {}

    def deploy(self, deployment: Path) -> None:
        """Create the five contracts and write the deployment file."""
        administrator = self.accounts.administrator
        chain = self.chain
        block = chain.head()
        registry = chain.deploy(
            administrator,
            "Registry",
            administrator.address,
            to_bytes32(ADMINISTRATOR),
            "Certification body",
            gas=GAS,
        )
        factors = chain.deploy(administrator, "Factors", registry, gas=GAS)
        ledger = chain.deploy(administrator, "Ledger", registry, FINALITY_S, gas=GAS)
        assessments = chain.deploy(administrator, "Assessments", registry, factors, ledger, gas=GAS)
        certificates = chain.deploy(administrator, "Certificates", registry, assessments, gas=GAS)
        self.addresses = {
            "Registry": registry,
            "Factors": factors,
            "Ledger": ledger,
            "Assessments": assessments,
            "Certificates": certificates,
        }
        content: dict[str, Any] = {"chain_id": chain.chain_id, "rpc_url": chain.url}
        content |= {name.lower(): address for name, address in self.addresses.items()}
        deployment.write_text(json.dumps(content | {"deployed_block": block}, indent=2) + "\n", "utf-8")

    def send(self, key: SigningKey, contract: str, function: str, *arguments: Any) -> None:
        """Send a transaction and see it succeed. Raises ContractError and what the chain raises."""
        address = self.addresses[contract]
        self.chain.wait(self.chain.send(key, address, contract, function, *arguments, gas=GAS))

    def call(self, contract: str, function: str, *arguments: Any) -> Any:
        """What a function returns, at the time of the newest block."""
        return self.chain.call(self.addresses[contract], contract, function, *arguments)

    def register(self, config: ReplayConfig, settings: Sequence[GatewaySetting]) -> None:
        """Organisations, scheme, vintage, districts, gateways and the first boundaries."""
        accounts = self.accounts
        self._enrol(accounts.publisher, PUBLISHER, "Grid observatory", "FACTOR_PUBLISHER")
        self._enrol(accounts.auditor, AUDITOR, "Audit house", "AUDITOR")
        self._enrol(accounts.operator, "meter-operator", "Meter operator", "METER_OPERATOR")
        self._enrol(accounts.owner, "municipality", "Municipality", "DISTRICT_OWNER")
        administrator = accounts.administrator
        scheme_id = to_bytes32(config.scheme.id)
        self.send(administrator, "Registry", "registerScheme", scheme_id, scheme_record(config.scheme))
        self._create_vintage(config)
        for district in config.district:
            self._register_district(config, district, [s for s in settings if s.district is district])

    def _enrol(self, key: SigningKey, organisation: str, name: str, role: str) -> None:
        administrator = self.accounts.administrator
        self.send(administrator, "Registry", "registerOrganisation", to_bytes32(organisation), name)
        self.send(
            administrator, "Registry", "enrol", key.address, to_bytes32(organisation), keccak(role.encode())
        )

    def _create_vintage(self, config: ReplayConfig) -> None:
        scheme = config.scheme
        self.send(
            self.accounts.publisher,
            "Factors",
            "createVintage",
            to_bytes32(config.factors.vintage),
            bytes(32),
            permille(scheme.pef_min),
            permille(scheme.pef_max),
            round_half_up(scheme.ghg_max_g_per_kwh),
            static_factors(config.factors.electricity, scheme),
            sorted(carrier_factors(carrier) for carrier in config.factors.carrier),
        )

    def _register_district(
        self, config: ReplayConfig, district: DistrictTable, settings: Sequence[GatewaySetting]
    ) -> None:
        district_id = to_bytes32(district.id)
        self.send(
            self.accounts.administrator,
            "Registry",
            "registerDistrict",
            district_id,
            to_bytes32(config.zone),
            to_bytes32("municipality"),
            to_bytes32("meter-operator"),
            district.minimum_members,
        )
        operator = self.accounts.operator
        for setting in settings:
            gateway_id = to_bytes32(setting.id)
            self.send(operator, "Registry", "registerGateway", gateway_id, district_id, setting.key.address)
        changes = [gateway_boundary(setting) for setting in settings]
        self.send(operator, "Registry", "publishBoundary", district_id, config.first_day_number, changes)


def permille(factor: Decimal) -> int:
    """A factor in 1/1000, rounded half up."""
    return round_half_up(factor * 1000)


def scheme_record(scheme: SchemeTable) -> tuple[Any, ...]:
    """The scheme as the Registry takes it. A vintage promises no least GHG or non-renewable factor: 0."""
    return (
        scheme.primary_energy == "non-renewable",
        scheme.factors == "static",
        permille(scheme.pef_min),
        permille(scheme.pef_max),
        0,
        round_half_up(scheme.ghg_max_g_per_kwh),
        round_half_up(scheme.tolerance_percent * 100),
        scheme.tolerance_wh,
        scheme.minimum_members,
        scheme.quorum,
        scheme.challenge_days,
        scheme.decision_days,
        scheme.validity_days,
    )


def static_factors(table: ElectricityTable | None, scheme: SchemeTable) -> tuple[int, ...]:
    """Static factors of electricity; without any the scheme's least favourable ones, which flatter nobody."""
    most, least = permille(scheme.pef_max), permille(scheme.pef_min)
    if table is None:
        return most, most, round_half_up(scheme.ghg_max_g_per_kwh), least, 0, 0
    return (
        permille(table.import_pef),
        permille(table.import_non_renewable_pef),
        round_half_up(table.import_ghg_g_per_kwh),
        permille(table.export_pef),
        permille(table.export_non_renewable_pef),
        round_half_up(table.export_ghg_g_per_kwh),
    )


def carrier_factors(table: CarrierTable) -> tuple[int, ...]:
    """Factors of another carrier, its number first."""
    number = next(kind.carrier for kind in CARRIERS if kind.name.lower() == table.carrier)
    return (
        number,
        permille(table.bought_pef),
        permille(table.bought_non_renewable_pef),
        round_half_up(table.bought_ghg_g_per_kwh),
        permille(table.export_pef),
        permille(table.export_non_renewable_pef),
        round_half_up(table.export_ghg_g_per_kwh),
    )


def gateway_boundary(setting: GatewaySetting) -> tuple[Any, ...]:
    """A gateway's part of the boundary; a member is known by a salted commitment only (domain.md §8)."""
    open_points = [point.declaration() for point in setting.table.point]
    members = [point.declaration() for point in setting.table.member]
    return (
        to_bytes32(setting.id),
        [declare(point, serial_to_bytes32(point.serial)) for point in open_points],
        [declare(point, commitment(point.serial, setting.salts[point.serial])) for point in members],
    )


def declare(point: PointDeclaration, identity: bytes) -> tuple[Any, ...]:
    """A point's declaration as the Registry takes it."""
    return (
        identity,
        int(point.kind),
        point.renewable,
        point.register_digits,
        point.efficiency_permille,
        point.nameplate_w,
    )
