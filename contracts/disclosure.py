"""Selective disclosure: some households' readings of one hour, proven against the root in a proof bundle.

The gateway's owner, who keeps the salts, shows an auditor as much as is needed: one reading, or all of an
hour so that the sums can be recomputed. What is not shown stays hidden (domain.md §8).
"""

import json
from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError

from contracts.evidence import Hash, Natural, Part, canonical, unhex
from contracts.hour import format_hour_utc, hour_of_day
from contracts.nesting import too_deep
from contracts.privacy import MemberReading, PrivacyInvalid, Proof, commitment, in_order, prove
from contracts.reading import PrivateSection
from contracts.slug import IdentifierInvalid

FORMAT: Final = "ped-disclosure/1"


class DisclosureInvalid(ValueError):
    """The disclosure does not fit the bundle; `place` says where."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}")
        self.place = place
        self.message = message


class DisclosedReading(Part):
    """One member's reading, its salt and its way to the root."""

    commitment: Hash
    supply_wh: Natural
    draw_wh: Natural
    salt: Hash
    index: Natural
    siblings: list[Hash]
    serial: str | None
    """The meter's serial, if the owner shows that too; null keeps the member anonymous."""
    serial_salt: Hash | None


class Disclosure(Part):
    """Readings of one gateway's members in one hour."""

    format: Literal["ped-disclosure/1"]
    gateway_id: str
    day: Natural
    sequence: Annotated[int, Field(ge=1, le=255)]
    hour_of_day: Annotated[int, Field(ge=0, le=23)]
    count: Natural
    readings: list[DisclosedReading]

    @property
    def hour(self) -> int:
        """Number of the hour."""
        return 24 * self.day + self.hour_of_day


def disclose(
    gateway_id: str,
    sequence: int,
    readings: Sequence[MemberReading],
    shown: Collection[bytes],
    serials: dict[bytes, tuple[str, bytes]] | None = None,
) -> bytes:
    """File that shows the readings of the members with commitments `shown`, out of all `readings` of an hour.

    `serials` gives serial and salt of commitments that shall be opened too. Raises PrivacyInvalid.
    """
    ordered = in_order(readings)
    absent = set(shown) - {reading.commitment for reading in ordered}
    if absent or not shown:
        names = ", ".join(f"0x{member.hex()}" for member in sorted(absent)) or "nobody"
        raise PrivacyInvalid(f"{names} has no reading in this hour that could be shown")
    leaves = [reading.leaf for reading in ordered]
    entries = []
    for index, reading in enumerate(ordered):
        if reading.commitment not in shown:
            continue
        serial, serial_salt = (serials or {}).get(reading.commitment, (None, None))
        entries.append(
            {
                "commitment": _hex(reading.commitment),
                "supply_wh": reading.supply_wh,
                "draw_wh": reading.draw_wh,
                "salt": _hex(reading.salt),
                "index": index,
                "siblings": [_hex(sibling) for sibling in prove(leaves, index).siblings],
                "serial": serial,
                "serial_salt": None if serial_salt is None else _hex(serial_salt),
            }
        )
    hour = ordered[0].hour
    content = {
        "format": FORMAT,
        "gateway_id": gateway_id,
        "day": hour // 24,
        "sequence": sequence,
        "hour_of_day": hour_of_day(hour),
        "count": len(ordered),
        "readings": entries,
    }
    data = (canonical(content) + "\n").encode("ascii")
    load(data)
    return data


def load(data: bytes) -> Disclosure:
    """The disclosure in a file. Raises DisclosureInvalid."""
    if too_deep(data):
        raise DisclosureInvalid("disclosure", "is nested too deeply")
    try:
        content: Any = json.loads(data.decode("ascii"))
        disclosure = Disclosure.model_validate(content)
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_context=False)[0]
        raise DisclosureInvalid(".".join(str(step) for step in first["loc"]), first["msg"]) from None
    except ValueError as problem:
        raise DisclosureInvalid("disclosure", f"is no JSON in ASCII ({problem})") from None
    if (canonical(content) + "\n").encode("ascii") != data:
        raise DisclosureInvalid("disclosure", "is not in canonical form")
    return disclosure


def check(disclosure: Disclosure, section: PrivateSection) -> list[str]:
    """What the disclosure proves of the hour `section` of a signed batch. Raises DisclosureInvalid."""
    members = sum(entry.members for entry in section.sums)
    if disclosure.count != members:
        raise DisclosureInvalid("count", f"is {disclosure.count}, but the batch counts {members} members")
    indices = [reading.index for reading in disclosure.readings]
    if not indices or any(a >= b for a, b in pairwise(indices)):
        raise DisclosureInvalid("readings", f"their places {indices} must ascend strictly, at least one")
    for number, shown in enumerate(disclosure.readings):
        place = f"readings.{number}"
        try:
            reading = MemberReading(
                unhex(shown.commitment), disclosure.hour, shown.supply_wh, shown.draw_wh, unhex(shown.salt)
            )
            opened = shown.serial is None or (
                shown.serial_salt is not None
                and commitment(shown.serial, unhex(shown.serial_salt)) == reading.commitment
            )
        except (PrivacyInvalid, IdentifierInvalid) as problem:
            raise DisclosureInvalid(place, str(problem)) from None
        proof = Proof(shown.index, disclosure.count, tuple(map(unhex, shown.siblings)))
        if not proof.verify(reading.leaf, section.root):
            raise DisclosureInvalid(
                place, f"does not lead to the signed root 0x{section.root.hex()}: something of it is changed"
            )
        if not opened:
            raise DisclosureInvalid(f"{place}.serial", f"{shown.serial} is not the meter of this commitment")
    lines = [
        f"{len(disclosure.readings)} of {members} private readings of {disclosure.gateway_id} in the hour "
        f"from {format_hour_utc(disclosure.hour)} are those under the signed root."
    ]
    if len(disclosure.readings) == members:
        own = tuple(sum(getattr(shown, name) for shown in disclosure.readings) for name in _SIDES)
        signed = tuple(sum(getattr(entry, name) for entry in section.sums) for name in _SIDES)
        if own != signed:
            raise DisclosureInvalid(
                "readings", f"add up to {own} Wh (supply, draw), but the gateway signed {signed} Wh"
            )
        lines.append(f"They are all, and add up to the signed sums: {own[0]} Wh supply, {own[1]} Wh draw.")
    return lines


_SIDES: Final = ("supply_wh", "draw_wh")


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
