"""Walking proof nodes, against py-trie's own tries."""

from typing import Any

import pytest
import rlp
from hypothesis import given
from hypothesis import strategies as st
from trie import HexaryTrie

from contracts.keccak import keccak
from contracts.proven_state import EMPTY_TRIE_ROOT, ProofInvalid, ProvenState, decode_header

ADDRESS = bytes(range(20))
CODE = bytes.fromhex("6001600201")


def state_of(slots: dict[int, int], code: bytes = CODE) -> tuple[bytes, dict[bytes, bytes]]:
    """State root of a chain with one account among a few others, and all nodes of its tries."""
    database: dict[bytes, bytes] = {}
    storage: Any = HexaryTrie(database)
    for slot, value in slots.items():
        if value:
            storage[keccak(slot.to_bytes(32, "big"))] = rlp.encode(value)
    accounts: Any = HexaryTrie(database)
    for number in range(20):
        accounts[keccak(number.to_bytes(20, "big"))] = rlp.encode([number, 0, EMPTY_TRIE_ROOT, keccak(b"")])
    accounts[keccak(ADDRESS)] = rlp.encode([1, 0, storage.root_hash, keccak(code)])
    return accounts.root_hash, database


slots_strategy = st.dictionaries(
    st.integers(0, 2**256 - 1) | st.integers(0, 40), st.integers(0, 2**256 - 1), max_size=40
)


@given(slots_strategy, st.integers(0, 2**256 - 1))
def test_every_value_and_every_absence_is_read_back(slots: dict[int, int], other: int) -> None:
    root, database = state_of(slots)
    state = ProvenState(root, database.values(), [CODE])
    for slot, value in slots.items():
        assert state.storage(ADDRESS, slot, "slot") == value
    assert state.storage(ADDRESS, other, "other") == slots.get(other, 0)
    assert state.code(ADDRESS, "code") == CODE
    assert state.code(b"\xff" * 20, "nobody") == b""
    assert state.storage(b"\xff" * 20, other, "nobody") == 0


@given(slots_strategy.filter(lambda slots: any(slots.values())), st.data())
def test_a_changed_or_missing_node_is_found(slots: dict[int, int], data: st.DataObject) -> None:
    root, database = state_of(slots)
    reference = ProvenState(root, database.values(), [CODE])
    used = [node for key, node in database.items()]
    for slot in slots:
        reference.storage(ADDRESS, slot, "slot")
    unused = {place.removeprefix("nodes: 0x") for place in reference.unused()}
    used = [node for key, node in database.items() if key.hex() not in unused]
    victim = data.draw(st.sampled_from(used))
    bit = data.draw(st.integers(0, 8 * len(victim) - 1))
    changed = bytearray(victim)
    changed[bit // 8] ^= 1 << bit % 8
    nodes = [node for node in used if node != victim]
    for broken in ([*nodes, bytes(changed)], nodes):
        state = ProvenState(root, broken, [CODE])
        with pytest.raises(ProofInvalid, match=r"Ledger\.hours_"):
            _ = [state.storage(ADDRESS, slot, "Ledger.hours_") for slot in slots]


def test_unneeded_nodes_and_missing_codes_are_named() -> None:
    root, database = state_of({1: 5})
    state = ProvenState(root, [*database.values(), b"\xc0"], [])
    assert state.storage(ADDRESS, 1, "slot 1") == 5
    assert f"nodes: 0x{keccak(bytes([0xC0])).hex()}" in state.unused()
    with pytest.raises(ProofInvalid, match="no code with the proven hash"):
        state.code(ADDRESS, "Ledger")


def test_header_is_hashed_and_read() -> None:
    fields = [
        b"\x00" * 32,
        b"",
        b"",
        b"\x11" * 32,
        b"",
        b"",
        b"",
        b"",
        b"\x05",
        b"",
        b"",
        b"\x0a",
        b"",
        b"",
        b"",
    ]
    header = decode_header(rlp.encode(fields))
    assert (header.number, header.time_s, header.state_root) == (5, 10, b"\x11" * 32)
    assert header.hash == keccak(rlp.encode(fields))
    with pytest.raises(ProofInvalid, match="at least 15 fields"):
        decode_header(rlp.encode(fields[:3]))
    with pytest.raises(ProofInvalid, match="malformed RLP"):
        decode_header(b"\xf9")
