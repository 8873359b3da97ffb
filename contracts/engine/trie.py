"""Ethereum's Merkle Patricia trie for keys of one length, which takes all changes of a block at once.

`trie.HexaryTrie`, which py-evm uses, encodes and hashes the whole path to the root again for each change, and
decodes it again for each look-up. Here changes wait until the root is asked for; then each node on the way is
encoded once. Nodes are found by their hash, which names the same node for ever, whatever block is the head,
so that a cache of them needs no invalidation. The tests compare roots and nodes with `trie.HexaryTrie`.

A node is b"" (nothing), a pair (path and value, or path and reference) or a branch of 17 items. A reference
to a node of 32 bytes or more is its hash; a shorter one stands there itself. A path has a byte per nibble.
"""

import threading
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from functools import lru_cache
from itertools import groupby
from typing import Any

import rlp
from trie.constants import BLANK_NODE, BLANK_NODE_HASH
from trie.exceptions import MissingTrieNode

from contracts.keccak import keccak

HASH_BYTES = 32
CACHED_NODES = 100_000
BRANCH_ITEMS = 17
LEAF = 2
"""Bit of the first nibble of a leaf's encoded path; the lowest bit says that the path is odd."""

Node = Any
"""b"" or a sequence of bytes and nodes."""


class NodeCache:
    """Nodes by hash; shared by all threads. Nobody changes a node."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._nodes: dict[bytes, Node] = {}
        self.find = self._nodes.get

    def remember(self, node_hash: bytes, node: Node) -> None:
        """Keep a node."""
        with self._lock:
            if len(self._nodes) >= CACHED_NODES:
                self._nodes.clear()
            self._nodes[node_hash] = node


_CACHE = NodeCache()


class BatchTrie:
    """The trie with `root_hash` in `db`; changes are made when the root is next asked for."""

    def __init__(self, db: MutableMapping[bytes, bytes], root_hash: bytes = BLANK_NODE_HASH) -> None:
        self.db = db
        self._root_hash = root_hash
        self._pending: dict[bytes, bytes] = {}

    @property
    def root_hash(self) -> bytes:
        """Hash of the root after all changes. Raises MissingTrieNode."""
        if self._pending:
            changes = sorted((_nibbles(key), value) for key, value in self._pending.items())
            root = self._changed(self._root(), changes)
            if root:
                encoded = _encoded(root)
                self._root_hash = self._keep(root, encoded)
            else:
                self._root_hash = BLANK_NODE_HASH
            self._pending.clear()
        return self._root_hash

    @root_hash.setter
    def root_hash(self, value: bytes) -> None:
        self._pending.clear()
        self._root_hash = value

    def __getitem__(self, key: bytes) -> bytes:
        """Value of `key`, b"" if there is none. Raises MissingTrieNode."""
        if key in self._pending:
            return self._pending[key]
        path, place, node = _nibbles(key), 0, self._root()
        while node:
            if len(node) == BRANCH_ITEMS:
                node = self._node(node[path[place]])
                place += 1
                continue
            own, is_leaf = _decoded_path(node[0])
            if path[place : place + len(own)] != own:
                return b""
            if is_leaf:
                return bytes(node[1])
            place += len(own)
            node = self._node(node[1])
        return b""

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self._pending[key] = value

    def __delitem__(self, key: bytes) -> None:
        self._pending[key] = b""

    def __contains__(self, key: bytes) -> bool:
        return self[key] != b""

    @contextmanager
    def squash_changes(self) -> Iterator["BatchTrie"]:
        """A block of changes that are dropped when it fails."""
        before = dict(self._pending)
        try:
            yield self
        except BaseException:
            self._pending = before
            raise

    def _root(self) -> Node:
        return b"" if self._root_hash == BLANK_NODE_HASH else self._node(self._root_hash)

    def _node(self, reference: Any) -> Node:
        """The node that `reference` leads to."""
        if len(reference) != HASH_BYTES:
            return reference
        node = _CACHE.find(reference)
        if node is None:
            try:
                node = rlp.decode(self.db[reference])
            except KeyError as problem:
                raise MissingTrieNode(reference, self._root_hash, b"", prefix=None) from problem
            _CACHE.remember(bytes(reference), node)
        return node

    def _keep(self, node: Node, encoded: bytes) -> bytes:
        node_hash = keccak(encoded)
        self.db[node_hash] = encoded
        _CACHE.remember(node_hash, node)
        return node_hash

    def _reference(self, node: Node) -> Any:
        if not node:
            return BLANK_NODE
        encoded = _encoded(node)
        return node if len(encoded) < HASH_BYTES else self._keep(node, encoded)

    def _changed(self, node: Node, changes: list[tuple[bytes, bytes]]) -> Node:
        """`node` with new values at the paths from it, which are sorted; an empty one deletes."""
        if not node:
            return self._built([change for change in changes if change[1]])
        if len(node) == BRANCH_ITEMS:
            return self._changed_branch(node, changes)
        path, is_leaf = _decoded_path(node[0])
        if is_leaf:
            values = {path: node[1], **dict(changes)}
            return self._built(sorted(change for change in values.items() if change[1]))
        common = min(_common(path, changes[0][0]), _common(path, changes[-1][0]))
        if common == len(path):
            return self._extended(path, self._changed(self._node(node[1]), _behind(changes, common)))
        branch: list[Any] = [BLANK_NODE] * BRANCH_ITEMS
        branch[path[common]] = self._reference(self._extended(path[common + 1 :], self._node(node[1])))
        return self._extended(path[:common], self._changed_branch(branch, _behind(changes, common)))

    def _changed_branch(self, branch: Node, changes: list[tuple[bytes, bytes]]) -> Node:
        items, changed = list(branch), {}
        for nibble, group in groupby(changes, lambda change: change[0][0]):
            changed[nibble] = self._changed(self._node(items[nibble]), _behind(list(group), 1))
            items[nibble] = changed[nibble]
        left = [nibble for nibble, item in enumerate(items) if item]
        if not left:
            return BLANK_NODE
        if len(left) == 1:
            only = left[0]
            child = changed[only] if only in changed else self._node(items[only])
            return self._extended(bytes((only,)), child)
        for nibble, child in changed.items():
            items[nibble] = self._reference(child)
        return items

    def _built(self, entries: list[tuple[bytes, bytes]]) -> Node:
        """A node that holds just these entries, which are sorted and have values."""
        if not entries:
            return BLANK_NODE
        if len(entries) == 1:
            return [_encoded_path(entries[0][0], True), entries[0][1]]
        common = _common(entries[0][0], entries[-1][0])
        branch = self._changed_branch([BLANK_NODE] * BRANCH_ITEMS, _behind(entries, common))
        return self._extended(entries[0][0][:common], branch)

    def _extended(self, path: bytes, node: Node) -> Node:
        """A node that leads over `path` to what `node` holds."""
        if not node or not path:
            return node
        if len(node) == BRANCH_ITEMS:
            return [_encoded_path(path, False), self._reference(node)]
        own, is_leaf = _decoded_path(node[0])
        return [_encoded_path(path + own, is_leaf), node[1]]


def _nibbles(key: bytes) -> bytes:
    return bytes.fromhex("0" + "0".join(key.hex())) if key else b""


@lru_cache(CACHED_NODES)
def _decoded_path(encoded: bytes) -> tuple[bytes, bool]:
    """A pair's path, and whether the pair is a leaf."""
    nibbles = _nibbles(encoded)
    return nibbles[1 if nibbles[0] & 1 else 2 :], bool(nibbles[0] & LEAF)


def _encoded_path(path: bytes, is_leaf: bool) -> bytes:
    flag = LEAF if is_leaf else 0
    prefix = f"{flag + 1:x}" if len(path) % 2 else f"{flag:x}0"
    return bytes.fromhex(prefix + path.hex()[1::2])


def _common(left: bytes, right: bytes) -> int:
    """Number of nibbles with which both begin."""
    length = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        length += 1
    return length


def _behind(changes: list[tuple[bytes, bytes]], length: int) -> list[tuple[bytes, bytes]]:
    return [(path[length:], value) for path, value in changes]


def _encoded(node: Node) -> bytes:
    """RLP of a node; almost all items are hashes or nothing."""
    payload = b"".join(
        b"\x80"
        if not item
        else b"\xa0" + item
        if type(item) is bytes and len(item) == HASH_BYTES
        else rlp.codec.encode_raw(item)
        for item in node
    )
    size = len(payload)
    if size < 56:
        return bytes((0xC0 + size,)) + payload
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((0xF7 + len(length),)) + length + payload
