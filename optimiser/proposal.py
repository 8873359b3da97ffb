"""Builds, signs and sends proposals of set-points made from a dispatch plan (contracts.setpoint).

The optimiser proposes and never transacts: a proposal goes to the gateway by HTTP, which judges it and
answers. Sending the same proposal again changes nothing, so a lost answer is no loss.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2

from contracts.hour import format_time_utc
from contracts.key import SigningKey
from contracts.setpoint import (
    Setpoint,
    SetpointDomain,
    SetpointInvalid,
    SetpointProposal,
    SignedProposal,
    hash_inputs,
)

TIMEOUT_S: Final = 10.0

Plan = Mapping[str, Sequence[int]]
"""Device -> mean power of each interval from the start on, W; positive: the device draws from the busbar."""


class ProposalRejected(RuntimeError):
    """The gateway does not take a proposal; `reasons` are its own sentences."""

    def __init__(self, status: int, reasons: Sequence[str], last_sequence: int | None) -> None:
        super().__init__(f"the gateway refused the proposal ({status}): {'; '.join(reasons)}")
        self.status = status
        self.reasons = tuple(reasons)
        self.last_sequence = last_sequence
        """Last sequence that the gateway accepted, where that was the reason."""


class GatewayUnreachable(ConnectionError):
    """No gateway answered, or it could not decide; the same proposal can be sent again."""


class SequenceUnusable(ValueError):
    """The file of the sequence holds no number; the message names it."""


class SequenceFile:
    """Numbers of the proposals to one gateway, in a file: none is ever signed twice, whatever is killed."""

    def __init__(self, path: Path) -> None:
        """Raises SequenceUnusable, OSError."""
        self._path = path
        text = path.read_text("ascii", "replace").strip() if path.exists() else "0"
        if not text.isdecimal():
            raise SequenceUnusable(f"{path} holds {text[:40]!r}, no number; write the last used one into it")
        self.last = int(text)

    def next(self) -> int:
        """The next number, on disk before it is given."""
        return self.raise_to(self.last + 1)

    def raise_to(self, number: int) -> int:
        """Begin behind `number`, for example after the file was lost. Raises OSError."""
        if number > self.last:
            temporary = self._path.with_name(self._path.name + ".new")
            with temporary.open("w") as file:
                file.write(f"{number}\n")
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path)
            self.last = number
        return self.last


@dataclass(frozen=True)
class Proposer:
    """Makes the proposals of one optimiser to one gateway."""

    key: SigningKey
    domain: SetpointDomain
    district: str
    gateway: str
    model_version: str
    numbers: SequenceFile

    def propose(
        self,
        plan: Plan,
        start_s: int,
        interval_s: int,
        now_s: int,
        inputs: Any,
        valid_until_s: int | None = None,
    ) -> SignedProposal:
        """A signed proposal of `plan`, whose first interval starts at `start_s` (Unix seconds).

        `inputs` is what was planned with, as JSON values; its hash goes into the proposal. The proposal holds
        until the plan ends, or until `valid_until_s`: intervals that end later are left out. Raises
        SetpointInvalid.
        """
        ends_s = start_s + interval_s * max((len(powers) for powers in plan.values()), default=0)
        until_s = ends_s if valid_until_s is None else min(ends_s, valid_until_s)
        setpoints = tuple(
            Setpoint(device, start_s + index * interval_s, interval_s, int(power_w))
            for device in sorted(plan)
            for index, power_w in enumerate(plan[device])
            if start_s + (index + 1) * interval_s <= until_s
        )
        if not setpoints:
            raise SetpointInvalid(f"the plan has no whole interval before {format_time_utc(until_s)}")
        inputs_hash = hash_inputs(inputs)

        def numbered(sequence: int) -> SetpointProposal:
            return SetpointProposal(
                self.district,
                self.gateway,
                self.model_version,
                inputs_hash,
                sequence,
                now_s,
                start_s,
                until_s,
                setpoints,
            )

        numbered(self.numbers.last + 1)  # what is invalid uses no number up
        return numbered(self.numbers.next()).sign(self.key, self.domain)


def send(client: httpx2.Client, signed: SignedProposal) -> dict[str, Any]:
    """Post a proposal to the gateway of `client` (its base URL); the gateway's answer.

    Raises ProposalRejected with the gateway's reasons, GatewayUnreachable when nothing was decided.
    """
    try:
        response = client.post(
            "/v1/proposals",
            content=signed.to_json(),
            headers={"Content-Type": "application/json"},
            timeout=TIMEOUT_S,
        )
        answer = dict(response.json())
    except (httpx2.HTTPError, TypeError, ValueError) as error:
        raise GatewayUnreachable(f"the gateway at {client.base_url} gave no answer: {error}") from None
    if response.status_code == 200:
        return answer
    detail = str(answer.get("detail", answer))
    if response.status_code >= 500:
        raise GatewayUnreachable(f"the gateway could not decide ({response.status_code}): {detail}")
    reasons = [entry["detail"] for entry in answer.get("refused", ())] or [detail]
    raise ProposalRejected(response.status_code, reasons, answer.get("last_sequence"))
