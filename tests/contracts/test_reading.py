"""Messages of the gateways: what is packed is unpacked, and digests are those of the reference
implementation."""

import contextlib
import re
from typing import Any

import eth_account
import pytest
from eth_account.messages import encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from contracts.key import SignatureInvalid, SigningKey, recover
from contracts.point import CARRIERS, Kind
from contracts.reading import (
    Adjustment,
    KindSum,
    OpenBatch,
    OpenSection,
    PrivateBatch,
    PrivateSection,
    ReadingInvalid,
    Record,
    SigningDomain,
    Status,
    pack_open,
    pack_private,
    unpack_open,
    unpack_private,
)
from contracts.slug import to_bytes32

energies = st.integers(0, 2**31 - 1)
records = st.one_of(
    st.just(Record(Status.MISSING, 0, 0)),
    st.builds(
        Record, st.sampled_from([Status.MEASURED, Status.ESTIMATED, Status.PARTIAL]), energies, energies
    ),
)
hours = st.sets(st.integers(0, 23), min_size=1).map(sorted)
slugs = st.from_regex(r"[a-z0-9-]{1,32}", fullmatch=True)
secrets = st.integers(1, 2**255).map(lambda number: number.to_bytes(32, "big"))
addresses = st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())
domains = st.builds(SigningDomain, st.integers(1, 2**64), addresses)


@st.composite
def open_sections(draw: st.DrawFn) -> tuple[OpenSection, ...]:
    points = draw(st.integers(1, 6))
    return tuple(
        OpenSection(hour, tuple(draw(st.lists(records, min_size=points, max_size=points))))
        for hour in draw(hours)
    )


@st.composite
def private_sections(draw: st.DrawFn) -> tuple[PrivateSection, ...]:
    kinds = st.sets(st.sampled_from([kind for kind in Kind if kind.may_be_private]), min_size=1)
    uint32 = st.integers(0, 2**32 - 1)
    return tuple(
        PrivateSection(
            hour,
            draw(st.binary(min_size=32, max_size=32)),
            tuple(
                KindSum(kind, draw(st.integers(0, 2**16 - 1)), draw(uint32), draw(uint32))
                for kind in sorted(draw(kinds))
            ),
        )
        for hour in draw(hours)
    )


@given(open_sections())
def test_an_open_payload_is_unpacked_to_what_was_packed(sections: tuple[OpenSection, ...]) -> None:
    points = len(sections[0].records)
    payload = pack_open(sections)
    assert len(payload) == len(sections) * (1 + 8 * points)
    assert unpack_open(payload, points) == sections


@given(private_sections())
def test_a_private_payload_is_unpacked_to_what_was_packed(sections: tuple[PrivateSection, ...]) -> None:
    assert unpack_private(pack_private(sections)) == sections


@given(st.binary(max_size=120), st.integers(1, 4))
def test_any_bytes_are_a_payload_or_are_refused_and_packing_is_the_inverse(raw: bytes, points: int) -> None:
    try:
        sections = unpack_open(raw, points)
    except ReadingInvalid:
        pass
    else:
        assert pack_open(sections) == raw
    try:
        private = unpack_private(raw)
    except ReadingInvalid:
        return
    assert pack_private(private) == raw


def test_the_layout_of_a_record_is_the_agreed_one() -> None:
    payload = pack_open([OpenSection(5, (Record(Status.PARTIAL, 1, 2), Record(Status.ESTIMATED, 3, 4)))])
    assert payload.hex() == "0580000001000000020000000380000004"


@pytest.mark.parametrize(
    ("sections", "named"),
    [
        ([], "at least one hour"),
        ([OpenSection(3, (Record(Status.MEASURED, 2**31, 0),))], "supply 2147483648 Wh"),
        ([OpenSection(3, (Record(Status.MEASURED, 0, -1),))], "draw -1 Wh"),
        ([OpenSection(3, (Record(Status.MISSING, 7, 0),))], "hour 3, point 0: a missing record holds 7"),
        ([OpenSection(24, (Record(Status.MEASURED, 0, 0),))], r"hours \[24\]"),
        ([OpenSection(4, (Record(Status.MEASURED, 0, 0),))] * 2, r"hours \[4, 4\]"),
        ([OpenSection(4, ())], "holds 0 records"),
    ],
)
def test_what_no_contract_accepts_is_not_packed(sections: list[OpenSection], named: str) -> None:
    with pytest.raises(ReadingInvalid, match=named):
        pack_open(sections)


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        (bytes(32), "ends inside the section at 0"),
        (bytes(33) + b"\x01" + bytes(5), "ends inside the 1 sums at byte 34"),
        (bytes(33) + b"\x01\x07" + bytes(10), "byte 34: 7 is no kind"),
        (bytes(33) + b"\x01\x01" + bytes(10), "GRID point cannot be private"),
        (bytes(33) + b"\x00", "at least one"),
    ],
)
def test_a_broken_private_payload_is_refused_with_its_place(raw: bytes, named: str) -> None:
    with pytest.raises(ReadingInvalid, match=re.escape(named)):
        unpack_private(raw)


def reference(domain: SigningDomain, name: str, fields: list[tuple[str, str, Any]]) -> Any:
    return encode_typed_data(
        {
            "name": "PED Ledger",
            "version": "1",
            "chainId": domain.chain_id,
            "verifyingContract": domain.ledger,
        },
        {name: [{"name": field, "type": kind} for field, kind, _ in fields]},
        {field: value for field, _, value in fields},
    )


@given(
    domains,
    slugs,
    st.integers(0, 2**32 - 1),
    st.integers(1, 255),
    st.data(),
    st.binary(max_size=100),
    secrets,
)
def test_digest_and_signature_are_those_of_eth_account(
    domain: SigningDomain,
    gateway_id: str,
    day: int,
    sequence: int,
    data: st.DataObject,
    payload: bytes,
    secret: bytes,
) -> None:
    replaces = data.draw(st.integers(0, sequence - 1))
    changed = data.draw(st.integers(0, 2**16 - 1))
    is_private = data.draw(st.booleans())
    reason_hash = data.draw(st.binary(min_size=32, max_size=32))
    head: list[tuple[str, str, Any]] = [
        ("gatewayId", "bytes32", to_bytes32(gateway_id)),
        ("day", "uint32", day),
        ("sequence", "uint8", sequence),
        ("replaces", "uint8", replaces),
    ]
    tail: list[tuple[str, str, Any]] = [("payload", "bytes", payload)]
    cases: list[tuple[OpenBatch | PrivateBatch | Adjustment, list[tuple[str, str, Any]]]] = [
        (OpenBatch(gateway_id, day, sequence, replaces, payload), []),
        (
            PrivateBatch(gateway_id, day, sequence, replaces, changed, payload),
            [("changedMembers", "uint16", changed)],
        ),
        (
            Adjustment(gateway_id, day, sequence, replaces, is_private, reason_hash, changed, payload),
            [
                ("isPrivate", "bool", is_private),
                ("reasonHash", "bytes32", reason_hash),
                ("changedMembers", "uint16", changed),
            ],
        ),
    ]
    key = SigningKey(secret)
    account = eth_account.Account.from_key(secret)
    assert key.address == account.address
    for batch, extra in cases:
        signed = account.sign_message(reference(domain, type(batch).__name__, head + extra + tail))
        assert batch.digest(domain) == bytes(signed.message_hash)
        assert batch.sign(key, domain) == bytes(signed.signature)
        assert batch.signer(bytes(signed.signature), domain) == account.address


@given(secrets, st.binary(min_size=32, max_size=32), st.integers(0, 64), st.integers(0, 7))
def test_a_changed_bit_of_a_signature_recovers_another_key_or_none(
    secret: bytes, digest: bytes, place: int, bit: int
) -> None:
    key = SigningKey(secret)
    signature = bytearray(key.sign(digest))
    signature[place] ^= 1 << bit
    with contextlib.suppress(SignatureInvalid):
        assert recover(digest, bytes(signature)) != key.address


def test_the_high_s_twin_of_a_signature_is_refused() -> None:
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    key = SigningKey(b"\x01" * 32)
    signature = key.sign(b"\x02" * 32)
    twin = (order - int.from_bytes(signature[32:64], "big")).to_bytes(32, "big")
    with pytest.raises(SignatureInvalid, match="high s"):
        recover(b"\x02" * 32, signature[:32] + twin + bytes((55 - signature[64],)))


def test_the_last_byte_and_the_length_of_a_signature_are_named() -> None:
    with pytest.raises(SignatureInvalid, match="64 bytes"):
        recover(bytes(32), bytes(64))
    with pytest.raises(SignatureInvalid, match="v = 0"):
        recover(bytes(32), bytes(65))


@pytest.mark.parametrize(
    ("sequence", "replaces", "day", "named"),
    [(0, 0, 1, "sequence 0"), (256, 0, 1, "sequence 256"), (3, 3, 1, "replaces 3"), (1, 0, -1, "day -1")],
)
def test_a_header_out_of_range_is_refused(sequence: int, replaces: int, day: int, named: str) -> None:
    with pytest.raises(ReadingInvalid, match=named):
        OpenBatch("gateway-1", day, sequence, replaces, b"")


def test_every_carrier_may_be_private() -> None:
    section = PrivateSection(0, bytes(32), tuple(KindSum(kind, 5, 1, 1) for kind in CARRIERS))
    assert unpack_private(pack_private([section])) == (section,)
