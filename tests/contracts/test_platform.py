"""A deployed platform by its commands, its file and its typed calls."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from eth.vm.forks.paris.state import ParisState

from contracts import errors
from contracts.chain import Chain
from contracts.contract_calls import Role
from contracts.deployment import CONTRACTS, Deployment, DeploymentInvalid
from contracts.engine.backend import ZeroBaseFeeParisVM
from contracts.engine.node import DEFAULT_CHAIN_ID, Node
from contracts.engine.view import View
from contracts.events import BatchSkipped, DistrictRegistered, Event, OpenBatchRecorded, SchemeRegistered
from contracts.factor_calls import Resolution
from contracts.hour import day_of, day_start
from contracts.ledger_calls import encode_record
from contracts.lifecycle import Status
from contracts.platform import Platform
from contracts.point import Kind
from contracts.reading import OpenBatch, Record
from contracts.reading import Status as RecordStatus
from contracts.scheme import CarrierFactors, Scheme, StaticFactors, VintageFactors
from contracts.verdict import Finding
from tests.contracts.nodes import ROOT, EmbeddedNode
from tests.contracts.towns import (
    ADMIN,
    CARRIER,
    GAS,
    OPERATOR,
    OWNER,
    PUBLISHER,
    Town,
    gateway_key,
    open_payload,
)
from tests.contracts.worlds import HOURS, Meter, Site

SCHEME = Scheme(False, False, 1000, 3000, 0, 900)
VINTAGE = VintageFactors(
    1000, 2500, 800, StaticFactors(2000, 1500, 300, 2000, 1500, 300), (CarrierFactors(1, 1100, 1100, 202),)
)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedNode]:
    running = EmbeddedNode(tmp_path_factory.mktemp("platform") / "chain", "--genesis-time", "2018-12-01")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def town(node: EmbeddedNode) -> Town:
    return Town(Chain(node.url))


def ped(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "scripts.command_line", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_the_commands_deploy_and_recognise_the_committed_contracts(
    node: EmbeddedNode, tmp_path: Path
) -> None:
    keystore, password, out = (tmp_path / name for name in ("admin.json", "password", "deployment.json"))
    ADMIN.save(keystore, "secret", iterations=2)
    password.write_text("secret\n")
    options = ["--key", keystore, "--password-file", password, "--organisation", "authority"]
    deploy = ["contracts", "deploy", *options, "--name", "Authority", "--out", out, "--rpc", node.url]
    done = ped(*deploy, "--json")
    assert done.returncode == 0, done.stderr
    deployment = Deployment.load(out)
    assert json.loads(done.stdout)["ledger"] == deployment.ledger
    info = ped("contracts", "info", out, "--json")
    assert info.returncode == 0, info.stderr
    assert {entry["problem"] for entry in json.loads(info.stdout)["contracts"].values()} == {""}

    again = ped(*deploy)
    assert again.returncode == 1
    assert "exists already" in again.stderr
    replace(deployment, factors=deployment.ledger).save(out)
    info = ped("contracts", "info", out)
    assert info.returncode == 1
    assert "not that of the committed contract" in info.stdout
    password.write_text("wrong")
    refused = ped(*deploy[:-4], "--out", tmp_path / "other.json", "--rpc", node.url)
    assert refused.returncode == 1
    assert "wrong password" in refused.stderr
    assert not (tmp_path / "other.json").exists()


def test_a_deployment_file_is_checked_when_read(town: Town, tmp_path: Path) -> None:
    path = tmp_path / "deployment.json"
    deployment = town.platform.deployment
    deployment.save(path)
    assert Deployment.load(path) == deployment
    content = json.loads(path.read_text())
    for broken, named in (
        ("{", "not JSON"),
        ("[]", "must be an object"),
        (json.dumps({k: v for k, v in content.items() if k != "ledger"}), "lacks ledger"),
        (json.dumps({**content, "ledger": "0x12"}), "'0x12' is no checksummed address"),
        (json.dumps({**content, "chain_id": "1337"}), "chain_id '1337' is no number"),
    ):
        path.write_text(broken)
        with pytest.raises(DeploymentInvalid, match=named):
            Deployment.load(path)
    with pytest.raises(DeploymentInvalid, match="has id 1337, but the deployment is of chain 5"):
        Platform(town.chain, replace(deployment, chain_id=5))
    town.platform.require_code()
    with pytest.raises(DeploymentInvalid, match="there is no contract"):
        Platform(town.chain, replace(deployment, ledger=ADMIN.address)).require_code()


def test_a_district_from_its_founding_to_a_verdict(town: Town) -> None:
    platform, name = town.platform, "harbour"
    events: list[Event] = []

    def do(transaction: bytes) -> None:
        events.extend(platform.events(town.do(transaction).logs))

    zeros = [0] * HOURS
    site = Site(
        "harbour-1", [Meter(Kind.GRID, 1000, 0, zeros, zeros), Meter(Kind.LOAD, 500, 0, zeros, zeros)], []
    )
    first_day = day_of(town.chain.block().time_s) + 1
    do(platform.register_scheme(ADMIN, name, SCHEME))
    do(platform.create_vintage(PUBLISHER, name, VINTAGE))
    town.found_district(name, "zone-1", [site], first_day)
    do(platform.open_assessment(OWNER, name, name, name, first_day))
    assert SchemeRegistered(name, SCHEME) in events
    assert platform.scheme(name) == SCHEME
    assert platform.district(name).operator_org == "operator"
    assert platform.gateways(name) == ["harbour-1"]
    assert platform.gateway("harbour-1").key == gateway_key("harbour-1").address
    assert platform.boundary(name, first_day - 1).version == 0
    assert platform.boundary(name, first_day).summary.grid_cap_wh == 1100
    assert platform.vintage_factors(name).carrier(1) == VINTAGE.carriers[0]
    assert platform.vintage_factors(name).carrier(2) == CarrierFactors(2, 2500, 2500, 800, 0, 0, 0)
    assert platform.has_role(OPERATOR.address, Role.METER_OPERATOR)
    assert not platform.has_role(OPERATOR.address, Role.AUDITOR)
    assert platform.organisation_of(OPERATOR.address) == "operator"
    assert platform.organisation_of(CARRIER.address) == ""

    town.move_to(day_start(first_day) + 2 * 3600)
    records = [Record(RecordStatus.MEASURED, 40, 0), Record(RecordStatus.MEASURED, 0, 40)]
    batch = OpenBatch("harbour-1", first_day, 1, 0, open_payload({0: records, 1: records}))
    signature = batch.sign(gateway_key("harbour-1"), platform.deployment.signing_domain)
    do(platform.record_open(CARRIER, batch, signature))
    recorded = next(event for event in events if isinstance(event, OpenBatchRecorded))
    assert (recorded.gateway_id, recorded.district_id, recorded.payload) == ("harbour-1", name, batch.payload)
    assert batch.signer(recorded.signature, platform.deployment.signing_domain) == recorded.key
    stream = platform.stream("harbour-1", first_day)
    assert (stream.holders[:3], stream.last_sequence) == ((1, 1, 0), 1)
    assert platform.hour_words(name, first_day)[0] & 0xFFFFFFFF == 40

    with pytest.raises(errors.SequenceMismatch) as refused:
        platform.record_open(CARRIER, batch, signature)
    assert (refused.value.sequence, refused.value.expected) == (1, 2)  # type: ignore[attr-defined]
    do(platform.record_many(CARRIER, [encode_record(batch, signature)], gas=GAS))
    skipped = next(event for event in events if isinstance(event, BatchSkipped))
    assert isinstance(errors.decode_error(skipped.reason), errors.SequenceMismatch)

    assessment = platform.assessment_id(name, name, name)
    assert platform.resolve_factors(name, "zone-1", first_day).resolution is Resolution.PENDING
    assert platform.verdict(assessment, first_day).finding is Finding.WINDOW_TOO_SHORT
    assert platform.verdict(assessment, first_day + 1).finding is Finding.NOT_FINAL
    do(platform.apply_for_certificate(OWNER, assessment))
    number = platform.certificate_of(assessment)
    assert platform.status_of(number) is Status.APPLIED
    assert platform.certificate(number).district_id == name
    assert not platform.is_valid(number)


def test_logs_of_others_and_unlisted_events_are_no_events(town: Town) -> None:
    deployed = town.platform.deployment
    logs = town.chain.logs(deployed.deployed_block, town.chain.head(), town.platform.addresses)
    decoded = town.platform.events(logs)
    assert {type(event).__name__ for event in decoded} >= {"OrganisationRegistered", "RoleGranted"}
    assert not any(isinstance(event, DistrictRegistered) and event.zone == "" for event in decoded)
    assert town.platform.event(replace(logs[0], address=ADMIN.address)) is None


def test_every_event_of_the_contracts_is_listed() -> None:
    declared = {
        entry["name"]
        for contract in CONTRACTS
        for entry in Platform.artifact(contract).abi
        if entry["type"] == "event"
    }
    listed = {cls.__name__ for cls in Event.__subclasses__()}
    assert declared - listed == {"RoleAdminChanged", "EIP712DomainChanged"} & declared
    assert listed <= declared


def test_plain_py_evm_makes_the_same_blocks(
    town: Town, node: EmbeddedNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gas, logs and state of the contracts do not depend on our inner loop and tries: the hashes agree."""
    head = town.chain.head()
    assert head > 10
    monkeypatch.setattr(ZeroBaseFeeParisVM, "_state_class", ParisState)
    with (
        closing(View(node.folder, DEFAULT_CHAIN_ID)) as view,
        closing(Node(tmp_path, genesis_time=view.header(0).timestamp, automine=False)) as plain,
    ):
        for number in range(1, head + 1):
            header = view.header(number)
            for receipt in view.index.receipts(number):
                plain.submit(view.transaction(number, receipt.position).encode())
            plain.mine(header.timestamp)
        with closing(View(tmp_path, DEFAULT_CHAIN_ID)) as again:
            assert [again.index.block_hash(number) for number in range(head + 1)] == [
                view.index.block_hash(number) for number in range(head + 1)
            ]
