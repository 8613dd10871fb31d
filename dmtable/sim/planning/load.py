"""What applications write, and when: a steady rate with bursts, or a recorded trace."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from dmtable.errors import UsageError
from dmtable.units import SECTOR_SHIFT

_SEED = 2008


@dataclass(frozen=True, slots=True)
class Write:
    """A write to a device of the group, `seconds` behind the begin; with `flush` the application flushes behind it."""

    seconds: float
    device: int
    sector: int
    sectors: int
    flush: bool = False


class Load(ABC):
    """Writes in the order of their times."""

    devices: int
    """They are numbered from 0 on."""
    device_sectors: int
    """The size of each."""

    @property
    @abstractmethod
    def duration_seconds(self) -> float:
        """When the load ends."""

    @property
    @abstractmethod
    def count(self) -> int:
        """How many writes there are."""

    @property
    @abstractmethod
    def mean_sectors(self) -> float:
        """Of a write."""

    @property
    @abstractmethod
    def max_sectors(self) -> int:
        """Of the largest write."""

    @abstractmethod
    def every(self, step: int) -> Iterator[Write]:
        """The last of each `step` writes."""


@dataclass(frozen=True, slots=True)
class Burst:
    """At the end of each `period_seconds` the rate is this one for `seconds`."""

    rate_bytes: float
    seconds: float
    period_seconds: float


@dataclass(frozen=True)
class Steady(Load):
    """`rate_bytes` a second in writes of `sectors`, to the devices in turn, each from its begin to its end and
    again; or at random places."""

    rate_bytes: float
    sectors: int
    seconds: float
    device_sectors: int
    devices: int = 1
    bursts: Sequence[Burst] = ()
    at_random: bool = False

    @property
    def duration_seconds(self) -> float:
        return self.seconds

    @cached_property
    def count(self) -> int:
        size = self.sectors << SECTOR_SHIFT
        # A little more, lest rounding take the last away.
        return int(sum((end - begin) * rate for begin, end, rate in self._phases()) / size + 1e-6)

    @property
    def mean_sectors(self) -> float:
        return self.sectors

    @property
    def max_sectors(self) -> int:
        return self.sectors

    def every(self, step: int) -> Iterator[Write]:
        dice = random.Random(_SEED)
        places = self.device_sectors // self.sectors
        lacking = share = float(step * self.sectors << SECTOR_SHIFT)
        number = 0
        for begin, end, rate in self._phases():
            at = begin
            while number < self.count // step and at + lacking / rate <= end + 1e-9:
                at += lacking / rate
                lacking = share
                place = dice.randrange(places) if self.at_random else number * step // self.devices % places
                yield Write(at, number % self.devices, place * self.sectors, self.sectors)
                number += 1
            lacking -= (end - at) * rate

    def _phases(self) -> Iterator[tuple[float, float, float]]:
        """(begin, end, bytes a second), without holes; of bursts at one time the fastest counts."""
        edges = {0.0, self.seconds}
        for burst in self.bursts:
            for number in range(1, int(self.seconds // burst.period_seconds) + 2):
                end = number * burst.period_seconds
                edges |= {min(end - burst.seconds, self.seconds), min(end, self.seconds)}
        ordered = sorted(edges)
        for begin, end in pairwise(ordered):
            middle = (begin + end) / 2
            rates = [b.rate_bytes for b in self.bursts if middle % b.period_seconds > b.period_seconds - b.seconds]
            yield begin, end, max(rates, default=self.rate_bytes)


class Trace(Load):
    """Recorded writes, at least one. Raises UsageError where their times go back."""

    def __init__(self, writes: Sequence[Write]) -> None:
        if not writes:
            raise UsageError("the trace has no writes")
        for before, write in pairwise(writes):
            if write.seconds < before.seconds:
                raise UsageError(f"the trace goes back in time, from {before.seconds} to {write.seconds} seconds")
        self._writes = writes
        self.devices = 1 + max(write.device for write in writes)
        self.device_sectors = max(write.sector + write.sectors for write in writes)

    @cached_property
    def max_sectors(self) -> int:
        return max(write.sectors for write in self._writes)

    @cached_property
    def mean_sectors(self) -> float:
        return sum(write.sectors for write in self._writes) / len(self._writes)

    @property
    def duration_seconds(self) -> float:
        return self._writes[-1].seconds

    @property
    def count(self) -> int:
        return len(self._writes)

    def every(self, step: int) -> Iterator[Write]:
        return iter(self._writes[step - 1 :: step])
