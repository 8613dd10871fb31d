"""What several files need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.replication.simulated import Place


@pytest.fixture(name="place")
def _place() -> Iterator[Place]:
    place = Place(2)
    yield place
    place.world.close()
