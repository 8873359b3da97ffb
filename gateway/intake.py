"""Intake: one thread writes what devices send, many messages in one transaction, then sends the receipts.

Receipts leave only after the commit (the broker's own acknowledgement promises nothing, domain.md §9). When
the outbox has no room nobody gets a receipt: messages from the broker wait, HTTP requests fail.
"""

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import structlog

from contracts.hour import HOUR_S, hour_of
from gateway.acceptance import Acceptance, Changes, Refused
from gateway.clock import Clock
from gateway.config import GatewayConfig
from gateway.intervals import Intervals
from gateway.metrics import Metrics
from gateway.outbox import Intake as OutboxIntake
from gateway.outbox import OutboxUnusable, connect, transaction
from gateway.payload import PayloadInvalid, ReadingProblem, decode, digest_id, id_of_refused

GROUP_MESSAGES: Final = 400
"""Most messages of one transaction."""
RETRY_S: Final = 1.0

log = structlog.get_logger()


@dataclass(slots=True)
class Receipt:
    """What became of a message; sent once its readings are safe."""

    id: str
    accepted: int = 0
    duplicates: int = 0
    refused: list[dict[str, Any]] = field(default_factory=list)
    """Per refused reading: type, title, detail (RFC 9457), index in the message and point."""
    notes: list[str] = field(default_factory=list)

    @property
    def status(self) -> str:
        """accepted, partly refused, or refused."""
        if not self.refused:
            return "accepted"
        return "partly refused" if self.accepted or self.duplicates else "refused"

    def to_json(self) -> bytes:
        """The receipt as the device gets it."""
        return msgspec.json.encode(
            {
                "id": self.id,
                "status": self.status,
                "accepted": self.accepted,
                "duplicates": self.duplicates,
                "refused": self.refused,
                "notes": self.notes,
            }
        )


@dataclass(slots=True)
class Delivery:
    """A message on its way in. `done` is called after the commit, `failed` when there was none."""

    device: str
    body: bytes
    done: Callable[[Receipt], None]
    failed: Callable[[Exception], None] | None = None
    """None: the message waits and is tried again (it would be lost otherwise)."""
    idempotency_key: str | None = None


class KeyReused(ValueError):
    """An Idempotency-Key came back with another content."""


class IntakeWorker:
    """The only writer of readings."""

    def __init__(
        self,
        config: GatewayConfig,
        clock: Clock,
        metrics: Metrics,
        on_commit: Callable[[], None] = lambda: None,
    ) -> None:
        """Opens the outbox of `config`. Raises OutboxUnusable. `on_commit` is called after new readings."""
        self._db = connect(config.gateway.data)
        self._outbox = OutboxIntake(self._db)
        self._intervals = Intervals(self._db)
        self._acceptance = Acceptance(config, self._outbox, self._intervals)
        self._clock = clock
        self._metrics = metrics
        self._on_commit = on_commit
        self._queue: queue.SimpleQueue[Delivery | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)
        self.problem = ""
        """Why nothing can be written now; empty when all is well."""

    def start(self) -> None:
        """Start the writing thread."""
        self._thread.start()

    def stop(self) -> None:
        """Write what was submitted, then end. What cannot be written gets no receipt."""
        self._stopping.set()
        self._queue.put(None)
        self._thread.join()
        self._db.close()

    def submit(self, delivery: Delivery) -> None:
        """Hand in a message; returns at once."""
        self._queue.put(delivery)

    @property
    def waiting(self) -> int:
        """Messages that are not written yet."""
        return self._queue.qsize()

    def _run(self) -> None:
        kept: list[Delivery] = []
        ending = False
        while not ending:
            group = kept
            if not kept:
                first = self._queue.get()
                ending = first is None
                group = [] if first is None else [first]
            while len(group) < GROUP_MESSAGES and not self._queue.empty():
                item = self._queue.get()
                if item is None:
                    ending = True
                else:
                    group.append(item)
            kept = self._commit(group) if group else []
            if kept and self._stopping.wait(RETRY_S):
                ending = True

    def _commit(self, group: list[Delivery]) -> list[Delivery]:
        """Write a group and answer it; the messages that must be tried again."""
        try:
            now_s = self._clock.now_s()
            with self._metrics.commit_seconds.time(), transaction(self._db):
                changes = Changes()
                outcomes = [self._take(delivery, now_s, changes) for delivery in group]
                self._intervals.write()
                self._outbox.touch(changes.touched)
        except Exception as error:
            self._acceptance.forget()
            self.problem = str(error)
            expected = isinstance(error, (OutboxUnusable, OSError))
            log.error("readings not written", error=str(error), messages=len(group), exc_info=not expected)
            self._metrics.failed_commits.inc()
            if not expected and len(group) > 1:  # find the message that we cannot digest
                return [kept for delivery in group for kept in self._commit([delivery])]
            for delivery in group:
                if delivery.failed is not None:
                    delivery.failed(error)
            return [delivery for delivery in group if delivery.failed is None] if expected else []
        self.problem = ""
        receipts = [outcome for outcome in outcomes if isinstance(outcome, Receipt)]
        self._metrics.count(receipts)
        if any(receipt.accepted for receipt in receipts):
            self._on_commit()
        for delivery, outcome in zip(group, outcomes, strict=True):
            if isinstance(outcome, Receipt):
                delivery.done(outcome)
            elif delivery.failed is not None:
                delivery.failed(outcome)
        return []

    def _take(self, delivery: Delivery, now_s: int, changes: Changes) -> Receipt | KeyReused:
        """Write one message inside the open transaction."""
        key, digest = delivery.idempotency_key, ""
        if key is not None:
            digest = digest_id(delivery.body)
            known = self._outbox.answer(delivery.device, key)
            if known is not None:
                if known[0] != digest:
                    return KeyReused(f"Idempotency-Key {key!r} was used before with another content")
                return _receipt_of(known[1])
        receipt = self._readings(delivery, now_s, changes)
        if key is not None:
            self._outbox.keep_answer(delivery.device, key, digest, receipt.to_json(), now_s)
        return receipt

    def _readings(self, delivery: Delivery, now_s: int, changes: Changes) -> Receipt:
        try:
            message = decode(delivery.body)
        except PayloadInvalid as error:
            receipt = Receipt(id_of_refused(delivery.body))
            receipt.refused.append(_problem("malformed", str(error)))
            self._outbox.refuse([("", hour_of(now_s), delivery.device, receipt.id, str(error), now_s)])
            return receipt
        receipt = Receipt(message.id)
        changes.message = self._outbox.add_message(delivery.device, message.id, now_s)
        refusals = []
        for index, reading in enumerate(message.readings):
            try:
                if isinstance(reading, ReadingProblem):
                    raise Refused("malformed", reading.detail)
                try:
                    taken = self._acceptance.take(delivery.device, reading, now_s, changes)
                except Refused as refused:
                    if refused.kind != "future":
                        raise
                    end_s = reading.time_s + (reading.interval_s or HOUR_S)
                    now_s = max(now_s, self._clock.now_s(at_least=end_s))
                    taken = self._acceptance.take(delivery.device, reading, now_s, changes)
            except Refused as refused:
                receipt.refused.append(_problem(refused.kind, refused.detail, index, reading.point))
                hour = hour_of(now_s if isinstance(reading, ReadingProblem) else reading.time_s)
                refusals.append((reading.point, hour, delivery.device, message.id, refused.detail, now_s))
                continue
            if taken.duplicate:
                receipt.duplicates += 1
            else:
                receipt.accepted += 1
            if taken.note:
                receipt.notes.append(taken.note)
        if refusals:
            self._outbox.refuse(refusals)
        return receipt


_TITLES: Final = {
    "malformed": "The message or reading cannot be read",
    "unknown-point": "Unknown metering point",
    "unknown-register": "Unknown register",
    "wrong-device": "Another device's point",
    "wrong-district": "Another district",
    "wrong-form": "Wrong form of reading",
    "wrong-interval": "Wrong interval",
    "wrong-channel": "Energy in a direction that is not metered",
    "misaligned": "Interval not aligned to UTC",
    "not-in-force": "Point not in force",
    "future": "Reading from the future",
    "implausible": "More than the point can carry",
    "conflict": "Another value is stored",
}


def _problem(kind: str, detail: str, index: int | None = None, point: str | None = None) -> dict[str, Any]:
    problem: dict[str, Any] = {"type": f"urn:ped:problem:{kind}", "title": _TITLES[kind], "detail": detail}
    if index is not None:
        problem.update(index=index, point=point)
    return problem


def _receipt_of(answer: bytes) -> Receipt:
    content = msgspec.json.decode(answer)
    content.pop("status")
    return Receipt(**content)
