"""The outlook of a running district: the case's year moved to today, and what was measured since."""

from datetime import UTC, date, datetime

import numpy as np
import pytest

from optimiser.balances import Balances
from optimiser.dispatch.case import DispatchCase, DispatchTable
from optimiser.dispatch.devices import Battery, HeatPump
from optimiser.dispatch.live import LiveOutlook, Measured, MeteredHour, state_of
from tests.optimiser.dispatch_cases import ALL_DEVICES, MIDNIGHT_S, outlook

NOW_S = int(datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp())
BATTERY = Battery(capacity_kwh=60, charge_kw=20, discharge_kw=20)


def case(devices: DispatchTable) -> DispatchCase:
    """A year that tells the weekday as its load and the month as its generation."""
    starts = [datetime.fromtimestamp(MIDNIGHT_S + 3600 * hour, UTC) for hour in range(8760)]
    load = np.array([float(start.weekday()) for start in starts])
    truth = outlook(load, pv_kw=np.array([float(start.month) for start in starts]))
    return DispatchCase("year", devices, truth, None)


def test_weekdays_and_seasons_stay_what_they_are_in_another_year() -> None:
    found = LiveOutlook(case(DispatchTable(battery=(BATTERY,)))).profile_from(NOW_S, 48)
    assert date.fromtimestamp(NOW_S).weekday() == 1
    assert found.load_kw.tolist() == [1.0] * 12 + [2.0] * 24 + [3.0] * 12
    assert set(found.pv_kw) <= {11.0, 12.0}


@pytest.mark.parametrize("pumps", [(), (HeatPump(power_kw=6, store_kwh=20, store_kw=15,
    resistance_k_per_kw=1.5, capacitance_kwh_per_k=10),)])  # fmt: skip
def test_measured_hours_change_the_forecast(pumps: tuple[HeatPump, ...]) -> None:
    live = LiveOutlook(case(DispatchTable(battery=(BATTERY,), heat_pump=pumps)))
    hours = {NOW_S // 3600 - back: MeteredHour(70.0, 30.0) for back in range(1, 24 * 60)}
    blind, seeing = live.outlook(NOW_S, None), live.outlook(NOW_S, Measured(Balances((), None), hours))
    assert blind.method.endswith("0 measured hours")
    assert seeing.method.endswith("1439 measured hours")
    assert seeing.pv_kw == pytest.approx(30.0, rel=0.05)
    assert (seeing.load_kw.max() < 10) == bool(pumps), "a heat pump is in the metered consumption"
    seeing.require_usable()


def test_vehicles_are_counted_from_midnight_and_silent_devices_are_as_set() -> None:
    told = {"v2g": {"stored_wh": 50_000.0, "supply_wh": 9_000.0, "draw_wh": 4_000.0}}
    state = state_of(ALL_DEVICES, told, NOW_S, {"v2g": (6_000.0, 2_000.0)})
    assert state.stored_kwh["v2g"] == 50.0
    assert state.vehicle_excess_kwh["v2g"] == pytest.approx(3.0 - ALL_DEVICES.vehicles[0].round_trip * 2.0)
    assert state.stored_kwh["battery"] == ALL_DEVICES.battery[0].initial_kwh
    assert state_of(ALL_DEVICES, told, NOW_S, {}).vehicle_excess_kwh["v2g"] == 0.0


def test_the_peak_so_far_is_of_this_month_and_of_hours_that_are_over() -> None:
    first = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp()) // 3600
    imports = {first - 1: 90.0, first: 20.0, first + 30: 35.0, NOW_S // 3600: 80.0}
    hours = {hour: MeteredHour(0.0, 0.0, import_kw) for hour, import_kw in imports.items()}
    found = Measured(Balances((), None), hours)
    assert found.peak_import_kw(NOW_S) == 35.0
    assert found.peak_import_kw(NOW_S + 3600) == 80.0
    assert found.peak_import_kw(3600 * (first + 24 * 30)) == 0.0
