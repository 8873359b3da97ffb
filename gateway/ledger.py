"""The one place where a gateway speaks to the Ledger and the Registry."""

from dataclasses import dataclass
from typing import Any, Final

from contracts.chain import Chain
from contracts.deployment import Deployment
from contracts.events import OpenBatchRecorded, PrivateBatchRecorded
from contracts.hour import HOURS_PER_DAY
from contracts.interface import Interface
from contracts.key import SigningKey
from contracts.platform import Platform
from contracts.reading import MAX_GATEWAY_SEQUENCE, MAX_RESIGNING_SEQUENCE
from contracts.slug import to_bytes32
from gateway.signing import Batch

_BASE_GAS: Final = 600_000
_HOUR_GAS: Final = 150_000
_BYTE_GAS: Final = 250
"""Generous: a batch of 500 records takes 560 gas a record, 70 a byte (unused gas is not paid for)."""


@dataclass(frozen=True, slots=True)
class StreamWord:
    """What the chain holds of a gateway's stream on a day."""

    last_sequence: int
    tainted: frozenset[int]
    """Hours of the day that were signed by a compromised key and count as missing."""


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """An open point as the registered boundary has it."""

    kind: int
    cap_wh: int


@dataclass(frozen=True, slots=True)
class ChainBatch:
    """A batch as the Ledger's event tells it."""

    sequence: int
    replaces: int
    changed_members: int
    payload: bytes
    signature: bytes
    key: str
    block: int


@dataclass(frozen=True, slots=True)
class Inclusion:
    """The block that has a transaction, and whether it did what it should."""

    block: int
    succeeded: bool


class LedgerLink:
    """Calls of one gateway; they raise ChainUnavailable, ContractError, RpcFailed (contracts.chain)."""

    def __init__(self, deployment: Deployment, gateway_id: str, account: SigningKey) -> None:
        """Asks nothing of the chain yet. `account` sends the transactions."""
        self._deployment = deployment
        self._chain = Chain(deployment.rpc_url, retry_s=1.0)
        self._connected: Platform | None = None
        self._gateway_id = gateway_id
        self._account = account
        self._finality_s: int | None = None
        self.domain = deployment.signing_domain
        self.setpoint_domain = deployment.setpoint_domain

    @property
    def _platform(self) -> Platform:
        """Raises DeploymentInvalid when the chain is another than the deployment's."""
        if self._connected is None:
            self._connected = Platform(self._chain, self._deployment)
        return self._connected

    def begin_anew(self) -> None:
        """After a reorganisation: ask the node again how many transactions the account has sent."""
        self._chain = Chain(self._deployment.rpc_url, retry_s=1.0)
        self._connected = None

    def block_time_s(self) -> int:
        """Unix time of the newest block."""
        return self._chain.block().time_s

    def head(self) -> int:
        """Number of the newest block."""
        return self._chain.head()

    @property
    def finality_s(self) -> int:
        """Seconds after the end of a day from which it is final."""
        if self._finality_s is None:
            self._finality_s = self._platform.finality_s()
        return self._finality_s

    def stream(self, private: bool, day: int) -> StreamWord:
        """What the newest block holds of a stream on a day."""
        state = self._platform.stream(self._gateway_id, day, private)
        tainted = frozenset(hour for hour in range(HOURS_PER_DAY) if state.tainted_hours >> hour & 1)
        return StreamWord(state.last_sequence, tainted)

    def batch_hash(self, private: bool, day: int, sequence: int) -> bytes:
        """Keccak-256 of an accepted batch's payload; zeros when there is none."""
        return self._platform.batch_hash(self._gateway_id, day, private, sequence)

    def manifest(self, day: int) -> list[ManifestEntry]:
        """The gateway's open points on a day, in the registered order."""
        pointer = self._context("openContext", day)[2]
        code = self._chain.code(pointer)[1:]
        return [
            ManifestEntry(code[place], int.from_bytes(code[place + 4 : place + 8], "big"))
            for place in range(0, len(code), 8)
        ]

    def last_sequence(self, day: int) -> int:
        """Last sequence of a day that the gateway can sign."""
        ever_compromised = self._context("openContext", day)[3]
        return MAX_RESIGNING_SEQUENCE if ever_compromised else MAX_GATEWAY_SEQUENCE

    def minimum_members(self, day: int) -> int:
        """Fewest members behind a sum of a private batch."""
        return int(self._context("privateContext", day)[3])

    def _context(self, function: str, day: int) -> Any:
        registry = self._deployment.registry
        return self._chain.call(registry, "Registry", function, to_bytes32(self._gateway_id), day)

    def submit(self, batch: Batch, signature: bytes, old_payload: bytes) -> bytes:
        """Send a batch, with the whole payload of the batch that it corrects; the transaction's hash."""
        size = len(batch.payload) + len(old_payload)
        gas = _BASE_GAS + _HOUR_GAS * HOURS_PER_DAY + _BYTE_GAS * size
        return self._platform.record(self._account, batch, signature, old_payload, gas=gas)

    def inclusion(self, transaction_hash: bytes) -> Inclusion | None:
        """The block that has a transaction, None when none has."""
        receipt = self._chain.receipt(transaction_hash)
        return None if receipt is None else Inclusion(receipt.block_number, receipt.succeeded)

    def failure(self, transaction_hash: bytes) -> Exception:
        """Why an included transaction failed, as the typed error of the contract."""
        receipt = self._chain.receipt(transaction_hash)
        if receipt is None:
            return RuntimeError("the block that had the transaction is gone")
        return self._chain.failure(receipt)

    def batches(self, private: bool, day: int) -> list[ChainBatch]:
        """The gateway's accepted batches of a day, from the Ledger's events, by sequence."""
        name = "PrivateBatchRecorded" if private else "OpenBatchRecorded"
        topics = [
            Interface.of("Ledger").event_topic(name),
            to_bytes32(self._gateway_id),
            None,
            day.to_bytes(32, "big"),
        ]
        first, ledger = self._deployment.deployed_block, self._deployment.ledger
        found = []
        for log in self._chain.logs(first, self._chain.head(), [ledger], topics):
            event = self._platform.event(log)
            assert isinstance(event, OpenBatchRecorded | PrivateBatchRecorded)
            changed = event.changed_members if isinstance(event, PrivateBatchRecorded) else 0
            found.append(
                ChainBatch(
                    event.sequence,
                    event.replaces,
                    changed,
                    event.payload,
                    event.signature,
                    event.key,
                    log.block_number,
                )
            )
        return sorted(found, key=lambda batch: batch.sequence)
