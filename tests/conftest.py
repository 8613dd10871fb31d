"""Settings for all tests: properties are searched anew in each run, and never fail for being slow."""

from hypothesis import HealthCheck, settings

settings.register_profile("dmtable", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("dmtable")

pytest_plugins = ["pytester"]
