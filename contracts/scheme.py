"""What a certification scheme fixes, what a factor vintage fixes, and the weights of a day that follow."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any

from contracts.energy import CARRIER_COUNT, CarrierFactor, FactorRange, HourFactors, Tolerance, Weights
from contracts.factor import FactorHour
from contracts.hour import HOURS_PER_DAY


@dataclass(frozen=True, slots=True)
class Scheme:
    """A scheme's rules, immutable once registered (domain.md §3, §4). Field order is the contract's."""

    non_renewable: bool
    is_static: bool
    f_min: int
    """Least primary-energy factor of electricity, 1/1000."""
    f_max: int
    g_min: int
    """Least greenhouse-gas factor, g CO2e per kWh."""
    g_max: int
    tolerance_bp: int = 200
    tolerance_wh: int = 50
    minimum_members: int = 5
    quorum: int = 1
    challenge_days: int = 14
    decision_days: int = 30
    validity_days: int = 365

    @property
    def abi(self) -> tuple[Any, ...]:
        """As the Registry takes it."""
        return astuple(self)

    @property
    def tolerance(self) -> Tolerance:
        """Tolerance of conservation."""
        return Tolerance(self.tolerance_bp, self.tolerance_wh)

    @property
    def primary_range(self) -> FactorRange:
        """Range of the primary-energy factors."""
        return FactorRange(self.f_min, self.f_max)

    @property
    def ghg_range(self) -> FactorRange:
        """Range of the greenhouse-gas factors."""
        return FactorRange(self.g_min, self.g_max)


@dataclass(frozen=True, slots=True)
class StaticFactors:
    """Static factors of electricity, 1/1000 and g CO2e per kWh. Field order is the contract's."""

    import_total: int
    import_non_renewable: int
    import_ghg: int
    export_total: int
    export_non_renewable: int
    export_ghg: int

    @property
    def abi(self) -> tuple[int, ...]:
        """As Factors takes it."""
        return astuple(self)


@dataclass(frozen=True, slots=True)
class CarrierFactors:
    """Factors of one carrier, bought and delivered, 1/1000 and g CO2e per kWh. Field order is the
    contract's."""

    carrier: int
    """1 gas to 8 other."""
    bought_total: int
    bought_non_renewable: int
    bought_ghg: int
    export_total: int = 0
    export_non_renewable: int = 0
    export_ghg: int = 0

    @property
    def abi(self) -> tuple[int, ...]:
        """As Factors takes it."""
        return astuple(self)


@dataclass(frozen=True, slots=True)
class VintageFactors:
    """What a vintage fixes for ever: its range, the static factors, and its carriers."""

    f_min: int
    f_max: int
    g_max: int
    electricity: StaticFactors
    carriers: tuple[CarrierFactors, ...] = ()

    def carrier(self, number: int) -> CarrierFactors:
        """Factors of a carrier; one that is not listed costs the most allowed and earns nothing."""
        for listed in self.carriers:
            if listed.carrier == number:
                return listed
        return CarrierFactors(number, self.f_max, self.f_max, self.g_max)


@dataclass(frozen=True, slots=True)
class DayWeights:
    """The weights of a day's 24 hours."""

    primary: tuple[Weights, ...]
    ghg: tuple[Weights, ...]


def day_weights(scheme: Scheme, vintage: VintageFactors, hours: Sequence[FactorHour] | None) -> DayWeights:
    """Weights of a day in a scheme. `hours` are its published factors, None where they are lacking for
    good."""
    carriers = [vintage.carrier(number) for number in range(1, CARRIER_COUNT + 1)]
    if scheme.non_renewable:
        primary_carriers = tuple(
            CarrierFactor(c.bought_non_renewable, c.export_non_renewable) for c in carriers
        )
    else:
        primary_carriers = tuple(CarrierFactor(c.bought_total, c.export_total) for c in carriers)
    ghg_carriers = tuple(CarrierFactor(c.bought_ghg, c.export_ghg) for c in carriers)
    static = vintage.electricity
    if scheme.is_static:
        primary = (
            HourFactors.static(static.import_non_renewable, static.export_non_renewable)
            if scheme.non_renewable
            else HourFactors.static(static.import_total, static.export_total)
        )
        electricity = [(primary, HourFactors.static(static.import_ghg, static.export_ghg))] * HOURS_PER_DAY
    elif hours is None:
        least_favourable = HourFactors.least_favourable
        lacking = least_favourable(scheme.primary_range), least_favourable(scheme.ghg_range)
        electricity = [lacking] * HOURS_PER_DAY
    else:
        electricity = [(hour.primary(scheme.non_renewable), hour.ghg()) for hour in hours]
    return DayWeights(
        tuple(Weights(hour, scheme.primary_range, primary_carriers) for hour, _ in electricity),
        tuple(Weights(hour, scheme.ghg_range, ghg_carriers) for _, hour in electricity),
    )
