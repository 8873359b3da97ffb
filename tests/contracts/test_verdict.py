"""The verdict over a rolling year, against a plain sum over its days."""

from dataclasses import replace
from datetime import date
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.energy import DayTotals
from contracts.hour import format_day, parse_day, window_start
from contracts.verdict import Finding, History, HistoryInvalid, Verdict, latest_verdict, verdict

START = parse_day("2019-01-01")
END = parse_day("2020-01-01")
GOOD = DayTotals(10, 8, 12, -5, -3, 24, False, 1)


def history_of(days: list[DayTotals], start: int = START) -> History:
    history = History(start)
    for place, totals in enumerate(days):
        history.append(start + place, totals, finalised_at=1000 + place)
    return history


def year(**changed: DayTotals) -> History:
    """365 good days, except those named `d0`, `d17`, ..."""
    return history_of([changed.get(f"d{place}", GOOD) for place in range(365)])


def test_a_good_year_is_positive_with_its_sums() -> None:
    assert verdict(year(), END) == Verdict(
        Finding.POSITIVE, START, END, 3650, 2920, 4380, -1825, -1095, 8760, 8760, 720, 1, 1
    )


@pytest.mark.parametrize(
    ("window_end", "start"),
    [
        ("2020-02-28", "2019-02-28"),
        ("2020-02-29", "2019-03-01"),
        ("2020-03-01", "2019-03-01"),
        ("2021-02-28", "2020-02-28"),
        ("2021-03-01", "2020-03-01"),
        ("2025-01-01", "2024-01-01"),
    ],
)
def test_a_window_begins_on_the_same_date_a_year_before(window_end: str, start: str) -> None:
    assert format_day(window_start(parse_day(window_end))) == start


def test_a_window_never_begins_before_day_0() -> None:
    assert [window_start(day) for day in (0, 1, 364, 365, 366)] == [0, 0, 0, 0, 1]


@given(st.dates(date(1971, 1, 1), date(2105, 12, 31)))
def test_a_window_has_365_or_366_days(end: date) -> None:
    window_end = parse_day(end.isoformat())
    assert window_end - window_start(window_end) in (365, 366)
    assert 0 <= window_start(window_end + 1) - window_start(window_end) <= 2


def test_the_findings_and_their_order() -> None:
    bad = replace(GOOD, complete_hours=0, lower_mwh_pe=-9_999, ghg_upper_mg=9_999)
    edge = replace(bad, edge_estimated=True)
    history = year(d0=edge, d100=bad)
    assert verdict(history, END + 1).finding is Finding.NOT_FINAL
    assert verdict(history, END - 1).finding is Finding.WINDOW_TOO_SHORT

    def while_pending(history: History, restart_days: tuple[int, ...] = ()) -> Finding:
        return verdict(
            history, END, restart_days=restart_days, adjustments_pending=True, compromise_pending=True
        ).finding

    assert while_pending(history, (START + 1,)) is Finding.BOUNDARY_RESTARTED
    assert while_pending(history) is Finding.EDGE_ESTIMATED
    history = year(**{f"d{place}": bad for place in range(100, 200)})
    assert while_pending(history) is Finding.ADJUSTMENTS_PENDING
    assert verdict(history, END, compromise_pending=True).finding is Finding.COMPROMISE_PENDING
    assert verdict(history, END).finding is Finding.INCOMPLETE
    assert verdict(year(d7=replace(bad, complete_hours=24)), END).finding is Finding.BALANCE_NOT_POSITIVE
    assert verdict(year(d7=replace(GOOD, ghg_upper_mg=1093)), END).finding is Finding.GHG_POSITIVE
    assert verdict(year(d7=replace(GOOD, ghg_upper_mg=1092)), END).finding is Finding.POSITIVE
    assert verdict(year(d7=replace(GOOD, lower_mwh_pe=-2912)), END).finding is Finding.BALANCE_NOT_POSITIVE
    assert verdict(year(d7=replace(GOOD, lower_mwh_pe=-2911)), END).finding is Finding.POSITIVE


@pytest.mark.parametrize(
    ("restart", "finding"),
    [
        (START - 1, Finding.POSITIVE),
        (START, Finding.POSITIVE),
        (START + 1, Finding.BOUNDARY_RESTARTED),
        (END - 1, Finding.BOUNDARY_RESTARTED),
        (END, Finding.POSITIVE),
    ],
)
def test_a_removed_load_or_generator_restarts_the_twelve_months(restart: int, finding: Finding) -> None:
    assert verdict(year(), END, restart_days=[restart]).finding is finding


def test_ninety_percent_are_demanded_of_each_block_and_of_the_whole() -> None:
    dark, dim = replace(GOOD, complete_hours=0), replace(GOOD, complete_hours=23)
    three = {f"d{364 - place}": dark for place in (0, 10, 29)}
    assert verdict(year(**three), END).finding is Finding.POSITIVE
    found = verdict(year(**three, d340=dim), END)
    assert (found.finding, found.worst_block_hours) == (Finding.INCOMPLETE, 647)
    spread = {f"d{364 - place}": dark for block in range(12) for place in range(30 * block, 30 * block + 3)}
    assert verdict(year(**spread), END).finding is Finding.POSITIVE
    found = verdict(year(**spread, d0=dark), END)  # the five oldest days belong to no block
    assert (found.finding, found.worst_block_hours, found.complete_hours) == (Finding.INCOMPLETE, 648, 7872)


def test_the_newest_verdict_waits_for_an_edge_without_estimates() -> None:
    history = history_of([GOOD] * 372)
    assert latest_verdict(history).window_end == START + 372
    for back in range(1, 10):
        edge = replace(GOOD, edge_estimated=True)
        history = history_of([GOOD] * 380 + [edge] * back)
        found = latest_verdict(history)
        assert (found.window_end, found.finding) == (
            (START + 380, Finding.POSITIVE) if back <= 7 else (START + 380 + back - 7, Finding.EDGE_ESTIMATED)
        )


def random_totals(random: Random) -> DayTotals:
    energy = [random.randint(-(10**15), 10**15) for _ in range(5)]
    return DayTotals(*energy, complete_hours=random.randint(0, 24), edge_estimated=False)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 40), st.integers(0, 30))
def test_sums_are_those_of_the_days_as_they_were_known(seed: int, more_days: int, adjustments: int) -> None:
    random = Random(seed)
    days = [random_totals(random) for _ in range(366 + more_days)]
    history = history_of(days)
    booked: list[tuple[int, int, DayTotals]] = []
    for number in range(adjustments):
        place, totals = random.randrange(len(days)), random_totals(random)
        history.revise(START + place, totals, booked_at=5000 + number)
        booked.append((5000 + number, place, totals))
    window_end = history.frontier() - random.randint(0, more_days)
    for known_at in (None, 4999, 5000 + adjustments // 2):
        expected = list(days)
        for time, place, totals in booked:
            if known_at is None or time <= known_at:
                expected[place] = totals
        first, last = window_start(window_end) - START, window_end - START
        found = verdict(history, window_end, known_at=known_at)
        assert found.balance_mwh_pe == sum(day.balance_mwh_pe for day in expected[first:last])
        assert found.lower_mwh_pe == sum(day.lower_mwh_pe for day in expected[first:last])
        assert found.upper_mwh_pe == sum(day.upper_mwh_pe for day in expected[first:last])
        assert found.ghg_mg == sum(day.ghg_mg for day in expected[first:last])
        assert found.ghg_upper_mg == sum(day.ghg_upper_mg for day in expected[first:last])
        assert found.complete_hours == sum(day.complete_hours for day in expected[first:last])
        blocks = [expected[last - 30 * k - 30 : last - 30 * k] for k in range(12)]
        assert found.worst_block_hours == min(sum(day.complete_hours for day in block) for block in blocks)
        assert (found.first_version, found.last_version) == (
            expected[first].boundary_version,
            expected[last - 1].boundary_version,
        )


def test_what_was_not_yet_final_is_not_known() -> None:
    history = year()
    assert verdict(history, END, known_at=1363).finding is Finding.NOT_FINAL
    assert verdict(history, END, known_at=1364).finding is Finding.POSITIVE


def test_an_adjustment_counts_from_its_booking_and_a_second_one_replaces_the_first() -> None:
    history = year()
    history.revise(START + 5, replace(GOOD, balance_mwh_pe=1000), booked_at=5000)
    history.revise(START + 5, replace(GOOD, balance_mwh_pe=2000), booked_at=6000)
    balances = [verdict(history, END, known_at=time).balance_mwh_pe for time in (4999, 5000, 5999, 6000)]
    assert balances == [3650, 4640, 4640, 5640]
    assert verdict(history, END).balance_mwh_pe == 5640


def test_an_adjustment_can_make_an_edge_estimated() -> None:
    history = year()
    history.revise(END - 1, replace(GOOD, edge_estimated=True), booked_at=5000)
    assert verdict(history, END, known_at=4999).finding is Finding.POSITIVE
    assert verdict(history, END).finding is Finding.EDGE_ESTIMATED


def test_days_follow_each_other_in_number_and_time() -> None:
    history = history_of([GOOD])
    with pytest.raises(HistoryInvalid, match="2019-01-02 is next"):
        history.append(START, GOOD)
    with pytest.raises(HistoryInvalid, match="before the day that precedes it"):
        history.append(START + 1, GOOD, finalised_at=999)
    with pytest.raises(HistoryInvalid, match="2019-01-02 is not final"):
        history.revise(START + 1, GOOD, booked_at=0)
    with pytest.raises(HistoryInvalid, match="2018-12-31 is not final"):
        history.totals(START - 1)
    history.revise(START, GOOD, booked_at=10)
    with pytest.raises(HistoryInvalid, match="before an earlier one"):
        history.revise(START, GOOD, booked_at=9)
