"""The reading side: state, calls and proofs at any block, on a connection that waits for no block."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import rlp
from eth.abc import BlockHeaderAPI, ComputationAPI, SignedTransactionAPI, VirtualMachineAPI
from eth.constants import CREATE_CONTRACT_ADDRESS
from eth.exceptions import Revert
from eth.rlp.accounts import Account
from eth.vm.spoof import SpoofTransaction
from eth_hash.auto import keccak
from eth_utils.exceptions import ValidationError
from trie import HexaryTrie
from trie.constants import BLANK_NODE_HASH

from contracts.engine.backend import GAS_LIMIT, DurableBackend
from contracts.engine.database import Database
from contracts.engine.index import Index

STIPEND = 2_300


class CallFailed(Exception):
    """The execution failed; `data` is what a `revert` gave, None for other ends (such as out of gas)."""

    def __init__(self, message: str, data: bytes | None) -> None:
        super().__init__(message)
        self.data = data


@dataclass(frozen=True)
class Call:
    """An execution that is not a transaction."""

    sender: bytes
    receiver: bytes | None
    data: bytes
    gas: int | None = None
    value: int = 0


@dataclass(frozen=True)
class Proof:
    """An account with the trie nodes that prove it (EIP-1186); each slot as (slot, value, nodes)."""

    nodes: list[bytes]
    balance: int
    nonce: int
    code_hash: bytes
    storage_hash: bytes
    slots: list[tuple[int, int, list[bytes]]]


class View:
    """Read-only access to the chain in `folder`; to be used by one thread at a time."""

    def __init__(self, folder: Path, chain_id: int) -> None:
        self._database = Database(folder, writing=False)
        self.index = Index(self._database.connection)
        self._backend = DurableBackend(self._database, chain_id, 0, {})
        self.chain_id = chain_id

    def close(self) -> None:
        """Close the connection."""
        self._database.close()

    def header(self, number: int) -> BlockHeaderAPI:
        """Header of block `number`, which must exist."""
        return self._backend.chain.get_canonical_block_header_by_number(number)

    def pending_header(self, timestamp: int) -> BlockHeaderAPI:
        """Header of the block that would come next, on the state of the newest one."""
        head = self.header(self.index.head())
        return self._backend.chain.create_header_from_parent(head, timestamp=timestamp)

    def transaction(self, number: int, position: int) -> SignedTransactionAPI:
        """The transaction at a place in the chain."""
        return self._backend.chain.get_canonical_transaction_by_index(number, position)

    def balance(self, header: BlockHeaderAPI, address: bytes) -> int:
        """Balance in wei."""
        return int(self._vm(header).state.get_balance(address))

    def nonce(self, header: BlockHeaderAPI, address: bytes) -> int:
        """Number of transactions that `address` has sent."""
        return int(self._vm(header).state.get_nonce(address))

    def code(self, header: BlockHeaderAPI, address: bytes) -> bytes:
        """Code of a contract; empty for other accounts."""
        return bytes(self._vm(header).state.get_code(address))

    def storage(self, header: BlockHeaderAPI, address: bytes, slot: int) -> int:
        """Value of a storage slot."""
        return int(self._vm(header).state.get_storage(address, slot))

    def call(self, header: BlockHeaderAPI, call: Call) -> bytes:
        """What the call returns. Raises CallFailed."""
        computation = self._execute(header, call, call.gas or GAS_LIMIT)
        _raise_for(computation)
        return bytes(computation.output)

    def estimate_gas(self, header: BlockHeaderAPI, call: Call) -> int:
        """Gas that a transaction needs to succeed. Raises CallFailed when none is enough.

        One execution measures; a second one confirms the figure with the reserve that inner calls need
        (a caller keeps 1/64); only when that is not enough, the limit is searched for.
        """
        most = call.gas or GAS_LIMIT
        computation = self._execute(header, call, most)
        _raise_for(computation)
        spent = most - computation.get_gas_remaining()
        if not call.data and spent == 21_000:
            return int(spent)
        guess = min(most, (spent + STIPEND) * 64 // 63)
        if not self._execute(header, call, guess).is_error:
            return int(guess)
        enough, too_little = most, guess
        while enough - too_little > enough // 64:
            middle = (enough + too_little) // 2
            if self._execute(header, call, middle).is_error:
                too_little = middle
            else:
                enough = middle
        return int(enough)

    def proof(self, header: BlockHeaderAPI, address: bytes, slots: Sequence[int]) -> Proof:
        """Proof of an account, existing or not, and of storage slots of it."""
        nodes, encoded = self._prove(header.state_root, keccak(address))
        account = rlp.decode(encoded, sedes=Account) if encoded else Account()
        proven = []
        for slot in slots:
            path, value = self._prove(account.storage_root, keccak(slot.to_bytes(32, "big")))
            proven.append((slot, int.from_bytes(rlp.decode(value), "big") if value else 0, path))
        return Proof(nodes, account.balance, account.nonce, account.code_hash, account.storage_root, proven)

    def _prove(self, root: bytes, key: bytes) -> tuple[list[bytes], bytes]:
        tree = HexaryTrie(self._database.atomic, root)
        if root == BLANK_NODE_HASH:
            return [], b""
        encoded = [rlp.encode(node) for node in tree.get_proof(key)]
        # A node of less than 32 bytes stands inside its parent and is no element of its own.
        return [node for place, node in enumerate(encoded) if place == 0 or len(node) >= 32], tree.get(key)

    def _vm(self, header: BlockHeaderAPI) -> VirtualMachineAPI:
        return self._backend.chain.get_vm(header)

    def _execute(self, header: BlockHeaderAPI, call: Call, gas: int) -> ComputationAPI:
        vm = self._vm(header)
        unsigned = vm.create_unsigned_transaction(
            nonce=vm.state.get_nonce(call.sender),
            gas_price=0,
            gas=gas,
            to=call.receiver or CREATE_CONTRACT_ADDRESS,
            value=call.value,
            data=call.data,
        )
        spoofed = SpoofTransaction(unsigned, from_=call.sender)
        if gas < spoofed.intrinsic_gas:
            raise CallFailed(f"intrinsic gas too low: have {gas}, want {spoofed.intrinsic_gas}", None)
        try:
            return vm.state.apply_transaction(spoofed)
        except ValidationError as problem:
            raise CallFailed(str(problem), None) from problem


def _raise_for(computation: ComputationAPI) -> None:
    if not computation.is_error:
        return
    error = computation.error
    if isinstance(error, Revert):
        raise CallFailed("execution reverted", bytes(computation.output))
    message = str(error) or type(error).__name__
    raise CallFailed("out of gas" if type(error).__name__ == "OutOfGas" else message, None)
