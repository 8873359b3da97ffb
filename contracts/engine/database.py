"""py-evm's database and the chain's index in one SQLite file; a block is one SQLite transaction.

Write-ahead log with synchronous=FULL: what was committed survives `kill -9` and a power failure. Trie nodes
are stored under their hash and never deleted, so a reader with its own connection sees every block.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from eth.db.atomic import AtomicDB
from eth.db.backends.base import BaseDB

SCHEMA = """
create table if not exists meta (key text primary key, value text not null) without rowid;
create table if not exists node (key blob primary key, value blob not null) without rowid;
create table if not exists block (
    number integer primary key, hash blob not null unique, size integer not null
);
create table if not exists receipt (
    number integer not null, position integer not null, hash blob not null unique, sender blob not null,
    receiver blob, nonce integer not null, status integer not null, gas_used integer not null,
    cumulative_gas_used integer not null, gas_price integer not null, type integer not null,
    bloom blob not null, primary key (number, position)
) without rowid;
create table if not exists log (
    number integer not null, log_index integer not null, position integer not null, hash blob not null,
    address blob not null, topic0 blob, topic1 blob, topic2 blob, topic3 blob, data blob not null,
    primary key (number, log_index)
);
create index if not exists log_of_address on log (address, number, topic0, topic1);
create table if not exists pool (id integer primary key, hash blob not null unique, raw blob not null);
"""

CACHED_ENTRIES = 200_000


class ChainDatabaseError(Exception):
    """The database cannot be opened or written; the message says which file, why and what to do."""


class NodeStore(BaseDB):  # type: ignore[misc]
    """py-evm's key-value view of the table `node`, with a cache of what a hash names."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._cache: dict[bytes, bytes] = {}

    def __getitem__(self, key: bytes) -> bytes:
        value = self._cache.get(key)
        if value is not None:
            return value
        row = self._connection.execute("select value from node where key = ?", (key,)).fetchone()
        if row is None:
            raise KeyError(key)
        found: bytes = row[0]
        self._remember(key, found)
        return found

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self._connection.execute("insert or replace into node values (?, ?)", (key, value))
        self._remember(key, value)

    def __delitem__(self, key: bytes) -> None:
        self._cache.pop(key, None)
        self._connection.execute("delete from node where key = ?", (key,))

    def _exists(self, key: bytes) -> bool:
        if key in self._cache:
            return True
        return self._connection.execute("select 1 from node where key = ?", (key,)).fetchone() is not None

    def _remember(self, key: bytes, value: bytes) -> None:
        if len(key) != 32:
            return
        if len(self._cache) >= CACHED_ENTRIES:
            self._cache.clear()
        self._cache[key] = value

    def forget(self) -> None:
        """Drop the cache, after what was written was rolled back."""
        self._cache.clear()


class Database:
    """One connection to the chain's file. Exactly one process may hold the writing one.

    Raises ChainDatabaseError when another process holds it or the file cannot be used.
    """

    def __init__(self, folder: Path, *, writing: bool) -> None:
        self.path = folder / "chain.sqlite"
        self._lock: IO[str] | None = None
        try:
            if writing:
                folder.mkdir(parents=True, exist_ok=True)
                self._lock = _lock(folder / "chain.lock")
            self.connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
            if writing:
                self.connection.execute("pragma journal_mode = wal")
                self.connection.execute("pragma synchronous = full")
                self.connection.executescript(SCHEMA)
            else:
                self.connection.execute("pragma query_only = true")
            self.connection.execute("pragma cache_size = -65536")
            self.connection.execute("pragma busy_timeout = 5000")
        except (sqlite3.Error, OSError) as problem:
            raise ChainDatabaseError(f"cannot open the chain database {self.path}: {problem}") from problem
        self.nodes = NodeStore(self.connection)
        self.atomic = AtomicDB(self.nodes)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes inside reach the disk together, or none does. Raises ChainDatabaseError."""
        self.connection.execute("begin immediate")
        try:
            yield
            self.connection.execute("commit")
        except BaseException as problem:
            self._roll_back()
            if isinstance(problem, sqlite3.Error):
                raise ChainDatabaseError(
                    f"cannot write to {self.path}: {problem}; nothing of this block was kept"
                    + (" (free some disk space and send it again)" if "full" in str(problem) else "")
                ) from problem
            raise

    def _roll_back(self) -> None:
        self.nodes.forget()
        if self.connection.in_transaction:
            self.connection.execute("rollback")

    def meta(self, key: str) -> str | None:
        """The value stored under `key`, None if there is none."""
        row = self.connection.execute("select value from meta where key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def set_meta(self, key: str, value: str) -> None:
        """Store `value` under `key`."""
        self.connection.execute("insert or replace into meta values (?, ?)", (key, value))

    def delete_meta(self, key: str) -> None:
        """Forget `key`."""
        self.connection.execute("delete from meta where key = ?", (key,))

    def close(self) -> None:
        """Close the connection and let go of the lock."""
        self.connection.close()
        if self._lock is not None:
            self._lock.close()


def _lock(path: Path) -> IO[str]:
    """Hold `path` for this process; the kernel lets go of it however the process ends."""
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as problem:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise ChainDatabaseError(
            f"the chain in {path.parent} is already served by process {holder}; stop it or use another folder"
        ) from problem
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file
