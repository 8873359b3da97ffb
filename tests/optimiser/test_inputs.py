"""What people bring: CSV in several clocks and units, PVGIS, ENTSO-E, and the errors for what is wrong."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.factor import Technology as ChainTechnology
from contracts.factor import factors_of_mix
from optimiser.case import CaseError, load_case, make_case
from optimiser.factors import Technology, mix_factors, rounded
from optimiser.inputs import InputMissing, read_inputs
from optimiser.planning.net_rule import plan
from optimiser.planning.paper import DATA, scenario_case, scenario_document
from optimiser.pvgis import read_typical_year
from optimiser.series import Period, Quantity, SeriesError, TimeSeries

LA_PALMA = Path(__file__).parents[3] / "shared" / "lapalma"
needs_case_study = pytest.mark.skipif(
    not LA_PALMA.exists(), reason="the published case study is not beside this checkout (../shared/lapalma)"
)
JULY = int(datetime(2019, 7, 1, tzinfo=UTC).timestamp())


def write(path: Path, header: str, rows: list[str]) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", "utf-8")
    return path


def hours(start: datetime, count: int, form: str = "%Y-%m-%dT%H:%MZ") -> list[str]:
    return [(start + timedelta(hours=hour)).strftime(form) for hour in range(count)]


@pytest.mark.parametrize(
    ("column", "quantity", "value"),
    [
        ("load_kW", Quantity.POWER, 5.0),
        ("load_w", Quantity.POWER, 0.005),
        ("load_MWh", Quantity.POWER, 5000.0),
        ("buy_eur_per_mwh", Quantity.PRICE, 0.005),
        ("buy_ct_per_kwh", Quantity.PRICE, 0.05),
        ("ghi_kW_m2", Quantity.IRRADIANCE, 5000.0),
        ("air_degC", Quantity.TEMPERATURE, 5.0),
    ],
)
def test_units_come_from_the_name(tmp_path: Path, column: str, quantity: Quantity, value: float) -> None:
    rows = [f"{time},5" for time in hours(datetime(2019, 7, 1), 3)]
    series = TimeSeries(write(tmp_path / "a.csv", f"time_utc,{column}", rows), 3600)
    assert series.values(column, quantity, JULY, JULY + 3 * 3600) == pytest.approx([value] * 3)


def test_energy_of_a_quarter_of_an_hour_is_four_times_the_power(tmp_path: Path) -> None:
    rows = [f"2019-07-01T00:{minute:02}Z,1" for minute in (0, 15, 30, 45)]
    series = TimeSeries(write(tmp_path / "a.csv", "time_utc,load_kwh", rows), 900)
    assert series.values("load_kwh", Quantity.POWER, JULY, JULY + 3600) == pytest.approx([4.0] * 4)


def test_a_wrong_unit_is_named(tmp_path: Path) -> None:
    rows = [f"{time},5" for time in hours(datetime(2019, 7, 1), 3)]
    series = TimeSeries(
        write(tmp_path / "a.csv", "time_utc,load_joule,buy_kw", rows=[f"{r},1" for r in rows]), 3600
    )
    with pytest.raises(
        SeriesError, match=r"a\.csv:1: column 'load_joule': no unit of mean power, kW ends its"
    ):
        series.values("load_joule", Quantity.POWER, JULY, JULY + 3600)
    with pytest.raises(SeriesError, match=r"column 'buy_kw': no unit of price"):
        series.values("buy_kw", Quantity.PRICE, JULY, JULY + 3600)


def test_prices_may_be_negative_but_loads_may_not(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "time_utc,x_eur_per_kwh,load_kw", ["2019-07-01T00:00Z,-0.1,-2"])
    series = TimeSeries(path, 3600)
    assert series.values("x_eur_per_kwh", Quantity.PRICE, JULY, JULY + 3600) == pytest.approx([-0.1])
    with pytest.raises(SeriesError, match=r"a\.csv:2: load_kw: '-2' is negative"):
        series.values("load_kw", Quantity.POWER, JULY, JULY + 3600)


def test_an_offset_is_converted_to_utc(tmp_path: Path) -> None:
    rows = [
        f"{time},{number}"
        for number, time in enumerate(hours(datetime(2019, 7, 1, 2), 3, "%Y-%m-%dT%H:%M+02:00"))
    ]
    series = TimeSeries(write(tmp_path / "a.csv", "time,load_kw", rows), 3600)
    assert series.values("load_kw", Quantity.POWER, JULY, JULY + 3 * 3600) == pytest.approx([0, 1, 2])


def local_year(skip: set[str] = frozenset(), add: str | None = None) -> list[str]:  # type: ignore[assignment]
    """Rome's clock through 2019: 8,760 rows, one hour doubled in October and one absent in March."""
    times = pandas.date_range("2018-12-31T23:00Z", periods=8760, freq="h").tz_convert("Europe/Rome")
    rows = [time.strftime("%Y-%m-%dT%H:%M") for time in times]
    rows = [row for row in rows if row not in skip]
    if add is not None:
        rows.insert(next(number for number, row in enumerate(rows) if row > add), add)
    return [f"{row},{number}" for number, row in enumerate(rows)]


def test_local_time_through_both_changes_of_the_clock(tmp_path: Path) -> None:
    series = TimeSeries(write(tmp_path / "a.csv", "time_local,load_kw", local_year()), 3600, "Europe/Rome")
    start = int(datetime(2018, 12, 31, 23, tzinfo=UTC).timestamp())
    values = series.values("load_kw", Quantity.POWER, start, start + 8760 * 3600)
    assert values == pytest.approx(np.arange(8760))


def test_daylight_saving_gaps_are_errors(tmp_path: Path) -> None:
    doubled = local_year(skip={"2019-10-27T02:00"})
    series = TimeSeries(write(tmp_path / "a.csv", "time_local,load_kw", doubled), 3600, "Europe/Rome")
    start = int(datetime(2018, 12, 31, 23, tzinfo=UTC).timestamp())
    with pytest.raises(SeriesError, match=r"a\.csv:7179: time_utc: 2019-10-27T00:00Z is missing"):
        series.values("load_kw", Quantity.POWER, start, start + 8760 * 3600)
    once = [row for number, row in enumerate(local_year()) if number != 7178]
    series = TimeSeries(write(tmp_path / "b.csv", "time_local,load_kw", once), 3600, "Europe/Rome")
    with pytest.raises(SeriesError, match=r"2019-10-27T0[01]:00Z is missing before this line"):
        series.values("load_kw", Quantity.POWER, start, start + 8760 * 3600)
    absent = local_year(add="2019-03-31T02:00")
    with pytest.raises(SeriesError, match=r"'2019-03-31T02:00' does not exist in Europe/Rome: the clocks"):
        TimeSeries(write(tmp_path / "c.csv", "time_local,load_kw", absent), 3600, "Europe/Rome")


@pytest.mark.parametrize(
    ("header", "row", "zone", "message"),
    [
        ("time_local,load_kw", "2019-07-01T00:00,1", None, r"a\.csv:1: .*set timezone"),
        ("time_utc,load_kw", "2019-07-01T00:00Z,1", "Europe/Rome", r"a\.csv:1: .*only for it"),
        ("time_local,load_kw", "2019-07-01T00:00Z,1", "Europe/Rome", r"a\.csv:2: .*has an offset"),
        ("time_local,load_kw", "2019-07-01T00:00,1", "Europe/Rom", r"unknown time zone 'Europe/Rom'"),
        ("time,load_kw", "2019-07-01T00:00,1", None, r"a\.csv:2: time: .*names no time zone"),
        ("time_utc,time,load_kw", "2019-07-01T00:00Z,2019-07-01T00:00Z,1", None, r"leave one column of time"),
        ("hour,load_kw", "0,1", None, r"no column 'time_utc' or .*the header has: hour, load_kw"),
    ],
)
def test_clocks_are_explicit(tmp_path: Path, header: str, row: str, zone: str | None, message: str) -> None:
    with pytest.raises(SeriesError, match=message):
        TimeSeries(write(tmp_path / "a.csv", header, [row]), 3600, zone)


def test_a_compressed_file_and_a_damaged_one(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"time_utc,load_kw\n2019-07-01T00:00Z,3\n"))
    assert TimeSeries(path, 3600).values("load_kw", Quantity.POWER, JULY, JULY + 3600) == pytest.approx([3])
    path.write_bytes(b"no gzip")
    with pytest.raises(SeriesError, match=r"a\.csv\.gz: not a gzip file"):
        TimeSeries(path, 3600)


@cache
def pvgis_rows() -> list[dict[str, Any]]:
    times = [datetime(2001, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(8760)]
    return [
        {
            "time(UTC)": f"{2005 + time.month}{time:%m%d:%H%M}",
            "T2m": round(10 + time.month, 2),
            "RH": 70.0,
            "G(h)": float(time.hour),
            "Gb(n)": float(2 * time.hour),
            "Gd(h)": float(time.day),
            "IR(h)": 300.0,
            "WS10m": 3.0,
        }
        for time in times
    ]


def pvgis_csv(rows: list[dict[str, Any]], offset: str = "Irradiance Time Offset (h): 0.1761\n") -> str:
    head = "Latitude (decimal degrees): 45.000\nLongitude (decimal degrees): 8.000\n" + offset
    months = "month,year\n" + "".join(f"{month},{2005 + month}\n" for month in range(1, 13))
    lines = [",".join(rows[0]), *(",".join(str(value) for value in row.values()) for row in rows)]
    return (
        head
        + "\n"
        + months
        + "\n".join(lines)
        + "\n\nT2m: 2-m air temperature (degree Celsius)\nPVGIS (c) European Union\n"
    )


def test_a_typical_year_of_pvgis_as_csv_and_json(tmp_path: Path) -> None:
    table, document = tmp_path / "tmy.csv", tmp_path / "tmy.json"
    table.write_text(pvgis_csv(pvgis_rows()), "utf-8")
    location = {"latitude": 45.0, "longitude": 8.0, "elevation": 250.0, "irradiance_time_offset": 0.1761}
    document.write_text(
        json.dumps({"inputs": {"location": location}, "outputs": {"tmy_hourly": pvgis_rows()}}), "utf-8"
    )
    for path in (table, document):
        weather = read_typical_year(path, Period(JULY, 48, 3600), None)
        assert weather.sun_minute == pytest.approx(10.566)
        assert weather.ghi == pytest.approx([*range(24), *range(24)])
        assert weather.dni[5] == 10
        assert weather.dhi[30] == 2
        assert weather.temperature_degc is not None
        assert weather.temperature_degc[0] == 17
    table.write_text(pvgis_csv(pvgis_rows(), ""), "utf-8")
    assert read_typical_year(table, Period(JULY, 48, 3600), None).sun_minute == 10
    assert read_typical_year(table, Period(JULY, 48, 3600), 30).sun_minute == 30


def test_a_damaged_typical_year_names_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "tmy.csv"

    def read(rows: list[dict[str, Any]], start_s: int = JULY) -> None:
        path.write_text(pvgis_csv(rows), "utf-8")
        read_typical_year(path, Period(start_s, 24, 3600), None)

    rows = pvgis_rows()
    with pytest.raises(
        SeriesError, match=r"tmy\.csv:119: time\(UTC\): 1 hours are missing before '20060105:0"
    ):
        read(rows[:100] + rows[101:])
    with pytest.raises(SeriesError, match=r"tmy\.csv:120: .*is there twice or earlier"):
        read(rows[:101] + rows[100:])
    with pytest.raises(SeriesError, match=r"8759 hours; a typical year has 8760"):
        read(rows[:-1])
    with pytest.raises(SeriesError, match=r"tmy\.csv:19: Gb\(n\): '-1' cannot be"):
        read([rows[0] | {"Gb(n)": -1}, *rows[1:]])
    with pytest.raises(SeriesError, match=r"tmy\.csv:19: G\(h\): '' is no number; missing is not zero"):
        read([rows[0] | {"G(h)": ""}, *rows[1:]])
    leap = int(datetime(2020, 2, 29, tzinfo=UTC).timestamp())
    with pytest.raises(SeriesError, match="no 29 February"):
        read(rows, leap)


@needs_case_study
@pytest.mark.parametrize(
    ("model", "minute", "name"), [("published", 30, "as_published"), ("physical", 10, "physical")]
)
def test_irradiance_on_all_planes_is_that_of_the_case_study(model: str, minute: int, name: str) -> None:
    document = scenario_document("S2")
    document["weather"] |= {"irradiance": model, "sun_minute": minute}
    inputs = read_inputs(make_case(document, DATA))
    expected = pandas.read_csv(LA_PALMA / f"derived_poa_{name}_W_m2.csv").iloc[:, 1:]
    planes = [(28.803, 180), *((30, azimuth) for azimuth in range(0, 360, 45))]
    for (tilt, azimuth), column in zip(planes, expected.columns, strict=True):
        found = 1000 * inputs.irradiance_kw_per_m2(tilt, azimuth)
        assert np.abs(found - expected[column].to_numpy()).max() < 0.0051  # the file has two decimals


@needs_case_study
def test_factors_of_both_islands_are_those_of_the_case_study() -> None:
    expected = pandas.read_csv(LA_PALMA / "derived_pef_co2_hourly.csv")
    for scenario, island in (("S5", "lapalma"), ("EH_SVS3_U", "elhierro")):
        factors = read_inputs(scenario_case(scenario)).factors
        for found, column in (
            (factors.primary_energy.import_load, "pef_avg"),
            (factors.primary_energy.export, "pef_marginal"),
            (factors.primary_energy.import_storage, "pef_marginal"),
            (factors.ghg_average, "co2_paper_kg_per_kWh"),
        ):
            assert np.abs(found - expected[f"{island}_{column}"].to_numpy()).max() < 1e-6


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=5))
def test_rounded_factors_are_those_of_the_ledger(mixes: list[tuple[int, int, int]]) -> None:
    kinds = [(1.0, 0.0, 0.0), (1.05, 0.05, 0.03), (2.75, 2.7, 0.73)]
    ours = [
        Technology(column=str(number), pef=pef, non_renewable_pef=nren, ghg_kg_per_kwh=ghg)
        for number, (pef, nren, ghg) in enumerate(kinds)
    ]
    mixes = [mix for mix in mixes if sum(mix)]
    if not mixes:
        return
    output = [np.array([float(mix[number]) for mix in mixes]) for number in range(3)]
    for non_renewable in (False, True):
        found = mix_factors(ours, output, non_renewable)
        for place, mix in enumerate(mixes):
            chain = factors_of_mix(
                [
                    (ChainTechnology(str(n), int(1000 * pef), int(1000 * nren), int(1000 * ghg)), mix[n])
                    for n, (pef, nren, ghg) in enumerate(kinds)
                ]
            )
            average = chain.average_non_renewable if non_renewable else chain.average_total
            marginal = chain.marginal_non_renewable if non_renewable else chain.marginal_total
            assert abs(found.average_pef[place] * 1e6 - average) <= 0.5 + 1e-6
            assert found.marginal_pef[place] * 1e6 == pytest.approx(marginal)
            assert rounded(found.average_pef)[place] == pytest.approx(
                round(found.average_pef[place], 3), abs=1.1e-3
            )


def test_entsoe_mix_and_the_certifiers_export_are_inputs(tmp_path: Path) -> None:
    mix = [
        "DateTime(UTC),ResolutionCode,AreaCode,ProductionType,ActualGenerationOutput[MW],ActualConsumption[MW]"
    ]
    balances = ["start_time_utc,import_wh,consumption_wh,carriers"]
    for time in hours(datetime(2019, 7, 1), 24, "%Y-%m-%d %H:%M"):
        mix += [f"{time},PT60M,ZONE,B16,30,", f"{time},PT60M,ZONE,Fossil Gas,10,"]
        balances.append(f"{time.replace(' ', 'T')}:00Z,900,1500,[]")
    (tmp_path / "mix.csv").write_text("\n".join(mix) + "\n")
    (tmp_path / "balances.csv").write_text("\n".join(balances) + "\n")
    (tmp_path / "case.toml").write_text(
        """
title = "Metered"
first_day = 2019-07-01
days = 1
[balance]
positive = false
[factors.mix]
csv = "mix.csv"
entsoe_area = "ZONE"
technology = [
    { column = "Solar", pef = 1, non_renewable_pef = 0, ghg_kg_per_kwh = 0 },
    { column = "B04", pef = 2, non_renewable_pef = 2, ghg_kg_per_kwh = 0.4 },
]
[grid]
buy = { value = 0.2 }
sell = { value = 0.1 }
[load]
series = { csv = "balances.csv", column = "consumption_wh" }
""",
        "utf-8",
    )
    found = read_inputs(load_case(tmp_path / "case.toml"))
    assert found.of("load", "load_kw") == pytest.approx([1.5] * 24)
    assert found.factors.primary_energy.import_load == pytest.approx([1.25] * 24)
    assert found.factors.primary_energy.export == pytest.approx([2.0] * 24)
    assert found.factors.ghg.import_load == pytest.approx([0.1] * 24)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"grid": {"buy": {"value": 1}}}, r"case: grid\.sell: is missing"),
        ({"pv": {"capex_eur_per_kwp": 1, "surface": []}}, r"case: pv\.surface: .*at least 1"),
        ({"battery": {"capex_eur_per_kwh": -1}}, r"case: battery\.capex_eur_per_kwh: -1: "),
        ({"batery": {}}, r"case: batery: is not known here; check the spelling"),
        ({"battery": [{"name": "a b", "capex_eur_per_kwh": 1}]}, r"case: battery\[1\]: give each a name"),
        ({"location": None}, r"\[location\] and \[weather\] belong together"),
        ({"factors": {"kind": "static"}}, r"static factors need \[factors\.static\]"),
    ],
)
def test_a_wrong_case_names_place_and_value(change: dict[str, Any], message: str) -> None:
    document = scenario_document("S5") | change
    with pytest.raises(CaseError, match=message):
        make_case({key: value for key, value in document.items() if value is not None}, DATA)


def test_series_that_are_missing_are_named() -> None:
    document = scenario_document("S5")
    document["load"] = {"series": {"column": "load_kW"}}
    with pytest.raises(SeriesError, match=r'load: give csv = "..." and column = "..."'):
        read_inputs(make_case(document, DATA))
    document = scenario_document("S5")
    del document["weather"], document["location"]
    case = make_case(document, DATA)
    with pytest.raises(InputMissing, match=r"add \[location\] and \[weather\]"):
        plan(case, read_inputs(case))


def test_several_batteries_have_names() -> None:
    document = scenario_document("S5")
    document["battery"] = [{"name": "lead", "capex_eur_per_kwh": 9}, {"name": "salt", "capex_eur_per_kwh": 8}]
    assert list(make_case(document, DATA).components) == ["load", "pv", "lead", "salt"]


def test_the_case_of_the_readme_is_planned_from_one_csv_and_a_typical_year(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[2] / "optimiser" / "README.md").read_text("utf-8")
    (tmp_path / "case.toml").write_text(readme.split("```toml\n")[1].split("```")[0], "utf-8")
    times = hours(datetime(2019, 1, 1), 8760)
    write(tmp_path / "hours.csv", "time_utc,load_kw,buy_eur_per_kwh", [f"{time},10,0.12" for time in times])
    rows = [
        row | {"Gb(n)": 0.0, "G(h)": light, "Gd(h)": light}
        for row in pvgis_rows()
        for light in [600.0 if 8 <= int(row["time(UTC)"][9:11]) < 16 else 0.0]
    ]
    (tmp_path / "tmy.csv").write_text(pvgis_csv(rows), "utf-8")
    found = plan(load_case(tmp_path / "case.toml"))
    assert found.status == "optimal"
    assert found.indicator("export_import_pe") >= 1 - 1e-6
    assert found.gap == 0
