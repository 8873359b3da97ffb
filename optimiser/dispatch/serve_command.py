"""`ped dispatch serve`: the optimiser beside the platform, until it is stopped."""

import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

import structlog
import typer

from contracts.deployment import DeploymentInvalid
from contracts.key import KeystoreInvalid
from contracts.keystore import PasswordMissing
from optimiser.case import CaseError
from optimiser.command_errors import errors_in_words
from optimiser.dispatch.serve import Service, load_settings
from optimiser.dispatch.state import OutlookInvalid
from optimiser.inputs import InputMissing
from optimiser.proposal import SequenceUnusable
from optimiser.series import SeriesError

_EXPECTED = (
    CaseError,
    DeploymentInvalid,
    InputMissing,
    KeystoreInvalid,
    OSError,
    OutlookInvalid,
    PasswordMissing,
    SequenceUnusable,
    SeriesError,
)


def serve_command(
    settings: Annotated[
        Path, typer.Argument(help="TOML file of the service; format in optimiser/dispatch/serve.py.")
    ],
) -> None:
    """Plan and propose set-points every interval, until interrupted (Ctrl-C or SIGTERM)."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with errors_in_words(*_EXPECTED):
        service = Service(load_settings(settings), settings.parent)
    typer.echo(f"dispatch of {service.settings.district} is running")
    sys.stdout.flush()
    try:
        service.run(stop)
    finally:
        service.close()
