"""Ethereum's JSON-RPC over a node and a view: what web3, cast and curl expect, as geth answers."""

import inspect
import json
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import Any

import structlog
from eth.abc import BlockHeaderAPI

from contracts.engine import rendering
from contracts.engine.database import ChainDatabaseError
from contracts.engine.hexadecimal import InvalidParameter, data, quantity, to_bytes, to_int
from contracts.engine.index import Receipt
from contracts.engine.node import InvalidTime, Node, TransactionRefused
from contracts.engine.view import Call, CallFailed, View
from contracts.nesting import too_deep

CLIENT = "ped/eth-tester"
ZERO_ADDRESS = bytes(20)

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32700, -32600, -32601, -32602
SERVER_ERROR, REVERTED = -32000, 3

_log = structlog.get_logger()


class RpcError(Exception):
    """An answer with an error object."""

    def __init__(self, code: int, message: str, revert: bytes | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.revert = revert


class JsonRpc:
    """Answers requests. Methods that write run one after the other in `writer`, the others in `reader`."""

    def __init__(self, node: Node, view: View, writer: Executor, reader: Executor) -> None:
        self._node, self._view, self._writer, self._reader = node, view, writer, reader
        self._writing: dict[str, Callable[..., Any]] = {
            "eth_sendRawTransaction": self._send_raw_transaction,
            "evm_mine": self._mine,
            "anvil_mine": self._mine_many,
            "evm_setNextBlockTimestamp": self._set_next_block_timestamp,
            "evm_increaseTime": self._increase_time,
            "evm_setAutomine": self._set_automine,
            "evm_snapshot": self._snapshot,
            "evm_revert": self._revert,
        }
        self._reading: dict[str, Callable[..., Any]] = {
            "web3_clientVersion": lambda: CLIENT,
            "net_version": lambda: str(node.chain_id),
            "net_listening": lambda: True,
            "eth_chainId": lambda: quantity(node.chain_id),
            "eth_syncing": lambda: False,
            "eth_accounts": list,
            "eth_gasPrice": lambda: quantity(0),
            "eth_maxPriorityFeePerGas": lambda: quantity(0),
            "eth_feeHistory": self._fee_history,
            "eth_blockNumber": lambda: quantity(view.index.head()),
            "eth_getBlockByNumber": self._block_by_number,
            "eth_getBlockByHash": self._block_by_hash,
            "eth_getBlockTransactionCountByNumber": self._transaction_count_of_block,
            "eth_getBlockReceipts": self._block_receipts,
            "eth_getTransactionByHash": self._transaction,
            "eth_getTransactionReceipt": self._receipt,
            "eth_getTransactionCount": self._nonce,
            "eth_getBalance": lambda address, at="latest": quantity(
                view.balance(self._header(at), to_bytes(address, "address", 20))
            ),
            "eth_getCode": lambda address, at="latest": data(
                view.code(self._header(at), to_bytes(address, "address", 20))
            ),
            "eth_getStorageAt": self._storage,
            "eth_call": self._call,
            "eth_estimateGas": self._estimate_gas,
            "eth_getLogs": self._logs,
            "eth_getProof": self._proof,
        }
        self._signatures = {
            method: inspect.signature(handler) for method, handler in (self._writing | self._reading).items()
        }

    def answer(self, body: bytes) -> bytes:
        """The answer to a request or a batch of requests, as they came over the wire."""
        if too_deep(body):
            return _encode(_failure(None, RpcError(PARSE_ERROR, "parse error: nested too deeply")))
        try:
            request = json.loads(body)
        except ValueError as problem:
            return _encode(_failure(None, RpcError(PARSE_ERROR, f"parse error: {problem}")))
        if not isinstance(request, list):
            return _encode(self._submit(request).result())
        if not request:
            return _encode(_failure(None, RpcError(INVALID_REQUEST, "empty batch")))
        # One after the other: an element may depend on what the one before it wrote.
        return _encode([self._submit(element).result() for element in request])

    def _submit(self, request: Any) -> "Future[dict[str, Any]]":
        method = request.get("method") if isinstance(request, dict) else None
        executor = self._writer if method in self._writing else self._reader
        return executor.submit(self._execute, request)

    def _execute(self, request: Any) -> dict[str, Any]:
        identity = request.get("id") if isinstance(request, dict) else None
        try:
            return {"jsonrpc": "2.0", "id": identity, "result": self._dispatch(request)}
        except RpcError as problem:
            return _failure(identity, problem)
        except (InvalidParameter, InvalidTime) as problem:
            return _failure(identity, RpcError(INVALID_PARAMS, str(problem)))
        except CallFailed as problem:
            if problem.data is None:
                return _failure(identity, RpcError(SERVER_ERROR, str(problem)))
            message = rendering.revert_message(problem.data)
            return _failure(identity, RpcError(REVERTED, message, problem.data))
        except (TransactionRefused, ChainDatabaseError) as problem:
            return _failure(identity, RpcError(SERVER_ERROR, str(problem)))
        except Exception as problem:
            _log.exception("request failed", request=str(request)[:500])
            return _failure(
                identity, RpcError(-32603, f"internal error: {type(problem).__name__}: {problem}")
            )

    def _dispatch(self, request: Any) -> Any:
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            raise RpcError(INVALID_REQUEST, "a request is an object with jsonrpc, id, method and params")
        method, parameters = request["method"], request.get("params", [])
        handler = self._writing.get(method) or self._reading.get(method)
        if handler is None:
            raise RpcError(METHOD_NOT_FOUND, f"the method {method} does not exist/is not available")
        if not isinstance(parameters, list):
            raise InvalidParameter("params must be a list")
        try:
            self._signatures[method].bind(*parameters)
        except TypeError as problem:
            raise InvalidParameter(f"{method}: {problem}") from problem
        return handler(*parameters)

    # --- methods that write

    def _send_raw_transaction(self, raw: str) -> str:
        return data(self._node.submit(to_bytes(raw, "transaction")))

    def _mine(self, options: Any = None) -> str:
        timestamp = options.get("timestamp") if isinstance(options, dict) else options
        self._node.mine(None if timestamp is None else to_int(timestamp, "timestamp"))
        return "0x0"

    def _mine_many(self, blocks: Any = 1, interval: Any = None) -> None:
        step = None if interval is None else to_int(interval, "interval")
        for place in range(to_int(blocks, "blocks")):
            self._node.mine(self._node.next_time() + step - 1 if step and place else None)

    def _set_next_block_timestamp(self, timestamp: Any) -> None:
        self._node.set_next_time(to_int(timestamp, "timestamp"))

    def _increase_time(self, seconds: Any) -> str:
        self._node.increase_time(to_int(seconds, "seconds"))
        return quantity(to_int(seconds, "seconds"))

    def _set_automine(self, on: Any) -> None:
        if not isinstance(on, bool):
            raise InvalidParameter(f"automine is true or false, not {on!r}")
        self._node.automine = on

    def _snapshot(self) -> str:
        return quantity(self._node.snapshot())

    def _revert(self, snapshot: Any) -> bool:
        return self._node.revert(to_int(snapshot, "snapshot"))

    # --- blocks and transactions

    def _number(self, at: Any) -> int:
        """The block that a tag, a number or an EIP-1898 object means. Raises RpcError when there is none."""
        head = self._view.index.head()
        if at in ("latest", "safe", "finalized", "pending", None):
            return head
        if at == "earliest":
            return 0
        if isinstance(at, dict):
            if "blockHash" not in at:
                return self._number(at.get("blockNumber"))
            block_hash = to_bytes(at["blockHash"], "blockHash", 32)
            found = self._view.index.number_of(block_hash)
            if found is None:
                raise RpcError(SERVER_ERROR, f"header for hash not found: {data(block_hash)}")
            return found
        number = to_int(at, "block")
        if number > head:
            raise RpcError(SERVER_ERROR, f"header not found: block {number} is after the newest one, {head}")
        return number

    def _header(self, at: Any) -> BlockHeaderAPI:
        if at == "pending":
            return self._view.pending_header(self._node.next_time())
        return self._view.header(self._number(at))

    def _block(self, number: int, full: bool) -> dict[str, Any]:
        index = self._view.index
        if full:
            transactions: list[Any] = [
                self._render_transaction(receipt) for receipt in index.receipts(number)
            ]
        else:
            transactions = [data(receipt.hash) for receipt in index.receipts(number)]
        return rendering.block(self._view.header(number), index.size(number), transactions)

    def _block_by_number(self, at: Any, full: bool = False) -> dict[str, Any] | None:
        tag = at in ("latest", "safe", "finalized", "pending", "earliest")
        if not tag and to_int(at, "block") > self._view.index.head():
            return None
        return self._block(self._number(at), full)

    def _block_by_hash(self, block_hash: Any, full: bool = False) -> dict[str, Any] | None:
        number = self._view.index.number_of(to_bytes(block_hash, "hash", 32))
        return None if number is None else self._block(number, full)

    def _transaction_count_of_block(self, at: Any) -> str:
        return quantity(len(self._view.index.receipts(self._number(at))))

    def _render_transaction(self, receipt: Receipt) -> dict[str, Any]:
        block_hash = self._view.index.block_hash(receipt.number)
        transaction = self._view.transaction(receipt.number, receipt.position)
        return rendering.transaction(transaction, receipt, block_hash or b"", self._node.chain_id)

    def _transaction(self, transaction_hash: Any) -> dict[str, Any] | None:
        receipt = self._view.index.receipt(to_bytes(transaction_hash, "hash", 32))
        return None if receipt is None else self._render_transaction(receipt)

    def _receipt(self, transaction_hash: Any) -> dict[str, Any] | None:
        receipt = self._view.index.receipt(to_bytes(transaction_hash, "hash", 32))
        return None if receipt is None else self._render_receipts([receipt])[0]

    def _block_receipts(self, at: Any) -> list[dict[str, Any]]:
        return self._render_receipts(self._view.index.receipts(self._number(at)))

    def _render_receipts(self, receipts: Sequence[Receipt]) -> list[dict[str, Any]]:
        if not receipts:
            return []
        number = receipts[0].number
        block_hash = self._view.index.block_hash(number) or b""
        timestamp = self._view.header(number).timestamp
        logs = self._view.index.logs(number, number)
        return [
            rendering.receipt(
                receipt,
                block_hash,
                [
                    rendering.log(log, block_hash, timestamp)
                    for log in logs
                    if log.position == receipt.position
                ],
            )
            for receipt in receipts
        ]

    def _logs(self, criteria: Any) -> list[dict[str, Any]]:
        if not isinstance(criteria, dict):
            raise InvalidParameter("eth_getLogs takes an object")
        if "blockHash" in criteria:
            first = last = self._number({"blockHash": criteria["blockHash"]})
        else:
            head = self._view.index.head()
            first = self._range_end(criteria.get("fromBlock"), head)
            last = min(self._range_end(criteria.get("toBlock"), head), head)
        wanted = criteria.get("address") or []
        addresses = [to_bytes(item, "address", 20) for item in _listed(wanted)]
        topics = [
            None if item in (None, []) else [to_bytes(topic, "topic", 32) for topic in _listed(item)]
            for item in criteria.get("topics") or []
        ]
        if len(topics) > 4:
            raise InvalidParameter(f"a log has at most 4 topics, not {len(topics)}")
        blocks: dict[int, tuple[bytes, int]] = {}
        rendered = []
        for log in self._view.index.logs(first, last, addresses, topics):
            if log.number not in blocks:
                header = self._view.header(log.number)
                blocks[log.number] = (header.hash, header.timestamp)
            rendered.append(rendering.log(log, *blocks[log.number]))
        return rendered

    def _range_end(self, at: Any, head: int) -> int:
        if at is None or (isinstance(at, str) and at.isalpha()):
            return 0 if at == "earliest" else head
        return to_int(at, "block")

    # --- state

    def _nonce(self, address: Any, at: Any = "latest") -> str:
        account = to_bytes(address, "address", 20)
        if at == "pending":
            return quantity(self._node.pending_nonce(account))
        return quantity(self._view.nonce(self._header(at), account))

    def _storage(self, address: Any, slot: Any, at: Any = "latest") -> str:
        value = self._view.storage(self._header(at), to_bytes(address, "address", 20), to_int(slot, "slot"))
        return data(value.to_bytes(32, "big"))

    def _call(self, request: Any, at: Any = "latest") -> str:
        return data(self._view.call(self._header(at), _call(request)))

    def _estimate_gas(self, request: Any, at: Any = "pending") -> str:
        return quantity(self._view.estimate_gas(self._header(at), _call(request)))

    def _proof(self, address: Any, slots: Any, at: Any = "latest") -> dict[str, Any]:
        account = to_bytes(address, "address", 20)
        if not isinstance(slots, list):
            raise InvalidParameter("the storage keys must be a list")
        proof = self._view.proof(self._header(at), account, [to_int(slot, "slot") for slot in slots])
        return rendering.proof(account, proof, slots)

    def _fee_history(self, count: Any, newest: Any = "latest", _percentiles: Any = None) -> dict[str, Any]:
        last = self._number(newest)
        first = max(0, last + 1 - to_int(count, "count"))
        headers = [self._view.header(number) for number in range(first, last + 1)]
        return {
            "oldestBlock": quantity(first),
            "baseFeePerGas": [quantity(0)] * (len(headers) + 1),
            "gasUsedRatio": [header.gas_used / header.gas_limit for header in headers],
            "reward": [[quantity(0) for _ in _percentiles or []] for _ in headers],
        }


def _call(request: Any) -> Call:
    if not isinstance(request, dict):
        raise InvalidParameter("a call is an object")
    payload = request.get("input", request.get("data")) or "0x"
    return Call(
        sender=to_bytes(request["from"], "from", 20) if request.get("from") else ZERO_ADDRESS,
        receiver=to_bytes(request["to"], "to", 20) if request.get("to") else None,
        data=to_bytes(payload, "data"),
        gas=to_int(request["gas"], "gas") if request.get("gas") else None,
        value=to_int(request.get("value") or 0, "value"),
    )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _failure(identity: Any, problem: RpcError) -> dict[str, Any]:
    error: dict[str, Any] = {"code": problem.code, "message": str(problem)}
    if problem.revert is not None:
        error["data"] = data(problem.revert)
    return {"jsonrpc": "2.0", "id": identity, "error": error}


def _encode(answer: Any) -> bytes:
    return json.dumps(answer, separators=(",", ":")).encode()
