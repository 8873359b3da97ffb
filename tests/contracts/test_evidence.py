"""The proof bundle's one possible form: every changed bit, truncation or edit is found, with its place."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import evidence
from contracts.deployment import CONTRACTS, field_name
from contracts.evidence import BundleInvalid

ADDRESS = "0x" + "ab" * 20
HASH = "0x" + "cd" * 32


def parts() -> dict[str, Any]:
    """The smallest content with something in each part (its claims are checked elsewhere)."""
    return {
        "deployment": {
            "chain_id": 31337,
            **dict.fromkeys(map(field_name, CONTRACTS), ADDRESS),
        },
        "claim": {
            "certificate_id": 1,
            "assessment_id": HASH,
            "district_id": "la-palma",
            "scheme_id": "total-dynamic",
            "vintage_id": "2019-a",
            "formula": evidence.FORMULA,
            "status": "Certified",
            "valid": True,
            "window_start_day": 17897,
            "window_end_day": 18262,
            "finding": "Positive",
            "balance_mwh_pe": -5,
            "lower_mwh_pe": -5,
            "upper_mwh_pe": 5,
            "ghg_mg": 0,
            "ghg_upper_mg": 0,
            "complete_hours": 8760,
            "total_hours": 8760,
            "first_boundary_version": 1,
            "last_boundary_version": 1,
        },
        "header": {"number": 7, "time_utc": "2020-01-08T00:00:00Z", "hash": HASH, "rlp": "0xc0"},
        "nodes": ["0xc0", "0xc1"],
        "codes": ["0x6001"],
        "batches": [
            {
                "gateway_id": "g1",
                "day": 17897,
                "stream": "open",
                "sequence": 1,
                "replaces": 0,
                "changed_members": 0,
                "payload": "0x" + "07" * 33,
                "signature": "0x" + "11" * 65,
            }
        ],
        "adjustments": [],
    }


FILE = evidence.dump(parts())


def test_the_file_reads_back() -> None:
    bundle = evidence.load(FILE)
    assert bundle.claim.district_id == "la-palma"
    assert evidence.unhex(bundle.batches[0].payload) == b"\x07" * 33
    assert FILE.endswith(b"}\n")


@given(st.integers(0, 8 * len(FILE) - 1))
def test_any_flipped_bit_is_found(bit: int) -> None:
    changed = bytearray(FILE)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BundleInvalid) as caught:
        evidence.load(bytes(changed))
    assert caught.value.place


@given(st.integers(0, len(FILE) - 1))
def test_a_truncated_file_is_found(length: int) -> None:
    with pytest.raises(BundleInvalid):
        evidence.load(FILE[:length])


@pytest.mark.parametrize("part", evidence.DIGESTED)
def test_a_changed_part_is_named(part: str) -> None:
    content = json.loads(FILE)
    content["digests"][part] = HASH
    with pytest.raises(BundleInvalid) as caught:
        evidence.load((evidence.canonical(content) + "\n").encode())
    assert caught.value.place == part


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "truncated"),
        (FILE[:-100], "truncated"),
        (FILE + b" ", "canonical"),
        (FILE.replace(b"31337", b"31337.5"), "whole numbers"),
        (FILE.replace(b"31337", b"NaN"), "whole numbers"),
        (FILE.replace(b"31337", b"9" * 5000), "digits"),
        (FILE.replace(b"la-palma", b"la-p\xc3\xa1lma"), "not ASCII"),
        (b"[" * 100_000, "nested"),
        (b"[]\n", "no object"),
        (json.dumps(json.loads(FILE)).encode(), "canonical"),
        (FILE.replace(b"ped-proof-bundle/1", b"ped-proof-bundle/9"), "this program reads"),
    ],
)
def test_what_is_no_bundle_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(BundleInvalid, match=message):
        evidence.load(data)


def test_a_wrong_value_is_named_with_its_place() -> None:
    content = parts()
    content["batches"][0]["sequence"] = 256
    with pytest.raises(BundleInvalid, match=r"batches\.0\.sequence: .*found 256"):
        evidence.dump(content)


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(evidence.MAX_FILE_BYTES + 1)
    with pytest.raises(BundleInvalid, match="at most"):
        evidence.read(path)
