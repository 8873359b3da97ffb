"""Sharing energy out in proportion to what each wants, to the last Wh (domain.md §6; on chain ProRata.sol).

Of `R` Wh for claims of `q_i`, together `sum q >= R`, each gets `floor(q_i R / sum q)`. What rounding leaves
goes out one Wh each to the largest `(q_i R) mod sum q`, equal ones by identifier, in the order of its bytes.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple


class Cut(NamedTuple):
    """Who gets one Wh more: a greater fraction, or this one with an identifier that is not above `id`."""

    fraction: int
    id: bytes


NOBODY: Final = Cut(2**128 - 1, bytes(32))
"""The cut when the shares leave nothing over."""


class Shares(NamedTuple):
    """How claims share what there is."""

    wanted_wh: int
    """`sum q`."""
    available_wh: int
    """`R`, at most what is wanted."""
    cut: Cut
    """Fraction and identifier of the last that gets one Wh more, or NOBODY."""

    def of(self, identifier: bytes, quantity_wh: int) -> int:
        """What one of the claims gets, Wh."""
        if self.wanted_wh == 0:
            return 0
        share_wh, fraction = divmod(quantity_wh * self.available_wh, self.wanted_wh)
        if self.cut == NOBODY or (-fraction, identifier) > (-self.cut.fraction, self.cut.id):
            return share_wh
        return share_wh + 1


NO_SHARES: Final = Shares(0, 0, NOBODY)


def share_out(available_wh: int, claims: Sequence[tuple[bytes, int]]) -> Shares:
    """Share `available_wh` among claims of (identifier, Wh), in O(n log n).

    Raises ValueError unless 0 <= available_wh <= what is wanted.
    """
    wanted_wh = sum(quantity_wh for _, quantity_wh in claims)
    if not 0 <= available_wh <= wanted_wh:
        raise ValueError(f"{available_wh} Wh cannot be shared among claims of {wanted_wh} Wh")
    if wanted_wh == 0:
        return NO_SHARES
    left_wh = available_wh - sum(quantity_wh * available_wh // wanted_wh for _, quantity_wh in claims)
    if left_wh == 0:
        return Shares(wanted_wh, available_wh, NOBODY)
    ranked = sorted(
        (-(quantity_wh * available_wh % wanted_wh), identifier) for identifier, quantity_wh in claims
    )
    negative_fraction, identifier = ranked[left_wh - 1]
    return Shares(wanted_wh, available_wh, Cut(-negative_fraction, identifier))
