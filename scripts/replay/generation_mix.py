"""Hourly primary-energy and GHG factors from a zone's generation mix (domain.md §3).

`average(h) = sum_k PEF_k G_k(h) / sum_k G_k(h)`; `marginal(h)` is the factor of the most expensive
technology running, by merit order. Exact rationals, rounded half up once (twice when the source publishes its
factors with a fixed number of decimals).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from contracts.hour import DAY_S, HOUR_S
from scripts.replay.config import MixTable, TechnologyTable
from scripts.replay.series import Series, SeriesError


@dataclass(frozen=True)
class MixHour:
    """Factors of one hour: PEF in 1/1000 kWh primary energy per kWh, GHG in g CO2e per kWh."""

    average_total: int
    marginal_total: int
    average_non_renewable: int
    marginal_non_renewable: int
    average_ghg: int
    marginal_ghg: int


def _half_up(value: Fraction) -> int:
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)


def permille(factor: Decimal) -> int:
    """A factor as an integer in 1/1000, rounded half up."""
    return _half_up(Fraction(factor) * 1000)


def grams(factor: Decimal) -> int:
    """A GHG factor as whole g CO2e per kWh, rounded half up."""
    return _half_up(Fraction(factor))


def mix_factors(
    mix: Sequence[tuple[TechnologyTable, Decimal]], published_decimals: int | None = None
) -> MixHour:
    """Factors of one hour from each technology's generation, in merit order (cheapest first).

    Raises ValueError when nothing was generated: such an hour has no factor and must stay pending.
    """
    running = [(technology, Fraction(power)) for technology, power in mix if power > 0]
    total = sum((power for _, power in running), Fraction(0))
    if not total:
        raise ValueError("no generation at all, so the hour has no factor")

    def average(factor: Callable[[TechnologyTable], Decimal], scale: int) -> int:
        value = (
            sum((Fraction(factor(technology)) * power for technology, power in running), Fraction(0)) / total
        )
        if published_decimals is not None:
            value = Fraction(_half_up(value * 10**published_decimals), 10**published_decimals)
        return _half_up(value * scale)

    dearest = running[-1][0]
    return MixHour(
        average_total=average(lambda technology: technology.pef, 1000),
        marginal_total=permille(dearest.pef),
        average_non_renewable=average(lambda technology: technology.non_renewable_pef, 1000),
        marginal_non_renewable=permille(dearest.non_renewable_pef),
        average_ghg=average(lambda technology: technology.ghg_g_per_kwh, 1),
        marginal_ghg=grams(dearest.ghg_g_per_kwh),
    )


def read_mix(
    folder: Path, table: MixTable, interval_s: int, start_s: int, days: int
) -> list[list[MixHour] | None]:
    """The factors of every day, None for a day with a missing value (it is not published and stays pending).

    Intervals shorter than an hour are averaged over it. Raises SeriesError.
    """
    series = Series(folder / table.csv, interval_s)
    end_s = start_s + days * DAY_S
    columns = [series.numbers(technology.column, start_s, end_s, True) for technology in table.technology]
    per_hour = HOUR_S // interval_s
    result: list[list[MixHour] | None] = []
    for day in range(days):
        hours: list[MixHour] = []
        for hour in range(24 * day, 24 * day + 24):
            powers: list[Decimal] = []
            for column in columns:
                values = [
                    value for value in column[per_hour * hour : per_hour * (hour + 1)] if value is not None
                ]
                if len(values) == per_hour:
                    powers.append(sum(values, Decimal(0)) / per_hour)
            if len(powers) < len(columns):
                break
            try:
                pairs = list(zip(table.technology, powers, strict=True))
                hours.append(mix_factors(pairs, table.published_decimals))
            except ValueError as error:
                time_utc = datetime.fromtimestamp(start_s + hour * HOUR_S, UTC).strftime("%Y-%m-%dT%H:%MZ")
                raise SeriesError(f"{series.path}: {time_utc}: {error}") from None
        result.append(hours if len(hours) == 24 else None)
    return result
