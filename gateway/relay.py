"""Carries signed batches to the chain: never lost, never twice.

Never lost: a batch is in the outbox before it is sent and stays there. Never twice: its (day, sequence) is
accepted once by the Ledger, and whatever happened in between, the chain is asked which payload a sequence
holds before anything is sent again. A batch counts as *on chain* with the configured number of blocks on top;
what a reorganisation removed is sent again.
"""

import threading
import time
from typing import Final

import structlog

from contracts.chain import RpcFailed
from contracts.deployment import DeploymentInvalid
from contracts.errors import ContractError
from contracts.hour import HOURS_PER_DAY, first_hour, format_day
from contracts.keccak import keccak
from contracts.reading import unpack_open
from gateway.backoff import Backoff
from gateway.batches import Batches, State, StoredBatch, private_hours
from gateway.builder import Builder, SequencesUsedUp, final_from_s
from gateway.clock import Clock
from gateway.config import GatewayConfig
from gateway.ledger import LedgerLink, StreamWord
from gateway.metrics import Metrics
from gateway.outbox import OutboxUnusable, connect, transaction
from gateway.records import Records
from gateway.signing import Signer

PENDING_S: Final = 60.0
"""How long, in real time, a transaction may wait for a block before its batch is sent again."""

_CONFLICTS: Final = frozenset(
    {"SequenceMismatch", "HourAlreadyRecorded", "HourNotHeld", "OldPayloadMismatch"}
)
"""The chain holds something else than the outbox thinks: learn it, and make the batch anew."""
_TEMPORARY: Final = frozenset({"HourNotClosed", "CompromiseUnscanned", "KeyRevoked", "WrongSigner"})
"""The same batch, perhaps signed with another key, is good later."""

Stream = tuple[bool, int]
"""(private, day)."""

log = structlog.get_logger()


class ManifestMismatch(RuntimeError):
    """The configured points are not those of the registered boundary."""


class Relay:
    """One thread that builds, sends and follows the batches of one gateway."""

    def __init__(
        self, config: GatewayConfig, link: LedgerLink, signer: Signer, clock: Clock, metrics: Metrics
    ) -> None:
        """Opens the outbox of `config`. Raises OutboxUnusable."""
        self._config = config
        self._link = link
        self._signer = signer
        self._clock = clock
        self._metrics = metrics
        self._db = connect(config.gateway.data)
        self._batches = Batches(self._db)
        self._records = Records(config, self._db)
        self._builder = Builder(config, self._db, signer)
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._flush_lock = threading.Condition()
        self._flush_asked = 0
        self._flush_done = 0
        self._words: dict[Stream, StreamWord] = {}
        self._manifests: set[int] = set()
        self._never_sent: set[int] = set()
        self._sent_at: dict[int, float] = {}
        self._held_until: dict[Stream, float] = {}
        self._backoffs: dict[Stream, Backoff] = {}
        self._built_at_s = -1
        self._audited_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self.problem = ""
        """Why the chain cannot be reached now; empty when all is well."""
        self.held: dict[Stream, str] = {}
        """Streams' days that wait, and why."""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End after the step that is under way; everything is in the outbox."""
        self._stopping.set()
        self._woken.set()
        self._thread.join()
        self._db.close()

    def wake(self) -> None:
        """There are new readings."""
        self._woken.set()

    def flush(self, timeout_s: float = 60.0) -> bool:
        """Send every closed hour now, complete or not; whether all of them got an answer in time."""
        with self._flush_lock:
            self._flush_asked += 1
            asked = self._flush_asked
            self._woken.set()
            return self._flush_lock.wait_for(lambda: self._flush_done >= asked, timeout_s)

    def _run(self) -> None:
        backoff = Backoff()
        while not self._stopping.is_set():
            woken = self._woken.wait(self._config.relay.poll_s)
            self._woken.clear()
            with self._flush_lock:
                flush = self._flush_asked
            try:
                settled = self.step(woken=woken, flush=flush > self._flush_done)
            except (RpcFailed, ContractError, DeploymentInvalid, OutboxUnusable, OSError) as error:
                self._failed(str(error), backoff, exc_info=False)
                continue
            except Exception as error:
                self._failed(repr(error), backoff, exc_info=True)
                continue
            backoff.reset()
            self.problem = ""
            with self._flush_lock:
                if settled and flush > self._flush_done:
                    self._flush_done = flush
                    self._flush_lock.notify_all()
            if woken:  # readings come in bursts: look at them together
                self._stopping.wait(self._config.relay.poll_s)

    def _failed(self, problem: str, backoff: Backoff, exc_info: bool) -> None:
        self.problem = problem
        self._metrics.relay_failures.inc()
        wait_s = backoff.next_s()
        log.warning("relay waits", problem=problem, wait_s=round(wait_s, 1), exc_info=exc_info)
        self._stopping.wait(wait_s)
        self._built_at_s = -1

    def step(self, *, woken: bool = True, flush: bool = False) -> bool:
        """One round: follow, build, send. Whether everything that could be sent has its answer."""
        now_s = self._clock.now_s()
        for stream in list(self._held_until):
            self._is_held(stream)
        self._follow(now_s)
        if time.monotonic() - self._audited_at >= self._config.relay.audit_s:
            self._audit(now_s)
            self._audited_at = time.monotonic()
        if woken or flush or now_s != self._built_at_s:
            self._build(now_s, flush)
            self._built_at_s = now_s
        self._send(now_s)
        return not [
            batch
            for batch in self._batches.in_state(State.SIGNED, State.SUBMITTED)
            if (batch.private, batch.day) not in self.held
        ]

    # --- build

    def _build(self, now_s: int, flush: bool) -> None:
        for stream in sorted(self._batches.touched()):
            if self._is_held(stream):
                continue
            private, day = stream
            try:
                if not private:
                    self._require_manifest(day)
                word = self._words.get(stream) or self._learn(stream, now_s)
                rows = self._builder.build(
                    private,
                    day,
                    now_s,
                    flush=flush,
                    chain_sequence=word.last_sequence,
                    tainted=word.tainted,
                    minimum_members=lambda day=day: self._link.minimum_members(day),  # type: ignore[misc]
                    last_sequence=lambda day=day: self._link.last_sequence(day),  # type: ignore[misc]
                )
            except (ManifestMismatch, SequencesUsedUp) as error:
                self._hold(stream, str(error))
                continue
            self._never_sent.update(rows)
            self._metrics.batches.labels(State.SIGNED).inc(len(rows))
            if rows and word.tainted:
                del self._words[stream]

    def _require_manifest(self, day: int) -> None:
        """Raises ManifestMismatch. The Ledger would refuse, or take one point's energy for another's."""
        if day in self._manifests:
            return
        points = self._records.points(False, day)
        if not points:
            return
        registered = [(entry.kind, entry.cap_wh) for entry in self._link.manifest(day)]
        configured = [(int(point.kind), point.rule.register.cap_wh) for point in points]
        if registered != configured:
            places = [
                index
                for index, pair in enumerate(zip(registered, configured, strict=False))
                if pair[0] != pair[1]
            ]
            first = f"; the first difference is at {points[places[0]].serial}" if places else ""
            raise ManifestMismatch(
                f"on {format_day(day)} the registry lists {len(registered)} open points for this gateway, "
                f"the configuration {len(configured)}{first}: kinds, nameplates and order must be the same"
            )
        self._manifests.add(day)

    def _learn(self, stream: Stream, now_s: int) -> StreamWord:
        """What the chain holds of a stream's day; batches that the outbox lacks are taken from the events."""
        private, day = stream
        word = self._link.stream(private, day)
        live = {batch.sequence: batch for batch in self._batches.live(private, day)}
        if word.last_sequence and any(
            sequence not in live or live[sequence].state is State.SIGNED
            for sequence in range(1, word.last_sequence + 1)
        ):
            accepted = self._link.batches(private, day)
            points = max(1, len(self._records.points(False, day)))
            with transaction(self._db):
                for found in accepted:
                    own = live.get(found.sequence)
                    if own is not None and own.payload == found.payload:
                        if own.state is State.SIGNED:
                            self._batches.set_state(own, State.SUBMITTED, now_s, block=found.block)
                        continue
                    if own is not None:
                        self._batches.void(own, now_s)
                    hours = (
                        private_hours(found.payload, day)
                        if private
                        else [
                            first_hour(day) + section.hour_of_day
                            for section in unpack_open(found.payload, points)
                        ]
                    )
                    self._batches.add(
                        private,
                        day,
                        found.sequence,
                        found.replaces,
                        hours,
                        found.payload,
                        found.changed_members,
                        found.signature,
                        found.key,
                        now_s,
                        state=State.SUBMITTED,
                        block=found.block,
                    )
                    log.info("batch taken over from the chain", day=format_day(day), sequence=found.sequence)
        self._words[stream] = word
        return word

    # --- send

    def _send(self, now_s: int) -> None:
        waiting = {(batch.private, batch.day) for batch in self._batches.in_state(State.SUBMITTED)}
        for batch in self._batches.in_state(State.SIGNED):
            stream = (batch.private, batch.day)
            if stream in waiting or self._is_held(stream) or self._stopping.is_set():
                continue
            if not self._send_one(batch, now_s):
                waiting.add(stream)

    def _send_one(self, batch: StoredBatch, now_s: int) -> bool:
        """Whether the next batch of the day may follow at once."""
        if batch.id not in self._never_sent and self._is_accepted(batch):
            with transaction(self._db):
                self._batches.set_state(batch, State.SUBMITTED, now_s, block=self._link.head())
            return True
        message = self._signer.batch(
            batch.private, batch.day, batch.sequence, batch.replaces, batch.changed_members, batch.payload
        )
        signature = batch.signature
        if batch.signer != self._signer.address:
            signature = self._signer.sign(message)
            with transaction(self._db):
                self._batches.set_signature(batch, signature, self._signer.address, now_s)
        old_payload = b""
        if batch.replaces:
            live = self._batches.live(batch.private, batch.day)
            old_payload = next(old.payload for old in live if old.sequence == batch.replaces)
        self._never_sent.discard(batch.id)
        try:
            transaction_hash = self._link.submit(message, signature, old_payload)
        except ContractError as error:
            self._answered(batch, error, now_s)
            return False
        self._sent_at[batch.id] = time.monotonic()
        with transaction(self._db):
            self._batches.set_state(batch, State.SUBMITTED, now_s, transaction_hash=transaction_hash)
        self._metrics.batches.labels(State.SUBMITTED).inc()
        return self._follow_one(self._row(batch), self._link.head(), now_s)

    def _row(self, batch: StoredBatch) -> StoredBatch:
        return next(row for row in self._batches.live(batch.private, batch.day) if row.id == batch.id)

    # --- follow

    def _follow(self, now_s: int) -> None:
        submitted = self._batches.in_state(State.SUBMITTED)
        head = self._link.head() if submitted else 0
        for batch in submitted:
            self._follow_one(batch, head, now_s)

    def _follow_one(self, batch: StoredBatch, head: int, now_s: int) -> bool:
        """Look after a submitted batch; whether the chain has it now."""
        block = None
        if batch.transaction_hash is not None:
            inclusion = self._link.inclusion(batch.transaction_hash)
            if inclusion is not None and not inclusion.succeeded:
                self._answered(batch, self._link.failure(batch.transaction_hash), now_s)
                return False
            block = inclusion.block if inclusion else None
        if block is None:
            if not self._is_accepted(batch):
                self._again(batch, now_s)
                return False
            block = batch.block if batch.block is not None else head
        state = State.ON_CHAIN if head - block >= self._config.chain.confirmations else State.SUBMITTED
        if (state, block) != (batch.state, batch.block):
            with transaction(self._db):
                self._batches.set_state(batch, state, now_s, block=block)
        if state is State.ON_CHAIN:
            self._metrics.batches.labels(state).inc()
            self._sent_at.pop(batch.id, None)
            self._release((batch.private, batch.day))
        return True

    def _again(self, batch: StoredBatch, now_s: int) -> None:
        """No block has the batch: wait for one, or after a while send it again."""
        sent_at = self._sent_at.get(batch.id)
        vanished = batch.block is not None
        if vanished or sent_at is None or time.monotonic() - sent_at > PENDING_S:
            self._link.begin_anew()
            log.warning("batch is sent again", day=format_day(batch.day), sequence=batch.sequence)
            with transaction(self._db):
                self._batches.set_state(batch, State.SIGNED, now_s, reason="no block has it, sent again")

    def _is_accepted(self, batch: StoredBatch) -> bool:
        held = self._link.batch_hash(batch.private, batch.day, batch.sequence)
        return held == keccak(batch.payload)

    def _audit(self, now_s: int) -> None:
        """Mark what is final; find what a deep reorganisation removed and what a compromise tainted."""
        streams: dict[Stream, list[StoredBatch]] = {}
        for batch in self._batches.in_state(State.ON_CHAIN):
            streams.setdefault((batch.private, batch.day), []).append(batch)
        for (private, day), batches in streams.items():
            word = self._link.stream(private, day)
            if batches[-1].sequence > word.last_sequence:
                self._link.begin_anew()
                gone = [batch for batch in batches if not self._is_accepted(batch)]
                with transaction(self._db):
                    for batch in gone:
                        self._batches.set_state(
                            batch, State.SIGNED, now_s, reason="reorganisation, sent again"
                        )
                log.warning("a reorganisation removed batches", day=format_day(day), batches=len(gone))
                continue
            if now_s >= final_from_s(day, self._link.finality_s):
                with transaction(self._db):
                    for batch in batches:
                        self._batches.set_state(batch, State.FINAL, now_s, block=batch.block)
                self._metrics.batches.labels(State.FINAL).inc(len(batches))
                self._words.pop((private, day), None)
            elif word.tainted:
                self._words[private, day] = word
                with transaction(self._db):
                    hours = [first_hour(day) + hour for hour in word.tainted if hour < HOURS_PER_DAY]
                    self._batches.touch(private, hours, now_s)

    # --- refusals

    def _answered(self, batch: StoredBatch, error: Exception, now_s: int) -> None:
        """The Ledger refused a batch."""
        name = error.error_name if isinstance(error, ContractError) else ""
        stream = (batch.private, batch.day)
        later = [
            other
            for other in self._batches.live(batch.private, batch.day)
            if other.sequence > batch.sequence and other.state is State.SIGNED
        ]
        if self._is_accepted(batch):
            with transaction(self._db):
                self._batches.set_state(batch, State.SUBMITTED, now_s, block=self._link.head())
        elif name in _TEMPORARY or not name:
            with transaction(self._db):
                self._batches.set_state(batch, State.SIGNED, now_s, reason=str(error))
            self._hold(stream, str(error))
        elif name in _CONFLICTS:
            with transaction(self._db):
                for other in (batch, *later):
                    self._batches.void(other, now_s)
            self._words.pop(stream, None)
            self._hold(stream, str(error))
        else:
            log.error("batch refused", day=format_day(batch.day), sequence=batch.sequence, reason=str(error))
            with transaction(self._db):
                self._batches.set_state(batch, State.REFUSED, now_s, reason=str(error))
                for other in later:
                    self._batches.void(other, now_s)
            self._metrics.batches.labels(State.REFUSED).inc()

    def _hold(self, stream: Stream, reason: str) -> None:
        wait_s = self._backoffs.setdefault(stream, Backoff()).next_s()
        self.held[stream] = reason
        self._held_until[stream] = time.monotonic() + wait_s
        log.warning("day waits", day=format_day(stream[1]), reason=reason, wait_s=round(wait_s, 1))

    def _is_held(self, stream: Stream) -> bool:
        until = self._held_until.get(stream)
        if until is None:
            return False
        if time.monotonic() >= until:
            del self._held_until[stream]
            self.held.pop(stream, None)
            self._built_at_s = -1
            return False
        return True

    def _release(self, stream: Stream) -> None:
        self._held_until.pop(stream, None)
        self._backoffs.pop(stream, None)
        self.held.pop(stream, None)
