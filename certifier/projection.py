"""Applies decoded events to the projection: facts first, then what follows from them, in one transaction.

Each block's rows carry its number, so `undo_after` removes a block that a reorganisation took away and
derives anew what it had touched (domain.md §4 "every dependent value follows deterministically").
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from enum import IntEnum
from typing import Any

from sqlalchemy import Connection, Table, insert, select

from certifier import market_tables, store
from certifier.alarms import raise_alarm
from certifier.boundary import Boundaries
from certifier.derivation import Derivation
from certifier.judgement import Judgement
from certifier.market_projection import MARKET_EVENTS, MarketRules, MarketWriter
from certifier.metered import MeteredDays
from certifier.store import Store
from contracts import events, market_events
from contracts.boundary import MemberDeclaration
from contracts.energy import Tolerance
from contracts.hour import format_day
from contracts.keccak import keccak
from contracts.key import SignatureInvalid
from contracts.point import PointDeclaration
from contracts.reading import Adjustment, OpenBatch, PrivateBatch, ReadingInvalid, SigningDomain
from contracts.slug import IdentifierInvalid, to_text
from contracts.verdict import Verdict


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event and where it stands in its block."""

    log_index: int
    transaction_hash: str
    event: events.Event


@dataclass(frozen=True, slots=True)
class BlockEvents:
    """A block with the events of the platform's contracts in it, in order."""

    number: int
    hash: str
    time_s: int
    events: tuple[LoggedEvent, ...] = ()


class Projection:
    """The only writer of a store; one process at a time."""

    def __init__(self, store_: Store, chain_id: int, ledger: str, market: MarketRules | None = None) -> None:
        """`market` is what was fixed when the market was deployed; None where there is none."""
        self.store = store_
        self._market = market
        self._chain_id = chain_id
        self._ledger = ledger
        self._domain = SigningDomain(chain_id, ledger)
        self._judgement: Judgement | None = None
        self._judged_until = ""

    def apply(self, blocks: Sequence[BlockEvents]) -> None:
        """Apply blocks in ascending order in one transaction: all of them or, if anything fails, none."""
        if not blocks:
            return
        try:
            with self.store.write() as connection:
                judgement = self._remembered(connection)
                writer = _Writer(connection, self._domain, judgement, self._market)
                for block in blocks:
                    writer.write(block)
                writer.derivation.derive()
                self._set_head(connection, blocks[-1])
                self._judgement, self._judged_until = judgement, blocks[-1].hash
        except BaseException:
            self._judgement = None
            raise

    def undo_after(self, block: BlockEvents) -> None:
        """Make `block` the head again: remove what later blocks brought, derive anew what they touched."""
        self._judgement = None
        with self.store.write() as connection:
            derivation = Derivation(connection)
            for table in (store.batches, store.taints):
                for row in _after(connection, table, block.number):
                    derivation.touch_day(row.district_id, row.day)
            for row in _after(connection, store.factor_days, block.number):
                derivation.touch_factors(row.vintage_id, row.zone, row.day)
            for row in _after(connection, store.boundary_versions, block.number):
                derivation.touch_days_from(row.district_id, row.from_day)
            for table in (store.finalised_days, store.booked_adjustments):
                for row in _after(connection, table, block.number):
                    derivation.touch_assessment_day(row.assessment_id, row.day)
            for row in _after(connection, market_tables.claims, block.number):
                if row.kind == "attributes":
                    derivation.touch_day(row.district_id, row.day)
            for row in _after(connection, store.assessments, block.number):
                derivation.forget_assessment(row.assessment_id)
            store.remove_after(connection, block.number)
            derivation.derive()
            self._set_head(connection, block)

    def _remembered(self, connection: Connection) -> Judgement:
        """What is known from the transactions before, unless the store stands elsewhere now."""
        judgement = self._judgement
        head_hash = connection.execute(select(store.head.c.block_hash)).scalar()
        if judgement is None or head_hash != self._judged_until:
            return Judgement(connection)
        judgement.connection = connection
        return judgement

    def _set_head(self, connection: Connection, block: BlockEvents) -> None:
        row = {
            "one": 1,
            "schema_version": store.SCHEMA_VERSION,
            "chain_id": self._chain_id,
            "ledger": self._ledger,
            "block_number": block.number,
            "block_hash": block.hash,
            "block_time": block.time_s,
        }
        store.replace_rows(connection, store.head, store.head.c.one == 1, [row])
        if self._market is not None:
            table = market_tables.market_terms
            terms = {"one": 1, "market": self._market.market, **asdict(self._market.terms)}
            store.replace_rows(connection, table, table.c.one == 1, [terms])


def _after(connection: Connection, table: Table, block_number: int) -> Iterable[Any]:
    return connection.execute(select(table).where(table.c.block_number > block_number)).all()


def hexadecimal(value: bytes) -> str:
    """Bytes as text with 0x in front."""
    return "0x" + value.hex()


def identifier(value: bytes) -> str:
    """A serial as text, or a member's commitment in hexadecimal."""
    try:
        return to_text(value)
    except IdentifierInvalid:
        return hexadecimal(value)


class _Writer:
    """Writes the facts of blocks within one transaction."""

    def __init__(
        self,
        connection: Connection,
        domain: SigningDomain,
        judgement: Judgement,
        market: MarketRules | None,
    ) -> None:
        self.connection = connection
        self.derivation = Derivation(connection)
        self._domain = domain
        self._judgement = judgement
        tolerance = (
            Tolerance() if market is None else Tolerance(market.terms.tolerance_bp, market.terms.tolerance_wh)
        )
        self._metered = MeteredDays(connection, tolerance)
        self._trading = MarketWriter(connection, self.derivation, self._metered, domain.chain_id, market)
        self._place: dict[str, int] = {}
        self._transaction_hash = ""

    def write(self, block: BlockEvents) -> None:
        """Write a block's facts and the verdicts that change with them."""
        if not block.events:
            return
        row = {"block_number": block.number, "hash": block.hash, "time": block.time_s}
        self.connection.execute(insert(store.blocks), [row])
        self._trading.begin_block(
            [(logged.log_index, logged.transaction_hash, logged.event) for logged in block.events],
            block.time_s,
        )
        for logged in block.events:
            self._place = {"block_number": block.number, "log_index": logged.log_index}
            self._transaction_hash = logged.transaction_hash
            self._judgement.at((block.number, logged.log_index), block.time_s)
            self._event(logged.event)
        self._judgement.close_block(block.number)

    def _insert(self, table: Table, **values: object) -> None:
        self.connection.execute(insert(table), [{**self._place, **values}])

    def _event(self, event: events.Event) -> None:
        if isinstance(event, MARKET_EVENTS):
            self._trading.write(event, **self._place, transaction_hash=self._transaction_hash)
            if isinstance(event, market_events.AttributesBooked):
                self._judgement.touch_district(event.district_id)
            return
        match event:
            case events.OpenBatchRecorded() | events.PrivateBatchRecorded():
                self._batch(event)
            case events.AdjustmentBooked():
                self._adjustment(event)
            case events.DayPublished():
                self._factor_day(event)
            case events.DayFinalised():
                self._judgement.finalise(hexadecimal(event.id), event)
                self.derivation.touch_final_day(hexadecimal(event.id), event.day)
            case events.DayAdjusted():
                self._judgement.adjust(hexadecimal(event.id), event)
                self.derivation.touch_assessment_day(hexadecimal(event.id), event.day)
            case events.HoursTainted():
                self._insert(
                    store.taints,
                    gateway_id=event.gateway_id,
                    district_id=event.district_id,
                    day=event.day,
                    is_private=event.is_private,
                    hours=event.hour_bits,
                )
                self._touch_day(event.district_id, event.day)
                self._judgement.touch_district(event.district_id)
            case events.CompromiseScanned():
                self._insert(store.compromise_scans, district_id=event.district_id, compromise=event.index)
                self._judgement.touch_district(event.district_id)
            case events.AssessmentOpened():
                self._insert(
                    store.assessments,
                    assessment_id=hexadecimal(event.id),
                    district_id=event.district_id,
                    scheme_id=event.scheme_id,
                    vintage_id=event.vintage_id,
                    start_day=event.start_day,
                )
                self.derivation.touch_days_from(event.district_id, event.start_day)
            case _:
                self._registry(event)

    def _batch(self, event: events.OpenBatchRecorded | events.PrivateBatchRecorded) -> None:
        is_private = isinstance(event, events.PrivateBatchRecorded)
        changed = event.changed_members if isinstance(event, events.PrivateBatchRecorded) else 0
        header = (event.gateway_id, event.day, event.sequence, event.replaces)
        batch: OpenBatch | PrivateBatch
        if isinstance(event, events.PrivateBatchRecorded):
            batch = PrivateBatch(*header, changed, event.payload)
        else:
            batch = OpenBatch(*header, event.payload)
        keys = store.gateway_keys
        key = self.connection.execute(
            select(keys.c.key)
            .where(keys.c.gateway_id == event.gateway_id)
            .order_by(keys.c.block_number.desc(), keys.c.log_index.desc())
            .limit(1)
        ).scalar()
        self._check_signer(batch, event.signature, key, "the gateway's key in force", event.district_id)
        self._insert_batch(
            event, is_private, key=event.key, changed_members=changed, signature=event.signature
        )

    def _adjustment(self, event: events.AdjustmentBooked) -> None:
        adjustment = Adjustment(
            event.gateway_id,
            event.day,
            event.sequence,
            event.replaces,
            event.is_private,
            event.reason_hash,
            event.changed_members,
            event.payload,
        )
        for signer, signature, role in (
            (event.operator, event.operator_signature, "the meter operator"),
            (event.auditor, event.auditor_signature, "the auditor"),
        ):
            self._check_signer(adjustment, signature, signer, role, event.district_id)
        self._insert_batch(
            event,
            event.is_private,
            is_adjustment=True,
            reason_hash=hexadecimal(event.reason_hash),
            changed_members=event.changed_members,
            operator=event.operator,
            auditor=event.auditor,
            signature=event.operator_signature,
            auditor_signature=event.auditor_signature,
        )
        self._judgement.touch_district(event.district_id)

    def _insert_batch(
        self,
        event: events.OpenBatchRecorded | events.PrivateBatchRecorded | events.AdjustmentBooked,
        is_private: bool,
        **values: object,
    ) -> None:
        row: dict[str, object] = {
            "gateway_id": event.gateway_id,
            "district_id": event.district_id,
            "day": event.day,
            "is_private": is_private,
            "sequence": event.sequence,
            "replaces": event.replaces,
            "is_adjustment": False,
            "transaction_hash": self._transaction_hash,
            "payload_hash": hexadecimal(keccak(event.payload)),
            "key": None,
            "payload": event.payload,
            "reason_hash": None,
            "operator": None,
            "auditor": None,
            "auditor_signature": None,
        }
        self._insert(store.batches, **(row | values))
        self._touch_day(event.district_id, event.day)

    def _touch_day(self, district_id: str, day: int) -> None:
        self.derivation.touch_day(district_id, day)
        self._metered.forget_day(district_id, day)

    def _check_signer(
        self,
        message: OpenBatch | PrivateBatch | Adjustment,
        signature: bytes,
        expected: str | None,
        role: str,
        district_id: str,
    ) -> None:
        try:
            signer: str | None = message.signer(signature, self._domain)
        except (SignatureInvalid, ReadingInvalid) as problem:
            signer = f"none: {problem}"
        if signer is None or expected is None or signer.lower() != expected.lower():
            raise_alarm(
                self.connection,
                "signature",
                f"{message.gateway_id}/{format_day(message.day)}/{message.sequence}",
                block_number=self._place["block_number"],
                chain_figure="accepted",
                own_figure=f"signed by {signer}, expected {expected}",
                explanation=f"the chain accepted a batch that {role} did not sign",
                district_id=district_id,
                day=message.day,
            )

    def _factor_day(self, event: events.DayPublished) -> None:
        self.derivation.touch_factors(event.vintage_id, event.zone, event.day)
        self._insert(
            store.factor_days,
            vintage_id=event.vintage_id,
            zone=event.zone,
            day=event.day,
            factors=event.factors,
        )

    def _registry(self, event: events.Event) -> None:
        match event:
            case events.OrganisationRegistered():
                self._insert(store.organisations, organisation_id=event.organisation_id, name=event.name)
            case events.AccountEnrolled():
                self._insert(store.accounts, account=event.account, organisation_id=event.organisation_id)
            case events.RoleGranted() | events.RoleRevoked():
                granted = isinstance(event, events.RoleGranted)
                self._insert(
                    store.roles,
                    account=event.account,
                    role=_ROLES.get(event.role, hexadecimal(event.role)),
                    granted=granted,
                )
            case events.SchemeRegistered():
                self._insert(store.schemes, scheme_id=event.scheme_id, **asdict(event.scheme))
            case events.DistrictRegistered():
                self._insert(
                    store.districts,
                    district_id=event.district_id,
                    zone=event.zone,
                    owner_organisation_id=event.owner_org,
                    operator_organisation_id=event.operator_org,
                    minimum_members=event.minimum_members,
                )
            case events.GatewayRegistered():
                self._insert(store.gateways, gateway_id=event.gateway_id, district_id=event.district_id)
                self._key(event.gateway_id, event.key)
            case events.KeyRotated():
                self._key(event.gateway_id, event.new_key)
            case events.KeyRevoked():
                self._key(event.gateway_id, None, event.compromised_since or None)
                self._judgement.touch_district(event.district_id)
            case events.GatewayBoundaryPublished():
                self._gateway_boundary(event)
            case events.BoundaryPublished():
                self._boundary(event)
            case events.MeterExchanged():
                self._insert(
                    store.meter_exchanges,
                    district_id=event.district_id,
                    old_serial=identifier(event.old_id),
                    new_serial=identifier(event.new_id),
                )
                self._boundaries_changed()
            case events.VintageCreated():
                self._vintage(event)
            case _:
                self._certificate(event)

    def _key(self, gateway_id: str, key: str | None, compromised_since: int | None = None) -> None:
        self._insert(store.gateway_keys, gateway_id=gateway_id, key=key, compromised_since=compromised_since)

    def _boundaries_changed(self) -> None:
        self._judgement.forget_boundaries()
        self.derivation.forget_boundaries()
        self._metered.forget_boundaries()

    def _gateway_boundary(self, event: events.GatewayBoundaryPublished) -> None:
        of_version = {
            "gateway_id": event.gateway_id,
            "district_id": event.district_id,
            "version": event.version,
        }
        self._insert(store.boundary_gateways, **of_version, from_day=event.from_day)
        rows = [
            {
                **self._place,
                **of_version,
                "is_private": is_private,
                "position": position,
                "point_id": point_id,
                "kind": int(point.kind),
                "renewable": point.renewable,
                "register_digits": point.register_digits,
                "efficiency_permille": point.efficiency_permille,
                "nameplate_w": point.nameplate_w,
                "capacity_wh": point.capacity_wh,
            }
            for is_private, position, point_id, point in _declared(event)
        ]
        if rows:
            self.connection.execute(insert(store.points), rows)

    def _boundary(self, event: events.BoundaryPublished) -> None:
        self._insert(
            store.boundary_versions,
            district_id=event.district_id,
            version=event.version,
            from_day=event.from_day,
            chain_restart_day=event.restart_day,
        )
        self._boundaries_changed()
        own = Boundaries(self.connection).versions(event.district_id)[-1]
        if own.restart_day != event.restart_day:
            raise_alarm(
                self.connection,
                "boundary",
                f"{event.district_id}/{event.version}",
                block_number=self._place["block_number"],
                chain_figure=format_day(event.restart_day),
                own_figure=format_day(own.restart_day),
                explanation="the day from which the twelve months count differs",
                district_id=event.district_id,
                day=event.from_day,
            )
        self.derivation.touch_days_from(event.district_id, event.from_day)

    def _vintage(self, event: events.VintageCreated) -> None:
        self._insert(
            store.vintages,
            vintage_id=event.vintage_id,
            parent=event.parent or None,
            organisation_id=event.publisher_org,
            created_at=event.created_at,
            f_min=event.f_min,
            f_max=event.f_max,
            g_max=event.g_max,
            static_factors=json.dumps(asdict(event.electricity)),
            carrier_factors=json.dumps([asdict(entry) for entry in event.carriers]),
        )

    def _certificate(self, event: events.Event) -> None:
        if not isinstance(event, _CERTIFICATE_EVENTS):
            return  # bookkeeping that nothing here depends on, such as a skipped batch
        kind = type(event).__name__
        if isinstance(event, events.Applied):
            self._insert(
                store.certificates,
                certificate_number=event.id,
                assessment_id=hexadecimal(event.assessment_id),
                account=event.account,
            )
        if isinstance(event, events.CertificationRequested | events.Certified):
            assessment_id = self.connection.execute(
                select(store.certificates.c.assessment_id).where(
                    store.certificates.c.certificate_number == event.id
                )
            ).scalar_one()
            self._judgement.stated_verdict(assessment_id, event.verdict, f"{kind} {event.id}")
        details = {field.name: _detail(getattr(event, field.name)) for field in fields(event)}
        number = details.pop("id")
        self._insert(
            store.certificate_events,
            certificate_number=number,
            kind=kind,
            details=json.dumps(details, sort_keys=True),
        )


_CERTIFICATE_EVENTS = (
    events.Applied,
    events.ProvisionalGranted,
    events.CertificationRequested,
    events.Certified,
    events.Challenged,
    events.ChallengeVoted,
    events.ChallengeDecided,
    events.RevocationVoted,
    events.Revoked,
)
_ROLES = {
    bytes(32): "SCHEME_ADMIN",
    **{
        keccak(name.encode()): name
        for name in ("METER_OPERATOR", "FACTOR_PUBLISHER", "AUDITOR", "DISTRICT_OWNER", "GRID_OPERATOR")
    },
}


def _declared(
    event: events.GatewayBoundaryPublished,
) -> Iterable[tuple[bool, int, str, PointDeclaration | MemberDeclaration]]:
    for position, point in enumerate(event.open):
        yield False, position, point.serial, point
    for position, member in enumerate(event.members):
        yield True, position, hexadecimal(member.commitment), member


def _detail(value: object) -> str | int | bool | None:
    """A field of an event as JSON shows it; a verdict by the end of its window."""
    if isinstance(value, bytes):
        return hexadecimal(value)
    if isinstance(value, IntEnum):
        return value.name.title()
    if isinstance(value, Verdict):
        return f"window until {format_day(value.window_end)}"
    if isinstance(value, str | int | bool):
        return value
    return str(value)
