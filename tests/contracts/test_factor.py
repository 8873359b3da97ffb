"""Factors of a zone, exact and as bytes."""

import csv
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.factor import (
    FactorHour,
    FactorInvalid,
    Technology,
    factors_of_mix,
    pack_day,
    require_range,
    round_half_up,
    unpack_day,
)

LA_PALMA = Path(__file__).parents[3] / "shared" / "lapalma"
needs_case_study = pytest.mark.skipif(
    not LA_PALMA.exists(), reason="the published case study is not beside this checkout (../shared/lapalma)"
)
WIND = Technology("wind", 1, 0, 0)
DIESEL = Technology("diesel", Decimal("2.75"), Decimal("2.75"), Decimal("733.59"))

factors = st.integers(0, 2**16 - 1)
factor_hours = st.builds(FactorHour, *[factors] * 6)


@given(st.lists(factor_hours, min_size=24, max_size=24))
def test_a_day_is_unpacked_to_what_was_packed(hours: list[FactorHour]) -> None:
    raw = pack_day(hours)
    assert len(raw) == 288
    assert list(unpack_day(raw)) == hours
    assert int.from_bytes(raw[12 * 7 + 2 : 12 * 7 + 4], "big") == hours[7].marginal_total


def test_what_is_no_day_is_refused() -> None:
    with pytest.raises(FactorInvalid, match="not 23"):
        pack_day([FactorHour(0, 0, 0, 0, 0, 0)] * 23)
    with pytest.raises(FactorInvalid, match="hour 5"):
        pack_day([FactorHour(0, 0, 0, 0, 0, 65536 * (place == 5)) for place in range(24)])
    with pytest.raises(FactorInvalid, match="287"):
        unpack_day(bytes(287))


@given(st.fractions())
def test_rounding_is_half_up_on_both_sides_of_zero(value: Fraction) -> None:
    rounded = round_half_up(value)
    assert -Fraction(1, 2) < rounded - value <= Fraction(1, 2)


def test_average_and_marginal_of_a_mix() -> None:
    hour = factors_of_mix([(WIND, 1), (DIESEL, 3)])
    assert hour == FactorHour(2313, 2750, 2063, 2750, 550, 734)  # 2.3125, 2.0625, 550.1925, 733.59
    assert factors_of_mix([(WIND, 1), (DIESEL, 0)]) == FactorHour(1000, 1000, 0, 0, 0, 0)


def test_merit_order_decides_the_marginal_technology_not_its_size_or_factor() -> None:
    gas = Technology("gas", 2, 2, 400)
    assert factors_of_mix([(DIESEL, 5), (gas, Decimal("0.001"))]).marginal_total == 2000


@given(st.lists(st.integers(0, 10**9), min_size=2, max_size=2).filter(any), st.integers(1, 10**6))
def test_the_average_lies_between_the_technologies_and_ignores_the_unit(
    generated: list[int], scale: int
) -> None:
    hour = factors_of_mix([(WIND, generated[0]), (DIESEL, generated[1])])
    assert 1000 <= hour.average_total <= 2750
    assert hour == factors_of_mix([(WIND, generated[0] * scale), (DIESEL, generated[1] * scale)])


def test_an_hour_without_or_with_negative_generation_has_no_factor() -> None:
    with pytest.raises(FactorInvalid, match="nothing is generated"):
        factors_of_mix([(WIND, 0), (DIESEL, 0)])
    with pytest.raises(FactorInvalid, match="diesel is negative: -1"):
        factors_of_mix([(WIND, 5), (DIESEL, -1)])


@pytest.mark.parametrize(
    ("total", "non_renewable", "ghg"), [(1, 2, 0), (1, -1, 0), (Decimal("2.5"), Decimal("2.5"), -1)]
)
def test_an_impossible_technology_is_refused(total: int, non_renewable: int, ghg: int) -> None:
    with pytest.raises(FactorInvalid, match="technology peat"):
        Technology("peat", total, non_renewable, ghg)


@pytest.mark.parametrize("place", range(6))
def test_a_factor_out_of_range_is_named(place: int) -> None:
    fine = FactorHour(1000, 3000, 0, 3000, 0, 900)
    require_range(fine, 1000, 3000, 900)
    for value in (-1, 3001):
        with pytest.raises(FactorInvalid, match=f"{FactorHour._fields[place]} {value}"):
            require_range(
                FactorHour(*(value if i == place else f for i, f in enumerate(fine))), 1000, 3000, 900
            )


@needs_case_study
def test_the_average_of_la_palma_is_the_published_one() -> None:
    with (LA_PALMA / "hourly_genmix_lapalma_2019.csv").open(newline="") as file:
        mixes = list(csv.DictReader(file))
    with (LA_PALMA / "derived_pef_co2_hourly.csv").open(newline="") as file:
        published = list(csv.DictReader(file))
    pv = Technology("pv", 1, 0, 0)
    for mix, expected in zip(mixes[::7], published[::7], strict=True):
        hour = factors_of_mix(
            [
                (pv, Decimal(mix["pv_kW"])),
                (WIND, Decimal(mix["wind_kW"])),
                (DIESEL, Decimal(mix["diesel_kW"])),
            ]
        )
        assert abs(hour.average_total - Decimal(expected["lapalma_pef_avg"]) * 1000) <= 1
