"""One district's way through assessment and certification at the replay's time (domain.md §4)."""

from dataclasses import dataclass
from typing import Any

from contracts.hour import day_of
from contracts.keccak import keccak
from contracts.lifecycle import Status
from contracts.slug import to_bytes32
from contracts.verdict import Finding
from scripts.replay.config import DistrictTable, ReplayConfig
from scripts.replay.founding import FINALITY_S, Founder

DAYS_PER_STEP = 14
"""Most days that one transaction finalises."""


@dataclass
class Case:
    """A district's assessment and, if it applied, certificate."""

    district: DistrictTable
    assessment_id: bytes
    certificate_id: int
    confirm_at_s: int | None = None
    """End of the challenge period that runs."""


def open_case(founder: Founder, config: ReplayConfig, district: DistrictTable) -> Case:
    """The owner opens the assessment and applies for a certificate."""
    names = [to_bytes32(name) for name in (district.id, config.scheme.id, config.factors.vintage)]
    owner = founder.accounts.owner
    founder.send(owner, "Assessments", "openAssessment", *names, config.first_day_number)
    assessment_id = keccak(b"".join(names))
    founder.send(owner, "Certificates", "applyFor", assessment_id)
    return Case(district, assessment_id, founder.call("Certificates", "certificateOf", assessment_id))


def advance_case(founder: Founder, case: Case, now_s: int) -> None:
    """Do what can be done at the chain's time `now_s`: finalise days, grant, request, confirm."""
    accounts = founder.accounts
    final_until = day_of(now_s - FINALITY_S)
    if frontier(founder, case) < final_until:
        founder.send(accounts.caller, "Assessments", "finalise", case.assessment_id, DAYS_PER_STEP)
    status = Status(founder.call("Certificates", "statusOf", case.certificate_id))
    if status is Status.APPLIED and frontier(founder, case) > _start(founder, case):
        founder.send(accounts.auditor, "Certificates", "grantProvisional", case.certificate_id)
        status = Status.PROVISIONAL
    if status is not Status.PROVISIONAL:
        return
    if case.confirm_at_s is None:
        verdict = latest_verdict(founder, case)
        if Finding(verdict.finding) is Finding.POSITIVE:
            caller = accounts.caller
            founder.send(caller, "Certificates", "request", case.certificate_id, verdict.windowEnd)
            case.confirm_at_s = founder.call(
                "Certificates", "certificate", case.certificate_id
            ).challengeUntil
    elif now_s >= case.confirm_at_s:
        founder.send(accounts.caller, "Certificates", "confirm", case.certificate_id)


def latest_verdict(founder: Founder, case: Case) -> Any:
    """The newest verdict that the contract gives, as its Solidity struct."""
    return founder.call("Assessments", "latestVerdict", case.assessment_id)


def frontier(founder: Founder, case: Case) -> int:
    """First day that is not finalised yet."""
    day: int = founder.call("Assessments", "assessment", case.assessment_id).frontier
    return day


def _start(founder: Founder, case: Case) -> int:
    day: int = founder.call("Assessments", "assessment", case.assessment_id).startDay
    return day
