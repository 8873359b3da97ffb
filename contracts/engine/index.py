"""The tables beside the trie: where each block, receipt and log is; look-ups never scan or execute blocks."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import rlp
from eth.abc import BlockHeaderAPI

from contracts.engine.backend import SealedBlock

TopicFilter = Sequence[Sequence[bytes] | None]
"""Per position the topics that fit; None fits all."""


@dataclass(frozen=True)
class Receipt:
    """What became of one transaction."""

    number: int
    position: int
    hash: bytes
    sender: bytes
    receiver: bytes | None
    nonce: int
    status: int
    gas_used: int
    cumulative_gas_used: int
    gas_price: int
    type: int
    bloom: bytes


@dataclass(frozen=True)
class Log:
    """One log entry with its place."""

    number: int
    log_index: int
    position: int
    hash: bytes
    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


class Index:
    """Queries and writes on one connection; the caller holds the transaction of what it writes."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add(self, sealed: SealedBlock) -> None:
        """Record a block with its receipts and logs."""
        block, number = sealed.block, sealed.block.number
        self._connection.execute(
            "insert into block values (?, ?, ?)", (number, block.hash, len(rlp.encode(block)))
        )
        cumulative, log_index = 0, 0
        for position, (transaction, receipt) in enumerate(
            zip(block.transactions, sealed.receipts, strict=True)
        ):
            self._connection.execute(
                "insert into receipt values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    number,
                    position,
                    transaction.hash,
                    transaction.sender,
                    transaction.to or None,
                    transaction.nonce,
                    int(receipt.state_root == b"\x01"),
                    receipt.gas_used - cumulative,
                    receipt.gas_used,
                    # With a base fee of zero the price paid is the smaller of the two limits.
                    min(transaction.max_fee_per_gas, transaction.max_priority_fee_per_gas),
                    getattr(transaction, "type_id", None) or 0,
                    int(receipt.bloom).to_bytes(256, "big"),
                ),
            )
            cumulative = receipt.gas_used
            for log in receipt.logs:
                topics = [topic.to_bytes(32, "big") for topic in log.topics]
                self._connection.execute(
                    "insert into log values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (number, log_index, position, transaction.hash, log.address, *_padded(topics), log.data),
                )
                log_index += 1

    def add_genesis(self, header: BlockHeaderAPI) -> None:
        """Record block 0."""
        size = len(rlp.encode([header, [], []]))
        self._connection.execute("insert into block values (0, ?, ?)", (header.hash, size))

    def cut(self, number: int) -> None:
        """Forget all blocks above `number`."""
        for table in ("block", "receipt", "log"):
            self._connection.execute(f"delete from {table} where number > ?", (number,))

    def head(self) -> int:
        """Number of the newest block."""
        row = self._connection.execute("select max(number) from block").fetchone()
        return int(row[0])

    def block_hash(self, number: int) -> bytes | None:
        """Hash of block `number`."""
        row = self._connection.execute("select hash from block where number = ?", (number,)).fetchone()
        return None if row is None else bytes(row[0])

    def number_of(self, block_hash: bytes) -> int | None:
        """Number of the block with this hash, if it is part of the chain."""
        row = self._connection.execute("select number from block where hash = ?", (block_hash,)).fetchone()
        return None if row is None else int(row[0])

    def size(self, number: int) -> int:
        """Length in bytes of block `number`, encoded."""
        row = self._connection.execute("select size from block where number = ?", (number,)).fetchone()
        return int(row[0])

    def receipts(self, number: int) -> list[Receipt]:
        """Receipts of block `number` in order."""
        rows = self._connection.execute("select * from receipt where number = ? order by position", (number,))
        return [Receipt(*row) for row in rows]

    def receipt(self, transaction_hash: bytes) -> Receipt | None:
        """Receipt of a transaction, if it is in a block."""
        row = self._connection.execute("select * from receipt where hash = ?", (transaction_hash,)).fetchone()
        return None if row is None else Receipt(*row)

    def logs(
        self, first: int, last: int, addresses: Sequence[bytes] = (), topics: TopicFilter = ()
    ) -> list[Log]:
        """Logs of blocks `first` to `last` (both included) that fit, in order."""
        conditions, values = ["number between ? and ?"], [first, last]
        columns = [("address", addresses or None)]
        columns += [(f"topic{place}", wanted) for place, wanted in enumerate(topics)]
        for column, wanted in columns:
            if wanted is not None:
                conditions.append(f"{column} in ({','.join('?' * len(wanted))})")
                values += wanted  # type: ignore[arg-type]
        rows = self._connection.execute(
            f"select * from log where {' and '.join(conditions)} order by number, log_index", values
        )
        return [_log(row) for row in rows]

    def logs_of(self, number: int, position: int | None = None) -> list[Log]:
        """Logs of a block, or of one transaction in it."""
        logs = self.logs(number, number)
        return logs if position is None else [log for log in logs if log.position == position]

    def pool(self) -> list[bytes]:
        """Encoded transactions that wait for a block, in order of arrival."""
        return [bytes(row[0]) for row in self._connection.execute("select raw from pool order by id")]

    def add_to_pool(self, transaction_hash: bytes, raw: bytes) -> None:
        """Keep a transaction until a block takes it."""
        self._connection.execute("insert into pool (hash, raw) values (?, ?)", (transaction_hash, raw))

    def remove_from_pool(self, transaction_hash: bytes) -> None:
        """A block took the transaction, or none ever can."""
        self._connection.execute("delete from pool where hash = ?", (transaction_hash,))


def _padded(topics: list[bytes]) -> list[bytes | None]:
    return [*topics, None, None, None, None][:4]


def _log(row: Sequence[bytes | int]) -> Log:
    number, log_index, position, transaction_hash, address, *topics, data = row
    present = tuple(topic for topic in topics if isinstance(topic, bytes))
    return Log(number, log_index, position, transaction_hash, address, present, data)  # type: ignore[arg-type]
