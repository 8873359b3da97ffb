"""What a gateway says about an hour: the section of a batch, from the outbox's records.

Open points give one record each. Private points (households) give sums per kind over the members that were
measured, and a Merkle root over their salted readings; a kind with fewer measured members than the minimum
is withheld, since its sum would tell about single households (domain.md §8).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from contracts.hour import hour_of_day
from contracts.point import Kind
from contracts.privacy import MemberReading, commitment, in_order, new_salt, root
from contracts.reading import KindSum, OpenSection, PrivateSection, Status, pack_open, pack_private
from gateway.records import Point, PointHour

Leaves = Mapping[int, tuple[int, int, bytes]]
"""Point row -> (supply_wh, draw_wh, salt)."""


@dataclass(frozen=True, slots=True)
class Section:
    """One hour of a stream, packed."""

    hour: int
    packed: bytes
    complete: bool
    """Every point is measured."""
    empty: bool
    """Nothing is known of any point (open), or nothing may be told (private)."""
    leaves: tuple[tuple[int, int, int, bytes], ...] = ()
    """(point row, supply_wh, draw_wh, salt) behind the root."""


def open_section(hour: int, points: Sequence[PointHour]) -> Section:
    """Section of the open points, in the order of the manifest."""
    records = tuple(point.record for point in points)
    return Section(
        hour,
        pack_open([OpenSection(hour_of_day(hour), records)]),
        complete=all(record.status is Status.MEASURED for record in records),
        empty=all(record.status is Status.MISSING for record in records),
    )


def private_section(
    hour: int, points: Sequence[Point], hours: Sequence[PointHour], minimum_members: int
) -> Section:
    """Section of the private points; each reading gets a new salt."""
    measured = [
        (point, found.record)
        for point, found in zip(points, hours, strict=True)
        if found.record.status is Status.MEASURED
    ]
    sums, leaves, readings = [], [], []
    for kind in sorted({point.kind for point in points}):
        members = [(point, record) for point, record in measured if point.kind == kind]
        if len(members) < minimum_members:
            sums.append(KindSum(kind, 0, 0, 0))
            continue
        supply_wh = sum(record.supply_wh for _, record in members)
        draw_wh = sum(record.draw_wh for _, record in members)
        sums.append(KindSum(kind, len(members), supply_wh, draw_wh))
        for point, record in members:
            salt = new_salt()
            member = commitment(point.serial, member_salt(point))
            readings.append(MemberReading(member, hour, record.supply_wh, record.draw_wh, salt))
            leaves.append((point.row, record.supply_wh, record.draw_wh, salt))
    top = root([reading.leaf for reading in in_order(readings)]) if readings else bytes(32)
    return Section(
        hour,
        pack_private([PrivateSection(hour_of_day(hour), top, tuple(sums))]),
        complete=len(measured) == len(points),
        empty=not readings,
        leaves=tuple(leaves),
    )


def member_salt(point: Point) -> bytes:
    """Salt of a private point's registered commitment."""
    salt = point.rule.table.salt
    assert salt is not None  # the configuration demands it of a private point
    return bytes.fromhex(salt.removeprefix("0x"))


def changed_members(section: Section, old: Leaves, points: Sequence[Point]) -> dict[Kind, int]:
    """Kind -> how many members' values differ from what an earlier batch holds (came and went included)."""
    new = {row: (supply_wh, draw_wh) for row, supply_wh, draw_wh, _ in section.leaves}
    before = {row: (supply_wh, draw_wh) for row, (supply_wh, draw_wh, _) in old.items()}
    kinds = {point.row: point.kind for point in points}
    changed = sorted(kinds[row] for row in kinds if new.get(row) != before.get(row))
    return {kind: len(list(members)) for kind, members in groupby(changed)}
