"""Asks the chain's views for figures that no log carries (hour words, verdicts) and compares them with ours.

Asked at the very block that the projection follows, so that both speak of the same state.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import structlog
from sqlalchemy import Connection, Row, select

from certifier import store
from certifier.alarms import raise_alarm
from certifier.boundary import Boundaries
from certifier.escrow_queries import account
from certifier.history import circumstances, load_history
from certifier.store import Store
from contracts.chain import BlockUnknown, RpcFailed
from contracts.errors import ContractError
from contracts.hour import HOURS_PER_DAY, first_hour, format_day, format_hour_utc
from contracts.platform import Platform
from contracts.verdict import Finding, History, Verdict, verdict

log = structlog.get_logger(__name__)

_LANES = ("import_wh", "export_wh", "production_wh", "consumption_wh", "charge_wh", "discharge_wh")
_LANE_BITS = 32
_MEASURED_BIT, _MEMBERS_BIT = 192, 208


class Audit:
    """Works off the store's pending checks."""

    def __init__(self, platform: Platform, store_: Store) -> None:
        self._platform = platform
        self._store = store_
        self._own: dict[str, tuple[History, dict[str, Any]]] = {}

    def check(self, most: int) -> int:
        """Do up to `most` pending checks, the newest days first; how many were done.

        Raises ChainUnavailable. A figure that the node cannot give (any more) is logged and left.
        """
        with self._store.read() as connection:
            head = connection.execute(select(store.head)).one_or_none()
            table = store.pending_checks
            pending = connection.execute(
                select(table).order_by(table.c.day.desc(), table.c.kind, table.c.subject).limit(most)
            ).all()
        if head is None:
            return 0
        self._own.clear()
        for row in pending:
            try:
                compare = {"hours": self._hours, "account": self._account}.get(row.kind, self._verdict)
                with self._store.write() as connection:
                    compare(connection, head.block_number, row)
                    self._done(connection, row)
            except (BlockUnknown, ContractError, RpcFailed) as problem:
                log.warning(
                    "figure cannot be asked for", kind=row.kind, subject=row.subject, detail=str(problem)
                )
                with self._store.write() as connection:
                    self._done(connection, row)
        return len(pending)

    def _done(self, connection: Connection, row: Row[Any]) -> None:
        table = store.pending_checks
        connection.execute(
            table.delete().where(
                table.c.kind == row.kind, table.c.subject == row.subject, table.c.day == row.day
            )
        )

    def _hours(self, connection: Connection, block_number: int, row: Row[Any]) -> None:
        """The ledger's sums of a day's hours against ours."""
        words = self._platform.hour_words(row.subject, row.day, block=block_number)
        own = {
            entry.hour: entry
            for entry in connection.execute(
                select(store.hours).where(
                    store.hours.c.district_id == row.subject, store.hours.c.day == row.day
                )
            )
        }
        for hour_of_day in range(HOURS_PER_DAY):
            hour = first_hour(row.day) + hour_of_day
            stated = _lanes(words[hour_of_day])
            entry = own.get(hour)
            computed = {name: 0 if entry is None else entry._mapping[name] for name in stated}
            if stated != computed:
                differing = sorted(name for name, value in stated.items() if computed[name] != value)
                raise_alarm(
                    connection,
                    "hour",
                    f"{row.subject}/{format_hour_utc(hour)}",
                    block_number=block_number,
                    chain_figure={name: stated[name] for name in differing},
                    own_figure={name: computed[name] for name in differing},
                    explanation="the ledger's sums of the hour are not what its logged batches give",
                    district_id=row.subject,
                    day=row.day,
                )

    def _account(self, connection: Connection, block_number: int, row: Row[Any]) -> None:
        """The escrow's balances of an account against the sums of its lines."""
        own = account(connection, row.subject)
        platform = self._platform
        stated = {
            "free_micro_eur": platform.free_micro_eur(row.subject, block=block_number),
            "held_trade_micro_eur": platform.held_micro_eur(row.subject, False, block=block_number),
            "held_response_micro_eur": platform.held_micro_eur(row.subject, True, block=block_number),
            "owed_micro_eur": platform.debts_micro_eur(row.subject, block=block_number),
        }
        computed = {name: getattr(own, name) for name in stated}
        if stated != computed:
            raise_alarm(
                connection,
                "account",
                f"{row.subject}/{block_number}",
                block_number=block_number,
                chain_figure=stated,
                own_figure=computed,
                explanation=f"the escrow's balances of {row.subject} are not what its logs give",
            )

    def _verdict(self, connection: Connection, block_number: int, row: Row[Any]) -> None:
        """The chain's verdict over a window against ours."""
        assessment = connection.execute(
            select(store.assessments).where(store.assessments.c.assessment_id == row.subject)
        ).one_or_none()
        if assessment is None:
            return
        stated = self._platform.verdict(bytes.fromhex(row.subject[2:]), row.day, block=block_number)
        if row.subject not in self._own:
            found = circumstances(connection, Boundaries(connection), assessment)
            self._own[row.subject] = load_history(connection, assessment), found
        history, found = self._own[row.subject]
        own = verdict(history, row.day, **found)
        for field in fields(Verdict):
            chain, computed = getattr(stated, field.name), getattr(own, field.name)
            if chain == computed or _only_later(field.name, stated):
                continue
            raise_alarm(
                connection,
                "verdict",
                f"{row.subject}/{format_day(row.day)}/{field.name}",
                block_number=block_number,
                chain_figure=chain,
                own_figure=computed,
                explanation=f"the chain's {field.name} of the window is not what its logs give",
                district_id=assessment.district_id,
                assessment_id=row.subject,
                day=row.day,
            )


def _only_later(name: str, stated: Verdict) -> bool:
    """The chain waits for its list of adjustments to be walked, even where no final day is on it."""
    return name == "finding" and stated.finding is Finding.ADJUSTMENTS_PENDING


def _lanes(word: int) -> dict[str, int]:
    """An hour word of the ledger (layout: ILedger)."""
    lanes = {name: word >> _LANE_BITS * place & 0xFFFFFFFF for place, name in enumerate(_LANES)}
    return lanes | {"measured": word >> _MEASURED_BIT & 0xFFFF, "members": word >> _MEMBERS_BIT & 0xFFFF}
