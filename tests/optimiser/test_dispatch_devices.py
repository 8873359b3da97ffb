"""The equations of the devices against answers worked out by hand (MODEL.md §5.4, §11.5 to §11.7)."""

import math

import numpy as np
import pytest
from pydantic import ValidationError

from optimiser.dispatch.devices import Battery, DeviceSettings, HeatPump, Shiftable, Vehicles
from tests.optimiser.dispatch_cases import MIDNIGHT_S

HOURS_S = MIDNIGHT_S + 3600 * np.arange(48)
PUMP = HeatPump(
    power_kw=10, store_kwh=40, store_kw=30, resistance_k_per_kw=0.5, capacitance_kwh_per_k=40, gains_kw=2
)


def test_a_battery_loses_on_both_ways() -> None:
    battery = Battery(
        capacity_kwh=100, charge_kw=50, discharge_kw=50, charge_efficiency=0.9, discharge_efficiency=0.8
    )
    assert battery.gain_kwh(10, 0, 0.5) == pytest.approx(4.5)
    assert battery.gain_kwh(0, 8, 0.5) == pytest.approx(-5)
    assert battery.round_trip == pytest.approx(0.72)
    assert battery.initial_kwh == 50


def test_the_cop_is_the_carnot_share_of_the_lift() -> None:
    # 0.45 * (40 + 273.15) / (40 - 5 + 10) = 3.1315; at 38 degrees the lift of 12 K would give 11.7: limited
    assert PUMP.cop(np.array([5.0, 38.0])) == pytest.approx([3.1315, 7.0])


def test_a_room_approaches_its_equilibrium_with_its_time_constant() -> None:
    # R C = 20 h: after 20 h the distance to 5 + 0.5 (2 + 8) = 10 degrees has fallen to 1/e
    assert PUMP.next_room_degc(20.0, 5.0, 8.0, 20.0) == pytest.approx(10 + 10 / math.e)
    quarters = 20.0
    for _ in range(4):
        quarters = PUMP.next_room_degc(quarters, 5.0, 8.0, 0.25)
    assert quarters == pytest.approx(PUMP.next_room_degc(20.0, 5.0, 8.0, 1.0))


def test_the_heat_for_a_goal_reaches_it() -> None:
    heat = PUMP.heat_for(19.0, 5.0, 20.0, 1.0)
    assert PUMP.next_room_degc(19.0, 5.0, heat, 1.0) == pytest.approx(20.0)
    assert PUMP.heat_for(20.0, 5.0, 20.0, 1.0) == pytest.approx(15 / 0.5 - 2)  # standing losses less gains


def test_a_store_keeps_the_same_share_in_quarters_as_in_hours() -> None:
    assert PUMP.store_kept(1.0) == pytest.approx(0.995)
    assert PUMP.store_kept(0.25) ** 4 == pytest.approx(0.995)


def test_vehicles_are_away_between_departure_and_arrival() -> None:
    fleet = Vehicles(
        capacity_kwh=40, charge_kw=7, departure_h=7, arrival_h=17, trip_kwh=10, needed_kwh=20, count=2
    )
    at = fleet.timetable(HOURS_S, 3600)
    assert np.flatnonzero(~at.plugged[:24]).tolist() == list(range(7, 17))
    assert np.flatnonzero(at.leaves).tolist() == [7, 31]
    assert np.flatnonzero(at.arrives).tolist() == [17, 41]
    assert fleet.total_kwh == 80


def test_a_night_shift_is_away_over_midnight() -> None:
    fleet = Vehicles(capacity_kwh=40, charge_kw=7, departure_h=22, arrival_h=6, trip_kwh=10, needed_kwh=20)
    at = fleet.timetable(HOURS_S, 3600)
    assert np.flatnonzero(~at.plugged).tolist() == [*range(6), *range(22, 30), 46, 47]
    assert np.flatnonzero(at.leaves).tolist() == [22, 46]


def test_commuters_stay_at_the_weekend() -> None:
    fleet = Vehicles(
        capacity_kwh=40,
        charge_kw=7,
        departure_h=7,
        arrival_h=17,
        trip_kwh=10,
        needed_kwh=20,
        weekdays_only=True,
    )
    week = fleet.timetable(MIDNIGHT_S + 3600 * np.arange(7 * 24), 3600)
    leaving_days = np.flatnonzero(week.leaves) // 24
    assert leaving_days.tolist() == [0, 1, 2, 3, 6]  # from Tuesday: Saturday and Sunday are days 4 and 5


def test_a_window_may_cross_midnight() -> None:
    load = Shiftable(energy_kwh=6, power_kw=2, start_h=22, duration_h=5)
    number, inside = load.window(HOURS_S)
    assert np.flatnonzero(inside).tolist() == [0, 1, 2, 22, 23, 24, 25, 26, 46, 47]
    assert number[1] + 1 == number[22] == number[26] == number[45]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"battery": [{"capacity_kwh": -1, "charge_kw": 1, "discharge_kw": 1}]}, "greater than 0"),
        ({"battery": [{"capacity_kwh": 1, "charge_kw": 1, "discharge_kw": 1, "soc": 1}]}, "soc"),
        ({"battery": [{"capacity_kwh": float("nan"), "charge_kw": 1, "discharge_kw": 1}]}, "finite"),
        ({"battery": [{"capacity_kwh": 1, "charge_kw": 1, "discharge_kw": 1}] * 2}, "battery is there twice"),
        (
            {"shiftable": [{"energy_kwh": 9, "power_kw": 2, "start_h": 0, "duration_h": 4}]},
            "9.0 cannot be drawn with power_kw 2.0",
        ),
        (
            {
                "vehicles": [
                    {
                        "capacity_kwh": 40, "charge_kw": 7, "departure_h": 7, "arrival_h": 17, "trip_kwh": 30,
                        "needed_kwh": 20,
                    }
                ]
            },
            "trip_kwh 30.0 exceeds needed_kwh 20.0",
        ),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused_with_the_value(table: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DeviceSettings.model_validate(table)
