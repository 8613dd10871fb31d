"""The link to the other site, in simulated time: so many bytes a second, a round trip for each request, outages."""

from __future__ import annotations

import errno
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from dmtable.core.bio import Bio, Op
from dmtable.io.constant import ZeroDevice
from dmtable.runtime.runtime import Runtime
from dmtable.units import SECTOR_SHIFT


@dataclass(frozen=True, slots=True)
class Wan:
    """`bandwidth_bytes` a second one way, and the time of a round trip. `outages` are (begin, seconds), in order;
    in them every request fails, and what is under way when one begins."""

    bandwidth_bytes: float
    rtt_seconds: float
    outages: tuple[tuple[float, float], ...] = ()

    def write_seconds(self, sectors: float) -> float:
        """How long a write of this size takes, alone on the link."""
        return self.rtt_seconds + sectors * (1 << SECTOR_SHIFT) / self.bandwidth_bytes

    def is_up(self, seconds: float) -> bool:
        at = bisect_right(self.outages, seconds, key=lambda outage: outage[0]) - 1
        return at < 0 or seconds >= sum(self.outages[at])

    def next_outage(self, seconds: float) -> float | None:
        """When the first begins after that time."""
        at = bisect_right(self.outages, seconds, key=lambda outage: outage[0])
        return self.outages[at][0] if at < len(self.outages) else None


class BlankDevice(ZeroDevice):
    """Takes no time and keeps nothing: all that is ever written to it are zeroes."""

    def data_ranges(self, offset: int, length: int) -> Iterable[tuple[int, int]]:
        # Zeroes stand for data here, and must be sent as such.
        return ((offset, length),) if length else ()


class FarDevice(BlankDevice):
    """A device at the other end; those of one `Pipe` share it."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe

    def accept(self, bio: Bio) -> None:
        """Takes a bio (core.bio.submit)."""
        if bio.op is Op.READ and bio.data is not None:
            self.pread_into(bio.data, 0)
        self._pipe.carry(bio)


class Pipe:
    """Carries requests over the link: their bytes one behind the other, their round trips at the same time.

    A write takes the time of `slower` of them.
    """

    def __init__(self, runtime: Runtime, wan: Wan, slower: int = 1) -> None:
        self._runtime = runtime
        self._wan = wan
        self._slower = slower
        self._busy_until = 0.0
        self.on_durable: Callable[[], None] = _nobody
        """Called when a write with FUA, which is an entry and no copy of a region, is durable at the other end."""

    def carry(self, bio: Bio) -> None:
        """Completes the bio when its answer is back, or fails it when the link does."""
        now = self._runtime.now()
        if not self._wan.is_up(now):
            bio.complete(errno.ENOLINK)
            return
        # What tests whether the site is back is no part of the load.
        times = 1 if bio.op is Op.READ else self._slower
        moved = bio.sectors << SECTOR_SHIFT if bio.op in (Op.READ, Op.WRITE) else 0
        sent = max(now, self._busy_until) + times * moved / self._wan.bandwidth_bytes
        back, error = sent + times * self._wan.rtt_seconds, 0
        cut = self._wan.next_outage(now)
        if cut is not None and cut < back:
            back, sent, error = cut, min(sent, cut), errno.ENOLINK
        self._busy_until = sent
        if bio.op is not Op.READ and bio.fua and not error:
            bio.on_done(self.on_durable)
        self._runtime.call_later(back - now, partial(bio.complete, error))


def _nobody() -> None:
    """Nobody asked to be told."""
