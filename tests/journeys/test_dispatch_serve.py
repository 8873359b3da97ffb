"""`ped dispatch serve` beside a gateway process, Mosquitto and simulated devices."""

import http.server
import json
import math
import os
import re
import signal
import socket
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from typer.testing import CliRunner

from contracts.hour import HOUR_S, format_time_utc, parse_time_utc
from contracts.key import SigningKey
from contracts.point import Kind
from optimiser.case import CaseError
from optimiser.dispatch.serve import Service, Step, load_settings
from optimiser.foresight_commands import commands
from scripts.devices.physics import Battery
from scripts.devices.stage import DISTRICT, GATEWAY, Equipment, Stage
from scripts.replay.gateways import KEYSTORE_ITERATIONS
from scripts.replay.processes import LOOPBACK, Supervisor, free_port
from scripts.replay.world import PED, mosquitto

START_S = parse_time_utc("2019-01-16T00:00:00Z")
DATA_DAYS = 21
CASE = f"""
title = "Serve"
first_day = 2019-01-01
days = {DATA_DAYS}
[factors]
kind = "static"
static = {{ import_pef = 2.5, export_pef = 2.3, import_ghg_kg_per_kwh = 0.5 }}
[grid]
buy = {{ csv = "data.csv", column = "buy_eur_per_kWh" }}
sell = {{ csv = "data.csv", column = "sell_eur_per_kWh" }}
[load]
series = {{ csv = "data.csv", column = "load_kW" }}
[dispatch]
horizon_h = 24
generation = {{ csv = "data.csv", column = "pv_kW" }}
[[dispatch.battery]]
capacity_kwh = 20
charge_kw = 5
discharge_kw = 5
"""


@dataclass
class Town:
    """The platform's address and the folder of the settings."""

    folder: Path
    stage: Stage

    def write(self, gateway_url: str, certifier_url: str | None = None) -> Path:
        """Settings; without its address with a certifier that nobody runs."""
        path = self.folder / "serve.toml"
        path.write_text(f"""
case = "case.toml"
district = "{DISTRICT}"
deployment = "deployment.json"
data = "dispatch"
lead_s = 0
[gateway]
id = "{GATEWAY}"
url = "{gateway_url}"
token_file = "token"
[key]
keystore = "optimiser.json"
password_file = "optimiser-password"
[certifier]
url = "{certifier_url or f"http://{LOOPBACK}:{free_port()}"}"
[window]
first_day = 2019-01-01
days = 365
""")
        return path


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    if mosquitto() is None:
        pytest.skip("mosquitto is not installed")
    folder = tmp_path_factory.mktemp("serve")
    rows = ["time_utc,load_kW,pv_kW,buy_eur_per_kWh,sell_eur_per_kWh"]
    for hour in range(DATA_DAYS * 24):
        sun = max(0.0, math.sin((hour % 24 - 6) / 12 * math.pi))
        price = 0.3 if hour % 24 >= 6 else 0.1
        rows.append(
            f"{format_time_utc(START_S - 15 * 86_400 + hour * HOUR_S)},8.0,{20 * sun:.3f},{price},0.05"
        )
    (folder / "data.csv").write_text("\n".join(rows) + "\n")
    (folder / "case.toml").write_text(CASE)
    key = SigningKey.generate()
    key.save(folder / "optimiser.json", "correct horse", KEYSTORE_ITERATIONS)
    battery = Battery(20_000, 5000, 5000, 4000, 0.97, 0.97)
    plant = [Equipment("battery", Kind.STORAGE, -5000, 5000, 0, battery, 940)]
    with Supervisor(folder / "logs") as supervisor:
        stage = Stage(supervisor, folder, plant, START_S, key.address)
        stage.start()
        stage.pass_time(START_S)
        with stage.client() as client:
            (folder / "token").write_text(client.headers["authorization"].removeprefix("Bearer ") + "\n")
        (folder / "optimiser-password").write_text("correct horse\n")
        yield Town(folder, stage)
        stage.close()


def url_of(stage: Stage) -> str:
    with stage.client() as client:
        return str(client.base_url)


def test_an_interval_is_planned_accepted_and_reaches_the_battery(town: Town) -> None:
    service = Service(load_settings(town.write(url_of(town.stage))), town.folder, lambda: START_S)
    try:
        step = service.serve_interval(START_S, threading.Event())
    finally:
        service.close()
    assert step is not None
    assert step.answer.startswith("0x"), step
    assert step.schedule == "optimum"
    assert step.price.startswith("no balance known"), "the certifier is absent"
    assert step.foresight.endswith("0 measured hours")
    device = town.stage.devices["battery"]
    assert device.wait_for_command(START_S, lambda command: command.proposal == step.answer, 20)
    assert json.loads((town.folder / "dispatch" / "steps.jsonl").read_text().splitlines()[-1])["answer"] == (
        step.answer
    )


class Late(threading.Event):
    """Counts the waits instead of waiting; with the second, `target` begins to answer on `port`."""

    def __init__(self, port: int, target: httpx2.URL) -> None:
        super().__init__()
        self.waits: list[float] = []
        self.server: socketserver.ThreadingTCPServer | None = None
        self._port, self._target = port, target

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        if len(self.waits) == 2:
            upstream = (self._target.host, self._target.port or 80)

            class Forward(socketserver.BaseRequestHandler):
                def handle(self) -> None:
                    with socket.create_connection(upstream) as other:
                        copier = threading.Thread(target=_copy, args=(other, self.request), daemon=True)
                        copier.start()
                        _copy(self.request, other)
                        copier.join(5)

            self.server = socketserver.ThreadingTCPServer((LOOPBACK, self._port), Forward)
            self.server.daemon_threads = True
            threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return False


def _copy(source: socket.socket, sink: socket.socket) -> None:
    while data := source.recv(65_536):
        sink.sendall(data)
    sink.shutdown(socket.SHUT_WR)


def test_a_gateway_that_is_absent_is_tried_again(town: Town) -> None:
    port = free_port()
    stop = Late(port, httpx2.URL(url_of(town.stage)))
    service = Service(load_settings(town.write(f"http://{LOOPBACK}:{port}")), town.folder, lambda: START_S)
    try:
        step = service.serve_interval(START_S, stop)
    finally:
        service.close()
        if stop.server is not None:
            stop.server.shutdown()
            stop.server.server_close()
    assert len(stop.waits) == 2
    assert all(2.5 <= wait_s <= 7.5 for wait_s in stop.waits)
    assert step is not None
    assert step.answer.startswith("0x"), step


class Certifier(http.server.ThreadingHTTPServer):
    """Answers as a certifier that knows the 15 days before START_S (what a real one answers is tested in
    tests/certifier/test_hours_for_dispatch.py), or with 503."""

    BALANCE_MWH_PE = -2_000_000
    """Of each day."""

    def __init__(self) -> None:
        super().__init__((LOOPBACK, 0), _CertifierAnswers)
        self.daemon_threads = True
        self.fails = False

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.server_address[1]}"

    def csv_of(self, path: str) -> str:
        figures, figure = "balance_mwh_pe,lower_mwh_pe,ghg_mg,ghg_upper_mg", self.BALANCE_MWH_PE
        days = [START_S - back * 86_400 for back in range(15, 0, -1)]
        if path.split("?")[0].endswith("/days"):
            rows = [f"{format_time_utc(day)[:10]},{figure},{figure},{-figure},{-figure},24" for day in days]
            return "\n".join([f"day,{figures},complete_hours", *rows]) + "\n"
        hours = [day + HOUR_S * hour for day in days for hour in range(24)]
        rows = [f"{format_time_utc(start_s)},true,9000,0,9000" for start_s in hours]
        return "\n".join(["start_time_utc,complete,consumption_wh,production_wh,import_wh", *rows]) + "\n"


class _CertifierAnswers(http.server.BaseHTTPRequestHandler):
    server: Certifier

    def do_GET(self) -> None:
        self.send_response(503 if self.server.fails else 200)
        self.end_headers()
        self.wfile.write(b"" if self.server.fails else self.server.csv_of(self.path).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def certifier() -> Iterator[Certifier]:
    server = Certifier()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_hours_in_a_row_with_a_certifier_that_fails_and_a_sequence_that_is_lost(
    town: Town, certifier: Certifier
) -> None:
    settings = town.write(url_of(town.stage), certifier.url)
    now_s = START_S
    steps: list[Step] = []

    def serve(service: Service, hour: int) -> Step:
        nonlocal now_s
        start_s = START_S + hour * HOUR_S
        town.stage.advance(start_s - 900)
        now_s = start_s - 60
        town.stage.pass_time(now_s)
        step = service.serve_interval(start_s, threading.Event())
        assert step is not None
        assert step.answer.startswith("0x"), step
        town.stage.pass_time(start_s)
        assert town.stage.devices["battery"].wait_for_command(
            start_s, lambda command: command.proposal == step.answer, 20
        )
        steps.append(step)
        return step

    service = Service(load_settings(settings), town.folder, lambda: now_s)
    first = serve(service, 1)
    assert first.price.startswith("balance -30.0 kWh_PE of 15 days until 2019-01-16T00:00:00Z")
    assert first.foresight.endswith("360 measured hours")
    certifier.fails = True
    second = serve(service, 2)
    assert second.price == f"last known {first.price}"
    assert second.price_eur_per_kwh_pe == first.price_eur_per_kwh_pe
    assert second.foresight.endswith("0 measured hours")
    service.close()

    (town.folder / "dispatch" / "sequence").unlink()
    again = Service(load_settings(settings), town.folder, lambda: now_s)
    third = serve(again, 3)
    assert third.price.startswith("no balance known")
    certifier.fails = False
    fourth = serve(again, 4)
    again.close()
    assert (fourth.price, fourth.price_eur_per_kwh_pe) == (first.price, first.price_eur_per_kwh_pe)
    assert [step.schedule for step in steps] == ["optimum"] * 4
    numbers = [step.sequence for step in steps if step.sequence is not None]
    assert numbers == sorted(set(numbers)), "no number is used twice, even after the file is lost"
    assert len(numbers) == 4
    kept = (town.folder / "dispatch" / "steps.jsonl").read_text().splitlines()[-4:]
    assert [json.loads(line)["start_utc"] for line in kept] == [step.start_utc for step in steps]


def test_it_runs_until_it_is_stopped(town: Town) -> None:
    settings = town.write(url_of(town.stage))
    process = subprocess.Popen(
        [*PED, "dispatch", "--serve", str(settings)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert "is running" in line, process.communicate(timeout=120)
    os.kill(process.pid, signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("lead_s = 0", "lead = 0", "lead: is not known here"),
        ('url = "http://127', 'url = "ftp://127', "gateway.url"),
        ("days = 365", "days = 400", "window.days"),
        ('case = "case.toml"', 'case = "none.toml"', "none.toml: there is no such file"),
    ],
)
def test_wrong_settings_are_named(town: Town, old: str, new: str, message: str) -> None:
    path = town.write(url_of(town.stage))
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(CaseError, match=re.escape(message)):
        Service(load_settings(path), town.folder)


def test_the_command_says_what_is_wrong(town: Town) -> None:
    for words in (["serve"], ["--serve"]):
        result = CliRunner().invoke(commands, ["dispatch", *words, str(town.folder / "nowhere.toml")])
        assert result.exit_code == 1
        assert "nowhere.toml: there is no such file" in result.stderr
