"""py-evm's state database over tries that take a block's changes at once (see `trie`).

Everything else is py-evm's; the tests compare state roots with it.
"""

from typing import Any

from eth.db.account import AccountDB
from eth.db.batch import BatchDB
from eth.db.cache import CacheDB
from eth.db.journal import JournalDB
from eth.db.storage import AccountStorageDB, StorageLookup
from trie.constants import BLANK_NODE_HASH

from contracts.engine.trie import BatchTrie


class _BatchLookup(StorageLookup):  # type: ignore[misc]
    """An account's storage in such a trie."""

    _write_trie: BatchTrie | None

    def _get_write_trie(self) -> BatchTrie:
        if self._write_trie is None:
            self._trie_nodes_batch = BatchDB(self._db, read_through_deletes=True)
            self._write_trie = BatchTrie(self._trie_nodes_batch, self._starting_root_hash)
        return self._write_trie

    def _get_read_trie(self) -> BatchTrie:
        if self._write_trie is not None:
            return self._write_trie
        return BatchTrie(self._db, self._starting_root_hash)

    def commit_to(self, db: Any) -> None:
        """Store the nodes, those of changes that still wait included."""
        self.get_changed_root()
        super().commit_to(db)


class _BatchStorage(AccountStorageDB):  # type: ignore[misc]
    """py-evm's layers of an account's storage over that lookup."""

    def __init__(self, db: Any, storage_root: Any, address: Any) -> None:
        super().__init__(db, storage_root, address)
        self._storage_lookup = _BatchLookup(db, storage_root, address)
        self._storage_cache = CacheDB(self._storage_lookup)
        self._locked_changes = JournalDB(self._storage_cache)
        self._journal_storage = JournalDB(self._locked_changes)


class BatchAccounts(AccountDB):  # type: ignore[misc]
    """py-evm's accounts in such tries."""

    def __init__(self, db: Any, state_root: Any = BLANK_NODE_HASH) -> None:
        super().__init__(db, state_root)
        self._trie._db = BatchTrie(self._batchtrie, state_root)

    def _get_address_store(self, address: Any) -> Any:
        if address not in self._account_stores:
            root = self._get_storage_root(address)
            self._account_stores[address] = _BatchStorage(self._raw_store_db, root, address)
        return self._account_stores[address]
