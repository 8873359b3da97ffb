"""Baselines, responses and pay of demand response, against a second, plain statement of domain.md §7."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from random import Random
from statistics import mean
from typing import Any

import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from contracts.baseline import (
    EventInvalid,
    History,
    compute_baseline,
    deposit_micro_eur,
    hour_pay_micro_eur,
    hour_penalty_micro_eur,
    response_wh,
)
from contracts.hour import HOUR_S, parse_day, parse_hour_utc, parse_time_utc
from contracts.response import BaselineMethod
from scripts.command_line import build_application

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
"""A Thursday."""
TEN, HIGH = BaselineMethod
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


# --- the second statement: by the calendar, with pandas and exact means -------------------------------------


def plain_baseline(
    hours: Any,
    rest_days: set[datetime],
    event_days: set[datetime],
    first_day: datetime,
    method: str,
    increase: bool,
    start: datetime,
    end: datetime,
    opened: datetime,
) -> list[int] | None:
    """`hours`: a series of M of complete hours by time."""
    worst, best = ("max", "min") if increase else ("min", "max")
    opened_day = opened.replace(hour=0, minute=0, second=0)
    known = hours[(hours.index + HOUR <= opened) & (hours.index >= opened_day - 45 * DAY)]
    by_clock = dict(tuple(known.groupby(known.index.hour)))

    def value(time: datetime, choose: str) -> int | None:
        if time in hours.index:
            return int(hours[time])
        of_clock = by_clock.get(time.hour)
        return None if of_clock is None else int(getattr(of_clock, choose)())

    event_day = start.replace(hour=0)
    times = [time.to_pydatetime() for time in pandas.date_range(start, end, freq="h", inclusive="left")]
    calendar = pandas.date_range(opened_day - 45 * DAY, opened_day, freq="D")[::-1]
    days = [
        day
        for day in (day.to_pydatetime() for day in calendar)
        if day >= first_day
        and day + (end - event_day) <= opened
        and (day in rest_days) == (event_day in rest_days)
        and day not in event_days
    ][:10]
    if len(days) < 5:
        return None
    table = {day: [value(day + (time - event_day), worst) for time in times] for day in days}
    if any(entry is None for row in table.values() for entry in row):
        return None
    if method == "high_5_of_10":
        sign = 1 if increase else -1
        days = sorted(days, key=lambda day: (sign * sum(table[day]), -day.timestamp()))[:5]  # type: ignore[arg-type]
    means = [mean(Fraction(table[day][place] or 0) for day in days) for place in range(len(times))]
    shift = Fraction(0)
    if opened >= start - HOUR:
        window = [start - 4 * HOUR, start - 3 * HOUR, start - 2 * HOUR]
        now = [value(time, worst) for time in window]
        then = [value(time - (event_day - day), best) for day in days for time in window]
        if None in now or None in then:
            return None
        size = mean(Fraction(abs(entry or 0)) for day in days for entry in table[day]) / 5
        shift = mean(Fraction(entry or 0) for entry in now) - mean(Fraction(entry or 0) for entry in then)
        shift = min(max(shift, -size), size)
    exact = [entry + shift for entry in means]
    return [-((-entry).__floor__()) if increase else entry.__floor__() for entry in exact]


# --- histories ----------------------------------------------------------------------------------------------


class Case:
    """A random history and event from one seed: thousands of values are too many to draw singly."""

    def __init__(self, seed: int) -> None:
        random = Random(seed)
        self.method = random.choice((TEN, HIGH))
        self.increase = random.random() < 0.5
        days = random.choice((8, 20, 50, 55))
        first = (FIRST + random.randrange(400) * DAY).replace(hour=0)
        last_day = first + days * DAY
        self.start = last_day + random.randrange(24) * HOUR
        self.end = self.start + random.randint(1, 24 - self.start.hour) * HOUR
        ahead = random.choice((0, 30, 59, 60, 61, 240, 1_000, 3_000, 9_000))
        self.opened = self.start - timedelta(minutes=ahead)
        scale = random.choice((1, 3, 1_000, 2**31))
        shift = random.choice((-2, -1, 0, 1)) * scale
        hidden = random.choice((0, 0, 0.05, 0.5, 0.97))
        self.hours = {
            first + place * HOUR: shift + random.randint(0, 2 * scale)
            for place in range(24 * (days + 1))
            if random.random() >= hidden
        }
        calendar = [first + place * DAY for place in range(-1, days + 1)]
        self.holidays = {day for day in calendar if random.random() < 0.1}
        self.rest_days = self.holidays | {day for day in calendar if day.isoweekday() > 5}
        self.event_days = {day for day in calendar if random.random() < 0.1}
        self.first = first

    @property
    def history(self) -> History:
        return History(
            {hour_number(time): value for time, value in self.hours.items()},
            day_number(self.first),
            frozenset(map(day_number, self.event_days)),
            frozenset(map(day_number, self.holidays)),
        )

    @property
    def event(self) -> range:
        return range(hour_number(self.start), hour_number(self.end))

    @property
    def opened_s(self) -> int:
        return int(self.opened.timestamp())


def hour_number(time: datetime) -> int:
    return int(time.timestamp()) // 3_600


def day_number(time: datetime) -> int:
    return hour_number(time) // 24


def steady(days: int = 60, value: int = 1_000, start: str = "2026-01-01") -> dict[int, int]:
    first = parse_day(start) * 24
    return dict.fromkeys(range(first, first + 24 * days), value)


def an_event(start: str = "2026-02-20T17:00:00Z", hours: int = 2) -> range:
    first = parse_hour_utc(start)
    return range(first, first + hours)


OPENED = parse_time_utc("2026-02-19T12:00:00Z")


# --- baselines ----------------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**64))
def test_every_baseline_is_that_of_the_plain_statement(seed: int) -> None:
    case = Case(seed)
    series = pandas.Series(case.hours, dtype=object)
    series.index = pandas.DatetimeIndex(series.index, tz=UTC)
    expected = plain_baseline(
        series,
        case.rest_days,
        case.event_days,
        case.first,
        case.method.label,
        case.increase,
        case.start,
        case.end,
        case.opened,
    )
    found = compute_baseline(case.history, case.method, case.increase, case.event, case.opened_s)
    assert (None if found.baseline_wh is None else list(found.baseline_wh)) == expected
    assert (found.reason is None) == (expected is not None)


def test_the_random_cases_reach_every_branch() -> None:
    found = [
        (case, compute_baseline(case.history, case.method, case.increase, case.event, case.opened_s))
        for case in map(Case, range(120))
    ]
    made = [entry for entry in found if entry[1].baseline_wh is not None]
    assert 20 < len(made) < 110
    assert any(baseline.reason and "similar" in baseline.reason for _, baseline in found)
    assert any(baseline.reason and "complete" in baseline.reason for _, baseline in found)
    assert any(baseline.replaced for _, baseline in made)
    assert {baseline.adjustment_wh is None for _, baseline in made} == {True, False}
    assert {case.increase for case, _ in made} == {True, False}
    assert any(min(baseline.baseline_wh or (0,)) < 0 for _, baseline in made)
    assert any(case.start.hour < 4 and baseline.adjustment_wh is not None for case, baseline in made)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**64))
def test_what_happens_after_the_opening_changes_nothing(seed: int) -> None:
    """Pre-loading: a district that knows of the event draws as much as it likes."""
    case = Case(seed)
    before = compute_baseline(case.history, case.method, case.increase, case.event, case.opened_s)
    loaded = {
        hour: value if (hour + 1) * HOUR_S <= case.opened_s else value + 10**6
        for hour, value in case.history.net_import_wh.items()
    }
    history = replace(case.history, net_import_wh=loaded)
    assert compute_baseline(history, case.method, case.increase, case.event, case.opened_s) == before


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**64), st.integers(0, 2**64))
def test_hiding_hours_never_raises_what_can_be_paid(seed: int, hiding_seed: int) -> None:
    """Whatever is hidden but the extreme hours of each clock hour: the sum over the event hours does not rise
    (increase: fall). With an adjustment of all ten days only: of other five days it may be another one."""
    case, random = Case(seed), Random(hiding_seed)
    method = case.method if case.opened < case.start - HOUR else TEN
    before = compute_baseline(case.history, method, case.increase, case.event, case.opened_s)
    if before.baseline_wh is None:
        return
    open_day = case.opened_s // 86_400
    counted = {
        hour: value
        for hour, value in case.history.net_import_wh.items()
        if hour // 24 >= open_day - 45 and (hour + 1) * HOUR_S <= case.opened_s
    }
    extremes = set()
    for clock in range(24):
        of_clock = [hour for hour in counted if hour % 24 == clock]
        if of_clock:
            extremes |= {min(of_clock, key=counted.__getitem__), max(of_clock, key=counted.__getitem__)}
    kept = {
        hour: value
        for hour, value in case.history.net_import_wh.items()
        if hour in extremes or random.random() < 0.7
    }
    history = replace(case.history, net_import_wh=kept)
    after = compute_baseline(history, method, case.increase, case.event, case.opened_s)
    assert after.baseline_wh is not None

    def exact(found: object) -> Fraction:
        assert isinstance(found, type(before))
        return sum(found.means_wh, Fraction(0)) + len(found.means_wh) * (found.adjustment_wh or 0)

    assert exact(after) >= exact(before) if case.increase else exact(after) <= exact(before)


def test_a_hidden_day_counts_as_the_lowest_or_highest_of_its_clock_hour() -> None:
    hours = steady()
    hours[parse_hour_utc("2026-01-15T17:00:00Z")] = (
        40  # 35 days before the opening, a similar day but not of the ten
    )
    hidden = parse_hour_utc("2026-02-18T17:00:00Z")
    del hours[hidden]
    found = compute_baseline(History(hours), TEN, False, an_event(), OPENED)
    assert found.baseline_wh == ((9 * 1_000 + 40) // 10, 1_000)
    assert found.replaced == {(hidden // 24, 0)}
    raised = compute_baseline(History(hours), TEN, True, an_event(), OPENED)
    assert raised.baseline_wh == (1_000, 1_000)


def test_an_idle_district_has_nothing_to_live_from() -> None:
    for method in BaselineMethod:
        found = compute_baseline(History(steady(value=0)), method, False, an_event(), OPENED)
        assert found.baseline_wh == (0, 0)
        assert response_wh(0, 0, 5_000, False, 100) == 0
    hidden = compute_baseline(History({}), TEN, False, an_event(), OPENED)
    assert hidden.baseline_wh is None
    assert hidden.reason == "no complete hour at 17:00 UTC in the 45 days before the opening"
    assert response_wh(None, -5_000, 5_000, False, 100) == 0


def test_similar_days_are_of_the_same_kind_and_cross_months() -> None:
    history = History(steady(), event_days=frozenset({parse_day("2026-02-17")}))
    found = compute_baseline(history, TEN, False, an_event(), OPENED)
    expected = ["02-04", "02-05", "02-06", "02-09", "02-10", "02-11", "02-12", "02-13", "02-16", "02-18"]
    assert list(found.days) == [parse_day(f"2026-{day}") for day in expected]
    rest = replace(history, holidays=frozenset(map(parse_day, ("2026-02-20", "2026-02-16"))))
    found = compute_baseline(rest, TEN, False, an_event(), OPENED)
    expected = ["01-18", "01-24", "01-25", "01-31", "02-01", "02-07", "02-08", "02-14", "02-15", "02-16"]
    assert list(found.days) == [parse_day(f"2026-{day}") for day in expected]


def test_the_day_of_the_opening_counts_once_its_hours_have_ended() -> None:
    event = an_event("2026-02-20T09:00:00Z", 2)
    late = parse_time_utc("2026-02-19T11:00:00Z")
    assert compute_baseline(History(steady()), TEN, False, event, late).days[-1] == parse_day("2026-02-19")
    assert compute_baseline(History(steady()), TEN, False, event, late - 1).days[-1] == parse_day(
        "2026-02-18"
    )


def test_fewer_than_five_similar_days_are_no_baseline() -> None:
    first = parse_day("2026-02-12")
    history = History(steady(8, start="2026-02-12"), first_day=first)
    assert compute_baseline(history, TEN, False, an_event(), OPENED).baseline_wh == (1_000, 1_000)
    found = compute_baseline(replace(history, first_day=first + 1), TEN, False, an_event(), OPENED)
    assert (found.baseline_wh, found.reason) == (None, "4 similar days before the opening, 5 are needed")
    assert len(found.days) == 4


def test_of_equal_sums_the_five_more_recent_days_are_used() -> None:
    for increase in (False, True):
        found = compute_baseline(History(steady()), HIGH, increase, an_event(), OPENED)
        assert [day - parse_day("2026-02-12") for day in found.days] == [0, 1, 4, 5, 6]
    hours = steady()
    hours[parse_hour_utc("2026-02-05T18:00:00Z")] = 1_001
    hours[parse_hour_utc("2026-02-06T18:00:00Z")] = 999
    found = compute_baseline(History(hours), HIGH, False, an_event(), OPENED)
    assert parse_day("2026-02-05") in found.days
    assert found.baseline_wh == (1_000, 1_000)
    found = compute_baseline(History(hours), HIGH, True, an_event(), OPENED)
    assert parse_day("2026-02-06") in found.days


def test_the_adjustment_needs_a_window_that_ended_and_is_clamped() -> None:
    hours = steady()
    for hour in range(parse_hour_utc("2026-02-20T13:00:00Z"), parse_hour_utc("2026-02-20T16:00:00Z")):
        hours[hour] = 1_101
    hours[parse_hour_utc("2026-02-20T13:00:00Z")] = 1_100
    opened = parse_time_utc("2026-02-20T16:00:00Z")
    early = compute_baseline(History(hours), TEN, False, an_event(), opened - 1)
    assert (early.adjustment_wh, early.baseline_wh) == (None, (1_000, 1_000))
    found = compute_baseline(History(hours), TEN, False, an_event(), opened)
    assert (found.adjustment_wh, found.baseline_wh) == (Fraction(302, 3), (1_100, 1_100))
    raised = compute_baseline(History(hours), TEN, True, an_event(), opened)
    assert raised.baseline_wh == (1_101, 1_101), "rounded against the district"
    hours[parse_hour_utc("2026-02-20T14:00:00Z")] = 5_000
    assert compute_baseline(History(hours), TEN, False, an_event(), opened).adjustment_wh == 200
    hours[parse_hour_utc("2026-02-20T14:00:00Z")] = -5_000
    assert compute_baseline(History(hours), TEN, False, an_event(), opened).adjustment_wh == -200
    del hours[parse_hour_utc("2026-02-20T14:00:00Z")]
    hidden = compute_baseline(History(hours), TEN, False, an_event(), opened)
    assert hidden.adjustment_wh == Fraction(1_101 + 1_100 + 1_000, 3) - 1_000


def test_negative_baselines_round_down_to_reduce_and_up_to_increase() -> None:
    hours = steady(value=-7)
    hours[parse_hour_utc("2026-02-18T17:00:00Z")] = -8
    assert compute_baseline(History(hours), TEN, False, an_event(), OPENED).baseline_wh == (-8, -7)
    assert compute_baseline(History(hours), TEN, True, an_event(), OPENED).baseline_wh == (-7, -7)


@pytest.mark.parametrize("hours", [range(5, 5), range(20, 25), range(0, 4, 2)])
def test_an_event_lies_within_one_day(hours: range) -> None:
    with pytest.raises(EventInvalid, match="one UTC day"):
        compute_baseline(History({}), TEN, False, hours, 0)


def test_an_event_is_opened_before_it_begins() -> None:
    with pytest.raises(EventInvalid, match="before it begins"):
        compute_baseline(History({}), TEN, False, an_event(), an_event()[0] * HOUR_S + 1)


# --- response and pay ---------------------------------------------------------------------------------------


def test_the_response_is_what_lies_between_baseline_and_measurement() -> None:
    assert response_wh(1_000, 300, 5_000, False, 100) == 700
    assert response_wh(1_000, 300, 600, False, 100) == 600
    assert response_wh(1_000, 901, 5_000, False, 100) == 0, "below the sensitivity"
    assert response_wh(1_000, 900, 5_000, False, 100) == 100
    assert response_wh(1_000, 1_500, 5_000, False, 0) == 0
    assert response_wh(1_000, 1_500, 5_000, True, 100) == 500
    assert response_wh(-1_000, 1_500, 5_000, True, 100, claimed_wh=900) == 2_500
    assert response_wh(1_000, None, 5_000, False, 100) == response_wh(None, 0, 5_000, False, 100) == 0


def test_of_the_export_only_what_is_not_sold_counts() -> None:
    assert response_wh(1_000, -500, 5_000, False, 100) == 1_500
    assert response_wh(1_000, -500, 5_000, False, 100, claimed_wh=400) == 1_100
    assert response_wh(1_000, -500, 5_000, False, 100, claimed_wh=9_000) == 1_000, "the import that fell"
    assert response_wh(-300, -500, 5_000, False, 100, claimed_wh=0) == 200
    assert response_wh(-300, -500, 5_000, False, 100, claimed_wh=450) == 0
    assert response_wh(-300, -500, 5_000, False, 0, claimed_wh=450) == 50


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 2**32 - 1),
    st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=20),
)
def test_pay_never_exceeds_the_budget_nor_the_price(price: int, requested: int, responses: list[int]) -> None:
    paid = hour_pay_micro_eur(price, requested, responses)
    assert sum(paid) <= price * requested / 1_000
    total = sum(responses)
    for share, response in zip(paid, responses, strict=True):
        assert share <= price * response // 1_000
        if total <= requested:
            assert share == price * response // 1_000


@given(st.integers(0, 2**32 - 1), st.integers(1, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_the_deposit_covers_every_penalty(rate: int, capacity: int, response: int) -> None:
    penalty = hour_penalty_micro_eur(rate, capacity, response)
    assert 0 <= 24 * penalty <= deposit_micro_eur(rate, capacity, 24)
    assert hour_penalty_micro_eur(rate, capacity, capacity * 9 // 10) == 0


# --- the command --------------------------------------------------------------------------------------------


def rows(header: str = "time_utc,import_wh,export_wh") -> Iterator[str]:
    yield header
    for place in range(24 * 50):
        yield f"{FIRST + place * HOUR:%Y-%m-%dT%H:%M:%SZ},{1_000 + place % 24},{place % 7}"


def run(tmp_path: Path, lines: list[str], *options: str) -> tuple[int, str]:
    file = tmp_path / "history.csv"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    arguments = ["dr", "baseline", str(file), *options]
    if "--event" not in options:
        arguments += ["--event", "2026-02-19T17:00Z/2026-02-19T19:00Z"]
    if "--opened" not in options:
        arguments += ["--opened", "2026-02-18T12:00Z"]
    result = CliRunner().invoke(build_application("dr"), arguments)
    return result.exit_code, result.output


def test_the_command_gives_the_numbers_of_the_library(tmp_path: Path) -> None:
    lines = list(rows())
    code, text = run(tmp_path, lines, "--method", "high_5_of_10", "--opened", "2026-02-19T16:00Z", "--json")
    assert code == 0
    net = {}
    for line in lines[1:]:
        time, import_wh, export_wh = line.split(",")
        net[parse_hour_utc(time)] = int(import_wh) - int(export_wh)
    event, opened = an_event("2026-02-19T17:00:00Z"), parse_time_utc("2026-02-19T16:00:00Z")
    found = compute_baseline(History(net, parse_day("2026-01-01")), HIGH, False, event, opened)
    document = json.loads(text)
    assert found.baseline_wh is not None
    assert document["baseline_wh"] == list(found.baseline_wh)
    assert Fraction(document["adjustment_wh_exact"]) == found.adjustment_wh
    assert document["adjustment_wh"] == pytest.approx(float(found.adjustment_wh or 0))
    assert [parse_day(day) for day in document["days_used"]] == list(found.days)
    assert document["hours_utc"] == ["2026-02-19T17:00:00Z", "2026-02-19T18:00:00Z"]
    assert (document["event_start_utc"], document["event_end_utc"]) == (
        "2026-02-19T17:00:00Z",
        "2026-02-19T19:00:00Z",
    )
    assert (document["method"], document["direction"]) == ("high_5_of_10", "reduce")
    assert (document["opened_utc"], document["reason"]) == ("2026-02-19T16:00:00Z", None)


def test_the_command_knows_special_days_by_options_and_by_columns(tmp_path: Path) -> None:
    holidays = tmp_path / "holidays.txt"
    holidays.write_text("2026-02-16\n\n", "utf-8")
    options = ("--json", "--holidays", str(holidays), "--holiday", "2026-02-17", "--event-day", "2026-02-13")
    code, text = run(tmp_path, list(rows()), *options)
    assert code == 0
    assert json.loads(text)["days_used"][-3:] == ["2026-02-10", "2026-02-11", "2026-02-12"]
    lines = list(rows())
    marked = [f"{lines[0]},event_day", *(f"{line},{int('02-17T03' in line)}" for line in lines[1:])]
    code, text = run(tmp_path, marked, "--json")
    assert code == 0
    assert json.loads(text)["days_used"][-2:] == ["2026-02-13", "2026-02-16"]


def test_signed_and_incomplete_hours_are_read(tmp_path: Path) -> None:
    lines = [
        "hour_utc,net_import_wh,complete",
        *(
            f"{FIRST + place * HOUR:%Y-%m-%dT%H:%MZ},-{place // 24},TRUE"
            if place // 24 != 47
            else f"{FIRST + place * HOUR:%Y-%m-%dT%H:%MZ},,0"
            for place in range(24 * 48)
        ),
    ]
    code, text = run(tmp_path, lines, "--json")
    assert code == 0
    document = json.loads(text)
    used = [parse_day(day) - parse_day("2026-01-01") for day in document["days_used"]]
    assert used == [34, 35, 36, 39, 40, 41, 42, 43, 46, 47]
    # The last one is hidden, so it counts as the lowest, which is that of the day before.
    assert document["baseline_wh"] == [-(sum(used[:-1]) + 46) // 10] * 2


def test_a_district_without_a_baseline_is_an_answer(tmp_path: Path) -> None:
    code, text = run(tmp_path, list(rows())[: 24 * 3], "--json", "--opened", "2026-01-04T12:00Z")
    assert code == 0
    document = json.loads(text)
    assert document["baseline_wh"] is None
    assert document["reason"] == "2 similar days before the opening, 5 are needed"
    code, text = run(tmp_path, list(rows())[: 24 * 3], "--opened", "2026-01-04T12:00Z")
    assert code == 0
    assert "No baseline: 2 similar days" in text


def test_the_table_shows_days_values_and_the_formula(tmp_path: Path) -> None:
    code, text = run(tmp_path, list(rows())[:-31], "--opened", "2026-02-19T16:00Z")
    assert code == 0
    for word in ("2026-02-18", "17:00 UTC", "1,0", "mean", "adjustment", "baseline", "rounded down", "*"):
        assert word in text


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (
            1,
            "time_utc,import_kwh,export_kwh",
            "line 1: columns import_wh and export_wh, or net_import_wh, are missing ",
        ),
        (1, "when,import_wh,export_wh", "line 1: column time_utc is missing"),
        (1, "time_utc,import_wh,import_wh", "line 1: column import_wh is there twice"),
        (3, "2026-01-01T00:00:00Z,1,1", "line 3, column time_utc: 2026-01-01T00:00:00Z is there twice"),
        (
            4,
            "2026-01-01T00:00:00Z,1,1",
            "line 4, column time_utc: 2026-01-01T00:00:00Z comes after 2026-01-01T01",
        ),
        (
            3,
            "2026-01-01T01:30:00Z,1,1",
            "line 3, column time_utc: time '2026-01-01T01:30:00Z' is not the start",
        ),
        (3, "2026-01-01T01:00:00,1,1", "line 3, column time_utc: time '2026-01-01T01:00:00' has no offset"),
        (3, "2026-01-01T01:00:00Z,1.5,1", "line 3, column import_wh: '1.5' is no whole number of Wh"),
        (3, "2026-01-01T01:00:00Z,1,", "line 3, column export_wh: '' is no whole number of Wh"),
        (3, "2026-01-01T01:00:00Z,1,-1", "line 3, column export_wh: -1 is negative"),
        (3, "2026-01-01T01:00:00Z,1", "line 3 has 2 cells under 3 columns"),
        (3, '2026-01-01T01:00:00Z,"1,1', "not valid CSV"),
    ],
)
def test_a_bad_file_is_refused_by_line_and_column(tmp_path: Path, line: int, text: str, message: str) -> None:
    lines = list(rows())
    lines[line - 1] = text
    code, problem = run(tmp_path, lines)
    assert code == 1
    assert message in problem


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--event", "2026-02-19T17:00Z"), "is no interval"),
        (("--event", "2026-02-19T17:00Z/2026-02-19T17:30Z"), "is not the start of an hour"),
        (("--event", "2026-02-19T17:00Z/2026-02-19T17:00Z"), "of one UTC day"),
        (("--event", "2026-02-19T23:00Z/2026-02-20T02:00Z"), "of one UTC day"),
        (("--opened", "2026-02-19T17:00:01Z"), "opened before it begins"),
        (("--opened", "2026-02-19T17:00"), "has no offset"),
        (("--holiday", "19.2.2026"), "is not ISO 8601"),
    ],
)
def test_bad_options_are_refused(tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    code, problem = run(tmp_path, list(rows()), *options)
    assert code == 1
    assert message in problem


def test_a_wrong_flag_an_empty_file_and_other_bytes_are_refused(tmp_path: Path) -> None:
    code, problem = run(tmp_path, ["time_utc,net_import_wh,complete", "2026-01-01T00:00Z,1,yes"])
    assert code == 1
    assert "line 2, column complete: 'yes' is no flag" in problem
    code, problem = run(tmp_path, ["time_utc,net_import_wh"])
    assert code == 1
    assert "there is no hour in it" in problem
    holidays = tmp_path / "holidays.txt"
    holidays.write_text("2026-02-16\nChristmas\n", "utf-8")
    code, problem = run(tmp_path, list(rows()), "--holidays", str(holidays))
    assert code == 1
    assert "line 2: day 'Christmas'" in problem
    holidays.write_bytes(b"\xff")
    code, problem = run(tmp_path, list(rows()), "--holidays", str(holidays))
    assert code == 1
    assert "byte 0 is not UTF-8" in problem
