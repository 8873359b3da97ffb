"""The rule in worked numbers, and for the real La Palma year."""

import csv
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.energy import (
    NO_ATTRIBUTES,
    Attributes,
    BoundarySummary,
    Carried,
    CarrierFactor,
    DayAssessment,
    FactorRange,
    HourAssessment,
    HourFactors,
    HourSums,
    Row,
    RuleInputInvalid,
    Tolerance,
    VehicleDay,
    Weights,
    assess_day,
    assess_hour,
)
from contracts.factor import round_half_up
from contracts.hour import parse_day
from contracts.verdict import Finding, History, verdict

LA_PALMA = Path(__file__).parents[3] / "shared" / "lapalma"
needs_case_study = pytest.mark.skipif(
    not LA_PALMA.exists(), reason="the published case study is not beside this checkout (../shared/lapalma)"
)
RANGE = FactorRange(0, 3000)
GHG_RANGE = FactorRange(0, 900)
PRIMARY = Weights(HourFactors.dynamic(2000, 2500), RANGE)
GHG = Weights(HourFactors.dynamic(600, 700), GHG_RANGE)
BOUNDARY = BoundarySummary(
    open_points=3, members=0, load_metered=True, grid_cap_wh=10_000, carrier_cap_wh=500, foreign_cap_wh=300
)


def gas(bought_wh: int, delivered_wh: int) -> tuple[Carried, ...]:
    return (Carried(bought_wh, delivered_wh),) + (Carried(0, 0),) * 7


def with_gas(weights: Weights, bought: int, delivered: int) -> Weights:
    factors = (CarrierFactor(bought, delivered),) + (CarrierFactor(0, 0),) * 7
    return Weights(weights.electricity, weights.factor_range, factors)


def judge(sums: HourSums, primary: Weights = PRIMARY, boundary: BoundarySummary = BOUNDARY) -> HourAssessment:
    return assess_hour(sums, boundary, Tolerance(), primary, GHG)


def test_import_at_one_point_and_export_at_another_net_out() -> None:
    hour = judge(HourSums(import_wh=700, export_wh=1000, production_wh=1300, consumption_wh=1000, measured=3))
    assert (hour.row, hour.flows.export_wh, hour.flows.import_wh) == (Row.COMPLETE, 300, 0)
    assert hour.balance_mwh_pe == hour.lower_mwh_pe == hour.upper_mwh_pe == 300 * 2500
    assert hour.ghg_mg == hour.ghg_upper_mg == -300 * 700


def test_import_serves_storage_first_then_load_and_each_has_its_factor() -> None:
    hour = judge(HourSums(import_wh=900, production_wh=300, consumption_wh=200, charge_wh=1000, measured=3))
    flows = hour.flows
    assert (flows.charge_from_production_wh, flows.import_storage_wh) == (100, 900)
    assert (flows.import_load_wh, flows.import_rest_wh) == (0, 0)
    hour = judge(HourSums(import_wh=900, production_wh=0, consumption_wh=600, charge_wh=300, measured=3))
    assert (hour.flows.import_storage_wh, hour.flows.import_load_wh) == (300, 600)
    assert hour.balance_mwh_pe == -300 * 2500 - 600 * 2000


def test_unexplained_import_is_weighted_like_storage() -> None:
    hour = judge(HourSums(import_wh=1020, consumption_wh=1000, measured=3))
    assert (hour.complete, hour.flows.import_rest_wh, hour.imbalance_wh) == (True, 20, 20)
    assert hour.balance_mwh_pe == -1000 * 2000 - 20 * 2500


def test_without_a_metered_load_all_import_takes_the_dearer_factor() -> None:
    boundary = BoundarySummary(open_points=1, members=0, load_metered=False, grid_cap_wh=10_000)
    hour = judge(HourSums(import_wh=1000, measured=1), boundary=boundary)
    assert (hour.complete, hour.balance_mwh_pe, hour.imbalance_wh) == (True, -1000 * 2500, 0)
    cheap = Weights(HourFactors.dynamic(2500, 2000), RANGE)
    assert judge(HourSums(import_wh=1000, measured=1), cheap, boundary).balance_mwh_pe == -1000 * 2500


@pytest.mark.parametrize(
    ("consumption_wh", "conserved"), [(2950, True), (2940, True), (2939, False), (3061, True), (3062, False)]
)
def test_conservation_needs_both_limits_exceeded(consumption_wh: int, conserved: bool) -> None:
    hour = judge(HourSums(import_wh=3000, consumption_wh=consumption_wh, measured=3))
    assert hour.flows.conserved is conserved
    assert hour.row is (Row.COMPLETE if conserved else Row.INCOMPLETE)


def test_the_smallest_imbalance_counts_only_beyond_50_wh() -> None:
    assert judge(HourSums(import_wh=50, measured=3)).complete
    assert not judge(HourSums(import_wh=51, measured=3)).complete


def test_a_carrier_nets_within_the_hour_and_export_has_its_own_factor() -> None:
    primary = with_gas(PRIMARY, 1100, 400)
    assert judge(HourSums(carriers=gas(100, 30), measured=3), primary).balance_mwh_pe == -70 * 1100
    assert judge(HourSums(carriers=gas(30, 100), measured=3), primary).balance_mwh_pe == 70 * 400


def test_fuel_generation_counts_as_import_at_the_marginal_factor() -> None:
    hour = judge(HourSums(export_wh=100, production_wh=100, foreign_wh=100, measured=3))
    assert hour.balance_mwh_pe == hour.lower_mwh_pe == hour.upper_mwh_pe == 0


def test_row_incomplete() -> None:
    hour = judge(HourSums(import_wh=1000, production_wh=200, consumption_wh=900, measured=2))
    assert hour.row is Row.INCOMPLETE
    assert hour.imbalance_wh == 300
    assert hour.lower_mwh_pe == -1000 * 2500 - 300 * 2500
    assert hour.upper_mwh_pe == -1000 * 2000 + 300 * 2500
    assert hour.ghg_upper_mg == 1300 * 700


def test_row_estimated_is_gross() -> None:
    hour = judge(
        HourSums(import_wh=700, export_wh=1000, carriers=gas(90, 40), measured=2, estimated=1),
        with_gas(Weights(PRIMARY.electricity, FactorRange(1500, 3000)), 1100, 400),
    )
    assert hour.row is Row.ESTIMATED
    assert hour.lower_mwh_pe == 1000 * 1500 - 700 * 3000 - (90 * 1100 - 40 * 400)
    assert hour.upper_mwh_pe == 1000 * 3000 - 700 * 1500 - 50 * 1100


def test_lacking_factors_are_the_least_favourable_and_never_complete() -> None:
    factor_range = FactorRange(1500, 3000)
    lacking = Weights(HourFactors.least_favourable(factor_range), factor_range)
    hour = judge(HourSums(import_wh=1000, consumption_wh=1000, measured=3), lacking)
    assert (hour.row, hour.complete) == (Row.ESTIMATED, False)
    assert (hour.balance_mwh_pe, hour.lower_mwh_pe, hour.upper_mwh_pe) == (-3_000_000, -3_000_000, -1_500_000)
    hour = judge(HourSums(export_wh=1000, production_wh=1000, measured=3), lacking)
    assert (hour.balance_mwh_pe, hour.lower_mwh_pe, hour.upper_mwh_pe) == (1_500_000, 1_500_000, 3_000_000)


def test_row_short_adds_the_caps_on_both_sides() -> None:
    hour = judge(
        HourSums(export_wh=1000, measured=1, estimated=1, short_grid_cap_wh=4000, short_carrier_cap_wh=500)
    )
    assert hour.row is Row.SHORT
    assert (hour.lower_mwh_pe, hour.upper_mwh_pe) == (-4500 * 3000, 1000 * 3000 + 4500 * 3000)


def test_row_tainted_trusts_nothing() -> None:
    hour = judge(HourSums(export_wh=9000, production_wh=9000, measured=3, tainted=1, short_grid_cap_wh=4000))
    assert hour.row is Row.TAINTED
    assert (hour.lower_mwh_pe, hour.upper_mwh_pe) == (-(10_500 + 600) * 3000, 10_500 * 3000)


def test_a_hidden_vehicle_or_fuel_generator_lowers_only_the_lower_bound() -> None:
    hour = judge(
        HourSums(foreign_wh=10, production_wh=10, export_wh=10, measured=2, short_foreign_cap_wh=300)
    )
    assert hour.row is Row.INCOMPLETE
    assert (hour.lower_mwh_pe, hour.upper_mwh_pe) == (-300 * 3000, 10 * 2500)


def day_of(sums: list[HourSums], vehicles: VehicleDay, primary: Weights = PRIMARY) -> DayAssessment:
    return assess_day(sums, vehicles, BOUNDARY, Tolerance(), [primary] * 24, [GHG] * 24)


def test_vehicles_that_bring_energy_in_count_as_import_of_the_day() -> None:
    still = [HourSums(measured=3)] * 24
    day = day_of(still, VehicleDay(discharge_wh=1000, weighted_charge=900_001))
    assert day.vehicle_excess_wh == 100
    assert day.totals.balance_mwh_pe == day.totals.lower_mwh_pe == day.totals.upper_mwh_pe == -100 * 2500
    assert day.totals.ghg_mg == day.totals.ghg_upper_mg == 100 * 700
    assert day_of(still, VehicleDay(1000, 1_000_000)).vehicle_excess_wh == 0
    assert day_of(still, VehicleDay(1000, 999_999)).vehicle_excess_wh == 1
    for hidden in (HourSums(measured=2, short_foreign_cap_wh=300), HourSums(measured=3, tainted=1)):
        shaded = day_of([hidden, *still[1:]], VehicleDay(1000, 0))
        bare = day_of([hidden, *still[1:]], VehicleDay())
        assert shaded.totals.upper_mwh_pe == bare.totals.upper_mwh_pe
        assert shaded.totals.lower_mwh_pe == bare.totals.lower_mwh_pe - 1000 * 2500


def test_vehicles_without_factors_cost_the_most_below_and_the_least_above() -> None:
    factor_range = FactorRange(1500, 3000)
    lacking = Weights(HourFactors.least_favourable(factor_range), factor_range)
    totals = day_of([HourSums(measured=3)] * 24, VehicleDay(100, 0), lacking).totals
    assert (totals.lower_mwh_pe, totals.upper_mwh_pe) == (-100 * 3000, -100 * 1500)


def test_a_day_has_24_hours() -> None:
    with pytest.raises(RuleInputInvalid, match="not 23"):
        day_of([HourSums()] * 23, VehicleDay())
    weights = [PRIMARY] * 24
    with pytest.raises(RuleInputInvalid, match="attributes 1"):
        assess_day(
            [HourSums()] * 24, VehicleDay(), BOUNDARY, Tolerance(), weights, weights, [Attributes(0, 0)]
        )


def test_attributes_lower_export_and_the_import_of_load_first() -> None:
    seller = HourSums(production_wh=900, export_wh=900, measured=3)
    sold = assess_hour(seller, BOUNDARY, Tolerance(), PRIMARY, GHG, Attributes(600, 0))
    assert (sold.complete, sold.flows.export_wh, sold.flows.attributes_out_wh) == (True, 300, 600)
    assert (sold.balance_mwh_pe, sold.ghg_mg) == (300 * 2500, -300 * 700)

    buyer = HourSums(import_wh=1000, consumption_wh=600, charge_wh=380, measured=3)  # 20 Wh unexplained
    bought = assess_hour(buyer, BOUNDARY, Tolerance(), PRIMARY, GHG, Attributes(0, 700))
    flows = bought.flows
    assert (flows.import_load_wh, flows.import_storage_wh, flows.import_rest_wh) == (0, 280, 20)
    assert (flows.import_wh, flows.attributes_in_wh, bought.complete) == (300, 700, True)
    assert bought.balance_mwh_pe == -300 * 2500
    some = assess_hour(buyer, BOUNDARY, Tolerance(), PRIMARY, GHG, Attributes(0, 100))
    assert some.balance_mwh_pe == -500 * 2000 - 400 * 2500


@pytest.mark.parametrize("hour", [HourSums(export_wh=500), HourSums(import_wh=500), HourSums()])
def test_no_more_moves_than_there_is(hour: HourSums) -> None:
    judged = assess_hour(hour, BOUNDARY, Tolerance(), PRIMARY, GHG, Attributes(900, 900))
    assert (judged.flows.export_wh, judged.flows.import_wh, judged.balance_mwh_pe) == (0, 0, 0)
    assert judged.flows.attributes_out_wh == hour.export_wh
    assert judged.flows.attributes_in_wh == hour.import_wh


quantities = st.integers(0, 10**6)


@settings(max_examples=300, deadline=None)
@given(quantities, quantities, quantities, quantities, st.integers(0, 3000), st.integers(0, 3000))
def test_a_district_split_in_two_gains_nothing_by_trading_with_attributes(
    produced_wh: int, consumed_wh: int, charged_wh: int, offered_wh: int, average: int, marginal: int
) -> None:
    """The netting loophole (domain.md §6): a plant and its consumers behind one boundary, or behind two."""
    weights = Weights(HourFactors.dynamic(average, marginal), RANGE)

    def balance(sums: HourSums, attributes: Attributes = NO_ATTRIBUTES) -> int:
        return assess_hour(sums, BOUNDARY, Tolerance(), weights, GHG, attributes).balance_mwh_pe

    bought_wh = consumed_wh + charged_wh
    net = produced_wh - bought_wh
    one = balance(HourSums(max(0, -net), max(0, net), produced_wh, consumed_wh, charged_wh, measured=3))
    plant = HourSums(export_wh=produced_wh, production_wh=produced_wh, measured=3)
    town = HourSums(bought_wh, consumption_wh=consumed_wh, charge_wh=charged_wh, measured=3)
    moved_wh = min(produced_wh, bought_wh)
    assert balance(plant, Attributes(moved_wh, 0)) + balance(town, Attributes(0, moved_wh)) == one
    if marginal >= average:  # what is not traded with its attributes is worth no less to the two than that
        part_wh = min(moved_wh, offered_wh)
        parted = balance(plant, Attributes(part_wh, 0)) + balance(town, Attributes(0, part_wh))
        assert one <= parted <= balance(plant) + balance(town)


def la_palma_year(kilowatt_peak: int) -> tuple[History, int, int]:
    def rows(name: str) -> list[dict[str, str]]:
        with (LA_PALMA / name).open(newline="") as file:
            return list(csv.DictReader(file))

    irradiance = [row["flat_az180_tilt28.803"] for row in rows("derived_poa_physical_W_m2.csv")]
    load = [row["load_kW"] for row in rows("hourly_load_tariff_2019.csv")]
    factors = rows("derived_pef_co2_hourly.csv")
    boundary = BoundarySummary(open_points=3, members=0, load_metered=True, grid_cap_wh=1_000_000)
    start = parse_day("2019-01-01")
    history = History(start)
    imported = exported = 0
    for day in range(365):
        sums, weights = [], []
        for hour in range(24 * day, 24 * day + 24):
            production = round_half_up(kilowatt_peak * Decimal(irradiance[hour]) * Decimal("0.84"))
            consumption = round_half_up(Decimal(load[hour]) * 1000)
            net = production - consumption
            sums.append(
                HourSums(
                    import_wh=max(0, -net),
                    export_wh=max(0, net),
                    production_wh=production,
                    consumption_wh=consumption,
                    measured=3,
                )
            )
            average = round_half_up(Decimal(factors[hour]["lapalma_pef_avg"]) * 1000)
            marginal = round_half_up(Decimal(factors[hour]["lapalma_pef_marginal"]) * 1000)
            weights.append(Weights(HourFactors.dynamic(average, marginal), FactorRange(0, 4000)))
        assessed = assess_day(sums, VehicleDay(), boundary, Tolerance(), weights, [GHG] * 24)
        imported += sum(hour.flows.import_wh for hour in assessed.hours)
        exported += sum(hour.flows.export_wh for hour in assessed.hours)
        history.append(start + day, assessed.totals)
    return history, imported, exported


@needs_case_study
@pytest.mark.parametrize(
    ("kilowatt_peak", "balance_mwh_pe", "import_wh", "export_wh", "finding"),
    [
        (200, -258877816741, 246026911, 137533885, Finding.BALANCE_NOT_POSITIVE),
        (300, 160515097992, 230933296, 276034938, Finding.POSITIVE),
    ],
)
def test_the_la_palma_year_to_the_last_integer(
    kilowatt_peak: int, balance_mwh_pe: int, import_wh: int, export_wh: int, finding: Finding
) -> None:
    history, imported, exported = la_palma_year(kilowatt_peak)
    assert (imported, exported) == (import_wh, export_wh)
    found = verdict(history, parse_day("2020-01-01"))
    assert found.balance_mwh_pe == found.lower_mwh_pe == found.upper_mwh_pe == balance_mwh_pe
    assert (found.finding, found.complete_hours, found.total_hours) == (finding, 8760, 8760)
