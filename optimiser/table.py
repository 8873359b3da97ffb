"""TOML files that say what to do: how they are read, what their tables are, and their errors in words."""

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError


class Table(BaseModel):
    """Unknown keys are refused; values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def read_toml(path: Path, problem: type[ValueError]) -> dict[str, Any]:
    """The document in `path`. Raises `problem`, naming the file and what is wrong."""
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        raise problem(f"{path}: there is no such file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise problem(f"{path}: not valid TOML: {error}") from None


def explained(origin: str, error: ValidationError, place: str = "") -> str:
    """What is wrong with a document, in words: one line per place, with the value."""
    return "\n".join(_explain(origin, detail, place) for detail in error.errors())


def _explain(origin: str, detail: Any, place: str) -> str:
    for part in detail["loc"]:
        place += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if place else str(part)
    message = detail["msg"].removeprefix("Value error, ")
    shown = detail["input"]
    if detail["type"] == "missing":
        message = "is missing"
    elif detail["type"] == "extra_forbidden":
        message = "is not known here; check the spelling"
    elif isinstance(shown, str | int | float | Decimal):
        message = f"{shown!r}: {message}"
    return f"{origin}: {place or 'the file'}: {message}"
