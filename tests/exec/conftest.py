"""Machines for programs to run against."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dmtable.control.exec.filtered import Filter
from dmtable.errors import UsageError
from tests.daemon.machines import TestedMachine
from tests.exec.labs import Lab


@pytest.fixture(scope="session")
def _platform() -> None:
    if not os.path.exists("/dev/fuse"):
        pytest.skip("there is no /dev/fuse")
    try:
        prepared = Filter()
    except UsageError as error:
        pytest.skip(str(error))
    child = os.fork()
    if child == 0:
        prepared.install()
        os._exit(0)
    try:
        prepared.listener().close()
    except UsageError as error:
        pytest.skip(str(error))
    finally:
        os.waitpid(child, 0)
        prepared.close()


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
