"""eth-tester's py-evm backend over the durable database: applies transactions and seals blocks.

Fork: Paris, because every contract is compiled for it (anything newer fails here first) and its header needs
neither withdrawals nor blobs. As on a permissioned Besu with `zeroBaseFee`, the base fee is always zero, so
that keys need no funds. A block is executed once, while it is built, and not again by importing it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import rlp
from eth.abc import BlockAPI, BlockHeaderAPI, ComputationAPI, ReceiptAPI, SignedTransactionAPI
from eth.chains.base import MiningChain
from eth.db.schema import SchemaV1
from eth.rlp.sedes import chain_gaps
from eth.vm.forks.paris import ParisVM
from eth.vm.forks.paris.state import ParisState
from eth_tester.backends.pyevm.main import (
    PyEVMBackend,
    get_default_account_keys,
    get_default_genesis_params,
)
from eth_utils.exceptions import ValidationError as EVMValidationError

from contracts.engine.database import Database
from contracts.engine.interpreter import InterpretedComputation
from contracts.engine.state import BatchAccounts

GAS_LIMIT = 100_000_000
"""Gas that a block may use."""


class InterpretedState(ParisState):  # type: ignore[misc]
    """Paris, executed by our inner loop on tries that take changes at once."""

    computation_class = InterpretedComputation
    account_db_class = BatchAccounts


class ZeroBaseFeeParisVM(ParisVM):  # type: ignore[misc]
    """Paris with a base fee of zero in every block."""

    _state_class = InterpretedState

    @staticmethod
    def create_header_from_parent(parent: BlockHeaderAPI | None, **fields: Any) -> BlockHeaderAPI:
        return ParisVM.create_header_from_parent(parent, **fields).copy(base_fee_per_gas=0)


@dataclass(frozen=True)
class SealedBlock:
    """A block on its way into the database, with what its execution gave."""

    block: BlockAPI
    receipts: Sequence[ReceiptAPI]
    computations: Sequence[ComputationAPI]


class DurableBackend(PyEVMBackend):  # type: ignore[misc]
    """eth-tester's backend, its chain in `database`; a new one begins at `genesis_time` with `balances`."""

    def __init__(
        self, database: Database, chain_id: int, genesis_time: int, balances: dict[bytes, int]
    ) -> None:
        self._database = database
        self._chain_class = _chain_class(chain_id)
        state = {
            address: {"balance": balance, "nonce": 0, "code": b"", "storage": {}}
            for address, balance in balances.items()
        }
        super().__init__(
            genesis_parameters=get_default_genesis_params(
                {"gas_limit": GAS_LIMIT, "timestamp": genesis_time, "extra_data": b"PED embedded chain"}
            ),
            genesis_state=state,
        )

    def reset_to_genesis(
        self,
        genesis_params: dict[str, Any] | None = None,
        genesis_state: dict[bytes, dict[str, Any]] | None = None,
        *_ignored: Any,
    ) -> None:
        """Open the chain that the database holds, or begin it."""
        self.account_keys = get_default_account_keys(quantity=0)
        if SchemaV1.make_canonical_head_hash_lookup_key() in self._database.atomic:
            self.chain = self._chain_class(self._database.atomic)
        else:
            self.chain = self._chain_class.from_genesis(self._database.atomic, genesis_params, genesis_state)

    def head(self) -> BlockHeaderAPI:
        """Header of the newest block."""
        return self.chain.get_canonical_head()

    def nonce(self, address: bytes) -> int:
        """Number of transactions of `address` up to the newest block."""
        return int(self.chain.get_vm(self.head()).state.get_nonce(address))

    def decode(self, raw: bytes) -> SignedTransactionAPI:
        """The transaction in `raw` (legacy or typed). Raises EVMValidationError or an rlp error."""
        return self.chain.get_vm().get_transaction_builder().decode(raw)

    def seal(
        self, transactions: Iterable[SignedTransactionAPI], timestamp: int
    ) -> tuple[SealedBlock, dict[bytes, str]]:
        """Execute `transactions` in a block at `timestamp` and make it the head.

        Also gives the hashes of those that cannot be in it now, with the reason.
        The caller holds the database transaction.
        """
        header = self.chain.create_header_from_parent(self.head(), timestamp=timestamp)
        vm = self.chain.get_vm(header)
        included: list[SignedTransactionAPI] = []
        receipts: list[ReceiptAPI] = []
        computations: list[ComputationAPI] = []
        refused: dict[bytes, str] = {}
        for transaction in transactions:
            try:
                receipt, computation = vm.apply_transaction(header, transaction)
            except EVMValidationError as problem:
                refused[transaction.hash] = str(problem)
                continue
            header = vm.add_receipt_to_header(header, receipt)
            included.append(transaction)
            receipts.append(receipt)
            computations.append(computation)
        filled = vm.set_block_transactions_and_withdrawals(
            vm.get_block(), header, tuple(included), tuple(receipts)
        )
        block = vm.finalize_block(vm.pack_block(filled)).block
        self.chain.chaindb.persist_block(block)
        self.chain.header = self.chain.create_header_from_parent(block.header)
        return SealedBlock(block, receipts, computations), refused

    def rewind(self, number: int) -> None:
        """Make block `number` the head again. The caller holds the transaction and cuts the index."""
        old_head = self.head()
        target = self.chain.get_canonical_block_header_by_number(number)
        nodes = self._database.nodes
        for above in range(number + 1, old_head.block_number + 1):
            header = self.chain.get_canonical_block_header_by_number(above)
            for transaction_hash in self.chain.chaindb.get_block_transaction_hashes(header):
                del nodes[SchemaV1.make_transaction_hash_to_block_lookup_key(transaction_hash)]
            del nodes[SchemaV1.make_block_number_to_hash_lookup_key(above)]
        nodes[SchemaV1.make_canonical_head_hash_lookup_key()] = target.hash
        next_missing = rlp.encode(((), number + 1), sedes=chain_gaps)
        nodes[SchemaV1.make_header_chain_gaps_lookup_key()] = next_missing
        nodes[SchemaV1.make_chain_gaps_lookup_key()] = next_missing
        self.reload()

    def reload(self) -> None:
        """Begin anew from what is in the database (after a rollback)."""
        self.chain = self._chain_class(self._database.atomic)


def _chain_class(chain_id: int) -> Any:
    """The chain's class, as py-evm wants it: identity and forks are class attributes."""

    def create_header_from_parent(self: MiningChain, parent: BlockHeaderAPI, **fields: Any) -> BlockHeaderAPI:
        return MiningChain.create_header_from_parent(self, parent, **{"gas_limit": GAS_LIMIT, **fields})

    return type(
        "EmbeddedChain",
        (MiningChain,),
        {
            "chain_id": chain_id,
            "vm_configuration": ((0, ZeroBaseFeeParisVM),),
            "create_header_from_parent": create_header_from_parent,
        },
    )
