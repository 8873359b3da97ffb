"""The API over real sockets: answers, errors, paging, caching, exports, and its own OpenAPI document."""

import csv
import io
import tempfile
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from certifier.api import create_application
from certifier.store import Store
from tests.certifier.small_run import SmallRun


def document_of_the_api() -> dict[str, Any]:
    """The OpenAPI document, made without serving anything."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{folder}/empty.sqlite")
        described: dict[str, Any] = create_application(store).openapi()
        store.close()
    return described


HOUR = "2018-12-02T05:00:00Z"


@pytest.fixture(scope="module")
def client(website: str) -> Any:
    with httpx2.Client(base_url=website, timeout=30) as opened:
        yield opened


def get(client: Any, path: str, **parameters: Any) -> Any:
    answer = client.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_districts_and_their_hours(client: Any) -> None:
    listed = get(client, "/v1/districts")
    assert [entry["district_id"] for entry in listed["items"]] == ["barlovento", "garafia"]
    assert listed["as_of"]["time_utc"].endswith("Z")
    shown = get(client, "/v1/districts/barlovento")
    assert {point["kind"] for point in shown["points"]} == {"GRID", "GENERATION", "LOAD"}
    assert shown["gateways"][0]["last_recorded_day"] == "2018-12-05"
    hours = get(client, "/v1/districts/barlovento/hours", **{"from": "2018-12-03", "to": "2018-12-04"})
    assert len(hours["items"]) == 24
    missing, estimated = hours["items"][9], hours["items"][10]
    assert (missing["bound_row"], estimated["bound_row"]) == ("short", "estimated")
    assert missing["lower_mwh_pe"] < missing["balance_mwh_pe"] < missing["upper_mwh_pe"]
    assert not missing["complete"]
    assert hours["items"][12]["complete"]
    days = get(client, "/v1/districts/barlovento/days")["items"]
    assert days[0]["balance_mwh_pe"] + days[1]["balance_mwh_pe"] == days[1]["cumulative_balance_mwh_pe"]
    assert [day["adjusted"] for day in days] == [False, False, True, False]
    assert sum(hour["balance_mwh_pe"] for hour in hours["items"]) == days[1]["balance_mwh_pe"]


def test_coverage_indicators_factors(client: Any) -> None:
    covered = get(client, "/v1/districts/barlovento/coverage")["items"]
    assert covered[1]["gaps"] == ["00:00Z", "01:00Z", "02:00Z", "03:00Z", "09:00Z", "10:00Z"]
    found = {
        entry["id"]: entry
        for entry in get(client, "/v1/districts/barlovento/indicators", resolution="PT1H")["items"]
    }
    assert len(found) == 14
    ratio = found["self_consumption"]
    assert ratio["value"] == pytest.approx(ratio["numerator"] / ratio["denominator"])
    assert found["flexibility_response"]["value"] is None
    assert "no demand-response event" in found["flexibility_response"]["reason"]
    daily = get(client, "/v1/districts/barlovento/indicators", resolution="P1D")["items"]
    assert daily[0]["value"] > ratio["value"]
    factors = get(client, "/v1/factors/measured/la-palma")["items"]
    assert len(factors) == 96
    assert factors[12]["average_total"] == 2200
    assert get(client, "/v1/districts/barlovento/implausible-storage")["items"] == []


def test_assessments_certificates_and_history(client: Any, small_run: SmallRun) -> None:
    listed = get(client, "/v1/assessments", district="garafia")["items"]
    assert [entry["assessment_id"] for entry in listed] == ["0x" + small_run.assessments["garafia"].hex()]
    verdicts = get(client, f"/v1/assessments/{listed[0]['assessment_id']}/verdicts")["items"]
    assert verdicts[0]["finding"] == "WindowTooShort"
    shown = get(client, "/v1/certificates/1")
    assert (shown["status"], shown["valid"]) == ("Provisional", False)
    steps = get(client, "/v1/certificates/1/history")["items"]
    assert [step["kind"] for step in steps] == ["Applied", "ProvisionalGranted"]
    before = get(client, "/v1/certificates/1", at=steps[0]["time_utc"])
    assert before["status"] == "Applied"
    unknown = client.get("/v1/certificates/1", params={"at": "2018-12-01"})
    assert unknown.status_code == 404
    assert "2018-12-01" in unknown.json()["detail"]
    assert get(client, "/v1/schemes")["items"][0]["primary_energy"] == "total"


def test_lineage_in_both_directions(client: Any) -> None:
    shown = get(client, "/v1/batches/barlovento-plant/2018-12-02/1")
    hours = {reading["start_time_utc"]: reading["in_force"] for reading in shown["readings"]}
    assert len(hours) == 24
    assert not hours[HOUR]  # corrected by batch 2
    assert hours["2018-12-02T12:00:00Z"]
    lineage = get(client, f"/v1/readings/barlovento-grid/{HOUR}")
    assert [reading["in_force"] for reading in lineage["readings"]] == [False, True]
    assert [batch["sequence"] for batch in lineage["batches"]] == [1, 2]
    assert lineage["district_id"] == "barlovento"
    homes = get(client, "/v1/batches/barlovento-homes/2018-12-02/1", private=True)
    assert {reading["members"] for reading in homes["readings"]} == {6}
    assert {reading["point_id"] for reading in homes["readings"]} == {None}


def test_pages_are_joined_by_their_cursors(client: Any) -> None:
    path = "/v1/districts/barlovento/hours"
    span = {"from": "2018-12-02", "to": "2018-12-06"}
    whole = get(client, path, **span)["items"]
    joined: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        part = get(client, path, **span, limit=17, **cursor)
        joined += part["items"]
        if part["next_cursor"] is None:
            break
        cursor = {"cursor": part["next_cursor"]}
    assert joined == whole
    assert len(whole) == 96
    first = get(client, "/v1/districts", limit=1)
    second = get(client, "/v1/districts", limit=1, cursor=first["next_cursor"])
    assert second["items"][0]["district_id"] == "garafia"
    assert second["next_cursor"] is None


def test_an_unchanged_answer_is_not_sent_again(client: Any) -> None:
    first = client.get("/v1/certificates/1")
    label = first.headers["etag"]
    again = client.get("/v1/certificates/1", headers={"If-None-Match": label})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == label
    other = client.get("/v1/certificates/1", headers={"If-None-Match": '"something"'})
    assert other.status_code == 200
    head = client.head("/v1/certificates/1")
    assert (head.status_code, head.content) == (200, b"")
    assert (
        client.get("/v1/districts?format=csv").headers["etag"] != client.get("/v1/districts").headers["etag"]
    )


def test_csv_holds_what_json_holds(client: Any) -> None:
    span = {"from": "2018-12-03", "to": "2018-12-04"}
    path = "/v1/districts/barlovento/hours"
    items = get(client, path, **span)["items"]
    for answer in (
        client.get(path, params={**span, "format": "csv"}),
        client.get(path, params=span, headers={"Accept": "text/csv"}),
    ):
        assert answer.headers["content-type"].startswith("text/csv")
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert len(rows) == 24
        for row, item in zip(rows, items, strict=True):
            assert row["start_time_utc"] == item["start_time_utc"]
            assert int(row["lower_mwh_pe"]) == item["lower_mwh_pe"]
            assert row["complete"] == str(item["complete"]).lower()


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/v1/districts/atlantis", 404, "'atlantis'"),
        ("/v1/districts/barlovento/hours?from=yesterday", 400, "'yesterday'"),
        ("/v1/districts/barlovento/hours?from=2018-12-02T00:30:00Z", 400, "not the start of a UTC hour"),
        ("/v1/districts/barlovento/hours?from=2018-12-02T00:00:00", 400, "has no offset"),
        ("/v1/districts/barlovento/days?from=2018-12-05&to=2018-12-02", 400, "runs backwards"),
        ("/v1/districts/barlovento/days?from=1990-01-01", 400, "ask for at most"),
        ("/v1/districts/barlovento/days?assessment=0x12", 404, "'0x12'"),
        ("/v1/districts/barlovento/indicators?resolution=PT5M", 400, "'PT5M'"),
        ("/v1/districts?limit=0", 400, "limit '0'"),
        ("/v1/districts?format=xml", 400, "'xml'"),
        ("/v1/certificates/99", 404, "'99'"),
        ("/v1/certificates/first", 400, "'first'"),
        ("/v1/certificates/1/batches?cursor=abc", 400, "'abc'"),
        ("/v1/batches/barlovento-plant/2018-12-02/9", 404, "barlovento-plant/2018-12-02/9"),
        ("/v1/readings/no-meter/2018-12-02T05:00:00Z", 404, "no-meter"),
        ("/v1/readings/barlovento-grid/2018-12-02T05:30:00Z", 400, "not the start of a hour"),
        ("/v1/factors/other/la-palma", 404, "other/la-palma"),
        ("/v1/nothing", 404, "/v1/nothing"),
    ],
)
def test_an_error_names_what_was_wrong(client: Any, path: str, status: int, words: str) -> None:
    answer = client.get(path)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert words in problem["detail"]
    assert problem["instance"] == path.split("?")[0]


def test_operations(client: Any, small_run: SmallRun) -> None:
    status = get(client, "/v1/status")
    assert status["followed_block_number"] == status["chain_block_number"] == small_run.chain.head()
    assert get(client, "/healthz")["status"] == "ok"
    metrics = client.get("/metrics").text
    assert "ped_certifier_alarms 0.0" in metrics
    assert f"ped_certifier_followed_block {small_run.chain.head()}.0" in metrics
    assert get(client, "/v1/alarms")["items"] == []
    refused = client.post("/v1/districts")
    assert refused.status_code == 405
    assert refused.headers["content-type"] == "application/problem+json"


OPERATIONS = [
    path
    for path, operations in document_of_the_api()["paths"].items()
    if "get" in operations
    and not path.endswith("/bundle")  # takes seconds of the chain; tested with the bundles
]


@pytest.mark.parametrize("path", OPERATIONS)
def test_answers_are_what_the_document_says(website: str, path: str) -> None:
    described = schemathesis.openapi.from_url(f"{website}/openapi.json")
    operation = described[path]["GET"]

    @given(case=operation.as_strategy())
    @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    def check(case: Any) -> None:
        # JSON Schema cannot say which texts are times or cursors, so some that it allows are refused.
        case.call_and_validate(timeout=120, excluded_checks=[positive_data_acceptance])

    check()
