"""What `ped dispatch serve` reads from a running certifier."""

from datetime import UTC, datetime

import httpx2
import pytest

from contracts.hour import DAY_S, format_time_utc
from optimiser.balances import BalancesInvalid
from optimiser.dispatch.live import parse_hours, read_certifier


def test_hours_and_balance_are_those_of_the_certifier(website: str) -> None:
    with httpx2.Client(base_url=website, trust_env=False) as client:
        district = client.get("/v1/districts").json()["items"][0]["district_id"]
        found = read_certifier(client, district)
        first, last = found.balances.days[0].day, found.balances.days[-1].day
        hours = client.get(f"/v1/districts/{district}/hours", params={"from": first.isoformat()}).json()
    shown = {
        hour["start_time_utc"]: tuple(
            hour[name] / 1000 for name in ("consumption_wh", "production_wh", "import_wh")
        )
        for hour in hours["items"]
        if hour["complete"] and hour["start_time_utc"][:10] <= last.isoformat()
    }
    assert shown
    assert {format_time_utc(hour * 3600): powers for hour, powers in found.hours.items()}.items() >= (
        shown.items()
    )
    first_s = int(datetime(first.year, first.month, first.day, tzinfo=UTC).timestamp())
    balance, days, known_s = found.window_kwh_pe(first_s, first_s + 1000 * DAY_S)
    assert balance == pytest.approx(sum(day.balance_mwh_pe for day in found.balances.days) / 1e6)
    assert days == len(found.balances.days)
    assert known_s == first_s + len(found.balances.days) * DAY_S
    assert found.window_kwh_pe(known_s, known_s + DAY_S) == (0.0, 0, known_s)


def test_hours_that_lack_a_column_are_named() -> None:
    with pytest.raises(BalancesInvalid, match=r"line 2: KeyError\('consumption_wh'\)"):
        parse_hours("start_time_utc,complete\n2019-01-01T00:00:00Z,true\n")
