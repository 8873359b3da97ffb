"""The embedded chain's cached trie nodes: state roots are those of plain py-evm, also after undoing."""

import random

from eth.db.account import AccountDB
from eth.db.atomic import AtomicDB
from eth.db.backends.memory import MemoryDB
from trie import HexaryTrie

from contracts.engine.state import CachingAccounts, CachingTrie

ADDRESSES = [bytes([number]) * 20 for number in range(1, 6)]


def test_same_state_roots_as_py_evm_while_slots_are_set_deleted_and_undone() -> None:
    source = random.Random(20)
    databases = AtomicDB(MemoryDB()), AtomicDB(MemoryDB())
    states = AccountDB(databases[0]), CachingAccounts(databases[1])
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
        old = AccountDB(databases[0], root), CachingAccounts(databases[1], root)
        for address in ADDRESSES:
            assert old[0].get_nonce(address) == old[1].get_nonce(address)
            assert [old[0].get_storage(address, slot) for slot in range(60)] == [
                old[1].get_storage(address, slot) for slot in range(60)
            ]


def test_a_branch_taken_again_from_an_older_root_has_the_same_root() -> None:
    database = AtomicDB(MemoryDB())
    first = CachingAccounts(database)
    for slot in range(50):
        first.set_storage(ADDRESSES[0], slot, slot + 1)
    first.lock_changes()
    first.persist()
    common = first.state_root

    def later(value: int) -> bytes:
        state = CachingAccounts(database, common)
        for slot in range(0, 50, 3):
            state.set_storage(ADDRESSES[0], slot, value)
        state.lock_changes()
        state.persist()
        return bytes(state.state_root)

    root = later(7)
    assert later(8) != root
    assert later(7) == root
    assert CachingAccounts(database, common).get_storage(ADDRESSES[0], 3) == 4


def test_tries_with_nodes_inside_nodes_are_those_of_the_library() -> None:
    source = random.Random(21)
    plain, cached = HexaryTrie({}), CachingTrie({})
    for _ in range(2000):
        key, value = bytes([source.randrange(16)] * 2), bytes([source.randrange(1, 256)])
        if source.random() < 0.3:
            plain.delete(key)
            cached.delete(key)
        else:
            plain.set(key, value)
            cached.set(key, value)
        assert plain.root_hash == cached.root_hash
        assert plain.get(key) == cached.get(key)


def test_a_node_that_is_handed_out_can_be_changed_without_harm() -> None:
    trie = CachingTrie({})
    for number in range(20):
        trie.set(bytes([number]) * 32, bytes([number + 1]) * 32)
    node = trie.get_node(trie.root_hash)
    node[0] = b"changed"
    assert trie.get_node(trie.root_hash)[0] != b"changed"
    assert trie.get(bytes(32)) == b"\x01" * 32
