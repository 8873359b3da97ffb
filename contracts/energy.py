"""The rule: a district's hour as primary energy and greenhouse gas, with bounds, in exact integers.

A statement of domain.md §2 to §4, and of §6 where attributes move with trades, that the Solidity contracts
repeat to the last integer. Energies are Wh;
primary energy is mWh_PE (Wh times a factor in 1/1000), greenhouse gas mg CO2e (Wh times g/kWh). Both come
from one function; net emission is the negative of the weighted balance.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final, NamedTuple

from contracts.hour import HOURS_PER_DAY

CARRIER_COUNT: Final = 8


class RuleInputInvalid(ValueError):
    """Numbers that do not describe an hour or a day."""


class Row(IntEnum):
    """Which row of the table of bounds an hour falls into (domain.md §4)."""

    COMPLETE = 1
    INCOMPLETE = 2
    """All grid and carrier points are measured; something else is missing, or conservation is violated."""
    ESTIMATED = 3
    """A grid or carrier point is estimated, or the hour's factors are lacking for good."""
    SHORT = 4
    """A grid or carrier point is partial or missing."""
    TAINTED = 5
    """A key that was compromised at the time signed a part of the hour."""


class Carried(NamedTuple):
    """Energy of one carrier in one hour, Wh."""

    bought_wh: int
    delivered_wh: int


NO_CARRIERS: Final = (Carried(0, 0),) * CARRIER_COUNT


class Attributes(NamedTuple):
    """What moved with its attributes in one hour's trades, Wh, as the claims register says (domain.md §6)."""

    out_wh: int
    """Export that others took over."""
    in_wh: int
    """Import that came from others."""


NO_ATTRIBUTES: Final = Attributes(0, 0)
NO_DAY_ATTRIBUTES: Final = (NO_ATTRIBUTES,) * HOURS_PER_DAY


class CarrierFactor(NamedTuple):
    """Factor of one carrier bought in and of the same delivered out, 1/1000 or g/kWh; delivered <= bought."""

    bought: int
    delivered: int


NO_CARRIER_FACTORS: Final = (CarrierFactor(0, 0),) * CARRIER_COUNT


@dataclass(frozen=True, slots=True)
class HourSums:
    """What the ledger holds of one district and hour: sums over the points, Wh, and what is missing."""

    import_wh: int = 0
    """Gross: summed over the grid points, not yet netted."""
    export_wh: int = 0
    production_wh: int = 0
    consumption_wh: int = 0
    charge_wh: int = 0
    discharge_wh: int = 0
    foreign_wh: int = 0
    """Production of fuel generators that no carrier point meters."""
    carriers: tuple[Carried, ...] = NO_CARRIERS
    """Place `i` is carrier number `i + 1`."""
    measured: int = 0
    """Open points with a measured record."""
    members: int = 0
    """Private points measured."""
    estimated: int = 0
    """Grid and carrier points with an estimated record."""
    tainted: int = 0
    """Batches signed by a key that was compromised at the time."""
    short_grid_cap_wh: int = 0
    """Caps of the grid points with a partial record or none."""
    short_carrier_cap_wh: int = 0
    short_foreign_cap_wh: int = 0
    """Caps of the vehicles and unlinked fuel generators with an estimated or partial record, or none."""


@dataclass(frozen=True, slots=True)
class BoundarySummary:
    """What the rule needs of the boundary version in force in an hour; caps in Wh per hour."""

    open_points: int
    members: int
    load_metered: bool
    grid_cap_wh: int
    carrier_cap_wh: int = 0
    foreign_cap_wh: int = 0
    """Of vehicles and unlinked fuel generators."""
    version: int = 1


@dataclass(frozen=True, slots=True)
class FactorRange:
    """Range that a scheme declares for the factors, 1/1000 or g/kWh."""

    minimum: int
    maximum: int


@dataclass(frozen=True, slots=True)
class HourFactors:
    """Factors of electricity in one hour, 1/1000 or g/kWh."""

    average: int
    """Of import that serves load."""
    imported: int
    """Of every other import."""
    exported: int
    lacking: bool = False
    """Nobody published them in time; these are the scheme's least favourable ones (domain.md §3)."""

    @classmethod
    def dynamic(cls, average: int, marginal: int) -> "HourFactors":
        """Hourly factors of a zone's generation mix (domain.md §3)."""
        return cls(average, marginal, marginal)

    @classmethod
    def static(cls, imported: int, exported: int) -> "HourFactors":
        """One published factor per direction (domain.md §3)."""
        return cls(imported, imported, exported)

    @classmethod
    def least_favourable(cls, factor_range: FactorRange) -> "HourFactors":
        """What counts when a day's factors are lacking 30 days later (domain.md §3)."""
        return cls(factor_range.maximum, factor_range.maximum, factor_range.minimum, lacking=True)


@dataclass(frozen=True, slots=True)
class Weights:
    """Everything that turns the energies of one hour into primary energy, or into greenhouse gas.

    The bounds hold if the electricity factors lie in the range and the carriers' at or below its maximum.
    """

    electricity: HourFactors
    factor_range: FactorRange
    carriers: tuple[CarrierFactor, ...] = NO_CARRIER_FACTORS


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far conservation may be off (domain.md §2): both limits must be exceeded to violate it."""

    basis_points: int = 200
    energy_wh: int = 50


@dataclass(frozen=True, slots=True)
class HourFlows:
    """Flows at the boundary after netting, and where import went by the fixed rule (domain.md §2). Wh.

    Without what moved with its attributes: metered net export is `export_wh + attributes_out_wh`, import too.
    """

    import_wh: int
    export_wh: int
    production_wh: int
    consumption_wh: int
    charge_wh: int
    discharge_wh: int
    charge_from_production_wh: int
    import_load_wh: int
    import_storage_wh: int
    import_rest_wh: int
    """Import that neither load nor storage explains; all of it where the load is not metered."""
    imbalance_wh: int
    """`production + import + discharge - consumption - export - charge`; 0 where the load is not metered."""
    conserved: bool
    attributes_out_wh: int = 0
    attributes_in_wh: int = 0


class Bounds(NamedTuple):
    """A weighted balance with what it can be at least and at most."""

    balance: int
    lower: int
    upper: int


@dataclass(frozen=True, slots=True)
class HourAssessment:
    """One hour judged."""

    flows: HourFlows
    row: Row
    complete: bool
    balance_mwh_pe: int
    lower_mwh_pe: int
    upper_mwh_pe: int
    ghg_mg: int
    """Net emission, mg CO2e: positive where the district emits more than it avoids."""
    ghg_lower_mg: int
    ghg_upper_mg: int

    @property
    def imbalance_wh(self) -> int:
        """Signed imbalance of the hour, Wh."""
        return self.flows.imbalance_wh


@dataclass(frozen=True, slots=True)
class VehicleDay:
    """Vehicles of a district in one UTC day, without their estimated records."""

    discharge_wh: int = 0
    weighted_charge: int = 0
    """Sum of charge (Wh) times efficiency (1/1000)."""

    @property
    def excess_wh(self) -> int:
        """Energy, Wh rounded up, that vehicles brought in from outside (domain.md §2)."""
        return -(-max(0, 1000 * self.discharge_wh - self.weighted_charge) // 1000)


@dataclass(frozen=True, slots=True)
class DayTotals:
    """A final day as the chain keeps it."""

    balance_mwh_pe: int
    lower_mwh_pe: int
    upper_mwh_pe: int
    ghg_mg: int
    ghg_upper_mg: int
    complete_hours: int
    edge_estimated: bool
    """A grid or carrier point is estimated in one of the hours: no window may begin or end with this day."""
    boundary_version: int = 1


@dataclass(frozen=True, slots=True)
class DayAssessment:
    """One day judged: its hours and their totals."""

    hours: tuple[HourAssessment, ...]
    totals: DayTotals
    vehicle_excess_wh: int


def allocate(sums: HourSums, load_metered: bool, tolerance: Tolerance) -> HourFlows:
    """Net the gross sums, allocate import and test conservation (domain.md §2)."""
    net = sums.export_wh - sums.import_wh
    export_wh, import_wh = max(0, net), max(0, -net)
    stored = sums.charge_wh - sums.discharge_wh
    charge_wh, discharge_wh = max(0, stored), max(0, -stored)
    surplus = max(0, sums.production_wh - sums.consumption_wh)
    charge_from_production = min(charge_wh, surplus)
    import_storage = import_load = imbalance = 0
    conserved = True
    if load_metered:
        import_storage = min(import_wh, charge_wh - charge_from_production)
        import_load = min(import_wh - import_storage, sums.consumption_wh)
        supplied = sums.production_wh + import_wh + discharge_wh
        drawn = sums.consumption_wh + export_wh + charge_wh
        imbalance = supplied - drawn
        conserved = abs(imbalance) <= tolerance.energy_wh or abs(
            imbalance
        ) * 10_000 <= tolerance.basis_points * max(supplied, drawn)
    return HourFlows(
        import_wh=import_wh,
        export_wh=export_wh,
        production_wh=sums.production_wh,
        consumption_wh=sums.consumption_wh,
        charge_wh=charge_wh,
        discharge_wh=discharge_wh,
        charge_from_production_wh=charge_from_production,
        import_load_wh=import_load,
        import_storage_wh=import_storage,
        import_rest_wh=import_wh - import_storage - import_load,
        imbalance_wh=imbalance,
        conserved=conserved,
    )


def move(flows: HourFlows, attributes: Attributes) -> HourFlows:
    """Take off export and import what moved with its attributes; of import what served load first
    (domain.md §6)."""
    if attributes == NO_ATTRIBUTES:
        return flows
    out_wh, in_wh = min(attributes.out_wh, flows.export_wh), min(attributes.in_wh, flows.import_wh)
    of_load = min(in_wh, flows.import_load_wh)
    of_storage = min(in_wh - of_load, flows.import_storage_wh)
    return replace(
        flows,
        export_wh=flows.export_wh - out_wh,
        import_wh=flows.import_wh - in_wh,
        import_load_wh=flows.import_load_wh - of_load,
        import_storage_wh=flows.import_storage_wh - of_storage,
        import_rest_wh=flows.import_rest_wh - (in_wh - of_load - of_storage),
        attributes_out_wh=out_wh,
        attributes_in_wh=in_wh,
    )


def classify(sums: HourSums, flows: HourFlows, boundary: BoundarySummary, lacking: bool) -> Row:
    """The first row of the table of bounds that applies (domain.md §4)."""
    if sums.tainted:
        return Row.TAINTED
    if sums.short_grid_cap_wh or sums.short_carrier_cap_wh:
        return Row.SHORT
    if sums.estimated or lacking:
        return Row.ESTIMATED
    covered = sums.measured == boundary.open_points and sums.members == boundary.members
    return Row.COMPLETE if covered and flows.conserved else Row.INCOMPLETE


def weigh(
    sums: HourSums,
    flows: HourFlows,
    boundary: BoundarySummary,
    row: Row,
    weights: Weights,
    attributes: Attributes = NO_ATTRIBUTES,
) -> Bounds:
    """Weighted balance of an hour and its bounds (domain.md §4): mWh_PE, or minus mg CO2e.

    `flows` are those that `move` left. Of energies known only as sums, what moved can have been less than it
    says in one hour, and so all of it counts in the bounds.
    """
    factors = weights.electricity
    least, most = weights.factor_range.minimum, weights.factor_range.maximum
    dearest = max(factors.average, factors.imported)
    exported = flows.export_wh * factors.exported
    carriers = _carriers_net(sums.carriers, weights.carriers)
    foreign = sums.foreign_wh * factors.imported
    if boundary.load_metered:
        imported = (
            flows.import_load_wh * factors.average
            + (flows.import_storage_wh + flows.import_rest_wh) * factors.imported
        )
    else:
        imported = flows.import_wh * dearest
    balance = exported - imported - carriers - foreign

    if row is Row.TAINTED:
        caps_wh = boundary.grid_cap_wh + boundary.carrier_cap_wh
        return Bounds(balance, -(caps_wh + 2 * boundary.foreign_cap_wh) * most, caps_wh * most)
    if row in (Row.SHORT, Row.ESTIMATED):
        carriers_low, carriers_high = _carriers_gross(sums.carriers, weights.carriers)
        unknown = (sums.short_grid_cap_wh + sums.short_carrier_cap_wh) * most
        lower = (sums.export_wh - attributes.out_wh) * least - sums.import_wh * most - carriers_low - unknown
        upper = sums.export_wh * most - (sums.import_wh - attributes.in_wh) * least - carriers_high + unknown
        foreign_low, foreign_high = sums.foreign_wh * most, sums.foreign_wh * least
    elif row is Row.INCOMPLETE:
        doubt = abs(flows.imbalance_wh) * max(dearest, factors.exported)
        lower = exported - flows.import_wh * dearest - doubt - carriers
        upper = exported - flows.import_wh * min(factors.average, factors.imported) + doubt - carriers
        foreign_low = foreign_high = foreign
    else:
        lower = upper = balance + foreign
        foreign_low = foreign_high = foreign
    lower -= foreign_low + sums.short_foreign_cap_wh * most
    if not sums.short_foreign_cap_wh:
        upper -= foreign_high
    return Bounds(balance, lower, upper)


def _carriers_net(carriers: tuple[Carried, ...], factors: tuple[CarrierFactor, ...]) -> int:
    if carriers is NO_CARRIERS:
        return 0
    return sum(
        factor.bought * max(0, carried.bought_wh - carried.delivered_wh)
        - factor.delivered * max(0, carried.delivered_wh - carried.bought_wh)
        for carried, factor in zip(carriers, factors, strict=True)
    )


def _carriers_gross(carriers: tuple[Carried, ...], factors: tuple[CarrierFactor, ...]) -> tuple[int, int]:
    """The most and the least that the carriers can cost, linear so that a known total of a gap suffices."""
    if carriers is NO_CARRIERS:
        return 0, 0
    pairs = list(zip(carriers, factors, strict=True))
    most = sum(f.bought * c.bought_wh - f.delivered * c.delivered_wh for c, f in pairs)
    least = sum(f.bought * (c.bought_wh - c.delivered_wh) for c, f in pairs)
    return most, least


def assess_hour(
    sums: HourSums,
    boundary: BoundarySummary,
    tolerance: Tolerance,
    primary: Weights,
    ghg: Weights,
    attributes: Attributes = NO_ATTRIBUTES,
) -> HourAssessment:
    """Judge one hour: flows, completeness, primary energy and greenhouse gas with bounds (domain.md §2-4).

    `attributes` changes the flows only; completeness is that of the metered energies (domain.md §6).
    """
    flows = move(allocate(sums, boundary.load_metered, tolerance), attributes)
    lacking = primary.electricity.lacking
    row = classify(sums, flows, boundary, lacking)
    energy = weigh(sums, flows, boundary, row, primary, attributes)
    emission = weigh(sums, flows, boundary, row, ghg, attributes)
    return HourAssessment(
        flows=flows,
        row=row,
        complete=row is Row.COMPLETE,
        balance_mwh_pe=energy.balance,
        lower_mwh_pe=energy.lower,
        upper_mwh_pe=energy.upper,
        ghg_mg=-emission.balance,
        ghg_lower_mg=-emission.upper,
        ghg_upper_mg=-emission.lower,
    )


def assess_day(
    hours: Sequence[HourSums],
    vehicles: VehicleDay,
    boundary: BoundarySummary,
    tolerance: Tolerance,
    primary: Sequence[Weights],
    ghg: Sequence[Weights],
    attributes: Sequence[Attributes] = NO_DAY_ATTRIBUTES,
) -> DayAssessment:
    """Judge the 24 hours of a UTC day and its vehicles. Raises RuleInputInvalid unless there are 24 of
    each."""
    if not len(hours) == len(primary) == len(ghg) == len(attributes) == HOURS_PER_DAY:
        raise RuleInputInvalid(
            f"a day has 24 hours, not {len(hours)} (primary factors {len(primary)}, ghg factors {len(ghg)}, "
            f"attributes {len(attributes)})"
        )
    assessed = tuple(
        assess_hour(sums, boundary, tolerance, primary[place], ghg[place], attributes[place])
        for place, sums in enumerate(hours)
    )
    excess_wh = vehicles.excess_wh
    certain = not any(sums.tainted or sums.short_foreign_cap_wh for sums in hours)
    energy_most, energy_least = _vehicle_factors(primary)
    emission_most, _ = _vehicle_factors(ghg)
    totals = DayTotals(
        balance_mwh_pe=sum(hour.balance_mwh_pe for hour in assessed) - excess_wh * energy_most,
        lower_mwh_pe=sum(hour.lower_mwh_pe for hour in assessed) - excess_wh * energy_most,
        upper_mwh_pe=sum(hour.upper_mwh_pe for hour in assessed) - certain * excess_wh * energy_least,
        ghg_mg=sum(hour.ghg_mg for hour in assessed) + excess_wh * emission_most,
        ghg_upper_mg=sum(hour.ghg_upper_mg for hour in assessed) + excess_wh * emission_most,
        complete_hours=sum(hour.complete for hour in assessed),
        edge_estimated=any(sums.estimated for sums in hours),
        boundary_version=boundary.version,
    )
    return DayAssessment(hours=assessed, totals=totals, vehicle_excess_wh=excess_wh)


def _vehicle_factors(weights: Sequence[Weights]) -> tuple[int, int]:
    """Factor of what vehicles brought in: the day's largest marginal one, as known and at the very least."""
    most = max(hour.electricity.imported for hour in weights)
    lacking = any(hour.electricity.lacking for hour in weights)
    return most, weights[0].factor_range.minimum if lacking else most
