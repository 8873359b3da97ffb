"""Verdicts, statuses and events as sentences."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from markupsafe import Markup

from certifier.views import Certificate, CertificateEvent, Verdict
from certifier.web.figures import day_text, emissions, percent, primary_energy, time_text

_Details: TypeAlias = Mapping[str, str | int | bool]

_STATUS_STYLES: Final = {
    "Certified": "good",
    "Provisional": "warn",
    "Applied": "plain",
    "Suspended": "warn",
    "Revoked": "bad",
    "Lapsed": "bad",
}


def status_style(status: str | None) -> str:
    """Style class of a certificate's status."""
    return _STATUS_STYLES.get(status or "", "plain")


_STATES: Final = {
    "open": ("Open", "good"),
    "frozen": ("Gate closed", "warn"),
    "cleared": ("Cleared", "good"),
    "void": ("Not cleared: money given back", "bad"),
    "committed": ("Enrolment over", "warn"),
    "running": ("Running", "warn"),
    "over": ("Over, to be measured", "plain"),
    "measured": ("Measured", "good"),
    "settled": ("Settled", "good"),
    "withdrawn": ("Withdrawn", "bad"),
    "live": ("Live", "good"),
    "applied": ("Applied", "good"),
    "cancelled": ("Cancelled", "plain"),
    "released": ("Given back", "plain"),
    "sold": ("Sold", "plain"),
    "proven": ("Being paid", "warn"),
}


def state_words(state: str) -> str:
    """A state of a book, order, event or settlement."""
    return _STATES.get(state, (state, "plain"))[0]


def state_style(state: str) -> str:
    """Style class of such a state."""
    return _STATES.get(state, (state, "plain"))[1]


_LINES: Final = {
    "brought_forward": "Brought forward",
    "deposit": "Paid in",
    "withdrawal": "Paid out",
    "hold": "Held",
    "release": "Released",
    "payment": "Payment",
    "receipt": "Receipt",
    "debt": "Debt from a follow-up",
    "debt_payment": "Debt paid",
    "debt_receipt": "Debt received",
    "debt_set_off": "Debt set off",
    "follow_up_payment": "Paid in a follow-up",
    "follow_up_receipt": "Received in a follow-up",
    "share_paid": "Share paid",
    "share_received": "Share received",
}


def line_words(kind: str) -> str:
    """Kind of a line of a statement."""
    return _LINES.get(kind, kind)


def words(name: str) -> str:
    """`FUEL_GENERATION` or `FuelGeneration` as `fuel generation`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ").lower()


def verdict_words(verdict: Verdict) -> Markup:
    """What a verdict says, in one sentence or two (domain.md §4)."""
    last = day_text(verdict.window_end_day - timedelta(days=1))
    lower, upper = primary_energy(verdict.lower_mwh_pe), primary_energy(verdict.upper_mwh_pe)
    sentences = {
        "Positive": Markup(
            "Positive: in the twelve months up to {last} the district delivered more primary energy than it "
            "used, by at least {margin}, and did not add to greenhouse-gas emissions."
        ),
        "NotFinal": Markup("No verdict: the days up to {last} are not final yet."),
        "WindowTooShort": Markup("No verdict yet: less than twelve months of final days are assessed."),
        "BoundaryRestarted": Markup(
            "Not positive: a load or a generator left the boundary within the twelve months, which start "
            "anew."
        ),
        "EdgeEstimated": Markup(
            "No verdict for this window: its first or last day has estimated hours, whose bounds cannot be "
            "known. The verdict waits for the next day without them."
        ),
        "AdjustmentsPending": Markup("No verdict: an adjustment of a final day is not booked yet."),
        "CompromisePending": Markup(
            "No verdict: a gateway’s key was compromised and its readings are not sorted out yet."
        ),
        "Incomplete": Markup(
            "Not positive: too few hours were measured completely ({share} of the year; 90\u202f% are needed "
            "in the year and in each of its twelve 30-day blocks)."
        ),
        "BalanceNotPositive": Markup("Not positive: in the twelve months up to {last} {balance_words}."),
        "GhgPositive": Markup(
            "Not positive: primary energy is positive, but the district may have added up to {ghg} in the "
            "twelve months up to {last}."
        ),
    }
    if verdict.upper_mwh_pe <= 0:
        balance_words = Markup(
            "the district used more primary energy than it delivered, by at least {}"
        ).format(primary_energy(-verdict.upper_mwh_pe, signed=False))
    else:
        balance_words = Markup("its balance may lie anywhere from {} to {}").format(lower, upper)
    return sentences.get(verdict.finding, Markup("Finding: {finding}.")).format(
        finding=words(verdict.finding),
        last=last,
        margin=primary_energy(verdict.lower_mwh_pe, signed=False),
        balance_words=balance_words,
        ghg=emissions(verdict.ghg_upper_mg, signed=False),
        share=percent(verdict.complete_hours, verdict.total_hours),
    )


def certificate_words(certificate: Certificate) -> str:
    """What the certificate's status means now."""
    expiry = time_text(certificate.expiry_time_utc)
    if certificate.valid:
        return f"This certificate is valid. It expires on {expiry} unless it is renewed."
    return {
        "Applied": "The district has applied for certification; nothing has been decided.",
        "Provisional": "The district is provisionally registered; it is not certified.",
        "Certified": "The district was certified, but the certificate does not hold at this time.",
        "Suspended": "The certificate is suspended: it returns by itself when its conditions are met again.",
        "Revoked": "The auditors have revoked this certificate.",
        "Lapsed": f"This certificate has lapsed: it was valid until {expiry}.",
    }.get(certificate.status, "This certificate is not valid.")


def event_words(event: CertificateEvent) -> str:
    """A step in a certificate's life, in a sentence."""
    details = {name: value for name, value in event.details.items() if value is not None}
    sentence = _EVENTS.get(event.kind)
    if sentence is None:
        name = words(event.kind)
        return f"{name[:1].upper()}{name[1:]}"
    return sentence(details)


def _time(value: str | int | bool) -> str:
    return time_text(datetime.fromtimestamp(int(value), UTC))


def _requested(details: _Details) -> str:
    what = "Renewal" if details["renewal"] else "Certification"
    return (
        f"{what} requested (request {details['request']}, {details['verdict']}); "
        f"auditors may challenge it until {_time(details['challenge_until'])}"
    )


def _certified(details: _Details) -> str:
    what = "Renewed" if details["renewal"] else "Certified"
    return f"{what} ({details['verdict']}), valid until {_time(details['expiry'])}"


def _decided(details: _Details) -> str:
    votes = f"{details['uphold_votes']} to uphold, {details['dismiss_votes']} to dismiss"
    reason = "nobody decided it in time" if details["undecided"] else votes
    return f"Challenge {str(details['decision']).lower()}: {reason}"


_EVENTS: Final[dict[str, Callable[[_Details], str]]] = {
    "Applied": lambda d: f"Applied for by {d['owner_org']}",
    "ProvisionalGranted": lambda d: f"Registered provisionally by {d['organisation_id']}",
    "CertificationRequested": _requested,
    "Certified": _certified,
    "Challenged": lambda d: (
        f"Challenged by {d['organisation_id']} (evidence {str(d['evidence_hash'])[:10]}\u2026), "
        f"to be decided by {_time(d['decide_by'])}"
    ),
    "ChallengeVoted": lambda d: (
        f"{d['organisation_id']} voted to {'uphold' if d['uphold'] else 'dismiss'} the challenge"
    ),
    "ChallengeDecided": _decided,
    "RevocationVoted": lambda d: f"{d['organisation_id']} voted to revoke until {_time(d['until'])}",
    "Revoked": lambda d: f"Revoked until {_time(d['until'])} (reason {str(d['reason_hash'])[:10]}\u2026)",
}


def challenge_words(history: Sequence[CertificateEvent]) -> str:
    """Where the certificate's challenges stand."""
    steps = [
        event
        for event in history
        if event.kind in ("CertificationRequested", "Challenged", "ChallengeDecided", "Certified")
    ]
    if not steps:
        return "Nothing has been requested, so nothing could be challenged."
    newest = steps[-1]
    if newest.kind == "CertificationRequested":
        return f"Open: auditors may challenge until {_time(newest.details['challenge_until'] or 0)}."
    if newest.kind == "Challenged":
        return f"{event_words(newest)}."
    if newest.kind == "Certified" and not any(event.kind == "Challenged" for event in steps):
        return "Nobody challenged it."
    decided = next((event for event in reversed(steps) if event.kind == "ChallengeDecided"), None)
    return f"{event_words(decided)}." if decided else "Nobody challenged the newest request."


def hour_ranges(gaps: Sequence[str]) -> str:
    """Hours such as `03:00Z`, `04:00Z`, `07:00Z` as `03–05, 07–08`."""
    hours = [int(text[:2]) for text in gaps]
    if len(hours) == 24:
        return "the whole day"
    ranges: list[list[int]] = []
    for hour in hours:
        if ranges and ranges[-1][1] == hour:
            ranges[-1][1] = hour + 1
        else:
            ranges.append([hour, hour + 1])
    return ", ".join(f"{start:02d}\u2013{end:02d}" for start, end in ranges)
