"""Verdicts, statuses and events as sentences."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from markupsafe import Markup

from certifier.views import Certificate, CertificateEvent, Verdict
from certifier.web.figures import day_text, emissions, percent, primary_energy, time_text

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
        ).format(primary_energy(-verdict.upper_mwh_pe))
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
    """A step in a certificate's life, with its details."""
    details = ", ".join(
        f"{words(name)} {value}" for name, value in event.details.items() if value not in (None, "")
    )
    name = words(event.kind)
    return f"{name[:1].upper()}{name[1:]}{f' ({details})' if details else ''}"


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
