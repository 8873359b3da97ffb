"""Proposals are numbered once for ever, hold what was planned, and a gateway's reasons come back in words."""

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from contracts.key import SigningKey
from contracts.setpoint import Setpoint, SetpointDomain, SetpointInvalid, hash_inputs
from optimiser.proposal import (
    GatewayUnreachable,
    ProposalRejected,
    Proposer,
    SequenceFile,
    SequenceUnusable,
    send,
)

KEY = SigningKey(bytes(31) + b"\x05")
DOMAIN = SetpointDomain(1, "0x" + "11" * 20)
START_S = 1_784_116_800


def proposer(folder: Path) -> Proposer:
    return Proposer(KEY, DOMAIN, "old-town", "gw-1", "model 2", SequenceFile(folder / "sequence"))


def test_a_plan_becomes_a_signed_proposal_that_ends_when_it_should(tmp_path: Path) -> None:
    plan = {"ev": [0, -1], "battery": [5, 6, 7]}
    signed = proposer(tmp_path).propose(plan, START_S, 900, START_S - 9, {"a": 1}, START_S + 1800)
    made = signed.proposal
    assert made.setpoints == (
        Setpoint("battery", START_S, 900, 5),
        Setpoint("battery", START_S + 900, 900, 6),
        Setpoint("ev", START_S, 900, 0),
        Setpoint("ev", START_S + 900, 900, -1),
    )
    assert (made.created_s, made.valid_from_s, made.valid_until_s) == (START_S - 9, START_S, START_S + 1800)
    assert (made.inputs_hash, signed.signer()) == (hash_inputs({"a": 1}), KEY.address)


def test_no_number_is_used_twice_and_none_for_what_is_invalid(tmp_path: Path) -> None:
    def number(made: Proposer) -> int:
        return made.propose({"b": [0]}, START_S, 900, START_S, {}).proposal.sequence

    first = proposer(tmp_path)
    assert [number(first), number(first)] == [1, 2]
    with pytest.raises(SetpointInvalid, match="no whole interval"):
        first.propose({}, START_S, 900, START_S, {})
    with pytest.raises(SetpointInvalid, match="no JSON"):
        first.propose({"b": [0]}, START_S, 900, START_S, {"load": float("nan")})
    again = proposer(tmp_path)
    assert number(again) == 3
    assert again.numbers.raise_to(57) == 57
    assert again.numbers.raise_to(3) == 57
    assert number(proposer(tmp_path)) == 58
    (tmp_path / "sequence").write_text("many")
    with pytest.raises(SequenceUnusable, match="'many'"):
        proposer(tmp_path)


@pytest.mark.parametrize(
    ("status", "answer", "raised", "named"),
    [
        (409, {"detail": "old", "refused": [{"detail": "sequence 1 is not above 9"}], "last_sequence": 9},
         ProposalRejected, "sequence 1 is not above 9"),
        (422, {"detail": "not so"}, ProposalRejected, "not so"),
        (503, {"detail": "chain away"}, GatewayUnreachable, "chain away"),
        (200, ["no object"], GatewayUnreachable, "no answer"),
        (502, None, GatewayUnreachable, "no answer"),
    ],
)  # fmt: skip
def test_a_gateways_answer_comes_back_in_words(
    tmp_path: Path, status: int, answer: Any, raised: type[Exception], named: str
) -> None:
    signed = proposer(tmp_path).propose({"b": [0]}, START_S, 900, START_S, {})
    received = []

    def gateway(request: httpx2.Request) -> httpx2.Response:
        received.append(request.read())
        return httpx2.Response(status, content=b"<html>" if answer is None else json.dumps(answer).encode())

    with (
        httpx2.Client(transport=httpx2.MockTransport(gateway), base_url="http://gateway") as client,
        pytest.raises(raised, match=named) as caught,
    ):
        send(client, signed)
    assert received == [signed.to_json()]
    if isinstance(caught.value, ProposalRejected):
        assert caught.value.last_sequence == answer.get("last_sequence")


def test_a_gateway_that_is_away_is_told_from_one_that_refuses(tmp_path: Path) -> None:
    signed = proposer(tmp_path).propose({"b": [0]}, START_S, 900, START_S, {})
    with (
        httpx2.Client(base_url="http://127.0.0.1:1", trust_env=False) as client,
        pytest.raises(GatewayUnreachable, match=r"127\.0\.0\.1:1"),
    ):
        send(client, signed)
