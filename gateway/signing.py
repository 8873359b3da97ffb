"""Signatures under a gateway's batches: one EIP-712 signature per batch (contracts.reading)."""

from dataclasses import dataclass

from contracts.key import SigningKey
from contracts.reading import OpenBatch, PrivateBatch, SigningDomain

Batch = OpenBatch | PrivateBatch


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs as one gateway for one ledger."""

    gateway_id: str
    key: SigningKey
    domain: SigningDomain

    @property
    def address(self) -> str:
        """Address of the key, as the Registry knows it."""
        return self.key.address

    def batch(
        self, private: bool, day: int, sequence: int, replaces: int, changed_members: int, payload: bytes
    ) -> Batch:
        """The message of an open or private batch. Raises ReadingInvalid."""
        if private:
            return PrivateBatch(self.gateway_id, day, sequence, replaces, changed_members, payload)
        return OpenBatch(self.gateway_id, day, sequence, replaces, payload)

    def sign(self, batch: Batch) -> bytes:
        """65 bytes r, s, v."""
        return batch.sign(self.key, self.domain)
