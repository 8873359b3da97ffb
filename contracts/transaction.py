"""Legacy transactions (EIP-155), signed by hand: every network takes them; much faster than web3."""

import rlp

from contracts.keccak import keccak
from contracts.key import SigningKey


def signed_transaction(
    key: SigningKey, *, chain_id: int, nonce: int, gas_price_wei: int, gas: int, to: bytes, data: bytes
) -> bytes:
    """The encoded transaction; `to` is empty for one that creates a contract."""
    fields = [nonce, gas_price_wei, gas, to, 0, data]
    signature = key.sign(keccak(rlp.encode([*fields, chain_id, 0, 0])))
    r, s, v = (
        int.from_bytes(signature[:32], "big"),
        int.from_bytes(signature[32:64], "big"),
        signature[64] - 27 + 35 + 2 * chain_id,
    )
    encoded: bytes = rlp.encode([*fields, v, r, s])
    return encoded
