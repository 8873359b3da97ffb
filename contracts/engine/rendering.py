"""Blocks, transactions, receipts, logs and proofs in the JSON form of geth."""

from typing import Any

import rlp
from eth.abc import BlockHeaderAPI, SignedTransactionAPI
from eth_abi import abi
from eth_abi.exceptions import DecodingError
from eth_hash.auto import keccak

from contracts.engine.hexadecimal import data, quantity
from contracts.engine.index import Log, Receipt
from contracts.engine.view import Proof

ERROR_STRING, PANIC = bytes.fromhex("08c379a0"), bytes.fromhex("4e487b71")


def block(header: BlockHeaderAPI, size: int, transactions: list[Any]) -> dict[str, Any]:
    """A block; with its header's fields alone one can recompute its hash."""
    return {
        "number": quantity(header.block_number),
        "hash": data(header.hash),
        "parentHash": data(header.parent_hash),
        "sha3Uncles": data(header.uncles_hash),
        "miner": data(header.coinbase),
        "stateRoot": data(header.state_root),
        "transactionsRoot": data(header.transaction_root),
        "receiptsRoot": data(header.receipt_root),
        "logsBloom": data(int(header.bloom).to_bytes(256, "big")),
        "difficulty": quantity(header.difficulty),
        "totalDifficulty": quantity(0),
        "gasLimit": quantity(header.gas_limit),
        "gasUsed": quantity(header.gas_used),
        "timestamp": quantity(header.timestamp),
        "extraData": data(header.extra_data),
        "mixHash": data(header.mix_hash),
        "nonce": data(header.nonce),
        "baseFeePerGas": quantity(header.base_fee_per_gas),
        "size": quantity(size),
        "uncles": [],
        "transactions": transactions,
    }


def transaction(
    item: SignedTransactionAPI, receipt: Receipt, block_hash: bytes, chain_id: int
) -> dict[str, Any]:
    """A transaction in a block."""
    rendered = {
        "blockHash": data(block_hash),
        "blockNumber": quantity(receipt.number),
        "transactionIndex": quantity(receipt.position),
        "hash": data(receipt.hash),
        "type": quantity(receipt.type),
        "from": data(receipt.sender),
        "to": _optional(receipt.receiver),
        "nonce": quantity(receipt.nonce),
        "gas": quantity(item.gas),
        "gasPrice": quantity(receipt.gas_price),
        "value": quantity(item.value),
        "input": data(item.data),
        "chainId": quantity(chain_id),
        "r": quantity(item.r),
        "s": quantity(item.s),
    }
    if receipt.type == 0:
        return {**rendered, "v": quantity(item.y_parity + 35 + 2 * chain_id)}
    rendered |= {"v": quantity(item.y_parity), "yParity": quantity(item.y_parity)}
    if receipt.type >= 2:
        rendered["maxFeePerGas"] = quantity(item.max_fee_per_gas)
        rendered["maxPriorityFeePerGas"] = quantity(item.max_priority_fee_per_gas)
    return rendered | {
        "accessList": [
            {"address": data(address), "storageKeys": [data(slot.to_bytes(32, "big")) for slot in slots]}
            for address, slots in item.access_list
        ]
    }


def receipt(item: Receipt, block_hash: bytes, logs: list[dict[str, Any]]) -> dict[str, Any]:
    """What became of a transaction."""
    created = None
    if item.receiver is None:
        created = keccak(rlp.encode([item.sender, item.nonce]))[12:]
    return {
        "transactionHash": data(item.hash),
        "transactionIndex": quantity(item.position),
        "blockHash": data(block_hash),
        "blockNumber": quantity(item.number),
        "from": data(item.sender),
        "to": _optional(item.receiver),
        "contractAddress": _optional(created),
        "gasUsed": quantity(item.gas_used),
        "cumulativeGasUsed": quantity(item.cumulative_gas_used),
        "effectiveGasPrice": quantity(item.gas_price),
        "type": quantity(item.type),
        "status": quantity(item.status),
        "logsBloom": data(item.bloom),
        "logs": logs,
    }


def log(item: Log, block_hash: bytes, timestamp: int) -> dict[str, Any]:
    """A log entry."""
    return {
        "address": data(item.address),
        "topics": [data(topic) for topic in item.topics],
        "data": data(item.data),
        "blockNumber": quantity(item.number),
        "blockHash": data(block_hash),
        "blockTimestamp": quantity(timestamp),
        "transactionHash": data(item.hash),
        "transactionIndex": quantity(item.position),
        "logIndex": quantity(item.log_index),
        "removed": False,
    }


def proof(address: bytes, item: Proof, keys: list[str]) -> dict[str, Any]:
    """An EIP-1186 proof; the storage keys are repeated as they were asked for."""
    return {
        "address": data(address),
        "accountProof": [data(node) for node in item.nodes],
        "balance": quantity(item.balance),
        "codeHash": data(item.code_hash),
        "nonce": quantity(item.nonce),
        "storageHash": data(item.storage_hash),
        "storageProof": [
            {"key": key, "value": quantity(value), "proof": [data(node) for node in nodes]}
            for key, (_, value, nodes) in zip(keys, item.slots, strict=True)
        ],
    }


def revert_message(output: bytes) -> str:
    """geth's message for a revert, with the reason where it is a string or a panic."""
    selector, arguments = output[:4], output[4:]
    try:
        if selector == ERROR_STRING:
            return f"execution reverted: {abi.decode(['string'], arguments)[0]}"
        if selector == PANIC:
            return f"execution reverted: panic {abi.decode(['uint256'], arguments)[0]:#04x}"
    except DecodingError:
        pass
    return "execution reverted"


def _optional(value: bytes | None) -> str | None:
    return None if value is None else data(value)
