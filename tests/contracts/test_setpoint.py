"""Proposals of set-points: EIP-712 typed data that another library computes alike, strictly read."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from contracts.command_line import commands
from contracts.key import SignatureInvalid, SigningKey
from contracts.setpoint import (
    MAX_DOCUMENT_BYTES,
    MAX_POWER_W,
    Setpoint,
    SetpointDomain,
    SetpointInvalid,
    SetpointProposal,
    SignedProposal,
    hash_inputs,
)

REGISTRY = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
DOMAIN = SetpointDomain(1337, REGISTRY)
KEY = SigningKey(bytes(31) + b"\x07")
START_S = 1_784_116_800


def proposal(*setpoints: Setpoint, **changes: Any) -> SetpointProposal:
    """A proposal for a day that begins at START_S."""
    fields: dict[str, Any] = {
        "district": "old-town",
        "gateway": "gw-school",
        "model_version": "dispatch 1.0",
        "inputs_hash": hash_inputs({"load_kw": [1.5, 2.25]}),
        "sequence": 7,
        "created_s": START_S - 300,
        "valid_from_s": START_S,
        "valid_until_s": START_S + 86_400,
        "setpoints": setpoints or (Setpoint("battery", START_S, 900, -1500),),
    }
    return SetpointProposal(**(fields | changes))


def typed_data(made: SetpointProposal, domain: SetpointDomain) -> dict[str, Any]:
    """The proposal as wallets take it."""

    def fields(text: str) -> list[dict[str, str]]:
        return [dict(zip(("type", "name"), field.split(), strict=True)) for field in text.split(",")]

    return {
        "types": {
            "EIP712Domain": fields("string name,string version,uint256 chainId,address verifyingContract"),
            "Setpoint": fields("bytes32 deviceId,uint64 startTime,uint32 durationS,int64 powerW"),
            "SetpointProposal": fields(
                "bytes32 districtId,bytes32 gatewayId,string modelVersion,bytes32 inputsHash,"
                "uint64 sequence,uint64 createdTime,uint64 validFrom,uint64 validUntil,Setpoint[] setpoints"
            ),
        },
        "primaryType": "SetpointProposal",
        "domain": {
            "name": "PED Setpoints",
            "version": "1",
            "chainId": domain.chain_id,
            "verifyingContract": domain.registry,
        },
        "message": {
            "districtId": made.district.encode().ljust(32, b"\0"),
            "gatewayId": made.gateway.encode().ljust(32, b"\0"),
            "modelVersion": made.model_version,
            "inputsHash": made.inputs_hash,
            "sequence": made.sequence,
            "createdTime": made.created_s,
            "validFrom": made.valid_from_s,
            "validUntil": made.valid_until_s,
            "setpoints": [
                {
                    "deviceId": entry.device.encode().ljust(32, b"\0"),
                    "startTime": entry.start_s,
                    "durationS": entry.duration_s,
                    "powerW": entry.power_w,
                }
                for entry in made.setpoints
            ],
        },
    }


slots = st.lists(
    st.tuples(
        st.sampled_from(["battery", "ev-1", "heat-pump"]),
        st.integers(0, 23),
        st.sampled_from([900, 3600]),
        st.integers(-MAX_POWER_W, MAX_POWER_W),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda slot: slot[:2],
)


@settings(max_examples=30, deadline=None)
@given(slots, st.text(st.characters(codec="utf-8"), min_size=1, max_size=40), st.integers(1, 2**63 - 1))
def test_another_library_computes_the_same_digest_and_the_document_returns_whole(
    chosen: list[tuple[str, int, int, int]], model: str, sequence: int
) -> None:
    setpoints = sorted(Setpoint(d, START_S + hour * 3600, length, w) for d, hour, length, w in chosen)
    made = proposal(*setpoints, model_version=model, sequence=sequence)
    signed = made.sign(KEY, DOMAIN)
    message = encode_typed_data(full_message=typed_data(made, DOMAIN))
    assert Account.recover_message(message, signature=signed.signature) == KEY.address
    read = SignedProposal.from_json(signed.to_json())
    assert (read, read.digest, read.signer()) == (signed, signed.digest, KEY.address)
    assert read.to_json() == signed.to_json()


def test_any_change_of_a_stored_proposal_shows() -> None:
    document = json.loads(proposal().sign(KEY, DOMAIN).to_json())
    changes: list[tuple[str, str, Any]] = [
        ("proposal", "district", "new-town"),
        ("proposal", "gateway", "gw-mill"),
        ("proposal", "model_version", "dispatch 1.1"),
        ("proposal", "inputs_hash", "0x" + "00" * 32),
        ("proposal", "sequence", 8),
        ("proposal", "created_utc", "2026-07-15T11:00:00Z"),
        ("proposal", "valid_from_utc", "2026-07-15T11:00:00Z"),
        ("proposal", "valid_until_utc", "2026-07-16T13:00:00Z"),
        ("domain", "chain_id", 1),
        ("domain", "registry", "0x" + "11" * 20),
    ]
    for part, name, value in changes:
        changed = json.loads(json.dumps(document))
        assert changed[part][name] != value
        changed[part][name] = value
        assert SignedProposal.from_json(json.dumps(changed).encode()).signer() != KEY.address, name
    document["proposal"]["setpoints"][0]["power_w"] += 1
    assert SignedProposal.from_json(json.dumps(document).encode()).signer() != KEY.address


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"district": "Old Town"}, "'Old Town'"),
        ({"gateway": ""}, "gateway ''"),
        ({"model_version": ""}, "model version"),
        ({"inputs_hash": b"x"}, "1 bytes"),
        ({"sequence": 0}, "sequence 0"),
        ({"created_s": -1}, "created -1"),
        ({"valid_until_s": START_S}, f"until {START_S}"),
        ({"setpoints": ()}, "0 set-points"),
        ({"setpoints": (Setpoint("Battery", START_S, 900, 0),)}, "'Battery'"),
        ({"setpoints": (Setpoint("battery", START_S, 901, 0),)}, "901 s"),
        ({"setpoints": (Setpoint("battery", START_S + 60, 900, 0),)}, "multiple of its duration"),
        ({"setpoints": (Setpoint("battery", START_S - 900, 900, 0),)}, "outside of the validity"),
        ({"setpoints": (Setpoint("battery", START_S + 86_400, 900, 0),)}, "outside of the validity"),
        ({"setpoints": (Setpoint("battery", START_S, 900, 2**31),)}, "2147483648 W"),
        ({"setpoints": (Setpoint("b", START_S, 900, 0), Setpoint("a", START_S, 900, 0))}, "ascend"),
        ({"setpoints": (Setpoint("a", START_S, 900, 0), Setpoint("a", START_S, 900, 0))}, "each once"),
        ({"setpoints": (Setpoint("a", START_S, 3600, 0), Setpoint("a", START_S + 900, 900, 0))}, "overlap"),
    ],
)
def test_what_is_wrong_with_a_proposal_is_named(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(SetpointInvalid, match=named):
        proposal(**changes)


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ('"power_w":-1500', '"power_w":-1500.5', "Expected `int`"),
        ('"duration_s":900', '"duration_s":900,"force":true', "unknown field `force`"),
        ('"sequence":7,', "", "missing required field `sequence`"),
        ("PED Setpoints", "PED Ledger", "another one"),
        (REGISTRY, REGISTRY[:-2], "19 bytes"),
        ('"chain_id":1337', '"chain_id":-1', "chain -1"),
        ("2026-07-15T12:00:00Z", "2026-07-15T12:00:00", "no offset"),
        ('"inputs_hash":"0x', '"inputs_hash":"0xz', "no hexadecimal"),
    ],
)
def test_what_is_wrong_with_a_document_is_named(before: str, after: str, named: str) -> None:
    text = proposal().sign(KEY, DOMAIN).to_json().decode()
    assert before in text
    with pytest.raises(SetpointInvalid, match=named):
        SignedProposal.from_json(text.replace(before, after).encode())


def test_documents_that_would_exhaust_a_reader_are_refused() -> None:
    for body in (b"[" * 100_000, b"\xff", b"", b" " * (MAX_DOCUMENT_BYTES + 1)):
        with pytest.raises(SetpointInvalid):
            SignedProposal.from_json(body)


def test_a_signature_that_no_key_made_is_told_apart() -> None:
    signed = proposal().sign(KEY, DOMAIN)
    with pytest.raises(SignatureInvalid):
        replace(signed, signature=signed.signature[:64] + b"\0").signer()


def test_the_inputs_hash_is_one_for_equal_inputs_only() -> None:
    assert hash_inputs({"b": [1.5], "a": "ñ"}) == hash_inputs({"a": "ñ", "b": [1.5]})
    assert hash_inputs({"a": [1, 2]}) != hash_inputs({"a": [2, 1]})
    for unfit in (float("nan"), {"x": object()}):
        with pytest.raises(SetpointInvalid):
            hash_inputs(unfit)


def test_a_stored_proposal_is_verified_offline_by_one_command(tmp_path: Path) -> None:
    def run(path: Path, optimiser: str) -> Result:
        return CliRunner().invoke(commands, ["contracts", "proposal", str(path), "--optimiser", optimiser])

    signed = proposal().sign(KEY, DOMAIN)
    path = tmp_path / "proposal.json"
    path.write_bytes(signed.to_json())
    found = run(path, KEY.address.lower())
    assert found.exit_code == 0, found.output
    for expected in ("0x" + signed.digest.hex(), KEY.address, "battery 2026-07-15T12:00:00Z 900 s -1500 W"):
        assert expected in found.output
    path.write_bytes(signed.to_json().replace(b"-1500", b"-1501"))
    changed = run(path, KEY.address)
    assert (changed.exit_code, "changed afterwards" in changed.output) == (1, True)
    path.write_bytes(b"{}")
    assert "missing required field" in run(path, KEY.address).output
