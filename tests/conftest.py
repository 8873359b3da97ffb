"""Settings of all tests: how long an example takes depends on the machine, and is no finding."""

from hypothesis import HealthCheck, settings

settings.register_profile("ped", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ped")
