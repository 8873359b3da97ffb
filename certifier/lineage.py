"""Which readings made this certificate, and which certificates rest on this reading (domain.md §4)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, select, tuple_

from certifier import store
from certifier.assessment import day_readings, sections
from certifier.boundary import Boundaries, Manifest
from certifier.certificates import certificate
from certifier.market_queries import hour_claims, settled_trades
from certifier.market_views import ReadingLineage
from certifier.queries import NotFound, latest_verdict, to_date, to_time
from certifier.views import Batch, BatchReference, Reading, Verdict
from contracts.hour import (
    day_of_hour,
    first_hour,
    format_day,
    format_hour_utc,
    hour_of_day,
    hour_start,
    parse_day,
)
from contracts.tally import Stream

Place = tuple[int, int]
"""Block number and log index."""


def certificate_batches(
    connection: Connection, number: int, after: Place | None = None, limit: int | None = None
) -> list[BatchReference]:
    """Batches of the window of a certificate's latest verdict, in the order of the chain. Raises NotFound."""
    found = certificate(connection, number)
    if found.verdict is None:
        return []
    table = store.batches
    first = parse_day(found.verdict.window_start_day.isoformat())
    end = parse_day(found.verdict.window_end_day.isoformat())
    query = (
        select(table)
        .where(table.c.district_id == found.district_id, table.c.day >= first, table.c.day < end)
        .order_by(table.c.block_number, table.c.log_index)
        .limit(limit)
    )
    if after is not None:
        query = query.where(tuple_(table.c.block_number, table.c.log_index) > after)
    return _references(connection, connection.execute(query).all())


def _references(connection: Connection, rows: Iterable[Row[Any]]) -> list[BatchReference]:
    boundaries = Boundaries(connection)
    holding: dict[tuple[str, int], set[Place]] = {}
    found = []
    for row in rows:
        day = (row.district_id, row.day)
        if day not in holding:
            readings = day_readings(connection, boundaries, row.district_id, row.day)
            holding[day] = {_place(holder) for holder in readings.holders.values()}
        found.append(BatchReference(**_reference(row, _place(row) not in holding[day])))
    return found


def _place(row: Row[Any]) -> Place:
    return row.block_number, row.log_index


def _reference(row: Row[Any], replaced: bool) -> dict[str, Any]:
    return {
        "gateway_id": row.gateway_id,
        "district_id": row.district_id,
        "day": to_date(row.day),
        "sequence": row.sequence,
        "private": row.is_private,
        "adjustment": row.is_adjustment,
        "replaces": row.replaces,
        "replaced": replaced,
        "block_number": row.block_number,
        "log_index": row.log_index,
        "transaction_hash": row.transaction_hash,
        "payload_hash": row.payload_hash,
        "key": row.key,
    }


def batch(
    connection: Connection, gateway_id: str, day: int, sequence: int, is_private: bool = False
) -> Batch:
    """A batch with its readings. Raises NotFound."""
    table = store.batches
    row = connection.execute(
        select(table, store.blocks.c.time)
        .join(store.blocks, store.blocks.c.block_number == table.c.block_number)
        .where(
            table.c.gateway_id == gateway_id,
            table.c.day == day,
            table.c.sequence == sequence,
            table.c.is_private == is_private,
        )
    ).one_or_none()
    if row is None:
        stream = "private" if is_private else "open"
        raise NotFound(f"{stream} batch", f"{gateway_id}/{format_day(day)}/{sequence}")
    readings = day_readings(connection, Boundaries(connection), row.district_id, day)
    manifest = readings.boundary.manifests[gateway_id]
    held = {stream for stream, holder in readings.holders.items() if _place(holder) == _place(row)}
    return Batch(
        **_reference(row, replaced=not held),
        block_time_utc=to_time(row.time),
        signature="0x" + bytes(row.signature).hex(),
        payload="0x" + bytes(row.payload).hex(),
        readings=list(_readings(row, manifest, held)),
    )


def _readings(row: Row[Any], manifest: Manifest, held: set[Stream]) -> Iterable[Reading]:
    for hour, section in sorted(sections(row, manifest.open).items()):
        shared = {
            "start_time_utc": to_time(hour_start(first_hour(row.day) + hour)),
            "private": row.is_private,
            "in_force": Stream(row.gateway_id, hour, row.is_private) in held,
        }
        if row.is_private:
            for kind, members, supply_wh, draw_wh in section.sums:
                yield Reading(
                    **shared,
                    point_id=None,
                    kind=kind.name.lower(),
                    status="measured",
                    supply_wh=supply_wh,
                    draw_wh=draw_wh,
                    members=members,
                )
            continue
        for point, (status, supply_wh, draw_wh) in zip(manifest.open, section, strict=True):
            yield Reading(
                **shared,
                point_id=point.point_id,
                kind=point.kind.name.lower(),
                status=status.name.lower(),
                supply_wh=supply_wh,
                draw_wh=draw_wh,
            )


def reading(connection: Connection, point_id: str, hour: int) -> ReadingLineage:
    """A point's reading in an hour, and what rests on it. Raises NotFound.

    For a member's point (its salted commitment) the readings are the sums of its kind: a household's own
    numbers are not on chain (domain.md §8).
    """
    day = day_of_hour(hour)
    district_id, manifest, is_private = _locate(connection, point_id, day)
    point = next(point for point in manifest.points if point.point_id == point_id)
    table = store.batches
    rows = connection.execute(
        select(table)
        .where(
            table.c.gateway_id == manifest.gateway_id,
            table.c.day == day,
            table.c.is_private == is_private,
        )
        .order_by(table.c.block_number, table.c.log_index)
    ).all()
    in_day = day_readings(connection, Boundaries(connection), district_id, day)
    stream = Stream(manifest.gateway_id, hour_of_day(hour), is_private)
    holder = in_day.holders.get(stream)
    readings: list[Reading] = []
    batches: list[BatchReference] = []
    holding = {_place(held) for held in in_day.holders.values()}
    for row in rows:
        in_force = holder is not None and _place(holder) == _place(row)
        of_hour = [
            entry
            for entry in _readings(row, manifest, {stream} if in_force else set())
            if entry.start_time_utc == to_time(hour_start(hour))
            and (entry.kind == point.kind.name.lower() if is_private else entry.point_id == point_id)
        ]
        if of_hour:
            readings += of_hour
            batches.append(BatchReference(**_reference(row, _place(row) not in holding)))
    if not readings:
        raise NotFound("reading", f"{point_id} at {format_hour_utc(hour)}")
    return ReadingLineage(
        point_id=point_id,
        start_time_utc=to_time(hour_start(hour)),
        district_id=district_id,
        readings=readings,
        batches=batches,
        claims=hour_claims(connection, district_id, hour, hour + 1),
        settled_trades=[trade for _, trade in settled_trades(connection, district_id, hour, hour + 1)],
        **_resting(connection, district_id, day),
    )


def _locate(connection: Connection, point_id: str, day: int) -> tuple[str, Manifest, bool]:
    """District and manifest of a point on a day, and whether it is a member's. Raises NotFound."""
    boundaries = Boundaries(connection)
    table = store.points
    for district_id in connection.execute(
        select(table.c.district_id).where(table.c.point_id == point_id).distinct()
    ).scalars():
        version = boundaries.on(district_id, day)
        for manifest in version.manifests.values() if version else ():
            for is_private, points in ((False, manifest.open), (True, manifest.members)):
                if any(point.point_id == point_id for point in points):
                    return district_id, manifest, is_private
    raise NotFound("metering point", f"{point_id} on {format_day(day)}")


def _resting(connection: Connection, district_id: str, day: int) -> dict[str, Any]:
    """Assessments, current verdicts and certificates that rest on a district's day."""
    table = store.assessments
    ids = list(
        connection.execute(
            select(table.c.assessment_id)
            .where(table.c.district_id == district_id, table.c.start_day <= day)
            .order_by(table.c.block_number, table.c.log_index)
        ).scalars()
    )
    latest = [latest_verdict(connection, assessment_id) for assessment_id in ids]
    verdicts: list[Verdict] = [
        found
        for found in latest
        if found is not None and found.window_start_day <= to_date(day) < found.window_end_day
    ]
    certificates = store.certificates
    numbers = connection.execute(
        select(certificates.c.certificate_number)
        .where(certificates.c.assessment_id.in_([found.assessment_id for found in verdicts]))
        .order_by(certificates.c.certificate_number)
    ).scalars()
    return {"assessments": ids, "verdicts": verdicts, "certificate_numbers": list(numbers)}
