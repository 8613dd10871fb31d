"""What disks may hold after a crash, each state of a disk by a number, so that millions of them can be compared."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from dmtable.sim.cache import Image, State, durable, shown
from dmtable.sim.choices import Seeded
from dmtable.sim.subject import Subject

_T = TypeVar("_T")
Ids = tuple[int, ...]
"""States of disks, by number."""


class CrashStates:
    """Every state of a disk that was met, and what a crash makes of it."""

    def __init__(self, subject: Subject, *, most: int | None, seed: int) -> None:
        """Where a moment has more than `most` crash states, about so many of them are drawn."""
        self.names = tuple(subject.disks)
        self.images: list[Image] = []
        """What a disk in each state shows."""
        self._states: list[State] = []
        self._numbers: dict[State, int] = {}
        self._survivors: dict[State, Ids] = {}
        remote = {name for site in subject.sites[1:] for name in site}
        self._remote = [name in remote for name in self.names]
        self._most = most
        self._draw = Seeded(seed, "what survives")

    def crashed(self, disks: Sequence[State]) -> Iterator[Ids]:
        """What the disks may hold when all lose their power; when only those here do; when none does, and merely the
        process dies. A disk whose power stays on keeps its cache, which is still volatile."""
        lost = [self._surviving(state) for state in disks]
        yield from self._combinations(lost)
        if any(state[1] for state in disks):
            kept = [(self._number(state),) for state in disks]
            if any(state[1] for state, remote in zip(disks, self._remote, strict=True) if remote):
                here = [
                    keeps if remote else loses for keeps, loses, remote in zip(kept, lost, self._remote, strict=True)
                ]
                yield from self._combinations(here)
            yield tuple([number for (number,) in kept])

    def ids(self, images: Mapping[str, Image]) -> Ids:
        """The numbers of disks that hold these images, with nothing in their caches."""
        return tuple([self._number(durable(images[name])) for name in self.names])

    def disks(self, ids: Ids) -> dict[str, State]:
        """The states with these numbers."""
        return {name: self._states[number] for name, number in zip(self.names, ids, strict=True)}

    def shown(self, ids: Ids) -> dict[str, Image]:
        """What disks in these states show."""
        return {name: self.images[number] for name, number in zip(self.names, ids, strict=True)}

    def _surviving(self, state: State) -> Ids:
        """Every state in which a power loss may leave one disk."""
        known = self._survivors.get(state)
        if known is None:
            image, unflushed = state
            options = [tuple(dict.fromkeys((image[at], *versions))) for at, versions in unflushed]
            found = []
            for chosen in self._combinations(options):
                survivor = list(image)
                for (at, _), sector in zip(unflushed, chosen, strict=True):
                    survivor[at] = sector
                found.append(self._number(durable(tuple(survivor))))
            known = self._survivors[state] = tuple(found)
        return known

    def _combinations(self, options: Sequence[Sequence[_T]]) -> Iterable[tuple[_T, ...]]:
        """One of each: every combination; or, where there are too many, all old, all new, and as many as are drawn."""
        if self._most is None or math.prod(map(len, options)) <= self._most:
            return itertools.product(*options)
        drawn = [tuple([some[self._draw.pick(len(some), "")] for some in options]) for _ in range(self._most)]
        return dict.fromkeys([tuple([some[0] for some in options]), tuple([some[-1] for some in options]), *drawn])

    def _number(self, state: State) -> int:
        number = self._numbers.get(state)
        if number is None:
            number = self._numbers[state] = len(self._states)
            self._states.append(state)
            self.images.append(shown(state))
        return number
