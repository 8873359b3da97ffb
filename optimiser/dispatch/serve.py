"""`ped dispatch serve`: every interval read the live state, forecast, plan, sign, and propose to the gateway.

The settings, a TOML file; paths are relative to it:

    case = "dispatch.toml"          # devices, prices, factors and a year of data: optimiser/dispatch/case.py
    district = "old-town"
    deployment = "deployment.json"  # of the platform: what proposals are signed for
    data = "dispatch"               # folder for the sequence, the proposals and steps.jsonl
    lead_s = 60                     # so long before an interval it is planned
    proposed_steps = 2              # so many intervals a proposal holds; then the gateway's safe schedule
    [gateway]
    id = "gw-plant"
    url = "http://127.0.0.1:8080"
    token_file = "operator-token"   # the operator's, which lets the devices be read
    [key]
    keystore = "optimiser.json"     # `ped gateway keys new`; its address stands under [control] optimisers
    password_file = "password"
    [certifier]                     # optional: without it the case's data alone are planned with
    url = "http://127.0.0.1:8000"
    [window]                        # the certified window whose balance shall end positive (domain.md §5)
    first_day = 2026-01-01
    days = 365

What stands in when something is missing is named in the log and in `steps.jsonl`: `price`, `foresight` and
`schedule` (fallback.py). A device that is offline, or tells no readout, is not commanded.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import httpx2
import structlog
from pydantic import Field, ValidationError

from contracts.deployment import Deployment
from contracts.hour import format_time_utc
from contracts.key import SigningKey
from contracts.keystore import read_secret
from contracts.setpoint import SetpointInvalid, SignedProposal
from optimiser.balances import BalancesInvalid
from optimiser.case import CaseError
from optimiser.dispatch.case import load_dispatch_case
from optimiser.dispatch.controller import Controller
from optimiser.dispatch.devices import Table
from optimiser.dispatch.live import (
    GatewayRefuses,
    LiveOutlook,
    Measured,
    Meters,
    read_certifier,
    read_devices,
    setpoints_w,
    state_of,
)
from optimiser.dispatch.model import MODEL_VERSION
from optimiser.dispatch.price import TypicalDays, YearPrice
from optimiser.forecast.grid import DAY_S
from optimiser.proposal import GatewayUnreachable, ProposalRejected, Proposer, SequenceFile, send
from optimiser.table import explained, read_toml

log = structlog.get_logger(__name__)

FIRST_WAIT_S: Final = 5.0
WAIT_FACTOR: Final = 1.5
LONGEST_WAIT_S: Final = 300.0
CERTIFIER_TIMEOUT_S: Final = 20.0
GATEWAY_TIMEOUT_S: Final = 10.0


class GatewayTable(Table):
    """`[gateway]`."""

    id: str = Field(min_length=1)
    url: str = Field(pattern=r"^https?://")
    token_file: Path


class KeyTable(Table):
    """`[key]`."""

    keystore: Path
    password_file: Path


class CertifierTable(Table):
    """`[certifier]`."""

    url: str = Field(pattern=r"^https?://")


class WindowTable(Table):
    """`[window]`."""

    first_day: date
    days: int = Field(default=365, ge=1, le=366)

    @property
    def start_s(self) -> int:
        """Unix seconds of its first midnight UTC."""
        day = self.first_day
        return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


class ServeSettings(Table):
    """The whole file."""

    case: Path
    district: str = Field(min_length=1)
    deployment: Path
    data: Path
    lead_s: int = Field(default=60, ge=0, le=900)
    proposed_steps: int = Field(default=2, ge=1, le=96)
    gateway: GatewayTable
    key: KeyTable
    certifier: CertifierTable | None = None
    window: WindowTable


def load_settings(path: Path) -> ServeSettings:
    """Read the settings. Raises CaseError naming place and value."""
    document = read_toml(path, CaseError)
    try:
        return ServeSettings.model_validate(document)
    except ValidationError as error:
        raise CaseError(explained(str(path), error)) from None


@dataclass(frozen=True)
class Step:
    """One planned interval, as it stands in `steps.jsonl`."""

    start_utc: str
    schedule: str
    reason: str
    price_eur_per_kwh_pe: float
    price: str
    """Where the price of primary energy comes from."""
    foresight: str
    undeclared: list[str]
    """Devices that were not commanded: offline, or without a readout."""
    sequence: int | None
    answer: str


class Service:
    """Plans and proposes, interval after interval."""

    def __init__(self, settings: ServeSettings, folder: Path, now_s: Callable[[], float] = time.time) -> None:
        """`folder` is that of the settings. Raises what case, key, deployment and sequence raise."""
        self.settings = settings
        self.case = load_dispatch_case(folder / settings.case)
        self.step_s = self.case.truth.step_s
        self._now_s = now_s
        self._data = folder / settings.data
        (self._data / "proposals").mkdir(parents=True, exist_ok=True)
        password = read_secret(folder / settings.key.password_file, None, "key.password_file")
        self._proposer = Proposer(
            SigningKey.load(folder / settings.key.keystore, password),
            Deployment.load(folder / settings.deployment).setpoint_domain,
            settings.district,
            settings.gateway.id,
            MODEL_VERSION,
            SequenceFile(self._data / "sequence"),
        )
        token = read_secret(folder / settings.gateway.token_file, None, "gateway.token_file")
        self._gateway = httpx2.Client(
            base_url=settings.gateway.url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=GATEWAY_TIMEOUT_S,
            trust_env=False,
        )
        devices, window = self.case.settings, settings.window
        self._controller = Controller(devices, self.case.horizon, self.step_s, devices.time_limit_s)
        self._outlook = LiveOutlook(self.case)
        end_s = window.start_s + window.days * DAY_S
        self._prices = YearPrice(devices, TypicalDays.of(self.case.truth, devices), end_s, devices.price)
        self._price_from: tuple[float, str] | None = None
        self._midnight: Meters = {}
        self._peak = 0, 0.0

    def close(self) -> None:
        """Give the connections back."""
        self._gateway.close()

    def run(self, stop: threading.Event) -> None:
        """Plan every interval shortly before it begins, until `stop` is set."""
        planned_s = 0
        while not stop.is_set():
            ahead_s = self._now_s() + self.settings.lead_s
            start_s = max(planned_s + self.step_s, -int(-ahead_s // self.step_s) * self.step_s)
            if stop.wait(max(0.0, start_s - self.settings.lead_s - self._now_s())):
                return
            self.serve_interval(start_s, stop)
            planned_s = start_s

    def serve_interval(self, start_s: int, stop: threading.Event) -> Step | None:
        """Plan the interval that begins at `start_s` and propose it; try until it is over.

        A proposal that was signed is sent again as it is, so a lost answer is no loss. None: nothing could be
        planned in time; the gateway goes on with the last proposal, then with its safe schedule.
        """
        failures, renumbered = 0, False
        made: tuple[Step, SignedProposal | None] | None = None
        while not stop.is_set() and self._now_s() < start_s + self.step_s:
            try:
                if made is None:
                    made = self._make(start_s)
                step, signed = made
                if signed is None:
                    return self._keep(step, "nothing to propose")
                return self._keep(step, str(send(self._gateway, signed)["proposal"]))
            except GatewayUnreachable as error:
                wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * WAIT_FACTOR**failures) * random.uniform(0.5, 1.0)
                failures += 1
                log.warning("gateway does not answer", error=str(error), next_attempt_s=round(wait_s, 1))
                stop.wait(wait_s)
            except (GatewayRefuses, ProposalRejected, SetpointInvalid) as error:
                last = error.last_sequence if isinstance(error, ProposalRejected) else None
                if last is not None and not renumbered:  # the sequence's file was lost: begin behind it
                    self._proposer.numbers.raise_to(last)
                    made, renumbered = None, True
                    continue
                log.error("interval not proposed", start_utc=format_time_utc(start_s), error=str(error))
                return self._keep(made[0], f"refused: {error}") if made else None
        if made is not None:
            return self._keep(made[0], "not sent: the gateway did not answer in time")
        log.error("interval not planned", start_utc=format_time_utc(start_s))
        return None

    def _make(self, start_s: int) -> tuple[Step, SignedProposal | None]:
        devices, now_s = self.case.settings, int(self._now_s())
        told = read_devices(self._gateway)
        readouts = {name: device.readout for name, device in told.items() if device.readout}
        if start_s % DAY_S == 0 or not self._midnight:
            self._midnight = {
                fleet.name: (readout["supply_wh"], readout["draw_wh"])
                for fleet in devices.vehicles
                if {"supply_wh", "draw_wh"} <= (readout := readouts.get(fleet.name, {})).keys()
            }
        state = state_of(devices, readouts, start_s, self._midnight)
        measured = self._measured()
        if measured is not None:
            self._peak = start_s, measured.peak_import_kw(start_s)
        state = replace(state, peak_import_kw=self._peak_kw(start_s))
        price, price_from = self._price(measured, start_s)
        outlook = self._outlook.outlook(start_s, measured)
        decision = self._controller.decide(state, outlook, price)
        names = [name for name in devices.names if name in readouts]
        undeclared = sorted(set(devices.names) - set(names))
        signed = None
        if names:
            seen = {name: getattr(outlook, name).tolist() for name in outlook.SERIES}
            signed = self._proposer.propose(
                setpoints_w(decision, told, names),
                start_s,
                self.step_s,
                now_s,
                {"state": asdict(state), "outlook": seen, "price_eur_per_kwh_pe": price},
                start_s + self.settings.proposed_steps * self.step_s,
            )
            number = signed.proposal.sequence
            (self._data / "proposals" / f"{number:06d}.json").write_bytes(signed.to_json())
        step = Step(
            format_time_utc(start_s),
            str(decision.source),
            decision.reason,
            price,
            price_from,
            outlook.method,
            undeclared,
            None if signed is None else signed.proposal.sequence,
            "",
        )
        return step, signed

    def _measured(self) -> Measured | None:
        table = self.settings.certifier
        if table is None:
            return None
        with httpx2.Client(base_url=table.url, timeout=CERTIFIER_TIMEOUT_S, trust_env=False) as client:
            try:
                return read_certifier(client, self.settings.district)
            except BalancesInvalid as error:
                log.warning("no balance from the certifier", error=str(error))
                return None

    def _price(self, measured: Measured | None, now_s: int) -> tuple[float, str]:
        """Price of primary energy, and where it comes from; days not yet known count as the case's."""
        first_s = self.settings.window.start_s
        if measured is not None:
            balance_kwh_pe, days, known_s = measured.window_kwh_pe(first_s, now_s)
            origin = f"balance {balance_kwh_pe:.1f} kWh_PE of {days} days until {format_time_utc(known_s)}"
            self._price_from = self._prices.price(known_s, balance_kwh_pe), origin
            return self._price_from
        if self._price_from is not None:
            price, origin = self._price_from
            return price, f"last known {origin}"
        return self._prices.price(first_s, 0.0), "no balance known: the case's data for the whole window"

    def _peak_kw(self, start_s: int) -> float:
        """The month's highest import, as last told; zero when a month has begun since."""
        told_s, peak_kw = self._peak
        told, now = (datetime.fromtimestamp(time_s, UTC) for time_s in (told_s, start_s))
        return peak_kw if (told.year, told.month) == (now.year, now.month) else 0.0

    def _keep(self, step: Step, answer: str) -> Step:
        kept = Step(**{**asdict(step), "answer": answer})
        document: dict[str, Any] = asdict(kept)
        with (self._data / "steps.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(document) + "\n")
        log.info("interval", **document)
        return kept
