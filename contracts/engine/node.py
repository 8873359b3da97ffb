"""The writing side of the embedded chain: takes transactions, keeps the clock, seals blocks."""

import threading
import time
from collections.abc import Iterable
from pathlib import Path

from eth.abc import SignedTransactionAPI
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError
from rlp.exceptions import RLPException

from contracts.engine.backend import GAS_LIMIT, DurableBackend
from contracts.engine.database import Database
from contracts.engine.index import Index

DEFAULT_CHAIN_ID = 1337


class TransactionRefused(Exception):
    """The transaction can be in no block; the message says why in the words that other nodes use."""


class InvalidTime(ValueError):
    """A block cannot have this time."""


class Node:
    """One chain, open for writing; all methods may be called from any thread.

    `genesis_time` (Unix seconds) begins a replay: then the clock stands still except when it is set, and a
    block that nothing sets a time for comes one second after the last. Without it, it is the wall clock.
    With `automine` each transaction is in a block when `submit` returns; else transactions wait for `mine`.
    Raises ChainDatabaseError, and ValueError when the folder holds another chain than the one asked for.
    """

    def __init__(
        self,
        folder: Path,
        *,
        chain_id: int = DEFAULT_CHAIN_ID,
        genesis_time: int | None = None,
        automine: bool = True,
        balances: dict[bytes, int] | None = None,
    ) -> None:
        self._lock = threading.RLock()
        self._database = Database(folder, writing=True)
        self._index = Index(self._database.connection)
        known = self._database.meta("chain_id")
        if known is not None and int(known) != chain_id:
            self._database.close()
            raise ValueError(f"{folder} holds chain {known}, not {chain_id}")
        with self._database.transaction():
            begin = int(time.time()) if genesis_time is None else genesis_time
            self._backend = DurableBackend(self._database, chain_id, begin, balances or {})
            if known is None:
                self._database.set_meta("chain_id", str(chain_id))
                self._database.set_meta("replay", str(int(genesis_time is not None)))
                self._index.add_genesis(self._backend.head())
        self.chain_id = chain_id
        self.automine = automine
        self._replay = self._database.meta("replay") == "1"
        self._snapshots: list[int] = []
        self._pool = {decoded.hash: decoded for decoded in map(self._backend.decode, self._index.pool())}

    def close(self) -> None:
        """Let go of the chain, after the block in the making."""
        with self._lock:
            self._database.close()

    def next_time(self) -> int:
        """Unix time that a block sealed now would carry."""
        with self._lock:
            planned = self._database.meta("next_time")
            if planned is not None:
                return int(planned)
            after = int(self._backend.head().timestamp) + 1
            if self._replay:
                return after
            return max(int(time.time()) + int(self._database.meta("offset") or 0), after)

    def set_next_time(self, timestamp: int) -> None:
        """The next block carries `timestamp`, later ones go on from there. Raises InvalidTime."""
        with self._lock:
            newest = self._backend.head().timestamp
            if timestamp <= newest:
                raise InvalidTime(f"a block cannot be at {timestamp}: the newest one is at {newest} already")
            with self._database.transaction():
                self._database.set_meta("next_time", str(timestamp))
                self._database.set_meta("offset", str(timestamp - int(time.time())))

    def increase_time(self, seconds: int) -> int:
        """The next block comes `seconds` later than it would; its time."""
        with self._lock:
            timestamp = self.next_time() + seconds
            self.set_next_time(timestamp)
            return timestamp

    def submit(self, raw: bytes) -> bytes:
        """Take an encoded transaction; its hash. On return it is on disk: in a block with automine.

        Raises TransactionRefused or ChainDatabaseError; then nothing of it was kept.
        """
        with self._lock:
            transaction = self._checked(raw)
            ready = self._executable([*self._pool.values(), transaction])
            if self.automine and transaction in ready:
                self._seal(
                    [transaction, *(other for other in ready if other is not transaction)], transaction
                )
            else:
                with self._database.transaction():
                    self._index.add_to_pool(transaction.hash, raw)
                self._pool[transaction.hash] = transaction
            return bytes(transaction.hash)

    def mine(self, timestamp: int | None = None) -> int:
        """Seal a block with what waits and fits; its number. Raises InvalidTime or ChainDatabaseError."""
        with self._lock:
            if timestamp is not None:
                self.set_next_time(timestamp)
            self._seal(self._executable(self._pool.values()))
            return int(self._backend.head().block_number)

    def snapshot(self) -> int:
        """Remember the newest block; a number for `revert`."""
        with self._lock:
            self._snapshots.append(int(self._backend.head().block_number))
            return len(self._snapshots)

    def revert(self, snapshot: int) -> bool:
        """Undo all blocks since `snapshot`; False when there is no such snapshot. What waited is dropped."""
        with self._lock:
            if not 1 <= snapshot <= len(self._snapshots):
                return False
            number = self._snapshots[snapshot - 1]
            with self._database.transaction():
                self._backend.rewind(number)
                self._index.cut(number)
                for transaction_hash in self._pool:
                    self._index.remove_from_pool(transaction_hash)
            self._pool.clear()
            del self._snapshots[snapshot - 1 :]
            return True

    def pending_nonce(self, address: bytes) -> int:
        """The nonce after all transactions of `address`, those that wait included."""
        with self._lock:
            nonce = self._backend.nonce(address)
            waiting = {item.nonce for item in self._pool.values() if item.sender == address}
            while nonce in waiting:
                nonce += 1
            return nonce

    def _checked(self, raw: bytes) -> SignedTransactionAPI:
        try:
            transaction = self._backend.decode(raw)
            sender = transaction.sender
            if transaction.gas >= transaction.intrinsic_gas:
                transaction.validate()
        except (RLPException, ValidationError, BadSignature, ValueError, IndexError, TypeError) as problem:
            raise TransactionRefused(f"not a signed transaction: {problem}") from problem
        if transaction.chain_id != self.chain_id:
            raise TransactionRefused(f"invalid chain id: have {transaction.chain_id}, want {self.chain_id}")
        if transaction.hash in self._pool or self._index.receipt(transaction.hash):
            raise TransactionRefused("already known")
        if transaction.gas > GAS_LIMIT:
            raise TransactionRefused(f"exceeds block gas limit: {transaction.gas} > {GAS_LIMIT}")
        if transaction.gas < transaction.intrinsic_gas:
            raise TransactionRefused(
                f"intrinsic gas too low: have {transaction.gas}, want {transaction.intrinsic_gas}"
            )
        nonce = self._backend.nonce(sender)
        if transaction.nonce < nonce:
            raise TransactionRefused(f"nonce too low: next nonce {nonce}, tx nonce {transaction.nonce}")
        if any(o.nonce == transaction.nonce and o.sender == sender for o in self._pool.values()):
            raise TransactionRefused("replacement transaction underpriced")
        cost = transaction.value + transaction.gas * transaction.max_fee_per_gas
        balance = self._backend.get_balance(sender) if cost else 0
        if balance < cost:
            raise TransactionRefused(
                f"insufficient funds for gas * price + value: have {balance}, want {cost}"
            )
        return transaction

    def _executable(self, candidates: Iterable[SignedTransactionAPI]) -> list[SignedTransactionAPI]:
        """Those whose nonces follow on from the state, each sender's in order of nonce."""
        by_sender: dict[bytes, dict[int, SignedTransactionAPI]] = {}
        for candidate in candidates:
            by_sender.setdefault(candidate.sender, {})[candidate.nonce] = candidate
        chosen = []
        for sender, by_nonce in by_sender.items():
            nonce = self._backend.nonce(sender)
            while nonce in by_nonce:
                chosen.append(by_nonce[nonce])
                nonce += 1
        return chosen

    def _seal(
        self, candidates: list[SignedTransactionAPI], wanted: SignedTransactionAPI | None = None
    ) -> None:
        """A block of `candidates` becomes the head. Raises TransactionRefused if `wanted` cannot be in it."""
        try:
            with self._database.transaction():
                sealed, refused = self._backend.seal(candidates, self.next_time())
                if wanted is not None and wanted.hash in refused:
                    raise TransactionRefused(refused[wanted.hash])
                self._index.add(sealed)
                for transaction in sealed.block.transactions:
                    if transaction.hash in self._pool:
                        self._index.remove_from_pool(transaction.hash)
                self._database.delete_meta("next_time")
        except BaseException:
            self._backend.reload()
            raise
        for transaction in sealed.block.transactions:
            self._pool.pop(transaction.hash, None)
