"""How Hypothesis is to treat the properties among the checks."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings

ANY_CLASS = settings(
    deadline=None, suppress_health_check=list(HealthCheck), phases=[each for each in Phase if each is not Phase.explain]
)
"""Of a property that several test classes inherit, which Hypothesis would call a mistake.

It is not asked to explain a failure: it would say which lines of the contract were run, and take long for that.
"""
