"""Forecasts: no look-ahead, missing is not zero, quantiles that keep their promise, and baselines by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from optimiser.forecast import (
    Baseline,
    ClearSky,
    Corrected,
    Forecaster,
    HistoryInvalid,
    Learned,
    PerfectForesight,
    Persistence,
    SimilarDays,
    Site,
    backtest,
    scores_table,
)

DEMO = Path(__file__).parents[2] / "scripts" / "demo_data" / "lapalma_2019.csv"
SITE = Site(28.803, -17.774, 288, 28.803, 180)
MAKERS: list[Callable[[], Forecaster]] = [
    lambda: Baseline(Persistence("hour")),
    lambda: Baseline(Persistence("day")),
    lambda: Baseline(Persistence("week")),
    lambda: Baseline(SimilarDays()),
    lambda: Baseline(SimilarDays(count=5, statistic="median", alike=True)),
    lambda: Baseline(ClearSky(SITE)),
    lambda: Baseline(Corrected(SimilarDays(count=5))),
    lambda: Learned(SimilarDays()),
]


def utc(text: str) -> pd.Timestamp:
    return pd.Timestamp(text, tz="UTC")


def series(values: Any, start: str = "2019-01-01", step_s: int = 3600) -> pd.Series[Any]:
    index = pd.date_range(utc(start), periods=len(values), freq=pd.Timedelta(seconds=step_s))
    return pd.Series(np.asarray(values, dtype=float), index=index)


@pytest.fixture(scope="module")
def lapalma() -> pd.DataFrame:
    frame = pd.read_csv(DEMO, index_col=0)
    frame.index = pd.to_datetime(frame.index, utc=True)
    return frame


@pytest.mark.parametrize("make", MAKERS)
def test_the_future_changes_nothing(make: Callable[[], Forecaster], lapalma: pd.DataFrame) -> None:
    issued_at = utc("2019-03-20T11:00")
    history = lapalma["load_kW"].iloc[: 24 * 100]
    changed = history.copy()
    changed[changed.index >= issued_at] = np.linspace(-1e6, 1e6, int((changed.index >= issued_at).sum()))
    seen = make().forecast(history, issued_at, 48)
    for other in (changed, history[history.index < issued_at]):
        again = make().forecast(other, issued_at, 48)
        assert again.method == seen.method
        for level, values in seen.quantiles.items():
            np.testing.assert_array_equal(again.quantiles[level], values)


@pytest.mark.parametrize("make", MAKERS)
def test_quantiles_ascend_and_the_median_is_one_of_them(
    make: Callable[[], Forecaster], lapalma: pd.DataFrame
) -> None:
    foreseen = make().forecast(lapalma["load_kW"], utc("2019-04-11T07:00"), 48)
    assert list(foreseen.quantiles) == [0.1, 0.5, 0.9]
    np.testing.assert_array_equal(foreseen.quantiles[0.5], foreseen.median)
    assert (np.diff(np.stack(list(foreseen.quantiles.values())), axis=0) >= 0).all()
    assert (foreseen.quantiles[0.9] > foreseen.quantiles[0.1]).any()
    assert foreseen.index[0] == utc("2019-04-11T07:00")
    assert foreseen.index[-1] == utc("2019-04-13T06:00")
    assert list(foreseen.to_frame().columns) == ["median", "q10", "q50", "q90"]


def test_earlier_questions_do_not_change_an_answer(lapalma: pd.DataFrame) -> None:
    used, fresh = Baseline(SimilarDays()), Baseline(SimilarDays())
    for hour in (0, 300, 30, 500):
        used.forecast(lapalma["load_kW"], utc("2019-05-01") + pd.Timedelta(hours=hour), 24)
    at = utc("2019-05-06T05:00")
    one, other = used.forecast(lapalma["load_kW"], at, 24), fresh.forecast(lapalma["load_kW"], at, 24)
    np.testing.assert_array_equal(one.quantiles[0.9], other.quantiles[0.9])


def test_points_by_hand() -> None:
    history = series(np.arange(24 * 28))  # 2019-01-01 was a Tuesday; the last day, 28 January, a Monday
    end = utc("2019-01-29")
    for model, expected in (
        (Persistence("hour"), [671, 671, 671]),
        (Persistence("day"), [648, 649, 648]),
        (Persistence("week"), [504, 505, 528]),
        (SimilarDays(count=2), [(648 + 576) / 2, (649 + 577) / 2, (648 + 576) / 2]),  # Monday and Friday
        (SimilarDays(count=3, statistic="median", alike=True), [624, 625, 624]),
        (SimilarDays(count=1, holidays=frozenset({date(2019, 1, 28)})), [576, 577, 576]),
        (SimilarDays(count=1, holidays=frozenset({date(2019, 1, 29)})), [624, 625, 648]),  # Sunday before
    ):
        grid_points = _points(model, history, end, 25)
        assert [grid_points[0], grid_points[1], grid_points[24]] == expected, model.name


def test_the_newest_error_fades() -> None:
    values = np.tile(np.arange(24.0), 20)
    values[-2:] += 4, 8
    history = series(values)
    for model, newest in ((Corrected(Persistence("day")), 8), (Corrected(Persistence("day"), 6, 2), 6)):
        points = _points(model, history, utc("2019-01-21"), 24)
        plain = _points(Persistence("day"), history, utc("2019-01-21"), 24)
        np.testing.assert_allclose(points - plain, newest * np.exp(-(np.arange(24) + 0.5) / 6))
    history.iloc[-1] = np.nan
    unknown = _points(Corrected(Persistence("day")), history, utc("2019-01-21"), 23)
    plain = _points(Persistence("day"), history, utc("2019-01-21"), 23)
    np.testing.assert_array_equal(unknown, plain)


def _points(model: Any, history: pd.Series[Any], at: pd.Timestamp, steps: int) -> Any:
    """Points alone: with one constant error per clock time the median is the point plus that error."""
    from optimiser.forecast.grid import grid_before

    grid = grid_before(history, at, 45, 3600)
    return model.points(grid, np.array([grid.values.size]), steps)[0]


def test_missing_is_not_zero() -> None:
    values = np.tile(np.arange(24.0) + 1, 21)
    values[-24 * 3 : -24] = np.nan
    history = series(values)
    at = history.index[-1] + pd.Timedelta(hours=1)
    without_labels = history.dropna()
    for make in MAKERS:
        foreseen = make().forecast(history, at, 24)
        assert not np.isnan(np.stack(list(foreseen.quantiles.values()))).any()
        np.testing.assert_array_equal(make().forecast(without_labels, at, 24).median, foreseen.median)
    np.testing.assert_allclose(Baseline(SimilarDays()).forecast(history, at, 24).median, np.arange(24) + 1)
    np.testing.assert_allclose(
        Baseline(Persistence("day")).forecast(history, at, 48).median[24:], np.arange(24) + 1
    )


def test_a_fallback_is_named() -> None:
    history = series(np.full(30, 5.0))
    foreseen = Baseline(Persistence("week")).forecast(history, utc("2019-01-02T06:00"), 24)
    assert "24 of 24 steps: persistence (last day)" in foreseen.method
    assert "range of the known values" in foreseen.method
    learned = Learned(SimilarDays()).forecast(history, utc("2019-01-02T06:00"), 24)
    assert "fewer than 28 days known" in learned.method
    np.testing.assert_array_equal(learned.median, np.full(24, 5.0))
    first_hours = Baseline(Persistence("day")).forecast(series([3.0, 7.0]), utc("2019-01-01T02:00"), 2)
    assert first_hours.method.startswith("persistence (last day); 2 of 2 steps: persistence (last hour)")
    np.testing.assert_array_equal(first_hours.quantiles[0.1], [3, 3])


@pytest.mark.parametrize(
    ("history", "at", "message"),
    [
        (series([]), "2019-01-02", "nothing is known"),
        (series([np.nan] * 24), "2019-01-02", "nothing is known"),
        (series([1.0] * 24), "2019-01-02T00:30", "not at the start of an interval"),
        (series([1.0] * 24, step_s=900), "2019-01-02", "00:15:00.* is not at the start"),
        (series([1.0, np.inf, 2.0]), "2019-01-02", "infinite"),
        (series([1.0] * 24)[::-1], "2019-01-02", "not sorted"),
        (pd.concat([series([1.0]), series([1.0])]), "2019-01-02", "twice"),
        (pd.Series([1.0], index=pd.date_range("2019-01-01", periods=1)), "2019-01-02", "not in UTC"),
    ],
)
def test_a_bad_history_is_refused(history: pd.Series[Any], at: str, message: str) -> None:
    with pytest.raises(HistoryInvalid, match=message):
        Baseline(Persistence("day")).forecast(history, utc(at), 24)


def test_bad_questions_are_refused() -> None:
    with pytest.raises(HistoryInvalid, match="0 steps"):
        Baseline(Persistence("day")).forecast(series([1.0]), utc("2019-01-02"), 0)
    with pytest.raises(HistoryInvalid, match="not in UTC"):
        Baseline(Persistence("day")).forecast(
            series([1.0]), pd.Timestamp("2019-01-02", tz="Europe/Madrid"), 2
        )
    with pytest.raises(HistoryInvalid, match="level 1"):
        Baseline(Persistence("day"), levels=(0.5, 1.0))
    with pytest.raises(HistoryInvalid, match="step_s 7"):
        Baseline(Persistence("day"), step_s=7)


def test_the_promised_share_of_truths_lies_between_the_quantiles() -> None:
    chance = np.random.default_rng(3)
    day = 50 + 20 * np.sin(np.arange(24) / 24 * 2 * np.pi)
    truth = series(np.tile(day, 200) + chance.normal(0, 1 + np.arange(4800) % 24 / 6))
    scores = backtest(
        truth,
        [Baseline(SimilarDays(alike=True))],
        start=utc("2019-04-01"),
        end=utc("2019-07-15"),
        every_hours=7,
    )
    table = scores_table(scores)
    own = table[table["method"].str.startswith("mean of the last 10")]
    assert list(own["lead_hours"]) == ["0-1", "1-6", "6-24", "24-48"]
    assert own["promised"].to_numpy() == pytest.approx(0.8)
    assert own["coverage"].to_numpy()[1:] == pytest.approx(0.8, abs=0.025)
    assert (own["skill"] > 0.2).all()  # the mean of ten against one: sqrt(1.1 / 2) of its error


def test_the_persistences_score_zero_or_less_and_perfect_foresight_is_labelled(lapalma: pd.DataFrame) -> None:
    load = lapalma["load_kW"]
    scores = backtest(load, [PerfectForesight(load)], start=utc("2019-03-01"), end=utc("2019-03-15"))
    for lead_hours in ("0-1", "1-6", "6-24", "24-48"):
        group = {score.method: score for score in scores if score.lead_hours == lead_hours}
        perfect = group.pop("PERFECT FORESIGHT (comparison only)")
        assert (perfect.mae, perfect.skill, perfect.pinball, perfect.coverage) == (0, 1, 0, 1)
        assert max(score.skill for score in group.values()) == 0
    with pytest.raises(HistoryInvalid, match="nothing to foresee"):
        PerfectForesight(load).forecast(load, utc("2019-12-31T23:00"), 2)


def test_generation_is_zero_at_night_and_follows_the_morning(lapalma: pd.DataFrame) -> None:
    power_kw = lapalma["irradiance_W_m2"] * 0.252
    forecaster = Baseline(ClearSky(SITE))
    foreseen = forecaster.forecast(power_kw, utc("2019-06-10T12:00"), 48)
    night = (foreseen.index.hour < 5) | (foreseen.index.hour > 21)
    assert (foreseen.quantiles[0.9][night] == 0).all()
    assert (foreseen.median[~night] > 0).sum() >= 20
    cloudy = power_kw.copy()
    cloudy["2019-06-10T08:00Z":"2019-06-10T11:00Z"] *= 0.2
    dimmed = forecaster.forecast(cloudy, utc("2019-06-10T12:00"), 48)
    assert dimmed.median[0] < 0.6 * foreseen.median[0]
    assert dimmed.median[24] > 0.9 * foreseen.median[24]


def test_quarter_hours() -> None:
    slot = np.arange(96 * 40) % 96
    truth = series(10 + slot, step_s=900)
    foreseen = Baseline(SimilarDays(), step_s=900).forecast(truth, utc("2019-02-05T10:15"), 192)
    np.testing.assert_allclose(foreseen.median, 10 + (41 + np.arange(192)) % 96)
    assert foreseen.index[1] == utc("2019-02-05T10:30")


def test_what_is_known_ahead_replaces_what_was_foreseen() -> None:
    history = series(np.full(24 * 10, 0.1))
    foreseen = Baseline(Persistence("day")).forecast(history, utc("2019-01-11"), 4)
    known = foreseen.with_known(series([0.2, np.nan, 0.4], start="2019-01-11"))
    np.testing.assert_allclose(known.median, [0.2, 0.1, 0.4, 0.1])
    np.testing.assert_allclose(known.quantiles[0.9], [0.2, 0.1, 0.4, 0.1])
    assert "2 of 4 steps known ahead" in known.method


def test_the_learned_forecast_finds_what_the_baseline_cannot() -> None:
    """A load whose error lasts for a day: the trees see it, the mean of the last days does not."""
    chance = np.random.default_rng(1)
    level = np.zeros(24 * 150)
    for hour in range(1, level.size):
        level[hour] = 0.95 * level[hour - 1] + chance.normal(0, 1)
    truth = series(60 + 10 * np.sin(np.arange(level.size) / 24 * 2 * np.pi) + level)
    base, learned = Baseline(SimilarDays(alike=True)), Learned(SimilarDays(alike=True))
    scores = backtest(
        truth, [base, learned], start=utc("2019-04-26"), end=utc("2019-05-20"), hours=6, every_hours=5
    )
    own = {score.method: score for score in scores if score.lead_hours == "1-6"}
    assert own[learned.name].mae < 0.8 * own[base.name].mae
    assert own[learned.name].skill > 0.1
    assert own[learned.name].pinball < own[base.name].pinball
    assert own[learned.name].coverage == pytest.approx(0.8, abs=0.12)
