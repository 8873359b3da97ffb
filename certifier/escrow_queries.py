"""Reads of the escrow: accounts and their statements, every line with its balance (domain.md §6)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, select

from certifier import market_tables as tables
from certifier import store
from certifier.escrow_lines import TRADE
from certifier.market_views import Account, StatementLine
from certifier.queries import NotFound, organisation_name, to_time

BROUGHT_FORWARD = "brought_forward"


def accounts(connection: Connection, after: str = "", limit: int | None = None) -> list[Account]:
    """Accounts that ever had a line, in alphabetical order."""
    column = tables.escrow_lines.c.account
    names = connection.execute(
        select(column).where(column > after).distinct().order_by(column).limit(limit)
    ).scalars()
    return [account(connection, name) for name in names]


def account(connection: Connection, name: str) -> Account:
    """One account as of now. Raises NotFound for one that is no organisation and has no line."""
    free = trade = response = owed = 0
    known = False
    for row in _lines(connection, name):
        known = True
        free += row.free_change
        owed += row.owed_change
        if row.purse == TRADE:
            trade += row.held_change
        else:
            response += row.held_change
    if not known and not _is_organisation(connection, name):
        raise NotFound("account", name)
    return Account(
        account=name,
        name=organisation_name(connection, name),
        free_micro_eur=free,
        held_trade_micro_eur=trade,
        held_response_micro_eur=response,
        balance_micro_eur=free + trade + response,
        owed_micro_eur=owed,
    )


def _is_organisation(connection: Connection, name: str) -> bool:
    table = store.organisations
    found = connection.execute(select(table.c.name).where(table.c.organisation_id == name)).scalar()
    return found is not None


def _lines(connection: Connection, name: str) -> Iterable[Row[Any]]:
    table = tables.escrow_lines
    return connection.execute(
        select(table, store.blocks.c.time)
        .join(store.blocks, store.blocks.c.block_number == table.c.block_number)
        .where(table.c.account == name)
        .order_by(table.c.block_number, table.c.log_index, table.c.position)
    )


def statement(
    connection: Connection,
    name: str,
    from_s: int | None = None,
    to_s: int | None = None,
    after: tuple[int, int] | None = None,
    limit: int | None = None,
) -> list[StatementLine]:
    """Lines of an account in `[from_s, to_s)`, after the place `after`, the first brings the balance forward.

    `limit` counts the lines after that one. Raises NotFound.
    """
    account(connection, name)
    balance = _Balance()
    opening: StatementLine | None = None
    found: list[StatementLine] = []
    last_time_s = 0
    for row in _lines(connection, name):
        before = (from_s is not None and row.time < from_s) or (
            after is not None and (row.block_number, row.log_index) <= after
        )
        if not before:
            if to_s is not None and row.time >= to_s:
                break
            if opening is None:
                opening = balance.brought_forward(row, row.time if from_s is None else from_s)
            # One log is one cursor: its lines are never torn apart.
            torn = found and (row.block_number, row.log_index) == (
                found[-1].block_number,
                found[-1].log_index,
            )
            if limit is not None and len(found) >= limit and not torn:
                break
        line = balance.add(row)
        last_time_s = row.time
        if not before:
            found.append(line)
    if opening is None:
        opening = balance.closing(last_time_s if from_s is None else from_s)
    return [opening, *found]


class _Balance:
    """Running balance of an account, micro-euro."""

    def __init__(self) -> None:
        self.free = self.held = 0

    def add(self, row: Row[Any]) -> StatementLine:
        """The next line."""
        self.free += row.free_change
        self.held += row.held_change
        change = row.free_change + row.held_change
        return StatementLine(
            time_utc=to_time(row.time),
            reference=row.reference,
            kind=row.kind,
            text=row.explanation,
            counterparty=row.counterparty,
            debit_micro_eur=max(0, -change),
            credit_micro_eur=max(0, change),
            balance_micro_eur=self.free + self.held,
            held_change_micro_eur=row.held_change,
            held_micro_eur=self.held,
            free_micro_eur=self.free,
            block_number=row.block_number,
            log_index=row.log_index,
            transaction_hash=row.transaction_hash,
        )

    def brought_forward(self, row: Row[Any], time_s: int) -> StatementLine:
        """The balance before a line."""
        return self._forward(time_s, row.block_number, row.log_index)

    def closing(self, time_s: int) -> StatementLine:
        """The balance where no line follows."""
        return self._forward(time_s, 0, 0)

    def _forward(self, time_s: int, block_number: int, log_index: int) -> StatementLine:
        return StatementLine(
            time_utc=to_time(time_s),
            reference="",
            kind=BROUGHT_FORWARD,
            text="balance brought forward",
            counterparty=None,
            debit_micro_eur=0,
            credit_micro_eur=0,
            balance_micro_eur=self.free + self.held,
            held_change_micro_eur=0,
            held_micro_eur=self.held,
            free_micro_eur=self.free,
            block_number=block_number,
            log_index=log_index,
            transaction_hash=None,
        )
