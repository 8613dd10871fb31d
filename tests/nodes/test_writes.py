"""Whose turn it is to write, where some write part of a block."""

from __future__ import annotations

from functools import partial
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from dmtable.nodes.writes import Writes

RANGES = st.tuples(st.integers(0, 7), st.integers(1, 4), st.booleans())
"""Where it begins, how long it is, whether it is for part of a block."""


def test_whole_writes_wait_for_nobody() -> None:
    writes = Writes()
    assert writes.begin(1, 0, 8)
    assert writes.begin(2, 4, 12)


def test_a_part_waits_for_a_write_before_it_and_is_waited_for() -> None:
    writes = Writes()
    went: list[int] = []
    assert writes.begin(1, 0, 8)
    assert not writes.begin(2, 7, 9, part=True)
    assert not writes.begin(3, 8, 16)
    assert writes.begin(4, 9, 16)
    for unique in (2, 3):
        writes.in_turn(unique, partial(went.append, unique))
    writes.end(4)
    assert went == []
    writes.end(1)
    assert went == [2]
    writes.end(2)
    assert went == [2, 3]


@given(st.lists(RANGES, max_size=12), st.randoms(use_true_random=False))
def test_all_get_their_turn_and_no_part_meets_another(ranges: list[tuple[int, int, bool]], chance: Random) -> None:
    writes = Writes()
    active: list[int] = []
    went: list[int] = []

    def go(unique: int) -> None:
        offset, length, part = ranges[unique]
        for other in active:
            at, size, is_part = ranges[other]
            assert not ((part or is_part) and at < offset + length and offset < at + size)
        active.append(unique)
        went.append(unique)

    todo = list(range(len(ranges)))
    while todo or active:
        if todo and (not active or chance.random() < 0.6):
            unique = todo.pop(0)
            offset, length, part = ranges[unique]
            if writes.begin(unique, offset, offset + length, part=part):
                go(unique)
            else:
                writes.in_turn(unique, partial(go, unique))
        else:
            ended = active.pop(chance.randrange(len(active)))
            writes.end(ended)
    assert sorted(went) == list(range(len(ranges)))
