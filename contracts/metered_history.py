"""Reads a district's metered hours from a CSV file, for its baseline (domain.md §7).

UTF-8, comma separated, with a header line, one row per UTC hour, times rising. Columns: `time_utc` (or
`hour_utc`), the start of the hour in ISO 8601; `import_wh` and `export_wh`, or `net_import_wh`, whole Wh;
optionally `complete` and `event_day` (true, false, 1 or 0). Hours without a row, or with `complete` false,
are not complete. More columns may be there: the certifier's hours as CSV are such a file.
"""

import csv
import io
import re
from pathlib import Path
from typing import Final

from contracts.baseline import History
from contracts.hour import TimeInvalid, day_of_hour, format_hour_utc, parse_day, parse_hour_utc

TIMES: Final = ("time_utc", "hour_utc")
SIGNED: Final = "net_import_wh"
GROSS: Final = ("import_wh", "export_wh")
FLAGS: Final = {"true": True, "1": True, "false": False, "0": False}
_WHOLE_NUMBER: Final = re.compile(r"-?[0-9]{1,15}")


class HistoryInvalid(ValueError):
    """A file that is no history of a district's hours; the message names the place and says what to do."""


def read_history(path: Path, event_days: frozenset[int], holidays: frozenset[int]) -> History:
    """The hours of a file. The district's boundary begins with the day of the first row.

    Raises HistoryInvalid naming file, line and column, and OSError.
    """
    rows = csv.reader(io.StringIO(_text(path), newline=""), strict=True, skipinitialspace=True)
    net_import_wh: dict[int, int] = {}
    marked: set[int] = set()
    first_hour = last_hour = None
    try:
        header = [name.strip() for name in next(rows, [])]
        time_column = _require_columns(path, header)
        for cells in rows:
            if not cells:
                continue
            place = f"{path}: line {rows.line_num}"
            if len(cells) != len(header):
                raise HistoryInvalid(f"{place} has {len(cells)} cells under {len(header)} columns; mend it")
            row = dict(zip(header, map(str.strip, cells), strict=True))
            hour = _hour(f"{place}, column {time_column}", row[time_column], last_hour)
            first_hour, last_hour = hour if first_hour is None else first_hour, hour
            if _flag(place, "event_day", row, absent=False):
                marked.add(day_of_hour(hour))
            if _flag(place, "complete", row, absent=True):
                net_import_wh[hour] = _net_import_wh(place, row)
    except csv.Error as error:
        raise HistoryInvalid(f"{path}: line {rows.line_num}: not valid CSV: {error}") from None
    if first_hour is None:
        raise HistoryInvalid(f"{path}: there is no hour in it; give one row per hour")
    return History(net_import_wh, day_of_hour(first_hour), event_days | marked, holidays)


def read_days(path: Path) -> frozenset[int]:
    """The days of a file with one ISO 8601 date per line. Raises HistoryInvalid and OSError."""
    days = set()
    for number, line in enumerate(_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            days.add(parse_day(line.strip()))
        except TimeInvalid as problem:
            raise HistoryInvalid(f"{path}: line {number}: {problem}") from None
    return frozenset(days)


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise HistoryInvalid(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from None


def _require_columns(path: Path, header: list[str]) -> str:
    doubled = next((name for name in header if header.count(name) > 1), None)
    if doubled is not None:
        raise HistoryInvalid(f"{path}: line 1: column {doubled} is there twice; keep one")
    time_column = next((name for name in TIMES if name in header), None)
    if time_column is None:
        raise HistoryInvalid(f"{path}: line 1: column {TIMES[0]} is missing; name it in the header")
    if SIGNED not in header and not all(name in header for name in GROSS):
        other = [name for name in header if name.lower().endswith(("_kwh", "_mwh", "_w", "_kw"))]
        unit = f" ({', '.join(other)} will not do: give Wh per hour)" if other else ""
        raise HistoryInvalid(
            f"{path}: line 1: columns {' and '.join(GROSS)}, or {SIGNED}, are missing{unit}; "
            "name them in the header"
        )
    return time_column


def _hour(place: str, text: str, last_hour: int | None) -> int:
    try:
        hour = parse_hour_utc(text)
    except TimeInvalid as problem:
        raise HistoryInvalid(f"{place}: {problem}") from None
    if last_hour is not None and hour <= last_hour:
        problem_text = "is there twice" if hour == last_hour else f"comes after {format_hour_utc(last_hour)}"
        raise HistoryInvalid(f"{place}: {text} {problem_text}; give each hour once, times rising")
    return hour


def _flag(place: str, column: str, row: dict[str, str], absent: bool) -> bool:
    text = row.get(column)
    if text is None:
        return absent
    found = FLAGS.get(text.lower())
    if found is None:
        raise HistoryInvalid(f"{place}, column {column}: {text!r} is no flag; write true or false")
    return found


def _net_import_wh(place: str, row: dict[str, str]) -> int:
    if SIGNED in row:
        return _whole_number(f"{place}, column {SIGNED}", row[SIGNED])
    import_wh, export_wh = (_whole_number(f"{place}, column {name}", row[name]) for name in GROSS)
    for name, value in zip(GROSS, (import_wh, export_wh), strict=True):
        if value < 0:
            raise HistoryInvalid(
                f"{place}, column {name}: {value} is negative; what flows the other way has its own column"
            )
    return import_wh - export_wh


def _whole_number(place: str, text: str) -> int:
    if _WHOLE_NUMBER.fullmatch(text) is None:
        raise HistoryInvalid(
            f"{place}: {text!r} is no whole number of Wh; write digits only, or complete=false if unknown"
        )
    return int(text)
