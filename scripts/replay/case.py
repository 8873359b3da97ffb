"""One district's way through assessment and certification at the replay's time (domain.md §4)."""

from dataclasses import dataclass

from contracts.hour import day_of
from contracts.lifecycle import Status
from contracts.platform import FINALITY_S
from scripts.replay.config import DistrictTable, ReplayConfig
from scripts.replay.founding import Founder

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
    platform, owner = founder.platform, founder.accounts.owners[district.owner]
    names = district.id, config.scheme.id, config.factors.vintage
    founder.do(platform.open_assessment, owner, *names, config.first_day_number)
    assessment_id = platform.assessment_id(*names)
    founder.do(platform.apply_for_certificate, owner, assessment_id)
    return Case(district, assessment_id, platform.certificate_of(assessment_id))


def advance_case(founder: Founder, case: Case, now_s: int) -> None:
    """Do what can be done at the chain's time `now_s`: finalise days, grant, request, confirm."""
    platform, accounts = founder.platform, founder.accounts
    if platform.assessment(case.assessment_id).frontier < day_of(now_s - FINALITY_S):
        founder.do(platform.finalise, accounts.caller, case.assessment_id, DAYS_PER_STEP)
    status = platform.status_of(case.certificate_id)
    assessment = platform.assessment(case.assessment_id)
    if status is Status.APPLIED and assessment.frontier > assessment.start_day:
        founder.do(platform.grant_provisional, accounts.auditor, case.certificate_id)
        status = Status.PROVISIONAL
    if status is not Status.PROVISIONAL:
        return
    if case.confirm_at_s is None:
        verdict = platform.latest_verdict(case.assessment_id)
        if verdict.is_positive:
            founder.do(
                platform.request_certification, accounts.caller, case.certificate_id, verdict.window_end
            )
            case.confirm_at_s = platform.certificate(case.certificate_id).challenge_until
    elif now_s >= case.confirm_at_s:
        founder.do(platform.confirm_certification, accounts.caller, case.certificate_id)
