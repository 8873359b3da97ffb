"""The price of primary energy against closed forms (MODEL.md §11.4)."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from optimiser.dispatch.devices import Battery, DeviceSettings, Shiftable, Vehicles
from optimiser.dispatch.price import PriceSettings, TypicalDays, YearPrice, usual_device_load_kw
from optimiser.dispatch.state import Outlook
from optimiser.forecast.grid import DAY_S
from tests.optimiser.dispatch_cases import MIDNIGHT_S, outlook

DAYS = 28
END_S = MIDNIGHT_S + DAYS * DAY_S
SPACING = 0.35
"""Prices are tried on a grid whose neighbours are this much apart."""
NO_RESERVE = PriceSettings(confidence=0.5, ceiling_eur_per_kwh_pe=0.9)
BATTERY = Battery(capacity_kwh=10, charge_kw=20, discharge_kw=20, charge_efficiency=1, discharge_efficiency=1)
DEVICES = DeviceSettings(battery=(BATTERY,))


def same_days(days: int = DAYS) -> Outlook:
    """Twelve hours of 10 kW surplus, then twelve of 10 kW deficit, every day: E of a day is 120 (2.75 -
    2.5) = 30."""
    return outlook(
        np.tile([0.0] * 12 + [10.0] * 12, days),
        pv_kw=np.tile([10.0] * 12 + [0.0] * 12, days),
        buy=0.1,
        sell=0.05,
    )


def price_of(balance_kwh_pe: float, now_s: int = MIDNIGHT_S, settings: PriceSettings = NO_RESERVE) -> float:
    """The price in four weeks of the same day."""
    return year_price(settings).price(now_s, balance_kwh_pe)


@cache
def year_price(settings: PriceSettings) -> YearPrice:
    """Four weeks of the same day."""
    return YearPrice(DEVICES, TypicalDays.of(same_days(), DEVICES), END_S, settings)


def test_a_balance_that_is_positive_anyway_has_no_price() -> None:
    # own use of 10 kWh a day costs 10 (2.75 - 2.5) = 2.5 kWh_PE: E is 27.5 a day
    assert price_of(-27.4 * DAYS) == 0.0


def test_the_price_is_what_the_own_use_that_is_given_up_would_have_saved() -> None:
    # a kWh sold instead of stored loses 0.1 - 0.05 EUR and gains 0.25 kWh_PE
    assert price_of(-28.5 * DAYS) == pytest.approx(0.05 / 0.25, rel=SPACING)


def test_a_balance_that_cannot_be_reached_costs_the_ceiling() -> None:
    assert price_of(-31.0 * DAYS) == pytest.approx(0.9)
    assert price_of(-31.0 * DAYS, settings=PriceSettings(ceiling_eur_per_kwh_pe=0, confidence=0.5)) == 0.0


def test_the_realised_balance_moves_the_price() -> None:
    half_s = MIDNIGHT_S + DAYS // 2 * DAY_S
    needed = -28.5 * DAYS / 2
    assert price_of(needed, half_s) == pytest.approx(0.2, rel=SPACING)
    assert price_of(needed + 1.1 * DAYS / 2, half_s) == 0.0
    assert price_of(needed - 2.0 * DAYS / 2, half_s) == pytest.approx(0.9)


def test_after_the_end_there_is_no_price() -> None:
    assert price_of(-1e6, END_S) == 0.0


def test_the_reserve_melts_with_the_root_of_the_days_left() -> None:
    profile = same_days()
    sun = profile.pv_kw * np.repeat(np.where(np.arange(DAYS) % 2, 0.5, 1.5), 24)
    days = TypicalDays.of(replace(profile, pv_kw=sun), DEVICES)
    assert days.spread_kwh_pe == pytest.approx(60 * 2.75)  # +-60 kWh of export
    year = YearPrice(DEVICES, days, END_S, PriceSettings(confidence=0.8413447))
    assert year.reserve_kwh_pe(END_S - 16 * DAY_S) == pytest.approx(4 * 60 * 2.75, rel=1e-4)
    assert year.reserve_kwh_pe(END_S) == 0.0


def test_the_days_of_a_month_share_the_days_that_are_left() -> None:
    days = TypicalDays.of(outlook(np.ones(24 * 59)), DeviceSettings())
    assert days.month.tolist() == [1] * 31 + [2] * 28
    left = days.weights(MIDNIGHT_S + 21 * DAY_S, MIDNIGHT_S + 59 * DAY_S)
    assert left == pytest.approx([10 / 31] * 31 + [1] * 28)
    # March is not in the profile: February stands in
    march = days.weights(MIDNIGHT_S + 59 * DAY_S, MIDNIGHT_S + 62 * DAY_S)
    assert march == pytest.approx([0] * 31 + [3 / 28] * 28)


def test_devices_add_what_they_need_on_an_average_day() -> None:
    devices = DeviceSettings(
        vehicles=(
            Vehicles(
                capacity_kwh=40, charge_kw=7, departure_h=6, arrival_h=18, trip_kwh=9, needed_kwh=9,
                charge_efficiency=0.9, count=2,
            ),
        ),
        shiftable=(Shiftable(energy_kwh=6, power_kw=3, start_h=10, duration_h=4),),
    )  # fmt: skip
    load = usual_device_load_kw(devices, outlook(np.zeros(48)))
    assert load.sum() == pytest.approx(2 * (2 * 9 / 0.9 + 6))
    assert load[11] == pytest.approx(1.5)
    assert load[7] == 0


def test_a_profile_without_whole_days_is_refused() -> None:
    with pytest.raises(ValueError, match="00:00 UTC"):
        TypicalDays.of(outlook(np.ones(12)), DEVICES)
