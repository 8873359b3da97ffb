"""A district's hours as advice needs them: net import, factors and GHG, from the certifier's hours as CSV."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from contracts.hour import HOUR_S, HOURS_PER_DAY, TimeInvalid, parse_hour_utc
from optimiser.strategy.reason import AdviceInvalid
from optimiser.strategy.standing import GhgRates

TIMES = ("start_time_utc", "time_utc")
FACTOR_DAYS = 30
"""So many days of one clock hour stand for the factor of a coming hour, with their least favourable value."""


@dataclass(frozen=True)
class Hour:
    """A known hour; None: not known (yet)."""

    net_import_wh: int | None
    """None when the hour is not complete."""
    average_factor: int | None
    """Permille: mWh_PE per Wh."""
    marginal_factor: int | None
    """What export weighs: the scheme's factor for export where it has one of its own."""
    balance_mwh_pe: int | None
    ghg_mg: int | None


@dataclass(frozen=True)
class Hours:
    """Known hours by number (unix time // 3600)."""

    by_number: dict[int, Hour]

    @property
    def end(self) -> int:
        """The hour after the newest complete one. Raises AdviceInvalid when no hour is complete."""
        complete = [number for number, hour in self.by_number.items() if hour.net_import_wh is not None]
        if not complete:
            raise AdviceInvalid("no complete hour; missing is not zero, so give a history of measured hours")
        return max(complete) + 1

    def before(self, number: int) -> Hours:
        """Those before hour `number` only. Raises AdviceInvalid when there is none."""
        found = {each: hour for each, hour in self.by_number.items() if each < number}
        if not found:
            raise AdviceInvalid("no hour before what is to be forecast; give a history")
        return Hours(found)

    def net_import(self) -> pd.Series[Any]:
        """Net import, Wh, of all hours from the first to the newest complete one; NaN where not complete."""
        first, end = min(self.by_number), self.end
        index = pd.date_range(
            pd.Timestamp(first * HOUR_S, unit="s", tz="UTC"), periods=end - first, freq=pd.Timedelta(hours=1)
        )
        values = [self._net_import(number) for number in range(first, end)]
        return pd.Series(np.array(values, dtype=np.float64), index=index)

    def _net_import(self, number: int) -> float:
        hour = self.by_number.get(number)
        return np.nan if hour is None or hour.net_import_wh is None else float(hour.net_import_wh)

    def highest_marginal(self, number: int) -> int | None:
        """Highest marginal factor of that clock hour in the newest days with factors, permille."""
        found = [h.marginal_factor for h in self._alike(number) if h.marginal_factor is not None]
        return max(found[:FACTOR_DAYS], default=None)

    def lowest_average(self, number: int) -> int | None:
        """Lowest average factor of that clock hour in the newest days with factors, permille."""
        found = [h.average_factor for h in self._alike(number) if h.average_factor is not None]
        return min(found[:FACTOR_DAYS], default=None)

    def _alike(self, number: int) -> list[Hour]:
        """Known hours of the same clock hour before it, the newest first."""
        earlier = range(number - HOURS_PER_DAY, min(self.by_number) - 1, -HOURS_PER_DAY)
        return [self.by_number[n] for n in earlier if n in self.by_number]

    def ghg_rates(self) -> GhgRates:
        """From the hours that only exported or only imported; kg per kWh_PE is mg per mWh_PE."""
        out, into = [], []
        for hour in self.by_number.values():
            if not hour.balance_mwh_pe or hour.ghg_mg is None or not hour.net_import_wh:
                continue
            rate = -hour.ghg_mg / hour.balance_mwh_pe
            if hour.balance_mwh_pe > 0 and hour.net_import_wh < 0:
                out.append(rate)
            elif hour.balance_mwh_pe < 0 and hour.net_import_wh > 0:
                into.append(rate)
        return GhgRates(max(out, default=None), min(into, default=None))


def parse_hours(text: str, name: str) -> Hours:
    """CSV with `time_utc` (or `start_time_utc`), `import_wh` and `export_wh` (or `net_import_wh`), and, where
    known, `complete`, `average_factor`, `marginal_factor`, `balance_mwh_pe`, `ghg_mg`. `name` stands for it
    in errors. Raises AdviceInvalid.
    """
    reader = csv.DictReader(io.StringIO(text))
    columns = reader.fieldnames or []
    time_column = next((each for each in TIMES if each in columns), None)
    if time_column is None:
        raise AdviceInvalid(f"{name}:1: no column time_utc or start_time_utc; give a row per hour")
    if "net_import_wh" not in columns and not {"import_wh", "export_wh"} <= set(columns):
        raise AdviceInvalid(f"{name}:1: no columns import_wh and export_wh, or net_import_wh")
    found: dict[int, Hour] = {}
    for row in reader:
        place = f"{name}:{reader.line_num}"
        try:
            number = parse_hour_utc(row[time_column])
        except TimeInvalid as problem:
            raise AdviceInvalid(f"{place}: {time_column}: {problem}") from None
        if number in found:
            raise AdviceInvalid(f"{place}: {time_column}: {row[time_column]} is there twice")
        found[number] = _hour(row, place)
    if not found:
        raise AdviceInvalid(f"{name}: no rows below the header")
    return Hours(found)


def _hour(row: dict[str, str], place: str) -> Hour:
    def whole(column: str) -> int | None:
        text = (row.get(column) or "").strip()
        try:
            return int(text) if text else None
        except ValueError:
            raise AdviceInvalid(f"{place}: {column}: {text!r} is no whole number") from None

    net = whole("net_import_wh")
    if net is None:
        imported, exported = whole("import_wh"), whole("export_wh")
        net = None if imported is None or exported is None else imported - exported
    if (row.get("complete") or "true").strip().lower() not in ("true", "1"):
        net = None
    average, marginal, export = (
        whole(column if column in row else f"{column}_permille")
        for column in ("average_factor", "marginal_factor", "export_factor")
    )
    return Hour(
        net, average, marginal if export is None else export, whole("balance_mwh_pe"), whole("ghg_mg")
    )
