"""Shows private readings to an auditor, as their owner chooses, with proofs (domain.md §8)."""

import sqlite3
from collections.abc import Collection

from contracts.disclosure import disclose
from contracts.hour import day_of_hour, format_hour_utc
from contracts.privacy import MemberReading, commitment
from gateway.batches import Batches, holders
from gateway.config import GatewayConfig
from gateway.lookup import PointUnknown
from gateway.records import Records
from gateway.sections import member_salt


class NothingToDisclose(LookupError):
    """No private batch holds the hour, its salts were erased, or the member was not measured in it."""


def disclose_hour(
    config: GatewayConfig,
    connection: sqlite3.Connection,
    hour: int,
    serials: Collection[str],
    with_serials: bool = False,
) -> bytes:
    """File that shows the readings of some private points (none named: of all) in an hour.

    Points stay anonymous (their commitments only) unless `with_serials`. Raises PointUnknown and
    NothingToDisclose.
    """
    day = day_of_hour(hour)
    batches = Batches(connection)
    holder = holders(batches.live(True, day)).get(hour)
    leaves = {} if holder is None else batches.leaves(holder.id, hour)
    if holder is None or not leaves:
        raise NothingToDisclose(
            f"{format_hour_utc(hour)}: no private batch of this gateway with kept salts holds the hour"
        )
    points = {point.serial: point for point in Records(config, connection).points(True, day)}
    unknown = sorted(set(serials) - set(points))
    if unknown:
        raise PointUnknown(f"no private point {', '.join(unknown)} at this gateway on that day")
    readings, shown, opened = [], set(), {}
    for serial, point in points.items():
        if point.row not in leaves:
            if serial in serials:
                raise NothingToDisclose(f"{serial} has no measured reading in {format_hour_utc(hour)}")
            continue
        supply_wh, draw_wh, salt = leaves[point.row]
        member = commitment(serial, member_salt(point))
        readings.append(MemberReading(member, hour, supply_wh, draw_wh, salt))
        if not serials or serial in serials:
            shown.add(member)
            opened[member] = (serial, member_salt(point))
    return disclose(config.gateway.id, holder.sequence, readings, shown, opened if with_serials else None)
