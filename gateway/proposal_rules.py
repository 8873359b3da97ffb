"""Whether a proposal of set-points is taken: all rules in one place (contracts.setpoint, domain.md §9).

A proposal is taken whole or not at all. The refusal lists every set-point that breaks a device's limits.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from contracts.hour import CLOCK_SKEW_S, format_time_utc
from contracts.key import SignatureInvalid
from contracts.setpoint import Setpoint, SetpointDomain, SetpointProposal, SignedProposal
from gateway.config import ControllableTable, ControlTable, GatewayConfig
from gateway.setpoint_messages import DeviceState

LISTED_PROBLEMS: Final = 20

TITLES: Final = {
    "malformed": "The proposal cannot be read",
    "wrong-domain": "Signed for another platform",
    "wrong-signature": "The signature is invalid",
    "unknown-optimiser": "Signed by somebody whose proposals are not taken",
    "wrong-district": "For another district",
    "wrong-gateway": "For another gateway",
    "replayed": "Sequence not above the last one",
    "expired": "No longer valid",
    "future": "From the future",
    "too-long": "Valid for too long",
    "unknown-device": "Unknown device",
    "not-controllable": "Device takes no set-points",
    "over-limit": "Outside of the device's power limits",
    "over-ramp": "Faster than the device may change its power",
    "over-state": "Outside of what the device declares that it can do now",
}


class ProposalProblem(NamedTuple):
    """Why a proposal is refused: a word for programs and a sentence that names the value."""

    kind: str
    detail: str


class ProposalRefused(Exception):
    """A proposal is not taken; nothing of it is in force."""

    def __init__(self, *problems: ProposalProblem, last_sequence: int | None = None) -> None:
        super().__init__(problems[0].detail)
        self.problems = problems
        self.last_sequence = last_sequence


def signer_of(signed: SignedProposal, control: ControlTable, domain: SetpointDomain) -> str:
    """Address of the configured optimiser that signed for this platform. Raises ProposalRefused."""
    asked = signed.domain.chain_id, signed.domain.registry.lower()
    if asked != (domain.chain_id, domain.registry.lower()):
        raise ProposalRefused(
            ProposalProblem(
                "wrong-domain",
                f"signed for chain {asked[0]}, registry {asked[1]}; this gateway's are chain "
                f"{domain.chain_id}, registry {domain.registry}",
            )
        )
    try:
        signer = signed.signer()
    except SignatureInvalid as error:
        raise ProposalRefused(ProposalProblem("wrong-signature", str(error))) from None
    if signer.lower() not in {address.lower() for address in control.optimisers}:
        raise ProposalRefused(
            ProposalProblem(
                "unknown-optimiser",
                f"the signature is of {signer}, or the proposal was changed after it was signed; this "
                f"gateway takes proposals of {', '.join(control.optimisers)}",
            )
        )
    return signer


def require_acceptable(
    proposal: SetpointProposal,
    config: GatewayConfig,
    now_s: int,
    last_sequence: int,
    state_of: Callable[[str], DeviceState | None],
    power_before: Callable[[str, int], int],
) -> None:
    """Raises ProposalRefused. `power_before(device, time_s)` is the set-point in force just before a time."""
    control = config.control
    assert control is not None
    _require_address(proposal, config)
    if proposal.sequence <= last_sequence:
        raise ProposalRefused(
            ProposalProblem(
                "replayed",
                f"sequence {proposal.sequence} is not above {last_sequence}, the last that was accepted",
            ),
            last_sequence=last_sequence,
        )
    _require_times(proposal, control, now_s)
    problems: list[ProposalProblem] = []
    tables = {table.device: table for table in config.controllable}
    before: Setpoint | None = None
    for setpoint in proposal.setpoints:
        table = tables.get(setpoint.device)
        if table is None:
            problems.append(_not_controllable(setpoint.device, config))
            continue
        if before is not None and (before.device, before.end_s) == (setpoint.device, setpoint.start_s):
            previous_w = before.power_w
        elif setpoint.start_s > proposal.valid_from_s:  # where it says nothing the safe schedule holds
            previous_w = table.safe_at(setpoint.start_s - 1)
        else:
            previous_w = power_before(setpoint.device, setpoint.start_s)
        before = setpoint
        if setpoint.end_s > now_s:
            problems += _judge(setpoint, table, previous_w, state_of(setpoint.device), now_s)
    if problems:
        raise ProposalRefused(*list(dict.fromkeys(problems))[:LISTED_PROBLEMS])


def _require_address(proposal: SetpointProposal, config: GatewayConfig) -> None:
    for kind, named, own in (
        ("wrong-district", proposal.district, config.gateway.district),
        ("wrong-gateway", proposal.gateway, config.gateway.id),
    ):
        if named != own:
            raise ProposalRefused(
                ProposalProblem(kind, f"the proposal is for {named!r}; this gateway is {own!r}")
            )


def _require_times(proposal: SetpointProposal, control: ControlTable, now_s: int) -> None:
    now = format_time_utc(now_s)
    if proposal.valid_until_s <= now_s:
        raise ProposalRefused(
            ProposalProblem("expired", f"valid until {format_time_utc(proposal.valid_until_s)}; it is {now}")
        )
    if proposal.created_s > now_s + CLOCK_SKEW_S:
        raise ProposalRefused(
            ProposalProblem(
                "future", f"created at {format_time_utc(proposal.created_s)}; it is {now}: check the clocks"
            )
        )
    if proposal.valid_until_s > now_s + control.max_validity_s:
        raise ProposalRefused(
            ProposalProblem(
                "too-long",
                f"valid until {format_time_utc(proposal.valid_until_s)}; at {now} this gateway takes "
                f"proposals for at most {control.max_validity_s} s (control.max_validity_s)",
            )
        )


def _not_controllable(device: str, config: GatewayConfig) -> ProposalProblem:
    able = ", ".join(table.device for table in config.controllable)
    if any(table.id == device for table in config.devices):
        return ProposalProblem("not-controllable", f"device {device!r} takes no set-points; there are {able}")
    return ProposalProblem("unknown-device", f"device {device!r} is not of this gateway; there are {able}")


def _judge(
    setpoint: Setpoint, table: ControllableTable, previous_w: int, state: DeviceState | None, now_s: int
) -> list[ProposalProblem]:
    if not table.min_w <= setpoint.power_w <= table.max_w:
        return [ProposalProblem("over-limit", f"{setpoint}: the limits are {table.min_w} to {table.max_w} W")]
    problems = []
    if table.ramp_w_per_min is not None:
        most_w = table.ramp_w_per_min * setpoint.duration_s // 60
        if abs(setpoint.power_w - previous_w) > most_w:
            problems.append(
                ProposalProblem(
                    "over-ramp",
                    f"{setpoint}: after {previous_w} W it may change by at most {most_w} W in the interval "
                    f"({table.ramp_w_per_min} W per minute)",
                )
            )
    if state is not None and state.status == "online":
        until_s = now_s + 1 if state.until_s is None else state.until_s
        low_w = table.min_w if state.min_w is None else state.min_w
        high_w = table.max_w if state.max_w is None else state.max_w
        if setpoint.start_s < until_s and not low_w <= setpoint.power_w <= high_w:
            because = f" ({state.detail})" if state.detail else ""
            problems.append(
                ProposalProblem(
                    "over-state", f"{setpoint}: the device declares {low_w} to {high_w} W now{because}"
                )
            )
    return problems
