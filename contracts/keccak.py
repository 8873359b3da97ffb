"""Keccak-256, the hash of the chain, straight from its C implementation (much faster than eth-hash)."""

import sha3


def keccak(data: bytes) -> bytes:
    """The 32 bytes of Keccak-256 of `data`."""
    digest: bytes = sha3.keccak_256(data).digest()
    return digest
