"""A typical meteorological year as PVGIS serves it (TMY, CSV or JSON), laid on the planned year's calendar.

Columns `time(UTC)` (`20070101:0000`), `T2m` degC, `G(h)`, `Gb(n)`, `Gd(h)` W/m2: global horizontal, beam
NORMAL and diffuse horizontal irradiance. The months come from different years, the stamps are UTC; the
irradiances are instants, "Irradiance Time Offset (h)" after the full hour (PVGIS 5.3; without it 10
minutes, as the SARAH-2 satellite images of Europe and Africa, unless `sun_minute` is set).
"""

import csv
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from optimiser.series import Period, SeriesError
from optimiser.weather import Weather

TIME = "time(UTC)"
COLUMNS = {"G(h)": "ghi", "Gb(n)": "dni", "Gd(h)": "dhi", "T2m": "temperature"}
HOURS = 8760
DEFAULT_MINUTE = 10.0

_OFFSET = re.compile(r"irradiance.time.offset[^:]*:\s*([-+0-9.]+)", re.IGNORECASE)


def read_typical_year(path: Path, period: Period, sun_minute: float | None) -> Weather:
    """Weather of the period from the typical year. Raises SeriesError naming file, line and column."""
    if period.interval_s != 3600:
        raise SeriesError(f"{path}: PVGIS has hours; plan with interval_s = 3600 or give weather columns")
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        raise SeriesError(f"{path}: there is no such file; give its path relative to the TOML file") from None
    except UnicodeDecodeError as error:
        raise SeriesError(f"{path}: not UTF-8 at byte {error.start}") from None
    rows, offset_h = _json(path, text) if text.lstrip().startswith("{") else _csv(path, text)
    values = _calendar(path, rows)
    place = [_place(path, time_s) for time_s in range(period.start_s, period.end_s, 3600)]
    table = values[place]
    minute = DEFAULT_MINUTE if offset_h is None else 60 * offset_h
    return Weather(
        table[:, 0], table[:, 1], table[:, 2], table[:, 3], minute if sun_minute is None else sun_minute
    )


def _csv(path: Path, text: str) -> tuple[list[tuple[str, dict[str, str]]], float | None]:
    offset = _OFFSET.search(text)
    lines = text.splitlines()
    header = next((number for number, line in enumerate(lines) if line.startswith(TIME)), None)
    if header is None:
        raise SeriesError(f"{path}: no line starts with {TIME!r}; is it a TMY file of PVGIS?")
    names = next(csv.reader([lines[header]]))
    rows = []
    for number, cells in enumerate(csv.reader(lines[header + 1 :]), header + 2):
        if not cells or not cells[0][:1].isdigit():
            break
        if len(cells) != len(names):
            raise SeriesError(
                f"{path}:{number}: {len(cells)} values but line {header + 1} names {len(names)}"
            )
        rows.append((f"{path}:{number}", dict(zip(names, cells, strict=True))))
    return rows, float(offset[1]) if offset else None


def _json(path: Path, text: str) -> tuple[list[tuple[str, dict[str, str]]], float | None]:
    try:
        document: Any = json.loads(text)
        hours = document["outputs"]["tmy_hourly"]
        location = document["inputs"]["location"]
    except json.JSONDecodeError as error:
        raise SeriesError(f"{path}:{error.lineno}: not valid JSON: {error.msg}") from None
    except (KeyError, TypeError):
        raise SeriesError(f"{path}: no outputs.tmy_hourly; is it a TMY file of PVGIS?") from None
    rows = [
        (f"{path}: outputs.tmy_hourly[{number}]", {name: str(value) for name, value in hour.items()})
        for number, hour in enumerate(hours)
    ]
    offset = location.get("irradiance_time_offset") if isinstance(location, dict) else None
    return rows, None if offset is None else float(offset)


def _calendar(path: Path, rows: list[tuple[str, dict[str, str]]]) -> np.ndarray:
    """Rows in the order of a year without 29 February."""
    values = np.full((HOURS, len(COLUMNS)), np.nan)
    before = -1
    for where, row in rows:
        stamp = row.get(TIME, "")
        try:
            time = datetime.strptime(stamp, "%Y%m%d:%H%M").replace(tzinfo=UTC)
        except ValueError:
            raise SeriesError(f"{where}: {TIME}: {stamp!r} is no time like 20070101:0000") from None
        if time.minute or (time.month, time.day) == (2, 29):
            raise SeriesError(f"{where}: {TIME}: {stamp!r} is no full hour of a typical year")
        hour = _hour_of_year(time)
        if hour <= before:
            raise SeriesError(f"{where}: {TIME}: {stamp!r} is there twice or earlier than the line before")
        if hour > before + 1:
            raise SeriesError(f"{where}: {TIME}: {hour - before - 1} hours are missing before {stamp!r}")
        for column, name in enumerate(COLUMNS):
            values[hour, column] = _number(where, name, row.get(name))
        before = hour
    if before != HOURS - 1:
        raise SeriesError(f"{path}: {before + 1} hours; a typical year has {HOURS}")
    return values


def _number(where: str, name: str, text: str | None) -> float:
    try:
        value = float(text or "")
    except ValueError:
        raise SeriesError(f"{where}: {name}: {text!r} is no number; missing is not zero") from None
    if not np.isfinite(value) or (value < 0 and name != "T2m"):
        raise SeriesError(f"{where}: {name}: {text!r} cannot be an irradiance or a temperature")
    return value


def _hour_of_year(time: datetime) -> int:
    plain = time.replace(year=2001)
    return int((plain - datetime(2001, 1, 1, tzinfo=UTC)).total_seconds()) // 3600


def _place(path: Path, time_s: int) -> int:
    time = datetime.fromtimestamp(time_s, UTC)
    if (time.month, time.day) == (2, 29):
        raise SeriesError(f"{path}: a typical year has no 29 February; plan a year without one (days = 365)")
    return _hour_of_year(time)
