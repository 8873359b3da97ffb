"""ENTSO-E generation files become factors of complete days."""

from pathlib import Path

import pytest

from contracts.factor import FactorHour, Technology
from contracts.generation_mix import MixInvalid, read_entsoe
from contracts.hour import parse_day, parse_hour_utc

HEADER = (
    "DateTime(UTC),ResolutionCode,AreaCode,ProductionType,ActualGenerationOutput[MW],ActualConsumption[MW]"
)
MERIT_ORDER = [Technology("B19", 1, 0, 0), Technology("Fossil Gas", 2, 2, 400)]
DAY = "2026-03-01"


def rows(hour: int, wind: float = 10, gas: float = 30) -> list[str]:
    """Wind in quarter-hours, gas in one."""
    quarters = [
        f"{DAY}T{hour:02}:{minute:02}:00Z,PT15M,ZONE,Wind Onshore,{wind + extra},0"
        for minute, extra in ((0, -2), (15, 2), (30, -4), (45, 4))
    ]
    return [*quarters, f"{DAY}T{hour:02}:00:00Z,PT60M,ZONE,B04,{gas},"]


def write(path: Path, lines: list[str], header: str = HEADER) -> Path:
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def day_of_rows() -> list[str]:
    return [row for hour in range(24) for row in rows(hour)]


def test_quarter_hours_are_averaged_and_types_may_be_codes_or_names(tmp_path: Path) -> None:
    other_zone = f"{DAY}T00:00:00Z,PT60M,ELSEWHERE,Nuclear,1000,"
    mix = read_entsoe(write(tmp_path / "mix.csv", [*day_of_rows(), other_zone]), "ZONE", MERIT_ORDER)
    # 10 MW of wind and 30 MW of gas: (10 * 1 + 30 * 2) / 40 = 1.75; 1.5; 300 g
    assert mix.days == {parse_day(DAY): (FactorHour(1750, 2000, 1500, 2000, 300, 400),) * 24}
    assert mix.pending_hours == ()


@pytest.mark.parametrize("lost", ["T07:15:00Z", "T07:00:00Z,PT60M"])
def test_a_gap_leaves_the_day_pending(tmp_path: Path, lost: str) -> None:
    lines = [line for line in day_of_rows() if lost not in line]
    mix = read_entsoe(write(tmp_path / "mix.csv", lines), "ZONE", MERIT_ORDER)
    assert (mix.days, mix.pending_hours) == ({}, (parse_hour_utc(f"{DAY}T07:00:00Z"),))
    emptied = [line.replace(",30,", ",,") if "T07:00:00Z,PT60M" in line else line for line in day_of_rows()]
    assert read_entsoe(write(tmp_path / "mix.csv", emptied), "ZONE", MERIT_ORDER).days == {}


def test_zero_is_a_value(tmp_path: Path) -> None:
    lines = [row for hour in range(24) for row in rows(hour, gas=0)]
    mix = read_entsoe(write(tmp_path / "mix.csv", lines), "ZONE", MERIT_ORDER)
    assert mix.days[parse_day(DAY)][0] == FactorHour(1000, 1000, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        (f"{DAY}T00:00:00Z,PT60M,ZONE,Nuclear,5,", "Nuclear are not in the merit order"),
        (f"{DAY}T00:00:00Z,P1D,ZONE,B04,5,", "resolution P1D"),
        (f"{DAY}T00:00:00Z,PT60M,ZONE,B04,5,", "Fossil Gas at .* is there twice"),
        ("first of March,PT60M,ZONE,B04,5,", "'first of March' is not ISO 8601"),
        ("2026-03-02T00:00:00Z,PT60M,ZONE,B04,five,", "'five' is no number"),
        ("2026-03-02T00:00:00Z,PT60M,ZONE,B04,nan,", "'nan' is no number"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path: Path, line: str, named: str) -> None:
    path = write(tmp_path / "mix.csv", [*day_of_rows(), line])
    with pytest.raises(MixInvalid, match=rf"mix\.csv: .*{named}"):
        read_entsoe(path, "ZONE", MERIT_ORDER)


def test_a_negative_generation_and_a_dark_hour_are_named(tmp_path: Path) -> None:
    negative = [row for hour in range(24) for row in rows(hour, gas=-1)]
    with pytest.raises(MixInvalid, match="2026-03-01T00:00:00Z: generation of Fossil Gas is negative: -1"):
        read_entsoe(write(tmp_path / "mix.csv", negative), "ZONE", MERIT_ORDER)
    dark = [f"{DAY}T{hour:02}:00:00Z,PT60M,ZONE,B04,{hour % 7}," for hour in range(24)]
    with pytest.raises(MixInvalid, match="2026-03-01T00:00:00Z: nothing is generated"):
        read_entsoe(write(tmp_path / "mix.csv", dark), "ZONE", MERIT_ORDER)


def test_a_file_without_columns_or_area_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MixInvalid, match="lacks the columns ResolutionCode"):
        read_entsoe(write(tmp_path / "mix.csv", [], HEADER.replace("ResolutionCode", "R")), "ZONE", [])
    with pytest.raises(MixInvalid, match="no row has area code NOWHERE; there are ZONE"):
        read_entsoe(write(tmp_path / "mix.csv", day_of_rows()), "NOWHERE", MERIT_ORDER)
