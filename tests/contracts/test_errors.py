"""Every custom error of the contracts becomes an exception with its facts."""

from typing import Any

import pytest
from eth_abi import abi

from contracts import errors
from contracts.artifacts import error_definitions
from contracts.errors import ContractError, Panic, Reverted, UnknownError, decode_error
from contracts.interface import type_of

SAMPLES: dict[str, Any] = {"address": "0x" + "11" * 20, "bool": True, "string": "words", "bytes": b"\x01"}


def value_of(kind: str, place: int) -> Any:
    if kind.startswith(("uint", "int")):
        return place + 1
    if kind.startswith("bytes") and kind != "bytes":
        return b"pv-roof".ljust(int(kind[5:]), b"\0")[: int(kind[5:])]
    return SAMPLES[kind]


def test_there_are_errors_to_decode() -> None:
    assert {"SequenceMismatch", "WrongSigner", "EnergyAboveCap"} <= set(errors.names())


@pytest.mark.parametrize("entry", error_definitions(), ids=lambda entry: str(entry["name"]))
def test_every_custom_error_is_typed_with_its_facts(entry: dict[str, Any]) -> None:
    kinds = [type_of(item) for item in entry["inputs"]]
    values = [value_of(kind, place) for place, kind in enumerate(kinds)]
    problem = decode_error(bytes.fromhex(entry["selector"][2:]) + abi.encode(kinds, values))
    assert type(problem) is getattr(errors, entry["name"])
    assert isinstance(problem, ContractError)
    assert [item["name"] for item in entry["inputs"]] == list(problem.facts)
    assert [str(value).lower() for value in problem.facts.values()] == [
        str(value).lower() for value in values
    ]
    assert str(problem).startswith(entry["name"])


def test_facts_are_attributes_and_are_readable() -> None:
    entry = next(item for item in error_definitions() if item["name"] == "EnergyAboveCap")
    kinds = [type_of(item) for item in entry["inputs"]]
    problem: Any = decode_error(bytes.fromhex(entry["selector"][2:]) + abi.encode(kinds, [3, 7_000, 5_500]))
    assert isinstance(problem, errors.EnergyAboveCap)  # type: ignore[arg-type]
    assert (problem.energy_wh, problem.cap_wh) == (7_000, 5_500)
    assert "energyWh 7000" in str(problem)


def test_plain_reasons_panics_and_strangers() -> None:
    reason = bytes.fromhex("08c379a0") + abi.encode(["string"], ["no"])
    assert decode_error(reason).facts == {"reason": "no"}
    assert isinstance(decode_error(b""), Reverted)
    panic = decode_error(bytes.fromhex("4e487b71") + abi.encode(["uint256"], [0x11]))
    assert isinstance(panic, Panic)
    assert "overflow" in str(panic)
    stranger = decode_error(b"\x01\x02\x03\x04\x05")
    assert isinstance(stranger, UnknownError)
    assert stranger.data == b"\x01\x02\x03\x04\x05"
    entry = next(item for item in error_definitions() if item["inputs"])
    truncated = decode_error(bytes.fromhex(entry["selector"][2:]) + b"\x01")
    assert isinstance(truncated, UnknownError)


def test_a_name_that_no_contract_has_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="NoSuchError"):
        _ = errors.NoSuchError
