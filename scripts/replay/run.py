"""The replay itself: day after day through the whole platform, with the chain's block time as the clock.

Each simulated day the chain's clock goes to the midnight after it, the devices post the day and wait for the
gateways' receipts, the gateways sign and relay, the day's factors are published. Once a week the days that
have become final are finalised and the certificates move on.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from contracts.chain import Chain
from contracts.factor import FactorHour
from contracts.hour import day_start
from contracts.lifecycle import Status
from contracts.platform import FINALITY_S
from scripts.replay.case import Case, advance_case, open_case
from scripts.replay.config import ReplayConfig
from scripts.replay.gateways import GatewaySetting
from scripts.replay.generation_mix import read_mix
from scripts.replay.messages import day_messages
from scripts.replay.readings import PointSeries, read_points
from scripts.replay.world import World

SECONDS_INTO_DAY = 300
"""The clock stops so long after midnight, when the last hour is closed for certain."""
STEP_DAYS = 7
LAG_DAYS = 2
"""A gateway may be so many days behind the devices, which is looked at every so many days. It waits a
day for what is missing in a day, so that day comes after the next one is over. All this is
well within finality."""
POLL_S = 0.1
RECEIPT_TIMEOUT_S = 60.0
RELAY_TIMEOUT_S = 120.0
LACKING_DAYS = 31
"""Factors that were not published are lacking for good 30 days after their day."""

Midnight = Callable[[int], None]
"""Told the day that begins, once the chain's clock stands at its midnight."""

Progress = Callable[[int], None]
"""Told how many simulated days are done."""


class RelayStuck(TimeoutError):
    """A gateway did not bring a day's batch to the chain in time; its log says why."""


@dataclass(frozen=True)
class Inputs:
    """What a replay reads before anything starts."""

    config: ReplayConfig
    points: dict[str, PointSeries]
    factors: list[list[FactorHour] | None]


def read_inputs(folder: Path, config: ReplayConfig) -> Inputs:
    """Read all series relative to `folder`. Raises SeriesError or ConfigError."""
    points = read_points(folder, config)
    mix = config.factors.mix
    days = config.day_count
    factors: list[list[FactorHour] | None] = [None] * days
    if mix is not None:
        factors = read_mix(folder, mix, config.interval_s, config.start_s, days)
    return Inputs(config, points, factors)


class Replay:
    """Runs through the days in a started world."""

    def __init__(
        self,
        world: World,
        inputs: Inputs,
        progress: Progress = lambda _: None,
        midnight: Midnight = lambda _: None,
    ) -> None:
        self._world = world
        self._inputs = inputs
        self._config = inputs.config
        self._progress = progress
        self._midnight = midnight
        self._chain: Chain = world.chain
        self._posted: dict[str, list[int]] = {setting.id: [] for setting in world.settings}
        self._relayed: dict[str, int] = {}
        self.cases: list[Case] = []

    def run(self) -> list[Case]:
        """All days, then finality, and the certificates as far as they come."""
        self.cases = [
            open_case(self._world.founder, self._config, district) for district in self._config.district
        ]
        first = self._config.first_day_number
        for index in range(self._config.day_count):
            self._midnight(first + index)
            self._play_day(first + index, index)
            if index >= FINALITY_S // 86_400 and index % STEP_DAYS == 0:
                self._advance_cases(day_start(first + index + 1))
            self._world.check()
            self._progress(index + 1)
        end = first + self._config.day_count
        self._chain.mine(day_start(end + 1) + SECONDS_INTO_DAY)
        self._wait_for_relays(0)
        self._finish(end)
        return self.cases

    def _play_day(self, day: int, index: int) -> None:
        self._chain.mine(day_start(day + 1) + SECONDS_INTO_DAY)
        for setting in self._world.settings:
            messages = day_messages(self._config, setting, self._inputs.points, index)
            for name, body in messages:
                self._world.devices[setting.id].publish(name, body)
            if messages:
                self._posted[setting.id].append(day)
        factors = self._inputs.factors[index]
        if factors is not None:
            founder = self._world.founder
            names = self._config.factors.vintage, self._config.zone
            founder.do(founder.platform.publish_day, founder.accounts.publisher, *names, day, factors)
        for device in self._world.devices.values():
            device.wait(RECEIPT_TIMEOUT_S)
        if index % LAG_DAYS == 0:
            self._wait_for_relays(LAG_DAYS)

    def _wait_for_relays(self, lag_days: int) -> None:
        deadline = time.monotonic() + RELAY_TIMEOUT_S
        for setting in self._world.settings:
            posted = self._posted[setting.id]
            if len(posted) <= lag_days:
                continue
            day = posted[-1 - lag_days]
            while self._relayed.get(setting.id, -1) < day:
                if all(self._has_batch(setting.id, day, private) for private in streams(setting)):
                    self._relayed[setting.id] = day
                    continue
                self._world.check()
                if time.monotonic() > deadline:
                    log = self._world.gateways[setting.id].tail()
                    raise RelayStuck(
                        f"gateway {setting.id} relayed nothing of day {day} in {RELAY_TIMEOUT_S:g} s:\n{log}"
                    )
                time.sleep(POLL_S)

    def _has_batch(self, gateway_id: str, day: int, private: bool) -> bool:
        return self._world.founder.platform.stream(gateway_id, day, private).last_sequence > 0

    def _advance_cases(self, now_s: int) -> None:
        for case in self.cases:
            advance_case(self._world.founder, case, now_s)

    def _finish(self, end_day: int) -> None:
        """Let the last days become final and the certificates move, a day at a time while something may."""
        last = end_day + LACKING_DAYS
        finality_days = FINALITY_S // 86_400
        for day in range(end_day + finality_days, last + 1):
            if all(self._settled(case, end_day) for case in self.cases):
                return
            self._chain.mine(day_start(day) + SECONDS_INTO_DAY)
            self._midnight(day)
            for _ in range(3):  # finalise more than one transaction may; then request or confirm
                self._advance_cases(self._chain.block().time_s)

    def _settled(self, case: Case, end_day: int) -> bool:
        platform = self._world.founder.platform
        if platform.assessment(case.assessment_id).frontier < end_day:
            return False
        return case.confirm_at_s is None or platform.status_of(case.certificate_id) is Status.CERTIFIED


def streams(setting: GatewaySetting) -> list[bool]:
    """False for open batches, True for private ones, as the gateway has points."""
    points = ((False, setting.table.point), (True, setting.table.member))
    return [private for private, some in points if some]
