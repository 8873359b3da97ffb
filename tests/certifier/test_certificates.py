"""Status at time T, as known at time K, against what the chain said at its own times."""

import pytest
from sqlalchemy import Connection

from certifier import certificates
from certifier.follower import Follower
from certifier.queries import NotFound
from certifier.store import Store
from contracts.hour import DAY_S
from contracts.lifecycle import Status
from tests.certifier.certified_run import GATEWAY, START_DAY, Year, account, payload, rewound

MINUTE = 60


def status(connection: Connection, at_s: int | None = None, known_s: int | None = None) -> str:
    return certificates.certificate(connection, 1, at_s, known_s).status


def test_status_at_a_time_as_known_at_a_time(year: Year, year_store: Store) -> None:
    store = year_store
    with rewound(year):
        certified_s = year.now_s()
        assert year.platform.status_of(1) is Status.CERTIFIED
        year.chain.mine(certified_s + DAY_S)
        year.adjust(START_DAY + 100, payload(0, 10_000))  # it had produced nothing on that day
        adjusted_s = year.now_s()
        assert year.platform.status_of(1) is Status.SUSPENDED
        year.chain.mine(adjusted_s + DAY_S)
        year.send("book_adjustments", "relay", year.assessment, 5)
        booked_s = year.now_s()
        assert year.platform.status_of(1) is Status.CERTIFIED
        year.chain.mine(booked_s + DAY_S)
        year.send("revoke_key", "operator", GATEWAY, certified_s + 10)
        revoked_s = year.now_s()
        assert year.platform.status_of(1) is Status.SUSPENDED
        year.chain.mine(revoked_s + DAY_S)
        year.send("rotate_key", "operator", GATEWAY, account("new gateway").address)
        year.send("scan_compromise", "relay", "harbour", 1000)
        year.send("book_adjustments", "relay", year.assessment, 1000)
        last_s = year.now_s()
        now = year.platform.status_of(1)
        follower = Follower(year.platform, store)
        follower.catch_up()
        with store.read() as connection:
            assert status(connection) == now.name.title()
            # What was known at the time is what the chain said at the time.
            assert status(connection, certified_s, certified_s) == "Certified"
            assert status(connection, adjusted_s, adjusted_s) == "Suspended"
            assert status(connection, booked_s, booked_s) == "Certified"
            assert status(connection, revoked_s, revoked_s) == "Suspended"
            # Later knowledge about earlier times: the adjustment worked in, the key not to be trusted.
            assert status(connection, adjusted_s, booked_s) == "Certified"
            assert status(connection, booked_s, last_s) == "Suspended"
            assert status(connection, certified_s, last_s) == "Certified"
            before = certificates.certificate(connection, 1, certified_s, certified_s)
            after = certificates.certificate(connection, 1, certified_s, booked_s)
            assert before.verdict is not None
            assert after.verdict is not None
            assert after.verdict.balance_mwh_pe < before.verdict.balance_mwh_pe
            # The future of what is known: no newer verdict, then the end of the term.
            assert status(connection, certified_s + 25 * DAY_S, certified_s) == "Suspended"
            assert status(connection, certified_s + 366 * DAY_S, certified_s) == "Lapsed"
            reasons = certificates.certificate(connection, 1, booked_s, last_s).reasons
            assert reasons == [f"gateway {GATEWAY} has no trusted key"]
            with pytest.raises(NotFound, match="certificate"):
                certificates.certificate(connection, 1, certified_s - 30 * DAY_S)
            with pytest.raises(NotFound, match="'7'"):
                certificates.certificate(connection, 7)


def test_the_steps_are_listed(followed_year: Store) -> None:
    with followed_year.read() as connection:
        steps = certificates.history(connection, 1)
    assert [step.kind for step in steps] == [
        "Applied",
        "ProvisionalGranted",
        "CertificationRequested",
        "Certified",
    ]
    assert steps[-1].details["renewal"] is False
