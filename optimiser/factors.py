"""Primary-energy and greenhouse-gas weights of what crosses the district's boundary (domain.md §3).

Dynamic: `average = sum PEF_k G_k / sum G_k` for the load's import, the factor of the most expensive
technology running (`marginal`) for what storage imports and for export [B 6]. Static: one factor per
direction. Unlike on chain nothing is rounded, so that the published results can be reproduced; `rounded`
gives the ledger's integers of 1/1000 (a test compares them with `contracts.factor`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from contracts.factor import Technology as ChainTechnology
from contracts.generation_mix import MixInvalid, read_entsoe
from contracts.hour import HOURS_PER_DAY, day_of
from optimiser.planning.hourly import Floats
from optimiser.series import Period, Quantity, SeriesError, TimeSeries
from optimiser.table import Table


class Technology(Table):
    """`[[factors.mix.technology]]`, cheapest first: factors per kWh of electricity (fuel over efficiency)."""

    column: str
    pef: float = Field(ge=0)
    non_renewable_pef: float = Field(ge=0)
    ghg_kg_per_kwh: float = Field(ge=0)

    @model_validator(mode="after")
    def _consistent(self) -> "Technology":
        if self.non_renewable_pef > self.pef:
            raise ValueError(f"non_renewable_pef {self.non_renewable_pef} is above the total, {self.pef}")
        return self


class Mix(Table):
    """`[factors.mix]`: a CSV with a column per technology, or with `entsoe_area` one of ENTSO-E."""

    csv: str
    entsoe_area: str | None = None
    technology: list[Technology] = Field(min_length=1)


class Static(Table):
    """`[factors.static]`: kWh of primary energy and kg CO2e per kWh of electricity."""

    import_pef: float = Field(gt=0)
    export_pef: float = Field(ge=0)
    import_ghg_kg_per_kwh: float | None = Field(default=None, ge=0)
    export_ghg_kg_per_kwh: float | None = Field(default=None, ge=0)


class Factors(Table):
    """`[factors]`."""

    kind: Literal["dynamic", "static"] = "dynamic"
    primary_energy: Literal["total", "non-renewable"] = "total"
    import_load: Literal["average", "marginal"] = "average"
    """`marginal` weights all import alike: what importing and exporting in one hour earns vanishes."""
    mix: Mix | None = None
    static: Static | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "Factors":
        if self.kind == "dynamic" and self.mix is None:
            raise ValueError("dynamic factors need [factors.mix] with the zone's generation mix")
        if self.kind == "static" and self.static is None:
            raise ValueError("static factors need [factors.static]")
        if self.mix is None and self.static is not None and self.static.import_ghg_kg_per_kwh is None:
            raise ValueError("without [factors.mix], [factors.static] needs import_ghg_kg_per_kwh")
        return self


@dataclass(frozen=True)
class Weights:
    """Per kWh, for each interval: import for the load, every other import, export."""

    import_load: Floats
    import_storage: Floats
    export: Floats


@dataclass(frozen=True)
class HourlyFactors:
    """What `[factors]` means over the period."""

    primary_energy: Weights
    """kWh_PE per kWh."""
    ghg: Weights
    """kg CO2e per kWh."""
    ghg_average: Floats
    """kg CO2e per kWh of all import, the published indicator (without credit for export)."""


@dataclass(frozen=True)
class MixFactors:
    """Of each interval: kWh_PE and kg CO2e per kWh."""

    average_pef: Floats
    marginal_pef: Floats
    average_ghg: Floats
    marginal_ghg: Floats


def hourly_factors(factors: Factors, folder: Path, period: Period) -> HourlyFactors:
    """Read the mix and weigh. Raises SeriesError."""
    mix = None if factors.mix is None else _read_mix(factors, factors.mix, folder, period)
    static = factors.static if factors.kind == "static" else None
    ones = np.ones(period.steps)
    if static is not None:
        primary = Weights(static.import_pef * ones, static.import_pef * ones, static.export_pef * ones)
    else:
        assert mix is not None
        primary = _dynamic(factors, mix.average_pef, mix.marginal_pef)
    if mix is not None:
        return HourlyFactors(primary, _dynamic(factors, mix.average_ghg, mix.marginal_ghg), mix.average_ghg)
    assert static is not None
    assert static.import_ghg_kg_per_kwh is not None
    bought = static.import_ghg_kg_per_kwh * ones
    sold = bought if static.export_ghg_kg_per_kwh is None else static.export_ghg_kg_per_kwh * ones
    return HourlyFactors(primary, Weights(bought, bought, sold), bought)


def rounded(weights: Floats) -> Floats:
    """Factors as the ledger keeps them: to 1/1000, half up."""
    return np.floor(weights * 1000 + 0.5) / 1000


def mix_factors(
    technologies: Sequence[Technology], generation: Sequence[Floats], non_renewable: bool
) -> MixFactors:
    """Average and marginal factors of each interval; generation in any one unit, in merit order."""
    output = np.stack(generation)
    total = output.sum(axis=0)
    pef = np.array([entry.non_renewable_pef if non_renewable else entry.pef for entry in technologies])
    ghg = np.array([entry.ghg_kg_per_kwh for entry in technologies])
    dearest = len(technologies) - 1 - np.argmax(output[::-1] > 0, axis=0)
    with np.errstate(invalid="ignore"):
        return MixFactors(pef @ output / total, pef[dearest], ghg @ output / total, ghg[dearest])


def _dynamic(factors: Factors, average: Floats, marginal: Floats) -> Weights:
    return Weights(marginal if factors.import_load == "marginal" else average, marginal, marginal)


def _read_mix(factors: Factors, mix: Mix, folder: Path, period: Period) -> MixFactors:
    non_renewable = factors.primary_energy == "non-renewable"
    path = folder / mix.csv
    if mix.entsoe_area is not None:
        return _read_entsoe(mix, mix.entsoe_area, path, period, non_renewable)
    series = TimeSeries(path, period.interval_s)
    generation = [
        series.values(entry.column, Quantity.POWER, period.start_s, period.end_s) for entry in mix.technology
    ]
    found = mix_factors(mix.technology, generation, non_renewable)
    if not np.isfinite(found.average_pef).all():
        time_s = period.start_s + int(np.argmin(np.isfinite(found.average_pef))) * period.interval_s
        time_utc = f"{np.datetime64(time_s, 's')}Z"
        raise SeriesError(f"{path}: nothing is generated at {time_utc}, so it has no factor")
    return found


def _read_entsoe(mix: Mix, area: str, path: Path, period: Period, non_renewable: bool) -> MixFactors:
    technologies = [
        ChainTechnology(
            entry.column,
            Decimal(str(entry.pef)),
            Decimal(str(entry.non_renewable_pef)),
            1000 * Decimal(str(entry.ghg_kg_per_kwh)),
        )
        for entry in mix.technology
    ]
    try:
        days = read_entsoe(path, area, technologies).days
    except FileNotFoundError:
        raise SeriesError(f"{path}: there is no such file") from None
    except MixInvalid as problem:
        raise SeriesError(str(problem)) from None
    first, last = day_of(period.start_s), day_of(period.end_s - 1)
    lacking = [day for day in range(first, last + 1) if day not in days]
    if lacking:
        day = np.datetime64(lacking[0], "D")
        raise SeriesError(f"{path}: {area} has no complete day {day}; missing is not zero: fill it in")
    hours = [hour for day in range(first, last + 1) for hour in days[day]]
    times_s = period.start_s + np.arange(period.steps) * period.interval_s
    place = times_s // 3600 - first * HOURS_PER_DAY
    table = np.array(hours, dtype=float)[place] / 1000
    average, marginal = (table[:, 2], table[:, 3]) if non_renewable else (table[:, 0], table[:, 1])
    return MixFactors(average, marginal, table[:, 4], table[:, 5])
