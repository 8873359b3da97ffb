"""What a city writes: its TOML file and its CSV series, and the errors for what it gets wrong."""

from datetime import date
from pathlib import Path

import pytest

from contracts.factor import FactorHour
from contracts.point import Kind
from scripts.replay.config import ConfigError, ReplayConfig, load_config
from scripts.replay.generation_mix import read_mix
from scripts.replay.readings import read_points
from scripts.replay.series import Column, Series, SeriesError

DEMO = Path(__file__).parents[2] / "scripts" / "demo_data" / "lapalma.toml"
DAY_ROWS = [f"2024-02-29T{hour:02}:00Z,{hour},0.{hour:02}5" for hour in range(24)]
START_S = 1_709_164_800
END_S = START_S + 86_400

CONFIG = """
title = "Test"
zone = "zone-1"
first_day = 2024-02-29
last_day = 2024-02-29
[factors.mix]
csv = "mix.csv"
technology = [
    {column = "wind_kw", pef = 1.0, non_renewable_pef = 0.0, ghg_g_per_kwh = 0},
    {column = "gas_kw", pef = 2.0, non_renewable_pef = 2.0, ghg_g_per_kwh = 400},
]
[[district]]
id = "district-1"
name = "District"
[[district.gateway]]
id = "gateway-1"
[[district.gateway.point]]
serial = "grid"
kind = "grid"
nameplate_w = 50_000
csv = "series.csv"
supply = "import_wh"
draw = "export_kwh"
"""


def write_csv(folder: Path, rows: list[str], header: str = "time_utc,import_wh,export_kwh") -> Path:
    path = folder / "series.csv"
    path.write_text("\n".join([header, *rows]) + "\n", "utf-8")
    return path


def write_config(folder: Path, text: str = CONFIG) -> Path:
    path = folder / "city.toml"
    path.write_text(text, "utf-8")
    return path


def read(folder: Path, rows: list[str], **more: str) -> list[int | None]:
    return Series(write_csv(folder, rows, **more), 3600).energies_wh(
        Column("import_wh"), START_S, END_S, False
    )


def test_energy_and_power_columns_become_whole_watt_hours(tmp_path: Path) -> None:
    rows = [f"2024-02-29T{hour:02}:00Z,{hour},0.0005,1.5" for hour in range(24)]
    series = Series(write_csv(tmp_path, rows, "time_utc,import_wh,export_kwh,load_kW"), 3600)
    assert series.energies_wh(Column("import_wh"), START_S, END_S, False) == list(range(24))
    assert series.energies_wh(Column("export_kwh"), START_S, END_S, False) == [1] * 24  # half goes up
    assert series.energies_wh(Column("load_kW"), START_S, END_S, False) == [1500] * 24


def test_power_over_a_quarter_of_an_hour_is_a_quarter_of_the_energy(tmp_path: Path) -> None:
    rows = [f"2024-02-29T{hour:02}:{minute:02}Z,10" for hour in range(24) for minute in (0, 15, 30, 45)]
    series = Series(write_csv(tmp_path, rows, "time_utc,load_kw"), 900)
    assert series.energies_wh(Column("load_kw"), START_S, END_S, False) == [2500] * 96


def test_registers_include_the_instant_at_the_end(tmp_path: Path) -> None:
    rows = [f"2024-02-29T{hour:02}:00Z,{100 + hour}" for hour in range(24)] + ["2024-03-01T00:00Z,124"]
    series = Series(write_csv(tmp_path, rows, "time_utc,import_register_kwh"), 3600)
    registers = series.registers_wh(Column("import_register_kwh"), START_S, END_S, False)
    assert registers == [(100 + index) * 1000 for index in range(25)]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (DAY_ROWS[:5] + DAY_ROWS[6:], r"series.csv:7: time_utc: 2024-02-29T05:00Z is missing"),
        (DAY_ROWS[:23], r"series.csv:25: time_utc: 2024-02-29T23:00Z is missing"),
        ([*DAY_ROWS[:3], DAY_ROWS[2], *DAY_ROWS[3:]], r"series.csv:5: .*02:00Z' is there twice"),
        ([DAY_ROWS[1], DAY_ROWS[0], *DAY_ROWS[2:]], r"series.csv:3: .*00:00Z' is earlier"),
        (["2024-02-29T00:00,1,2"], r"series.csv:2: .*T00:00' names no time zone.*UTC"),
        (["2024-02-29T00:00+01:00,1,2"], r"series.csv:2: .*not in UTC; write 2024-02-28T23:00Z"),
        (["29.02.2024 00:00,1,2"], r"series.csv:2: time_utc: '29.02.2024 00:00' is no ISO 8601"),
        (["2024-02-29T00:10Z,1,2"], r"series.csv:2: .*not aligned to the interval of 3600 s"),
        (["2024-02-29T00:00Z,1"], r"series.csv:2: 2 values but the header names 3"),
        (["2024-02-29T00:00Z,-1,2", *DAY_ROWS[1:]], r"series.csv:2: import_wh: '-1' is negative"),
        (["2024-02-29T00:00Z,NaN,2", *DAY_ROWS[1:]], r"series.csv:2: import_wh: 'NaN' is no number"),
        (["2024-02-29T00:00Z,1 Wh,2", *DAY_ROWS[1:]], r"series.csv:2: import_wh: '1 Wh' is no number"),
        (["2024-02-29T00:00Z,,2", *DAY_ROWS[1:]], r"series.csv:2: import_wh: empty; missing is not zero"),
        ([], r"series.csv: no rows"),
    ],
)
def test_a_bad_series_names_file_line_column_and_value(tmp_path: Path, rows: list[str], message: str) -> None:
    with pytest.raises(SeriesError, match=message):
        read(tmp_path, rows)


def test_wrong_units_and_columns_are_named(tmp_path: Path) -> None:
    series = Series(write_csv(tmp_path, DAY_ROWS, "time_utc,import_wh,export_joule"), 3600)
    with pytest.raises(SeriesError, match=r"series.csv:1: column 'export_joule': unknown unit 'joule'"):
        series.energies_wh(Column("export_joule"), START_S, END_S, False)
    with pytest.raises(SeriesError, match=r"no column 'nothing_wh'; the header has: time_utc, import_wh"):
        series.energies_wh(Column("nothing_wh"), START_S, END_S, False)
    with pytest.raises(SeriesError, match=r"a register counts Wh or kWh, not 'kw'"):
        series.registers_wh(Column("import_wh", unit="kw"), START_S, END_S, False)
    with pytest.raises(SeriesError, match=r"separated by semicolons"):
        Series(write_csv(tmp_path, [], "time_utc;import_wh"), 3600)


def test_allowed_gaps_stay_missing_and_are_never_zero(tmp_path: Path) -> None:
    rows = [DAY_ROWS[0], "2024-02-29T01:00Z,,1", *DAY_ROWS[3:]]
    series = Series(write_csv(tmp_path, rows), 3600)
    energies = series.energies_wh(Column("import_wh"), START_S, END_S, True)
    assert energies[:4] == [0, None, None, 3]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('kind = "grid"', 'kind = "gird"', r"city.toml: district\[1\].gateway\[1\].point\[1\].kind: 'gird'"),
        ("50_000", "0", r"nameplate 0 W is out of range"),
        ('id = "district-1"', 'id = "District 1"', r"district\[1\].id: 'District 1'"),
        ('csv = "series.csv"\n', "", r"no CSV file"),
        ('zone = "zone-1"\n', "", r"city.toml: zone: is missing"),
        ('title = "Test"', 'titel = "Test"', r"city.toml: titel: is not known here"),
        ("last_day = 2024-02-29", "last_day = 2024-02-28", r"last_day 2024-02-28 is before"),
        (
            '[factors.mix]\ncsv = "mix.csv"',
            '[scheme]\nfactors = "static"\n[factors.mix]\ncsv = "mix.csv"',
            "static",
        ),
        ('kind = "grid"', 'kind = "gas"', r"carrier 'gas' has no \[\[factors.carrier\]\]"),
        ('kind = "grid"', 'kind = "load"', r"a load has no supply"),
        ("zone = ", "zone = = ", r"city.toml: not valid TOML"),
    ],
)
def test_a_bad_configuration_names_the_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in CONFIG
    with pytest.raises(ConfigError, match=message):
        load_config(write_config(tmp_path, CONFIG.replace(old, new)))


def test_values_above_the_cap_are_refused_with_both_numbers(tmp_path: Path) -> None:
    write_csv(tmp_path, ["2024-02-29T00:00Z,55001,0", *DAY_ROWS[1:]])
    with pytest.raises(ConfigError, match=r"2024-02-29T00:00:00Z is 55001 Wh, above the cap of 55000 Wh"):
        read_points(tmp_path, load_config(write_config(tmp_path)))


def test_factors_follow_the_mix_and_the_merit_order(tmp_path: Path) -> None:
    rows = [f"2024-02-29T{hour:02}:00Z,{3 if hour else 1},{1 if hour else 0}" for hour in range(24)]
    (tmp_path / "mix.csv").write_text("\n".join(["time_utc,wind_kw,gas_kw", *rows]), "utf-8")
    config = load_config(write_config(tmp_path))
    assert config.factors.mix is not None
    days = read_mix(tmp_path, config.factors.mix, 3600, config.start_s, 1)
    assert days[0] is not None
    assert days[0][0] == FactorHour(1000, 1000, 0, 0, 0, 0)
    assert days[0][1] == FactorHour(1250, 2000, 500, 2000, 100, 400)


def test_a_day_with_a_missing_mix_value_has_no_factors(tmp_path: Path) -> None:
    rows = [f"2024-02-29T{hour:02}:00Z,3,1" for hour in range(23)]
    (tmp_path / "mix.csv").write_text("\n".join(["time_utc,wind_kw,gas_kw", *rows]), "utf-8")
    config = load_config(write_config(tmp_path))
    assert config.factors.mix is not None
    assert read_mix(tmp_path, config.factors.mix, 3600, config.start_s, 1) == [None]


def test_a_mix_may_come_from_the_entsoe_transparency_platform(tmp_path: Path) -> None:
    columns = ("DateTime(UTC)", "ResolutionCode", "AreaCode", "ProductionType")
    header = ",".join((*columns, "ActualGenerationOutput[MW]", "ActualConsumption[MW]"))
    rows = [
        f"2024-02-29T{hour:02}:00:00Z,PT60M,ZONE,{kind},{megawatt},"
        for hour in range(24)
        for kind, megawatt in (("Wind Onshore", 3), ("B04", 1))
    ]
    (tmp_path / "mix.csv").write_text("\n".join([header, *rows]), "utf-8")
    text = CONFIG.replace("wind_kw", "B19").replace("gas_kw", "Fossil Gas")
    config = load_config(
        write_config(tmp_path, text.replace('csv = "mix.csv"', 'csv = "mix.csv"\nentsoe_area = "ZONE"'))
    )
    assert config.factors.mix is not None
    days = read_mix(tmp_path, config.factors.mix, 3600, config.start_s, 2)
    assert days == [[FactorHour(1250, 2000, 500, 2000, 100, 400)] * 24, None]
    other = config.factors.mix.model_copy(update={"entsoe_area": "ELSEWHERE"})
    with pytest.raises(SeriesError, match=r"mix\.csv: no row has area code ELSEWHERE; there are ZONE"):
        read_mix(tmp_path, other, 3600, config.start_s, 1)


def demo() -> ReplayConfig:
    return load_config(DEMO)


def test_the_demonstration_is_the_year_of_the_case_study() -> None:
    """Exact sums of the source's own table: import, export and sum of E of both districts."""
    config = demo()
    points = read_points(DEMO.parent, config)
    assert config.factors.mix is not None
    days = read_mix(DEMO.parent, config.factors.mix, config.interval_s, config.start_s, config.day_count)
    factors = [hour for day in days for hour in day or ()]
    assert len(factors) == 8760
    expected = {
        "grid-200": (246026911, 137533885, -258877816741),
        "grid-300": (230933296, 276034938, 160515097992),
    }
    for serial, figures in expected.items():
        grid = points[serial]
        assert grid.point.declaration().kind is Kind.GRID
        imports = [value or 0 for value in grid.supply_wh or ()]
        exports = [value or 0 for value in grid.draw_wh or ()]
        balance = sum(
            exported * hour.marginal_total - imported * hour.average_total
            for imported, exported, hour in zip(imports, exports, factors, strict=True)
        )
        assert (sum(imports), sum(exports), balance) == figures


def test_a_shortened_replay_ends_early_but_never_later() -> None:
    assert demo().shortened(31).last_day == date(2019, 1, 31)
    assert demo().shortened(999).last_day == date(2019, 12, 31)
