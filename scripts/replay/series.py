"""Reads CSV time series: exact decimals, and errors that name the file, the line and the column.

Format (domain.md §1, §9): UTF-8, comma separated, one header line. The column `time_utc` holds ISO 8601
instants with `Z` or `+00:00`, aligned to the interval, ascending, none twice. For energy or mean-power
columns it labels the START of the interval; for register columns it is the instant of the register
reading. The unit is the end of the column's name: `_wh`, `_kwh`, `_mwh` (energy or register), `_w`,
`_kw`, `_mw` (mean power over the interval); any case. An empty cell is a missing value, never zero.
"""

import csv
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from pathlib import Path

TIME_COLUMN = "time_utc"
WATT_HOURS_PER_UNIT = {"wh": Decimal(1), "kwh": Decimal(1_000), "mwh": Decimal(1_000_000)}
WATTS_PER_UNIT = {"w": Decimal(1), "kw": Decimal(1_000), "mw": Decimal(1_000_000)}


class SeriesError(ValueError):
    """A CSV file that cannot be used; the message names file, line, column and value, and says what to do."""


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


class Series:
    """One CSV file. Values are read column by column, each missing cell staying missing.

    Raises SeriesError for everything that is wrong with the file.
    """

    def __init__(self, path: Path, interval_s: int) -> None:
        self.path = path
        self.interval_s = interval_s
        try:
            text = path.read_text("utf-8-sig")
        except FileNotFoundError:
            raise SeriesError(
                f"{path}: there is no such file; give its path relative to the TOML file"
            ) from None
        except UnicodeDecodeError as error:
            raise SeriesError(
                f"{path}: not UTF-8 at byte {error.start}; save the file as UTF-8 CSV"
            ) from None
        rows = csv.reader(text.splitlines(), strict=True)
        try:
            self.columns = [name.strip() for name in next(rows, [])]
            self._check_header()
            self.times_s: list[int] = []
            self._cells: list[list[str]] = []
            for row in rows:
                self._add(row, rows.line_num)
        except csv.Error as error:
            raise SeriesError(f"{path}:{rows.line_num}: not valid CSV: {error}") from None
        if not self.times_s:
            raise SeriesError(f"{path}: no rows below the header")
        self._row_of_time = {time_s: index for index, time_s in enumerate(self.times_s)}
        self._lines: list[int]

    def _check_header(self) -> None:
        if TIME_COLUMN not in self.columns:
            hint = (
                " (is the file separated by semicolons? use commas)" if ";" in "".join(self.columns) else ""
            )
            raise SeriesError(
                f"{self.path}:1: no column {TIME_COLUMN!r}{hint}; the header has: "
                f"{', '.join(self.columns) or 'nothing'}"
            )
        doubled = {name for name in self.columns if self.columns.count(name) > 1}
        if doubled:
            raise SeriesError(f"{self.path}:1: column {min(doubled)!r} is there twice")
        self._time_index = self.columns.index(TIME_COLUMN)
        self._lines = []

    def _add(self, row: list[str], line: int) -> None:
        if not row:
            return
        if len(row) != len(self.columns):
            raise SeriesError(
                f"{self.path}:{line}: {len(row)} values but the header names {len(self.columns)} columns"
            )
        time_s = self._instant(row[self._time_index].strip(), line)
        if self.times_s and time_s <= self.times_s[-1]:
            what = "is there twice" if time_s == self.times_s[-1] else "is earlier than the line before"
            raise SeriesError(
                f"{self.path}:{line}: {TIME_COLUMN}: {row[self._time_index]!r} {what}; "
                "sort the rows by time, one row per interval"
            )
        self.times_s.append(time_s)
        self._lines.append(line)
        self._cells.append(row)

    def _instant(self, text: str, line: int) -> int:
        where = f"{self.path}:{line}: {TIME_COLUMN}: {text!r}"
        try:
            instant = datetime.fromisoformat(text)
        except ValueError:
            raise SeriesError(f"{where} is no ISO 8601 time; write it like 2019-01-01T00:00Z") from None
        if instant.tzinfo is None:
            raise SeriesError(
                f"{where} names no time zone; convert local time to UTC and write it like {text}Z "
                "(daylight saving doubles an hour in local time)"
            )
        offset = instant.utcoffset()
        if offset:
            raise SeriesError(
                f"{where} is not in UTC; write {instant.astimezone(UTC).strftime('%Y-%m-%dT%H:%MZ')} instead"
            )
        time_s = int(instant.timestamp())
        if instant.microsecond or time_s % self.interval_s:
            raise SeriesError(f"{where} is not aligned to the interval of {self.interval_s} s")
        return time_s

    def require(self, start_s: int, end_s: int) -> None:
        """Every interval of [start_s, end_s) has a row. Raises SeriesError naming the first missing."""
        for time_s in range(start_s, end_s, self.interval_s):
            if time_s not in self._row_of_time:
                raise SeriesError(f"{self.path}:{self._line_before(time_s)}: {self._missing(time_s)}")

    def _line_before(self, time_s: int) -> int:
        later = [
            line for line, present_s in zip(self._lines, self.times_s, strict=True) if present_s > time_s
        ]
        return later[0] if later else self._lines[-1] + 1

    @staticmethod
    def _missing(time_s: int) -> str:
        time_utc = datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%MZ")
        return (
            f"{TIME_COLUMN}: {time_utc} is missing before this line; add it, or set "
            'gaps = "allowed" in the TOML file (the hour then counts as not measured)'
        )

    def numbers(self, column: str, start_s: int, end_s: int, gaps_allowed: bool) -> list[Decimal | None]:
        """The column's values >= 0 for every interval of [start_s, end_s), None where missing.

        Raises SeriesError for a missing value when gaps are not allowed, and for what is no number >= 0.
        """
        if column not in self.columns:
            raise SeriesError(
                f"{self.path}:1: no column {column!r}; the header has: {', '.join(self.columns)}"
            )
        if not gaps_allowed:
            self.require(start_s, end_s)
        index = self.columns.index(column)
        values: list[Decimal | None] = []
        for time_s in range(start_s, end_s, self.interval_s):
            row = self._row_of_time.get(time_s)
            text = "" if row is None else self._cells[row][index].strip()
            if text:
                values.append(self._number(text, self._lines[row or 0], column))
            elif gaps_allowed:
                values.append(None)
            else:
                raise SeriesError(
                    f"{self.path}:{self._lines[row or 0]}: {column}: empty; missing is not zero: "
                    "fill it in, "
                    'or set gaps = "allowed" in the TOML file'
                )
        return values

    def _number(self, text: str, line: int, column: str) -> Decimal:
        where = f"{self.path}:{line}: {column}: {text!r}"
        try:
            value = Decimal(text)
        except InvalidOperation:
            raise SeriesError(
                f"{where} is no number; use a point for decimals and no unit in the cell"
            ) from None
        if not value.is_finite():
            raise SeriesError(f"{where} is no number; leave the cell empty when the value is missing")
        if value < 0:
            raise SeriesError(
                f"{where} is negative; energy has two columns, supply and draw, each >= 0 (domain.md §2)"
            )
        return value

    def unit_of(self, column: Column) -> str:
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
        unit = self.unit_of(column)
        if unit in WATT_HOURS_PER_UNIT:
            scale = WATT_HOURS_PER_UNIT[unit] * column.times
        else:
            scale = WATTS_PER_UNIT[unit] * column.times * self.interval_s / 3600
        values = self.numbers(column.name, start_s, end_s, gaps_allowed)
        return [None if value is None else round_half_up(value * scale) for value in values]

    def registers_wh(self, column: Column, start_s: int, end_s: int, gaps_allowed: bool) -> list[int | None]:
        """Register readings in Wh at every instant of [start_s, end_s] (the end included). No power units."""
        unit = self.unit_of(column)
        if unit not in WATT_HOURS_PER_UNIT:
            raise SeriesError(
                f"{self.path}:1: column {column.name!r}: a register counts Wh or kWh, not {unit!r}"
            )
        scale = WATT_HOURS_PER_UNIT[unit] * column.times
        values = self.numbers(column.name, start_s, end_s + self.interval_s, gaps_allowed)
        return [None if value is None else round_half_up(value * scale) for value in values]
