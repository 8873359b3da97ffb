"""A whole gateway in one object: `Gateway(config).start()`, and `stop()`."""

import asyncio
import threading
from typing import Any

import uvicorn

from contracts.deployment import Deployment
from contracts.key import SigningKey
from contracts.keystore import read_secret
from gateway.clock import ChainClock, Clock, SystemClock
from gateway.comparison import Comparison
from gateway.config import GatewayConfig, KeyTable
from gateway.control import Control
from gateway.http import http_application
from gateway.intake import IntakeWorker
from gateway.ledger import LedgerLink
from gateway.lookup import Lookup
from gateway.metrics import Metrics
from gateway.mqtt import MqttIntake
from gateway.outbox import connect
from gateway.relay import Relay
from gateway.signing import Signer


class HttpFailed(RuntimeError):
    """The HTTP server could not start."""


class Gateway:
    """Intake, relay and pages of one gateway."""

    def __init__(self, config: GatewayConfig) -> None:
        """Reads keys and the deployment file, opens the outbox.

        Raises KeystoreInvalid, PasswordMissing, DeploymentInvalid, OutboxUnusable, OSError.
        """
        self.config = config
        key = _load_key(config.key)
        relayer = key if config.chain.relayer is None else _load_key(config.chain.relayer)
        self.link = LedgerLink(Deployment.load(config.chain.deployment), config.gateway.id, relayer)
        self.clock: Clock = (
            ChainClock(self.link.block_time_s) if config.chain.clock == "chain" else SystemClock()
        )
        self.metrics = Metrics()
        self.relay = Relay(
            config, self.link, Signer(config.gateway.id, key, self.link.domain), self.clock, self.metrics
        )
        self.intake = IntakeWorker(config, self.clock, self.metrics, on_commit=self.relay.wake)
        self.control = (
            Control(config, config.control, self.link.setpoint_domain, self.clock, self.metrics)
            if config.control
            else None
        )
        self.mqtt = (
            MqttIntake(config, config.mqtt, self.intake, self.metrics, self.control) if config.mqtt else None
        )
        self._server: _HttpServer | None = None

    def start(self) -> None:
        """Start everything; returns once it listens. Raises HttpFailed."""
        self.relay.start()
        self.intake.start()
        if self.control is not None:
            self.control.start()
        if self.mqtt is not None:
            self.mqtt.start()
        if self.config.http is not None:
            self._server = _HttpServer(http_application(self), self.config.http.host, self.config.http.port)
            self._server.start()

    def stop(self) -> None:
        """Stop taking in, write what came, end. What is not sent stays in the outbox."""
        if self._server is not None:
            self._server.stop()
        if self.mqtt is not None:
            self.mqtt.stop()
        if self.control is not None:
            self.control.stop()
        self.intake.stop()
        self.relay.stop()

    @property
    def http_port(self) -> int | None:
        """Port on which HTTP is served."""
        return None if self._server is None else self._server.port

    def status(self) -> dict[str, Any]:
        """How the gateway is; no reading of anybody in it."""
        connection = connect(self.config.gateway.data)
        try:
            lookup = Lookup(self.config, connection)
            return {
                "gateway": self.config.gateway.id,
                "district": self.config.gateway.district,
                "points": len(self.config.points),
                "devices": len(self.config.devices),
                "problems": {
                    name: problem
                    for name, problem in (
                        ("outbox", self.intake.problem),
                        ("broker", self.mqtt.problem if self.mqtt else ""),
                        ("chain", self.relay.problem),
                        ("control", self.control.problem if self.control else ""),
                        *((f"day {day}", reason) for (_, day), reason in list(self.relay.held.items())),
                    )
                    if problem
                },
                "messages_waiting": self.intake.waiting,
                "hours_waiting": lookup.waiting_hours(),
                "batches": lookup.batch_counts(),
                "refused_batches": lookup.refused_batches(),
                "refused_readings": lookup.latest_refusals(),
                "control": Comparison(self.config, connection).summary() if self.control else None,
            }
        finally:
            connection.close()


def _load_key(table: KeyTable) -> SigningKey:
    password = read_secret(table.password_file, table.password_env, f"password of {table.keystore}")
    return SigningKey.load(table.keystore, password)


class _HttpServer:
    """uvicorn in a thread."""

    def __init__(self, application: Any, host: str, port: int) -> None:
        settings = uvicorn.Config(application, host=host, port=port, log_level="warning", access_log=False)
        self._server = uvicorn.Server(settings)
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)
        self._ended = threading.Event()
        self.port = port

    def start(self) -> None:
        self._thread.start()
        while not self._server.started:
            if self._ended.wait(0.01):
                raise HttpFailed(f"cannot listen on port {self.port}; is it in use?")
        self.port = self._server.servers[0].sockets[0].getsockname()[1]

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._server.serve())
        except SystemExit:  # uvicorn's way to say that it could not bind
            pass
        finally:
            self._ended.set()
