"""The compiled contracts as committed in `contracts/abi`: interface, bytecode, hash of the sources."""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
SOURCES = FOLDER / "src"
ABI = FOLDER / "abi"

SETTINGS: dict[str, Any] = {
    "evmVersion": "paris",
    "viaIR": True,
    "optimizer": {"enabled": True, "runs": 1_000_000},
    "metadata": {"bytecodeHash": "none", "appendCBOR": False},
}
"""Compiler settings of every artifact. Paris: one bytecode that py-evm, Clique, anvil and Besu all run."""


@dataclass(frozen=True)
class Artifact:
    """One deployable contract."""

    name: str
    abi: list[dict[str, Any]]
    bytecode: bytes
    deployed_bytecode: bytes
    immutable_references: list[tuple[int, int]]
    """(start, length) of the bytes of `deployed_bytecode` that the constructor fills in."""
    immutables: dict[str, list[int]]
    """Where each of those variables stands, 32 bytes each time, by its Solidity name."""
    compiler: str
    source_hash: str
    storage_layout: dict[str, Any]
    """Where the state variables lie: "variables" (label, slot, offset, type) and the "types" by name."""

    def matches(self, code: bytes) -> bool:
        """Whether `code`, found on a chain, is this contract, apart from what its constructor fills in."""
        if len(code) != len(self.deployed_bytecode):
            return False
        masked = bytearray(code)
        for start, length in self.immutable_references:
            masked[start : start + length] = bytes(length)
        return bytes(masked) == self.deployed_bytecode

    def immutable(self, code: bytes, name: str) -> int:
        """Value of the immutable variable `name` in `code`, which must match. Raises KeyError."""
        start = self.immutables[name][0]
        return int.from_bytes(code[start : start + 32], "big")


class ArtifactMissing(LookupError):
    """No contract of that name is in `contracts/abi`."""


def names() -> list[str]:
    """Names of all committed contracts."""
    return sorted(path.stem for path in ABI.glob("*.json") if path.stem != "errors")


@cache
def artifact(name: str) -> Artifact:
    """The committed contract `name`, for example "Ledger". Raises ArtifactMissing."""
    path = ABI / f"{name}.json"
    if name == "errors" or not path.exists():
        raise ArtifactMissing(
            f"no contract {name!r} in contracts/abi; there are {', '.join(names()) or 'none'}"
        )
    content = json.loads(path.read_text("utf-8"))
    return Artifact(
        name=name,
        abi=content["abi"],
        bytecode=bytes.fromhex(content["bytecode"][2:]),
        deployed_bytecode=bytes.fromhex(content["deployed_bytecode"][2:]),
        immutable_references=[(start, length) for start, length in content["immutable_references"]],
        immutables=content["immutables"],
        compiler=content["compiler"],
        source_hash=content["source_hash"],
        storage_layout=content["storage_layout"],
    )


@cache
def error_definitions() -> list[dict[str, Any]]:
    """ABI entries of every custom error that a call may end with, with `selector` and `notice`."""
    path = ABI / "errors.json"
    if not path.exists():
        return []
    definitions: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["errors"]
    return definitions


def source_files() -> list[Path]:
    """All Solidity sources, in a fixed order."""
    return sorted(SOURCES.rglob("*.sol"))


def source_hash() -> str:
    """Hash of what determines the bytecode: sources, settings, versions of compiler and libraries."""
    package = json.loads((FOLDER / "package.json").read_text("utf-8"))
    digest = hashlib.sha256()
    pinned = {
        "settings": SETTINGS,
        "solc": package["devDependencies"]["solc"],
        "openzeppelin": package["dependencies"]["@openzeppelin/contracts"],
    }
    digest.update(json.dumps(pinned, sort_keys=True).encode())
    for path in source_files():
        content = path.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"\n{path.relative_to(SOURCES).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return "0x" + digest.hexdigest()
