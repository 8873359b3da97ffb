"""Reads the CSV series of a replay: energies and registers as whole Wh.

The format is that of `optimiser.series` with a `time_utc` column. For energy or mean-power columns it labels
the START of the interval; for register columns it is the instant of the register reading. The unit is the end
of the column's name: `_wh`, `_kwh`, `_mwh` (energy or register), `_w`, `_kw`, `_mw` (mean power over the
interval); any case.
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import ClassVar

from optimiser.series import TIME_UTC, SeriesError, TimeSeries

__all__ = ["Column", "Series", "SeriesError", "round_half_up"]

WATT_HOURS_PER_UNIT = {"wh": Decimal(1), "kwh": Decimal(1_000), "mwh": Decimal(1_000_000)}
WATTS_PER_UNIT = {"w": Decimal(1), "kw": Decimal(1_000), "mw": Decimal(1_000_000)}


@dataclass(frozen=True)
class Column:
    """How one column becomes whole Wh.

    unit: `wh`, `kwh`, `mwh`, `w`, `kw` or `mw`; None takes it from the end of the column's name.
    times: constant factor applied to every value (as kWp x performance ratio on an irradiance).
    """

    name: str
    unit: str | None = None
    times: Decimal = Decimal(1)


def round_half_up(value: Decimal) -> int:
    """The nearest integer; a half goes up (all values here are >= 0)."""
    return int(value.to_integral_value(ROUND_HALF_UP))


class Series(TimeSeries):
    """One CSV file of a replay. Raises SeriesError for everything that is wrong with the file."""

    time_columns: ClassVar[tuple[str, ...]] = (TIME_UTC,)
    missing_hint: ClassVar[str] = (
        'add it, or set gaps = "allowed" in the TOML file (the hour then counts as not measured)'
    )
    empty_hint: ClassVar[str] = 'fill it in, or set gaps = "allowed" in the TOML file'
    negative_hint: ClassVar[str] = "energy has two columns, supply and draw, each >= 0 (domain.md §2)"

    def energy_unit(self, column: Column) -> str:
        """`wh`, `kwh`, `mwh`, `w`, `kw` or `mw`. Raises SeriesError when nothing tells it."""
        unit = (column.unit or column.name.rsplit("_", 1)[-1]).lower()
        if unit not in WATT_HOURS_PER_UNIT and unit not in WATTS_PER_UNIT:
            known = ", ".join([*WATT_HOURS_PER_UNIT, *WATTS_PER_UNIT])
            raise SeriesError(
                f"{self.path}:1: column {column.name!r}: unknown unit {unit!r}; end the column's name with "
                f'one of {known} (as in import_kwh), or set unit = "..." in the TOML file'
            )
        return unit

    def energies_wh(self, column: Column, start_s: int, end_s: int, gaps_allowed: bool) -> list[int | None]:
        """Interval energies in Wh, rounded half up once, from energy or mean-power values."""
        unit = self.energy_unit(column)
        if unit in WATT_HOURS_PER_UNIT:
            scale = WATT_HOURS_PER_UNIT[unit] * column.times
        else:
            scale = WATTS_PER_UNIT[unit] * column.times * self.interval_s / 3600
        values = self.numbers(column.name, start_s, end_s, gaps_allowed)
        return [None if value is None else round_half_up(value * scale) for value in values]

    def registers_wh(self, column: Column, start_s: int, end_s: int, gaps_allowed: bool) -> list[int | None]:
        """Register readings in Wh at every instant of [start_s, end_s] (the end included). No power units."""
        unit = self.energy_unit(column)
        if unit not in WATT_HOURS_PER_UNIT:
            raise SeriesError(
                f"{self.path}:1: column {column.name!r}: a register counts Wh or kWh, not {unit!r}"
            )
        scale = WATT_HOURS_PER_UNIT[unit] * column.times
        values = self.numbers(column.name, start_s, end_s + self.interval_s, gaps_allowed)
        return [None if value is None else round_half_up(value * scale) for value in values]
