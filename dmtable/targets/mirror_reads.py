"""How a mirror reads: from one leg, and from another where that fails (kernel: do_reads, mirror_end_io)."""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial

from dmtable.core.bio import Bio, Op, submit
from dmtable.core.target import Context
from dmtable.targets.mirror_legs import Leg, LegError, Legs
from dmtable.targets.region_hash import RegionHash


class Reads:
    """Reads that go straight on, and those that `queue` takes to the mirror's Worker."""

    def __init__(
        self, context: Context, begin: int, legs: Legs, regions: RegionHash, queue: Callable[[Bio], None]
    ) -> None:
        self._context = context
        self._begin = begin
        self._legs = legs
        self._regions = regions
        self._queue = queue

    def read(self, bio: Bio) -> bool:
        """Reads a region that the log calls in sync from whichever leg never failed, and queues any other read.

        False where there is no such leg.
        """
        if not self._regions.log.in_sync(self._region_of(bio)):
            self._queue(bio)
            return True
        leg = self._legs.choose()
        if leg is not None:
            self._read(leg, bio, queued=False)
        return leg is not None

    def read_queued(self, bio: Bio) -> None:
        """The Worker's turn: a region that is not in sync is only on the default leg."""
        leg: Leg | None = self._legs.default
        if self._regions.in_sync(self._region_of(bio)):
            leg = self._legs.choose()
        elif leg is not None and leg.errors:
            leg = None
        if leg is not None:
            self._read(leg, bio, queued=True)
        else:
            self._fail(bio)

    def _read(self, leg: Leg, bio: Bio, *, queued: bool) -> None:
        assert bio.data is not None
        below = Bio(Op.READ, leg.offset + bio.sector - self._begin, bio.sectors, bio.data)
        below.on_done(partial(self._was_read, leg, bio, below, queued))
        submit(leg.dm_dev.device, below)

    def _was_read(self, leg: Leg, bio: Bio, below: Bio, queued: bool) -> None:
        if not below.error:
            bio.complete()
            return
        name = leg.dm_dev.name
        if not queued:
            self._context.log(f"raid1: Mirror read failed from {name}. Trying alternative device.")
        self._legs.fail(leg, LegError.READ)
        if self._has_alternative(bio):
            if queued:
                self._context.log_limited("raid1: Read failure on mirror device {}.  Trying alternative device.", name)
            self._queue(bio)
        elif queued:
            self._context.log_limited("raid1: Read failure on mirror device {}.  Failing I/O.", name)
            self._fail(bio)
        else:
            self._context.log("raid1: All replicated volumes dead, failing I/O")
            bio.complete(below.error)

    def _has_alternative(self, bio: Bio) -> bool:
        if not self._legs.default.errors:
            return True
        return self._regions.log.in_sync(self._region_of(bio)) and self._legs.choose() is not None

    def _fail(self, bio: Bio) -> None:
        self._context.log_limited("raid1: Mirror read failed.")
        bio.complete(errno.EIO)

    def _region_of(self, bio: Bio) -> int:
        return (bio.sector - self._begin) // self._regions.log.region_size
