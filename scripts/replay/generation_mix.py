"""Hourly primary-energy and GHG factors of a zone from the CSV series of its generation mix (domain.md §3).

The rule itself is `contracts.factor.factors_of_mix`; here is what a publisher adds who prints averages with a
fixed number of decimals: they are rounded to those first, and to the integers on chain second.
"""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from contracts.factor import FactorHour, FactorInvalid, Technology, factors_of_mix, round_half_up
from contracts.hour import DAY_S, HOUR_S, HOURS_PER_DAY, day_of, format_time_utc
from scripts.replay.config import MixTable
from scripts.replay.series import Series, SeriesError


def read_mix(
    folder: Path, table: MixTable, interval_s: int, start_s: int, days: int
) -> list[list[FactorHour] | None]:
    """The factors of every day, None for a day with a missing value (it is not published and stays pending).

    Intervals shorter than an hour are averaged over it. Raises SeriesError.
    """
    technologies = [
        Technology(entry.column, entry.pef, entry.non_renewable_pef, entry.ghg_g_per_kwh)
        for entry in table.technology
    ]
    if table.entsoe_area is not None:
        return _entsoe(folder / table.csv, table.entsoe_area, technologies, day_of(start_s), days)
    series = Series(folder / table.csv, interval_s)
    end_s = start_s + days * DAY_S
    columns = [series.numbers(technology.column, start_s, end_s, True) for technology in table.technology]
    per_hour = HOUR_S // interval_s
    hours: list[FactorHour | None] = []
    for hour in range(HOURS_PER_DAY * days):
        mix: list[tuple[Technology, Decimal]] = []
        for technology, column in zip(technologies, columns, strict=True):
            present = [
                value for value in column[per_hour * hour : per_hour * (hour + 1)] if value is not None
            ]
            if len(present) == per_hour:
                mix.append((technology, sum(present, Decimal(0)) / per_hour))
        try:
            complete = len(mix) == len(technologies)
            hours.append(_factors(mix, table.published_decimals) if complete else None)
        except FactorInvalid as error:
            time_utc = format_time_utc(start_s + hour * HOUR_S)
            raise SeriesError(f"{series.path}: {time_utc}: {error}") from None
    return [_whole(hours[first : first + HOURS_PER_DAY]) for first in range(0, len(hours), HOURS_PER_DAY)]


def _entsoe(
    path: Path, area: str, technologies: Sequence[Technology], first: int, days: int
) -> list[list[FactorHour] | None]:
    from contracts.generation_mix import MixInvalid, read_entsoe

    try:
        found = read_entsoe(path, area, technologies).days
    except FileNotFoundError:
        raise SeriesError(f"{path}: there is no such file") from None
    except MixInvalid as problem:
        raise SeriesError(str(problem)) from None
    return [list(found[day]) if day in found else None for day in range(first, first + days)]


def _whole(hours: Sequence[FactorHour | None]) -> list[FactorHour] | None:
    known = [hour for hour in hours if hour is not None]
    return known if len(known) == HOURS_PER_DAY else None


def _factors(mix: Sequence[tuple[Technology, Decimal]], published_decimals: int | None) -> FactorHour:
    exact = factors_of_mix(mix)
    if published_decimals is None:
        return exact
    scale = 10 ** (published_decimals - 3)
    published = factors_of_mix(
        [
            (
                Technology(
                    technology.name,
                    Fraction(technology.total) * scale,
                    Fraction(technology.non_renewable) * scale,
                    technology.ghg_g_per_kwh,
                ),
                power,
            )
            for technology, power in mix
        ]
    )
    return exact._replace(
        average_total=round_half_up(Fraction(published.average_total, scale)),
        average_non_renewable=round_half_up(Fraction(published.average_non_renewable, scale)),
    )
