"""What every device of a replay will have measured, from the CSV series of its points (domain.md §2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from contracts.hour import DAY_S, format_time_utc
from scripts.replay.config import ColumnTable, ConfigError, DistrictTable, PointTable, ReplayConfig
from scripts.replay.series import Series


@dataclass(frozen=True)
class PointSeries:
    """Values of one point in Wh; None is a missing value, which is never sent.

    Interval energies: one value per interval. Registers: one value per instant, the end included.
    A direction that the meter does not have is None as a whole.
    """

    point: PointTable
    supply_wh: Sequence[int | None] | None
    draw_wh: Sequence[int | None] | None


class _Files:
    def __init__(self, folder: Path, interval_s: int) -> None:
        self._folder = folder
        self._interval_s = interval_s
        self._open: dict[str, Series] = {}

    def __getitem__(self, name: str) -> Series:
        if name not in self._open:
            self._open[name] = Series(self._folder / name, self._interval_s)
        return self._open[name]


def read_points(folder: Path, config: ReplayConfig) -> dict[str, PointSeries]:
    """The series of every point by serial. Raises SeriesError, and ConfigError for a value above a cap."""
    files = _Files(folder, config.interval_s)
    found: dict[str, PointSeries] = {}
    for district in config.district:
        for point in district.points:
            if point.series == "columns":
                found[point.serial] = _from_columns(files, config, point)
        for point in district.points:
            if point.series == "difference":
                found[point.serial] = _difference(config, district, point, found)
    for series in found.values():
        _check_caps(config, series)
    return found


def _from_columns(files: _Files, config: ReplayConfig, point: PointTable) -> PointSeries:
    end_s = config.start_s + config.day_count * DAY_S

    def read(column: ColumnTable | None) -> list[int | None] | None:
        if column is None:
            return None
        series = files[column.csv or point.csv or ""]
        method = series.registers_wh if point.is_register else series.energies_wh
        return method(column.as_column(), config.start_s, end_s, config.gaps_allowed)

    return PointSeries(point, read(point.supply), read(point.draw))


def _difference(
    config: ReplayConfig, district: DistrictTable, point: PointTable, found: dict[str, PointSeries]
) -> PointSeries:
    others = [
        found[other.serial]
        for other in district.points
        if other.serial != point.serial and not other.declaration().kind.is_carrier
    ]
    imports: list[int | None] = []
    exports: list[int | None] = []
    for index in range(config.day_count * DAY_S // config.interval_s):
        net = 0
        missing = False
        for other in others:
            for values, sign in ((other.supply_wh, 1), (other.draw_wh, -1)):
                if values is not None:
                    value = values[index]
                    missing = missing or value is None
                    net += sign * (value or 0)
        imports.append(None if missing else max(0, -net))
        exports.append(None if missing else max(0, net))
    return PointSeries(point, imports, exports)


def _check_caps(config: ReplayConfig, series: PointSeries) -> None:
    point = series.point
    if point.is_register:
        return
    cap_wh = point.declaration().cap_wh * config.interval_s // 3600
    for name, values in (("supply", series.supply_wh), ("draw", series.draw_wh)):
        for index, value in enumerate(values or ()):
            if value is not None and value > cap_wh:
                time_utc = format_time_utc(config.start_s + index * config.interval_s)
                raise ConfigError(
                    f"point {point.serial!r}: {name} of the interval {time_utc} is {value} Wh, above the cap "
                    f"of {cap_wh} Wh that nameplate_w = {point.nameplate_w} allows (1.1 x power x time); "
                    "raise nameplate_w or check the unit"
                )
