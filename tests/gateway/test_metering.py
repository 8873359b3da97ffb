"""The metering rules (domain.md §2): pure functions, for every order and every gap."""

import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from contracts.hour import HOUR_S
from contracts.reading import Record, Status
from gateway.metering import (
    MISSING,
    Amount,
    Exchange,
    Register,
    Sample,
    boundary_hour,
    difference_wh,
    interval_hour,
    record,
    register_hours,
    spread,
    total,
)

CAP_WH = 11_000
REGISTER = Register(modulus_wh=2**32, cap_wh=CAP_WH)
MEASURED, ESTIMATED, PARTIAL = Status.MEASURED, Status.ESTIMATED, Status.PARTIAL


def boundary(hour: int, value_wh: int) -> tuple[int, Sample]:
    return hour, Sample(hour * HOUR_S, value_wh)


@given(st.integers(0, 10**12), st.integers(1, 400))
def test_spreading_keeps_every_watt_hour(total_wh: int, hours: int) -> None:
    parts = spread(total_wh, hours)
    assert sum(parts) == total_wh
    assert len(parts) == hours
    assert max(parts) - min(parts) <= 1
    assert parts == [total_wh * (k + 1) // hours - total_wh * k // hours for k in range(hours)]


@given(
    energies=st.lists(st.integers(0, CAP_WH), min_size=1, max_size=60),
    start=st.integers(0, 2**32 - 1),
    kept=st.sets(st.integers(0, 60)),
    seed=st.integers(0, 2**32),
)
def test_energy_is_conserved_whatever_samples_are_lost_in_whatever_order(
    energies: list[int], start: int, kept: set[int], seed: int
) -> None:
    """True energies of hours, read from a register that may roll over; any subset of the boundaries."""
    values = [start]
    for energy_wh in energies:
        values.append((values[-1] + energy_wh) % REGISTER.modulus_wh)
    hours = sorted({hour for hour in kept if hour <= len(energies)} | {0, len(energies)})
    samples = [boundary(hour, values[hour]) for hour in hours]
    shuffled = samples * 2
    random.Random(seed).shuffle(shuffled)
    amounts = register_hours(shuffled, REGISTER)
    assert amounts == register_hours(samples, REGISTER)
    assert list(amounts) == list(range(len(energies)))
    assert sum(amount.energy_wh for amount in amounts.values()) == sum(energies)
    for first, end in pairwise(hours):
        status = MEASURED if end - first == 1 else ESTIMATED
        assert {amounts[hour].status for hour in range(first, end)} == {status}
        assert sum(amounts[hour].energy_wh for hour in range(first, end)) == sum(energies[first:end])


def test_the_first_value_ever_gives_no_energy() -> None:
    assert register_hours([boundary(5, 123_456)], REGISTER) == {}
    assert register_hours([], REGISTER) == {}


def test_zero_is_a_value() -> None:
    assert register_hours([boundary(5, 0), boundary(6, 0)], REGISTER) == {5: Amount(MEASURED, 0)}
    assert interval_hour([0, 0, 0, 0], 4) == Amount(MEASURED, 0)
    assert interval_hour([], 4) == MISSING


def test_roll_over_of_decimal_registers() -> None:
    for digits in (6, 8):
        register = Register(10**digits * 1000, CAP_WH)
        amounts = register_hours([boundary(1, 10**digits * 1000 - 3000), boundary(2, 2000)], register)
        assert amounts == {1: Amount(MEASURED, 5000)}


def test_a_fall_that_no_roll_over_explains_is_missing_until_it_is_declared() -> None:
    samples = [boundary(1, 500_000), boundary(2, 40), boundary(3, 90)]
    amounts = register_hours(samples, REGISTER)
    assert amounts[1].status is Status.MISSING
    assert "from 500000 to 40 Wh" in amounts[1].reason
    assert amounts[2] == Amount(MEASURED, 50)
    exchange = Exchange(1 * HOUR_S + 1800, final_wh=500_700, first_wh=10)
    assert register_hours(samples, REGISTER, [exchange])[1] == Amount(MEASURED, 730)
    unknown = Exchange(1 * HOUR_S + 1800, None, None)
    assert register_hours(samples, REGISTER, [unknown])[1].status is Status.MISSING


def test_a_single_low_value_makes_both_neighbours_missing() -> None:
    amounts = register_hours([boundary(1, 5000), boundary(2, 0), boundary(3, 6000)], REGISTER)
    assert [amounts[hour].status for hour in (1, 2)] == [Status.MISSING, Status.MISSING]
    assert "correct the low value" in amounts[2].reason


def test_a_gap_of_seven_days_is_estimated_and_a_longer_one_is_missing() -> None:
    assert {a.status for a in register_hours([boundary(0, 0), boundary(168, 1000)], REGISTER).values()} == {
        ESTIMATED
    }
    longer = register_hours([boundary(0, 0), boundary(169, 1000)], REGISTER)
    assert {amount[:2] for amount in longer.values()} == {(Status.MISSING, 0)}
    assert len(longer) == 169


def test_more_than_the_cap_is_missing_with_both_numbers() -> None:
    amount = register_hours([boundary(0, 0), boundary(1, CAP_WH + 1)], REGISTER)[0]
    assert amount.status is Status.MISSING
    assert "11001" in amount.reason
    assert "11000" in amount.reason


def test_the_sample_nearest_to_the_boundary_counts() -> None:
    late, near, early = (Sample(3600 + seconds, 100 + seconds) for seconds in (40, 10, -10))
    amounts = register_hours([(1, late), (1, near), (1, early), boundary(2, 200)], REGISTER)
    assert amounts[1].energy_wh == 200 - early.value_wh
    assert boundary_hour(3600 + 60, 60) == 1
    assert boundary_hour(3600 + 61, 60) is None
    assert boundary_hour(3600 - 60, 60) == 1


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(1, 10_000))
def test_a_difference_is_never_negative_and_never_more_than_one_turn(a: int, b: int, seconds: int) -> None:
    counted = difference_wh(Sample(0, a), Sample(seconds, b), REGISTER)
    if b >= a:
        assert counted == b - a
    elif counted is not None:
        assert counted == b - a + 2**32
        assert counted <= -(-CAP_WH * seconds // HOUR_S)


def test_status_of_a_record_from_its_channels() -> None:
    measured, estimated, partial = Amount(MEASURED, 5), Amount(ESTIMATED, 3), Amount(PARTIAL, 2)
    assert record(measured, None) == Record(MEASURED, 5, 0)
    assert record(measured, measured) == Record(MEASURED, 5, 5)
    assert record(measured, estimated) == Record(ESTIMATED, 5, 3)
    assert record(measured, MISSING) == Record(PARTIAL, 5, 0)
    assert record(estimated, MISSING) == Record(PARTIAL, 3, 0)
    assert record(partial, measured) == Record(PARTIAL, 2, 5)
    assert record(MISSING, MISSING) == Record(Status.MISSING, 0, 0)
    assert interval_hour([1, 2, 3], 4) == Amount(PARTIAL, 6, "3 of 4 intervals")


def test_tariff_registers_add_up() -> None:
    assert total([Amount(MEASURED, 5), Amount(MEASURED, 7)]) == Amount(MEASURED, 12)
    assert total([Amount(MEASURED, 5), MISSING]).status is PARTIAL
