"""Households' readings shown to an auditor: proven against a bundle, and nothing else can be shown."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from certifier.evidence import build_bundle
from contracts.disclosure import DisclosureInvalid, disclose, load
from contracts.evidence import canonical
from contracts.keccak import keccak
from contracts.privacy import PrivacyInvalid
from contracts.verification import VerificationFailed, verify
from tests.certifier.small_run import FIRST_DAY, MEMBERS, SmallRun, home, home_readings
from tests.contracts.nodes import ROOT

GATEWAY = "barlovento-homes"
HOUR = 24 * FIRST_DAY + 30
"""06:00 of the second day, in batch 1."""


@pytest.fixture(scope="module")
def bundle(small_run: SmallRun) -> bytes:
    return build_bundle(small_run.chain, small_run.deployment, 1, small_run.chain.head(), small_run.find)


def shown(*members: int, hour: int = HOUR, sequence: int = 1, shift_wh: int = 0) -> bytes:
    return disclose(GATEWAY, sequence, home_readings(hour, shift_wh), {home(number) for number in members})


def test_one_reading_is_proven_and_the_others_stay_hidden(bundle: bytes) -> None:
    file = shown(3)
    report = verify(bundle, disclosures=[load(file)])
    assert "1 of 6 private readings of barlovento-homes" in report.proven[-1]
    others = [reading for reading in home_readings(HOUR) if reading.commitment != home(3)]
    for reading in others:
        assert reading.salt.hex() not in file.decode()
        assert reading.commitment.hex() not in file.decode()


def test_all_readings_of_an_hour_add_up_to_the_signed_sums(bundle: bytes) -> None:
    report = verify(bundle, disclosures=[load(shown(*range(MEMBERS)))])
    assert report.proven[-1].endswith("0 Wh supply, 6000 Wh draw.")


def test_a_serial_can_be_opened(bundle: bytes) -> None:
    serial_salt = keccak(b"home 2")
    good = disclose(GATEWAY, 1, home_readings(HOUR), {home(2)}, {home(2): ("home-2", serial_salt)})
    assert verify(bundle, disclosures=[load(good)])
    wrong = disclose(GATEWAY, 1, home_readings(HOUR), {home(2)}, {home(2): ("home-1", serial_salt)})
    with pytest.raises(VerificationFailed, match=r"readings\.0\.serial: home-1 is not the meter"):
        verify(bundle, disclosures=[load(wrong)])


@pytest.mark.parametrize(
    ("field", "value", "place"),
    [
        ("supply_wh", 1, r"readings\.0: does not lead"),
        ("draw_wh", 1101, r"readings\.0: does not lead"),
        ("salt", "0x" + "11" * 32, r"readings\.0: does not lead"),
        ("commitment", "0x" + "11" * 32, r"readings\.0: does not lead"),
        ("siblings", [], r"readings\.0: does not lead"),
        ("draw_wh", 2**33, r"readings\.0: .*out of range"),
        ("index", 6, r"readings\.0: does not lead"),
    ],
)
def test_a_changed_reading_is_found(bundle: bytes, field: str, value: Any, place: str) -> None:
    content = json.loads(shown(3))
    content["readings"][0][field] = value
    with pytest.raises(VerificationFailed, match=place):
        verify(bundle, disclosures=[load((canonical(content) + "\n").encode())])


def test_only_what_holds_can_be_shown(bundle: bytes) -> None:
    first_hour = 24 * FIRST_DAY
    replaced = load(shown(1, hour=first_hour, sequence=1))
    with pytest.raises(VerificationFailed, match="does not hold this hour; batch 3 does"):
        verify(bundle, disclosures=[replaced])
    assert verify(bundle, disclosures=[load(shown(1, hour=first_hour, sequence=3, shift_wh=100))])
    with pytest.raises(VerificationFailed, match="does not lead"):
        verify(bundle, disclosures=[load(shown(1, hour=HOUR + 1, sequence=1, shift_wh=1))])
    with pytest.raises(VerificationFailed, match="is not there"):
        verify(bundle, disclosures=[load(shown(1, hour=HOUR + 24 * 50))])
    fewer = disclose(GATEWAY, 1, home_readings(HOUR)[:5], {home(1)})
    with pytest.raises(VerificationFailed, match="count: is 5, but the batch counts 6"):
        verify(bundle, disclosures=[load(fewer)])


def test_nothing_is_disclosed_by_mistake() -> None:
    with pytest.raises(PrivacyInvalid, match="nobody"):
        disclose(GATEWAY, 1, home_readings(HOUR), set())
    with pytest.raises(PrivacyInvalid, match="has no reading"):
        disclose(GATEWAY, 1, home_readings(HOUR), {keccak(b"stranger")})


def test_what_is_no_disclosure_is_refused() -> None:
    file = shown(3)
    for data in (
        b"",
        file[:-9],
        file.replace(b": ", b":  ", 1),
        file.replace(b"disclosure/1", b"disclosure/2"),
        b"[" * 100_000,
    ):
        with pytest.raises(DisclosureInvalid):
            load(data)


def test_the_command_takes_disclosures(bundle: bytes, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("bundle.json", "shown.json", "changed.json")]
    paths[0].write_bytes(bundle)
    paths[1].write_bytes(shown(0, 4))
    paths[2].write_bytes(shown(0, 4).replace(b'"draw_wh": 500', b'"draw_wh": 501'))
    command = [sys.executable, "-m", "scripts.command_line", "verify", str(paths[0]), "--disclosure"]
    good = subprocess.run([*command, str(paths[1])], cwd=ROOT, capture_output=True, text=True)
    assert good.returncode == 0, good.stderr
    assert "2 of 6 private readings" in good.stdout
    bad = subprocess.run([*command, str(paths[2])], cwd=ROOT, capture_output=True, text=True)
    assert bad.returncode == 1
    assert "does not lead to the signed root" in bad.stderr
