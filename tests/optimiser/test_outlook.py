"""Days until status is lost: against closed forms, against simulated truths, and on the year of La Palma."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from optimiser.balances import Balances, BalancesInvalid, Day, Factors, parse_balances, read_balances
from optimiser.outlook import MWH_PER_KWH, outlook

DEMO = Path(__file__).parents[2] / "scripts" / "demo_data" / "lapalma_2019.csv"
START = date(2017, 1, 1)


def day(
    number: int, kwh_pe: float, *, ghg_kg: float = -1e6, hours: int = 24, lower: float | None = None
) -> Day:
    lowest = kwh_pe if lower is None else lower
    return Day(
        START + timedelta(days=number),
        round(kwh_pe * MWH_PER_KWH),
        round(lowest * MWH_PER_KWH),
        round(ghg_kg * MWH_PER_KWH),
        round(ghg_kg * MWH_PER_KWH),
        hours,
    )


def days(values: Sequence[float] | NDArray[np.float64]) -> list[Day]:
    return [day(number, float(value)) for number, value in enumerate(values)]


def test_without_variation_the_future_is_certain() -> None:
    """One bad day leaves the window at a known midnight; until then the district is short of it."""
    known = days([1.0] * 365)
    known[100] = day(100, 1, lower=-1000, hours=20)
    found = outlook(known, factors=Factors(2.5, 2.0))
    gone = START + timedelta(days=365 + 101)
    assert (found.status, found.balance_kwh_pe) == (False, 364 - 1000)
    assert "lower bound of the balance is not above zero" in found.reason
    by_day = {point.window_end: point for point in found.points}
    assert by_day[gone - timedelta(days=1)].probability_not_positive == 1
    assert by_day[gone].probability_not_positive == 0
    assert by_day[gone].balance_q10_kwh_pe == pytest.approx(365)
    assert any(f"positive from {gone}" in sentence for sentence in found.sentences)


def test_what_keeps_or_regains_the_status_by_hand() -> None:
    steady = outlook(days([0.2] * 365), factors=Factors(2.5, 2.0))
    assert (steady.probability_lost, steady.crosses_q10, steady.lost_by_10_percent) == (0, None, None)
    assert steady.remedy.per_day_kwh_pe == 0
    assert "Nothing more is needed" in steady.sentences[-1]
    short = outlook(days([-0.2] * 365), factors=Factors(2.5, 2.0))
    assert (short.status, short.probability_lost) == (False, 1)
    assert short.remedy.per_day_kwh_pe == pytest.approx(0.2)
    assert short.remedy.at_once_kwh_pe == pytest.approx(73)
    assert short.remedy.export_kwh_per_day == pytest.approx(0.1)
    assert short.remedy.import_avoided_kwh_per_day == pytest.approx(0.08)
    assert "regain" in short.sentences[-1]


def test_spread_of_a_random_walk() -> None:
    """Independent days: after k days sd = sigma sqrt(k + k_s / n), where n years fix the mean; k = 365."""
    chance = np.random.default_rng(5)
    for years in (1, 3):
        found = outlook(days(chance.normal(0, 10, 365 * years)), paths=4000)
        last = found.points[-1]
        spread = (last.balance_q90_kwh_pe - last.balance_q10_kwh_pe) / (2 * 1.2816)
        assert spread == pytest.approx(10 * np.sqrt(365 * (1 + 1 / years)), rel=0.12)
        tenth = found.points[29]
        spread = (tenth.balance_q90_kwh_pe - tenth.balance_q10_kwh_pe) / (2 * 1.2816)
        assert 10 * np.sqrt(30) * 0.8 < spread < 10 * np.sqrt(30 * 2)


def test_probabilities_come_true() -> None:
    """Districts of any mean (wide prior), seasons and weather: of what is given 30 %, three in ten happen."""
    chance = np.random.default_rng(11)
    season = 20 * np.cos(2 * np.pi * np.arange(730) / 365)
    promised: list[float] = []
    happened: list[bool] = []
    inside: list[bool] = []
    for _ in range(50):
        truth = season + chance.normal(0, 1.5) + chance.normal(0, 10, 730)
        found = outlook(days(truth[:365]), paths=200)
        for ahead in (90, 200, 365):
            sum_kwh_pe = truth[ahead : 365 + ahead].sum()
            point = found.points[ahead - 1]
            promised.append(point.probability_not_positive)
            happened.append(bool(sum_kwh_pe <= 0))
            inside.append(bool(point.balance_q10_kwh_pe <= sum_kwh_pe <= point.balance_q90_kwh_pe))
    forecast, outcome = np.array(promised), np.array(happened)
    assert np.mean(inside) == pytest.approx(0.8, abs=0.08)
    assert forecast.mean() == pytest.approx(outcome.mean(), abs=0.07)
    assert outcome[forecast < 0.1].mean() < 0.15
    assert outcome[forecast > 0.9].mean() > 0.85
    brier = np.mean((forecast - outcome) ** 2)
    assert brier < 0.6 * np.mean((outcome.mean() - outcome) ** 2)


def test_a_lost_certificate_is_not_forgotten_and_probabilities_grow() -> None:
    found = outlook(days(np.random.default_rng(2).normal(0.5, 10, 365)), paths=1000)
    assert found.status
    lost = [point.probability_lost_by for point in found.points]
    assert all(before <= after for before, after in pairwise(lost))
    assert all(p.probability_not_positive <= p.probability_lost_by for p in found.points)
    assert found.probability_lost == lost[-1]
    dates = [found.lost_by_10_percent, found.lost_by_50_percent]
    reached = [
        next((p.window_end for p in found.points if p.probability_lost_by >= s), None) for s in (0.1, 0.5)
    ]
    assert dates == reached
    crossed = next((p.window_end for p in found.points if p.balance_q10_kwh_pe <= 0), None)
    assert found.crosses_q10 == crossed
    assert crossed is not None
    soon = found.lost_by_10_percent
    assert soon is not None
    assert f"{soon}, {(soon - found.known_until).days} days from now" in found.sentences[2]


def test_the_remedy_lifts_the_low_quantile_to_zero() -> None:
    """What holds with 90 % at one midnight is what the 10 % quantile of its balance lacks."""
    lost = outlook(days(np.random.default_rng(2).normal(-0.3, 10, 365)), paths=2000)
    assert not lost.status
    assert lost.remedy.at_once_kwh_pe == pytest.approx(-lost.points[-1].balance_q10_kwh_pe, rel=0.01)
    assert lost.remedy.per_day_kwh_pe == pytest.approx(lost.remedy.at_once_kwh_pe / 365)
    held = outlook(days(np.random.default_rng(2).normal(0.5, 10, 365)), paths=2000)
    assert held.status
    assert held.remedy.at_once_kwh_pe >= max(-point.balance_q10_kwh_pe for point in held.points)
    assert held.remedy.per_day_kwh_pe >= held.remedy.at_once_kwh_pe / 365


def test_net_ghg_above_zero_loses_the_status_too() -> None:
    found = outlook([day(number, 5.0, ghg_kg=0.5) for number in range(365)])
    assert (found.status, found.reason) == (False, "net GHG is above zero")
    assert found.remedy.per_day_kwh_pe == 0
    assert found.remedy.ghg_per_day_kg == pytest.approx(0.5)
    assert found.sentences[-1] == "Net GHG must fall by 0.5 kg CO2e per day."


def test_incomplete_blocks_count_against_the_district_until_they_leave() -> None:
    known = [day(number, 1.0, hours=12 if 200 <= number < 220 else 24) for number in range(365)]
    found = outlook(known)
    assert (found.status, found.reason) == (False, "too few complete hours")
    assert found.points[-1].probability_not_positive == 0
    back = next(p.window_end for p in found.points if p.probability_not_positive == 0)
    assert START + timedelta(days=365 + 200) < back < START + timedelta(days=365 + 221)


def test_the_same_seed_gives_the_same_outlook() -> None:
    known = days(np.random.default_rng(0).normal(0.2, 5, 400))
    one, other = outlook(known, paths=200, seed=4), outlook(known, paths=200, seed=4)
    assert one == other
    assert outlook(known, paths=200, seed=5) != one
    plain = json.loads(json.dumps(one.to_json()))
    assert plain["points"][0]["window_end"] == "2018-02-06"
    assert plain["remedy"]["confidence"] == 0.9


def test_what_cannot_be_projected_is_refused() -> None:
    with pytest.raises(BalancesInvalid, match="no full year"):
        outlook(days([1.0] * 364))
    with pytest.raises(BalancesInvalid, match="2017-02-20 has no balance"):
        outlook([each for each in days([1.0] * 400) if each.day != date(2017, 2, 20)])
    with pytest.raises(BalancesInvalid, match="2017-01-01 is there twice"):
        outlook([*days([1.0] * 365), day(0, 1)])
    with pytest.raises(BalancesInvalid, match="no complete day within 15 days of the date of"):
        outlook([day(n, 1, hours=24 if n < 300 else 23) for n in range(365)])
    with pytest.raises(BalancesInvalid, match="horizon of 400"):
        outlook(days([1.0] * 365), horizon_days=400)
    with pytest.raises(BalancesInvalid, match="no day"):
        outlook([])


def lapalma(kwp: float) -> Balances:
    """The year's hourly balances as a replay leaves them; factors and GHG of the island's diesel margin."""
    frame = pd.read_csv(DEMO, index_col=0)
    surplus_wh = (frame["irradiance_W_m2"] * kwp * 0.84 - frame["load_kW"] * 1000).round().astype(int)
    diesel = frame["diesel_kW"] / frame[["wind_kW", "pv_kW", "diesel_kW"]].sum(axis=1)
    average = ((1 + 1.75 * diesel) * 1000).round().astype(int)
    factor = average.where(surplus_wh < 0, 2750)
    ghg = (733.59 * diesel).where(surplus_wh < 0, 733.59).round().astype(int)
    out = pd.DataFrame({"balance_mwh_pe": surplus_wh * factor, "ghg_mg": -surplus_wh * ghg})
    out["lower_mwh_pe"], out["ghg_upper_mg"], out["complete"] = out["balance_mwh_pe"], out["ghg_mg"], 1
    out["average_factor_permille"], out["marginal_factor_permille"] = average, 2750
    return parse_balances(out.to_csv(), "balances.csv")


def test_lapalma_keeps_its_status_with_300_kwp_and_regains_nothing_with_200() -> None:
    large = lapalma(300)
    assert large.factors is not None
    assert large.factors.marginal == 2.75
    assert 2.5 < large.factors.average < 2.6
    kept = outlook(large.days, factors=large.factors, paths=500)
    assert kept.balance_kwh_pe == pytest.approx(160_515, rel=1e-3)  # the published year's verdict
    assert kept.status
    assert kept.probability_lost < 0.01
    small = outlook(lapalma(200).days, factors=large.factors, paths=500)
    assert small.balance_kwh_pe == pytest.approx(-258_878, rel=1e-3)
    assert not small.status
    assert small.points[-1].probability_not_positive > 0.99
    assert small.remedy.per_day_kwh_pe == pytest.approx(258_878 / 365, rel=0.15)


def test_files_are_read_with_their_gaps(tmp_path: Path) -> None:
    header = "day,balance_mwh_pe,lower_mwh_pe,ghg_mg,ghg_upper_mg,complete_hours\n"
    path = tmp_path / "days.csv"
    path.write_text(
        header + "2019-01-01,,,,,0\n2019-01-02,5,4,-3,-2,23\n2019-01-03,7,7,-3,-3,24\n2019-01-04,,,,,0\n"
    )
    found = read_balances(path)
    assert found.days == (
        Day(date(2019, 1, 2), 5, 4, -3, -2, 23),
        Day(date(2019, 1, 3), 7, 7, -3, -3, 24),
    )
    assert found.factors is None
    for text, message in (
        (header + "2019-01-01,1,1,1,1,24\n2019-01-03,1,1,1,1,24\n", "2019-01-02 is missing"),
        (header + "2019-01-01,1,1,1,1,24\n2019-01-01,1,1,1,1,24\n", "there twice"),
        (header + "2019-01-01,1,x,1,1,24\n", "days.csv:2: lower_mwh_pe: 'x'"),
        (header + "01.01.2019,1,1,1,1,24\n", "days.csv:2: day"),
        (header, "no rows"),
        (header + "2019-01-01,,,,,0\n", "no day has a balance"),
        ("a,b\n1,2\n", "no column day"),
        ("day,balance_mwh_pe\n2019-01-01,2\n", "no column 'lower_mwh_pe'"),
    ):
        with pytest.raises(BalancesInvalid, match=message):
            parse_balances(text, "days.csv")
