"""What the tests of contracts share."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, given, is_hypothesis_test, settings
from hypothesis import strategies as st

from dmtable.testing.contracts import Example, Origin, TargetContract


class OnOneDevice(TargetContract):
    """The contract of a target whose words begin with a device and its first sector there."""

    devices: ClassVar = {"/dev/a": 256}

    def origin(self, example: Example, sector: int) -> Origin:
        return "/dev/a", int(example.words.split()[1]) + sector


def message_of(contract: object, check: str) -> str:
    """What a check says of something broken."""
    run: Callable[..., None] = getattr(type(contract), check)
    if is_hypothesis_test(run):
        # One example that fails is enough; there is no need for the simplest.
        unshrunk = settings(phases=[Phase.generate], database=None, suppress_health_check=list(HealthCheck))
        run = unshrunk(given(data=st.data())(run.hypothesis.inner_test))  # type: ignore[attr-defined]
    with pytest.raises(AssertionError) as caught:
        run(contract)
    return str(caught.value)
