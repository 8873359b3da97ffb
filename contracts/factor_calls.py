"""Typed calls of Factors.sol: vintages and their days."""

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from contracts.contract_calls import ContractCalls
from contracts.factor import FactorHour, pack_day, unpack_day
from contracts.key import SigningKey
from contracts.scheme import CarrierFactors, StaticFactors, VintageFactors
from contracts.slug import to_bytes32


class Resolution(IntEnum):
    """What is known of a day's factors; PUBLISHED and LACKING never change again (domain.md §3)."""

    PENDING = 0
    PUBLISHED = 1
    LACKING = 2


class ResolvedDay(NamedTuple):
    """A day's factors, from the vintage or an ancestor; None unless they are published."""

    resolution: Resolution
    hours: tuple[FactorHour, ...] | None


class FactorCalls(ContractCalls):
    """Vintages and their days."""

    def create_vintage(
        self,
        key: SigningKey,
        vintage_id: str,
        factors: VintageFactors,
        *,
        parent: str = "",
        gas: int | None = None,
    ) -> bytes:
        """Create a vintage of the sender's organisation. By a factor publisher, as below."""
        arguments = (
            to_bytes32(vintage_id),
            to_bytes32(parent) if parent else bytes(32),
            factors.f_min,
            factors.f_max,
            factors.g_max,
            factors.electricity.abi,
            [carrier.abi for carrier in factors.carriers],
        )
        return self._send(key, "Factors", "createVintage", *arguments, gas=gas)

    def publish_day(
        self,
        key: SigningKey,
        vintage_id: str,
        zone: str,
        day: int,
        hours: Sequence[FactorHour],
        *,
        gas: int | None = None,
    ) -> bytes:
        """Publish a past day's 24 hours, in ascending order of days. Raises FactorInvalid."""
        arguments = to_bytes32(vintage_id), to_bytes32(zone), day, pack_day(hours)
        return self._send(key, "Factors", "publishDay", *arguments, gas=gas)

    def resolve_factors(self, vintage_id: str, zone: str, day: int) -> ResolvedDay:
        """A day's factors as they count now. Raises errors.UnknownVintage."""
        arguments = to_bytes32(vintage_id), to_bytes32(zone), day
        # Whether a deadline has passed depends on the time: ask at the block to come.
        resolution, pointer = self._call("Factors", "resolve", *arguments, block="pending")
        if resolution != Resolution.PUBLISHED:
            return ResolvedDay(Resolution(resolution), None)
        return ResolvedDay(Resolution.PUBLISHED, unpack_day(self.chain.code(pointer)[1:]))

    def factor_frontier(self, vintage_id: str, zone: str) -> int:
        """First day that can still be published; 0 when none is."""
        return int(self._call("Factors", "frontier", to_bytes32(vintage_id), to_bytes32(zone)))

    def vintage_factors(self, vintage_id: str) -> VintageFactors:
        """What a vintage fixes. Raises errors.UnknownVintage."""
        word = to_bytes32(vintage_id)
        raw = self._call("Factors", "vintage", word)
        electricity = StaticFactors(*self._call("Factors", "staticFactors", word))
        carriers = tuple(CarrierFactors(*item) for item in self._call("Factors", "carrierFactors", word))
        return VintageFactors(raw.fMin, raw.fMax, raw.gMax, electricity, carriers)
