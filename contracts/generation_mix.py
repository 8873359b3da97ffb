"""Factors from a published generation mix: the ENTSO-E transparency platform's CSV (domain.md §3, §9).

Columns `DateTime(UTC)`, `ResolutionCode` (PT15M, PT30M, PT60M), `AreaCode`, `ProductionType`,
`ActualGenerationOutput[MW]`, `ActualConsumption[MW]`, separated by comma, semicolon or tab. Intervals
shorter than an hour are averaged; an hour with a gap has no factor and its day stays pending.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from typing import Final

import pandas

from contracts.factor import FactorHour, FactorInvalid, Technology, factors_of_mix
from contracts.hour import HOURS_PER_DAY, first_hour, format_hour_utc

PSR_TYPES: Final = {
    "B01": "Biomass",
    "B02": "Fossil Brown coal/Lignite",
    "B03": "Fossil Coal-derived gas",
    "B04": "Fossil Gas",
    "B05": "Fossil Hard coal",
    "B06": "Fossil Oil",
    "B07": "Fossil Oil shale",
    "B08": "Fossil Peat",
    "B09": "Geothermal",
    "B10": "Hydro Pumped Storage",
    "B11": "Hydro Run-of-river and poundage",
    "B12": "Hydro Water Reservoir",
    "B13": "Marine",
    "B14": "Nuclear",
    "B15": "Other renewable",
    "B16": "Solar",
    "B17": "Waste",
    "B18": "Wind Offshore",
    "B19": "Wind Onshore",
    "B20": "Other",
    "B25": "Energy storage",
}
"""Production types by ENTSO-E code; a file may name them either way."""

_INTERVALS_PER_HOUR: Final = {"PT15M": 4, "PT30M": 2, "PT60M": 1}
_TIME, _RESOLUTION, _AREA, _TYPE = "DateTime(UTC)", "ResolutionCode", "AreaCode", "ProductionType"
_OUTPUT: Final = "ActualGenerationOutput[MW]"


class MixInvalid(ValueError):
    """The file is not in the expected form; the message names file, place and value."""


@dataclass(frozen=True, slots=True)
class MixFactors:
    """What a generation mix gives."""

    days: dict[int, tuple[FactorHour, ...]]
    """Complete days, ready to publish."""
    pending_hours: tuple[int, ...]
    """Hours between the first and the last of the file that lack a value; their days are not in `days`."""


def read_entsoe(path: Path, area_code: str, merit_order: Sequence[Technology]) -> MixFactors:
    """Factors of an area from an ENTSO-E CSV, its technologies in merit order, the cheapest first.

    A technology's name is a production type or its code. Raises MixInvalid, OSError.
    """
    order = {PSR_TYPES.get(technology.name, technology.name): technology for technology in merit_order}
    table = _table(path, area_code)
    unknown = sorted(set(table[_TYPE]) - set(order))
    if unknown:
        raise MixInvalid(f"{path}: production types {', '.join(unknown)} are not in the merit order")
    present = [(name, technology) for name, technology in order.items() if name in set(table[_TYPE])]
    generated = {(hour, name): value for hour, name, value in _hourly(path, table)}
    first, last = int(table["hour"].min()), int(table["hour"].max())
    factors: dict[int, FactorHour] = {}
    for hour in range(first, last + 1):
        mix = [(technology, generated.get((hour, name))) for name, technology in present]
        known = [(technology, value) for technology, value in mix if value is not None]
        if len(known) == len(mix):
            try:
                factors[hour] = factors_of_mix(known)
            except FactorInvalid as problem:
                raise MixInvalid(f"{path}: {format_hour_utc(hour)}: {problem}") from None
    days = {}
    for day in range(first // HOURS_PER_DAY, last // HOURS_PER_DAY + 1):
        hours = range(first_hour(day), first_hour(day + 1))
        if all(hour in factors for hour in hours):
            days[day] = tuple(factors[hour] for hour in hours)
    return MixFactors(days, tuple(hour for hour in range(first, last + 1) if hour not in factors))


def _table(path: Path, area_code: str) -> pandas.DataFrame:
    try:
        table = pandas.read_csv(path, sep=None, engine="python", dtype=str, keep_default_na=False)
    except (pandas.errors.ParserError, pandas.errors.EmptyDataError, UnicodeDecodeError) as problem:
        raise MixInvalid(f"{path}: not a CSV file: {problem}") from None
    missing = [name for name in (_TIME, _RESOLUTION, _AREA, _TYPE, _OUTPUT) if name not in table.columns]
    if missing:
        raise MixInvalid(f"{path}: lacks the columns {', '.join(missing)}")
    areas = sorted(set(table[_AREA]))
    table = table[table[_AREA] == area_code].copy()
    if table.empty:
        raise MixInvalid(f"{path}: no row has area code {area_code}; there are {', '.join(areas) or 'none'}")
    strange = sorted(set(table[_RESOLUTION]) - set(_INTERVALS_PER_HOUR))
    if strange:
        raise MixInvalid(f"{path}: resolution {strange[0]} is none of {', '.join(_INTERVALS_PER_HOUR)}")
    table[_TYPE] = table[_TYPE].map(lambda name: PSR_TYPES.get(name, name))
    times = pandas.to_datetime(table[_TIME], utc=True, errors="coerce", format="ISO8601")
    if times.isna().any():
        raise MixInvalid(f"{path}: time {table[_TIME][times.isna()].iloc[0]!r} is not ISO 8601")
    table["time"] = (times - pandas.Timestamp(0, tz="UTC")) // pandas.Timedelta(seconds=1)
    table["hour"] = table["time"] // 3600
    twice = table[table.duplicated(["time", _TYPE])]
    if not twice.empty:
        raise MixInvalid(f"{path}: {twice[_TYPE].iloc[0]} at {twice[_TIME].iloc[0]} is there twice")
    return table


def _hourly(path: Path, table: pandas.DataFrame) -> Iterator[tuple[int, str, Fraction]]:
    """Mean generation, MW, of every technology and hour whose intervals are all there."""
    for (hour, name), rows in table.groupby(["hour", _TYPE]):
        values = [_number(path, text) for text in rows[_OUTPUT] if text.strip()]
        resolutions = set(rows[_RESOLUTION])
        if len(resolutions) == 1 and len(values) == _INTERVALS_PER_HOUR[resolutions.pop()]:
            yield int(str(hour)), str(name), sum(values, Fraction(0)) / len(values)


def _number(path: Path, text: str) -> Fraction:
    try:
        return Fraction(Decimal(text))
    except (InvalidOperation, ValueError, OverflowError):
        raise MixInvalid(f"{path}: generation {text!r} is no number") from None
