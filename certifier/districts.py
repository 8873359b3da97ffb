"""Reads of the projection about districts, for the API and the pages."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, func, select

from certifier import store
from certifier.boundary import Boundaries
from certifier.certificates import certificate
from certifier.queries import NotFound, assessments, count, organisation_name, to_date, to_time
from certifier.views import BoundaryVersion, District, DistrictOverview, GatewayState, Point
from contracts.hour import hour_start


def district_ids(connection: Connection) -> list[str]:
    """All districts, in alphabetical order."""
    column = store.districts.c.district_id
    return list(connection.execute(select(column).order_by(column)).scalars())


def districts_overview(
    connection: Connection, after: str = "", limit: int | None = None
) -> list[DistrictOverview]:
    """Districts after the id `after`, in alphabetical order, at most `limit`."""
    query = select(store.districts).where(store.districts.c.district_id > after)
    rows = connection.execute(query.order_by(store.districts.c.district_id).limit(limit))
    return [_overview(connection, row) for row in rows]


def district_overview(connection: Connection, district_id: str) -> DistrictOverview:
    """One district. Raises NotFound."""
    return _overview(connection, _district_row(connection, district_id))


def _district_row(connection: Connection, district_id: str) -> Row[Any]:
    row = connection.execute(
        select(store.districts).where(store.districts.c.district_id == district_id)
    ).one_or_none()
    if row is None:
        raise NotFound("district", district_id)
    return row


def _overview(connection: Connection, row: Row[Any]) -> DistrictOverview:
    found = assessments(connection, district_id=row.district_id)
    main = next((entry for entry in found if entry.certificate_number is not None), None)
    main = main or (found[0] if found else None)
    number = main.certificate_number if main else None
    state = certificate(connection, number) if number is not None else None
    last = connection.execute(
        select(func.max(store.hours.c.hour)).where(
            store.hours.c.district_id == row.district_id, store.hours.c.recorded > 0
        )
    ).scalar()
    return DistrictOverview(
        district_id=row.district_id,
        zone=row.zone,
        owner_organisation_id=row.owner_organisation_id,
        owner_organisation=organisation_name(connection, row.owner_organisation_id),
        operator_organisation_id=row.operator_organisation_id,
        operator_organisation=organisation_name(connection, row.operator_organisation_id),
        assessment_id=main.assessment_id if main else None,
        scheme_id=main.scheme_id if main else None,
        vintage_id=main.vintage_id if main else None,
        certificate_number=number,
        certificate_status=state.status if state else None,
        certificate_valid=state.valid if state else None,
        latest_verdict=main.latest_verdict if main else None,
        last_recorded_hour_utc=None if last is None else to_time(hour_start(last)),
        alarm_count=count(connection, store.alarms, store.alarms.c.district_id == row.district_id),
    )


def district(connection: Connection, district_id: str) -> District:
    """A district with its boundary versions, gateways, current points and assessments. Raises NotFound."""
    row = _district_row(connection, district_id)
    versions = Boundaries(connection).versions(district_id)
    gateways = connection.execute(
        select(store.gateways.c.gateway_id)
        .where(store.gateways.c.district_id == district_id)
        .order_by(store.gateways.c.gateway_id)
    ).scalars()
    points = [
        Point(
            point_id=point.point_id,
            gateway_id=manifest.gateway_id,
            kind=point.kind.name,
            private=private,
            renewable=point.renewable,
            nameplate_w=point.nameplate_w,
            cap_wh=point.cap_wh,
            efficiency_permille=point.efficiency_permille,
            register_digits=point.register_digits,
            capacity_wh=point.capacity_wh,
        )
        for manifest in (versions[-1].manifests.values() if versions else ())
        for private, declared in ((False, manifest.open), (True, manifest.members))
        for point in declared
    ]
    return District(
        overview=_overview(connection, row),
        minimum_members=row.minimum_members,
        boundary_versions=[
            BoundaryVersion(
                version=version.version,
                from_day=to_date(version.from_day),
                open_points=version.open_points,
                members=version.members,
                load_metered=version.load_metered,
                restart_day=to_date(version.restart_day) if version.restart_day else None,
            )
            for version in versions
        ],
        gateways=[_gateway_state(connection, gateway_id) for gateway_id in gateways],
        points=points,
        assessments=assessments(connection, district_id=district_id),
    )


def _gateway_state(connection: Connection, gateway_id: str) -> GatewayState:
    keys, sent = store.gateway_keys, store.batches
    key = connection.execute(
        select(keys.c.key)
        .where(keys.c.gateway_id == gateway_id)
        .order_by(keys.c.block_number.desc(), keys.c.log_index.desc())
        .limit(1)
    ).scalar()
    last = connection.execute(select(func.max(sent.c.day)).where(sent.c.gateway_id == gateway_id)).scalar()
    return GatewayState(
        gateway_id=gateway_id,
        key=key,
        last_recorded_day=None if last is None else to_date(last),
    )


def main_assessment_id(connection: Connection, district_id: str) -> str | None:
    """The assessment that a certificate rests on, or else the district's first. Raises NotFound."""
    require_district(connection, district_id)
    table, applied = store.assessments, store.certificates
    return connection.execute(
        select(table.c.assessment_id)
        .outerjoin(applied, applied.c.assessment_id == table.c.assessment_id)
        .where(table.c.district_id == district_id)
        .order_by(applied.c.certificate_number.is_(None), table.c.block_number, table.c.log_index)
        .limit(1)
    ).scalar()


def require_district(connection: Connection, district_id: str) -> None:
    """Raise NotFound for an unknown district."""
    _district_row(connection, district_id)


def owner_of(connection: Connection, district_id: str) -> str:
    """Organisation that owns a district. Raises NotFound."""
    return str(_district_row(connection, district_id).owner_organisation_id)
