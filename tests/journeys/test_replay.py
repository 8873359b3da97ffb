"""`ped replay` on a made-up district: what it leaves equals what the test computes from the same series."""

import csv
import json
import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from contracts.energy import Carried, HourAssessment, HourSums, assess_hour
from contracts.hour import DAY_S, HOUR_S, day_start, format_time_utc, parse_day
from contracts.point import CARRIERS, Kind
from contracts.scheme import CarrierFactors, Scheme, StaticFactors, VintageFactors, day_weights
from contracts.tally import TallyGateway, TallyGroup, TallyPoint, summarise
from contracts.verification import verify
from tests.journeys.town import ped

DAYS = 10
START_S = day_start(parse_day("2023-06-01"))
QUARTER_S = 900
QUARTERS = DAYS * DAY_S // QUARTER_S
HOMES = range(1, 7)
MISSING = {("load", 30), ("pv", 401), ("gas", 805)}
"""Quarter-hours that nobody measured."""

HEAD = """
title = "Mill quarter"
zone = "es-test"
first_day = 2023-06-01
last_day = 2023-06-10
interval_s = 900
gaps = "allowed"
[scheme]
id = "static"
factors = "static"
pef_min = 0.5
pef_max = 3
ghg_max_g_per_kwh = 1000
[factors.electricity]
import_pef = 2.4
import_non_renewable_pef = 2.0
import_ghg_g_per_kwh = 300
export_pef = 2.1
export_non_renewable_pef = 1.7
export_ghg_g_per_kwh = 250
[[factors.carrier]]
carrier = "gas"
bought_pef = 1.1
bought_non_renewable_pef = 1.1
bought_ghg_g_per_kwh = 220
[[district]]
id = "mill"
name = "Mill quarter"
"""


def point(table: str, serial: str, kind: str, nameplate_w: int, **options: str) -> str:
    """A point's table in the TOML file."""
    lines = [f"[[district.gateway.{table}]]", f'serial = "{serial}"', f'kind = "{kind}"']
    lines += [f"nameplate_w = {nameplate_w:_}", 'csv = "series.csv"']
    return "\n".join([*lines, *(f"{name} = {value}" for name, value in options.items())]) + "\n"


CONFIG = (
    HEAD
    + '[[district.gateway]]\nid = "hall"\n'
    + point(
        "point",
        "grid",
        "grid",
        200_000,
        csv='"registers.csv"',
        supply='"import_register_kWh"',
        draw='"export_register_kWh"',
        register_digits="6",
    ).replace('csv = "series.csv"\n', "", 1)
    + point("point", "pv", "generation", 90_000, renewable="true", supply='"pv_kW"')
    + point("point", "load", "load", 60_000, draw='"load_wh"')
    + point("point", "battery", "storage", 20_000, efficiency="0.9", supply='"out_wh"', draw='"in_wh"')
    + point("point", "car", "vehicle", 11_000, efficiency="0.95", supply='"car_out_wh"', draw='"car_in_wh"')
    + point("point", "gas", "gas", 50_000, supply='"gas_kWh"')
    + '[[district.gateway]]\nid = "houses"\n'
    + "".join(point("member", f"home-{n}", "load", 9_000, draw=f'"home_{n}_wh"') for n in HOMES)
)

TOWN = (
    TallyGateway(
        (
            TallyPoint(Kind.GRID, 220_000),
            TallyPoint(Kind.GENERATION, 99_000),
            TallyPoint(Kind.LOAD, 66_000),
            TallyPoint(Kind.STORAGE, 22_000, 900),
            TallyPoint(Kind.VEHICLE, 12_100, 950),
            TallyPoint(CARRIERS[0], 55_000),
        )
    ),
    TallyGateway((), (TallyGroup(Kind.LOAD, len(HOMES), len(HOMES) * 9_900),)),
)
SCHEME = Scheme(False, True, 500, 3000, 0, 1000)
VINTAGE = VintageFactors(
    500,
    3000,
    1000,
    StaticFactors(2400, 2000, 300, 2100, 1700, 250),
    (CarrierFactors(1, 1100, 1100, 220),),
)


@dataclass
class Made:
    """The made-up quarter-hours, Wh."""

    quarters: list[dict[str, int]] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """The two CSV files."""
        names = ["pv_kW", "load_wh", "out_wh", "in_wh", "car_out_wh", "car_in_wh", "gas_kWh"]
        homes = [f"home_{n}_wh" for n in HOMES]
        with (folder / "series.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["time_utc", *names, *homes])
            for index, quarter in enumerate(self.quarters):
                row = dict(quarter)
                cells = [
                    "" if ("pv", index) in MISSING else f"{row['pv'] * 4 / 1000:.3f}",
                    "" if ("load", index) in MISSING else row["load"],
                    row["out"],
                    row["in"],
                    row["car_out"],
                    row["car_in"],
                    "" if ("gas", index) in MISSING else f"{row['gas'] / 1000:.3f}",
                    *(row[f"home_{n}"] for n in HOMES),
                ]
                writer.writerow([format_time_utc(START_S + index * QUARTER_S), *cells])
        with (folder / "registers.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["time_utc", "import_register_kWh", "export_register_kWh"])
            imported, exported = 900_000, 5_000  # the import register of six digits rolls over
            for index in range(QUARTERS + 1):
                time_utc = format_time_utc(START_S + index * QUARTER_S)
                row_values = [f"{value % 10**6 / 1000:.3f}" for value in (imported, exported)]
                writer.writerow([time_utc, *row_values])
                if index < QUARTERS:
                    imported += self.quarters[index]["import"]
                    exported += self.quarters[index]["export"]

    def hours(self) -> list[HourSums]:
        """Sums of every hour, by hand; a quarter that is missing makes its point's hour partial."""
        found = []
        for hour in range(DAYS * 24):
            places = range(hour * 4, hour * 4 + 4)
            total = {
                name: sum(self.quarters[place][name] for place in places if (name, place) not in MISSING)
                for name in self.quarters[0]
            }
            partial = {name for name, place in MISSING if place in places}
            gas = Carried(total["gas"], 0)
            empty = Carried(0, 0)
            found.append(
                HourSums(
                    import_wh=total["import"],
                    export_wh=total["export"],
                    production_wh=total["pv"],
                    consumption_wh=total["load"] + sum(total[f"home_{n}"] for n in HOMES),
                    charge_wh=total["in"] + total["car_in"],
                    discharge_wh=total["out"] + total["car_out"],
                    carriers=(gas, *([empty] * 7)),
                    measured=6 - len(partial),
                    members=len(HOMES),
                    short_carrier_cap_wh=55_000 if "gas" in partial else 0,
                )
            )
        return found


def make(seed: int) -> Made:
    """Conserved flows: the grid takes what is left."""
    rng, made = random.Random(seed), Made()
    for _ in range(QUARTERS):
        quarter = {
            "pv": rng.choice([0, rng.randrange(20_000)]),
            "load": rng.randrange(12_000),
            "gas": rng.randrange(9_000),
            "car_in": rng.randrange(2_000),
            "car_out": rng.randrange(200),
            **{f"home_{n}": rng.randrange(2_000) for n in HOMES},
        }
        charging = rng.random() < 0.5
        quarter["in"] = rng.randrange(4_000) if charging else 0
        quarter["out"] = 0 if charging else rng.randrange(4_000)
        homes = sum(quarter[f"home_{n}"] for n in HOMES)
        net = quarter["pv"] + quarter["out"] + quarter["car_out"]
        net -= quarter["load"] + homes + quarter["in"] + quarter["car_in"]
        quarter["import"], quarter["export"] = max(0, -net), max(0, net)
        made.quarters.append(quarter)
    return made


def expected(hour: int, sums: HourSums) -> tuple[HourAssessment, dict[str, str]]:
    """The row of `balances.csv` that the rule gives."""
    weights = day_weights(SCHEME, VINTAGE, None)
    judged = assess_hour(sums, summarise(TOWN), SCHEME.tolerance, weights.primary[0], weights.ghg[0])
    flows = judged.flows
    row = {
        "time_utc": format_time_utc(START_S + hour * HOUR_S),
        "production_wh": flows.production_wh,
        "consumption_wh": flows.consumption_wh,
        "import_wh": flows.import_wh,
        "export_wh": flows.export_wh,
        "charge_wh": flows.charge_wh,
        "discharge_wh": flows.discharge_wh,
        "import_load_wh": flows.import_load_wh,
        "import_storage_wh": flows.import_storage_wh,
        "import_rest_wh": flows.import_rest_wh,
        "carriers_bought_wh": sums.carriers[0].bought_wh,
        "balance_mwh_pe": judged.balance_mwh_pe,
        "lower_mwh_pe": judged.lower_mwh_pe,
        "upper_mwh_pe": judged.upper_mwh_pe,
        "ghg_mg": judged.ghg_mg,
        "ghg_lower_mg": judged.ghg_lower_mg,
        "ghg_upper_mg": judged.ghg_upper_mg,
        "complete": int(judged.complete),
    }
    return judged, {name: str(value) for name, value in row.items()}


def test_a_made_up_district_comes_out_as_computed(tmp_path: Path) -> None:
    made = make(11)
    made.write(tmp_path)
    (tmp_path / "mill.toml").write_text(CONFIG, "utf-8")
    out = tmp_path / "out"
    answer = ped("replay", tmp_path / "mill.toml", "--out", out, "--json")
    assert answer.returncode == 0, answer.stderr
    summary = json.loads(answer.stdout)
    assert (summary["days"], summary["alarms"]) == (DAYS, [])

    with (out / "mill" / "balances.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == DAYS * 24
    complete = 0
    for hour, (row, sums) in enumerate(zip(rows, made.hours(), strict=True)):
        judged, wanted = expected(hour, sums)
        assert {name: row[name] for name in wanted} == wanted
        complete += judged.complete
    assert complete == DAYS * 24 - len(MISSING)

    certificate = json.loads((out / "mill" / "certificate.json").read_text("utf-8"))
    report = verify((out / "mill" / "bundle.json").read_bytes())
    assert certificate["block_hash"] == report.block_hash
    assert certificate["valid"] is False
    checked = ped("verify", out / "mill" / "bundle.json", "--block-hash", report.block_hash)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        (
            "series.csv",
            "2023-06-01T00:15:00Z",
            "2023-06-01T00:15:00",
            ("series.csv:3", "time_utc", "2023-06-01T00:15:00"),
        ),
        ("series.csv", "load_wh", "load_furlong", ("series.csv:1", "load_wh")),
        (
            "series.csv",
            "2023-06-01T00:30:00Z,",
            "2023-06-01T00:30:00Z,-1",
            ("series.csv:4", "pv_kW", "negative"),
        ),
        (
            "series.csv",
            "2023-06-01T00:30:00Z,",
            "2023-06-01T00:30:00Z,x",
            ("series.csv:4", "pv_kW", "no number"),
        ),
        ("mill.toml", 'kind = "storage"', 'kind = "flywheel"', ("mill.toml", "kind", "flywheel")),
        ("mill.toml", "first_day = 2023-06-01", "first_day = 2023-07-01", ("mill.toml", "2023-07-01")),
        ("mill.toml", "nameplate_w = 60_000", "nameplate_w = 60", ("load", "nameplate_w", "60")),
        ("mill.toml", "zone =", "zone = [", ("mill.toml", "TOML")),
    ],
)
def test_bad_input_is_named_and_leaves_nothing(
    tmp_path: Path, file: str, old: str, new: str, words: tuple[str, ...]
) -> None:
    make(12).write(tmp_path)
    (tmp_path / "mill.toml").write_text(CONFIG, "utf-8")
    text = (tmp_path / file).read_text("utf-8")
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new, 1), "utf-8")
    answer = ped("replay", tmp_path / "mill.toml", "--out", tmp_path / "out")
    assert answer.returncode != 0
    for word in words:
        assert word in answer.stderr
    assert "Traceback" not in answer.stderr
    assert not (tmp_path / "out").exists()


def test_the_quick_demonstration_ends_well(tmp_path: Path) -> None:
    answer = ped("demo", "--quick", "--headless", "--out", tmp_path / "out", "--json")
    assert answer.returncode == 0, answer.stderr
    summary = json.loads(answer.stdout)
    assert (summary["days"], summary["alarms"]) == (31, [])
    assert {found["district"] for found in summary["districts"]} == {"los-sauces-300", "los-sauces-200"}
    balances = {}
    for found in summary["districts"]:
        folder = tmp_path / "out" / found["district"]
        verify((folder / "bundle.json").read_bytes())
        with (folder / "balances.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 31 * 24
        assert all(row["complete"] == "1" and row["lower_mwh_pe"] == row["balance_mwh_pe"] for row in rows)
        balances[found["district"]] = sum(int(row["balance_mwh_pe"]) for row in rows)
    assert balances["los-sauces-300"] > balances["los-sauces-200"]
