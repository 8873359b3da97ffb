"""A block's header in RLP, from the fields that JSON-RPC gives: whoever hashes it gets the block's hash."""

from collections.abc import Mapping
from typing import Any

import rlp

from contracts.keccak import keccak

# (field, is a number), in the order of the Yellow Paper and the proposals after it; what a fork lacks is
# left out from the end.
_FIELDS = (
    ("parentHash", False),
    ("sha3Uncles", False),
    ("miner", False),
    ("stateRoot", False),
    ("transactionsRoot", False),
    ("receiptsRoot", False),
    ("logsBloom", False),
    ("difficulty", True),
    ("number", True),
    ("gasLimit", True),
    ("gasUsed", True),
    ("timestamp", True),
    ("extraData", False),
    ("mixHash", False),
    ("nonce", False),
    ("baseFeePerGas", True),
    ("withdrawalsRoot", False),
    ("blobGasUsed", True),
    ("excessBlobGas", True),
    ("parentBeaconBlockRoot", False),
    ("requestsHash", False),
)


class HeaderInvalid(ValueError):
    """The header's fields do not give the block's hash."""


def encode_header(block: Mapping[str, Any]) -> bytes:
    """RLP of the header of a block in JSON-RPC form. Raises HeaderInvalid if that gives another hash."""
    fields: list[bytes | int] = []
    for name, is_number in _FIELDS:
        value = block.get(name)
        if value is not None:
            fields.append(int(value, 16) if is_number else bytes.fromhex(value[2:]))
    encoded: bytes = rlp.encode(fields)
    if "0x" + keccak(encoded).hex() != block["hash"]:
        raise HeaderInvalid(
            f"the header of block {int(block['number'], 16)} hashes to 0x{keccak(encoded).hex()}, "
            f"but the node says {block['hash']}"
        )
    return encoded
