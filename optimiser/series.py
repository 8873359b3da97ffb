"""Reads CSV time series: exact decimals, and errors that name the file, the line and the column.

Format (domain.md §1, §9): UTF-8, comma separated (`.csv` or `.csv.gz`), one header line. One column holds the
START of each interval, ascending, none twice, aligned to the interval:

* `time_utc` (or `start_time_utc`, as the certifier exports): ISO 8601 with `Z` or `+00:00`;
* `time`: ISO 8601 with any offset (`2019-01-01T00:00+01:00`);
* `time_local`: local clock without offset, with `timezone = "Europe/Rome"` in the TOML file. The hour that
  the autumn change repeats must be there twice, the one that the spring change skips must be absent.

The unit is the end of the column's name (`_kw`, `_kwh`, `_eur_per_mwh`, ...), any case. An empty cell is a
missing value, never zero.
"""

import csv
import gzip
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from optimiser.table import Table

if TYPE_CHECKING:
    from pandas import DatetimeIndex

TIME_UTC, TIME_START, TIME_OFFSET, TIME_LOCAL = "time_utc", "start_time_utc", "time", "time_local"


class SeriesError(ValueError):
    """A file that cannot be used; the message names file, line, column and value, and says what to do."""


class Quantity(Enum):
    """What a series measures: unit -> factor to the unit in which the optimiser computes."""

    POWER = "mean power, kW"
    PRICE = "price, EUR/kWh"
    IRRADIANCE = "irradiance, W/m2"
    TEMPERATURE = "temperature, degC"
    SHARE = "share, 0 to 1"
    NUMBER = "number"

    @property
    def units(self) -> dict[str, float]:
        """The units that are understood. Those of energy are per interval of one hour."""
        return _UNITS[self]


_ENERGY_UNITS = {"wh": 1e-3, "kwh": 1.0, "mwh": 1e3}
_UNITS: dict[Quantity, dict[str, float]] = {
    Quantity.POWER: {"w": 1e-3, "kw": 1.0, "mw": 1e3, **_ENERGY_UNITS},
    Quantity.PRICE: {"eur_per_kwh": 1.0, "eur_per_mwh": 1e-3, "ct_per_kwh": 1e-2},
    Quantity.IRRADIANCE: {"w_m2": 1.0, "w_per_m2": 1.0, "kw_m2": 1e3, "kw_per_m2": 1e3},
    Quantity.TEMPERATURE: {"degc": 1.0},
    Quantity.SHARE: {"share": 1.0, "percent": 1e-2},
    Quantity.NUMBER: {"": 1.0},
}
_SIGNED = frozenset({Quantity.PRICE, Quantity.TEMPERATURE})


class SeriesSetting(Table):
    """A series in the TOML file: a CSV column, or one `value` for all intervals (in the optimiser's unit)."""

    csv: str | None = None
    column: str | None = None
    value: float | None = None
    unit: str | None = None
    times: float = 1.0
    timezone: str | None = None


class TimeSeries:
    """One CSV file. Values are read column by column, each missing cell staying missing.

    Raises SeriesError for everything that is wrong with the file.
    """

    time_columns: ClassVar[tuple[str, ...]] = (TIME_UTC, TIME_START, TIME_OFFSET, TIME_LOCAL)
    missing_hint: ClassVar[str] = "add it"
    empty_hint: ClassVar[str] = "fill it in"
    negative_hint: ClassVar[str] = "this quantity is never below zero"

    def __init__(self, path: Path, interval_s: int, timezone: str | None = None) -> None:
        self.path = path
        self.interval_s = interval_s
        self._zone = self._zone_of(timezone)
        rows = csv.reader(self._text().splitlines(), strict=True)
        self.times_s: list[int] = []
        self._cells: list[list[str]] = []
        self._lines: list[int] = []
        try:
            self.columns = [name.strip() for name in next(rows, [])]
            self._time_column = self._check_header()
            self._time_index = self.columns.index(self._time_column)
            for row in rows:
                self._add(row, rows.line_num)
        except csv.Error as error:
            raise SeriesError(f"{self.path}:{rows.line_num}: not valid CSV: {error}") from None
        if not self.times_s:
            raise SeriesError(f"{path}: no rows below the header")
        self._row_of_time = {time_s: index for index, time_s in enumerate(self.times_s)}

    def _text(self) -> str:
        try:
            content = self.path.read_bytes()
            if self.path.suffix == ".gz":
                content = gzip.decompress(content)
            return content.decode("utf-8-sig")
        except FileNotFoundError:
            raise SeriesError(
                f"{self.path}: there is no such file; give its path relative to the TOML file"
            ) from None
        except gzip.BadGzipFile as error:
            raise SeriesError(f"{self.path}: not a gzip file: {error}") from None
        except UnicodeDecodeError as error:
            raise SeriesError(
                f"{self.path}: not UTF-8 at byte {error.start}; save the file as UTF-8 CSV"
            ) from None

    def _zone_of(self, timezone: str | None) -> ZoneInfo | None:
        try:
            return None if timezone is None else ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError):
            raise SeriesError(
                f"{self.path}: unknown time zone {timezone!r}; name it like Europe/Rome"
            ) from None

    def _check_header(self) -> str:
        present = [name for name in self.time_columns if name in self.columns]
        if not present:
            hint = (
                " (is the file separated by semicolons? use commas)" if ";" in "".join(self.columns) else ""
            )
            known = " or ".join(repr(name) for name in self.time_columns)
            raise SeriesError(
                f"{self.path}:1: no column {known}{hint}; the header has: "
                f"{', '.join(self.columns) or 'nothing'}"
            )
        if len(present) > 1:
            raise SeriesError(f"{self.path}:1: columns {' and '.join(present)}; leave one column of time")
        doubled = {name for name in self.columns if self.columns.count(name) > 1}
        if doubled:
            raise SeriesError(f"{self.path}:1: column {min(doubled)!r} is there twice")
        if (present[0] == TIME_LOCAL) != (self._zone is not None):
            raise SeriesError(
                f'{self.path}:1: column {present[0]!r}: set timezone = "Europe/Rome" (or yours) in the TOML '
                f"file for {TIME_LOCAL}, and only for it"
            )
        return present[0]

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
                f"{self.path}:{line}: {self._time_column}: {row[self._time_index]!r} {what}; "
                "sort the rows by time, one row per interval"
            )
        self.times_s.append(time_s)
        self._lines.append(line)
        self._cells.append(row)

    def _instant(self, text: str, line: int) -> int:
        where = f"{self.path}:{line}: {self._time_column}: {text!r}"
        try:
            instant = datetime.fromisoformat(text)
        except ValueError:
            raise SeriesError(f"{where} is no ISO 8601 time; write it like 2019-01-01T00:00Z") from None
        if self._zone is not None:
            instant = self._from_local(instant, self._zone, where)
        elif instant.tzinfo is None:
            raise SeriesError(
                f"{where} names no time zone; convert local time to UTC and write it like {text}Z "
                "(daylight saving doubles an hour in local time)"
            )
        elif self._time_column in (TIME_UTC, TIME_START) and instant.utcoffset():
            raise SeriesError(
                f"{where} is not in UTC; write {instant.astimezone(UTC).strftime('%Y-%m-%dT%H:%MZ')} instead"
            )
        time_s = int(instant.timestamp())
        if instant.microsecond or time_s % self.interval_s:
            raise SeriesError(f"{where} is not aligned to the interval of {self.interval_s} s")
        return time_s

    def _from_local(self, instant: datetime, zone: ZoneInfo, where: str) -> datetime:
        if instant.tzinfo is not None:
            raise SeriesError(
                f"{where} has an offset; call the column {TIME_OFFSET!r} and leave timezone out"
            )
        first, second = (instant.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        if first.astimezone(zone).replace(tzinfo=None) != instant:
            raise SeriesError(f"{where} does not exist in {zone.key}: the clocks were set forward over it")
        repeated = first != second and bool(self.times_s) and int(first.timestamp()) <= self.times_s[-1]
        return second if repeated else first

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

    def _missing(self, time_s: int) -> str:
        time_utc = datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%MZ")
        return f"{TIME_UTC}: {time_utc} is missing before this line; {self.missing_hint}"

    def numbers(
        self, column: str, start_s: int, end_s: int, gaps_allowed: bool, signed: bool = False
    ) -> list[Decimal | None]:
        """The column's values for every interval of [start_s, end_s), None where missing.

        Raises SeriesError for a missing value when gaps are not allowed, for what is no number, and for
        one below zero unless `signed`.
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
                values.append(self._number(text, self._lines[row or 0], column, signed))
            elif gaps_allowed:
                values.append(None)
            else:
                raise SeriesError(
                    f"{self.path}:{self._lines[row or 0]}: {column}: empty; missing is not zero: "
                    f"{self.empty_hint}"
                )
        return values

    def values(
        self, column: str, quantity: Quantity, start_s: int, end_s: int, unit: str | None = None
    ) -> NDArray[np.float64]:
        """The column without gaps over [start_s, end_s), in the quantity's unit. Raises SeriesError."""
        factor = quantity.units[self.unit_of(column, quantity, unit)]
        if quantity is Quantity.POWER and self.unit_of(column, quantity, unit) in _ENERGY_UNITS:
            factor *= 3600 / self.interval_s
        numbers = self.numbers(column, start_s, end_s, False, quantity in _SIGNED)
        return np.array([float(number or 0) for number in numbers]) * factor

    def unit_of(self, column: str, quantity: Quantity, unit: str | None = None) -> str:
        """The unit that `unit` or the end of the column's name says. Raises SeriesError when nothing does."""
        if quantity is Quantity.NUMBER:
            return ""
        text = (unit or column).lower()
        known = sorted(quantity.units, key=len, reverse=True)
        for candidate in known:
            if text == candidate or (unit is None and text.endswith(f"_{candidate}")):
                return candidate
        raise SeriesError(
            f"{self.path}:1: column {column!r}: no unit of {quantity.value}"
            + (f" is {unit!r}" if unit else " ends its name")
            + f"; end the column's name with one of {', '.join(reversed(known))} (as in "
            f'{known[-1]}: name_{known[-1]}), or set unit = "..." in the TOML file'
        )

    def _number(self, text: str, line: int, column: str, signed: bool) -> Decimal:
        where = f"{self.path}:{line}: {column}: {text!r}"
        try:
            value = Decimal(text)
        except InvalidOperation:
            raise SeriesError(
                f"{where} is no number; use a point for decimals and no unit in the cell"
            ) from None
        if not value.is_finite():
            raise SeriesError(f"{where} is no number; leave the cell empty when the value is missing")
        if value < 0 and not signed:
            raise SeriesError(f"{where} is negative; {self.negative_hint}")
        return value


@dataclass(frozen=True)
class Period:
    """The intervals that a plan covers: `start_s` Unix time, `steps` intervals of `interval_s`."""

    start_s: int
    steps: int
    interval_s: int

    @property
    def end_s(self) -> int:
        """Unix time at which the last interval ends."""
        return self.start_s + self.steps * self.interval_s

    @property
    def step_h(self) -> float:
        """Hours per interval."""
        return self.interval_s / 3600

    @property
    def times_utc(self) -> "DatetimeIndex":
        """Start of each interval."""
        import pandas  # a replay reads series without it

        times = self.start_s + np.arange(self.steps) * self.interval_s
        return pandas.to_datetime(times, unit="s", utc=True).rename("time_utc")
