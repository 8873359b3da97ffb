"""The agreed message by which a district's owner shares proceeds with its members (domain.md §§7, 8).

It names addresses and amounts; who is behind an address stays off chain. A DISTRICT_OWNER account of the
organisation signs it, as EIP-712 typed data of the domain "PED Escrow", version "1"; anyone may carry it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from eth_utils.address import is_address

from contracts.keccak import keccak
from contracts.key import SigningKey, recover
from contracts.slug import to_bytes32
from contracts.typed_data import domain_separator, typed_digest

_SPLIT_TYPE: Final = keccak(
    b"Split(bytes32 organisationId,bytes32 purpose,address[] recipients,uint128[] amounts,uint64 nonce,"
    b"uint64 expiry)"
)


class SplitInvalid(ValueError):
    """A split that no escrow would accept; the message names the value."""


@dataclass(frozen=True, slots=True)
class EscrowDomain:
    """EIP-712 domain of an escrow."""

    chain_id: int
    escrow: str
    """Address of the Escrow contract."""

    @property
    def separator(self) -> bytes:
        """The 32 bytes of the domain separator. Raises SplitInvalid."""
        try:
            return domain_separator("PED Escrow", self.chain_id, self.escrow)
        except ValueError as error:
            raise SplitInvalid(f"escrow {self.escrow!r}: {error}") from None


@dataclass(frozen=True, slots=True)
class Split:
    """Who gets how much of an organisation's free money. Field order is the contract's."""

    organisation_id: str
    purpose: bytes
    """32 bytes that say what it is for, for example the hash of event and district."""
    recipients: tuple[str, ...]
    """Addresses."""
    amounts: tuple[int, ...]
    """Micro-euro, one for each recipient."""
    nonce: int
    """Makes two equal splits two."""
    expiry: int
    """Unix seconds: the last in which it can be paid."""

    def __post_init__(self) -> None:
        if len(self.purpose) != 32:
            raise SplitInvalid(f"purpose has {len(self.purpose)} bytes, not 32")
        if len(self.recipients) != len(self.amounts):
            raise SplitInvalid(f"{len(self.recipients)} recipients, but {len(self.amounts)} amounts")
        for recipient in self.recipients:
            if not is_address(recipient):
                raise SplitInvalid(f"recipient {recipient!r} is no address")
        _require_range("amount", self.amounts, 128)
        _require_range("nonce", (self.nonce,), 64)
        _require_range("expiry", (self.expiry,), 64)

    @property
    def abi(self) -> tuple[Any, ...]:
        """As the contract takes it. Raises IdentifierInvalid."""
        organisation = to_bytes32(self.organisation_id)
        return organisation, self.purpose, self.recipients, self.amounts, self.nonce, self.expiry

    def digest(self, domain: EscrowDomain) -> bytes:
        """The 32 bytes that are signed (EIP-712)."""
        recipients = b"".join(bytes.fromhex(address[2:]).rjust(32, b"\0") for address in self.recipients)
        amounts = b"".join(amount.to_bytes(32, "big") for amount in self.amounts)
        words = self.nonce.to_bytes(32, "big") + self.expiry.to_bytes(32, "big")
        organisation = to_bytes32(self.organisation_id)
        fields = organisation + self.purpose + keccak(recipients) + keccak(amounts) + words
        return typed_digest(domain.separator, _SPLIT_TYPE + fields)

    def sign(self, key: SigningKey, domain: EscrowDomain) -> bytes:
        """Signature over the digest: 65 bytes r, s, v."""
        return key.sign(self.digest(domain))

    def signer(self, signature: bytes, domain: EscrowDomain) -> str:
        """Checksummed address that signed. Raises SignatureInvalid."""
        return recover(self.digest(domain), signature)


def _require_range(name: str, values: Sequence[int], bits: int) -> None:
    for value in values:
        if not 0 <= value < 1 << bits:
            raise SplitInvalid(f"{name} {value} is out of range 0 to {(1 << bits) - 1}")
