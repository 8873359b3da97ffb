"""What a running district tells: its devices through the gateway, its hours and balance through the
certifier."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import httpx2
import numpy as np

from contracts.hour import TimeInvalid, hour_of, parse_hour_utc
from optimiser.balances import Balances, BalancesInvalid, fetch_days, fetch_hours
from optimiser.dispatch.case import DispatchCase
from optimiser.dispatch.devices import DeviceSettings
from optimiser.dispatch.fallback import Decision
from optimiser.dispatch.foresight import HISTORY_DAYS, Forecasters, ForecastOutlook
from optimiser.dispatch.state import Outlook, State
from optimiser.forecast.grid import DAY_S, HOUR_S
from optimiser.proposal import GatewayUnreachable

YEAR_DAYS: Final = 365.2425
WEEK_DAYS: Final = 7
MWH_PE_PER_KWH_PE: Final = 1_000_000

Meters = dict[str, tuple[float, float]]
"""Vehicles -> supply and draw registers at UTC midnight, Wh."""


class GatewayRefuses(RuntimeError):
    """The gateway does not tell what the devices can do; the message has its reason."""


@dataclass(frozen=True)
class Device:
    """What the gateway tells of a device: its limits, and what it declared last (None: nothing yet)."""

    min_w: int
    max_w: int
    declared_min_w: int
    declared_max_w: int
    readout: dict[str, float]
    """Empty for a device that is not online."""
    declared_utc: str | None

    def within_limits(self, powers_w: list[int]) -> list[int]:
        """Whole watts within the gateway's limits; the first within what the device declares for now."""
        kept = [min(max(power_w, self.min_w), self.max_w) for power_w in powers_w]
        return [min(max(kept[0], self.declared_min_w), self.declared_max_w), *kept[1:]]


def read_devices(client: httpx2.Client) -> dict[str, Device]:
    """All controllable devices of a gateway, by name.

    Raises GatewayUnreachable, and GatewayRefuses (for example a wrong operator token).
    """
    try:
        answer = client.get("/v1/control/devices")
        entries = answer.json()
    except (httpx2.HTTPError, ValueError) as error:
        raise GatewayUnreachable(f"the gateway at {client.base_url} gave no answer: {error}") from None
    if answer.status_code >= 500:
        raise GatewayUnreachable(f"the gateway at {client.base_url} answers {answer.status_code}: {entries}")
    if answer.status_code != 200:
        reason = entries.get("detail", entries)
        raise GatewayRefuses(f"the gateway refuses /v1/control/devices ({answer.status_code}): {reason}")
    return {entry["device"]: _device(entry) for entry in entries}


def _device(entry: Mapping[str, Any]) -> Device:
    declared = entry["declared"] or {}
    return Device(
        entry["min_w"],
        entry["max_w"],
        entry["min_w"] if (low_w := declared.get("min_w")) is None else low_w,
        entry["max_w"] if (high_w := declared.get("max_w")) is None else high_w,
        dict(declared.get("readout") or {}) if declared.get("status") == "online" else {},
        declared.get("time_utc"),
    )


def state_of(
    devices: DeviceSettings, readouts: Mapping[str, Mapping[str, float]], time_s: int, midnight: Meters
) -> State:
    """The state for planning from what devices declare; what they do not declare is as the settings begin.

    Vehicles' excess (domain.md §2) is counted from their meters at midnight; zero where those are unknown.
    """
    initial = State.initial(devices, time_s)
    stored, rooms, excess = (
        dict(initial.stored_kwh),
        dict(initial.room_degc),
        dict(initial.vehicle_excess_kwh),
    )
    for device in devices.storages:
        if "stored_wh" in (told := readouts.get(device.name, {})):
            stored[device.name] = min(max(told["stored_wh"] / 1000, 0.0), device.total_kwh)
    for pump in devices.heat_pump:
        told = readouts.get(pump.name, {})
        if "store_wh" in told:
            stored[pump.name] = min(max(told["store_wh"] / 1000, 0.0), pump.store_kwh)
        rooms[pump.name] = told.get("room_degc", rooms[pump.name])
    for fleet in devices.vehicles:
        told = readouts.get(fleet.name, {})
        if fleet.name in midnight and {"supply_wh", "draw_wh"} <= told.keys():
            supply_wh, draw_wh = midnight[fleet.name]
            out_wh, in_wh = told["supply_wh"] - supply_wh, told["draw_wh"] - draw_wh
            excess[fleet.name] = (out_wh - fleet.round_trip * in_wh) / 1000
    return replace(initial, stored_kwh=stored, room_degc=rooms, vehicle_excess_kwh=excess)


def setpoints_w(decision: Decision, told: Mapping[str, Device], names: Iterable[str]) -> dict[str, list[int]]:
    """Set-points of the devices from the decided step on, W, within their limits."""
    powers = {}
    for name in names:
        planned = (
            [decision.action.power_kw[name]]
            if decision.plan is None
            else decision.plan.power_kw[name][decision.place :].tolist()
        )
        powers[name] = told[name].within_limits([round(1000 * kw) for kw in planned])
    return powers


class MeteredHour(NamedTuple):
    """Mean powers of an hour, kW."""

    consumption_kw: float
    production_kw: float
    import_kw: float = 0.0


@dataclass(frozen=True)
class Measured:
    """What the certifier knows of a district."""

    balances: Balances
    hours: dict[int, MeteredHour]
    """Complete hours, by number."""

    def peak_import_kw(self, time_s: int) -> float:
        """Highest hourly import known of the calendar month (UTC) of a time, before it: what the month's
        capacity charge is due for in any case. Hours that are not known may have had more."""
        month = datetime.fromtimestamp(time_s, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        known = range(hour_of(int(month.timestamp())), hour_of(time_s))
        return max((self.hours[hour].import_kw for hour in known if hour in self.hours), default=0.0)

    def window_kwh_pe(self, first_s: int, now_s: int) -> tuple[float, int, int]:
        """Balance of the known days since `first_s`, how many they are, and Unix seconds up to which."""
        total_mwh_pe, days, known_s = 0, 0, first_s
        for day in self.balances.days:
            start_s = int(datetime(day.day.year, day.day.month, day.day.day, tzinfo=UTC).timestamp())
            if first_s <= start_s < now_s:
                total_mwh_pe += day.balance_mwh_pe
                days += 1
                known_s = start_s + DAY_S
        return total_mwh_pe / MWH_PE_PER_KWH_PE, days, min(known_s, now_s)


def read_certifier(client: httpx2.Client, district: str) -> Measured:
    """Balances and the hours of the last weeks. Raises BalancesInvalid when nothing usable is answered."""
    days = fetch_days(client, district)
    last = days[-1].day
    hours = fetch_hours(client, district, last - timedelta(days=HISTORY_DAYS - 1), last)
    return Measured(Balances(days, None), parse_hours(hours))


def parse_hours(text: str) -> dict[int, MeteredHour]:
    """Consumption and production of the complete hours in the certifier's CSV. Raises BalancesInvalid."""
    hours = {}
    for number, row in enumerate(csv.DictReader(io.StringIO(text)), 2):
        try:
            if row["complete"].lower() in ("1", "true"):
                powers = (int(row[name]) / 1000 for name in ("consumption_wh", "production_wh", "import_wh"))
                hours[parse_hour_utc(row["start_time_utc"])] = MeteredHour(*powers)
        except (KeyError, ValueError, AttributeError, TimeInvalid) as error:
            raise BalancesInvalid(f"hours of the certifier, line {number}: {error!r}") from None
    return hours


class LiveOutlook:
    """Forecasts from the case's data, taken as the same days of every year, and from the measured hours.

    Weekdays stay weekdays: the case's year is moved by whole weeks. Measured consumption stands for the load
    where no device of the case is metered in it; heat pumps, flexible loads and vehicles without V2G are, and
    then the load is the case's.
    """

    def __init__(self, case: DispatchCase) -> None:
        self._case = case
        devices = case.settings
        inside = [
            *devices.heat_pump,
            *devices.shiftable,
            *(v for v in devices.vehicles if not v.discharge_kw),
        ]
        self._load_measurable = not inside

    def profile_from(self, start_s: int, steps: int) -> Outlook:
        """The case's data as of a time of any year."""
        truth = self._case.truth
        years = (start_s - truth.start_s) // round(YEAR_DAYS * DAY_S)
        shift_s = WEEK_DAYS * DAY_S * round(years * YEAR_DAYS / WEEK_DAYS)
        first = (start_s - truth.start_s - shift_s) // truth.step_s
        places = first + np.arange(steps)
        cut = {name: np.take(getattr(truth, name), places, mode="wrap") for name in Outlook.SERIES}
        return Outlook(start_s, truth.step_s, method="the case's data", **cut)

    def outlook(self, start_s: int, measured: Measured | None) -> Outlook:
        """The horizon from `start_s` on; `method` says what it is made from."""
        step_s, horizon = self._case.truth.step_s, self._case.horizon
        before = min(HISTORY_DAYS * DAY_S // step_s, self._case.truth.steps)
        past = self.profile_from(start_s - before * step_s, before + horizon + DAY_S // step_s)
        replaced = 0
        if measured is not None:
            load_kw, pv_kw = past.load_kw.copy(), past.pv_kw.copy()
            for place in range(before):
                known = measured.hours.get(hour_of(past.start_s + place * step_s))
                if known is not None:
                    pv_kw[place] = known.production_kw
                    load_kw[place] = known.consumption_kw if self._load_measurable else load_kw[place]
                    replaced += 1
            past = replace(past, load_kw=load_kw, pv_kw=pv_kw)
        forecasters = Forecasters.usual(step_s, self._case.site)
        found = ForecastOutlook(past, horizon, forecasters).outlook(before, horizon)
        hours = replaced * step_s // HOUR_S
        return replace(found, method=f"forecast from the case's data and {hours} measured hours")
