"""Set-points: takes an optimiser's proposals, commands the devices, falls back to the safe local schedule.

Proposals, never orders by force: an accepted proposal governs while it is valid, until a newer one does;
where none governs, or says nothing of a device, the configured safe schedule holds. All of it follows from
the outbox's file and the time, so a gateway that was killed, or whose broker was down, goes on by looking at
both. A command is sent until the device answers or its interval is over.
"""

import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NamedTuple

import structlog
from prometheus_client import Counter, Gauge

from contracts.hour import format_time_utc
from contracts.setpoint import SetpointDomain, SetpointInvalid, SignedProposal
from gateway.clock import Clock
from gateway.config import ControllableTable, ControlTable, GatewayConfig
from gateway.control_store import ControlStore, Target
from gateway.metrics import Metrics
from gateway.outbox import OutboxUnusable, connect
from gateway.proposal_rules import ProposalProblem, ProposalRefused, require_acceptable, signer_of
from gateway.setpoint_messages import MessageInvalid, read_answer, read_state

log = structlog.get_logger()

Publish = Callable[[str, bytes], bool]
"""Hands a message for a topic to the broker; False when there is no connection."""

RETRY_S: Final = 1.0


class _Heard(NamedTuple):
    device: str
    kind: str
    payload: bytes
    done: Callable[[], object]


class Control:
    """The control of one gateway; `submit` may be called from several threads."""

    def __init__(
        self,
        config: GatewayConfig,
        table: ControlTable,
        domain: SetpointDomain,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        """Opens the outbox of `config`. Raises OutboxUnusable."""
        self._config = config
        self._table = table
        self._domain = domain
        self._clock = clock
        self._devices = {entry.device: entry for entry in config.controllable}
        self._proposals_db = connect(config.gateway.data)
        self._proposals = ControlStore(self._proposals_db)
        self._db = connect(config.gateway.data)
        self._store = ControlStore(self._db)
        self._submitting = threading.Lock()
        self._events: queue.SimpleQueue[_Heard | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)
        self._last_try: dict[int, float] = {}
        self.publish: Publish = lambda _topic, _payload: False
        """How commands leave; set before `start`."""
        self.problem = ""
        """Why devices cannot be commanded now; empty when all is well."""
        registry = metrics.registry
        self._counted_proposals = Counter(
            "ped_gateway_proposals", "Proposals of set-points, by outcome", ["outcome"], registry=registry
        )
        self._counted = Counter(
            "ped_gateway_setpoints", "Commands to devices, by event", ["event"], registry=registry
        )
        self._follows = Gauge(
            "ped_gateway_follows_proposal",
            "1 while a device follows a proposal, 0 while it follows the safe schedule",
            ["device"],
            registry=registry,
        )

    @property
    def devices(self) -> list[str]:
        """Devices that take set-points."""
        return list(self._devices)

    def start(self) -> None:
        """Start commanding."""
        self._thread.start()

    def stop(self) -> None:
        """End; what is not answered is sent again at the next start."""
        self._stopping.set()
        self._events.put(None)
        self._thread.join()
        self._db.close()
        with self._submitting:
            self._proposals_db.close()

    def wake(self) -> None:
        """Look at once, for example because the broker is back."""
        self._events.put(None)

    def heard(self, device: str, kind: str, payload: bytes, done: Callable[[], object]) -> None:
        """A device's `setpoints` or `status` message; `done` is called when it is kept."""
        self._events.put(_Heard(device, kind, payload, done))

    def submit(self, body: bytes) -> dict[str, Any]:
        """Take a proposal's document: what was accepted, the same again for one that was accepted before.

        Raises ProposalRefused (and keeps the refusal), OutboxUnusable and OSError when nothing could
        be decided.
        """
        with self._submitting:
            signed, optimiser = None, None
            try:
                try:
                    signed = SignedProposal.from_json(body)
                except SetpointInvalid as error:
                    raise ProposalRefused(ProposalProblem("malformed", str(error))) from None
                optimiser = signer_of(signed, self._table, self._domain)
                known_s = self._proposals.accepted(signed.digest)
                if known_s is None:
                    self._judge_and_keep(signed, optimiser)
            except ProposalRefused as refused:
                digest = None if signed is None else signed.digest
                self._keep_refusal(refused, optimiser, digest, body)
                raise
        self._counted_proposals.labels("accepted" if known_s is None else "duplicate").inc()
        self.wake()
        return {
            "proposal": "0x" + signed.digest.hex(),
            "optimiser": optimiser,
            "sequence": signed.proposal.sequence,
            "state": "accepted",
            "duplicate": known_s is not None,
            "valid_from_utc": format_time_utc(signed.proposal.valid_from_s),
            "valid_until_utc": format_time_utc(signed.proposal.valid_until_s),
        }

    def _judge_and_keep(self, signed: SignedProposal, optimiser: str) -> None:
        now_s = self._clock.now_s()
        if signed.proposal.created_s > now_s:  # a chain's clock may have moved on since it was asked
            now_s = max(now_s, self._clock.now_s(at_least=signed.proposal.created_s))
        require_acceptable(
            signed.proposal,
            self._config,
            now_s,
            self._proposals.last_sequence(optimiser),
            self._proposals.state,
            lambda device, time_s: (
                self._target(self._proposals, self._devices[device], time_s - 1).setpoint_w
            ),
        )
        self._proposals.accept(signed, optimiser, now_s)
        log.info("proposal accepted", optimiser=optimiser, sequence=signed.proposal.sequence)

    def _keep_refusal(
        self, refused: ProposalRefused, optimiser: str | None, digest: bytes | None, body: bytes
    ) -> None:
        kind = refused.problems[0].kind
        self._counted_proposals.labels("refused").inc()
        log.warning("proposal refused", kind=kind, detail=str(refused), optimiser=optimiser)
        detail = "; ".join(problem.detail for problem in refused.problems)
        self._proposals.refuse(self._clock.now_s(), optimiser, digest, kind, detail, body)

    def _run(self) -> None:
        while not self._stopping.is_set():
            events: list[_Heard] = []
            with suppress(queue.Empty):
                first = self._events.get(timeout=self._table.poll_s)
                events += [first] if first is not None else []
                while True:
                    event = self._events.get_nowait()
                    events += [event] if event is not None else []
            try:
                self._keep(events)
                self._command()
                self.problem = ""
            except Exception as error:  # whatever it is, the devices still need their schedule
                expected = isinstance(error, (OutboxUnusable, OSError))
                if self.problem != str(error):
                    log.error("devices cannot be commanded", reason=str(error), exc_info=not expected)
                self.problem = str(error) or type(error).__name__
                for event in events:
                    if expected:
                        self._events.put(event)
                    else:
                        event.done()
                self._stopping.wait(RETRY_S)

    def _keep(self, events: list[_Heard]) -> None:
        """Keep what devices said. Repeating it changes nothing."""
        for event in events:
            try:
                if event.kind == "status":
                    self._store.put_state(event.device, read_state(event.payload), self._clock.now_s())
                else:
                    answer = read_answer(event.payload)
                    if self._store.answer(event.device, answer, self._clock.now_s()):
                        self._counted.labels(answer.status).inc()
                    self._last_try.pop(answer.id, None)
            except MessageInvalid as error:
                log.warning("device not understood", device=event.device, reason=str(error))
                self._counted.labels("not understood").inc()
        for event in events:
            event.done()

    def _command(self) -> None:
        """Make the commands that the time asks for, and send what has no answer."""
        now_s = self._clock.now_s()
        for number, device in self._store.expire(now_s):
            self._last_try.pop(number, None)
            self._counted.labels("expired").inc()
            log.warning("set-point expired without an answer", device=device, id=number)
        wanted = []
        for table in self._devices.values():
            for time_s in dict.fromkeys((now_s, now_s + self._table.lead_s)):
                target = self._target(self._store, table, time_s)
                held = self._store.newest_command(table.device, time_s)
                if time_s == now_s:
                    self._follows.labels(table.device).set(target.source == "proposal")
                if held is None or held[:5] != target[:5]:
                    wanted.append(target)
        if wanted:
            targets = list(dict.fromkeys(wanted))
            self._store.command(targets, now_s)
            self._counted.labels("created").inc(len(targets))
        self._send(now_s)

    def _send(self, now_s: int) -> None:
        now = time.monotonic()
        sent = []
        for command in self._store.unanswered():
            if now - self._last_try.get(command.id, float("-inf")) < self._table.retry_s:
                continue
            topic = f"ped/v1/{self._config.gateway.district}/{command.device}/down/setpoints"
            if not self.publish(topic, command.to_json()):
                break
            self._last_try[command.id] = now
            sent.append(command.id)
        if sent:
            self._store.sent(sent, now_s)
            self._counted.labels("sent").inc(len(sent))

    def _target(self, store: ControlStore, table: ControllableTable, time_s: int) -> Target:
        planned = store.planned(table.device, time_s)
        if planned is not None:
            return planned
        start_s = time_s - time_s % self._table.interval_s
        return Target(
            table.device, start_s, start_s + self._table.interval_s, table.safe_at(time_s), "safe", None
        )
