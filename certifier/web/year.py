"""What a district's page draws: its year and one of its days, from the projection."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, func, select

from certifier import queries, store
from certifier.views import Coverage, HourBalance
from certifier.web import charts
from certifier.web.charts import FlowSeries, Plot
from contracts.hour import HOURS_PER_DAY, first_hour

SHOWN_DAYS = 365


@dataclass(frozen=True)
class Year:
    """Charts of the last year of an assessment."""

    first_day: date
    last_day: date
    heat: Plot
    legend: list[str]
    legend_low: str
    legend_high: str
    cumulative: Plot
    coverage: Plot
    gaps: list[Coverage]


@dataclass(frozen=True)
class Day:
    """Charts and hours of one UTC day."""

    date: date
    series: list[FlowSeries]
    flows: Plot
    balance: Plot
    uncertain: bool
    """An hour's bounds differ."""
    hours: list[HourBalance]


def day_number(day: date) -> int:
    """Number of a calendar day."""
    return (day - date(1970, 1, 1)).days


def shown_days(connection: Connection, district_id: str, assessment_id: str) -> tuple[int, int] | None:
    """The days `[first, end)` to draw: the window of the newest verdict, else the last recorded year."""
    verdict = queries.latest_verdict(connection, assessment_id)
    if verdict is not None and verdict.total_hours:
        return day_number(verdict.window_start_day), day_number(verdict.window_end_day)
    hours = store.hours
    first, last = connection.execute(
        select(func.min(hours.c.day), func.max(hours.c.day)).where(hours.c.district_id == district_id)
    ).one()
    if last is None:
        return None
    return max(first, last + 1 - SHOWN_DAYS), last + 1


def year(
    connection: Connection,
    district_id: str,
    assessment_id: str,
    link: Callable[[date], str],
    chosen: int,
    span: tuple[int, int],
) -> Year:
    """Charts of the days `span`; `link` gives the address of a day's page."""
    first, end = span
    table = store.hour_balances
    found: dict[int, int | None] = dict(
        connection.execute(
            select(table.c.hour, table.c.balance_mwh_pe).where(
                table.c.assessment_id == assessment_id,
                table.c.hour >= first_hour(first),
                table.c.hour < first_hour(end),
            )
        )
        .tuples()
        .all()
    )
    values = [found.get(hour) for hour in range(first_hour(first), first_hour(end))]
    days = {day_number(day.day): day for day in queries.day_balances(connection, assessment_id, first, end)}
    totals = [days.get(day) for day in range(first, end)]
    covered = queries.coverage(connection, district_id, first, end, assessment_id)
    first_date = queries.to_date(first)
    legend, low, high = charts.heat_legend(values)
    return Year(
        first_day=first_date,
        last_day=queries.to_date(end - 1),
        heat=charts.heat_map(values, first_date, link, queries.to_date(chosen)),
        legend=legend,
        legend_low=low,
        legend_high=high,
        cumulative=charts.cumulative(
            _running([None if day is None else day.balance_mwh_pe for day in totals]),
            _running([None if day is None else day.lower_mwh_pe for day in totals]),
            _running([None if day is None else day.upper_mwh_pe for day in totals]),
            first_date,
        ),
        coverage=charts.coverage_strip([_share(day) for day in covered], first_date),
        gaps=[day for day in covered if day.gaps],
    )


def day(connection: Connection, district_id: str, assessment_id: str, number: int) -> Day:
    """Charts and hours of the day `number`."""
    hours = queries.day_flows(connection, district_id, number, assessment_id)
    by_hour = {hour.start_time_utc.hour: hour for hour in hours}
    complete = [by_hour.get(hour) for hour in range(HOURS_PER_DAY)]

    def energies(value: Callable[[HourBalance], int]) -> list[int]:
        return [0 if hour is None else value(hour) for hour in complete]

    series = [
        FlowSeries("production", "production", energies(lambda hour: hour.production_wh), True),
        FlowSeries("discharge", "discharge", energies(lambda hour: hour.discharge_wh), True),
        FlowSeries("import", "import", energies(lambda hour: hour.import_wh), True),
        FlowSeries("consumption", "consumption", energies(lambda hour: hour.consumption_wh), False),
        FlowSeries("charge", "charge", energies(lambda hour: hour.charge_wh), False),
        FlowSeries("export", "export", energies(lambda hour: hour.export_wh), False),
    ]
    always = ("production", "import", "consumption", "export")
    series = [flow for flow in series if flow.name in always or any(flow.energies_wh)]
    return Day(
        date=queries.to_date(number),
        series=series,
        flows=charts.day_flows(series),
        balance=charts.day_balance(
            [None if hour is None else hour.balance_mwh_pe for hour in complete],
            [None if hour is None else hour.lower_mwh_pe for hour in complete],
            [None if hour is None else hour.upper_mwh_pe for hour in complete],
        ),
        uncertain=any(hour.lower_mwh_pe != hour.upper_mwh_pe for hour in hours),
        hours=hours,
    )


def _running(values: Sequence[int | None]) -> list[int]:
    """Sums up to each day; a day without a figure adds nothing."""
    total, sums = 0, []
    for value in values:
        total += value or 0
        sums.append(total)
    return sums


def _share(day: Coverage) -> float | None:
    if not day.hours_recorded:
        return None
    complete = HOURS_PER_DAY - len(day.gaps) if day.complete_hours is None else day.complete_hours
    return complete / HOURS_PER_DAY
