"""The one place where a gateway speaks to the Ledger and the Registry."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from contracts.chain import Chain
from contracts.hour import HOURS_PER_DAY
from contracts.interface import Interface
from contracts.key import SigningKey
from contracts.reading import PrivateBatch, SigningDomain
from contracts.slug import to_bytes32
from gateway.signing import Batch

_BASE_GAS: Final = 600_000
_HOUR_GAS: Final = 150_000
_BYTE_GAS: Final = 250
"""Generous: a batch of 500 records takes 560 gas a record, 70 a byte (unused gas is not paid for)."""


class DeploymentInvalid(ValueError):
    """The deployment file cannot be used."""


@dataclass(frozen=True, slots=True)
class StreamWord:
    """What the chain holds of a gateway's stream on a day."""

    holders: tuple[int, ...]
    """For each hour of the day the sequence of the batch that holds it; 0 none."""
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

    def __init__(
        self, chain: Chain, deployment: dict[str, Any], gateway_id: str, account: SigningKey
    ) -> None:
        self._chain = chain
        self._ledger: str = deployment["ledger"]
        self._registry: str = deployment["registry"]
        self._first_block: int = deployment.get("deployed_block", 0)
        self._gateway = to_bytes32(gateway_id)
        self._account = account
        self._finality_s: int | None = None
        self.domain = SigningDomain(deployment["chain_id"], self._ledger)

    @classmethod
    def from_file(cls, path: Path, gateway_id: str, account: SigningKey) -> "LedgerLink":
        """Link by a deployment file. Raises DeploymentInvalid naming what is wrong, OSError."""
        try:
            deployment = json.loads(path.read_text("utf-8"))
            return cls(Chain(deployment["rpc_url"], retry_s=1.0), deployment, gateway_id, account)
        except (ValueError, KeyError, TypeError) as error:
            raise DeploymentInvalid(f"{path} is no deployment file: {error!r}") from None

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
            self._finality_s = self._chain.call(self._ledger, "Ledger", "finalitySeconds")
        return self._finality_s

    def stream(self, private: bool, day: int) -> StreamWord:
        """What the newest block holds of a stream on a day."""
        word: int = self._chain.call(self._ledger, "Ledger", "streamWord", self._gateway, day, private)
        return StreamWord(
            tuple(word >> 8 * hour & 0xFF for hour in range(HOURS_PER_DAY)),
            word >> 192 & 0xFF,
            frozenset(hour for hour in range(HOURS_PER_DAY) if word >> (232 + hour) & 1),
        )

    def batch_hash(self, private: bool, day: int, sequence: int) -> bytes:
        """Keccak-256 of an accepted batch's payload; zeros when there is none."""
        digest: bytes = self._chain.call(
            self._ledger, "Ledger", "batchHash", self._gateway, day, private, sequence
        )
        return digest

    def manifest(self, day: int) -> list[ManifestEntry]:
        """The gateway's open points on a day, in the registered order."""
        pointer = self._chain.call(self._registry, "Registry", "openContext", self._gateway, day)[2]
        code = self._chain.code(pointer)[1:]
        return [
            ManifestEntry(code[place], int.from_bytes(code[place + 4 : place + 8], "big"))
            for place in range(0, len(code), 8)
        ]

    def minimum_members(self, day: int) -> int:
        """Fewest members behind a sum of a private batch."""
        minimum: int = self._chain.call(self._registry, "Registry", "privateContext", self._gateway, day)[3]
        return minimum

    def submit(self, batch: Batch, signature: bytes, old_payload: bytes | None) -> bytes:
        """Send a batch, with the whole payload of the batch that it corrects; the transaction's hash."""
        private = isinstance(batch, PrivateBatch)
        function = ("record" if old_payload is None else "correct") + ("Private" if private else "Open")
        size = len(batch.payload) + len(old_payload or b"")
        gas = _BASE_GAS + _HOUR_GAS * HOURS_PER_DAY + _BYTE_GAS * size
        shown = () if old_payload is None else (old_payload,)
        fields: dict[str, Any] = {
            "gatewayId": self._gateway,
            "day": batch.day,
            "sequence": batch.sequence,
            "replaces": batch.replaces,
            "payload": batch.payload,
        }
        if isinstance(batch, PrivateBatch):
            fields["changedMembers"] = batch.changed_members
        return self._chain.send(
            self._account, self._ledger, "Ledger", function, fields, signature, *shown, gas=gas
        )

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
        interface = Interface.of("Ledger")
        events = self._chain.logs(
            self._first_block,
            self._chain.head(),
            [self._ledger],
            [interface.event_topic(name), self._gateway, None, day.to_bytes(32, "big")],
        )
        found = []
        for log in events:
            event = interface.decode_event(log.topics, log.data)
            assert event is not None
            values = event.values
            found.append(
                ChainBatch(
                    values["sequence"],
                    values["replaces"],
                    values.get("changedMembers", 0),
                    values["payload"],
                    values["signature"],
                    values["key"],
                    log.block_number,
                )
            )
        return sorted(found, key=lambda batch: batch.sequence)
