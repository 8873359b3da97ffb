"""Typed calls of Registry.sol: organisations, schemes, districts, gateways, boundaries."""

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.boundary import GatewayBoundary
from contracts.contract_calls import ContractCalls, Role
from contracts.energy import BoundarySummary
from contracts.events import slug_or_empty
from contracts.key import SigningKey
from contracts.scheme import Scheme
from contracts.slug import serial_to_bytes32, to_bytes32


@dataclass(frozen=True, slots=True)
class District:
    """A district as registered."""

    zone: str
    owner_org: str
    operator_org: str
    minimum_members: int


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway as of now."""

    district_id: str
    """Empty when the gateway is unknown."""
    key: str
    """Address; zero while a revoked key is not replaced."""
    ever_compromised: bool
    registered_at: int
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class Boundary:
    """The boundary version in force on a day; version 0 when none is."""

    summary: BoundarySummary
    restart_day: int

    @property
    def version(self) -> int:
        """Number of the version."""
        return self.summary.version


class RegistryCalls(ContractCalls):
    """Organisations, schemes, districts, gateways, boundaries."""

    def register_organisation(
        self, key: SigningKey, organisation_id: str, name: str, *, gas: int | None = None
    ) -> bytes:
        """Add an organisation. By a scheme administrator."""
        arguments = to_bytes32(organisation_id), name
        return self._send(key, "Registry", "registerOrganisation", *arguments, gas=gas)

    def enrol(
        self, key: SigningKey, account: str, organisation_id: str, role: Role, *, gas: int | None = None
    ) -> bytes:
        """Give an account of an organisation a role. By a scheme administrator."""
        arguments = account, to_bytes32(organisation_id), role.value
        return self._send(key, "Registry", "enrol", *arguments, gas=gas)

    def dismiss(self, key: SigningKey, account: str, role: Role, *, gas: int | None = None) -> bytes:
        """Take a role away. By a scheme administrator."""
        return self._send(key, "Registry", "dismiss", account, role.value, gas=gas)

    def register_scheme(
        self, key: SigningKey, scheme_id: str, scheme: Scheme, *, gas: int | None = None
    ) -> bytes:
        """Write a scheme, once. By a scheme administrator."""
        return self._send(key, "Registry", "registerScheme", to_bytes32(scheme_id), scheme.abi, gas=gas)

    def register_district(
        self,
        key: SigningKey,
        district_id: str,
        zone: str,
        owner_org: str,
        operator_org: str,
        minimum_members: int = 5,
        *,
        gas: int | None = None,
    ) -> bytes:
        """Add a district. By a scheme administrator."""
        words = (to_bytes32(text) for text in (district_id, zone, owner_org, operator_org))
        return self._send(key, "Registry", "registerDistrict", *words, minimum_members, gas=gas)

    def register_gateway(
        self, key: SigningKey, gateway_id: str, district_id: str, address: str, *, gas: int | None = None
    ) -> bytes:
        """Add a gateway with its first key. By a meter operator of the district, as all below."""
        arguments = to_bytes32(gateway_id), to_bytes32(district_id), address
        return self._send(key, "Registry", "registerGateway", *arguments, gas=gas)

    def rotate_key(
        self, key: SigningKey, gateway_id: str, new_address: str, *, gas: int | None = None
    ) -> bytes:
        """Replace a gateway's key from this block on."""
        return self._send(key, "Registry", "rotateKey", to_bytes32(gateway_id), new_address, gas=gas)

    def revoke_key(
        self, key: SigningKey, gateway_id: str, compromised_since: int = 0, *, gas: int | None = None
    ) -> bytes:
        """Withdraw a gateway's key; `compromised_since` in unix seconds, 0 for not compromised."""
        arguments = to_bytes32(gateway_id), compromised_since
        return self._send(key, "Registry", "revokeKey", *arguments, gas=gas)

    def publish_boundary(
        self,
        key: SigningKey,
        district_id: str,
        from_day: int,
        changes: Sequence[GatewayBoundary],
        *,
        gas: int | None = None,
    ) -> bytes:
        """Publish the district's next boundary version; gateways that are not listed keep their points."""
        arguments = to_bytes32(district_id), from_day, [change.abi for change in changes]
        return self._send(key, "Registry", "publishBoundary", *arguments, gas=gas)

    def exchange_meter(
        self, key: SigningKey, district_id: str, old_serial: str, new_serial: str, *, gas: int | None = None
    ) -> bytes:
        """The open point's meter is replaced: same point, new serial."""
        arguments = to_bytes32(district_id), serial_to_bytes32(old_serial), serial_to_bytes32(new_serial)
        return self._send(key, "Registry", "exchangeMeter", *arguments, gas=gas)

    def organisation_of(self, account: str) -> str:
        """Organisation of an account; empty for none."""
        return slug_or_empty(self._call("Registry", "organisationOf", account))

    def has_role(self, account: str, role: Role) -> bool:
        """Whether an account has a role."""
        return bool(self._call("Registry", "hasRole", role.value, account))

    def scheme(self, scheme_id: str) -> Scheme:
        """A scheme. Raises errors.UnknownScheme."""
        return Scheme(*self._call("Registry", "scheme", to_bytes32(scheme_id)))

    def district(self, district_id: str) -> District:
        """A district. Raises errors.UnknownDistrict."""
        *words, minimum = self._call("Registry", "district", to_bytes32(district_id))
        zone, owner, operator = map(slug_or_empty, words)
        return District(zone, owner, operator, minimum)

    def gateway(self, gateway_id: str) -> Gateway:
        """A gateway; its district is empty when it is unknown."""
        district_id, *rest = self._call("Registry", "gateway", to_bytes32(gateway_id))
        return Gateway(slug_or_empty(district_id), *rest)

    def gateways(self, district_id: str) -> list[str]:
        """The district's gateways in order of registration."""
        return [slug_or_empty(word) for word in self._call("Registry", "gateways", to_bytes32(district_id))]

    def boundary(self, district_id: str, day: int) -> Boundary:
        """The boundary version in force on a day; version 0 when none is."""
        raw = self._call("Registry", "boundary", to_bytes32(district_id), day)
        summary = BoundarySummary(
            open_points=raw.openPoints,
            members=raw.members,
            load_metered=raw.loadMetered,
            grid_cap_wh=raw.gridCapWh,
            carrier_cap_wh=raw.carrierCapWh,
            foreign_cap_wh=raw.foreignCapWh,
            version=raw.version,
        )
        return Boundary(summary, raw.restartDay)

    def keys_missing(self, district_id: str) -> int:
        """How many of the district's gateways have a revoked key that is not replaced."""
        return int(self._call("Registry", "keysMissing", to_bytes32(district_id)))

    def compromise_count(self, district_id: str) -> int:
        """How many compromises of keys the district has had."""
        return int(self._call("Registry", "compromiseCount", to_bytes32(district_id)))
