"""One day of dispatch with real set-points reaching simulated devices: `scripts/demo --dispatch`.

Every hour the optimiser plans 24 hours ahead from the devices' states, signs the first hours as a proposal
and sends it to the gateway, which checks it and commands battery, vehicles and heat pump over MQTT. At noon
comes a forged proposal; in the evening the optimiser falls silent, and the safe schedule takes over.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import httpx2

from contracts.hour import DAY_S, HOUR_S, HOURS_PER_DAY, format_time_utc, parse_time_utc
from contracts.key import SigningKey
from contracts.point import Kind
from gateway.setpoint_messages import Command
from optimiser.dispatch.controller import Controller
from optimiser.dispatch.devices import Battery as BatterySettings
from optimiser.dispatch.devices import DeviceSettings, Penalties, Vehicles
from optimiser.dispatch.devices import HeatPump as HeatPumpSettings
from optimiser.dispatch.live import Device, read_devices, setpoints_w, state_of
from optimiser.dispatch.model import MODEL_VERSION
from optimiser.proposal import ProposalRejected, Proposer, SequenceFile, send
from scripts.devices.day_inputs import DayInputs, outdoor_degc, read_day
from scripts.devices.physics import THERMOSTAT_K, Battery, HeatPump, Trip, Vehicle
from scripts.devices.stage import DISTRICT, GATEWAY, Equipment, Stage
from scripts.replay.processes import Supervisor

START_S: Final = parse_time_utc("2019-01-16T00:00:00Z")
PROPOSED_HOURS: Final = 2
"""So long a proposal holds: a lost optimiser is missed for no longer."""
SILENT_HOURS: Final = range(20, 23)
FORGED_HOUR: Final = 12
PRIMARY_EUR_PER_KWH_PE: Final = 0.04
ANSWER_S: Final = 20.0

SETTINGS: Final = DeviceSettings(
    battery=(BatterySettings(capacity_kwh=200, charge_kw=60, discharge_kw=60, initial_soc=0.4),),
    vehicles=(
        Vehicles(
            count=6,
            capacity_kwh=50,
            charge_kw=11,
            discharge_kw=11,
            departure_h=7,
            arrival_h=17,
            trip_kwh=12,
            needed_kwh=35,
            initial_soc=0.5,
        ),
    ),
    heat_pump=(
        HeatPumpSettings(
            power_kw=20,
            store_kwh=120,
            store_kw=60,
            resistance_k_per_kw=0.16,
            capacitance_kwh_per_k=60,
            room_min_degc=20.5,
            initial_room_degc=20.6,
        ),
    ),
    penalties=Penalties(comfort_eur_per_k_h=20.0),
)


class DayFailed(RuntimeError):
    """The day did not go as it must; the message says where."""


@dataclass(frozen=True)
class DayResult:
    """What the day left, for the page."""

    inputs: DayInputs
    setpoints: list[dict[str, Any]]
    """Rows of the gateway's comparison."""
    proposals: list[dict[str, Any]]
    refusals: list[dict[str, Any]]
    done: dict[str, list[tuple[int, float, dict[str, float]]]]
    """Device -> (start_s, mean W, readout) of each quarter-hour."""
    plan_ms: list[float]
    """Time to plan one step."""
    sources: list[str]
    """What each step's set-points come from: the optimum, or what stood in for it."""


def equipment(start_s: int) -> list[Equipment]:
    """The plant that the settings describe, as physical models."""
    battery, fleet, pump = SETTINGS.battery[0], SETTINGS.vehicles[0], SETTINGS.heat_pump[0]
    trips = [
        Trip(
            day_s + int(fleet.departure_h * HOUR_S),
            day_s + int(fleet.arrival_h * HOUR_S),
            fleet.count * fleet.trip_kwh * 1000,
            fleet.count * fleet.needed_kwh * 1000,
        )
        for day_s in (start_s, start_s + DAY_S)
    ]

    def storage(of: BatterySettings | Vehicles, count: int, stored_kwh: float) -> Battery:
        return Battery(
            count * of.capacity_kwh * 1000,
            round(count * of.charge_kw * 1000),
            round(count * of.discharge_kw * 1000),
            stored_kwh * 1000,
            of.charge_efficiency,
            of.discharge_efficiency,
        )

    def entry(
        name: str, kind: Kind, model: Battery | Vehicle | HeatPump, low_w: float, high_w: float
    ) -> Equipment:
        permille = 950 if kind is not Kind.LOAD else 0
        return Equipment(name, kind, round(low_w), round(high_w), 0, model, permille)

    cars = fleet.count * 1000
    heated = HeatPump(
        round(pump.power_kw * 1000),
        pump.store_kwh * 1000,
        pump.initial_store_share * pump.store_kwh * 1000,
        pump.initial_room_degc,
        outdoor_degc,
        pump.resistance_k_per_kw / 1000,
        pump.capacitance_kwh_per_k * 1000,
        pump.store_kw * 1000,
        pump.room_min_degc - THERMOSTAT_K,
        pump.room_max_degc,
    )
    cells = storage(battery, 1, battery.initial_kwh)
    driven = Vehicle(storage(fleet, fleet.count, fleet.initial_kwh), trips)
    return [
        entry(battery.name, Kind.STORAGE, cells, -battery.discharge_kw * 1000, battery.charge_kw * 1000),
        entry(fleet.name, Kind.VEHICLE, driven, -fleet.discharge_kw * cars, fleet.charge_kw * cars),
        entry(pump.name, Kind.LOAD, heated, 0, pump.power_kw * 1000),
    ]


def run_day(folder: Path, progress: Callable[[int], None]) -> DayResult:
    """Play the day in `folder`. Raises DayFailed, ProcessFailed and what devices and gateway raise."""
    inputs = read_day(START_S)
    key = SigningKey.generate()
    with Supervisor(folder / "logs") as supervisor:
        stage = Stage(supervisor, folder, equipment(START_S), START_S, key.address)
        stage.start()
        controller = Controller(SETTINGS, HOURS_PER_DAY, HOUR_S)
        try:
            with stage.client() as client:
                day = _Day(stage, client, inputs, controller, key)
                for hour in range(HOURS_PER_DAY):
                    day.play(hour)
                    progress(hour + 1)
                return day.result()
        finally:
            stage.close()


class _Day:
    def __init__(
        self, stage: Stage, client: httpx2.Client, inputs: DayInputs, controller: Controller, key: SigningKey
    ) -> None:
        self._stage, self._client, self._inputs, self._controller = stage, client, inputs, controller
        numbers = SequenceFile(stage.folder / "sequence")
        self._proposer = Proposer(key, stage.domain, DISTRICT, GATEWAY, MODEL_VERSION, numbers)
        self._first_w: dict[str, int] = {}
        self._plan_ms: list[float] = []
        self._sources: list[str] = []

    def play(self, hour: int) -> None:
        """Propose, see the set-points arrive, let the hour pass."""
        now_s = START_S + hour * HOUR_S
        self._stage.pass_time(now_s)
        if hour == FORGED_HOUR:
            self._forge(now_s)
        if hour not in SILENT_HOURS:
            self._propose(now_s, hour)
        for name, device in self._stage.devices.items():
            fits = self._fitting(name, hour)
            if not device.wait_for_command(now_s, fits, ANSWER_S):
                raise DayFailed(
                    f"{name} has no fitting set-point for {format_time_utc(now_s)}: {device.command(now_s)}"
                )
        self._stage.advance(now_s + HOUR_S)

    def _fitting(self, name: str, hour: int) -> Callable[[Command], bool]:
        """What must hold in an hour: the plan's first step, what is left of the last plan, or the safe power.

        A plan that repeats what was commanded for the hour before makes no new command.
        """
        if hour not in SILENT_HOURS:
            return lambda command: (command.source, command.setpoint_w) == ("proposal", self._first_w[name])
        source = "proposal" if hour - SILENT_HOURS.start < PROPOSED_HOURS - 1 else "safe"
        return lambda command: command.source == source

    def _propose(self, now_s: int, hour: int) -> None:
        declared = self._declared(now_s)
        readouts = {name: device.readout for name, device in declared.items()}
        meters = dict.fromkeys(
            (fleet.name for fleet in SETTINGS.vehicles), (0.0, 0.0)
        )  # they begin with the day
        state = state_of(SETTINGS, readouts, now_s, meters)
        outlook = self._inputs.outlook(hour)
        began = time.perf_counter()
        decision = self._controller.decide(state, outlook, PRIMARY_EUR_PER_KWH_PE)
        self._plan_ms.append(1000 * (time.perf_counter() - began))
        self._sources.append(str(decision.source))
        powers = setpoints_w(decision, declared, self._stage.devices)
        seen = {name: getattr(outlook, name).tolist() for name in outlook.SERIES}
        signed = self._proposer.propose(
            powers,
            now_s,
            HOUR_S,
            now_s,
            {"state": asdict(state), "outlook": seen, "price_eur_per_kwh_pe": PRIMARY_EUR_PER_KWH_PE},
            now_s + PROPOSED_HOURS * HOUR_S,
        )
        send(self._client, signed)
        self._first_w = {name: planned[0] for name, planned in powers.items()}
        folder = self._stage.folder / "proposals"
        folder.mkdir(exist_ok=True)
        (folder / f"{signed.proposal.sequence:04d}.json").write_bytes(signed.to_json())

    def _declared(self, now_s: int) -> dict[str, Device]:
        """What every device declares now, asked of the gateway."""
        deadline, now_utc = time.monotonic() + ANSWER_S, format_time_utc(now_s)
        told: dict[str, Device] = {}
        while time.monotonic() < deadline:
            told = read_devices(self._client)
            if all(told[name].declared_utc == now_utc for name in self._stage.devices):
                return told
            time.sleep(0.02)
        raise DayFailed(f"at {now_utc} the gateway knows {told}")

    def _forge(self, now_s: int) -> None:
        """Somebody with another key asks for full discharge; it must not come through."""
        name = SETTINGS.battery[0].name
        thief = replace(
            self._proposer,
            key=SigningKey.generate(),
            numbers=SequenceFile(Path(self._stage.folder / "thief")),
        )
        least_w = self._stage.equipment[name].min_w
        try:
            send(self._client, thief.propose({name: [least_w]}, now_s, HOUR_S, now_s, "forged"))
        except ProposalRejected:
            return
        raise DayFailed("the gateway took a forged proposal")

    def result(self) -> DayResult:
        """Ask the gateway what came of it all."""
        span = {
            "from_utc": format_time_utc(START_S),
            "until_utc": format_time_utc(START_S + DAY_S),
        }
        answer = self._client.get("/v1/control", params=span).raise_for_status().json()
        table = self._client.get("/v1/control.csv", params=span).raise_for_status()
        (self._stage.folder / "control.csv").write_text(table.text, "utf-8")
        (self._stage.folder / "control.json").write_text(json.dumps(answer, indent=1), "utf-8")
        done = {
            name: [(entry.start_s, entry.power_w, entry.readout) for entry in device.done]
            for name, device in self._stage.devices.items()
        }
        return DayResult(
            self._inputs,
            answer["setpoints"],
            answer["proposals"],
            answer["refusals"],
            done,
            self._plan_ms,
            self._sources,
        )
