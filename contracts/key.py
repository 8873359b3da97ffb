"""Signing keys: secp256k1, kept in encrypted keystores, signing 32-byte digests such as those of EIP-712."""

import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import coincurve
from eth_utils.address import to_checksum_address

from contracts.keccak import keccak

SIGNATURE_BYTES: Final = 65
_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


class SignatureInvalid(ValueError):
    """The bytes are no signature that a contract would accept: 65 bytes r, s, v with v 27 or 28 and low s."""


class KeystoreInvalid(ValueError):
    """The keystore cannot be read or the password is wrong."""


class SigningKey:
    """A private key. Its secret appears in no `repr`."""

    def __init__(self, secret: bytes) -> None:
        """`secret` is 32 bytes. Raises ValueError for anything that is no private key."""
        if len(secret) != 32 or not 0 < int.from_bytes(secret, "big") < _ORDER:
            raise ValueError("a private key has 32 bytes and lies between 1 and the order of secp256k1")
        self._key = coincurve.PrivateKey(secret)
        self.address = address_of(self._key.public_key)
        """Checksummed address, as contracts know the key."""

    def __repr__(self) -> str:
        return f"SigningKey({self.address})"

    @property
    def secret(self) -> bytes:
        """The 32 secret bytes, for a transaction signer."""
        secret: bytes = self._key.secret
        return secret

    @classmethod
    def generate(cls) -> "SigningKey":
        """A new key from the operating system's random numbers."""
        while True:
            try:
                return cls(os.urandom(32))
            except ValueError:  # outside the group: one time in 2^128
                continue

    def sign(self, digest: bytes) -> bytes:
        """Deterministic signature (RFC 6979, low s) of a 32-byte digest: 65 bytes r, s, v with v 27 or 28."""
        signature = self._key.sign_recoverable(digest, hasher=None)
        return bytes(signature[:64]) + bytes((signature[64] + 27,))

    def to_keystore(self, password: str, iterations: int | None = None) -> dict[str, Any]:
        """The key encrypted as a Web3 Secret Storage version 3 document (scrypt)."""
        from eth_account import Account  # slow to import, and only keystores need it

        return dict(Account.encrypt(self.secret, password, iterations=iterations))

    def save(self, path: Path, password: str, iterations: int | None = None) -> None:
        """Write the encrypted keystore to a new file that only its owner can read.

        Raises FileExistsError rather than replace a key.
        """
        content = json.dumps(self.to_keystore(password, iterations)).encode()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    @classmethod
    def load(cls, path: Path, password: str) -> "SigningKey":
        """The key of an encrypted keystore file. Raises KeystoreInvalid naming the file, OSError."""
        from eth_account import Account  # slow to import, and only keystores need it

        content = path.read_bytes()
        try:
            return cls(bytes(Account.decrypt(json.loads(content), password)))
        except (ValueError, KeyError, TypeError, AttributeError, NotImplementedError) as error:
            raise KeystoreInvalid(
                f"{path}: not a version 3 keystore, or a wrong password ({error})"
            ) from None


def address_of(public_key: coincurve.PublicKey) -> str:
    """Checksummed address of a public key."""
    return _checksummed(keccak(public_key.format(compressed=False)[1:])[12:])


@lru_cache(maxsize=4096)
def _checksummed(address: bytes) -> str:
    return str(to_checksum_address(address))


def recover(digest: bytes, signature: bytes) -> str:
    """Checksummed address whose key made `signature` over `digest`. Raises SignatureInvalid."""
    if len(signature) != SIGNATURE_BYTES:
        raise SignatureInvalid(f"signature has {len(signature)} bytes, not {SIGNATURE_BYTES}")
    v = signature[64]
    if v not in (27, 28):
        raise SignatureInvalid(f"signature ends with v = {v}; it must be 27 or 28")
    s = int.from_bytes(signature[32:64], "big")
    if s > _ORDER // 2:
        raise SignatureInvalid("signature has a high s; only the low one of the two is accepted")
    try:
        key = coincurve.PublicKey.from_signature_and_message(
            signature[:64] + bytes((v - 27,)), digest, hasher=None
        )
    except Exception as error:  # coincurve raises a bare Exception for a point that is not on the curve
        raise SignatureInvalid(f"signature recovers no key: {error}") from None
    return address_of(key)
