"""Charts as inline SVG, made on the server: pure functions from numbers to pictures.

The SVG holds only shapes (it stretches to any width); labels are text beside it, so that they keep their size
on a phone. Colours come from the style sheet's classes, so that light, dark and print need nothing here.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, NamedTuple

from markupsafe import Markup

from certifier.web.figures import MINUS, number, scale, significant

LEVELS: Final = 5
"""Shades on either side of zero in the heat map."""
HEIGHT: Final = 400
"""Height of the drawing area in its own units."""


class Label(NamedTuple):
    """Text beside a chart at a place along its axis, in percent from the left or the top."""

    text: str
    place: float


@dataclass(frozen=True)
class Plot:
    """A chart with its labels and its description for those who cannot see it."""

    svg: Markup
    x_labels: list[Label]
    y_labels: list[Label]
    unit: Markup
    description: str


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """About `wanted` round numbers that cover `low` to `high`, zero among them if it lies between."""
    span = high - low
    if span <= 0:
        low, high, span = low - 1, high + 1, 2
    power = 10 ** math.floor(math.log10(span / wanted))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if span / (power * factor) <= wanted)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [index * step for index in range(first, last + 1)]


def month_labels(first_day: date, days: int) -> list[Label]:
    """Names of the months at the middle of what is seen of each."""
    labels = []
    start = 0
    while start < days:
        day = first_day + timedelta(days=start)
        next_month = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
        end = min(days, (next_month - first_day).days)
        if (end - start) * 20 >= days or days < 20:
            labels.append(Label(f"{day:%b}", round(100 * (start + end) / 2 / days, 2)))
        start = end
    return labels


def heat_limit(values: Iterable[int | None]) -> float:
    """The size at which the strongest shade begins: a round number near the 98th percentile."""
    sizes = sorted(abs(value) for value in values if value)
    if not sizes:
        return 1
    return ticks(0, sizes[min(len(sizes) - 1, len(sizes) * 98 // 100)], 5)[-1]


def heat_level(value: int | None, limit: float) -> str:
    """Style class of a value: `n5`..`n1` below zero, `z`, `p1`..`p5` above, `missing`."""
    if value is None:
        return "missing"
    if value == 0:
        return "z"
    level = min(LEVELS, math.ceil(abs(value) * LEVELS / limit))
    return f"{'p' if value > 0 else 'n'}{level}"


def heat_map(
    values: Sequence[int | None], first_day: date, link: Callable[[date], str], chosen: date | None = None
) -> Plot:
    """Hourly balance, mWh_PE, of whole days: a column per day, a row per hour, midnight at the top."""
    days = len(values) // 24
    limit = heat_limit(values)
    paths: dict[str, list[str]] = {}
    for hour in range(24):
        start, style = 0, heat_level(values[hour], limit) if days else ""
        for day in range(1, days + 1):
            following = heat_level(values[24 * day + hour], limit) if day < days else ""
            if following != style:
                paths.setdefault(style, []).append(f"M{start} {hour}h{day - start}v1H{start}")
                start, style = day, following
    parts = [
        Markup('<path class="{}" d="{}"/>').format(style, "".join(path)) for style, path in paths.items()
    ]
    for index in range(days):
        day_date = first_day + timedelta(days=index)
        known = [value for value in values[24 * index : 24 * index + 24] if value is not None]
        text = f"{number(sum(known) / 1e6, 1, signed=True)} kWh PE" if known else "no balance yet"
        style = "day chosen" if day_date == chosen else "day"
        parts.append(
            Markup(
                '<a href="{}" tabindex="-1"><rect class="{}" x="{}" width="1" height="24">'
                "<title>{}: {}</title></rect></a>"
            ).format(link(day_date), style, index, f"{day_date:%d %b %Y}", text)
        )
    positive = sum(1 for value in values if value is not None and value > 0)
    missing = sum(1 for value in values if value is None)
    return Plot(
        drawing(max(days, 1), parts, "Heat map of the hourly balance", height=24),
        month_labels(first_day, days),
        [Label(f"{hour:02d}", round(100 * hour / 24, 2)) for hour in (0, 6, 12, 18, 24)],
        Markup("hour, UTC"),
        f"Hourly primary-energy balance of {days} days from {first_day:%d %B %Y}: {positive} hours are "
        f"positive, {len(values) - positive - missing} are not, {missing} have no balance.",
    )


def heat_legend(values: Sequence[int | None]) -> tuple[list[str], str, str]:
    """Styles from most negative to most positive, and the texts at the two ends (kWh PE per hour)."""
    limit = heat_limit(values) / 1e6
    text = number(limit, significant(limit))
    styles = [f"n{level}" for level in range(LEVELS, 0, -1)] + ["z"]
    styles += [f"p{level}" for level in range(1, LEVELS + 1)]
    return styles, f"{MINUS}{text}", f"+{text}"


def cumulative(
    balance_mwh_pe: Sequence[int], lower_mwh_pe: Sequence[int], upper_mwh_pe: Sequence[int], first_day: date
) -> Plot:
    """Sums from the first day on, after each day: the line of the balance in the band of its bounds."""
    series = [
        [value / 1000 for value in (0, *values)] for values in (balance_mwh_pe, lower_mwh_pe, upper_mwh_pe)
    ]
    low, high = min(map(min, series)), max(map(max, series))
    size, prefix = scale(max(abs(low), abs(high)))
    marks = ticks(min(low, 0) / size, max(high, 0) / size)
    line, below, above = ([value / size for value in values] for values in series)
    days = len(balance_mwh_pe)
    place = vertical(marks)
    band = [f"{index} {place(value)}" for index, value in enumerate(above)]
    band += [f"{index} {place(value)}" for index, value in reversed(list(enumerate(below)))]
    track = "L".join(f"{index} {place(value)}" for index, value in enumerate(line))
    ends = [number(values[-1], significant(values[-1]), signed=True) for values in (line, below, above)]
    return Plot(
        drawing(
            max(days, 1),
            [
                *grid(marks, max(days, 1)),
                Markup('<path class="band" d="M{}z"/>').format("L".join(band)),
                Markup('<path class="line" d="M{}"/>').format(track),
            ],
            "Cumulative primary energy",
        ),
        month_labels(first_day, days),
        mark_labels(marks),
        Markup("{}Wh<sub>PE</sub>").format(prefix),
        f"Cumulative primary-energy balance over {days} days: it ends at {ends[0]} {prefix}Wh, between "
        f"{ends[1]} and {ends[2]}.",
    )


class FlowSeries(NamedTuple):
    """One flow in the hours of a day, Wh; drawn upward when it supplies the district, else downward."""

    name: str
    style: str
    energies_wh: Sequence[int]
    supplies: bool


def day_flows(series: Sequence[FlowSeries]) -> Plot:
    """Stacked bars per hour: what came in above the line, where it went below it."""
    hours = len(series[0].energies_wh)

    def total(hour: int, supplies: bool) -> int:
        return sum(flow.energies_wh[hour] for flow in series if flow.supplies is supplies)

    high = max(total(hour, True) for hour in range(hours))
    low = -max(total(hour, False) for hour in range(hours))
    size, prefix = scale(max(high, -low, 1))
    marks = ticks(low / size, high / size)
    place = vertical(marks)
    bars = []
    for flow in series:
        path = []
        for hour in range(hours):
            if not flow.energies_wh[hour]:
                continue
            before = sum(
                other.energies_wh[hour]
                for other in series[: series.index(flow)]
                if other.supplies is flow.supplies
            )
            sign = 1 if flow.supplies else -1
            near, far = place(sign * before / size), place(sign * (before + flow.energies_wh[hour]) / size)
            path.append(f"M{hour * 10 + 1} {near}h8V{far}h-8z")
        bars.append(Markup('<path class="{}" d="{}"/>').format(flow.style, "".join(path)))
    return Plot(
        drawing(
            hours * 10, [*grid(marks, hours * 10), *bars, zero_line(marks, hours * 10)], "Flows of the day"
        ),
        _hour_labels(hours),
        mark_labels(marks),
        Markup("{}Wh").format(prefix),
        "Flows per hour: "
        + ", ".join(f"{flow.name} {number(sum(flow.energies_wh) / 1000, 1)} kWh" for flow in series)
        + " in the whole day.",
    )


def day_balance(
    balance_mwh_pe: Sequence[int | None],
    lower_mwh_pe: Sequence[int | None],
    upper_mwh_pe: Sequence[int | None],
) -> Plot:
    """Bars of the hourly balance with a whisker from lower to upper bound where they differ."""
    known = [
        v / 1000 for values in (balance_mwh_pe, lower_mwh_pe, upper_mwh_pe) for v in values if v is not None
    ]
    low, high = min([0, *known]), max([0, *known])
    size, prefix = scale(max(high, -low, 1))
    marks = ticks(low / size, high / size, 4)
    place = vertical(marks)
    shapes = []
    hours = len(balance_mwh_pe)
    for hour, (value, lower, upper) in enumerate(
        zip(balance_mwh_pe, lower_mwh_pe, upper_mwh_pe, strict=True)
    ):
        if value is None or lower is None or upper is None:
            shapes.append(
                Markup('<rect class="missing" x="{}" width="8" height="400"/>').format(hour * 10 + 1)
            )
            continue
        zero, top = place(0), place(value / 1000 / size)
        shapes.append(
            Markup('<path class="{}" d="M{} {}h8V{}h-8z"/>').format(
                "gain" if value > 0 else "cost", hour * 10 + 1, zero, top
            )
        )
        if lower != upper:
            ends = place(lower / 1000 / size), place(upper / 1000 / size)
            shapes.append(Markup('<path class="whisker" d="M{} {}V{}"/>').format(hour * 10 + 5, *ends))
    missing = sum(1 for value in balance_mwh_pe if value is None)
    return Plot(
        drawing(
            hours * 10, [*grid(marks, hours * 10), *shapes, zero_line(marks, hours * 10)], "Balance per hour"
        ),
        _hour_labels(hours),
        mark_labels(marks),
        Markup("{}Wh<sub>PE</sub>").format(prefix),
        f"Primary-energy balance per hour; {missing} of {hours} hours have none.",
    )


def coverage_strip(shares: Sequence[float | None], first_day: date) -> Plot:
    """Per day the share of complete hours, full height when all are; days without any record are hatched."""
    days = len(shares)
    full: list[str] = []
    part: list[str] = []
    missing: list[str] = []
    for index, share in enumerate(shares):
        if share is None:
            missing.append(f"M{index} 0h1v24h-1z")
        else:
            height = round(24 * share, 2)
            (full if share >= 1 else part).append(f"M{index} 24h1v{-height}h-1z")
    paths = [
        Markup('<path class="{}" d="{}"/>').format(style, "".join(path))
        for style, path in (("complete", full), ("incomplete", part), ("missing", missing))
        if path
    ]
    return Plot(
        drawing(max(days, 1), paths, "Complete hours per day", height=24),
        month_labels(first_day, days),
        [Label("24 h", 0), Label("0 h", 100)],
        Markup("complete"),
        f"Complete hours per day: {len(full)} of {days} days are complete, {len(part)} partly, "
        f"{len(missing)} have no record.",
    )


def bound_bar(balance_mwh_pe: int, lower_mwh_pe: int, upper_mwh_pe: int) -> Markup:
    """A bar from lower to upper bound with a tick at the balance, on a line with zero in the middle."""
    reach = max(abs(lower_mwh_pe), abs(upper_mwh_pe), abs(balance_mwh_pe), 1) * 1.08

    def place(value: int) -> float:
        return round(100 + 100 * value / reach, 1)

    left, right, middle = place(lower_mwh_pe), place(upper_mwh_pe), place(balance_mwh_pe)
    style = "gain" if lower_mwh_pe > 0 else "cost" if upper_mwh_pe <= 0 else "open"
    return Markup(
        '<svg class="bound" viewBox="0 0 200 20" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<path class="rail" d="M0 10H200"/><path class="{} from-zero" d="M100 6H{}V14H100z"/>'
        '<rect class="{}" x="{}" y="3" width="{}" height="14"/>'
        '<path class="zero" d="M100 0V20"/><path class="tick" d="M{} 1V19"/></svg>'
    ).format(
        f"Balance {number(balance_mwh_pe / 1e6, 0, True)} kWh of primary energy, between "
        f"{number(lower_mwh_pe / 1e6, 0, True)} and {number(upper_mwh_pe / 1e6, 0, True)}",
        style,
        middle,
        style,
        left,
        max(round(right - left, 1), 0.8),
        middle,
    )


def vertical(marks: Sequence[float]) -> Callable[[float], float]:
    """From a value to its height in the drawing; the first mark lies at the bottom, the last at the top."""
    low, high = marks[0], marks[-1]
    return lambda value: round(HEIGHT * (high - value) / (high - low), 1)


def grid(marks: Sequence[float], width: int) -> list[Markup]:
    """Lines across the drawing at the marks."""
    place = vertical(marks)
    return [
        Markup('<path class="{}" d="M0 {}H{}"/>').format("zero" if mark == 0 else "grid", place(mark), width)
        for mark in marks
    ]


def zero_line(marks: Sequence[float], width: int) -> Markup:
    """The line at zero."""
    return Markup('<path class="zero" d="M0 {}H{}"/>').format(vertical(marks)(0), width)


def mark_labels(marks: Sequence[float]) -> list[Label]:
    """Numbers beside the vertical axis."""
    step = marks[1] - marks[0]
    decimals = 0 if step == int(step) else 1 if 10 * step == int(10 * step) else 2
    place = vertical(marks)
    return [
        Label(number(mark, decimals) if mark else "0", round(place(mark) * 100 / HEIGHT, 2)) for mark in marks
    ]


def _hour_labels(hours: int) -> list[Label]:
    return [
        Label(f"{hour:02d}:00", round(100 * hour / hours, 2))
        for hour in range(0, hours + 1, 6)
        if hour <= hours
    ]


def drawing(width: int, shapes: Sequence[Markup], label: str, height: int = HEIGHT) -> Markup:
    """Shapes as a drawing that stretches to any width."""
    return Markup(
        '<svg viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
    ).format(width, height, label, Markup("").join(shapes))
