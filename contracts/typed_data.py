"""What the messages signed as EIP-712 typed data have in common: the domain separator and the digest."""

from functools import lru_cache
from typing import Final

from contracts.keccak import keccak

_DOMAIN_TYPE: Final = keccak(
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
_VERSION: Final = keccak(b"1")


@lru_cache(maxsize=64)
def domain_separator(name: str, chain_id: int, contract: str) -> bytes:
    """32 bytes that tie a signature to a kind of message, a chain and a contract (version "1").

    Raises ValueError for an address that has not 20 bytes or a chain id out of range.
    """
    address = bytes.fromhex(contract.removeprefix("0x"))
    if len(address) != 20:
        raise ValueError(f"contract address {contract!r} has {len(address)} bytes, not 20")
    if not 0 <= chain_id < 2**256:
        raise ValueError(f"chain id {chain_id} is out of range")
    return keccak(
        _DOMAIN_TYPE
        + keccak(name.encode())
        + _VERSION
        + chain_id.to_bytes(32, "big")
        + address.rjust(32, b"\0")
    )


def typed_digest(separator: bytes, encoded: bytes) -> bytes:
    """The 32 bytes that are signed, for a message whose type hash and fields are in `encoded`."""
    return keccak(b"\x19\x01" + separator + keccak(encoded))
