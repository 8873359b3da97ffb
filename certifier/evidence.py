"""Builds the proof bundle of a certificate: the projection's signed batches and the chain's own proofs.

What is needed is found by judging the certificate anew on the live chain and noting what that read; then the
chain proves exactly this, and the finished file is verified before anyone gets it.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence

from sqlalchemy import Connection, Row, select

from certifier import store
from contracts import evidence
from contracts.chain import Chain
from contracts.chain_data import Block, SlotProof
from contracts.deployment import CONTRACTS, Deployment, field_name
from contracts.evidence import AdjustmentBatch, Batch, Contracts
from contracts.examination import BatchKey, Examination, SignedBatch, examine
from contracts.facts import Facts
from contracts.hour import format_time_utc
from contracts.records import FactsInvalid
from contracts.verification import VerificationFailed, describe, verify

_SLOTS_PER_REQUEST = 256


class BundleUnavailable(Exception):
    """No bundle of this certificate can be made now; the message says why."""


def certificate_bundle(
    connection: Connection, chain: Chain, deployment: Deployment, certificate_id: int
) -> bytes:
    """The proof bundle of a certificate at the newest block that the projection follows.

    Raises BundleUnavailable and ChainUnavailable, see build_bundle.
    """
    block_number = connection.execute(select(store.head.c.block_number)).scalar()
    if block_number is None:
        raise BundleUnavailable("the projection has not followed any block yet")
    return build_bundle(
        chain, deployment, certificate_id, block_number, lambda key: _find_batch(connection, key)
    )


def build_bundle(
    chain: Chain,
    deployment: Deployment,
    certificate_id: int,
    block_number: int,
    find_batch: Callable[[BatchKey], SignedBatch],
) -> bytes:
    """The proof bundle of a certificate at a block; `find_batch` knows the signed batches.

    Raises:
        BundleUnavailable: the certificate is unknown, the batches and the chain do not fit together, or the
            block was reorganised away meanwhile.
        ChainUnavailable: the chain does not answer.
    """
    block = chain.block(block_number)
    reader = _LiveState(chain, block)
    addresses = {name: evidence.unhex(deployment.address(name)) for name in CONTRACTS}
    try:
        examination = examine(
            Facts(addresses, reader),
            deployment.signing_domain,
            block.time_s,
            certificate_id,
            lambda key: (find_batch(key), str(key)),
        )
    except FactsInvalid as problem:
        raise BundleUnavailable(str(problem)) from problem
    data = evidence.dump(_content(deployment, block, examination, reader.prove(), reader.codes()))
    if chain.block(block_number).hash != block.hash:
        raise BundleUnavailable(f"block {block_number} was reorganised away while it was proven; try again")
    try:
        verify(data, block.hash)
    except VerificationFailed as problem:
        raise BundleUnavailable(f"the finished bundle does not verify: {problem}") from problem
    return data


def _content(
    deployment: Deployment, block: Block, examination: Examination, nodes: list[bytes], codes: list[bytes]
) -> dict[str, object]:
    addresses = {field_name(name): deployment.address(name).lower() for name in CONTRACTS}
    return {
        "deployment": Contracts(chain_id=deployment.chain_id, **addresses).model_dump(),
        "claim": describe(examination),
        "header": {
            "number": block.number,
            "time_utc": format_time_utc(block.time_s),
            "hash": _hex(block.hash),
            "rlp": _hex(block.encode()),
        },
        "nodes": [_hex(node) for node in evidence.in_order(nodes)],
        "codes": [_hex(code) for code in evidence.in_order(codes)],
        "batches": [batch.model_dump() for batch in examination.batches if isinstance(batch, Batch)],
        "adjustments": [
            batch.model_dump() for batch in examination.batches if isinstance(batch, AdjustmentBatch)
        ],
    }


def _find_batch(connection: Connection, key: BatchKey) -> SignedBatch:
    table = store.batches
    row = connection.execute(
        select(table).where(
            table.c.gateway_id == key.gateway_id,
            table.c.day == key.day,
            table.c.is_private == key.is_private,
            table.c.sequence == key.sequence,
        )
    ).one_or_none()
    if row is None:
        raise FactsInvalid(str(key), "holds hours in the ledger, but the projection does not have it (yet)")
    return _signed_batch(row)


def _signed_batch(row: Row[tuple[object, ...]]) -> SignedBatch:
    values = row._mapping
    common = {
        "gateway_id": values["gateway_id"],
        "day": values["day"],
        "stream": "private" if values["is_private"] else "open",
        "sequence": values["sequence"],
        "replaces": values["replaces"],
        "changed_members": values["changed_members"],
        "payload": _hex(values["payload"]),
    }
    if values["is_adjustment"]:
        return AdjustmentBatch(
            **common,
            reason_hash=values["reason_hash"],
            operator_signature=_hex(values["signature"]),
            auditor_signature=_hex(values["auditor_signature"]),
        )
    return Batch(**common, signature=_hex(values["signature"]))


class _LiveState:
    """Reads the state after a block from the chain, and notes what was read."""

    def __init__(self, chain: Chain, block: Block) -> None:
        self._chain = chain
        self._block = block
        self._fetched: dict[bytes, dict[int, SlotProof]] = defaultdict(dict)
        self._read: dict[bytes, set[int]] = defaultdict(set)
        self._account_nodes: dict[bytes, tuple[bytes, ...]] = {}
        self._codes: dict[bytes, bytes] = {}

    def storage(self, address: bytes, slot: int, place: str) -> int:
        """The value at `slot`."""
        if slot not in self._fetched[address]:
            self.expect(address, [slot])
        self._read[address].add(slot)
        return self._fetched[address][slot].value

    def code(self, address: bytes, place: str) -> bytes:
        """The code at `address`."""
        if address not in self._codes:
            self._codes[address] = self._chain.code(_hex(address), self._block.number)
        return self._codes[address]

    def expect(self, address: bytes, slots: Sequence[int]) -> None:
        """Fetch slots with their proofs, many at a time."""
        known = self._fetched[address]
        missing = [slot for slot in dict.fromkeys(slots) if slot not in known]
        for start in range(0, len(missing), _SLOTS_PER_REQUEST):
            part = missing[start : start + _SLOTS_PER_REQUEST]
            proof = self._chain.proof(_hex(address), part, self._block.number)
            self._account_nodes[address] = proof.nodes
            known.update((slot.slot, slot) for slot in proof.slots)

    def codes(self) -> list[bytes]:
        """All code that was read."""
        return [code for code in self._codes.values() if code]

    def prove(self) -> list[bytes]:
        """Trie nodes that prove everything that was read."""
        nodes: set[bytes] = set()
        for address in self._read.keys() | self._codes.keys():
            if address not in self._account_nodes:
                proof = self._chain.proof(_hex(address), [], self._block.number)
                self._account_nodes[address] = proof.nodes
            nodes.update(self._account_nodes[address])
            for slot in self._read[address]:
                nodes.update(self._fetched[address][slot].nodes)
        return list(nodes)


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
