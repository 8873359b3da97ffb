"""Proof bundles of a certified year, and of what can befall it afterwards: each says exactly what holds."""

from certifier.evidence import certificate_bundle
from certifier.follower import Follower
from certifier.store import Store
from contracts.evidence import Claim
from contracts.hour import DAY_S
from contracts.lifecycle import Status
from contracts.verification import verify
from tests.certifier.certified_run import GATEWAY, START_DAY, WINDOW_END, YEAR_DAYS, Year, payload, rewound


def claim_of(year: Year, store: Store) -> Claim:
    """What a verified bundle of the newest block says; it must be what the chain itself says."""
    Follower(year.platform, store).catch_up()
    with store.read() as connection:
        data = certificate_bundle(connection, year.chain, year.platform.deployment, 1)
    claim = verify(data, year.chain.block().hash).claim
    own = year.platform.latest_verdict(year.assessment)
    assert claim.finding == own.finding.name.title().replace("_", "")
    assert (claim.window_start_day, claim.window_end_day) == (own.window_start, own.window_end)
    assert (claim.balance_mwh_pe, claim.lower_mwh_pe, claim.upper_mwh_pe) == (
        own.balance_mwh_pe,
        own.lower_mwh_pe,
        own.upper_mwh_pe,
    )
    assert (claim.ghg_mg, claim.ghg_upper_mg) == (own.ghg_mg, own.ghg_upper_mg)
    assert (claim.complete_hours, claim.total_hours) == (own.complete_hours, own.total_hours)
    certificate = year.platform.certificate(1)
    assert claim.status == Status(certificate.status).name.title()
    assert claim.valid == year.platform.is_valid(1)
    return claim


def test_the_certificate_and_its_later_states_are_proven(year: Year, year_store: Store) -> None:
    store = year_store
    claim = claim_of(year, store)
    assert (claim.status, claim.valid, claim.finding) == ("Certified", True, "Positive")
    assert (claim.window_start_day, claim.window_end_day) == (START_DAY, WINDOW_END)
    assert claim.complete_hours == claim.total_hours == 24 * YEAR_DAYS

    with rewound(year):
        year.adjust(START_DAY + 40, payload(1_000))
        pending = claim_of(year, store)
        assert (pending.status, pending.valid, pending.finding) == ("Suspended", False, "AdjustmentsPending")
        year.send("book_adjustments", "relay", year.assessment, 5)
        adjusted = claim_of(year, store)
        assert (adjusted.status, adjusted.valid) == ("Certified", True)
        assert adjusted.balance_mwh_pe != claim.balance_mwh_pe

    with rewound(year):
        year.send("revoke_key", "operator", GATEWAY, 0)
        mute = claim_of(year, store)
        assert (mute.status, mute.valid, mute.finding) == ("Suspended", False, "Positive")

    with rewound(year):
        year.send("revoke_key", "operator", GATEWAY, (WINDOW_END - 3) * DAY_S)
        unscanned = claim_of(year, store)
        assert unscanned.finding == "CompromisePending"
        year.send("scan_compromise", "relay", "harbour", 400)
        year.send("book_adjustments", "relay", year.assessment, 400)
        tainted = claim_of(year, store)
        assert not tainted.valid
        assert tainted.lower_mwh_pe < claim.lower_mwh_pe

    with rewound(year):
        year.chain.mine(year.now_s() + 30 * DAY_S)
        stale = claim_of(year, store)
        assert (stale.status, stale.valid, stale.finding) == ("Suspended", False, "Positive")
        year.chain.mine(year.now_s() + 400 * DAY_S)
        assert claim_of(year, store).status == "Lapsed"
