"""What a chain is asked about, in Python values: addresses are checksummed strings, hashes and data bytes."""

from dataclasses import dataclass
from typing import Any

from eth_utils.address import to_checksum_address

from contracts.header import encode_header


@dataclass(frozen=True)
class Block:
    """A block; `raw` is what the node said, from which `encode` makes the header and checks its hash."""

    number: int
    hash: bytes
    parent_hash: bytes
    time_s: int
    """Unix time."""
    state_root: bytes
    transactions: tuple[bytes, ...]
    raw: dict[str, Any]

    def encode(self) -> bytes:
        """The header in RLP, which hashes to `hash`. Raises header.HeaderInvalid."""
        return encode_header(self.raw)


@dataclass(frozen=True)
class Log:
    """One log entry with its place."""

    address: str
    topics: tuple[bytes, ...]
    data: bytes
    block_number: int
    block_hash: bytes
    transaction_hash: bytes
    transaction_index: int
    log_index: int


@dataclass(frozen=True)
class Receipt:
    """What became of a transaction."""

    transaction_hash: bytes
    block_number: int
    block_hash: bytes
    succeeded: bool
    gas_used: int
    contract_address: str | None
    logs: tuple[Log, ...]


@dataclass(frozen=True)
class SlotProof:
    """A storage slot with the trie nodes that prove its value."""

    slot: int
    value: int
    nodes: tuple[bytes, ...]


@dataclass(frozen=True)
class AccountProof:
    """An account with the trie nodes that prove it against a block's state root (EIP-1186)."""

    address: str
    nodes: tuple[bytes, ...]
    balance_wei: int
    nonce: int
    code_hash: bytes
    storage_root: bytes
    slots: tuple[SlotProof, ...]


def block_from(raw: dict[str, Any]) -> Block:
    """A block from its JSON-RPC form."""
    return Block(
        number=int(raw["number"], 16),
        hash=to_bytes(raw["hash"]),
        parent_hash=to_bytes(raw["parentHash"]),
        time_s=int(raw["timestamp"], 16),
        state_root=to_bytes(raw["stateRoot"]),
        transactions=tuple(map(to_bytes, raw["transactions"])),
        raw=raw,
    )


def log_from(raw: dict[str, Any]) -> Log:
    """A log entry from its JSON-RPC form."""
    return Log(
        address=to_checksum_address(raw["address"]),
        topics=tuple(map(to_bytes, raw["topics"])),
        data=to_bytes(raw["data"]),
        block_number=int(raw["blockNumber"], 16),
        block_hash=to_bytes(raw["blockHash"]),
        transaction_hash=to_bytes(raw["transactionHash"]),
        transaction_index=int(raw["transactionIndex"], 16),
        log_index=int(raw["logIndex"], 16),
    )


def receipt_from(raw: dict[str, Any]) -> Receipt:
    """A receipt from its JSON-RPC form."""
    created = raw.get("contractAddress")
    return Receipt(
        transaction_hash=to_bytes(raw["transactionHash"]),
        block_number=int(raw["blockNumber"], 16),
        block_hash=to_bytes(raw["blockHash"]),
        succeeded=raw["status"] == "0x1",
        gas_used=int(raw["gasUsed"], 16),
        contract_address=None if created is None else to_checksum_address(created),
        logs=tuple(log_from(log) for log in raw["logs"]),
    )


def proof_from(raw: dict[str, Any]) -> AccountProof:
    """An account's proof from its JSON-RPC form."""
    return AccountProof(
        address=to_checksum_address(raw["address"]),
        nodes=tuple(map(to_bytes, raw["accountProof"])),
        balance_wei=int(raw["balance"], 16),
        nonce=int(raw["nonce"], 16),
        code_hash=to_bytes(raw["codeHash"]),
        storage_root=to_bytes(raw["storageHash"]),
        slots=tuple(
            SlotProof(int(item["key"], 16), int(item["value"], 16), tuple(map(to_bytes, item["proof"])))
            for item in raw["storageProof"]
        ),
    )


def to_bytes(text: str) -> bytes:
    """Bytes from hexadecimal text with 0x in front."""
    return bytes.fromhex(text[2:])


def to_hex(value: bytes) -> str:
    """Hexadecimal text with 0x in front."""
    return "0x" + value.hex()
