"""Daily balances of a district, from a file or from the certifier's API, as the outlook takes them.

A file is the hourly `balances.csv` of `ped replay`, or the certifier's `days` or `hours` as CSV; columns that
are not needed are ignored. Hours are added up to UTC days; a vehicle's daily excess (domain.md §2) is in the
days alone. A day without a balance (its factors are pending, domain.md §3) ends what is known.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import quote

import httpx2

from contracts.hour import HOURS_PER_DAY, TimeInvalid, first_hour, format_day, parse_day, parse_hour_utc

FIGURES = ("balance_mwh_pe", "lower_mwh_pe", "ghg_mg", "ghg_upper_mg")
FETCH_TIMEOUT_S = 60.0
MOST_DAYS = 1_100
"""The most days that the certifier gives at once."""
YEAR_DAYS = 366


class BalancesInvalid(ValueError):
    """Balances from which nothing can be projected; the message names the place and says what to do."""


@dataclass(frozen=True)
class Day:
    """A day that is known. Balances in mWh_PE, GHG in mg CO2e, as the certifier gives them (domain.md §4)."""

    day: date
    balance_mwh_pe: int
    lower_mwh_pe: int
    ghg_mg: int
    ghg_upper_mg: int
    complete_hours: int


@dataclass(frozen=True)
class Factors:
    """Mean primary-energy factors, kWh_PE per kWh, that turn primary energy into energy to trade or save."""

    average: float
    marginal: float


@dataclass(frozen=True)
class Balances:
    """Consecutive days, and the mean factors of their last year where the source has factors."""

    days: tuple[Day, ...]
    factors: Factors | None


def read_balances(path: Path) -> Balances:
    """A CSV file. Raises BalancesInvalid, naming file, line and column, and OSError."""
    return parse_balances(path.read_text("utf-8-sig"), str(path))


def fetch_balances(url: str, district_id: str) -> Balances:
    """The newest days of a district that a certifier at `url` shows, and its hours' factors.

    Raises BalancesInvalid when the certifier cannot be reached or refuses.
    """
    with httpx2.Client(base_url=url, timeout=FETCH_TIMEOUT_S) as client:
        days = fetch_days(client, district_id)
        first = max(days[0].day, days[-1].day - timedelta(days=YEAR_DAYS - 1))
        hours = fetch_hours(client, district_id, first, days[-1].day)
        return Balances(days, parse_balances(hours, f"{url}: hours").factors)


def fetch_days(client: httpx2.Client, district_id: str) -> tuple[Day, ...]:
    """The newest days that the certifier shows. Raises BalancesInvalid."""
    path = f"{_path(district_id)}/days"
    name = f"{client.base_url}{path}"
    newest = parse_balances(_get(client, path, {}), name).days[-1].day
    span = _span(newest - timedelta(days=MOST_DAYS - 1), newest)
    return parse_balances(_get(client, path, span), name).days


def fetch_hours(client: httpx2.Client, district_id: str, first: date, last: date) -> str:
    """The certifier's hours of both days and all between, as CSV. Raises BalancesInvalid."""
    limit = HOURS_PER_DAY * ((last - first).days + 1)
    return _get(client, f"{_path(district_id)}/hours", {**_span(first, last), "limit": str(limit)})


def _path(district_id: str) -> str:
    return f"/v1/districts/{quote(district_id, safe='')}"


def _span(first: date, last: date) -> dict[str, str]:
    return {"from": first.isoformat(), "to": (last + timedelta(days=1)).isoformat()}


def _get(client: httpx2.Client, path: str, parameters: dict[str, str]) -> str:
    try:
        answer = client.get(path, params=parameters, headers={"accept": "text/csv"})
    except httpx2.HTTPError as error:
        raise BalancesInvalid(f"the certifier at {client.base_url} does not answer: {error}") from None
    if answer.status_code != 200:
        raise BalancesInvalid(f"the certifier refuses {path}: {answer.status_code} {answer.text[:300]}")
    return answer.text


def parse_balances(text: str, name: str) -> Balances:
    """CSV with a row per hour or per day; `name` stands for it in errors. Raises BalancesInvalid."""
    reader = csv.DictReader(io.StringIO(text))
    columns = reader.fieldnames or []
    time_column = next((each for each in ("day", "time_utc", "start_time_utc") if each in columns), None)
    if time_column is None:
        raise BalancesInvalid(f"{name}:1: no column day, time_utc or start_time_utc; is it a balances.csv?")
    missing = [each for each in FIGURES if each not in columns]
    if missing:
        raise BalancesInvalid(f"{name}:1: no column {missing[0]!r}; the outlook needs {', '.join(FIGURES)}")
    rows = [(reader.line_num, row) for row in reader]
    if not rows:
        raise BalancesInvalid(f"{name}: no rows below the header")
    if time_column == "day":
        return Balances(_known(_days(rows, name), name), None)
    hours = _Hours(rows, time_column, name)
    days = _known(hours.days(), name)
    return Balances(days, hours.factors(days[-1].day))


Rows = Sequence[tuple[int, dict[str, str]]]


def _integer(row: dict[str, str], column: str, line: int, name: str) -> int | None:
    text = (row.get(column) or "").strip()
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise BalancesInvalid(f"{name}:{line}: {column}: {text!r} is no whole number") from None


def _days(rows: Rows, name: str) -> Iterable[tuple[int, Day | None]]:
    for line, row in rows:
        try:
            number = parse_day(row["day"])
        except TimeInvalid as problem:
            raise BalancesInvalid(f"{name}:{line}: day: {problem}") from None
        balance, lower, ghg, ghg_upper = (_integer(row, column, line, name) for column in FIGURES)
        complete = _integer(row, "complete_hours", line, name)
        if complete is None:
            raise BalancesInvalid(f"{name}:{line}: complete_hours: empty; give the number of complete hours")
        if balance is None or lower is None or ghg is None or ghg_upper is None:
            yield number, None
        else:
            day = date.fromisoformat(format_day(number))
            yield number, Day(day, balance, lower, ghg, ghg_upper, complete)


class _Hours:
    """Hours by number, to be added up to days."""

    def __init__(self, rows: Rows, time_column: str, name: str) -> None:
        self.rows: dict[int, tuple[int, dict[str, str]]] = {}
        self.name = name
        for line, row in rows:
            try:
                hour = parse_hour_utc(row[time_column])
            except TimeInvalid as problem:
                raise BalancesInvalid(f"{name}:{line}: {time_column}: {problem}") from None
            if hour in self.rows:
                raise BalancesInvalid(f"{name}:{line}: {time_column}: {row[time_column]} is there twice")
            self.rows[hour] = line, row

    def days(self) -> Iterable[tuple[int, Day | None]]:
        first, last = min(self.rows), max(self.rows)
        for number in range(first // HOURS_PER_DAY, last // HOURS_PER_DAY + 1):
            yield number, self._day(number)

    def _day(self, number: int) -> Day | None:
        sums, complete = [0, 0, 0, 0], 0
        for hour in range(first_hour(number), first_hour(number + 1)):
            if hour not in self.rows:
                return None
            line, row = self.rows[hour]
            for place, column in enumerate(FIGURES):
                figure = _integer(row, column, line, self.name)
                if figure is None:
                    return None
                sums[place] += figure
            complete += (row.get("complete") or "").strip().lower() in ("1", "true")
        return Day(date.fromisoformat(format_day(number)), sums[0], sums[1], sums[2], sums[3], complete)

    def factors(self, last: date) -> Factors | None:
        """Means over the year up to `last`; None where a column is missing or empty."""
        means = []
        end = parse_day(last.isoformat()) + 1
        for column in ("average_factor", "marginal_factor"):
            values = [
                value
                for hour, (line, row) in self.rows.items()
                if first_hour(end - YEAR_DAYS) <= hour < first_hour(end)
                for value in [
                    _integer(row, column if column in row else f"{column}_permille", line, self.name)
                ]
                if value is not None
            ]
            if not values:
                return None
            means.append(sum(values) / len(values) / 1000)
        return Factors(*means)


def _known(days: Iterable[tuple[int, Day | None]], name: str) -> tuple[Day, ...]:
    """The newest run of days with a balance that fills a year, or else the newest of all."""
    found: dict[int, Day | None] = {}
    for number, day in days:
        if number in found:
            raise BalancesInvalid(f"{name}: day {format_day(number)} is there twice; give each day once")
        found[number] = day
    runs: list[list[Day]] = [[]]
    for number in range(min(found), max(found) + 1):
        if number not in found:
            raise BalancesInvalid(
                f"{name}: day {format_day(number)} is missing; missing is not zero, so give it"
            )
        day = found[number]
        if day is not None:
            runs[-1].append(day)
        elif runs[-1]:
            runs.append([])
    known = [run for run in runs if run]
    if not known:
        raise BalancesInvalid(f"{name}: no day has a balance yet; its factors may be pending (domain.md §3)")
    return tuple(next((run for run in reversed(known) if len(run) >= YEAR_DAYS - 1), known[-1]))
