"""Lives drawn from seeds: in order, durable, and equal in the end. Many more: `python -m tests.replication.drawn`."""

from __future__ import annotations

import pytest

from tests.replication.drawn.play import play

_LIVES = 50


@pytest.mark.parametrize("seed", range(_LIVES))
def test_a_drawn_life(seed: int) -> None:
    try:
        play(seed)
    except Exception as error:
        pytest.fail(f"{error}\nto see it: python -m tests.replication.drawn {seed} --verbose (or --shorten)")
