"""The simulated plant: no physical limit is ever broken, and energy is conserved, whatever the devices are
told."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimiser.dispatch.account import Account
from optimiser.dispatch.devices import Battery, DeviceSettings, GridLimits, HeatPump, Shiftable, Vehicles
from optimiser.dispatch.plant import Action, Plant
from optimiser.dispatch.rule_based import rule_based
from optimiser.dispatch.state import State
from tests.optimiser.dispatch_cases import ALL_DEVICES, MIDNIGHT_S, outlook, random_outlook

LIMITED = ALL_DEVICES.model_copy(update={"grid": GridLimits(export_kw=15)})
NAMES = LIMITED.names


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000), step_s=st.sampled_from([900, 3600]), spread_kw=st.sampled_from([5.0, 500.0])
)
def test_no_limit_is_broken_whatever_the_set_points(seed: int, step_s: int, spread_kw: float) -> None:
    rng = np.random.default_rng(seed)
    truth = random_outlook(seed, 40, step_s, MIDNIGHT_S + step_s * int(rng.integers(0, 200)))
    plant = Plant(LIMITED, State.initial(LIMITED, truth.start_s), truth)
    battery, (v2g, car) = LIMITED.battery[0], LIMITED.vehicles
    pump, load = LIMITED.heat_pump[0], LIMITED.shiftable[0]
    for step in range(truth.steps):
        plant.arrive_and_depart(step)
        before = plant.state
        wanted = {name: float(rng.normal(0, spread_kw)) for name in NAMES}
        action = Action(wanted, {pump.name: float(rng.normal(0, spread_kw))}, float(rng.normal(0, spread_kw)))
        flows = plant.step(step, action)
        after, h = plant.state, truth.hours
        supplied = flows.production_wh + flows.import_wh + flows.discharge_wh
        assert supplied == flows.consumption_wh + flows.export_wh + flows.charge_wh
        assert min(flows.import_wh, flows.export_wh) == 0
        assert 0 <= flows.production_wh <= truth.pv_kw[step] * h * 1000 + 0.5
        assert flows.export_wh <= 15 * h * 1000 or flows.production_wh == 0
        power = flows.power_kw
        assert -battery.discharge_kw <= power[battery.name] <= battery.charge_kw
        assert -v2g.count * v2g.discharge_kw <= power[v2g.name] <= v2g.count * v2g.charge_kw
        assert 0 <= power[car.name] <= car.charge_kw  # no V2G: never discharges
        assert 0 <= power[pump.name] <= pump.power_kw
        assert 0 <= power[load.name] <= load.power_kw
        for fleet in (v2g, car):
            assert plant.plugged(fleet.name, step) or power[fleet.name] == 0
        assert plant.inside(load.name, step) or power[load.name] == 0
        assert 0 <= after.shiftable_done_kwh[load.name] <= load.energy_kwh + 1e-9
        for storage in LIMITED.storages:
            kw = power[storage.name]
            assert 0 <= after.stored_kwh[storage.name] <= storage.total_kwh
            gain = storage.gain_kwh(max(0.0, kw), max(0.0, -kw), h)
            moved = after.stored_kwh[storage.name] - before.stored_kwh[storage.name]
            assert moved == pytest.approx(gain, abs=1e-9)
        assert -1e-9 <= after.stored_kwh[pump.name] <= pump.store_kwh


def test_a_day_worked_out_by_hand() -> None:
    battery = Battery(
        capacity_kwh=10, charge_kw=5, discharge_kw=5, charge_efficiency=0.8, discharge_efficiency=0.5,
        initial_soc=0.0, wear_eur_per_kwh=0.1,
    )  # fmt: skip
    devices = DeviceSettings(battery=(battery,))
    truth = outlook([1.0] * 24, pv_kw=[8.0] + [0.0] * 23, buy=0.2, sell=0.05, average=2.5, marginal=2.75)
    plant, account = Plant(devices, State.initial(devices, MIDNIGHT_S), truth), Account(devices, truth)
    for step in range(24):
        account.add(step, plant.step(step, Action({"battery": 5.0 if step == 0 else -1.0}, {})))
    # 8 - 1 - 5 = 2 kWh exported; 5 kWh charged become 4 stored, which give 1 kWh in hours 1 and 2
    assert plant.state.stored_kwh["battery"] == pytest.approx(0.0)
    assert account.bill_eur == pytest.approx(21 * 0.2 - 2 * 0.05)
    assert account.worn_eur == pytest.approx(0.2)
    assert account.balance_kwh_pe == pytest.approx(2 * 2.75 - 21 * 2.5)


def test_storage_charged_from_the_grid_counts_at_the_marginal_factor() -> None:
    battery = Battery(capacity_kwh=10, charge_kw=5, discharge_kw=5, initial_soc=0.0)
    devices = DeviceSettings(battery=(battery,))
    truth = outlook([3.0], average=2.5, marginal=2.75)
    plant, account = Plant(devices, State.initial(devices, MIDNIGHT_S), truth), Account(devices, truth)
    account.add(0, plant.step(0, Action({"battery": 4.0}, {})))
    assert account.balance_kwh_pe == pytest.approx(-3 * 2.5 - 4 * 2.75)


def test_what_vehicles_brought_in_is_booked_when_the_day_ends() -> None:
    fleet = Vehicles(
        name="v2g", capacity_kwh=40, charge_kw=10, discharge_kw=10, departure_h=2, arrival_h=4, trip_kwh=0,
        needed_kwh=0, outside_kwh=20, initial_soc=0, charge_efficiency=1, discharge_efficiency=1,
    )  # fmt: skip
    devices = DeviceSettings(vehicles=(fleet,))
    truth = outlook([5.0] * 24, average=2.5, marginal=[2.75] * 12 + [3.0] * 12)
    plant, account = Plant(devices, State.initial(devices, MIDNIGHT_S), truth), Account(devices, truth)
    for step in range(24):
        missed = plant.arrive_and_depart(step)
        account.add(step, plant.step(step, Action({"v2g": -5.0 if step >= 20 else 0.0}, {}), missed))
    assert account.balance_kwh_pe == pytest.approx(-20 * 5 * 2.5 - 20 * 3.0)


def test_a_capacity_charge_is_paid_once_for_each_months_peak() -> None:
    devices = DeviceSettings(grid=GridLimits(capacity_eur_per_kw=3))
    truth = outlook([4.0, 9.0, 2.0, 7.0], buy=0.0, start_s=MIDNIGHT_S + (31 * 24 - 2) * 3600)
    plant, account = Plant(devices, State.initial(devices, truth.start_s), truth), Account(devices, truth)
    peaks = []
    for step in range(4):
        account.add(step, plant.step(step, Action({}, {})))
        peaks.append(plant.state.peak_import_kw)
    assert account.capacity_eur == pytest.approx(3 * (9 + 7))
    assert peaks == pytest.approx([4, 0, 2, 7])  # February begins at the third hour


def test_a_window_that_ends_short_is_counted_once() -> None:
    load = Shiftable(energy_kwh=4, power_kw=2, start_h=1, duration_h=3)
    devices = DeviceSettings(shiftable=(load,))
    truth = outlook([0.0] * 30)
    plant = Plant(devices, State.initial(devices, MIDNIGHT_S), truth)
    missed = [plant.step(step, Action({"shiftable": 1.0}, {})).missed_kwh for step in range(30)]
    assert np.flatnonzero(missed).tolist() == [3, 27]
    assert missed[3] == pytest.approx(1.0)


def test_the_rule_serves_its_devices_and_keeps_the_room_warm() -> None:
    truth = random_outlook(5, 24 * 7)
    plant = Plant(ALL_DEVICES, State.initial(ALL_DEVICES, truth.start_s), truth)
    discomfort = missed = 0.0
    for step in range(truth.steps):
        missed += plant.arrive_and_depart(step)
        flows = plant.step(step, rule_based(ALL_DEVICES, plant.state, truth.part(step, step + 1)))
        discomfort += flows.discomfort_k_h
        missed += flows.missed_kwh
    assert discomfort == 0
    assert missed == pytest.approx(0)


def test_the_rule_stores_the_surplus_and_serves_the_deficit() -> None:
    devices = DeviceSettings(battery=(Battery(capacity_kwh=50, charge_kw=20, discharge_kw=20),))
    state = State.initial(devices, MIDNIGHT_S)
    assert rule_based(devices, state, outlook([5.0], pv_kw=12.0)).power_kw == pytest.approx({"battery": 7})
    assert rule_based(devices, state, outlook([15.0], pv_kw=2.0)).power_kw == pytest.approx({"battery": -13})
    assert rule_based(devices, state, outlook([np.nan])).power_kw == pytest.approx({"battery": 0})


def test_a_cold_day_needs_no_temperature_to_be_safe() -> None:
    pump = HeatPump(power_kw=10, store_kwh=20, store_kw=20, resistance_k_per_kw=0.5, capacitance_kwh_per_k=40)
    devices = DeviceSettings(heat_pump=(pump,))
    action = rule_based(devices, State.initial(devices, MIDNIGHT_S), outlook([1.0], outdoor_degc=np.nan))
    assert np.isfinite(action.power_kw["heat-pump"])
    assert np.isfinite(action.heat_kw["heat-pump"])
