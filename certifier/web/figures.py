"""Numbers, units and times as people read them.

Narrow no-break spaces group thousands and hold number and unit together; the minus is a real minus. Times are
UTC.
"""

from datetime import date, datetime, timedelta
from typing import Final

from markupsafe import Markup, escape

NARROW_SPACE: Final = "\u202f"
MINUS: Final = "\u2212"
UNKNOWN: Final = "\u2013"
"""Shown for what is not known; never a zero."""

_PREFIXES: Final = ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k"), (1, ""))


def number(value: float, decimals: int = 0, signed: bool = False) -> str:
    """`1 234.5` with narrow spaces and a real minus; `signed` also writes a plus."""
    text = f"{abs(value):,.{decimals}f}".replace(",", NARROW_SPACE)
    if not text.strip("0.,"):
        return text
    sign = MINUS if value < 0 else "+" if signed else ""
    return sign + text


def scale(largest: float) -> tuple[int, str]:
    """Divisor and prefix that suit quantities up to `largest`."""
    return next(((size, prefix) for size, prefix in _PREFIXES if abs(largest) >= size), (1, ""))


def significant(value: float) -> int:
    """Decimals that leave three significant digits or more."""
    size = abs(value)
    return 0 if size >= 100 else 1 if size >= 10 else 2


def energy(energy_wh: int | None) -> str:
    """Energy, Wh, with a suitable prefix: `1.23 MWh`."""
    if energy_wh is None:
        return UNKNOWN
    size, prefix = scale(energy_wh)
    value = energy_wh / size
    decimals = 0 if size == 1 else significant(value)
    return f"{number(value, decimals)}{NARROW_SPACE}{prefix}Wh"


def primary_energy(balance_mwh_pe: int | None, signed: bool = True) -> Markup:
    """A balance of primary energy, thousandths of a Wh, with sign and prefix: `+161 MWh PE`."""
    if balance_mwh_pe is None:
        return Markup(UNKNOWN)
    energy_wh = balance_mwh_pe / 1000
    size, prefix = scale(energy_wh)
    value = energy_wh / size
    return Markup('<span class="quantity">{}{}{}Wh<sub>PE</sub></span>').format(
        number(value, significant(value), signed), NARROW_SPACE, prefix
    )


def emissions(ghg_mg: int | None, signed: bool = True) -> Markup:
    """Net greenhouse gas, mg CO2e, as kg or t: negative is avoided."""
    if ghg_mg is None:
        return Markup(UNKNOWN)
    kilograms = ghg_mg / 1_000_000
    tonnes = abs(kilograms) >= 10_000
    value = kilograms / 1000 if tonnes else kilograms
    return Markup('<span class="quantity">{}{}{} CO<sub>2</sub>e</span>').format(
        number(value, significant(value), signed), NARROW_SPACE, "t" if tonnes else "kg"
    )


def percent(part: int, whole: int) -> str:
    """A share in percent, rounded down to a tenth: 100 % means all; an empty whole is unknown."""
    if not whole:
        return UNKNOWN
    tenths = part * 1000 // whole
    return f"{number(tenths / 10, 0 if tenths % 10 == 0 else 1)}{NARROW_SPACE}%"


def factor(value_permille: int | None) -> str:
    """A primary-energy factor given in 1/1000: `2.350`."""
    return UNKNOWN if value_permille is None else number(value_permille / 1000, 3)


def price(micro_eur_per_kwh: int | None) -> str:
    """A price in cents per kWh: `8.05 ct/kWh`."""
    if micro_eur_per_kwh is None:
        return UNKNOWN
    return f"{exact(micro_eur_per_kwh, 4)}{NARROW_SPACE}ct/kWh"


def money(micro_eur: int | None, signed: bool = False) -> str:
    """An amount in euro, to the last unit: `12.345678 €`, but at least two decimals."""
    return UNKNOWN if micro_eur is None else f"{exact(micro_eur, 6, signed)}{NARROW_SPACE}€"


def exact(value: int, places: int, signed: bool = False) -> str:
    """`value` divided by 10^places, without rounding, with two decimals or as many as it has."""
    text = f"{abs(value):0{places + 1}d}"
    whole, decimals = text[:-places], text[-places:].rstrip("0").ljust(2, "0")
    sign = MINUS if value < 0 else "+" if signed and value > 0 else ""
    return f"{sign}{number(int(whole))}.{decimals}"


def hour_text(time_utc: datetime) -> str:
    """`15 July 2019, 12:00–13:00 UTC`."""
    end = time_utc + timedelta(hours=1)
    return f"{day_text(time_utc.date())}, {time_utc:%H:%M}–{end:%H:%M}{NARROW_SPACE}UTC"


def day_time_text(time_utc: datetime) -> str:
    """`5 March 2019, 14:00`, where the text goes on with another time."""
    return f"{day_text(time_utc.date())}, {time_utc:%H:%M}"


def indicator(value: float | None, unit: str) -> str:
    """The value of an indicator with four significant digits, and its unit if it has one."""
    if value is None:
        return UNKNOWN
    size = abs(value)
    decimals = 0 if size >= 10_000 else 1 if size >= 1000 else 2 if size >= 100 else 3
    text = number(value, decimals)
    return text if unit in ("", "-", "1") else f"{text}{NARROW_SPACE}{unit}"


def resolution(text: str) -> str:
    """`PT1H` or `P1D` as `1 h` or `1 d`."""
    unit = {"H": "h", "D": "d", "M": "month"}.get(text[-1:], "")
    count = text.removeprefix("P").removeprefix("T")[:-1]
    return f"{count}{NARROW_SPACE}{unit}" if unit and count.isdecimal() else text


def day_text(day: date | None) -> str:
    """`5 March 2019`, as text does."""
    return UNKNOWN if day is None else f"{day.day} {day:%B %Y}".replace(" ", "\u00a0")


def time_text(time_utc: datetime | None) -> str:
    """`5 March 2019, 14:00 UTC`."""
    return UNKNOWN if time_utc is None else f"{day_text(time_utc.date())}, {time_utc:%H:%M}{NARROW_SPACE}UTC"


def short_hash(text: str) -> Markup:
    """A hash or address, shortened for reading, whole as its title."""
    if len(text) <= 18:
        return Markup("<code>{}</code>").format(text)
    return Markup('<code title="{}">{}\u2026{}</code>').format(escape(text), text[:10], text[-6:])
