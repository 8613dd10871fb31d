"""Plays lives, and finds the shortest that fails as a given one does."""

from __future__ import annotations

from collections.abc import Callable, Collection

from dmtable.sim.choices import Seeded
from dmtable.sim.power import PowerLoss
from tests.replication.drawn.acts import Act, any_act
from tests.replication.drawn.life import Life

_FEWEST_ACTS = 10
_MORE_ACTS = 50


def acts_of(seed: int) -> list[Act]:
    """What happens in a life, in its order."""
    choices = Seeded(seed, "acts")
    return [any_act(choices) for _ in range(_FEWEST_ACTS + choices.pick(_MORE_ACTS, "how many more acts"))]


def play(seed: int, *, without: Collection[int] = (), say: Callable[[str], None] = lambda text: None) -> None:
    """Lives a life, but for the acts with the numbers `without`. Raises AssertionError, or whatever goes wrong.

    Each act draws from a stream of its own, so that those that are left out change no other.
    """
    life = Life(seed, say)
    try:
        for number, act in enumerate(acts_of(seed)):
            if number not in without:
                life.say(f"{number}: {act.__name__.removeprefix('_')}")
                _carry_out(life, act, Seeded(seed, f"act {number}"))
                life.look()
        life.heal(Seeded(seed, "end"))
    finally:
        life.say("ends")
        life.close()


def _carry_out(life: Life, act: Act, choices: Seeded) -> None:
    todo = act
    while True:
        try:
            todo(life, choices)
            return
        except PowerLoss:
            todo = Life.lose_power


def shortest(seed: int) -> list[int]:
    """The acts that can be left out, so that the life still fails in the same way."""
    acts = range(len(acts_of(seed)))
    wanted = flaw(seed)
    without: set[int] = set()
    span = len(acts)
    while span:
        for first in range(0, len(acts), span):
            more = without | {*acts[first : first + span]}
            if more != without and flaw(seed, more) == wanted:
                without = more
        span //= 2
    return sorted(without)


def flaw(seed: int, without: Collection[int] = ()) -> str:
    """What is wrong with a life, in words that are the same for similar ones; nothing where all is well."""
    try:
        play(seed, without=without)
    except Exception as error:
        said = "".join(letter for letter in str(error) if not letter.isdigit())
        return f"{type(error).__name__}: {said[:60]}"
    return ""
