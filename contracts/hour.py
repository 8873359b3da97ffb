"""Hours and days as numbers, and times as people write them (domain.md §1, §4).

`hour = unix_time // 3600`, `day = unix_time // 86400`; all times are UTC. Local time is for display only and
has no place here.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Final

HOUR_S: Final = 3_600
DAY_S: Final = 86_400
HOURS_PER_DAY: Final = 24
CLOCK_SKEW_S: Final = 120
"""How far, in seconds, a device's clock may be ahead (domain.md §2)."""

_EPOCH: Final = date(1970, 1, 1)


class TimeInvalid(ValueError):
    """A time that is not ISO 8601 with an offset, or that lies between whole seconds, hours or days."""


def hour_of(time_s: int) -> int:
    """Number of the hour that holds the unix time `time_s`, in seconds."""
    return time_s // HOUR_S


def day_of(time_s: int) -> int:
    """Number of the UTC day that holds the unix time `time_s`, in seconds."""
    return time_s // DAY_S


def hour_start(hour: int) -> int:
    """Unix time, in seconds, at which `hour` begins."""
    return hour * HOUR_S


def day_start(day: int) -> int:
    """Unix time, in seconds, at which `day` begins."""
    return day * DAY_S


def day_of_hour(hour: int) -> int:
    """Number of the day that holds `hour`."""
    return hour // HOURS_PER_DAY


def hour_of_day(hour: int) -> int:
    """Place of `hour` in its day, 0 to 23."""
    return hour % HOURS_PER_DAY


def first_hour(day: int) -> int:
    """Number of the first hour of `day`."""
    return day * HOURS_PER_DAY


def parse_time_utc(text: str) -> int:
    """Unix time, in seconds, of an ISO 8601 time with an offset, such as `2019-01-01T00:00:00Z`.

    Raises TimeInvalid, also for a time without offset: local time cannot be told from UTC.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise TimeInvalid(f"time {text!r} is not ISO 8601; write for example 2019-01-01T00:00:00Z") from None
    if time.tzinfo is None:
        raise TimeInvalid(f"time {text!r} has no offset; write {text}Z if it is UTC")
    if time.microsecond:
        raise TimeInvalid(f"time {text!r} lies between two seconds; give whole seconds")
    return int(time.timestamp())


def format_time_utc(time_s: int) -> str:
    """ISO 8601 UTC of a unix time in seconds, such as `2019-01-01T00:00:00Z`."""
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_hour_utc(text: str) -> int:
    """Number of the hour that begins at the ISO 8601 time `text`. Raises TimeInvalid."""
    time_s = parse_time_utc(text)
    if time_s % HOUR_S:
        raise TimeInvalid(f"time {text!r} is not the start of an hour")
    return hour_of(time_s)


def format_hour_utc(hour: int) -> str:
    """ISO 8601 UTC of the start of `hour`."""
    return format_time_utc(hour_start(hour))


def parse_day(text: str) -> int:
    """Number of the day `text`, such as `2019-01-01`. Raises TimeInvalid."""
    try:
        parsed = date.fromisoformat(text)
    except ValueError:
        raise TimeInvalid(f"day {text!r} is not ISO 8601; write for example 2019-01-01") from None
    return (parsed - _EPOCH).days


def format_day(day: int) -> str:
    """ISO 8601 of a day's number, such as `2019-01-01`."""
    return (_EPOCH + timedelta(days=day)).isoformat()


def window_start(window_end: int) -> int:
    """First day of the rolling year that ends with the midnight at which day `window_end` begins.

    The same calendar date one year before, 1 March for 29 February, so that the window `[start, end)` has
    365 or 366 days (domain.md §4). Day 0 when that date lies before 1970.
    """
    end = _EPOCH + timedelta(days=window_end)
    leap_day = (end.month, end.day) == (2, 29)
    start = date(end.year - 1, 3, 1) if leap_day else end.replace(year=end.year - 1)
    return max(0, (start - _EPOCH).days)
