"""Every decision that a simulation leaves open is one number, taken from a source of choices.

Who runs next, which fault strikes, what survives a power loss: all ask `pick`. So a run is its script, the
list of numbers that were taken: the same script is the same run, and a shorter one is a simpler run, because
0 is always the ordinary course (go on with the same worker, no fault).
"""

from __future__ import annotations

import math
import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence


class Choices(ABC):
    """A source of decisions."""

    def __init__(self) -> None:
        self.script: list[int] = []
        """Every number taken so far."""
        self.known = 0
        """Up to this number of picks the run is the same as the one before, in an exhaustive search."""

    def pick(self, count: int, what: str) -> int:
        """A number below `count`; `what` says what is decided, for whoever reads along."""
        if count < 2:
            return 0
        number = self._pick(count, what)
        self.script.append(number)
        return number

    def chance(self, one_in: int, what: str) -> bool:
        """True about once in so many times, and never in the ordinary course. 0 is never."""
        return one_in > 0 and self.pick(one_in + 1, what) == one_in

    @abstractmethod
    def _pick(self, count: int, what: str) -> int: ...


class Ordinary(Choices):
    """The ordinary course of things, always."""

    def _pick(self, count: int, what: str) -> int:
        return 0


class InTurn(Choices):
    """Never the ordinary course where there is another: whoever can run has a turn after the other."""

    def _pick(self, count: int, what: str) -> int:
        return 1


class Seeded(Choices):
    """Drawn from a seed: the same seed gives the same numbers, on every machine. `stream` makes several of one seed."""

    def __init__(self, seed: int, stream: str = "") -> None:
        super().__init__()
        self.seed = seed
        # As text, for Python takes -1 and 1 for the same seed.
        self._random = random.Random(f"{seed} {stream}")

    def _pick(self, count: int, what: str) -> int:
        return self._random.randrange(count)


class Scripted(Choices):
    """The numbers of a script; the ordinary course where it ends or says more than there is."""

    def __init__(self, script: Sequence[int]) -> None:
        super().__init__()
        self._rest = iter(tuple(script))

    def _pick(self, count: int, what: str) -> int:
        number = next(self._rest, 0)
        return number if number < count else 0


class _Branch(Choices):
    """One run of an exhaustive search: a given beginning, then 0; remembers how many ways there were."""

    def __init__(self, beginning: Sequence[int], departures: int | None) -> None:
        super().__init__()
        self.counts: list[int] = []
        self.known = max(len(beginning) - 1, 0)
        self._beginning = beginning
        self._departures_left = math.inf if departures is None else departures

    def _pick(self, count: int, what: str) -> int:
        at = len(self.counts)
        number = self._beginning[at] if at < len(self._beginning) else 0
        self.counts.append(count if self._departures_left else 1)
        self._departures_left -= number > 0
        return number


def exhaustive(departures: int | None = None) -> Iterator[Choices]:
    """Sources that together take every way there is, one run each; each must be used up before the next is asked.

    With `departures`, every way that leaves the ordinary course at most so often (delay bounding, after Emmi,
    Qadeer and Rakamarić). The runs must depend on nothing but their choices. Found by counting up the script of
    the last run like an odometer whose wheels have as many digits as there were ways.
    """
    beginning: list[int] = []
    while True:
        branch = _Branch(beginning, departures)
        yield branch
        beginning, counts = branch.script, branch.counts
        while beginning and beginning[-1] + 1 >= counts[len(beginning) - 1]:
            beginning.pop()
        if not beginning:
            return
        beginning[-1] += 1
