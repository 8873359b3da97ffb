"""The port to a chain: embedded engine, anvil, geth and Besu alike; nothing above knows which one it is.

```
chain = Chain("http://127.0.0.1:8545")
chain.wait_until_ready()
address = chain.deploy(key, "Registry", admin)
transaction = chain.send(key, address, "Registry", "enrol", account, organisation, role)
receipt = chain.wait(transaction)
```

Exceptions: ChainUnavailable (nobody answers: try again later), errors.ContractError (a contract refused,
with its facts), SubmissionRefused (the node took the transaction for invalid), TransactionPending (no block
has it yet), RpcFailed (any other answer that is an error), BlockUnknown.
"""

import random
import threading
import time
from collections.abc import Sequence
from typing import Any

from contracts.artifacts import artifact
from contracts.chain_data import (
    AccountProof,
    Block,
    Log,
    Receipt,
    block_from,
    log_from,
    proof_from,
    receipt_from,
    to_bytes,
    to_hex,
)
from contracts.errors import ContractError, decode_error
from contracts.interface import Interface
from contracts.json_rpc import ChainUnavailable, JsonRpc, RpcFailed
from contracts.keccak import keccak
from contracts.key import SigningKey
from contracts.transaction import signed_transaction

__all__ = [
    "AccountProof",
    "Block",
    "BlockUnknown",
    "Chain",
    "ChainUnavailable",
    "Log",
    "Receipt",
    "RpcFailed",
    "SubmissionRefused",
    "TransactionPending",
]

ANY_SENDER = "0x0000000000000000000000000000000000000000"
PRICE_KEPT_S = 10.0
NONCE_TRIES, NONCE_PAUSE_S = 10, 0.05
NONCE_TAKEN = ("nonce", "already", "replacement")
"""Words of nodes that have another transaction of the account under the number: someone else sends with its
key, so the node is asked for the next one and, after a random pause, the transaction signed again."""

BlockId = int | bytes | str
"""A block's number, its hash, or "latest", "pending" or "earliest"."""


class SubmissionRefused(RpcFailed):
    """The node did not take the transaction; no block will have it."""


class TransactionPending(TimeoutError):
    """No block has the transaction after the time that one was willing to wait."""


class BlockUnknown(LookupError):
    """The node has no such block (not yet, or not any more after a reorganisation)."""


class Chain:
    """One chain at `url`; may be used from several threads.

    `retry_s`: how long a request is tried again while nobody answers. `gas_price_wei`: None asks the node.
    """

    def __init__(
        self, url: str, *, gas_price_wei: int | None = None, retry_s: float = 5.0, timeout_s: float = 60.0
    ) -> None:
        self.url = url
        self._rpc = JsonRpc(url, retry_s=retry_s, timeout_s=timeout_s)
        self._gas_price = gas_price_wei
        self._price_asked: tuple[float, int] | None = None
        self._chain_id: int | None = None
        self._nonces: dict[str, int] = {}
        self._nonce_lock = threading.RLock()
        self._interfaces: dict[str, Interface] = {}

    # --- the door

    def request(self, method: str, *parameters: Any) -> Any:
        """The result of any JSON-RPC method. Raises ChainUnavailable or RpcFailed."""
        return self._rpc.request(method, *parameters)

    def wait_until_ready(self, timeout_s: float = 30.0) -> None:
        """Return once the node answers. Raises ChainUnavailable."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                self.request("eth_chainId")
                return
            except ChainUnavailable:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.05)

    # --- reading

    @property
    def chain_id(self) -> int:
        """The chain's identity, part of every signature."""
        if self._chain_id is None:
            self._chain_id = int(self.request("eth_chainId"), 16)
        return self._chain_id

    def head(self) -> int:
        """Number of the newest block."""
        return int(self.request("eth_blockNumber"), 16)

    def block(self, at: BlockId = "latest") -> Block:
        """A block. Raises BlockUnknown."""
        method = "eth_getBlockByHash" if isinstance(at, bytes) else "eth_getBlockByNumber"
        raw = self.request(method, _block_id(at), False)
        if raw is None:
            raise BlockUnknown(f"the chain at {self.url} has no block {_block_id(at)}")
        return block_from(raw)

    def logs(
        self,
        first: int,
        last: int,
        addresses: Sequence[str] = (),
        topics: Sequence[bytes | Sequence[bytes] | None] = (),
    ) -> list[Log]:
        """Logs of blocks `first` to `last`, both included, of any of `addresses`, in order."""
        criteria: dict[str, Any] = {"fromBlock": hex(first), "toBlock": hex(last)}
        if addresses:
            criteria["address"] = list(addresses)
        if topics:
            criteria["topics"] = [_topic(item) for item in topics]
        return [log_from(raw) for raw in self.request("eth_getLogs", criteria)]

    def logs_of_block(self, block_hash: bytes, addresses: Sequence[str] = ()) -> list[Log]:
        """Logs of one block, by its hash, so that a reorganisation cannot mix two. Raises BlockUnknown."""
        criteria: dict[str, Any] = {"blockHash": to_hex(block_hash)}
        if addresses:
            criteria["address"] = list(addresses)
        try:
            return [log_from(raw) for raw in self.request("eth_getLogs", criteria)]
        except RpcFailed as problem:
            raise BlockUnknown(f"the chain at {self.url} has no block {to_hex(block_hash)}") from problem

    def call(
        self,
        address: str,
        contract: str,
        function: str,
        *arguments: Any,
        block: BlockId = "latest",
        sender: str = ANY_SENDER,
    ) -> Any:
        """What a function returns, without a transaction. Raises ContractError, InterfaceMismatch.

        What depends on the time should be asked at "pending": the newest block may be old.
        """
        interface = self._interface(contract)
        payload = interface.encode_call(function, arguments)
        output = self.call_data(address, payload, block=block, sender=sender)
        return interface.decode_result(function, arguments, output)

    def call_data(
        self, address: str, data: bytes, *, block: BlockId = "latest", sender: str = ANY_SENDER
    ) -> bytes:
        """What calldata returns, without a transaction. Raises ContractError."""
        return self._call({"from": sender, "to": address, "data": to_hex(data)}, block)

    def nonce(self, address: str) -> int:
        """Number of the next transaction of an account, and of the contract that it would create."""
        with self._nonce_lock:
            return self._next_nonce(address)

    def balance_wei(self, address: str, block: BlockId = "latest") -> int:
        """Balance of an account."""
        return int(self.request("eth_getBalance", address, _block_id(block)), 16)

    def code(self, address: str, block: BlockId = "latest") -> bytes:
        """Code of a contract; empty for other accounts."""
        return to_bytes(self.request("eth_getCode", address, _block_id(block)))

    def storage(self, address: str, slot: int, block: BlockId = "latest") -> int:
        """Value of a storage slot."""
        return int(self.request("eth_getStorageAt", address, _word(slot), _block_id(block)), 16)

    def proof(self, address: str, slots: Sequence[int], block: BlockId = "latest") -> AccountProof:
        """Proof of an account and of slots of its storage at a block."""
        raw = self.request("eth_getProof", address, [_word(slot) for slot in slots], _block_id(block))
        return proof_from(raw)

    # --- writing

    def send(
        self,
        key: SigningKey,
        address: str,
        contract: str,
        function: str,
        *arguments: Any,
        gas: int | None = None,
    ) -> bytes:
        """Send a transaction; its hash. The node has it then, a block perhaps not yet: see `wait`.

        Without `gas` the node estimates it first, and what a contract refuses is a ContractError before
        anything is sent. With `gas` nothing is estimated, which halves the work of the node.
        Raises ContractError, SubmissionRefused, ChainUnavailable (it is then unknown whether the node has
        it).
        """
        payload = self._interface(contract).encode_call(function, arguments)
        return self.send_data(key, address, payload, gas=gas)

    def send_data(
        self, key: SigningKey, address: str | None, data: bytes, *, gas: int | None = None
    ) -> bytes:
        """Send calldata to `address`, or create a contract from it for None; see `send`."""
        try:
            return self._send_data(key, address, data, gas)
        except RpcFailed as problem:
            if "insufficient" not in problem.message.lower():
                raise
            raise SubmissionRefused(
                problem.method,
                problem.code,
                f"account {key.address} cannot pay for its transaction: {problem.message}; send it funds, or "
                "name a relayer account that has some",
                problem.data,
            ) from problem

    def _send_data(self, key: SigningKey, address: str | None, data: bytes, gas: int | None) -> bytes:
        if gas is None:
            gas = self._estimate(key.address, address, data)
        target = b"" if address is None else to_bytes(address)
        with self._nonce_lock:
            for left in reversed(range(NONCE_TRIES)):
                nonce = self._next_nonce(key.address)
                try:
                    transaction_hash = self._submit(self._signed(key, nonce, gas, target, data))
                except SubmissionRefused as problem:
                    self._nonces.pop(key.address, None)
                    taken = any(word in problem.message.lower() for word in NONCE_TAKEN)
                    if not taken or left == 0:
                        raise
                    time.sleep(random.uniform(0, NONCE_PAUSE_S))
                except ChainUnavailable:
                    self._nonces.pop(key.address, None)
                    raise
                else:
                    self._nonces[key.address] = nonce + 1
                    return transaction_hash
            raise AssertionError("the last try returns or raises")

    def receipt(self, transaction_hash: bytes) -> Receipt | None:
        """The receipt, None while no block has the transaction."""
        raw = self.request("eth_getTransactionReceipt", to_hex(transaction_hash))
        return None if raw is None else receipt_from(raw)

    def wait(self, transaction_hash: bytes, timeout_s: float = 60.0) -> Receipt:
        """The receipt once a block has it. Raises TransactionPending, ContractError if it failed there."""
        deadline, pause = time.monotonic() + timeout_s, 0.005
        while (receipt := self.receipt(transaction_hash)) is None:
            if time.monotonic() > deadline:
                raise TransactionPending(
                    f"no block has transaction {to_hex(transaction_hash)} after {timeout_s:g} s"
                )
            time.sleep(pause)
            pause = min(pause * 1.5, 0.5)
        if not receipt.succeeded:
            problem = self.failure(receipt)
            problem.transaction_hash = transaction_hash
            raise problem
        return receipt

    def failure(self, receipt: Receipt) -> ContractError:
        """Why a transaction failed: it is called again on the state before its block."""
        raw = self.request("eth_getTransactionByHash", to_hex(receipt.transaction_hash))
        request = {"from": raw["from"], "data": raw["input"], "gas": raw["gas"]}
        if raw["to"] is not None:
            request["to"] = raw["to"]
        try:
            self._call(request, receipt.block_number - 1)
        except ContractError as problem:
            return problem
        except RpcFailed as problem:
            return decode_error(_revert_of(problem.message))
        return decode_error(_revert_of("failed in its block, but not on the state before it"))

    def deploy(self, key: SigningKey, contract: str, *arguments: Any, gas: int | None = None) -> str:
        """Create a committed contract; its address. Raises as `send` and `wait` do."""
        code = artifact(contract).bytecode + self._interface(contract).encode_constructor(arguments)
        receipt = self.wait(self.send_data(key, None, code, gas=gas))
        assert receipt.contract_address is not None
        return receipt.contract_address

    # --- the clock of engines that allow it (embedded, anvil)

    def set_next_block_time(self, time_s: int) -> None:
        """The next block carries this Unix time. Raises RpcFailed when it is past or not allowed."""
        self.request("evm_setNextBlockTimestamp", time_s)

    def mine(self, time_s: int | None = None) -> None:
        """Seal a block now, with what waits, at this Unix time."""
        self.request("evm_mine", *([] if time_s is None else [time_s]))

    def set_automine(self, on: bool) -> None:
        """Whether each transaction gets a block at once, or waits for `mine`."""
        self.request("evm_setAutomine", on)

    # ---

    def _interface(self, contract: str) -> Interface:
        if contract not in self._interfaces:
            self._interfaces[contract] = Interface.of(contract)
        return self._interfaces[contract]

    def _call(self, request: dict[str, Any], block: BlockId) -> bytes:
        identity: Any = {"blockHash": to_hex(block)} if isinstance(block, bytes) else _block_id(block)
        try:
            return to_bytes(self.request("eth_call", request, identity))
        except RpcFailed as problem:
            raise _contract_error(problem) from problem

    def _estimate(self, sender: str, address: str | None, data: bytes) -> int:
        request = {"from": sender, "data": to_hex(data)}
        if address is not None:
            request["to"] = address
        try:
            return int(self.request("eth_estimateGas", request), 16) * 5 // 4
        except RpcFailed as problem:
            raise _contract_error(problem) from problem

    def _signed(self, key: SigningKey, nonce: int, gas: int, to: bytes, data: bytes) -> bytes:
        return signed_transaction(
            key,
            chain_id=self.chain_id,
            nonce=nonce,
            gas_price_wei=self._price(),
            gas=gas,
            to=to,
            data=data,
        )

    def _price(self) -> int:
        if self._gas_price is not None:
            return self._gas_price
        now = time.monotonic()
        if self._price_asked is None or now - self._price_asked[0] > PRICE_KEPT_S:
            # Twice what is asked for: the base fee may rise before the block comes.
            self._price_asked = now, 2 * int(self.request("eth_gasPrice"), 16)
        return self._price_asked[1]

    def _next_nonce(self, address: str) -> int:
        if address not in self._nonces:
            self._nonces[address] = int(self.request("eth_getTransactionCount", address, "pending"), 16)
        return self._nonces[address]

    def _submit(self, raw: bytes) -> bytes:
        """Hand over a transaction; it is no failure when the node has it already from a try before."""
        transaction_hash = keccak(raw)
        tries: list[None] = []
        try:
            self._rpc.request("eth_sendRawTransaction", to_hex(raw), on_retry=lambda: tries.append(None))
        except RpcFailed as problem:
            # Only a second try may find its own transaction; a first one finds another sender's.
            known = tries and self.request("eth_getTransactionByHash", to_hex(transaction_hash))
            if not known:
                raise SubmissionRefused(
                    problem.method, problem.code, problem.message, problem.data
                ) from problem
        return transaction_hash


def _contract_error(problem: RpcFailed) -> Exception:
    """The typed exception for a failed execution, the problem itself for anything else."""
    data = problem.data.get("data") if isinstance(problem.data, dict) else problem.data
    if isinstance(data, str) and data.startswith("0x"):
        return decode_error(to_bytes(data))
    if "revert" in problem.message:
        return decode_error(b"")
    return problem


def _revert_of(message: str) -> bytes:
    """A plain message in the form in which Solidity reverts with one."""
    text = message.encode()
    head = bytes.fromhex("08c379a0") + (32).to_bytes(32, "big") + len(text).to_bytes(32, "big")
    return head + text + bytes(-len(text) % 32)


def _block_id(at: BlockId) -> str:
    if isinstance(at, bytes):
        return to_hex(at)
    return hex(at) if isinstance(at, int) else at


def _topic(item: bytes | Sequence[bytes] | None) -> str | list[str] | None:
    if item is None:
        return None
    return to_hex(item) if isinstance(item, bytes) else [to_hex(part) for part in item]


def _word(value: int) -> str:
    return f"0x{value:064x}"
