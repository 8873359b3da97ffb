"""Charts and figures as pure functions: what is drawn is what was given."""

import re
from datetime import UTC, date, datetime
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certifier.web import charts, figures, words
from certifier.web.charts import FlowSeries

MWH = 1_000_000  # thousandths of a Wh in a kWh
balances = st.integers(-(10**12), 10**12)


def parsed(svg: str) -> ElementTree.Element:
    """The picture as XML; raises if it is none."""
    return ElementTree.fromstring(svg)


@given(st.lists(st.none() | balances, min_size=24, max_size=24 * 40).map(lambda v: v[: len(v) // 24 * 24]))
def test_the_heat_map_colours_every_hour_once(values: list[int | None]) -> None:
    plot = charts.heat_map(values, date(2019, 1, 1), lambda day: f"?day={day}")
    limit = charts.heat_limit(values)
    drawn: dict[tuple[int, int], str] = {}
    for path in parsed(plot.svg).findall("path"):
        for x, y, width in re.findall(r"M(\d+) (\d+)h(\d+)v1H\1", path.attrib["d"]):
            for day in range(int(x), int(x) + int(width)):
                assert (day, int(y)) not in drawn
                drawn[day, int(y)] = path.attrib["class"]
    assert drawn == {
        (index // 24, index % 24): charts.heat_level(value, limit) for index, value in enumerate(values)
    }


def test_the_heat_map_tells_zero_from_missing_and_gain_from_loss() -> None:
    assert charts.heat_level(None, 10) == "missing"
    assert charts.heat_level(0, 10) == "z"
    assert [charts.heat_level(value, 10) for value in (1, 5, 99)] == ["p1", "p3", "p5"]
    assert [charts.heat_level(value, 10) for value in (-1, -5, -99)] == ["n1", "n3", "n5"]


@given(st.lists(balances, min_size=1, max_size=400), st.integers(0, 10**11))
def test_the_cumulative_line_lies_in_its_band_and_ends_right(values: list[int], doubt: int) -> None:
    plot = charts.cumulative(
        values, [value - doubt for value in values], [value + doubt for value in values], date(2019, 1, 1)
    )
    root = parsed(plot.svg)
    line = re.findall(r"(\d+) ([\d.]+)", root.find("path[@class='line']").attrib["d"])  # type: ignore[union-attr]
    band = re.findall(r"(\d+) ([\d.]+)", root.find("path[@class='band']").attrib["d"])  # type: ignore[union-attr]
    count = len(values) + 1
    assert len(line) == count
    assert len(band) == 2 * count
    for index, (x, y) in enumerate(line):
        assert int(x) == index
        above, below = float(band[index][1]), float(band[2 * count - 1 - index][1])
        assert above - 0.11 <= float(y) <= below + 0.11
        assert 0 <= above <= below <= charts.HEIGHT
    assert any(label.text == "0" for label in plot.y_labels)
    assert "zero" in {path.attrib["class"] for path in root.findall("path")}


@given(
    st.lists(st.integers(0, 10**6), min_size=24, max_size=24),
    st.lists(st.integers(0, 10**6), min_size=24, max_size=24),
)
def test_bars_stack_to_the_sum_of_their_flows(first: list[int], second: list[int]) -> None:
    series = [
        FlowSeries("production", "production", first, True),
        FlowSeries("import", "import", second, True),
        FlowSeries("export", "export", first, False),
    ]
    plot = charts.day_flows(series)
    paths = {path.attrib["class"]: path.attrib["d"] for path in parsed(plot.svg).findall("path")}
    tops = dict(re.findall(r"M(\d+) [\d.]+h8V([\d.]+)", paths.get("import", "")))
    bases = dict(re.findall(r"M(\d+) ([\d.]+)h8", paths.get("import", "")))
    lower = dict(re.findall(r"M(\d+) [\d.]+h8V([\d.]+)", paths.get("production", "")))
    for x, base in bases.items():
        if x in lower:
            assert base == lower[x]
        assert float(tops[x]) <= float(base)


def test_bounds_are_drawn_on_their_side_of_zero() -> None:
    assert 'class="gain"' in charts.bound_bar(5 * MWH, 1, 9 * MWH)
    assert 'class="cost"' in charts.bound_bar(-5 * MWH, -9 * MWH, 0)
    assert 'class="open"' in charts.bound_bar(5 * MWH, -1, 9 * MWH)
    assert parsed(charts.bound_bar(0, 0, 0)) is not None


def test_coverage_tells_no_record_from_no_complete_hour() -> None:
    root = parsed(charts.coverage_strip([1.0, 0.5, 0.0, None], date(2019, 1, 1)).svg)
    shapes = {path.attrib["class"]: path.attrib["d"] for path in root.findall("path")}
    assert shapes["complete"] == "M0 24h1v-24.0h-1z"
    assert shapes["incomplete"] == "M1 24h1v-12.0h-1zM2 24h1v-0.0h-1z"
    assert shapes["missing"] == "M3 0h1v24h-1z"


@given(st.floats(-1e6, 1e6), st.floats(0.1, 1e9))
def test_ticks_are_round_and_cover_what_is_drawn(low: float, span: float) -> None:
    marks = charts.ticks(low, low + span)
    assert marks[0] <= low + span * 1e-9
    assert marks[-1] >= low + span * (1 - 1e-9)
    assert 2 <= len(marks) <= 8
    if low < 0 < low + span:
        assert 0 in marks


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (figures.number(1234567.891, 1), "1\u202f234\u202f567.9"),
        (figures.number(-0.004, 2), "0.00"),
        (figures.number(-12, signed=True), "\u221212"),
        (figures.number(0, signed=True), "0"),
        (figures.energy(None), "\u2013"),
        (figures.energy(999), "999\u202fWh"),
        (figures.energy(1_234_000), "1.23\u202fMWh"),
        (figures.percent(8759, 8760), "99.9\u202f%"),
        (figures.percent(8760, 8760), "100\u202f%"),
        (figures.percent(0, 0), "\u2013"),
        (figures.factor(2350), "2.350"),
        (figures.resolution("PT1H"), "1\u202fh"),
        (figures.resolution("P1D"), "1\u202fd"),
        (figures.time_text(datetime(2019, 3, 5, 4, 7, tzinfo=UTC)), "5\u00a0March\u00a02019, 04:07\u202fUTC"),
        (words.hour_ranges(["03:00Z", "04:00Z", "07:00Z"]), "03\u201305, 07\u201308"),
        (words.hour_ranges([f"{hour:02d}:00Z" for hour in range(24)]), "the whole day"),
        (words.words("FUEL_GENERATION"), "fuel generation"),
    ],
)
def test_figures_read_well(shown: str, expected: str) -> None:
    assert shown == expected


def test_quantities_carry_sign_unit_and_prefix() -> None:
    assert "+161\u202fMWh<sub>PE</sub>" in figures.primary_energy(160_515_097_992)
    assert "\u2212259\u202fMWh<sub>PE</sub>" in figures.primary_energy(-258_877_816_741)
    assert "\u221235.1\u202ft CO<sub>2</sub>e" in figures.emissions(-35_123_456_789)
    assert "+1.50\u202fkg CO<sub>2</sub>e" in figures.emissions(1_500_000)


def test_a_label_cannot_smuggle_markup_in() -> None:
    plot = charts.day_flows(
        [FlowSeries("<b>", '"><script>', [1] * 24, True), FlowSeries("x", "y", [0] * 24, False)]
    )
    assert "<script>" not in plot.svg
