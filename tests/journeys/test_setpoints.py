"""Set-points end to end: optimiser, gateway process, Mosquitto, physical devices, kill -9 in between."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from contracts.hour import HOUR_S, format_time_utc, parse_time_utc
from contracts.key import SigningKey
from contracts.point import Kind
from contracts.setpoint import SignedProposal
from gateway.setpoint_messages import Command
from optimiser.proposal import GatewayUnreachable, ProposalRejected, Proposer, SequenceFile, send
from scripts.devices.physics import Battery, HeatPump, Trip, Vehicle
from scripts.devices.stage import DISTRICT, GATEWAY, Equipment, Stage
from scripts.replay.processes import Supervisor
from scripts.replay.world import mosquitto
from tests.gateway.world import PATIENCE_S

START_S = parse_time_utc("2019-01-02T00:00:00Z")
QUARTER_S = 900


def plant() -> list[Equipment]:
    """A nearly full battery, a vehicle that leaves at two, a heat pump on a cold night."""
    trip = Trip(START_S + 2 * HOUR_S, START_S + 9 * HOUR_S, used_wh=5000, needed_wh=19_000)
    return [
        Equipment(
            "battery", Kind.STORAGE, -5000, 5000, 0, Battery(10_000, 5000, 5000, 8000, 0.95, 0.95), 902
        ),
        Equipment(
            "vehicle",
            Kind.VEHICLE,
            -7000,
            7000,
            500,
            Vehicle(Battery(40_000, 7000, 7000, 12_000, 0.95, 0.95), [trip]),
            902,
        ),
        Equipment(
            "heat-pump",
            Kind.LOAD,
            0,
            3000,
            1000,
            HeatPump(3000, 12_000, 4000, 20.8, lambda _: 3.0, 0.005, 5000, 6000),
        ),
    ]


@pytest.fixture
def key() -> SigningKey:
    return SigningKey.generate()


@pytest.fixture
def stage(tmp_path: Path, key: SigningKey) -> Iterator[Stage]:
    if mosquitto() is None:
        pytest.skip("mosquitto is not installed")
    with Supervisor(tmp_path / "logs") as supervisor:
        made = Stage(supervisor, tmp_path, plant(), START_S, key.address)
        made.start()
        made.pass_time(START_S)
        yield made
        made.close()


def proposer(stage: Stage, key: SigningKey) -> Proposer:
    numbers = SequenceFile(stage.folder / "sequence")
    return Proposer(key, stage.domain, DISTRICT, GATEWAY, "journey 1", numbers)


def of(proposal: str | None) -> Callable[[Command], bool]:
    """Whether a command comes from a proposal; None: from the safe schedule."""
    return lambda command: command.proposal == proposal


def rows(client: httpx2.Client, device: str, source: str = "proposal") -> list[dict[str, Any]]:
    answer = client.get("/v1/control", params={"until_utc": format_time_utc(START_S + 86_400)})
    assert answer.status_code == 200, answer.text
    return [r for r in answer.json()["setpoints"] if (r["device"], r["source"]) == (device, source)]


def test_from_proposal_to_metered_energy_through_kills(stage: Stage, key: SigningKey) -> None:
    makes = proposer(stage, key)
    plan = {
        "battery": [-3000, 4000, 0, 0],
        "heat-pump": [1500, 1500, 0, 0],
        "vehicle": [-6000, -6000, -6000, -6000],
    }
    with stage.client() as client:
        first = makes.propose(plan, START_S, QUARTER_S, START_S, {"test": 1})
        answer = send(client, first)
        assert answer["proposal"] == "0x" + first.digest.hex()
        assert send(client, first)["duplicate"] is True
        name = answer["proposal"]
        assert all(d.wait_for_command(START_S, of(name), PATIENCE_S) for d in stage.devices.values())
        stage.advance(START_S + QUARTER_S)
        for device in stage.devices.values():
            assert device.wait_for_command(START_S + QUARTER_S, of(name), PATIENCE_S)
        stage.advance(START_S + 2 * QUARTER_S)

        battery, pump, vehicle = (rows(client, d)[:2] for d in ("battery", "heat-pump", "vehicle"))
        assert [(row["setpoint_w"], row["done_w"]) for row in battery] == [(-3000, -3000), (4000, 4000)]
        assert [row["state"] for row in pump] == ["accepted", "accepted"]
        assert [abs(row["difference_w"]) <= 4 for row in pump] == [True, True]
        assert [row["state"] for row in vehicle] == ["accepted", "clipped"]
        assert "needs 19000 Wh" in vehicle[1]["detail"]
        assert vehicle[1]["done_w"] == pytest.approx(vehicle[1]["answer_w"], abs=8)
        assert vehicle[1]["done_w"] > -6000
        assert stage.equipment["battery"].model.readout()["stored_wh"] == pytest.approx(
            8000 - 750 / 0.95 + 1000 * 0.95, abs=2
        )

        # Forged, replayed, for another gateway, above a limit, too late: refused, kept, without effect.
        second = makes.propose({"battery": [2000] * 4}, START_S + HOUR_S, QUARTER_S, START_S + 1800, {})
        forged = replace(second, proposal=replace(second.proposal, sequence=99))
        stranger = second.proposal.sign(SigningKey.generate(), stage.domain)
        again = replace(first.proposal, setpoints=second.proposal.setpoints[:1], valid_until_s=START_S + 7200)
        elsewhere = replace(second.proposal, gateway="gw-other")
        over = makes.propose({"battery": [5001]}, START_S + HOUR_S, QUARTER_S, START_S + 1800, {})
        late = makes.propose({"battery": [0]}, START_S, QUARTER_S, START_S, {})
        for unfit, status, named in (
            (forged, 403, "changed after it was signed"),
            (stranger, 403, "changed after it was signed"),
            (again.sign(key, stage.domain), 409, "sequence 1 is not above 1"),
            (elsewhere.sign(key, stage.domain), 422, "'gw-other'"),
            (over, 422, "5001 W: the limits are -5000 to 5000 W"),
            (late, 422, "valid until 2019-01-02T00:15:00Z"),
        ):
            with pytest.raises(ProposalRejected, match=named) as refused:
                send(client, unfit)
            assert refused.value.status == status
        assert len(client.get("/v1/control").json()["refusals"]) == 6

        # The broker dies, a proposal is accepted, and the gateway is killed before it could send anything.
        stage.broker.kill()
        assert send(client, second)["state"] == "accepted"
    stage.gateway.kill()
    stage.pass_time(START_S + HOUR_S)
    with stage.client() as client, pytest.raises(GatewayUnreachable):
        send(client, second)
    stage.broker.start()
    stage.gateway.start()
    stage.gateway.wait_until(stage.gateway_listens)
    with stage.client() as client:
        assert stage.devices["battery"].wait_for_command(
            START_S + HOUR_S, of("0x" + second.digest.hex()), PATIENCE_S
        )
        stage.gateway.kill()  # again, whether or not it has heard the answer
        stage.gateway.start()
        stage.gateway.wait_until(stage.gateway_listens)
        stage.advance(START_S + HOUR_S + QUARTER_S)

        def asked() -> dict[str, Any]:
            return next(row for row in rows(client, "battery") if row["setpoint_w"] == 2000)

        stage.gateway.wait_until(lambda: asked()["state"] == "accepted")
        sent = [asked()]
        assert sent[0]["sends"] >= 1
        assert sent[0]["done_w"] == pytest.approx(stage.devices["battery"].done[-1].power_w, abs=4)

        # Proposals stop: the safe schedule holds, and the device follows it.
        stage.advance(START_S + 2 * HOUR_S)
        assert all(
            d.wait_for_command(START_S + 2 * HOUR_S, of(None), PATIENCE_S) for d in stage.devices.values()
        )
        stage.advance(START_S + 3 * HOUR_S)
        (safe,) = [r for r in rows(client, "heat-pump", "safe") if r["from_utc"] == "2019-01-02T02:00:00Z"]
        assert (safe["setpoint_w"], abs(safe["difference_w"]) <= 4) == (1000, True)
        (gone,) = [r for r in rows(client, "vehicle", "safe") if r["from_utc"] == "2019-01-02T02:00:00Z"]
        assert (gone["answer_w"], gone["done_w"], gone["detail"]) == (0, 0, "away")
        assert stage.equipment["vehicle"].model.readout()["short_wh"] <= 120
        stored = client.get(f"/v1/proposals/{first.digest.hex()}").content
        assert SignedProposal.from_json(stored).signer() == key.address
