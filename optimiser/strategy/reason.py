"""Why something is advised: each figure with what it means and where it comes from."""

from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any


class AdviceInvalid(ValueError):
    """Settings or data that no advice can be given from; the message names them and says what to do."""


@dataclass(frozen=True)
class Reason:
    """One step of the reasoning."""

    claim: str
    """A sentence for a district's manager."""
    figure: float | None
    """The number it rests on; None where there is none."""
    unit: str
    source: str
    """Where the number comes from: a method, a setting, a section of domain.md."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def __str__(self) -> str:
        figure = "" if self.figure is None else f" [{self.figure:,.6g} {self.unit}]"
        return f"{self.claim}{figure} ({self.source})"


def parse_shortfall(text: str) -> Fraction:
    """The accepted probability of a shortfall, exact. Raises AdviceInvalid unless between 0 and a half."""
    try:
        found = Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise AdviceInvalid(f"shortfall {text!r} is no number; give one such as 0.1") from None
    if not 0 < found < Fraction(1, 2):
        raise AdviceInvalid(f"shortfall {text}; give a probability above 0 and below 0.5")
    return found
