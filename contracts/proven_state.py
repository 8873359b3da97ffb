"""The state of a chain after one block, read from Merkle-Patricia nodes instead of from a network's node.

Every value is found by walking from the state root of the block's header, so that it is as true as the
header's hash. A value that is not there (a slot that is 0, an account without code) is proven absent too.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import rlp

from contracts.keccak import keccak

EMPTY_CODE_HASH: Final = keccak(b"")
EMPTY_TRIE_ROOT: Final = keccak(b"\x80")


class ProofInvalid(ValueError):
    """The nodes prove nothing about a value: one is missing, malformed or of another state."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}")
        self.place = place
        self.message = message


@dataclass(frozen=True, slots=True)
class Header:
    """What a block's header says that matters here."""

    hash: bytes
    number: int
    time_s: int
    """Unix time of the block."""
    state_root: bytes


def decode_header(encoded: bytes) -> Header:
    """The header in RLP, with the hash that this encoding has. Raises ProofInvalid."""
    fields = _decode(encoded, "header.rlp")
    # parent, uncles, beneficiary, state, transactions, receipts, bloom, difficulty, number, limit, used, time
    if (
        not isinstance(fields, list)
        or len(fields) < 15
        or not all(isinstance(item, bytes) for item in fields)
    ):
        raise ProofInvalid("header.rlp", "is no list of at least 15 fields, so no block header")
    if len(fields[3]) != 32:
        raise ProofInvalid("header.rlp", f"state root has {len(fields[3])} bytes, not 32")
    number, time_s = (int.from_bytes(fields[index], "big") for index in (8, 11))
    return Header(keccak(encoded), number, time_s, fields[3])


class ProvenState:
    """Reads storage and code from proof nodes; `contracts.storage.StateReader`."""

    def __init__(self, state_root: bytes, nodes: Iterable[bytes], codes: Iterable[bytes]) -> None:
        self._root = state_root
        self._nodes = {keccak(node): node for node in nodes}
        self._codes = {keccak(code): code for code in codes}
        self._codes[EMPTY_CODE_HASH] = b""
        self._decoded: dict[bytes, Any] = {}
        self._accounts: dict[bytes, tuple[bytes, bytes]] = {}
        self._used_codes = {EMPTY_CODE_HASH}

    def storage(self, address: bytes, slot: int, place: str) -> int:
        """The value at `slot`, as a number. Raises ProofInvalid naming `place`."""
        root, _ = self._account(address, place)
        encoded = self._walk(root, keccak(slot.to_bytes(32, "big")), place)
        if encoded is None:
            return 0
        value = _decode(encoded, place)
        if not isinstance(value, bytes) or len(value) > 32:
            raise ProofInvalid(place, "the storage trie holds something that is no 32-byte value")
        return int.from_bytes(value, "big")

    def code(self, address: bytes, place: str) -> bytes:
        """The code at `address`. Raises ProofInvalid naming `place`."""
        _, code_hash = self._account(address, place)
        if code_hash not in self._codes:
            raise ProofInvalid(place, f"no code with the proven hash 0x{code_hash.hex()} is in codes")
        self._used_codes.add(code_hash)
        return self._codes[code_hash]

    def expect(self, address: bytes, slots: Sequence[int]) -> None:
        """Nothing to do: everything is here."""

    def unused(self) -> list[str]:
        """Places of nodes and codes that nothing needed: they prove nothing and do not belong there."""
        return [f"nodes: 0x{key.hex()}" for key in self._nodes if key not in self._decoded] + [
            f"codes: 0x{key.hex()}" for key in self._codes if key not in self._used_codes
        ]

    def _account(self, address: bytes, place: str) -> tuple[bytes, bytes]:
        if address not in self._accounts:
            where = f"account 0x{address.hex()} (for {place})"
            encoded = self._walk(self._root, keccak(address), where)
            if encoded is None:
                self._accounts[address] = (EMPTY_TRIE_ROOT, EMPTY_CODE_HASH)
            else:
                fields = _decode(encoded, where)
                if not isinstance(fields, list) or len(fields) != 4:
                    raise ProofInvalid(where, "the state trie holds something that is no account")
                self._accounts[address] = (fields[2], fields[3])
        return self._accounts[address]

    def _walk(self, root: bytes, key: bytes, place: str) -> bytes | None:
        """The value at `key` below `root`; None when the nodes prove that there is none."""
        if root == EMPTY_TRIE_ROOT:
            return None
        path = key.hex()
        node = self._node(root, place)
        while True:
            if len(node) == 17:
                if not path:
                    return bytes(node[16]) or None
                child, path = node[int(path[0], 16)], path[1:]
            else:
                prefix, is_leaf = _nibbles(node[0])
                if not path.startswith(prefix):
                    return None
                path = path[len(prefix) :]
                if is_leaf:
                    return bytes(node[1]) if not path else None
                child = node[1]
            if child == b"":
                return None
            node = child if isinstance(child, list) else self._node(child, place)
            if len(node) not in (2, 17):
                raise ProofInvalid(place, f"a trie node has {len(node)} items, not 2 or 17")

    def _node(self, key: bytes, place: str) -> list[Any]:
        if key not in self._decoded:
            if key not in self._nodes:
                raise ProofInvalid(place, f"no node with the hash 0x{key.hex()} is in nodes")
            node = _decode(self._nodes[key], place)
            if not isinstance(node, list) or len(node) not in (2, 17):
                raise ProofInvalid(place, f"node 0x{key.hex()} is no trie node")
            self._decoded[key] = node
        node = self._decoded[key]
        assert isinstance(node, list)
        return node


def _nibbles(encoded: bytes) -> tuple[str, bool]:
    """Path of a leaf or extension node, and whether it is a leaf (hex-prefix encoding)."""
    text = encoded.hex()
    flag = int(text[0], 16) if text else 4
    if flag > 3:
        return "?", False  # matches no path
    return text[1:] if flag & 1 else text[2:], flag >= 2


def _decode(encoded: bytes, place: str) -> Any:
    try:
        return rlp.decode(encoded)
    except rlp.exceptions.RLPException as problem:
        raise ProofInvalid(place, f"malformed RLP ({problem})") from None
