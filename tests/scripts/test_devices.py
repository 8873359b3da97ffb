"""Simulated devices are physics, not echoes: energy is conserved, limits hold, needs of people come first."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.devices.physics import STEP_S, Battery, HeatPump, Trip, Vehicle

DAY_S, HOUR_S = 86_400, 3600
powers = st.lists(st.integers(-9000, 9000), min_size=4, max_size=24)


def run(model: Battery | Vehicle | HeatPump, setpoints_w: list[int], start_s: int = 0) -> list[float]:
    """Hourly set-points; the energy of each hour, Wh."""
    return [
        sum(
            model.step(start_s + hour * HOUR_S + second, power_w) * STEP_S / HOUR_S
            for second in range(0, HOUR_S, STEP_S)
        )
        for hour, power_w in enumerate(setpoints_w)
    ]


@given(powers, st.floats(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_a_battery_never_holds_more_than_it_was_given(setpoints_w: list[int], stored_wh: float) -> None:
    battery = Battery(10_000, 4000, 5000, stored_wh, 0.95, 0.9, loss_per_day=0.0)
    expected_wh = stored_wh
    for power_w in setpoints_w:
        before_wh = battery.stored_wh
        (energy_wh,) = run(battery, [power_w])
        assert -5000 <= energy_wh <= 4000
        assert 0 <= battery.stored_wh <= 10_000
        expected_wh += energy_wh * 0.95 if energy_wh > 0 else energy_wh / 0.9
        assert battery.stored_wh == pytest.approx(expected_wh, abs=1e-6)
        if 0 < before_wh + power_w * 0.95 < 10_000 and 0 <= power_w <= 4000:
            assert energy_wh == pytest.approx(power_w), "within its limits it obeys"


def test_a_battery_stops_where_it_is_full_and_says_so_before() -> None:
    battery = Battery(1000, 4000, 4000, 900, 1.0, 1.0, loss_per_day=0.0)
    assert battery.possible(0, HOUR_S)[:2] == (-900, 100)
    assert run(battery, [4000, -2000]) == [pytest.approx(100), pytest.approx(-1000)]
    assert battery.stored_wh == 0
    with pytest.raises(ValueError, match="cannot hold 1001"):
        Battery(1000, 1, 1, 1001)


def test_a_battery_loses_by_itself() -> None:
    battery = Battery(1000, 100, 100, 1000, loss_per_day=0.1)
    run(battery, [0] * 24)
    assert battery.stored_wh == pytest.approx(900)


def vehicle(stored_wh: float) -> Vehicle:
    trip = Trip(7 * HOUR_S, 17 * HOUR_S, used_wh=8000, needed_wh=20_000)
    return Vehicle(Battery(40_000, 11_000, 11_000, stored_wh, 0.95, 0.95, loss_per_day=0.0), [trip])


@given(st.lists(st.integers(-20_000, 20_000), min_size=24, max_size=24))
@settings(max_examples=30, deadline=None)
def test_a_vehicle_leaves_charged_whatever_it_is_told(setpoints_w: list[int]) -> None:
    driven = vehicle(15_000)
    energies_wh = run(driven, setpoints_w)
    assert driven.short_wh <= 200, "less than a minute of charging"
    assert energies_wh[7:17] == [0.0] * 10, "away"


def test_a_vehicle_declares_what_its_driver_leaves_free() -> None:
    driven = vehicle(25_000)
    assert driven.possible(0, HOUR_S).min_w == -11_000
    assert driven.possible(6 * HOUR_S, 900).min_w == -11_000
    nearly = vehicle(20_000)
    assert nearly.possible(6 * HOUR_S + 2700, 900).min_w == 0
    assert vehicle(15_000).possible(6 * HOUR_S + 1800, 900).min_w > 9000
    assert driven.possible(8 * HOUR_S, 900) == (0, 0, "away")
    assert vehicle(15_000).safe_w(0) == 0
    assert vehicle(15_000).safe_w(6 * HOUR_S + 2400) == 11_000


def pump(outdoor_degc: float, stored_wh: float = 5000, room_degc: float = 21.0) -> HeatPump:
    return HeatPump(
        3000,
        10_000,
        stored_wh,
        room_degc,
        lambda _: outdoor_degc,
        resistance_k_per_w=0.005,
        capacity_wh_per_k=5000,
        heating_w=6000,
        loss_per_h=0.0,
    )


def test_a_heat_pump_gives_more_heat_when_it_is_milder() -> None:
    assert pump(0).cop(0) == pytest.approx(0.45 * 313.15 / 50)
    assert pump(10).cop(0) > pump(0).cop(0)
    assert pump(45).cop(0) == 7.0


@given(st.lists(st.integers(0, 5000), min_size=4, max_size=12), st.floats(-10, 20))
@settings(max_examples=30, deadline=None)
def test_heat_is_conserved_between_pump_store_and_building(
    setpoints_w: list[int], outdoor_degc: float
) -> None:
    heated = pump(outdoor_degc)
    stored_wh, room_degc, lost_wh, heat_wh = heated.stored_wh, heated.room_degc, 0.0, 0.0
    for hour, power_w in enumerate(setpoints_w):
        for second in range(0, HOUR_S, STEP_S):
            lost_wh += (heated.room_degc - outdoor_degc) / 0.005 * STEP_S / HOUR_S
            flow_w = heated.step(hour * HOUR_S + second, power_w)
            assert 0 <= flow_w <= 3000
            heat_wh += flow_w * heated.cop(0) * STEP_S / HOUR_S
    gained_wh = (heated.stored_wh - stored_wh) + (heated.room_degc - room_degc) * 5000
    assert heat_wh == pytest.approx(gained_wh + lost_wh, abs=1e-6 * (1 + math.fabs(lost_wh)))


def test_comfort_comes_before_a_set_point_and_a_full_store_ends_it() -> None:
    cold = pump(-5, stored_wh=100, room_degc=19.0)
    assert cold.possible(0, 900).min_w == 3000
    assert run(cold, [0])[0] > 1000
    full = pump(15, stored_wh=10_000, room_degc=23.0)
    assert full.possible(0, 900).max_w == 0
    assert run(full, [3000])[0] == pytest.approx(0)
