"""The optimiser reads from the certifier's API what its outlook needs."""

import httpx2
import pytest

from optimiser.balances import BalancesInvalid, fetch_balances


def test_days_and_factors_of_a_district(website: str) -> None:
    with httpx2.Client(base_url=website) as client:
        district = client.get("/v1/districts").json()["items"][0]["district_id"]
        days = client.get(f"/v1/districts/{district}/days").json()["items"]
        hours = client.get(f"/v1/districts/{district}/hours").json()["items"]
    known = [day for day in days if day["balance_mwh_pe"] is not None]
    found = fetch_balances(website, district)
    assert [day.day.isoformat() for day in found.days] == [day["day"] for day in known]
    assert [day.lower_mwh_pe for day in found.days] == [day["lower_mwh_pe"] for day in known]
    assert [day.ghg_upper_mg for day in found.days] == [day["ghg_upper_mg"] for day in known]
    assert [day.complete_hours for day in found.days] == [day["complete_hours"] for day in known]
    last = known[-1]["day"]
    factors = [
        hour["marginal_factor"]
        for hour in hours
        if hour["marginal_factor"] is not None and hour["start_time_utc"][:10] <= last
    ]
    assert found.factors is not None
    assert found.factors.marginal == pytest.approx(sum(factors) / len(factors) / 1000)


def test_an_unknown_district_is_named(website: str) -> None:
    with pytest.raises(BalancesInvalid, match=r"404.*nowhere"):
        fetch_balances(website, "nowhere")
