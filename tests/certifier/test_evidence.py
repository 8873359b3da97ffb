"""Proof bundles of a real run: they verify, and no change of them does, with or without right digests."""

import copy
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rlp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from certifier.evidence import BundleUnavailable, build_bundle
from contracts import evidence
from contracts.chain import Chain
from contracts.examination import BatchKey, SignedBatch
from contracts.keccak import keccak
from contracts.lifecycle import Status
from contracts.records import FactsInvalid
from contracts.verdict import Finding
from contracts.verification import VerificationFailed, verify
from tests.certifier.small_run import FIRST_DAY, SmallRun, account, run
from tests.contracts.nodes import ROOT, AnvilNode

Content = dict[str, Any]


@pytest.fixture(scope="session")
def bundle(small_run: SmallRun) -> bytes:
    """The bundle of the district with households, a correction, a gap and an adjustment."""
    number = small_run.certificates["barlovento"]
    return build_bundle(small_run.chain, small_run.deployment, number, small_run.chain.head(), small_run.find)


def flip(text: str, place: int = -1) -> str:
    """A `0x` text with one bit of one byte changed."""
    data = bytearray.fromhex(text[2:])
    data[place] ^= 1
    return "0x" + data.hex()


def test_the_bundle_says_what_the_chain_says(bundle: bytes, small_run: SmallRun) -> None:
    head = small_run.chain.block()
    report = verify(bundle, head.hash)
    number = small_run.certificates["barlovento"]
    verdict = small_run.chain.call(
        small_run.addresses["Assessments"],
        "Assessments",
        "latestVerdict",
        small_run.assessments["barlovento"],
    )
    status = small_run.chain.call(small_run.addresses["Certificates"], "Certificates", "statusOf", number)
    claim = report.claim
    assert claim.finding == Finding(verdict.finding).name.title().replace("_", "")
    assert claim.status == Status(status).name.title() == "Provisional"
    assert not claim.valid
    assert (claim.window_start_day, claim.window_end_day) == (verdict.windowStart, verdict.windowEnd)
    assert report.block_hash_confirmed
    assert claim.window_end_day == FIRST_DAY + 4
    assert "1 adjustments) with 276 open records" in report.proven[3]


def test_without_a_block_hash_the_report_says_so(bundle: bytes) -> None:
    report = verify(bundle)
    assert not report.block_hash_confirmed
    assert not report.certificates_confirmed
    assert "--block-hash" in report.not_proven[0]
    assert "--certificates" in report.not_proven[1]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_flipped_bit_is_found_with_its_place(bundle: bytes, data: st.DataObject) -> None:
    bit = data.draw(st.integers(0, 8 * len(bundle) - 1))
    changed = bytearray(bundle)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(VerificationFailed) as caught:
        verify(bytes(changed))
    assert caught.value.place


def test_a_flipped_bit_of_a_payload_is_found_at_its_batch(bundle: bytes) -> None:
    content = json.loads(bundle)
    payload = content["batches"][3]["payload"]
    changed = bundle.replace(payload.encode(), flip(payload).encode(), 1)
    with pytest.raises(VerificationFailed, match=r"batches: has the digest") as caught:
        verify(changed)
    assert caught.value.place == "batches.3.payload"


def resealed(bundle: bytes, change: Callable[[Content], None]) -> bytes:
    """The bundle after a change, in canonical form and with right digests, as a forger would do it."""
    content = copy.deepcopy(json.loads(bundle))
    change(content)
    content["digests"] = {part: evidence.digest(content[part]) for part in evidence.DIGESTED}
    return (evidence.canonical(content) + "\n").encode()


def edit(part: str, *path: Any, value: Callable[[Any], Any]) -> Callable[[Content], None]:
    """Change one value below a part."""

    def change(content: Content) -> None:
        target = content[part]
        for step in path[:-1]:
            target = target[step]
        target[path[-1]] = value(target[path[-1]])

    return change


def drop(part: str, index: int) -> Callable[[Content], None]:
    """Leave one entry of a part out."""
    return lambda content: content[part].pop(index)


def swap(part: str) -> Callable[[Content], None]:
    """Exchange the first two entries of a part."""

    def change(content: Content) -> None:
        content[part][:2] = content[part][1::-1]

    return change


def other_header(content: Content) -> None:
    """A header of one's own, rightly hashed: a chain made for the purpose, whose state is not proven."""
    fields = rlp.decode(bytes.fromhex(content["header"]["rlp"][2:]))
    fields[3] = keccak(b"state of my own")
    encoded = rlp.encode(fields)
    content["header"] |= {"rlp": "0x" + encoded.hex(), "hash": "0x" + keccak(encoded).hex()}


def later_header(content: Content) -> None:
    """A header with a later time."""
    fields = rlp.decode(bytes.fromhex(content["header"]["rlp"][2:]))
    fields[11] = (int.from_bytes(fields[11], "big") + 86_400).to_bytes(4, "big")
    encoded = rlp.encode(fields)
    content["header"] |= {"rlp": "0x" + encoded.hex(), "hash": "0x" + keccak(encoded).hex()}


def exchange_contracts(content: Content) -> None:
    """Let the registry pass for the ledger."""
    deployment = content["deployment"]
    deployment["ledger"], deployment["registry"] = deployment["registry"], deployment["ledger"]


def add_batch(content: Content) -> None:
    """A batch that nobody needs."""
    content["batches"].append({**content["batches"][-1], "day": content["batches"][-1]["day"] + 1})


def double_batch(content: Content) -> None:
    content["batches"].append(content["batches"][0])


def as_signed_by_another(content: Content) -> None:
    """A payload's true hash, but the signature of another batch."""
    content["batches"][0]["signature"] = content["batches"][1]["signature"]


def add_node(content: Content) -> None:
    content["nodes"].append("0xc0")


FORGERIES: list[tuple[Callable[[Content], None], str]] = [
    (edit("batches", 0, "payload", value=flip), r"batches\.0\.payload: hashes to"),
    (edit("batches", 2, "payload", value=lambda text: text[:-8]), r"batches\.2\.payload: hashes to"),
    (edit("batches", 0, "signature", value=lambda text: flip(text, 5)), r"batches\.0\.signature"),
    (edit("batches", 0, "signature", value=lambda text: text[:-2]), r"batches\.0\.signature: .* 64 bytes"),
    (
        as_signed_by_another,
        r"batches\.0\.signature: .*(never was a key|is a key of gateway|nothing is proven)",
    ),
    (edit("batches", 0, "replaces", value=lambda number: number + 1), r"batches\.0\.signature"),
    (edit("batches", 0, "day", value=lambda day: day + 7), r"batches: barlovento.* is not there"),
    (edit("batches", 0, "gateway_id", value=lambda _: "No Slug"), r"batches\.0: 'No Slug'"),
    (edit("batches", 0, "gateway_id", value=lambda _: "garafia-plant"), r"batches: .* is not there"),
    (edit("batches", 0, "sequence", value=lambda _: 9), r"batches: .* is not there"),
    (drop("batches", 4), r"batches: .* is not there"),
    (add_batch, r"batches\.\d+: .* holds no hour"),
    (double_batch, r"batches\.\d+: .* is there twice"),
    (swap("batches"), r"batches\.\d: is .* where .* belongs"),
    (drop("adjustments", 0), r"batches: .* is not there"),
    (edit("adjustments", 0, "payload", value=flip), r"adjustments\.0\.payload"),
    (edit("adjustments", 0, "reason_hash", value=flip), r"adjustments\.0\.operator_signature"),
    (edit("adjustments", 0, "auditor_signature", value=lambda t: flip(t, 5)), r"adjustments\.0"),
    (edit("nodes", 0, value=flip), r"no node with the hash"),
    (edit("nodes", 40, value=flip), r"no node with the hash"),
    (drop("nodes", 7), r"no node with the hash"),
    (swap("nodes"), r"nodes: are not in the order"),
    (add_node, r"nodes: 0x[0-9a-f]{64}: proves nothing"),
    (edit("codes", 0, value=flip), r"no code with the proven hash"),
    (drop("codes", 1), r"no code with the proven hash"),
    (swap("codes"), r"codes: are not in the order"),
    (edit("header", "rlp", value=lambda text: flip(text, 120)), r"header\.(hash|rlp)"),
    (edit("header", "hash", value=flip), r"header\.hash"),
    (edit("header", "number", value=lambda number: number + 1), r"header\.number"),
    (edit("header", "time_utc", value=lambda _: "2020-01-01T00:00:00Z"), r"header\.time_utc"),
    (other_header, r"no node with the hash"),
    (later_header, r"header\.time_utc"),
    (exchange_contracts, r"code of Registry at 0x[0-9a-f]{40}: is not the published contract"),
    (edit("deployment", "ledger", value=flip), r"code of Ledger|account"),
    (edit("deployment", "chain_id", value=lambda number: number + 1), r"batches\.0\.signature"),
    (edit("claim", "balance_mwh_pe", value=lambda number: number + 1), r"claim\.balance_mwh_pe"),
    (edit("claim", "finding", value=lambda _: "Positive"), r"claim\.finding"),
    (edit("claim", "status", value=lambda _: "Certified"), r"claim\.status"),
    (edit("claim", "valid", value=lambda _: True), r"claim\.valid"),
    (edit("claim", "district_id", value=lambda _: "garafia"), r"claim\.district_id"),
    (edit("claim", "window_end_day", value=lambda number: number - 1), r"claim\.window_end_day"),
    (edit("claim", "certificate_id", value=lambda _: 2), r"."),
    (edit("claim", "certificate_id", value=lambda _: 77), r"."),
    (edit("claim", "formula", value=lambda _: "my-own/1"), r"claim\.formula"),
]


@pytest.mark.parametrize(("forge", "expected"), FORGERIES)
def test_a_forgery_with_right_digests_is_found_at_its_place(
    bundle: bytes, forge: Callable[[Content], None], expected: str
) -> None:
    with pytest.raises(VerificationFailed) as caught:
        verify(resealed(bundle, forge))
    assert re.search(expected, str(caught.value)), str(caught.value)


def test_resealing_alone_changes_nothing(bundle: bytes) -> None:
    assert resealed(bundle, lambda content: None) == bundle


def test_a_made_up_chain_needs_a_made_up_block_hash(bundle: bytes, small_run: SmallRun) -> None:
    with pytest.raises(VerificationFailed, match="another block or another chain"):
        verify(bundle, keccak(b"some other block"))
    earlier = small_run.chain.block(small_run.chain.head() - 1)
    with pytest.raises(VerificationFailed, match=r"header\.hash"):
        verify(bundle, earlier.hash)


def test_no_bundle_is_made_of_what_does_not_fit(small_run: SmallRun) -> None:
    head = small_run.chain.head()
    deployment = small_run.deployment
    with pytest.raises(BundleUnavailable, match="no such certificate"):
        build_bundle(small_run.chain, deployment, 99, head, small_run.find)

    def lost(key: BatchKey) -> SignedBatch:
        raise FactsInvalid(str(key), "the projection does not have it")

    with pytest.raises(BundleUnavailable, match="does not have it"):
        build_bundle(small_run.chain, deployment, 1, head, lost)

    def forged(key: BatchKey) -> SignedBatch:
        batch = small_run.find(key)
        return batch.model_copy(update={"payload": flip(batch.payload)})

    with pytest.raises(BundleUnavailable, match="the ledger keeps"):
        build_bundle(small_run.chain, deployment, 1, head, forged)


def ped_verify(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scripts.command_line", "verify", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


def test_the_command_speaks_plainly(bundle: bytes, small_run: SmallRun, tmp_path: Path) -> None:
    file = tmp_path / "bundle.json"
    file.write_bytes(bundle)
    known = ("--block-hash", "0x" + small_run.chain.block().hash.hex())
    good = ped_verify(str(file), *known, "--certificates", small_run.addresses["Certificates"])
    assert good.returncode == 0, good.stderr
    assert good.stdout.startswith("VERIFIED. ")
    assert "It does not prove:" in good.stdout
    unanchored = ped_verify(str(file))
    assert unanchored.returncode == 0
    assert unanchored.stdout.startswith(
        "VERIFIED, if its block is the network's and its contracts are the certification body's."
    )
    other = ped_verify(str(file), "--certificates", small_run.addresses["Ledger"], "--json")
    assert other.returncode == 1
    assert json.loads(other.stdout)["place"] == "deployment.certificates"
    answer = json.loads(ped_verify(str(file), "--json").stdout)
    assert answer["verified"] is True
    assert answer["claim"]["district_id"] == "barlovento"

    file.write_bytes(bundle[: len(bundle) // 2])
    truncated = ped_verify(str(file), "--json")
    assert truncated.returncode == 1
    assert "truncated" in json.loads(truncated.stdout)["message"]
    missing = ped_verify(str(tmp_path / "nothing.json"))
    assert missing.returncode == 1
    assert "cannot be read" in missing.stderr
    with file.open("wb") as huge:
        huge.truncate(evidence.MAX_FILE_BYTES + 1)
    assert "at most" in ped_verify(str(file)).stderr
    wrong = ped_verify(str(file), "--block-hash", "0x12")
    assert wrong.returncode == 1
    assert "--block-hash" in wrong.stderr


def test_a_key_of_another_gateway_signs_for_no_one(bundle: bytes, small_run: SmallRun) -> None:
    """Even a real gateway's key cannot sign another gateway's batch."""
    content = json.loads(bundle)
    index = next(i for i, batch in enumerate(content["batches"]) if batch["stream"] == "open")
    batch = content["batches"][index]
    from contracts.reading import OpenBatch

    message = OpenBatch(
        batch["gateway_id"],
        batch["day"],
        batch["sequence"],
        batch["replaces"],
        evidence.unhex(batch["payload"]),
    )
    forged = message.sign(account("garafia-plant"), small_run.domain)

    def sign(content: Content) -> None:
        content["batches"][index]["signature"] = "0x" + forged.hex()

    with pytest.raises(VerificationFailed, match=rf"batches\.{index}\.signature"):
        verify(resealed(bundle, sign))


def test_a_bundle_of_another_engine_verifies_alike() -> None:
    node = AnvilNode()
    try:
        small = run(Chain(node.url, gas_price_wei=0), 1)
        data = build_bundle(small.chain, small.deployment, 1, small.chain.head(), small.find)
        report = verify(data, small.chain.block().hash)
    finally:
        node.stop()
    assert (report.claim.district_id, report.claim.window_end_day) == ("barlovento", FIRST_DAY + 1)
