"""`ped advise`: what is offered, bid and enrolled, on small series with numbers checked by hand."""

import json
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from contracts.baseline import History, response_wh
from contracts.response import BaselineMethod
from optimiser.forecast import Forecast
from optimiser.strategy.command_line import advise
from optimiser.strategy.floor_price import floor_price, shortfall_penalty
from optimiser.strategy.hours import Hour, Hours
from optimiser.strategy.market_view import Position, Terms
from optimiser.strategy.response import SCENARIO_LEVELS, Event, advise_response
from optimiser.strategy.standing import Standing
from optimiser.strategy.trade import Prices, advise_trade

FIRST = datetime(2025, 1, 1, tzinfo=UTC)
DAYS = 366
AT = "2026-01-02T00:00:00Z"
AVERAGE, MARGINAL = 2000, 2500
HEADER = (
    "time_utc,import_wh,export_wh,complete,average_factor,marginal_factor,"
    "balance_mwh_pe,lower_mwh_pe,ghg_mg,ghg_upper_mg"
)


def year(folder: Path, export_wh: int, import_wh: int, ghg: int = 0) -> Path:
    """Every day alike: export from 10 to 14 UTC, import from 18 to 22, each hour the same."""
    rows = [HEADER]
    for number in range(24 * DAYS):
        at = FIRST + timedelta(hours=number)
        out = export_wh if 10 <= at.hour < 14 else 0
        into = import_wh if 18 <= at.hour < 22 else 0
        balance, emitted = out * MARGINAL - into * AVERAGE, (into - out) * ghg
        rows.append(
            f"{at:%Y-%m-%dT%H:%MZ},{into},{out},true,{AVERAGE},{MARGINAL},{balance},{balance},{emitted},{emitted}"
        )
    path = folder / "hours.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def run(*arguments: str) -> dict[str, Any]:
    result = CliRunner().invoke(advise, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.output)
    return found


def trade(path: Path, *more: str) -> dict[str, Any]:
    return run("trade", "old-town", "--hours", str(path), "--at", AT, "--paths", "100", *more)


def test_ample_surplus_is_offered_with_attributes_in_the_hours_that_export(tmp_path: Path) -> None:
    """4 h of 10 kWh against 4 h of 1 kWh: 92 kWh_PE a day, far more than a day's 40 kWh cost (100 kWh_PE)."""
    found = trade(year(tmp_path, 10_000, 1_000), "--feed-in", "50000", "--imbalance-price", "150000")
    orders = [document["order"] for document in found["orders"]]
    assert [order["hour_utc"][:13] for order in orders] == [f"2026-01-02T{hour}" for hour in range(10, 14)]
    assert {order["quantity_wh"] for order in orders} == {10_000}
    assert all(order["with_attributes"] and order["side"] == "offer" for order in orders)
    # 0.9 (p - 50000) >= 0.1 (150000 - p), so p = 45000 + 15000
    assert {order["price_micro_eur_per_kwh"] for order in orders} == {60_000}
    assert all(document["signature"] is None for document in found["orders"])
    assert orders[0]["expiry_utc"] == "2026-01-02T09:00:00Z"
    # 365 days of 92 kWh_PE; every day is alike, so no path differs
    assert found["standing"]["spare_kwh_pe"] == pytest.approx(365 * 92)
    assert found["standing"]["probability_kept"] == 1
    assert found["commands"][0] == "ped trade offer old-town 2026-01-02T10:00:00Z 10000 60000 --attributes"
    assert all(set(reason) == {"claim", "figure", "unit", "source"} for reason in found["reasons"])


def test_a_thin_balance_is_kept_and_the_rest_goes_without_attributes(tmp_path: Path) -> None:
    """4 (10 kWh 2.5 - 12.495 kWh 2) is 40 Wh_PE a day, 14.6 kWh_PE a year: 5,840 Wh may leave at 2.5."""
    orders = [d["order"] for d in trade(year(tmp_path, 10_000, 12_495))["orders"]]
    attributed = [order for order in orders if order["with_attributes"]]
    others = [order for order in orders if not order["with_attributes"]]
    assert [order["quantity_wh"] for order in attributed] == [1_459] * 4  # 1,460 would leave exactly zero
    assert [order["quantity_wh"] for order in others] == [8_541] * 4


def test_ghg_limits_what_leaves_with_attributes(tmp_path: Path) -> None:
    """GHG 4 (9.99 - 10) kWh at 0.5 kg/kWh: 7.3 kg a year to spare, which is 14.6 kWh of export."""
    found = trade(year(tmp_path, 10_000, 9_990, ghg=500))
    attributed = [d["order"]["quantity_wh"] for d in found["orders"] if d["order"]["with_attributes"]]
    assert attributed == [3_650] * 4 or attributed == [3_649] * 4
    assert sum(attributed) * 500 <= 7_300_000


def test_a_district_that_lacks_little_bids_for_that_only(tmp_path: Path) -> None:
    """4 (10 kWh 2.5 - 12.505 kWh 2) is -40 Wh_PE a day, -14.6 kWh_PE in the year: 7.3 kWh at 2.0."""
    path = year(tmp_path, 10_000, 12_505)
    found = trade(path, "--primary-energy-price", "40000", "--supply", "90000")
    bids = [d["order"] for d in found["orders"] if d["order"]["side"] == "bid"]
    assert not found["standing"]["status"]
    assert [(bid["hour_utc"][11:13], bid["quantity_wh"]) for bid in bids] == [("18", 7_301)]
    assert bids[0]["with_attributes"]
    assert bids[0]["price_micro_eur_per_kwh"] == 90_000 + 2 * 40_000
    assert not any(d["order"]["with_attributes"] for d in found["orders"] if d["order"]["side"] == "offer")


def test_bids_end_at_the_import_and_say_what_is_still_lacking(tmp_path: Path) -> None:
    found = trade(year(tmp_path, 0, 2_000), "--primary-energy-price", "1")
    bids = [d["order"]["quantity_wh"] for d in found["orders"]]
    assert bids == [2_000] * 4
    assert any(reason["claim"].startswith("Still lacking") for reason in found["reasons"])


def test_without_a_price_of_primary_energy_no_bid(tmp_path: Path) -> None:
    found = trade(year(tmp_path, 0, 2_000))
    assert found["orders"] == []
    assert any("give the price of primary energy" in reason["claim"] for reason in found["reasons"])


@settings(max_examples=50, deadline=None)
@given(
    st.integers(0, 400_000),
    st.integers(1, 49),
    st.none() | st.integers(0, 1_000_000),
    st.integers(1, 600_000),
)
def test_the_floor_is_the_least_price_that_pays_for_the_risk(
    worth: int, percent: int, imbalance: int | None, bond: int
) -> None:
    shortfall = Fraction(percent, 100)
    price = floor_price(worth, shortfall, imbalance, bond)

    def gain(at: int) -> Fraction:
        return (1 - shortfall) * (at - worth) - shortfall * shortfall_penalty(at, imbalance, bond)

    assert gain(price) >= 0
    assert price == worth or gain(price - 1) < 0
    assert 0 <= shortfall_penalty(price, imbalance, bond) <= bond


def uneven(folder: Path, seed: int) -> Path:
    """A year with noise: export and import differ by day and hour, drawn by a fixed rule."""
    rows = [HEADER]
    state = seed
    for number in range(24 * DAYS):
        at = FIRST + timedelta(hours=number)
        state = (1_103_515_245 * state + 12_345) % 2**31
        noise = state % 4_000
        out = 6_000 + noise if 10 <= at.hour < 14 else 0
        into = 8_000 + noise if 18 <= at.hour < 22 else 0
        balance = out * MARGINAL - into * AVERAGE
        rows.append(f"{at:%Y-%m-%dT%H:%MZ},{into},{out},true,{AVERAGE},{MARGINAL},{balance},{balance},0,0")
    path = folder / "uneven.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def a_forecast(low: list[int], high: list[int]) -> Forecast:
    index = pd.date_range("2026-01-02", periods=len(low), freq="h", tz="UTC")
    levels = {0.1: np.array(low, float), 0.9: np.array(high, float)}
    return Forecast("given", index[0], index, (levels[0.1] + levels[0.9]) / 2, levels)


COMING = range(int(datetime(2026, 1, 2, tzinfo=UTC).timestamp()) // 3600, 0x7FFFFFFF)
net_imports = st.lists(st.integers(-50_000, 50_000), min_size=1, max_size=6)
energies = st.floats(0, 300, allow_nan=False)


@settings(max_examples=50, deadline=None)
@given(st.data(), net_imports, energies, energies, st.booleans())
def test_no_order_breaks_a_promise(
    data: st.DataObject, low: list[int], spare: float, need: float, status: bool
) -> None:
    """Attributed offers stay within the spare balance, all offers with what is sold and declared elsewhere
    within the export that is sure, bids within the need and with what is bought within the import that is
    sure.
    """
    high = [value + data.draw(st.integers(0, 20_000)) for value in low]
    coming = COMING[: len(low)]
    factors = st.integers(500, 4_000)
    past = {hour - 24 * d: (data.draw(factors), data.draw(factors)) for hour in coming for d in (1, 2)}
    hours = Hours({n: Hour(0, average, marginal, 0, 0) for n, (average, marginal) in past.items()})
    books = st.dictionaries(st.tuples(st.sampled_from(coming), st.booleans()), st.integers(1, 30_000))
    declared = data.draw(st.dictionaries(st.sampled_from(coming), st.integers(1, 30_000)))
    position = Position(data.draw(books), data.draw(books), declared)
    known_until, horizon = date(2026, 1, 2), date(2027, 1, 2)
    standing = Standing(status, known_until, horizon, 0.95, 0.5, spare, need, None)
    advice = advise_trade(
        "old-town",
        hours,
        coming,
        a_forecast(low, high),
        standing,
        shortfall=Fraction(1, 10),
        prices=Prices(primary_energy_micro_eur_per_kwh_pe=50_000),
        terms=Terms(),
        position=position,
    )

    def summed(hour: int, is_bid: bool, with_attributes: bool | None = None) -> int:
        return sum(
            order.quantity_wh
            for order in advice.orders
            if order.hour == hour
            and order.is_bid == is_bid
            and with_attributes in (None, order.with_attributes)
        )

    given_away, taken = 0, 0
    for hour, least, most in zip(coming, low, high, strict=True):
        marginal = max(past[hour - 24][1], past[hour - 48][1])
        average = min(past[hour - 24][0], past[hour - 48][0])
        sold = [position.sold_wh.get((hour, book), 0) for book in (False, True)]
        bought = [position.bought_wh.get((hour, book), 0) for book in (False, True)]
        offered, bid = summed(hour, False), summed(hour, True)
        assert offered == max(0, max(0, -most) - declared.get(hour, 0) - sum(sold))
        assert bid <= max(0, max(0, least) - sum(bought))
        assert not (offered and bid)
        given_away += marginal * (sold[True] + summed(hour, False, True))
        taken += average * (bought[True] + bid)
        assert summed(hour, True, False) == 0
    if any(order.with_attributes and not order.is_bid for order in advice.orders):
        assert given_away <= spare * 1e6
    if any(order.is_bid for order in advice.orders):
        assert taken <= need * 1e6 + 4_000  # one Wh


@settings(max_examples=50, deadline=None)
@given(st.data(), net_imports, st.integers(0, 20_000), st.integers(1, 5), st.booleans())
def test_enrolment_is_deliverable_in_every_hour(
    data: st.DataObject, usual: list[int], flexible: int, factor: int, increase: bool
) -> None:
    """With the net import of the careful quantile, or a better one, no penalty falls due in any hour."""
    event_hours = COMING[: len(usual)]
    history = History({hour - 24 * d: usual[n] for d in range(1, 30) for n, hour in enumerate(event_hours)})
    careful = [value + data.draw(st.integers(-20_000, 20_000)) for value in usual]
    better = [value + (1 if increase else -1) * data.draw(st.integers(0, 20_000)) for value in careful]
    index = pd.date_range("2026-01-02", periods=len(usual), freq="h", tz="UTC")
    levels = {
        level: np.array(careful if (level <= 0.1) == increase else better, float)
        for level in (*SCENARIO_LEVELS, 0.1, 0.9)
    }
    levels[0.1 if increase else 0.9] = np.array(careful, float)
    event = Event(
        event_hours,
        event_hours[0] * 3600 - 7200,
        increase,
        BaselineMethod.TEN_OF_TEN,
        data.draw(st.integers(1, 50_000)),
        100_000,
        100_000 * factor,
    )
    advice = advise_response(
        "old-town",
        event,
        history,
        Forecast("given", index[0], index, levels[0.9], levels),
        flexible,
        shortfall=Fraction(1, 10),
    )
    assert 0 <= advice.capacity_wh <= min(advice.deliverable_wh, event.requested_wh)
    assert advice.baseline_wh is not None
    for baseline, drawn in zip(advice.baseline_wh, careful, strict=True):
        measured = drawn + (flexible if increase else -flexible)
        counted = response_wh(baseline, measured, max(1, advice.capacity_wh), increase, 100)
        assert counted >= advice.capacity_wh
    assert advice.expected_pay_micro_eur >= advice.expected_penalty_micro_eur


def test_offers_of_an_uncertain_export_stay_below_it(tmp_path: Path) -> None:
    found = trade(uneven(tmp_path, 1), "--primary-energy-price", "50000")
    orders = [document["order"] for document in found["orders"]]
    offered = {order["hour_utc"]: 0 for order in orders if order["side"] == "offer"}
    for order in orders:
        if order["side"] == "offer":
            offered[order["hour_utc"]] += order["quantity_wh"]
    assert len(offered) == 4
    assert all(4_000 <= quantity <= 7_400 for quantity in offered.values())  # the median is 8,000


def devices(folder: Path, text: str = "") -> Path:
    path = folder / "devices.toml"
    path.write_text(
        text
        or '[[device]]\nname = "store"\nkind = "battery"\npower_kw = 2\nhours = 1\n'
        '[[device]]\nname = "cars"\nkind = "vehicles"\npower_kw = 4\nhours = 8\navailable_share = 0.25\n'
    )
    return path


EVENT = "2026-01-02T18:00Z/2026-01-02T20:00Z"


def response(folder: Path, hours: Path, *more: str) -> dict[str, Any]:
    arguments = ("--hours", str(hours), "--devices", str(devices(folder)), "--event", EVENT, "--opened", AT)
    return run("response", "old-town", *arguments, *more)


def test_enrols_what_the_devices_sustain_where_the_forecast_is_sure(tmp_path: Path) -> None:
    """Two hours: a store of 2 kW for 1 h gives 1 kW, a quarter of 4 kW of cars 1 kW; the baseline is met."""
    found = response(tmp_path, year(tmp_path, 0, 5_000), "--price", "300000", "--penalty", "600000")
    assert found["baseline_wh"] == [5_000, 5_000]
    assert (found["deliverable_wh"], found["capacity_wh"]) == (2_000, 2_000)
    assert found["expected_pay_micro_eur"] == 2 * 2 * 300_000
    assert found["expected_penalty_micro_eur"] == 0
    assert found["deposit_micro_eur"] == 2 * 1_800 * 600
    assert any("devices" in reason["claim"] for reason in found["reasons"])


def test_enrolment_ends_at_what_is_asked_for(tmp_path: Path) -> None:
    found = response(tmp_path, year(tmp_path, 0, 5_000), "--price", "1000", "--requested", "700")
    assert found["capacity_wh"] == 700


@pytest.mark.parametrize("penalty", ["300000", "3000000"])
def test_an_uncertain_forecast_enrols_less(tmp_path: Path, penalty: str) -> None:
    found = response(tmp_path, uneven(tmp_path, 1), "--price", "300000", "--penalty", penalty)
    assert 0 <= found["capacity_wh"] <= found["deliverable_wh"] < 2_000


def test_no_baseline_with_fewer_than_five_days(tmp_path: Path) -> None:
    """Opened at the end of Friday 2 January 2026; from Monday on there are four working days before."""
    rows = (tmp_path / "short.csv", year(tmp_path, 0, 5_000))
    lines = rows[1].read_text().splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("2025-12-29T00:00Z"))
    rows[0].write_text("\n".join([lines[0], *lines[start:]]) + "\n")
    found = response(tmp_path, rows[0], "--price", "300000", "--penalty", "600000")
    assert (found["enrol"], found["capacity_wh"], found["baseline_wh"]) == (False, 0, None)
    assert found["reasons"][0]["figure"] == 4
    assert "4 similar days before the opening, 5 are needed" in found["reasons"][0]["claim"]


def test_words(tmp_path: Path) -> None:
    hours = str(year(tmp_path, 10_000, 1_000))
    spoken = CliRunner().invoke(advise, ["trade", "old-town", "--hours", hours, "--at", AT, "--paths", "100"])
    assert spoken.exit_code == 0, spoken.output
    assert "keeps it until 2027-01-02" in spoken.output
    assert "ped trade offer old-town 2026-01-02T10:00:00Z 10000" in spoken.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trade", "a"], "give --hours FILE or --certifier URL"),
        (["trade", "a", "--certifier", "http://127.0.0.1:9"], "does not answer"),
        (["trade", "a", "--hours", "HOURS", "--at", AT, "--shortfall", "0.7"], "shortfall 0.7"),
        (["trade", "a", "--hours", "HOURS", "--at", "2026-03-02T00:00:00Z"], "give newer hours"),
        (["trade", "a", "--hours", "HOURS", "--at", AT, "--feed-in", "-1"], "-1 is negative"),
        (["trade", "a", "--hours", "HOURS", "--at", AT, "--confidence", "1"], "confidence 1"),
    ],
)
def test_errors_in_words(tmp_path: Path, arguments: list[str], message: str) -> None:
    path = str(year(tmp_path, 1_000, 10))
    result = CliRunner().invoke(advise, [path if each == "HOURS" else each for each in arguments])
    assert result.exit_code == 1
    assert message in result.output


def test_a_wrong_device_is_named(tmp_path: Path) -> None:
    hours = year(tmp_path, 0, 5_000)
    wrong = devices(tmp_path, '[[device]]\nname = "x"\npower_kw = -1\nhours = 1\n')
    arguments = ["response", "a", "--hours", str(hours), "--devices", str(wrong), "--event", EVENT]
    result = CliRunner().invoke(advise, arguments)
    assert result.exit_code == 1
    assert "device.0.power_kw" in result.output


def test_the_advice_does_not_look_ahead(tmp_path: Path) -> None:
    """Hours after the time of the advice change nothing."""
    path = year(tmp_path, 10_000, 1_000)
    before = trade(path, "--at", "2026-01-02T00:00:00Z")
    later = [FIRST + timedelta(days=DAYS, hours=number) for number in range(24)]
    with path.open("a") as file:
        file.writelines(f"{at:%Y-%m-%dT%H:%MZ},9,0,true,{AVERAGE},{MARGINAL},-9,-9,0,0\n" for at in later)
    after = trade(path, "--at", "2026-01-02T00:00:00Z")
    assert after["commands"] == before["commands"]
    assert date.fromisoformat(after["standing"]["known_until"]) == date(2026, 1, 2)
