"""What the two districts do in the month: who trades when, and how well they answer the grid operator.

The sun shines on both alike, but the larger roof still exports when the smaller one already imports: in the
mornings and evenings the one has what the other lacks. Energies are Wh, hours unix time // 3600, prices
micro-euro per kWh.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from contracts.baseline import History, compute_baseline
from contracts.hour import HOURS_PER_DAY, day_start, first_hour, parse_day
from contracts.point import Kind
from contracts.response import BaselineMethod, EventTerms
from scripts.replay.config import DistrictTable, ReplayConfig
from scripts.replay.readings import PointSeries
from scripts.replay.run import SECONDS_INTO_DAY

SELLER_OWNER, BUYER_OWNER = "hill-cooperative", "harbour-cooperative"
MOST_HOURS_A_DAY: Final = 6
FIRST_CLOCK_HOUR: Final = 3
"""The books of the hours before are closed when the day's orders come, just after midnight."""
FORECAST_PERCENT: Final = (70, 90, 110, 130)
"""What is offered, of what the hour will bring: sometimes more, as forecasts are."""
EXTERNAL_WH: Final = 3_000
BILATERAL_WH: Final = 2_000
CAPACITY_WH: Final = 8_000
EVENT_CLOCK_HOUR: Final = 19
EVENT_HOURS: Final = 2
REBOUND_HOURS: Final = 2
"""What was not drawn in an event is drawn in so many hours after it."""


@dataclass(frozen=True)
class PlannedEvent:
    """A demand-response event and how well both districts answer it."""

    day: int
    answer: str
    """met, half met or missed."""
    answered_wh: int
    """Per hour, below the baseline; negative: above it."""

    @property
    def opening_day(self) -> int:
        """The day before: it is opened just after that midnight."""
        return self.day - 1

    @property
    def hours(self) -> range:
        """Its hours."""
        begin = first_hour(self.day) + EVENT_CLOCK_HOUR
        return range(begin, begin + EVENT_HOURS)

    def terms(self, zone: str, districts: int) -> EventTerms:
        """What the grid operator asks for."""
        return EventTerms(
            zone=zone,
            increase=False,
            method=BaselineMethod.TEN_OF_TEN,
            start_hour=self.hours[0],
            hour_count=len(self.hours),
            requested_wh=districts * CAPACITY_WH,
            price_micro_eur_per_kwh=200_000,
            penalty_micro_eur_per_kwh=300_000,
            enrol_until=day_start(self.day),
            notice_s=12 * 3600,
        )


@dataclass(frozen=True)
class MarketPlan:
    """The days of the replay, of trade and of the events (days since 1970)."""

    first_day: date
    last_day: date
    trade_from: int
    events: tuple[PlannedEvent, ...]

    @classmethod
    def of(cls, first_day: str, trade_from: str, last_day: str, event_days: Sequence[str]) -> "MarketPlan":
        """From ISO dates; the three events are met, half met and missed in this order."""
        met, half, missed = map(parse_day, event_days)
        return cls(
            date.fromisoformat(first_day),
            date.fromisoformat(last_day),
            parse_day(trade_from),
            (
                PlannedEvent(met, "met", CAPACITY_WH + 200),
                PlannedEvent(half, "half met", CAPACITY_WH // 2),
                PlannedEvent(missed, "missed", -500),
            ),
        )

    def configure(self, config: ReplayConfig) -> ReplayConfig:
        """The demo's replay in these days, each district with an owner of its own."""
        seller, buyer = config.district
        districts = [
            seller.model_copy(update={"owner": SELLER_OWNER}),
            buyer.model_copy(update={"owner": BUYER_OWNER}),
        ]
        return config.model_copy(
            update={
                "title": "A month of trade and demand response, Los Sauces, 2019",
                "first_day": self.first_day,
                "last_day": self.last_day,
                "district": districts,
            }
        )

    @property
    def days(self) -> range:
        """The days of trade."""
        return range(self.trade_from, parse_day(self.last_day.isoformat()) + 1)

    @property
    def unpublished_day(self) -> int:
        """The day whose imbalance prices never come: then the bond rate holds."""
        return self.trade_from + 1

    @property
    def external_day(self) -> int:
        """The day on which the seller certifies a part of an hour elsewhere."""
        return self.trade_from + 2

    @property
    def bilateral_day(self) -> int:
        """The day on which the two agree on a trade between themselves."""
        return self.trade_from


MONTH: Final = MarketPlan.of(
    "2019-04-10", "2019-05-01", "2019-05-31", ("2019-05-15", "2019-05-21", "2019-05-28")
)

SHORT: Final = MarketPlan.of(
    "2019-05-01", "2019-05-09", "2019-05-14", ("2019-05-10", "2019-05-13", "2019-05-14")
)


class NetImport:
    """The districts' net import M by hour, from the series of their grid points."""

    def __init__(self, config: ReplayConfig, points: Mapping[str, PointSeries]) -> None:
        first = first_hour(config.first_day_number)
        self.first_day = config.first_day_number
        self.by_hour: dict[str, dict[int, int]] = {}
        for district in config.district:
            grid = points[serial_of(district, Kind.GRID)]
            imports, exports = (_known(values) for values in (grid.supply_wh, grid.draw_wh))
            self.by_hour[district.id] = {
                first + index: drawn - fed
                for index, (drawn, fed) in enumerate(zip(imports, exports, strict=True))
            }

    def export_wh(self, district_id: str, hour: int) -> int:
        """Net export, 0 when the district imports."""
        return max(0, -self.by_hour[district_id][hour])

    def import_wh(self, district_id: str, hour: int) -> int:
        """Net import, 0 when the district exports."""
        return max(0, self.by_hour[district_id][hour])

    def history(self, district_id: str, event_days: Sequence[int]) -> History:
        """What baselines are made of."""
        return History(self.by_hour[district_id], self.first_day, frozenset(event_days))


def serial_of(district: DistrictTable, kind: Kind) -> str:
    """The district's one point of a kind."""
    (serial,) = (point.serial for point in district.points if point.declaration().kind is kind)
    return serial


def traded_hours(plan: MarketPlan, config: ReplayConfig, net: NetImport) -> Iterator[int]:
    """Hours in which the first district has what the second lacks, at most so many a day."""
    seller, buyer = (district.id for district in config.district)
    for day in plan.days:
        begin = first_hour(day)
        hours = [
            hour
            for hour in range(begin + FIRST_CLOCK_HOUR, begin + HOURS_PER_DAY)
            if net.export_wh(seller, hour) and net.import_wh(buyer, hour)
        ]
        yield from hours[:MOST_HOURS_A_DAY]


def answer_events(
    plan: MarketPlan, config: ReplayConfig, points: Mapping[str, PointSeries]
) -> dict[str, PointSeries]:
    """The series with the districts' answers in them: loads are shifted out of the events' hours.

    The energy management of a district knows the baseline, as everybody can compute it, and steers by it.
    """
    answered = dict(points)
    for event in plan.events:
        net = NetImport(config, answered)
        past = [other.day for other in plan.events if other.day < event.day]
        for district in config.district:
            opened_s = day_start(event.opening_day) + SECONDS_INTO_DAY
            history = net.history(district.id, past)
            found = compute_baseline(history, BaselineMethod.TEN_OF_TEN, False, event.hours, opened_s)
            if found.baseline_wh is None:
                raise ValueError(f"the event of day {event.day} has no baseline: {found.reason}")
            begin = event.hours[0] - first_hour(config.first_day_number)
            shifts = {
                begin + place: baseline - event.answered_wh - net.by_hour[district.id][hour]
                for place, (hour, baseline) in enumerate(zip(event.hours, found.baseline_wh, strict=True))
            }
            spared = -sum(shifts.values())
            if spared > 0:
                end = begin + len(event.hours)
                shifts |= {end + place: spared // REBOUND_HOURS for place in range(REBOUND_HOURS)}
            _shift(answered, district, shifts)
    return answered


def _shift(points: dict[str, PointSeries], district: DistrictTable, shifts: Mapping[int, int]) -> None:
    """Change the load by Wh at these places, and the grid with it."""
    load, grid = (points[serial_of(district, kind)] for kind in (Kind.LOAD, Kind.GRID))
    drawn, imports, exports = (list(_known(v)) for v in (load.draw_wh, grid.supply_wh, grid.draw_wh))
    for place, shift in shifts.items():
        most = max(drawn[place] + shift, 0)
        net = imports[place] - exports[place] + most - drawn[place]
        drawn[place], imports[place], exports[place] = most, max(0, net), max(0, -net)
    points[load.point.serial] = replace(load, draw_wh=drawn)
    points[grid.point.serial] = replace(grid, supply_wh=imports, draw_wh=exports)


def _known(values: Sequence[int | None] | None) -> list[int]:
    return [value for value in values or () if value is not None]
