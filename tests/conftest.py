"""Settings of all tests: how long an example takes depends on the machine, and is no finding; a command run
inside a test leaves no logger behind that writes to that test's closed output."""

import structlog
from hypothesis import HealthCheck, settings

settings.register_profile("ped", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ped")


def pytest_runtest_teardown() -> None:
    """After each test, structlog logs to the present output again."""
    structlog.reset_defaults()
