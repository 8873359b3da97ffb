"""A simulated device: a physical model, a meter and an MQTT client (`gateway.device`).

It obeys the newest set-point that covers the present, within its physics; without one it follows its own
safe rule. It answers every set-point, also one that comes twice, posts its meter's readings and declares what
it can do next. Time is what `advance` says.
"""

import json
import threading
from collections.abc import Callable
from typing import Final, NamedTuple

from contracts.hour import format_time_utc
from gateway.device import Device, DeviceReceipt
from gateway.setpoint_messages import Answer, Command, DeviceState
from scripts.devices.physics import STEP_S, Model

INTERVAL_S: Final = 900
ROUNDING_WH: Final = 1e-6
"""Above what floating-point sums lose."""


class Done(NamedTuple):
    """What a device did in an interval."""

    start_s: int
    asked_w: int | None
    """Set-point that covered the interval's start; None: it was left to itself."""
    power_w: float
    """Mean power."""
    readout: dict[str, float]


class ReadingRefused(RuntimeError):
    """The gateway refused a reading of a simulated device; the message holds its reason."""


class SimulatedDevice:
    """One device with one meter, whose time starts at `start_s`, a full quarter-hour of Unix seconds."""

    def __init__(
        self,
        url: str,
        district: str,
        device: str,
        point: str,
        model: Model,
        start_s: int,
        *,
        password: str | None = None,
        supplies: bool = True,
        resend_s: float = 2.0,
    ) -> None:
        """`supplies`: its meter also counts supply (a battery's does, a load's does not)."""
        self.name = device
        self.model = model
        self.done: list[Done] = []
        self._point = point
        self._supplies = supplies
        self._now_s = start_s
        self._counted_wh = {"supply_wh": 0.0, "draw_wh": 0.0}
        self._posted_wh = {"supply_wh": 0, "draw_wh": 0}
        self._commands: dict[int, Command] = {}
        self._changed = threading.Condition()
        self._unposted: list[dict[str, object]] = []
        self._refused: list[str] = []
        self._device = Device(
            url,
            district,
            device,
            user=device,
            password=password,
            resend_s=resend_s,
            on_receipt=self._receipt,
            on_setpoint=self._take,
        )

    def start(self) -> None:
        """Connect, and declare what it can do."""
        self._declare()
        self._device.start()

    def close(self) -> None:
        """Disconnect."""
        self._device.close()

    def command(self, time_s: int) -> Command | None:
        """The set-point that holds at a Unix time: of those that cover it the newest."""
        with self._changed:
            return self._covering(time_s)

    def wait_for_command(self, time_s: int, fits: Callable[[Command], bool], timeout_s: float) -> bool:
        """Wait until a set-point that `fits` holds at a time; whether it came in time."""

        def there() -> bool:
            command = self._covering(time_s)
            return command is not None and fits(command)

        with self._changed:
            return self._changed.wait_for(there, timeout_s)

    def work(self, until_s: int) -> None:
        """Let the device's time pass until a full quarter-hour."""
        while self._now_s < until_s:
            start_s, energy_wh, asked = self._now_s, 0.0, self.command(self._now_s)
            while self._now_s < start_s + INTERVAL_S:
                energy_wh += self._pass_a_minute()
            power_w = energy_wh * 3600 / INTERVAL_S
            asked_w = None if asked is None else asked.setpoint_w
            self.done.append(Done(start_s, asked_w, power_w, self.model.readout()))
            self._unposted.append(self._read_meter(start_s))

    def post(self, timeout_s: float = 60.0) -> None:
        """Post what was metered since the last time; returns when the gateway has it.

        Raises ReadingRefused, and ReceiptsMissing while no gateway takes them.
        """
        if self._unposted:
            name = format_time_utc(self._now_s)
            message = {"id": name, "readings": self._unposted}
            self._unposted = []
            self._device.publish(name, json.dumps(message).encode())
            self._declare()
            self._device.wait(timeout_s)
        if self._refused:
            raise ReadingRefused(f"{self.name}: {self._refused[0]}")

    def _pass_a_minute(self) -> float:
        with self._changed:
            command = self._covering(self._now_s)
            if command is None:
                wanted_w = self.model.safe_w(self._now_s)
            else:  # a power that it can hold to the end, so that the mean is what it answered
                possible = self.model.possible(self._now_s, command.until_s - self._now_s)
                wanted_w = possible.clip(command.setpoint_w)
            flow_wh = self.model.step(self._now_s, wanted_w) * STEP_S / 3600
            self._now_s += STEP_S
        self._counted_wh["draw_wh" if flow_wh > 0 else "supply_wh"] += abs(flow_wh)
        return flow_wh

    def _read_meter(self, start_s: int) -> dict[str, object]:
        """An interval's energies in whole Wh; what is below a Wh stays in the meter for the next."""
        values: dict[str, object] = {}
        for channel in ("supply_wh", "draw_wh") if self._supplies else ("draw_wh",):
            energy_wh = int(self._counted_wh[channel] + ROUNDING_WH) - self._posted_wh[channel]
            self._posted_wh[channel] += energy_wh
            values[channel] = energy_wh
        time_utc = format_time_utc(start_s)
        return {"point": self._point, "time_utc": time_utc, "interval_s": INTERVAL_S, **values}

    def _take(self, command: Command) -> Answer:
        with self._changed:
            if command.until_s <= self._now_s:
                return Answer(command.id, "refused", detail=f"it ended at {command.until_utc}")
            self._commands[command.id] = command
            self._commands = {n: c for n, c in self._commands.items() if c.until_s > self._now_s}
            self._changed.notify_all()
            if command.from_s > self._now_s:
                return Answer(command.id, "accepted", command.setpoint_w)
            possible = self.model.possible(self._now_s, command.until_s - self._now_s)
        will_w = round(possible.clip(command.setpoint_w))
        if will_w == command.setpoint_w:
            return Answer(command.id, "accepted", will_w)
        return Answer(command.id, "clipped", will_w, possible.because)

    def _covering(self, time_s: int) -> Command | None:
        covering = [n for n, c in self._commands.items() if c.from_s <= time_s < c.until_s]
        return self._commands[max(covering)] if covering else None

    def _declare(self) -> None:
        possible = self.model.possible(self._now_s, INTERVAL_S)
        self._device.declare(
            DeviceState(
                "online",
                format_time_utc(self._now_s),
                possible.min_w,
                possible.max_w,
                format_time_utc(self._now_s + INTERVAL_S),
                possible.because,
                {**self.model.readout(), **self._posted_wh},
            )
        )

    def _receipt(self, receipt: DeviceReceipt) -> None:
        self._refused += [str(problem) for problem in receipt.refused]
