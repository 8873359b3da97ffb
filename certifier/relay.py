"""Carries traders' signed messages to the market: many in one transaction, each with its own outcome.

What is carried was signed by the traders; the relayer pays for the transaction and can neither change nor
forge anything. Messages that arrive while a transaction is under way travel together in the next one
(`Market.placeMany`), so that throughput does not depend on the time of a block.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from contracts.chain import Receipt
from contracts.errors import ContractError, decode_error
from contracts.key import SigningKey
from contracts.market_calls import encode_place_many
from contracts.market_events import CallSkipped
from contracts.order import MarketDomain
from contracts.platform import Platform

MOST_CALLS = 50
"""Most messages in one transaction."""
GAS_BASE, GAS_PER_CALL = 100_000, 250_000
"""Gas of a transaction: more than any message needs, so that nothing is estimated, which would cost the node
as much as the transaction itself."""
WAIT_S = 60.0
"""How long a transaction may take to get into a block."""


class RelayerClosed(RuntimeError):
    """The relayer was stopped before the message was carried."""


@dataclass(frozen=True, slots=True)
class Carried:
    """Where a message is on chain."""

    transaction_hash: str
    block_number: int


@dataclass(slots=True)
class _Message:
    call: bytes
    outcome: Future[Carried]


class Relayer:
    """One account that carries messages, in a thread of its own; may be used from several threads."""

    def __init__(self, platform: Platform, key: SigningKey) -> None:
        self.platform = platform
        self.address = key.address
        self._key = key
        self._waiting: queue.Queue[list[_Message]] = queue.Queue()
        """Messages that came together travel together; an empty list ends the thread."""
        self._left_over: list[_Message] = []
        self._thread: threading.Thread | None = None
        self._start = threading.Lock()
        self._closed = False

    @property
    def domain(self) -> MarketDomain:
        """What messages must be signed for."""
        deployment = self.platform.deployment
        return deployment.market_domain

    def carry(self, call: bytes) -> Future[Carried]:
        """Carry an encoded call of the market; the future has where it is, or why it was refused.

        It raises ContractError for what the market refuses, and what `Chain.send` and `Chain.wait` raise.
        """
        return self.carry_all([call])[0]

    def carry_all(self, calls: Sequence[bytes]) -> list[Future[Carried]]:
        """Carry several calls, together as far as they fit; each has its own outcome."""
        messages = [_Message(call, Future()) for call in calls]
        with self._start:
            if self._closed:
                raise RelayerClosed("the relayer is stopped")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="relayer", daemon=True)
                self._thread.start()
            for first in range(0, len(messages), MOST_CALLS):
                self._waiting.put(messages[first : first + MOST_CALLS])
        return [message.outcome for message in messages]

    def close(self) -> None:
        """Stop once what waits is carried."""
        with self._start:
            self._closed = True
            thread = self._thread
        if thread is not None:
            self._waiting.put([])
            thread.join()

    def _run(self) -> None:
        while messages := self._next():
            self._carry(messages)

    def _next(self) -> list[_Message]:
        """What waits and fits into one transaction; nothing once the last was carried after `close`."""
        messages, self._left_over = self._left_over or self._waiting.get(), []
        while messages and not self._left_over:
            try:
                following = self._waiting.get_nowait()
            except queue.Empty:
                break
            if not following:
                self._waiting.put(following)  # the end, after what is carried now
                break
            if len(messages) + len(following) <= MOST_CALLS:
                messages = messages + following
            else:
                self._left_over = following
        return messages

    def _carry(self, messages: Sequence[_Message]) -> None:
        try:
            receipt = self._send([message.call for message in messages])
        except Exception as problem:
            for message in messages:
                message.outcome.set_exception(problem)
            return
        refused: dict[int, ContractError] = {
            event.index: decode_error(event.reason)
            for event in self.platform.events(receipt.logs)
            if isinstance(event, CallSkipped)
        }
        carried = Carried("0x" + receipt.transaction_hash.hex(), receipt.block_number)
        for index, message in enumerate(messages):
            if index in refused:
                message.outcome.set_exception(refused[index])
            else:
                message.outcome.set_result(carried)

    def _send(self, calls: Sequence[bytes]) -> Receipt:
        chain, market = self.platform.chain, self.platform.deployment.market
        gas = GAS_BASE + GAS_PER_CALL * len(calls)
        return chain.wait(chain.send_data(self._key, market, encode_place_many(calls), gas=gas), WAIT_S)
