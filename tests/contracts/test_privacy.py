"""Salted Merkle trees over members' readings."""

from dataclasses import replace

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from contracts.keccak import keccak
from contracts.privacy import (
    MemberReading,
    PrivacyInvalid,
    Proof,
    commitment,
    in_order,
    new_salt,
    prove,
    root,
)
from contracts.slug import serial_to_bytes32

words = st.binary(min_size=32, max_size=32)
uint32 = st.integers(0, 2**32 - 1)
readings = st.builds(MemberReading, words, uint32, uint32, uint32, words)


@given(st.from_regex(r"[A-Za-z0-9._-]{1,32}", fullmatch=True), words)
def test_a_commitment_is_the_doubly_hashed_abi_encoding(serial: str, salt: bytes) -> None:
    encoded = encode(["string", "bytes32", "bytes32"], ["PED member", serial_to_bytes32(serial), salt])
    assert commitment(serial, salt) == keccak(keccak(encoded))


@given(readings)
def test_a_leaf_is_the_doubly_hashed_abi_encoding_in_its_own_domain(reading: MemberReading) -> None:
    fields = (reading.commitment, reading.hour, reading.supply_wh, reading.draw_wh, reading.salt)
    encoded = encode(["bytes32", "uint32", "uint32", "uint32", "bytes32"], fields)
    assert reading.leaf == keccak(b"\0" + keccak(encoded))


def test_a_tree_of_five_promotes_its_last_leaf() -> None:
    a, b, c, d, e = (bytes([n]) * 32 for n in range(5))

    def node(left: bytes, right: bytes) -> bytes:
        return keccak(b"\1" + left + right)

    assert root([a]) == a
    assert root([a, b, c]) == node(node(a, b), c)
    assert root([a, b, c, d, e]) == node(node(node(a, b), node(c, d)), e)
    assert prove([a, b, c, d, e], 4).siblings == (node(node(a, b), node(c, d)),)


@given(st.lists(words, min_size=1, max_size=40, unique=True), st.data())
def test_every_leaf_has_a_proof_that_fits_no_other_leaf_place_or_root(
    leaves: list[bytes], data: st.DataObject
) -> None:
    top = root(leaves)
    index = data.draw(st.integers(0, len(leaves) - 1))
    proof = prove(leaves, index)
    assert proof.verify(leaves[index], top)
    for other in range(len(leaves)):
        if other != index:
            assert not proof.verify(leaves[other], top)
            assert not replace(proof, index=other).verify(leaves[index], top)
    assert not proof.verify(leaves[index], keccak(top))
    assert not replace(proof, siblings=(*proof.siblings, top)).verify(leaves[index], top)
    assert not replace(proof, siblings=proof.siblings[:-1]).verify(leaves[index], top) or not proof.siblings
    assert not Proof(len(leaves), len(leaves), proof.siblings).verify(leaves[index], top)


@given(st.lists(words, min_size=1, max_size=20))
def test_a_doubled_last_leaf_gives_another_root(leaves: list[bytes]) -> None:
    assert root([*leaves, leaves[-1]]) != root(leaves)


@given(readings, readings)
def test_the_pair_of_two_leaves_is_no_leaf(first: MemberReading, second: MemberReading) -> None:
    """A node shown as a leaf would have to be the hash of a reading in the leaf's domain."""
    pair = first.leaf + second.leaf
    assert root([first.leaf, second.leaf]) not in (
        keccak(pair),
        keccak(b"\0" + pair),
        keccak(b"\0" + keccak(pair)),
    )


@given(st.lists(readings, min_size=1, max_size=9, unique_by=lambda reading: reading.commitment))
def test_readings_are_ordered_by_commitment(given_readings: list[MemberReading]) -> None:
    ordered = in_order(given_readings)
    assert [r.commitment for r in ordered] == sorted(r.commitment for r in given_readings)
    with pytest.raises(PrivacyInvalid, match="two readings"):
        in_order([*given_readings, given_readings[0]])


def test_what_is_out_of_range_is_refused() -> None:
    salt = new_salt()
    with pytest.raises(PrivacyInvalid, match="salt has 31"):
        commitment("m-17", salt[1:])
    with pytest.raises(PrivacyInvalid, match="draw 4294967296 Wh"):
        MemberReading(bytes(32), 0, 0, 2**32, salt)
    with pytest.raises(PrivacyInvalid, match="supply -1 Wh"):
        MemberReading(bytes(32), 0, -1, 0, salt)
    with pytest.raises(PrivacyInvalid, match="hour -1"):
        MemberReading(bytes(32), -1, 0, 0, salt)
    with pytest.raises(PrivacyInvalid, match="at least one"):
        root([])
    with pytest.raises(PrivacyInvalid, match="no leaf 2 among 2"):
        prove([salt, salt], 2)
