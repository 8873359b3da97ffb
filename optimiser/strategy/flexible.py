"""Flexible devices of a district's members, and what they can deliver in every hour of an event."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from optimiser.strategy.reason import AdviceInvalid

WH_PER_KWH = 1000


class FlexibleDevice(BaseModel):
    """What can be switched, discharged or put off."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: Literal["battery", "heat pump", "vehicles", "other"] = "other"
    power_kw: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """By which net import changes, in the direction of the event."""
    hours: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """For so long at this power: content of a battery, time that a building stays warm."""
    available_share: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of it that is there when called: vehicles that are plugged in."""

    def sustained_wh(self, event_hours: int) -> float:
        """Wh in each hour of an event of `event_hours` hours: shorter devices deliver less, evenly."""
        return WH_PER_KWH * self.power_kw * self.available_share * min(1.0, self.hours / event_hours)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    device: Annotated[list[FlexibleDevice], Field(min_length=1)]


def read_devices(path: Path) -> tuple[FlexibleDevice, ...]:
    """A TOML file with a table `[[device]]` for each. Raises AdviceInvalid and OSError."""
    try:
        return tuple(_File.model_validate(tomllib.loads(path.read_text("utf-8"))).device)
    except ValidationError as problem:
        first = problem.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise AdviceInvalid(f"{path}: {place}: {first['msg']}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise AdviceInvalid(f"{path}: {problem}") from None


def flexible_wh(devices: Sequence[FlexibleDevice], event_hours: int) -> int:
    """What all devices deliver in every hour of an event, Wh, rounded down."""
    return int(sum(device.sustained_wh(event_hours) for device in devices))
