"""The machines of a test are closed when it is over."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.targets.machine import Machine


@pytest.fixture(name="make")
def _make() -> Iterator[type[Machine]]:
    made: list[Machine] = []

    class Kept(Machine):
        def __init__(self, table: str) -> None:
            super().__init__(table)
            made.append(self)

    yield Kept
    for machine in made:
        machine.dm.close()
