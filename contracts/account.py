"""Accounts of the Escrow contract: an organisation's identifier, or an address of a member (domain.md §6).

On chain both are `bytes32`: a slug left-aligned, an address right-aligned, so that neither can be the other.
"""

from typing import NewType

from eth_utils.address import is_address, to_checksum_address

from contracts.slug import to_bytes32, to_text

Account = NewType("Account", str)
"""An organisation's slug or a checksummed address."""

_ADDRESS_PADDING = bytes(12)


def to_account(word: bytes) -> Account:
    """The account in 32 bytes; empty for zero. Raises IdentifierInvalid."""
    if not any(word):
        return Account("")
    if word[:12] == _ADDRESS_PADDING:
        return Account(to_checksum_address(word[12:]))
    return Account(to_text(word))


def account_word(account: str) -> bytes:
    """The 32 bytes of an organisation's slug or of an address. Raises IdentifierInvalid."""
    if account.startswith("0x") and is_address(account):
        return bytes.fromhex(account[2:]).rjust(32, b"\0")
    return to_bytes32(account)
