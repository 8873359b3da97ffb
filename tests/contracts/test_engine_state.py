"""The embedded chain's tries: nodes and state roots are those of plain py-evm, also after undoing."""

import random

import pytest
from eth.db.account import AccountDB
from eth.db.atomic import AtomicDB
from eth.db.backends.memory import MemoryDB
from hypothesis import given, settings
from hypothesis import strategies as st
from trie import HexaryTrie
from trie.constants import BLANK_NODE_HASH
from trie.exceptions import MissingTrieNode

from contracts.engine.state import BatchAccounts
from contracts.engine.trie import BatchTrie

ADDRESSES = [bytes([number]) * 20 for number in range(1, 6)]


def test_same_state_roots_as_py_evm_while_slots_are_set_deleted_and_undone() -> None:
    source = random.Random(20)
    databases = AtomicDB(MemoryDB()), AtomicDB(MemoryDB())
    states = AccountDB(databases[0]), BatchAccounts(databases[1])
    roots = []
    for block in range(16):
        for _ in range(30):
            address, slot = source.choice(ADDRESSES), source.randrange(60)
            value = source.choice((0, 1, source.getrandbits(256)))
            undo = source.random() < 0.2
            for state in states:
                checkpoint = state.record()
                state.set_storage(address, slot, value)
                state.set_nonce(address, block)
                if undo:
                    state.discard(checkpoint)
                else:
                    state.commit(checkpoint)
            assert states[0].get_storage(address, slot) == states[1].get_storage(address, slot)
        if block == 8:
            for state in states:
                state.delete_storage(ADDRESSES[0])
        for state in states:
            state.lock_changes()
            state.persist()
        assert states[0].state_root == states[1].state_root
        roots.append(states[0].state_root)
    assert len(set(roots)) == len(roots)
    for root in roots:  # what an older block held, after the cache has seen all newer ones
        old = AccountDB(databases[0], root), BatchAccounts(databases[1], root)
        for address in ADDRESSES:
            assert old[0].get_nonce(address) == old[1].get_nonce(address)
            assert [old[0].get_storage(address, slot) for slot in range(60)] == [
                old[1].get_storage(address, slot) for slot in range(60)
            ]


def test_a_branch_taken_again_from_an_older_root_has_the_same_root() -> None:
    database = AtomicDB(MemoryDB())
    first = BatchAccounts(database)
    for slot in range(50):
        first.set_storage(ADDRESSES[0], slot, slot + 1)
    first.lock_changes()
    first.persist()
    common = first.state_root

    def later(value: int) -> bytes:
        state = BatchAccounts(database, common)
        for slot in range(0, 50, 3):
            state.set_storage(ADDRESSES[0], slot, value)
        state.lock_changes()
        state.persist()
        return bytes(state.state_root)

    root = later(7)
    assert later(8) != root
    assert later(7) == root
    assert BatchAccounts(database, common).get_storage(ADDRESSES[0], 3) == 4


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_tries_are_those_of_the_library_whatever_is_changed_at_once(data: st.DataObject) -> None:
    """Keys with long common beginnings, short values that stand inside other nodes, deletions."""
    nibbles = st.sampled_from([0x00, 0x01, 0x10, 0x11, 0xFF])
    keys = st.lists(nibbles, min_size=3, max_size=3).map(bytes)
    values = st.sampled_from([b"", b"", b"\x01", b"\x7f" * 2, b"\x80" * 33])
    plain, nodes = HexaryTrie({}), dict[bytes, bytes]()
    batch = BatchTrie(nodes)
    for changes in data.draw(st.lists(st.dictionaries(keys, values, max_size=12), max_size=6)):
        for key, value in changes.items():
            batch[key] = value
            assert batch[key] == value
            plain.set(key, value)
        assert batch.root_hash == plain.root_hash
        reopened, library = BatchTrie(nodes, batch.root_hash), HexaryTrie(nodes, batch.root_hash)
        for key in changes:
            assert reopened[key] == library.get(key) == plain.get(key)
            assert (key in reopened) == plain.exists(key)


def test_large_tries_are_those_of_the_library() -> None:
    source = random.Random(21)
    plain, nodes = HexaryTrie({}), dict[bytes, bytes]()
    batch = BatchTrie(nodes)
    keys = [source.randbytes(32) for _ in range(400)]
    for _ in range(30):
        for key in source.sample(keys, 40):
            value = b"" if source.random() < 0.3 else source.randbytes(source.randrange(1, 34))
            plain.set(key, value)
            batch[key] = value
        assert batch.root_hash == plain.root_hash
    assert all(BatchTrie(nodes, batch.root_hash)[key] == plain.get(key) for key in keys)


def test_a_missing_node_is_said_and_failed_changes_are_dropped() -> None:
    nodes = dict[bytes, bytes]()
    trie = BatchTrie(nodes)
    key, value = b"\x12" * 32, b"\x34" * 32

    def change_and_fail() -> None:
        with trie.squash_changes() as changing:
            changing[key] = value
            raise ConnectionError

    with pytest.raises(ConnectionError):
        change_and_fail()
    assert trie.root_hash == BLANK_NODE_HASH
    unknown = b"\x56" * 32
    with pytest.raises(MissingTrieNode, match="56"):
        BatchTrie(nodes, unknown)[key]
    missing = BatchTrie(nodes, unknown)
    missing[key] = value
    with pytest.raises(MissingTrieNode):
        _ = missing.root_hash
