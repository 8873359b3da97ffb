"""What a gateway's data logger posts: one day of all its points as plain JSON messages (domain.md §9)."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from contracts.hour import DAY_S, format_time_utc
from scripts.replay.config import ReplayConfig
from scripts.replay.gateways import GatewaySetting, codes
from scripts.replay.readings import PointSeries

READINGS_PER_MESSAGE = 480


def day_messages(
    config: ReplayConfig, setting: GatewaySetting, series: Mapping[str, PointSeries], day_index: int
) -> list[tuple[str, bytes]]:
    """Identifiers and bodies of the messages of one replayed day; missing values are not sent.

    `day_index` 0 is the first day. It also carries each register's value at its beginning, without which
    nothing can be counted.
    """
    readings = [
        reading
        for point in setting.points
        for reading in (
            _registers(config, series[point.serial], day_index)
            if point.is_register
            else _energies(config, series[point.serial], day_index)
        )
    ]
    messages = []
    for number, first in enumerate(range(0, len(readings), READINGS_PER_MESSAGE)):
        name = f"{day_index}-{number}"
        document = {"id": name, "readings": readings[first : first + READINGS_PER_MESSAGE]}
        messages.append((name, json.dumps(document, separators=(",", ":")).encode()))
    return messages


def _energies(config: ReplayConfig, series: PointSeries, day_index: int) -> Iterator[dict[str, Any]]:
    per_day = DAY_S // config.interval_s
    for index in range(day_index * per_day, (day_index + 1) * per_day):
        values = {
            name: value
            for name, column in (("supply_wh", series.supply_wh), ("draw_wh", series.draw_wh))
            if (value := _value(column, index)) is not None
        }
        if values:
            yield {
                "point": series.point.serial,
                "time_utc": format_time_utc(config.start_s + index * config.interval_s),
                "interval_s": config.interval_s,
                **values,
            }


def _registers(config: ReplayConfig, series: PointSeries, day_index: int) -> Iterator[dict[str, Any]]:
    per_day = DAY_S // config.interval_s
    first = day_index * per_day + (1 if day_index else 0)
    for index in range(first, (day_index + 1) * per_day + 1):
        for code, column in zip(codes(series.point), (series.supply_wh, series.draw_wh), strict=True):
            value = _value(column, index)
            if value is not None:
                yield {
                    "point": series.point.serial,
                    "time_utc": format_time_utc(config.start_s + index * config.interval_s),
                    "obis": code,
                    "register_wh": value,
                }


def _value(column: Sequence[int | None] | None, index: int) -> int | None:
    return None if column is None else column[index]
