"""Indicators against hand-worked numbers, and batteries that cannot be batteries."""

import math

import pytest

from certifier.indicators import NO_EVENT, RESOLUTIONS, Step, formulas
from certifier.plausibility import implausible_span, storage_day, usable_capacity_wh

STEPS = [
    Step(generation_wh=4_000, load_wh=2_000, export_wh=2_000),
    Step(generation_wh=0, load_wh=3_000, import_wh=2_000, discharge_wh=1_000),
    Step(generation_wh=1_000, load_wh=4_000, import_wh=3_000),
    Step(generation_wh=2_000, load_wh=1_000, charge_wh=1_000),
]
VALUES = {
    "self_consumption": (2 + 0 + 1 + 1) / 7,
    "self_sufficiency": 4 / 10,
    "OER": 7 / 10,
    "AMR": (0 + (3 - 0 - 1) / 3 + 3 / 4 + 0) / 4,
    "MHS": 2.0,
    "MHD": 3.0,
    "RPL": 4.0,
    "load_matching": (1 + 0 + 1 / 4 + 1) / 4,
}


@pytest.mark.parametrize(("name", "expected"), VALUES.items())
def test_an_indicator_is_what_its_formula_says(name: str, expected: float) -> None:
    formula = next(entry for entry in formulas(1) if entry.id == name)
    assert formula.compute(STEPS).value == pytest.approx(expected)


def test_exchange_indicators() -> None:
    by_id = {entry.id: entry for entry in formulas(1)}
    exchanges = [2.0, -2.0, -3.0, 0.0]
    mean = sum(exchanges) / 4
    deviation = math.sqrt(sum((value - mean) ** 2 for value in exchanges) / 4)
    assert by_id["grid_interaction"].compute(STEPS).value == pytest.approx(deviation / 3)
    assert by_id["peak_exchange_p99"].compute(STEPS).value == pytest.approx(2 + 0.97)
    six_hours = {entry.id: entry for entry in formulas(6)}
    assert six_hours["peak_exchange_p99"].compute(STEPS).value == pytest.approx((2 + 0.97) / 6)


def test_primary_energy_and_greenhouse_gas() -> None:
    by_id = {entry.id: entry for entry in formulas(1)}
    step = Step(
        generation_wh=1_000,
        renewable_wh=1_000,
        import_wh=2_000,
        export_mwh_pe=3_000_000,
        import_mwh_pe=4_000_000,
        import_total_mwh_pe=4_000_000,
        import_non_renewable_mwh_pe=3_000_000,
        ghg_mg=-1_500_000,
    )
    assert by_id["export_import_pe"].compute([step]).value == pytest.approx(3 / 4)
    assert by_id["ghg_balance"].compute([step]).value == pytest.approx(-1.5)
    assert by_id["RER"].compute([step]).value == pytest.approx((1 + 4 - 3) / (1 + 4))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("self_consumption", "nothing was generated"),
        ("self_sufficiency", "nothing was consumed, or the load is not metered"),
        ("RPL", "the lowest load is zero"),
        ("AMR", "no step has a load"),
        ("export_import_pe", "nothing was imported"),
        ("grid_interaction", "nothing was exchanged with the grid"),
        ("flexibility_response", NO_EVENT.reason),
    ],
)
def test_what_is_undefined_is_null_with_its_reason(name: str, reason: str) -> None:
    value = next(entry for entry in formulas(1) if entry.id == name).compute([Step()])
    assert value.value is None
    assert value.reason == reason


def test_every_indicator_has_unit_formula_and_version() -> None:
    for hours in RESOLUTIONS.values():
        found = formulas(hours)
        assert len({entry.id for entry in found}) == len(found) == 14
        assert all(entry.unit and entry.text and entry.version >= 1 for entry in found)


def test_an_honest_battery_is_plausible_for_a_year() -> None:
    days = [storage_day(day, [(10_000, 0)] * 4 + [(0, 9_000)] * 4, 900, 36_000) for day in range(365)]
    assert implausible_span(days) is None


def test_a_day_that_swings_beyond_the_registered_capacity_is_flagged() -> None:
    cycle = [(10_000, 0)] * 4 + [(0, 9_000)] * 4
    margin_wh = 76_000 * 5 // 100
    assert implausible_span([storage_day(0, cycle, 900, 36_000 - margin_wh)]) is None
    span = implausible_span([storage_day(0, cycle, 900, 36_000 - margin_wh - 1)])
    assert span is not None
    assert (span.swing_wh, span.allowed_wh) == (36_000, 35_999)


def test_without_a_registered_capacity_a_day_at_nameplate_power_stands_for_it() -> None:
    assert usable_capacity_wh(36_000, 10_000) == 36_000
    assert usable_capacity_wh(0, 10_000) == 240_000


def test_a_battery_that_gives_more_than_it_takes_is_flagged() -> None:
    days = [storage_day(day, [(0, 10_000)] * 24, 900, 240_000) for day in range(3)]
    span = implausible_span(days)
    assert span is not None
    assert (span.first_day, span.last_day) == (0, 1)
    assert span.swing_wh == 480_000
    assert span.allowed_wh == 240_000 + 480_000 * 5 // 100
    assert "480000 Wh" in span.explanation("battery-7")
