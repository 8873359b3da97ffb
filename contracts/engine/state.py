"""py-evm's state database with its trie nodes decoded and encoded once instead of at every step.

Walking a trie, py-evm decodes each node on the way again, and while it writes, encodes it again to learn the
hash that it came from. Node, encoding and hash belong together for ever, whatever block is the head, so a
cache of them needs no invalidation. Everything else is py-evm's; the tests compare state roots with it.
"""

import threading
from typing import Any

import rlp
from eth.db.account import AccountDB
from eth.db.batch import BatchDB
from eth.db.cache import CacheDB
from eth.db.journal import JournalDB
from eth.db.storage import AccountStorageDB, StorageLookup
from trie import HexaryTrie
from trie.constants import BLANK_NODE, BLANK_NODE_HASH

HASH_BYTES = 32
CACHED_NODES = 100_000


class NodeCache:
    """Trie nodes by encoding, and encodings with hash by node; shared by all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._nodes: dict[bytes, tuple[bytes, ...]] = {}
        self._encodings: dict[tuple[bytes, ...], tuple[bytes, bytes]] = {}

    def node(self, encoded: bytes) -> tuple[bytes, ...] | None:
        """The node that `encoded` stands for, if it is known."""
        return self._nodes.get(encoded)

    def encoding(self, node: tuple[bytes, ...]) -> tuple[bytes, bytes] | None:
        """Hash and encoding of `node`, if they are known."""
        return self._encodings.get(node)

    def remember(self, node: tuple[bytes, ...], node_hash: bytes, encoded: bytes) -> None:
        """Keep a node of 32 bytes or more that holds no other node."""
        with self._lock:
            if len(self._nodes) >= CACHED_NODES:
                self._nodes.clear()
                self._encodings.clear()
            self._nodes[encoded] = node
            self._encodings[node] = node_hash, encoded


_CACHE = NodeCache()


class CachingTrie(HexaryTrie):  # type: ignore[misc]
    """A trie that asks the cache. Its nodes are lists, which it changes in place: each gets a copy."""

    __slots__ = ()

    def get_node(self, node_hash: Any) -> Any:
        """The node under `node_hash` (a node of less than 32 bytes stands there itself)."""
        if len(node_hash) != HASH_BYTES or node_hash == BLANK_NODE_HASH:
            return super().get_node(node_hash)
        encoded = self.db[node_hash]
        known = _CACHE.node(encoded)
        if known is not None:
            return list(known)
        node = rlp.decode(encoded)
        if len(encoded) >= HASH_BYTES and _is_flat(node):
            _CACHE.remember(tuple(node), node_hash, encoded)
        return node

    def _node_to_db_mapping(self, node: Any) -> Any:
        if node == BLANK_NODE or not _is_flat(node):
            return self._create_node_to_db_mapping(node)
        key = tuple(node)
        known = _CACHE.encoding(key)
        if known is not None:
            return known
        node_hash, encoded = self._create_node_to_db_mapping(node)
        if encoded is not None:
            _CACHE.remember(key, node_hash, encoded)
        return node_hash, encoded


class _CachingLookup(StorageLookup):  # type: ignore[misc]
    """An account's storage in such a trie."""

    _write_trie: HexaryTrie | None

    def _get_write_trie(self) -> HexaryTrie:
        if self._write_trie is None:
            self._trie_nodes_batch = BatchDB(self._db, read_through_deletes=True)
            self._write_trie = CachingTrie(
                self._trie_nodes_batch, root_hash=self._starting_root_hash, prune=True
            )
        return self._write_trie

    def _get_read_trie(self) -> HexaryTrie:
        if self._write_trie is not None:
            return self._write_trie
        return CachingTrie(self._db, root_hash=self._starting_root_hash)


class _CachingStorage(AccountStorageDB):  # type: ignore[misc]
    """py-evm's layers of an account's storage over that lookup."""

    def __init__(self, db: Any, storage_root: Any, address: Any) -> None:
        super().__init__(db, storage_root, address)
        self._storage_lookup = _CachingLookup(db, storage_root, address)
        self._storage_cache = CacheDB(self._storage_lookup)
        self._locked_changes = JournalDB(self._storage_cache)
        self._journal_storage = JournalDB(self._locked_changes)


class CachingAccounts(AccountDB):  # type: ignore[misc]
    """py-evm's accounts in such tries."""

    def __init__(self, db: Any, state_root: Any = BLANK_NODE_HASH) -> None:
        super().__init__(db, state_root)
        self._trie._db = CachingTrie(self._batchtrie, state_root, prune=True)

    def _get_address_store(self, address: Any) -> Any:
        if address not in self._account_stores:
            root = self._get_storage_root(address)
            self._account_stores[address] = _CachingStorage(self._raw_store_db, root, address)
        return self._account_stores[address]


def _is_flat(node: Any) -> bool:
    """Whether no other node stands inside `node`."""
    return all(type(item) is bytes for item in node)
