"""The proof bundle: one file with everything that is needed to check one certificate's verdict offline.

The file is JSON in exactly one possible form (sorted keys, one space of indentation, ASCII, one newline at
the end), so that people can read it, tools can compare it, and no byte can change unnoticed. Its parts:

- `deployment`: chain id and addresses of the contracts;
- `claim`: what the file says is true: certificate, window, verdict;
- `header`: the header of the block whose state is proven, as RLP;
- `nodes`: nodes of the state's Merkle-Patricia tries, each once, in order of their hash;
- `codes`: code of the accounts that are read (contracts, manifests, factor days), each once, by hash;
- `batches`: the signed payloads of every hour of the window, and the adjustments;
- `digests`: SHA-256 of each other part, which tells a changed part by name.

Nothing in it has to be believed: `contracts.verification` recomputes all of it (domain.md §4, "Evidence").
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from contracts.keccak import keccak
from contracts.nesting import too_deep

FORMAT: Final = "ped-proof-bundle/1"
MEDIA_TYPE: Final = "application/vnd.ped.proof-bundle+json"
MAX_FILE_BYTES: Final = 256 * 1024 * 1024
"""More than any year of a district needs (a year of 20 points is about 6 MB)."""
FORMULA: Final = "ped-hour-balance/1"
"""Identifier of the rule of domain.md §§2-4 as `contracts.energy` and `HourBalance.sol` state it."""

Hex = Annotated[str, StringConstraints(pattern=r"^0x([0-9a-f]{2})*$")]
Hash = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-f]{64}$")]
Address = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-f]{40}$")]
Natural = Annotated[int, Field(ge=0, lt=1 << 64)]


class BundleInvalid(ValueError):
    """The file is no proof bundle in its one possible form; `place` says where."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}")
        self.place = place
        self.message = message


class PartAltered(BundleInvalid):
    """The file is in its form, but a part does not have its digest; `bundle` is what it says all the same."""

    def __init__(self, place: str, message: str, bundle: "Bundle") -> None:
        super().__init__(place, message)
        self.bundle = bundle


class Part(BaseModel):
    """A part of a file that is checked strictly."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Contracts(Part):
    """Where the contracts are; the settlement token is none of them."""

    chain_id: Natural
    registry: Address
    factors: Address
    ledger: Address
    market_rules: Address
    claims: Address
    escrow: Address
    market: Address
    settlement: Address
    flexibility: Address
    assessments: Address
    certificates: Address


class Claim(Part):
    """What the bundle says is true of the state after its block. Balances in mWh_PE, GHG in mg CO2e."""

    certificate_id: Natural
    assessment_id: Hash
    district_id: str
    scheme_id: str
    vintage_id: str
    formula: str
    status: str
    valid: bool
    window_start_day: Natural
    window_end_day: Natural
    finding: str
    balance_mwh_pe: int
    lower_mwh_pe: int
    upper_mwh_pe: int
    ghg_mg: int
    ghg_upper_mg: int
    complete_hours: Natural
    total_hours: Natural
    first_boundary_version: Natural
    last_boundary_version: Natural


class BlockHeader(Part):
    """The block after which everything is proven."""

    number: Natural
    time_utc: str
    hash: Hash
    rlp: Hex


class Batch(Part):
    """One accepted batch that holds hours of the window, as its gateway signed it."""

    gateway_id: str
    day: Natural
    stream: Literal["open", "private"]
    sequence: Annotated[int, Field(ge=1, le=255)]
    replaces: Annotated[int, Field(ge=0, le=255)]
    changed_members: Annotated[int, Field(ge=0, lt=65536)]
    payload: Hex
    signature: Hex


class AdjustmentBatch(Part):
    """A change of final hours, signed by a meter operator and an auditor instead of the gateway."""

    gateway_id: str
    day: Natural
    stream: Literal["open", "private"]
    sequence: Annotated[int, Field(ge=1, le=255)]
    replaces: Annotated[int, Field(ge=0, le=255)]
    reason_hash: Hash
    changed_members: Annotated[int, Field(ge=0, lt=65536)]
    payload: Hex
    operator_signature: Hex
    auditor_signature: Hex


class Bundle(Part):
    """A whole proof bundle."""

    format: Literal["ped-proof-bundle/1"]
    deployment: Contracts
    claim: Claim
    header: BlockHeader
    nodes: list[Hex]
    codes: list[Hex]
    batches: list[Batch]
    adjustments: list[AdjustmentBatch]
    digests: dict[str, Hash]


DIGESTED: Final = ("adjustments", "batches", "claim", "codes", "deployment", "header", "nodes")
"""The parts that have a digest."""


def unhex(text: str) -> bytes:
    """The bytes of a `0x...` text."""
    return bytes.fromhex(text[2:])


def in_order(items: Iterable[bytes]) -> list[bytes]:
    """Nodes or codes as the file lists them: each once, in order of their Keccak-256."""
    return sorted(set(items), key=keccak)


def canonical(content: Any) -> str:
    """The one form in which the file may write `content`."""
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=True)


def digest(content: Any) -> str:
    """SHA-256 of the canonical form of one part."""
    return "0x" + hashlib.sha256(canonical(content).encode("ascii")).hexdigest()


def dump(content: dict[str, Any]) -> bytes:
    """The file of a bundle given without format and digests. Raises BundleInvalid."""
    complete = {**content, "format": FORMAT, "digests": {part: digest(content[part]) for part in DIGESTED}}
    data = (canonical(complete) + "\n").encode("ascii")
    load(data)
    return data


def read(path: Path) -> bytes:
    """The content of the bundle file at `path`. Raises BundleInvalid and OSError."""
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise BundleInvalid("file", f"{size} bytes; a proof bundle has at most {MAX_FILE_BYTES}")
    return path.read_bytes()


def load(data: bytes) -> Bundle:
    """The bundle in `data`, which must be in canonical form with right digests.

    Raises BundleInvalid; PartAltered if only a digest is wrong.
    """
    if len(data) > MAX_FILE_BYTES:
        raise BundleInvalid("file", f"{len(data)} bytes; a proof bundle has at most {MAX_FILE_BYTES}")
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as problem:
        raise BundleInvalid(_line(data, problem.start), "a byte that is not ASCII") from None
    if too_deep(data):
        raise BundleInvalid("file", "nested too deeply")
    try:
        content = json.loads(text, parse_float=_no_float, parse_constant=_no_float)
    except json.JSONDecodeError as problem:
        ended = not text.endswith("}\n")
        raise BundleInvalid(
            _line(data, problem.pos),
            "the file ends too early: it is truncated" if ended else f"not JSON ({problem.msg})",
        ) from None
    except ValueError as problem:
        raise BundleInvalid("file", str(problem)) from None
    if not isinstance(content, dict):
        raise BundleInvalid("file", "is JSON, but no object: not a proof bundle")
    expected = (canonical(content) + "\n").encode("ascii")
    if expected != data:
        changed = next(
            (i for i, (a, b) in enumerate(zip(expected, data, strict=False)) if a != b),
            min(len(expected), len(data)),
        )
        raise BundleInvalid(
            _line(data, changed), "is not in canonical form: the file was edited or re-formatted"
        )
    if content.get("format") != FORMAT:
        raise BundleInvalid("format", f"is {content.get('format')!r}; this program reads {FORMAT!r}")
    try:
        bundle = Bundle.model_validate(content)
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_context=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        raise BundleInvalid(place, f"{first['msg']}; found {_short(first['input'])}") from None
    if sorted(bundle.digests) != list(DIGESTED):
        raise BundleInvalid("digests", f"must name exactly {', '.join(DIGESTED)}")
    for part in DIGESTED:
        found = digest(content[part])
        if bundle.digests[part] != found:
            raise PartAltered(
                part,
                f"has the digest {found}, but the file says {bundle.digests[part]}: "
                f"{part} (or its digest) was changed",
                bundle,
            )
    return bundle


def _line(data: bytes, place: int) -> str:
    line = data.count(b"\n", 0, place) + 1
    return f"line {line} (byte {place})"


def _no_float(text: str) -> Any:
    raise ValueError(f"{_short(text)}: a proof bundle has whole numbers only")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
