"""Report, sweeps and fronts of a small case."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import jsonschema_rs
import numpy as np
import pytest
from distributed import LocalCluster

import optimiser.report
from optimiser.case import Case, load_case
from optimiser.planning.net_rule import plan
from optimiser.planning.pareto import GHG, PRIMARY_ENERGY, front
from optimiser.planning.sweep import Point, SweepInvalid, changed, parse_axis, sweep
from optimiser.report.documents import plan_document
from optimiser.report.page import number, render
from optimiser.report.study import study_csv, study_document, study_figures
from tests.optimiser.test_plan_command import run

SCHEMA = json.loads((Path(optimiser.report.__file__).parent / "plan.schema.json").read_text("utf-8"))
EVIL = '<script>alert("1")</script> & </title>'


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("case")
    assert run(folder, 1000).exit_code == 0
    return load_case(folder / "case.toml")


def fits_schema(kind: str, document: object) -> None:
    """Raises ValidationError unless a document is of a kind that the schema defines."""
    shared = {key: SCHEMA[key] for key in ("$schema", "$defs", "properties")}
    jsonschema_rs.validate({**shared, "$ref": f"#/$defs/{kind}"}, document)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "br", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_report_has_every_number_with_its_unit_loads_nothing_and_escapes(case: Case) -> None:
    found = replace(plan(case), title=EVIL)
    html = render(found)
    page = _Page()
    page.feed(html)
    assert page.open == []
    assert not [
        tag for tag, attrs in page.tags if {"src", "href"} & attrs.keys() or tag in ("link", "iframe")
    ]
    policy = next(attrs["content"] for _, attrs in page.tags if attrs.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "alert(" in html
    assert EVIL not in html
    assert "<script>alert" not in html
    text = re.sub(r"\s+", " ", html[: html.index('<script type="application/json"')])
    for row in found.indicators:
        assert f'<data value="{row.value}">{number(row.value)}</data></td><td>{row.unit}</td>' in text
        assert row.identifier in text
    for size in found.sizes.values():
        assert f'<data value="{size.value}">{number(size.value)}</data></td><td>{size.unit}</td>' in text
    for value in (found.npv_eur, found.bound_eur, *found.cash_flow_eur):
        assert f'<data value="{value}">' in text
    assert found.formula in text
    assert "Profile <b>default</b>" in text


def test_hourly_balances_links_and_payments_sum_to_the_plan(case: Case) -> None:
    found = plan(case)
    assert found.flows["balance_kwh_pe"].sum() == pytest.approx(found.indicator(PRIMARY_ENERGY), abs=1e-3)
    assert found.flows["ghg_kg"].sum() == pytest.approx(found.indicator(GHG), abs=1e-3)
    years = np.arange(len(found.cash_flow_eur))
    discounted = np.array(found.cash_flow_eur) / (1 + found.interest) ** years
    assert discounted.sum() == pytest.approx(found.npv_eur, rel=1e-6)
    bus = "district electricity"
    taken = sum(link.mwh for link in found.links if link.target == bus)
    given = sum(link.mwh for link in found.links if link.source == bus)
    assert taken == pytest.approx(given, abs=1e-5)


def test_an_impossible_plan_is_explained_in_the_report(case: Case) -> None:
    html = render(plan(changed(case, {"pv.roof.area_m2": 100.0})))
    assert "no plan is possible" in html
    assert "nearest possible district needs" in html


def test_plans_with_and_without_a_solution_fit_the_schema_and_others_do_not(case: Case) -> None:
    jsonschema_rs.meta.validate(SCHEMA)
    possible = plan_document(plan(case))
    impossible = plan_document(plan(changed(case, {"pv.roof.area_m2": 100.0})))
    for document in (possible, impossible):
        jsonschema_rs.validate(SCHEMA, document)
        for key in document:
            with pytest.raises(jsonschema_rs.ValidationError):
                jsonschema_rs.validate(SCHEMA, {name: document[name] for name in document if name != key})
        with pytest.raises(jsonschema_rs.ValidationError):
            jsonschema_rs.validate(SCHEMA, document | {"npv": 1})
    assert impossible["nearest"]["npv_eur"] < 0
    assert impossible["nearest"]["needed"] > impossible["nearest"]["now"] == 100


def _documents(points: list[Point]) -> list[dict[str, object]]:
    documents = study_document(points)
    for document in documents:
        document["plan"].pop("solver_s")
    return documents


def test_a_sweep_is_the_same_serial_in_parallel_and_on_dask(case: Case) -> None:
    axes = [parse_axis("pv.roof.area_m2=100:1000:2"), parse_axis("economy.interest=0.02,0.05")]
    serial = sweep(case, axes, workers=1)
    assert [tuple(point.values.values()) for point in serial] == [
        (100.0, 0.02),
        (100.0, 0.05),
        (1000.0, 0.02),
        (1000.0, 0.05),
    ]
    assert [point.plan and str(point.plan.status) for point in serial] == ["infeasible"] * 2 + ["optimal"] * 2
    told: list[tuple[int, int]] = []
    assert _documents(sweep(case, axes, workers=2, progress=lambda *counts: told.append(counts))) == (
        _documents(serial)
    )
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None, protocol="tcp://"
    ) as cluster:
        assert _documents(sweep(case, axes, scheduler=cluster.scheduler_address)) == _documents(serial)
    assert len(study_csv(serial).splitlines()) == 5


def test_plots_keep_units_apart_and_mark_what_has_no_plan_off_the_axis(case: Case) -> None:
    axes = [parse_axis("exchange_limit_kw=5,30,60")]
    found = study_figures(sweep(case, axes, workers=1))
    assert {"NPV, EUR", "Sizes, kWp", "What the limits are worth, EUR/kWh_PE"} <= found.keys()
    assert "What the limits are worth, EUR/kW" in found
    for heading, figure in found.items():
        unit = heading.rpartition(", ")[2]
        *lines, missing = figure["data"]
        assert figure["layout"]["yaxis"]["title"]["text"] == unit
        assert all(line["name"] == "npv_eur" or line["name"].endswith(f"[{unit}]") for line in lines)
        assert all(line["y"][0] is None and None not in line["y"][1:] for line in lines)
        assert (missing["name"], missing["x"], missing["yaxis"]) == ("no plan", [5.0], "y2")
        assert figure["layout"]["yaxis2"]["overlaying"] == "y"


def test_a_dual_is_the_slope_between_neighbouring_points(case: Case) -> None:
    points = sweep(case, [parse_axis("balance.margin_kwh_pe=10:11:2")], workers=1)
    first, second = (point.plan for point in points)
    assert first is not None
    assert second is not None
    dual = next(dual for dual in first.duals if dual.name == "primary_energy")
    assert dual.value > 0
    slope = first.npv_eur - second.npv_eur
    assert slope / case.economy.weight() == pytest.approx(dual.value, rel=1e-3)


@pytest.mark.parametrize("against", [PRIMARY_ENERGY, GHG])
def test_a_front_is_monotone_and_no_plan_beats_another(case: Case, against: str) -> None:
    plans = [point.plan for point in front(case, against, 4, workers=1)]
    values = np.array([(plan.npv_eur, plan.indicator(against)) for plan in plans if plan is not None])
    assert len(values) >= 3
    assert (np.diff(values[:, 0]) < 0).all()
    better = np.diff(values[:, 1]) * (1 if against == PRIMARY_ENERGY else -1)
    assert (better > 0).all()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pv.rof.area_m2=1,2", "'rof' is not one of .*roof"),
        ("economy=1,2", "economy is a table; add one of years"),
        ("economy.years=0:10:2", "economy.years: years: 0.0: Input should be greater"),
        ("economy.years=0:10", "START:STOP:COUNT"),
        ("economy.years", "write NAME="),
    ],
)
def test_wrong_parameters_and_ranges_are_named(case: Case, text: str, words: str) -> None:
    with pytest.raises(SweepInvalid, match=words):
        sweep(case, [parse_axis(text)], workers=1)


def test_the_command_writes_report_sweep_and_fronts(tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(tmp_path, 1000, "--sweep", "exchange_limit_kw=200,300", "--pareto", "3", "--out", str(out))
    assert result.exit_code == 0, result.output
    assert {path.name for path in out.iterdir()} == {
        "report.html",
        "plan.json",
        "flows.csv",
        "sweep.csv",
        "sweep.json",
        *(f"pareto_{name}.{kind}" for name in (PRIMARY_ENERGY, GHG) for kind in ("csv", "json")),
    }
    sweeps = json.loads((out / "sweep.json").read_text())
    fits_schema("plan", json.loads((out / "plan.json").read_text()))
    for name in ("sweep.json", f"pareto_{GHG}.json"):
        fits_schema("study", json.loads((out / name).read_text()))
    assert [point["values"] for point in sweeps] == [{"exchange_limit_kw": 200}, {"exchange_limit_kw": 300}]
    assert "Choice: NPV against ghg_balance" in (out / "report.html").read_text()
