"""Demand-response events as OpenADR 3.1 objects, and what clients may send.

A zone is a program, an event of the platform an event with one interval per hour. Its payloads are PRICE (EUR
per kWh delivered), DISPATCH_SETPOINT_RELATIVE (kWh asked for, over all districts of the zone) and
PED_DIRECTION (REDUCE or INCREASE, of the net import at the district's boundary).
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, StringConstraints

from certifier.market_views import ResponseEvent

Text = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Document = dict[str, Any]


class _Body(BaseModel):
    """What a client sends; members that we do not know are kept and given back."""

    model_config = ConfigDict(extra="allow")


class ValuesMap(_Body):
    """Values of one type."""

    type: Text
    values: list[Any] = Field(max_length=1000)


class IntervalPeriod(_Body):
    """When, and how long (ISO 8601)."""

    start: datetime | None = None
    duration: Annotated[str, StringConstraints(pattern=r"^-?P", max_length=64)] | None = None


class Interval(_Body):
    """Payloads of one interval."""

    id: int
    intervalPeriod: IntervalPeriod | None = None  # noqa: N815  (name of the standard)
    payloads: list[ValuesMap] = Field(max_length=100)


class ReportResource(_Body):
    """What a report says of one resource."""

    resourceName: Text  # noqa: N815
    intervalPeriod: IntervalPeriod | None = None  # noqa: N815
    intervals: list[Interval] = Field(max_length=2000)


class ReportRequest(_Body):
    """A report of a client on an event."""

    objectType: Literal["REPORT"] = "REPORT"  # noqa: N815
    eventID: Text  # noqa: N815
    clientName: Text  # noqa: N815
    reportName: Text | None = None  # noqa: N815
    resources: list[ReportResource] = Field(max_length=1000)


class VenRequest(_Body):
    """A virtual end node that a client registers."""

    objectType: Literal["VEN", "VEN_VEN_REQUEST", "BL_VEN_REQUEST"] = "VEN"  # noqa: N815
    venName: Text  # noqa: N815


class ResourceRequest(_Body):
    """A resource of a registered node."""

    objectType: Literal["RESOURCE", "VEN_RESOURCE_REQUEST", "BL_RESOURCE_REQUEST"] = "RESOURCE"  # noqa: N815
    resourceName: Text  # noqa: N815
    venID: Text  # noqa: N815


class ObjectOperation(_Body):
    """What a subscriber is told of, and where."""

    objects: list[Literal["EVENT"]] = Field(min_length=1)
    operations: list[Literal["CREATE", "UPDATE", "DELETE"]] = Field(min_length=1)
    callbackUrl: HttpUrl  # noqa: N815
    bearerToken: str | None = None  # noqa: N815


class SubscriptionRequest(_Body):
    """A subscription to events, of one program or of all."""

    objectType: Literal["SUBSCRIPTION"] = "SUBSCRIPTION"  # noqa: N815
    clientName: Text  # noqa: N815
    programID: Text | None = None  # noqa: N815
    objectOperations: list[ObjectOperation] = Field(min_length=1, max_length=10)  # noqa: N815


def program(zone: str, created: datetime) -> Document:
    """The program of a zone."""
    return {
        "id": zone,
        "createdDateTime": time_text(created),
        "modificationDateTime": time_text(created),
        "objectType": "PROGRAM",
        "programName": f"demand-response-{zone}",
        "payloadDescriptors": _descriptors(),
        "targets": [zone],
    }


def event(found: ResponseEvent, modified: datetime) -> Document:
    """An event of the platform."""
    payloads = [
        {"type": "PRICE", "values": [found.price_micro_eur_per_kwh / 1_000_000]},
        {"type": "DISPATCH_SETPOINT_RELATIVE", "values": [found.requested_wh / 1000]},
        {"type": "PED_DIRECTION", "values": [found.direction.upper()]},
    ]
    hours = int((found.end_time_utc - found.start_time_utc).total_seconds()) // 3600
    return {
        "id": str(found.event_id),
        "createdDateTime": time_text(found.opened_time_utc),
        "modificationDateTime": time_text(modified),
        "objectType": "EVENT",
        "programID": found.zone,
        "eventName": f"event-{found.event_id}",
        "targets": [found.zone],
        "reportDescriptors": [
            {"payloadType": "USAGE", "readingType": "DIRECT_READ", "units": "KWH", "targets": [found.zone]}
        ],
        "payloadDescriptors": _descriptors(),
        "intervalPeriod": {"start": time_text(found.start_time_utc), "duration": "PT1H"},
        "intervals": [{"id": place, "payloads": payloads} for place in range(hours)],
    }


def _descriptors() -> list[Document]:
    kind = "EVENT_PAYLOAD_DESCRIPTOR"
    return [
        {"objectType": kind, "payloadType": "PRICE", "units": "KWH", "currency": "EUR"},
        {"objectType": kind, "payloadType": "DISPATCH_SETPOINT_RELATIVE", "units": "KWH"},
        {"objectType": kind, "payloadType": "PED_DIRECTION"},
    ]


def time_text(time_utc: datetime) -> str:
    """ISO 8601 UTC."""
    return time_utc.strftime("%Y-%m-%dT%H:%M:%SZ")
