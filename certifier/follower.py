"""Follows the chain: reads logs of blocks deep enough, applies them, undoes what a reorganisation removed.

Works from the stored head alone, so it can be killed at any point: what was committed stands, the rest is
read again. One follower per store: a second one is refused.
"""

from __future__ import annotations

import fcntl
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
from sqlalchemy import Connection, select, text

from certifier import store
from certifier.audit import Audit
from certifier.market_projection import MarketRules
from certifier.projection import BlockEvents, LoggedEvent, Projection, hexadecimal
from certifier.store import Store, StoreError
from contracts.chain import BlockUnknown, Chain, ChainUnavailable, RpcFailed
from contracts.chain_data import Block, Log
from contracts.platform import Platform

log = structlog.get_logger(__name__)

RANGE_BLOCKS = 500
"""Most blocks whose logs are asked for at once."""
GROUP_EVENTS = 400
"""Blocks are applied together up to about this many events: one transaction holds whole blocks only."""
CHECKS_PER_ROUND = 10


class FollowerBusy(StoreError):
    """Another follower writes to this store."""


class ChainMoved(Exception):
    """The chain was reorganised while it was read; read it again."""


class Follower:
    """Keeps a store in step with the chain, `depth` blocks behind its head."""

    def __init__(self, platform: Platform, store_: Store, depth: int = 0) -> None:
        """Raises StoreError when the store is of another platform, ValueError for a negative depth."""
        if depth < 0:
            raise ValueError(f"depth {depth} is negative: give the number of blocks to wait, 0 for none")
        deployment = platform.deployment
        self._chain: Chain = platform.chain
        self._platform = platform
        self._store = store_
        self._depth = depth
        self._first = deployment.deployed_block
        self._projection = Projection(store_, deployment.chain_id, deployment.ledger, market_rules(platform))
        self._audit = Audit(platform, store_)
        with store_.read() as connection:
            head = _stored_head(connection)
            of = connection.execute(select(store.head.c.chain_id, store.head.c.ledger)).one_or_none()
        if head is not None and of is not None and tuple(of) != (deployment.chain_id, deployment.ledger):
            raise StoreError(
                f"the projection {store_.engine.url.render_as_string()} is of chain {of.chain_id}, ledger "
                f"{of.ledger}, not of chain {deployment.chain_id}, ledger {deployment.ledger}: give another "
                "database or run `ped certifier rebuild`"
            )

    def step(self) -> bool:
        """One round: undo what vanished, apply what is new. Whether anything was done.

        Raises ChainUnavailable, RpcFailed, and what the database raises; nothing is half applied then.
        """
        try:
            return self._step()
        except (ChainMoved, BlockUnknown) as problem:
            log.info("chain moved while it was read", detail=str(problem))
            return True

    def _step(self) -> bool:
        chain_head = self._chain.head()
        self._observe(chain_head, None)
        with self._store.read() as connection:
            head = _stored_head(connection)
        if head is not None and not self._stands(head, chain_head):
            self._undo(chain_head)
            return True
        first = self._first if head is None else head.number + 1
        last = min(chain_head - self._depth, first + RANGE_BLOCKS - 1)
        if last < first:
            return False
        blocks = self.read_blocks(first, last)
        if head is not None and not self._stands(head, chain_head):
            raise ChainMoved(f"block {head.number} is another one now")
        for group in _groups(blocks):
            self._projection.apply(group)
        return True

    def catch_up(self) -> None:
        """Step until nothing is left to do, and check every figure that the chain can still be asked for."""
        while self.step():
            pass
        while self._audit.check(CHECKS_PER_ROUND):
            pass

    def run(self, stop: threading.Event, poll_s: float = 0.5) -> None:
        """Follow until `stop` is set. A chain or database that is down is waited for."""
        pause_s = poll_s
        while not stop.is_set():
            try:
                if self.step() or self._audit.check(CHECKS_PER_ROUND):
                    pause_s = poll_s
                    continue
                pause_s = poll_s
            except (ChainUnavailable, RpcFailed) as problem:
                log.warning("chain does not answer", detail=str(problem), retry_s=pause_s)
                self._observe(None, str(problem))
                pause_s = min(pause_s * 1.5, 30.0)
            stop.wait(pause_s)

    def read_blocks(self, first: int, last: int) -> list[BlockEvents]:
        """Blocks with events in `[first, last]`, and the last one. Raises ChainMoved, BlockUnknown."""
        end = self._chain.block(last)
        by_block: dict[int, list[Log]] = defaultdict(list)
        for entry in self._chain.logs(first, last, self._platform.addresses):
            by_block[entry.block_number].append(entry)
        found = []
        for number in sorted(by_block.keys() | {last}):
            block = end if number == last else self._chain.block(number)
            found.append(self._decoded(block, by_block.get(number, [])))
        if self._chain.block(last).hash != end.hash:
            raise ChainMoved(f"block {last} is another one now")
        return found

    def _decoded(self, block: Block, logs: list[Log]) -> BlockEvents:
        entries = []
        for entry in logs:
            if entry.block_hash != block.hash:
                raise ChainMoved(f"block {block.number} is another one now")
            event = self._platform.event(entry)
            if event is not None:
                entries.append(LoggedEvent(entry.log_index, hexadecimal(entry.transaction_hash), event))
        return BlockEvents(block.number, hexadecimal(block.hash), block.time_s, tuple(entries))

    def _stands(self, head: BlockEvents, chain_head: int) -> bool:
        """Whether a block that was applied is still in the chain."""
        if head.number > chain_head:
            return False
        return hexadecimal(self._chain.block(head.number).hash) == head.hash

    def _undo(self, chain_head: int) -> None:
        """Go back to the last applied block that still stands."""
        with self._store.read() as connection:
            rows = connection.execute(select(store.blocks).order_by(store.blocks.c.block_number.desc())).all()
        for row in rows:
            block = BlockEvents(row.block_number, row.hash, row.time)
            if self._stands(block, chain_head):
                break
        else:
            before = self._chain.block(self._first - 1)
            block = BlockEvents(before.number, hexadecimal(before.hash), before.time_s)
        log.warning("reorganisation", back_to_block=block.number)
        self._projection.undo_after(block)

    def _observe(self, chain_head: int | None, problem: str | None) -> None:
        table = store.observation
        with self._store.write() as connection:
            if chain_head is None:
                chain_head = connection.execute(select(table.c.chain_block_number)).scalar() or 0
            row = {
                "one": 1,
                "chain_block_number": chain_head,
                "observed_at": int(time.time()),
                "problem": problem,
            }
            store.replace_rows(connection, table, table.c.one == 1, [row])


def market_rules(platform: Platform) -> MarketRules:
    """What was fixed when the platform's market was deployed. Raises ChainUnavailable."""
    return MarketRules(platform.deployment.market, platform.market_terms())


def _stored_head(connection: Connection) -> BlockEvents | None:
    row = connection.execute(select(store.head)).one_or_none()
    return None if row is None else BlockEvents(row.block_number, row.block_hash, row.block_time)


def _groups(blocks: list[BlockEvents]) -> Iterator[list[BlockEvents]]:
    group: list[BlockEvents] = []
    events = 0
    for block in blocks:
        group.append(block)
        events += len(block.events)
        if events >= GROUP_EVENTS:
            yield group
            group, events = [], 0
    if group:
        yield group


@contextmanager
def only_follower(store_: Store) -> Iterator[None]:
    """Hold the right to write to a store, until the process ends in whatever way. Raises FollowerBusy."""
    where = store_.engine.url.render_as_string()
    if store_.engine.dialect.name == "postgresql":
        with store_.engine.connect() as connection:
            if not connection.execute(text("SELECT pg_try_advisory_lock(5065)")).scalar():
                raise FollowerBusy(f"another process follows the chain into {where}")
            connection.commit()
            yield
        return
    path = Path(str(store_.engine.url.database) + ".lock")
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FollowerBusy(f"another process follows the chain into {where}") from None
        yield
