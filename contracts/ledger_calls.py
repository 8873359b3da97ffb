"""Typed calls of Ledger.sol: readings, corrections, adjustments, and what the ledger holds."""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from contracts.contract_calls import ContractCalls
from contracts.hour import HOURS_PER_DAY
from contracts.interface import Interface
from contracts.key import SigningKey
from contracts.reading import Adjustment, OpenBatch, PrivateBatch
from contracts.slug import to_bytes32


@cache
def _ledger() -> Interface:
    return Interface.of("Ledger")


class StreamState(NamedTuple):
    """One gateway's open or private stream of a day."""

    holders: tuple[int, ...]
    """Per hour, the sequence of the batch that holds it; 0 for none."""
    last_sequence: int
    last_accepted_at: int
    """Unix seconds."""
    tainted_hours: int
    """Bit h: hour h was accepted under a compromised key."""

    @classmethod
    def from_word(cls, word: int) -> "StreamState":
        """From the word that the ledger stores."""
        holders = tuple(word >> 8 * hour & 0xFF for hour in range(HOURS_PER_DAY))
        return cls(holders, word >> 192 & 0xFF, word >> 200 & 0xFFFFFFFF, word >> 232 & 0xFFFFFF)


def encode_record(batch: OpenBatch | PrivateBatch, signature: bytes, old_payload: bytes = b"") -> bytes:
    """Calldata that records a batch, or corrects with it: `old_payload` is then that of batch `replaces`."""
    fields: list[Any] = [to_bytes32(batch.gateway_id), batch.day, batch.sequence, batch.replaces]
    kind = "Open"
    if isinstance(batch, PrivateBatch):
        kind = "Private"
        fields.append(batch.changed_members)
    fields.append(batch.payload)
    if batch.replaces:
        return _ledger().encode_call(f"correct{kind}", (fields, signature, old_payload))
    return _ledger().encode_call(f"record{kind}", (fields, signature))


def encode_record_many(calls: Sequence[bytes]) -> bytes:
    """Calldata that carries several calls of `encode_record`; one that fails is skipped (see
    BatchSkipped)."""
    return _ledger().encode_call("recordMany", (list(calls),))


class LedgerCalls(ContractCalls):
    """Readings, corrections, adjustments, and what the ledger holds."""

    def record(
        self,
        key: SigningKey,
        batch: OpenBatch | PrivateBatch,
        signature: bytes,
        old_payload: bytes = b"",
        *,
        gas: int | None = None,
    ) -> bytes:
        """Carry one signed batch to the ledger; anyone may. For a correction, the replaced batch's
        payload."""
        call = encode_record(batch, signature, old_payload)
        return self.chain.send_data(key, self.deployment.ledger, call, gas=gas)

    def record_open(
        self, key: SigningKey, batch: OpenBatch, signature: bytes, *, gas: int | None = None
    ) -> bytes:
        """Carry a signed open batch to the ledger."""
        return self.record(key, batch, signature, gas=gas)

    def record_private(
        self, key: SigningKey, batch: PrivateBatch, signature: bytes, *, gas: int | None = None
    ) -> bytes:
        """Carry a signed private batch to the ledger."""
        return self.record(key, batch, signature, gas=gas)

    def record_many(self, key: SigningKey, calls: Sequence[bytes], *, gas: int | None = None) -> bytes:
        """Carry several calls of `encode_record` in one transaction; BatchSkipped tells which failed."""
        return self.chain.send_data(key, self.deployment.ledger, encode_record_many(calls), gas=gas)

    def adjust(
        self,
        key: SigningKey,
        adjustment: Adjustment,
        operator_signature: bytes,
        auditor_signature: bytes,
        old_payload: bytes = b"",
        *,
        gas: int | None = None,
    ) -> bytes:
        """Book an adjustment of a final day."""
        message = (
            to_bytes32(adjustment.gateway_id),
            adjustment.day,
            adjustment.sequence,
            adjustment.replaces,
            adjustment.is_private,
            adjustment.reason_hash,
            adjustment.changed_members,
            adjustment.payload,
        )
        signatures = operator_signature, auditor_signature
        return self._send(key, "Ledger", "adjust", message, old_payload, *signatures, gas=gas)

    def scan_compromise(
        self, key: SigningKey, district_id: str, max_days: int, *, gas: int | None = None
    ) -> bytes:
        """Look through further days of the district's next unscanned compromise; anyone may."""
        return self._send(key, "Ledger", "scanCompromise", to_bytes32(district_id), max_days, gas=gas)

    def finality_s(self) -> int:
        """Seconds after the end of a day from which it is final."""
        return int(self._call("Ledger", "finalitySeconds"))

    def hour_words(self, district_id: str, day: int, *, block: Any = "latest") -> list[int]:
        """The 24 packed words of a day (layout: ILedger)."""
        return list(self._call("Ledger", "hourWords", to_bytes32(district_id), day, block=block))

    def stream(
        self, gateway_id: str, day: int, is_private: bool = False, *, block: Any = "latest"
    ) -> StreamState:
        """A gateway's stream of a day: which batch holds which hour."""
        arguments = to_bytes32(gateway_id), day, is_private
        return StreamState.from_word(self._call("Ledger", "streamWord", *arguments, block=block))

    def batch_hash(self, gateway_id: str, day: int, is_private: bool, sequence: int) -> bytes:
        """Keccak-256 of a batch's payload; zero when there is none."""
        return bytes(self._call("Ledger", "batchHash", to_bytes32(gateway_id), day, is_private, sequence))

    def adjustment_count(self, district_id: str) -> int:
        """Length of the district's list of adjusted days."""
        return int(self._call("Ledger", "adjustmentCount", to_bytes32(district_id)))

    def compromises_scanned(self, district_id: str) -> int:
        """How many of the district's compromises have been looked through."""
        return int(self._call("Ledger", "compromisesScanned", to_bytes32(district_id)))
