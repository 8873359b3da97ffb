"""Charts of the market and of demand response, made as `certifier.web.charts` makes its own."""

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from certifier.market_views import CurveStep, ResponseHour
from certifier.web.charts import HEIGHT, Label, Plot, drawing, grid, mark_labels, ticks, vertical, zero_line
from certifier.web.figures import number, price, scale, significant

WIDTH: Final = 1000
"""Width of the drawing area in its own units."""


def book_curves(steps: Sequence[CurveStep], volume_wh: int | None, clearing_price: int | None) -> Plot:
    """Demand falls and supply rises with quantity; where they cross is the outcome, if it stands."""
    longest = max((step.until_wh for step in steps), default=1)
    size, prefix = scale(longest)
    across = ticks(0, longest / size)
    dearest = max((step.price_micro_eur_per_kwh for step in steps), default=10_000)
    marks = ticks(0, dearest / 10_000)
    place = vertical(marks)

    def x(quantity_wh: float) -> float:
        return round(WIDTH * quantity_wh / (across[-1] * size), 1)

    def y(micro_eur_per_kwh: int) -> float:
        return place(micro_eur_per_kwh / 10_000)

    shapes = grid(marks, WIDTH)
    for side in ("bid", "offer"):
        track = [
            f"{x(step.from_wh)} {y(step.price_micro_eur_per_kwh)}H{x(step.until_wh)}"
            for step in steps
            if step.side == side
        ]
        if track:
            shapes.append(Markup('<path class="curve {}" d="M{}"/>').format(side, "L".join(track)))
    if volume_wh and clearing_price is not None:
        right, level = x(volume_wh), y(clearing_price)
        shapes.append(Markup('<path class="outcome" d="M0 {}H{}V{}"/>').format(level, right, HEIGHT))
    outcome = "no outcome stands"
    if volume_wh and clearing_price is not None:
        outcome = f"it clears {number(volume_wh)} Wh at {price(clearing_price)}"
    bids, offers = (sum(1 for step in steps if step.side == side) for side in ("bid", "offer"))
    return Plot(
        drawing(WIDTH, shapes, "Demand and supply of the book"),
        [
            Label(number(mark, 0 if mark == int(mark) else significant(mark)), 100 * mark / across[-1])
            for mark in across
        ],
        mark_labels(marks),
        Markup("price in ct/kWh over quantity in {}Wh").format(prefix),
        f"Order book with {bids} prices of demand and {offers} of supply; {outcome}.",
    )


def response(hours: Sequence[ResponseHour], increase: bool) -> Plot:
    """Net import of a district in an event's hours as bars, its baseline and what it promised as lines."""
    sign = 1 if increase else -1
    values = [0]
    for hour in hours:
        if hour.measured_wh is not None:
            values.append(hour.measured_wh)
        if hour.baseline_wh is not None:
            values += [hour.baseline_wh, hour.baseline_wh + sign * hour.capacity_wh]
    size, prefix = scale(max(abs(value) for value in values) or 1)
    marks = ticks(min(values) / size, max(values) / size)
    place = vertical(marks)
    shapes = grid(marks, 10 * len(hours))
    for index, hour in enumerate(hours):
        left = 10 * index
        if hour.measured_wh is not None:
            shapes.append(
                Markup('<path class="measured" d="M{} {}h6V{}h-6z"/>').format(
                    left + 2, place(0), place(hour.measured_wh / size)
                )
            )
        else:
            shapes.append(
                Markup('<rect class="missing" x="{}" width="6" height="{}"/>').format(left + 2, HEIGHT)
            )
        if hour.baseline_wh is not None:
            promised = hour.baseline_wh + sign * hour.capacity_wh
            shapes.append(
                Markup('<path class="baseline" d="M{} {}h10"/><path class="promised" d="M{} {}h10"/>').format(
                    left, place(hour.baseline_wh / size), left, place(promised / size)
                )
            )
    known = sum(1 for hour in hours if hour.measured_wh is not None)
    counted = sum(hour.response_wh or 0 for hour in hours)
    return Plot(
        drawing(10 * len(hours), [*shapes, zero_line(marks, 10 * len(hours))], "Net import against baseline"),
        [
            Label(f"{hour.start_time_utc:%H:%M}", round(100 * (index + 0.5) / len(hours), 2))
            for index, hour in enumerate(hours)
        ],
        mark_labels(marks),
        Markup("net import in {}Wh per hour, UTC").format(prefix),
        f"{known} of {len(hours)} hours are metered; {number(counted)} Wh count so far.",
    )
