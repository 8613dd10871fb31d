"""A machine of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.machines import TestedMachine


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[TestedMachine]:
    """A machine whose daemon does not run yet."""
    tested = TestedMachine(tmp_path / "m")
    yield tested
    tested.close()
