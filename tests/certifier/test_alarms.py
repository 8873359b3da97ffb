"""A chain whose figures are not what its logs give: the alarm reaches table, API, metrics, pages and log."""

import html
from collections.abc import Sequence

import httpx2
import structlog
from structlog.testing import capture_logs

from certifier import queries
from certifier.follower import Follower
from certifier.store import Store
from contracts.hour import day_start, first_hour, format_hour_utc
from contracts.platform import FINALITY_S
from contracts.slug import to_bytes32
from contracts.storage import ContractStorage
from tests.certifier.certified_run import DISTRICT, WINDOW_END, Year, rewound
from tests.certifier.conftest import serving

HOUR = first_hour(WINDOW_END + 3) + 5


class _NoState:
    """Slots are only named here, never read."""

    def storage(self, address: bytes, slot: int, place: str) -> int:
        raise AssertionError(place)

    def expect(self, address: bytes, slots: Sequence[int]) -> None:
        raise AssertionError("only places are asked")

    def code(self, address: bytes, place: str) -> bytes:
        raise AssertionError(place)


def falsify_hour(year: Year, hour: int) -> None:
    """Give an hour of the ledger 1 Wh more import behind everyone's back."""
    ledger = year.platform.deployment.ledger
    place = ContractStorage("Ledger", bytes.fromhex(ledger[2:]), _NoState()).place(
        "hours_", to_bytes32(DISTRICT), hour
    )
    word = year.chain.storage(ledger, place.slot)
    assert word, "the hour is not recorded"
    year.chain.request("anvil_setStorageAt", ledger, f"0x{place.slot:064x}", f"0x{word + 1:064x}")


def test_a_falsified_hour_is_shown_everywhere(year: Year, year_store: Store) -> None:
    structlog.reset_defaults()
    store = year_store
    with rewound(year):
        year.record(range(WINDOW_END + 2, WINDOW_END + 9))
        falsify_hour(year, HOUR)
        year.chain.mine(day_start(WINDOW_END + 9) + FINALITY_S + 60)
        year.send("finalise", "relay", year.assessment, 9)
        with capture_logs() as logged:
            Follower(year.platform, store).catch_up()
        with store.read() as connection:
            raised = {alarm.kind: alarm for alarm in queries.alarms(connection)}
            kinds = [alarm.kind for alarm in queries.alarms(connection)]
    assert set(raised) == {"final_day", "hour", "verdict"}
    hour = raised["hour"]
    assert hour.subject == f"{DISTRICT}/{format_hour_utc(HOUR)}"
    assert "'import_wh': 2001" in hour.chain_figure
    assert "'import_wh': 2000" in hour.own_figure
    balance = next(
        entry
        for entry in logged
        if entry["event"] == "alarm" and entry["subject"].endswith("/balance_mwh_pe")
    )
    assert int(balance["own_figure"]) - int(balance["chain_figure"]) == 2000
    with serving(store.url) as url, httpx2.Client(base_url=url) as client:
        listed = client.get("/v1/alarms").json()["items"]
        assert len(listed) == len(kinds)
        assert f"ped_certifier_alarms {len(kinds)}.0" in client.get("/metrics").text
        assert client.get(f"/v1/districts/{DISTRICT}").json()["overview"]["alarm_count"] == len(kinds)
        page = html.unescape(client.get("/").text)
        assert f"{len(kinds)} alarms: our own computation and the chain do not agree" in page
        assert listed[0]["explanation"] in page


def test_without_falsification_there_is_none(year: Year, year_store: Store) -> None:
    store = year_store
    with rewound(year):
        year.record(range(WINDOW_END + 2, WINDOW_END + 9))
        year.chain.mine(day_start(WINDOW_END + 9) + FINALITY_S + 60)
        year.send("finalise", "relay", year.assessment, 9)
        Follower(year.platform, store).catch_up()
        with store.read() as connection:
            assert queries.alarms(connection) == []
