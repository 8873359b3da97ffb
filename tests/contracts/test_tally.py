"""Sums of a day from its readings, in worked numbers (against the contract: test_rule_on_chain)."""

import pytest

from contracts.energy import Carried, HourSums
from contracts.point import Kind
from contracts.reading import KindSum, ReadingInvalid, Record, Status
from contracts.tally import Stream, TallyGateway, TallyGroup, TallyPoint, summarise, tally_day

PLANT = TallyGateway(
    (
        TallyPoint(Kind.GRID, 1000),
        TallyPoint(Kind.GENERATION, 500),
        TallyPoint(Kind.VEHICLE, 70, 900),
        TallyPoint(Kind.FUEL_GENERATION, 80),
        TallyPoint(Kind.HEAT, 300),
    )
)
POOL = TallyGateway(groups=(TallyGroup(Kind.LOAD, 6, 6000), TallyGroup(Kind.GAS, 5, 400)))
GATEWAYS = {"plant": PLANT, "pool": POOL}
MEASURED = [Record(Status.MEASURED, 10 * n, n) for n in range(1, 6)]
SUMS = [KindSum(Kind.LOAD, 6, 0, 77), KindSum(Kind.GAS, 5, 40, 4)]


def test_each_kind_goes_to_its_lane() -> None:
    tally = tally_day(GATEWAYS, {("plant", 3): MEASURED}, {("pool", 3): SUMS})
    assert tally.hours[3] == HourSums(
        import_wh=10,
        export_wh=1,
        production_wh=20 + 40,
        consumption_wh=77 + 2 + 4,
        charge_wh=3,
        discharge_wh=30,
        foreign_wh=40,
        carriers=(Carried(40, 4), Carried(50, 5), *(Carried(0, 0),) * 6),
        measured=5,
        members=11,
    )
    assert (tally.vehicles.discharge_wh, tally.vehicles.weighted_charge) == (30, 2700)
    assert tally.hours[4] == HourSums(
        short_grid_cap_wh=1000, short_carrier_cap_wh=700, short_foreign_cap_wh=150
    )


@pytest.mark.parametrize(
    ("status", "sums"),
    [
        (Status.ESTIMATED, HourSums(import_wh=1, estimated=2, short_foreign_cap_wh=150)),
        (
            Status.PARTIAL,
            HourSums(import_wh=1, short_grid_cap_wh=1000, short_carrier_cap_wh=300, short_foreign_cap_wh=150),
        ),
    ],
)
def test_what_is_not_measured_is_counted_by_what_it_puts_in_doubt(status: Status, sums: HourSums) -> None:
    records = [Record(status, 1, 0), *(Record(status, 0, 0),) * 4]
    assert tally_day({"plant": PLANT}, {("plant", 0): records}, {}).hours[0] == sums


def test_an_estimated_vehicle_counts_in_the_hour_but_not_in_the_day() -> None:
    records = [*MEASURED[:2], Record(Status.ESTIMATED, 30, 3), *MEASURED[3:]]
    tally = tally_day({"plant": PLANT}, {("plant", 0): records}, {})
    assert (tally.hours[0].discharge_wh, tally.vehicles.discharge_wh) == (30, 0)
    assert tally.hours[0].short_foreign_cap_wh == 70


def test_members_that_drop_out_make_only_their_carrier_short() -> None:
    sums = [KindSum(Kind.LOAD, 5, 0, 70), KindSum(Kind.GAS, 4, 0, 0)]
    hour = tally_day({"pool": POOL}, {}, {("pool", 0): sums}).hours[0]
    assert hour == HourSums(consumption_wh=70, members=9, short_carrier_cap_wh=400)


def test_taint_is_counted_per_stream() -> None:
    streams = [Stream("plant", 5, False), Stream("pool", 5, True), Stream("plant", 6, False)]
    hours = tally_day(GATEWAYS, {}, {}, streams).hours
    assert [hour.tainted for hour in hours[4:8]] == [0, 2, 1, 0]


def test_a_boundary_is_summed_over_its_gateways() -> None:
    summary = summarise([PLANT, POOL], version=3)
    assert (summary.open_points, summary.members, summary.load_metered, summary.version) == (5, 11, True, 3)
    assert (summary.grid_cap_wh, summary.carrier_cap_wh, summary.foreign_cap_wh) == (1000, 700, 150)
    assert not summarise([PLANT]).load_metered


def test_readings_that_do_not_fit_the_points_are_refused() -> None:
    with pytest.raises(ReadingInvalid, match="gateway plant, hour 7: 4 records for 5 points"):
        tally_day(GATEWAYS, {("plant", 7): MEASURED[1:]}, {})
    with pytest.raises(ReadingInvalid, match=r"gateway pool, hour 7: kinds \[17\]"):
        tally_day(GATEWAYS, {}, {("pool", 7): SUMS[1:]})
