"""Splits of proceeds and accounts of the escrow, against another EIP-712 library."""

from typing import Any

import pytest
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak as reference_keccak

from contracts.account import account_word, to_account
from contracts.slug import IdentifierInvalid
from contracts.split import EscrowDomain, Split, SplitInvalid
from tests.contracts.nodes import key

DOMAIN = EscrowDomain(1337, "0x" + "ab" * 20)
ONE, TWO = (key(number).address for number in (1, 2))
SPLIT = Split("town-owner", b"\5" * 32, (ONE, TWO), (7, 2**128 - 1), 3, 2**40)


def reference_digest(split: Split) -> bytes:
    kinds = {
        "organisationId": "bytes32",
        "purpose": "bytes32",
        "recipients": "address[]",
        "amounts": "uint128[]",
        "nonce": "uint64",
        "expiry": "uint64",
    }
    message: dict[str, Any] = dict(zip(kinds, split.abi, strict=True))
    message |= {"recipients": list(split.recipients), "amounts": list(split.amounts)}
    domain = {
        "name": "PED Escrow",
        "version": "1",
        "chainId": DOMAIN.chain_id,
        "verifyingContract": DOMAIN.escrow,
    }
    types = {"Split": [{"name": name, "type": kind} for name, kind in kinds.items()]}
    signable = encode_typed_data(domain, types, message)
    return bytes(reference_keccak(b"\x19" + signable.version + signable.header + signable.body))


@pytest.mark.parametrize("split", [SPLIT, Split("o", bytes(32), (), (), 0, 0)])
def test_a_split_is_signed_as_typed_data(split: Split) -> None:
    assert split.digest(DOMAIN) == reference_digest(split)
    assert split.signer(split.sign(key(9), DOMAIN), DOMAIN) == key(9).address


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"purpose": b"short"}, "purpose has 5 bytes"),
        ({"amounts": (1,)}, "2 recipients, but 1 amounts"),
        ({"recipients": (ONE, "0x12")}, "'0x12' is no address"),
        ({"amounts": (1, 2**128)}, "amount 340282366920938463463374607431768211456 is out of range"),
        ({"nonce": -1}, "nonce -1 is out of range"),
    ],
)
def test_a_wrong_split_is_told(changes: dict[str, Any], named: str) -> None:
    fields = {name: getattr(SPLIT, name) for name in SPLIT.__slots__}
    with pytest.raises(SplitInvalid, match=named):
        Split(**{**fields, **changes})


def test_accounts_are_organisations_or_addresses() -> None:
    for account in ("town-owner", "a", ONE, "0x-is-a-slug-too"):
        assert to_account(account_word(account)) == account
    assert account_word(ONE)[:12] == bytes(12)
    assert to_account(bytes(32)) == ""
    with pytest.raises(IdentifierInvalid):
        account_word("No Slug")
