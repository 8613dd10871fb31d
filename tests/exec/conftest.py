"""Machines for programs to run against."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.machines import TestedMachine
from tests.exec.labs import Lab, lacking


@pytest.fixture(scope="session")
def _platform() -> None:
    if reason := lacking():
        pytest.skip(reason)


@pytest.fixture
def lab(_platform: None, tmp_path: Path) -> Iterator[Lab]:
    """A machine in this process with two disks of 16 MiB."""
    made = Lab(tmp_path, [16, 16])
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def machine(_platform: None, tmp_path: Path) -> Iterator[TestedMachine]:
    """A machine whose daemon does not run yet."""
    tested = TestedMachine(tmp_path / "m")
    yield tested
    tested.close()
