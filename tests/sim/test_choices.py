"""Sources of decisions: seeds, scripts, and every way there is."""

from __future__ import annotations

import math
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtable.sim.choices import Choices, Ordinary, Scripted, Seeded, exhaustive

Tree: TypeAlias = "list[Tree]"
"""What follows each way of a decision; a leaf decides nothing."""

trees: st.SearchStrategy[Tree] = st.recursive(st.just([]), lambda below: st.lists(below, max_size=4), max_leaves=40)
counts = st.lists(st.integers(1, 9), max_size=30)


def leaves(tree: Tree) -> int:
    return sum(map(leaves, tree)) if tree else 1


def walk(tree: Tree, choices: Choices) -> tuple[int, ...]:
    """The way from the root to a leaf."""
    way = []
    while tree:
        way.append(choices.pick(len(tree), "way"))
        tree = tree[way[-1]]
    return tuple(way)


@given(trees)
def test_exhaustive_reaches_every_leaf_once(tree: Tree) -> None:
    ways = [walk(tree, choices) for choices in exhaustive()]
    assert len(ways) == len(set(ways)) == leaves(tree)
    assert ways == sorted(ways)


def test_exhaustive_counts_as_an_odometer() -> None:
    runs = [[choices.pick(count, "digit") for count in (2, 1, 3)] for choices in exhaustive()]
    assert runs == [[a, 0, b] for a in range(2) for b in range(3)]


@given(st.integers(), counts)
def test_a_script_replays_a_seeded_run(seed: int, asked: list[int]) -> None:
    first, again = Seeded(seed), Seeded(seed)
    taken = [first.pick(count, "number") for count in asked]
    assert all(0 <= number < count for number, count in zip(taken, asked, strict=True))
    assert [again.pick(count, "number") for count in asked] == taken
    replay = Scripted(first.script)
    assert [replay.pick(count, "number") for count in asked] == taken
    assert replay.script == first.script == again.script


def test_seeds_differ_and_reach_everything() -> None:
    runs = {tuple(choices.pick(3, "number") for _ in range(4)) for choices in map(Seeded, range(1000))}
    assert len(runs) == 3**4


def test_where_nothing_is_left_open_nothing_is_taken() -> None:
    choices = Scripted([1])
    assert [choices.pick(1, "one way"), choices.pick(2, "two ways")] == [0, 1]
    assert choices.script == [1]


def test_a_script_that_says_too_much_or_too_little_means_the_ordinary_course() -> None:
    choices = Scripted([5, 1])
    assert [choices.pick(3, "number") for _ in range(3)] == [0, 1, 0]
    assert choices.script == [0, 1, 0], "what was taken, not what was asked for"


@pytest.mark.parametrize("one_in", [0, 1, 7])
def test_a_chance_never_comes_in_the_ordinary_course(one_in: int) -> None:
    assert not any(Ordinary().chance(one_in, "fault") for _ in range(20))


def test_a_chance_comes_about_as_often_as_it_says() -> None:
    choices = Seeded(3)
    came = sum(choices.chance(9, "fault") for _ in range(10_000))
    assert math.isclose(came, 1000, rel_tol=0.15)
    assert not any(choices.chance(0, "fault") for _ in range(100))
