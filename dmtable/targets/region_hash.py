"""Which regions are being written, and which one is being recovered (kernel: dm-region-hash.c).

A region that is not here has the state that its dirty log says. Differently from the kernel, a region that
nobody writes to any more is not called clean at once, but when it was left alone for a while: the writes of
that while then find it marked in the log, and neither wait for the log nor for a Worker.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from enum import Enum, auto

from dmtable.core.bio import Bio
from dmtable.dirtylog.log import DirtyLog


class RegionState(Enum):
    """CLEAN and DIRTY regions are in sync; the log knows of a DIRTY one that it may be written to."""

    CLEAN = auto()
    DIRTY = auto()
    NOSYNC = auto()
    RECOVERING = auto()


class HashedRegion:
    """A region with a history. `marked` says that its mark stands durably in the log."""

    __slots__ = ("delayed", "marked", "number", "pending", "quick", "state", "used")

    def __init__(self, number: int, state: RegionState) -> None:
        self.number = number
        self.state = state
        self.pending = 0
        """Bios under way that write to it."""
        self.quick: list[None] = []
        """A token for each write without a bio. Whoever adds one looks *then* whether the region is marked; whoever
        takes the mark away looks *then* whether there are tokens. So one of them sees the other, without a lock."""
        self.marked = False
        self.used = True
        """Whether it was written to since the last sweep."""
        self.delayed: list[Bio] = []
        """Writes that wait for the end of its recovery."""


class RegionHash:
    """The regions of one mirror. What is called by anybody but the mirror's Worker asks for the lock to be held."""

    def __init__(self, log: DirtyLog, lock: AbstractContextManager[object]) -> None:
        self.log = log
        self.lock = lock
        self.flush_failed = False
        """Some flush failed: nobody knows which of the writes before it are on every leg."""
        self.may_recover = False
        self.recovering: dict[int, HashedRegion] = {}
        """Adjoining regions, by number. The kernel recovers one at a time; several make one quick copy."""
        self.dirty: dict[int, HashedRegion] = {}
        """The regions in the state DIRTY, by number."""
        self._marks_at_once = type(log).flushing is DirtyLog.flushing
        """The log stores nothing, so a mark in it is as good as a stored one."""
        self._others: dict[int, HashedRegion] = {}
        self._copying = False
        self._ahead: int | None = None
        """A region that the log has given out to be recovered, and whose turn is next."""
        self._ended: Sequence[bool] | None = None
        """How the recovery ended, region by region, once it has."""

    def state(self, number: int) -> RegionState:
        region = self.dirty.get(number) or self._others.get(number)
        if region is not None:
            return region.state
        return RegionState.CLEAN if self.log.in_sync(number) else RegionState.NOSYNC

    def in_sync(self, number: int) -> bool:
        """Whether the legs do not differ there, save by what is being written."""
        return self.state(number) in (RegionState.CLEAN, RegionState.DIRTY)

    # Writes.

    def enter(self, number: int) -> HashedRegion:
        """A write to the region begins; the log has to be flushed before, unless the region is marked."""
        with self.lock:
            region = self.dirty.get(number) or self._find(number)
            region.pending += 1
            if region.state is RegionState.CLEAN:
                region.state = RegionState.DIRTY
                self.dirty[number] = self._others.pop(number)
                self.log.mark_region(number)
            return region

    def enter_marked(self, number: int) -> HashedRegion | None:
        """A write begins to a region whose mark stands in the log, or needs not to; else None. Under the lock."""
        region = self.dirty.get(number)
        if region is None:
            region = self.mark_at_once(number)
        if region is None or not region.marked:
            return None
        region.pending += 1
        return region

    def mark_at_once(self, number: int) -> HashedRegion | None:
        """Marks a clean region where a mark needs not to be stored; else None. Under the lock."""
        if not self._marks_at_once or self.state(number) is not RegionState.CLEAN:
            return None
        region = self.enter(number)
        region.pending -= 1
        region.marked = True
        return region

    def unmark_all(self) -> None:
        """The log does not store any more: no write may rely on what it has stored."""
        with self.lock:
            self._marks_at_once = False
            for region in self.dirty.values():
                region.marked = False

    def leave(self, region: HashedRegion) -> bool:
        """A write has ended. Says whether the Worker has to go on with the region's recovery. Under the lock."""
        region.pending -= 1
        region.used = True
        if region.pending or region.quick:
            return False
        if self.flush_failed and region.state is RegionState.DIRTY:
            self._distrust(region)
        return region.state is RegionState.RECOVERING

    def delay(self, bio: Bio, number: int) -> bool:
        """Keeps a write until the region's recovery ends; False where it has ended already."""
        region = self.recovering.get(number)
        if region is None:
            return False
        region.delayed.append(bio)
        return True

    def all_marked(self) -> None:
        """The log was flushed: every mark so far stands in it. For the Worker, which makes the marks."""
        with self.lock:
            for region in self.dirty.values():
                region.marked = True

    def sweep(self, *, wholly: bool) -> None:
        """Calls regions clean that nobody writes to, or wholly, that have been left alone since the last sweep."""
        with self.lock:
            for region in list(self.dirty.values()):
                if region.pending or (region.used and not wholly):
                    region.used = False
                    continue
                marked, region.marked = region.marked, False
                if region.quick:
                    region.marked = marked
                elif self.flush_failed:
                    self._distrust(region)
                else:
                    del self.dirty[region.number]
                    self.log.clear_region(region.number)

    def mark_nosync(self, number: int) -> list[Bio]:
        """A write to the region failed: its legs differ until it is recovered. Returns writes that waited for that."""
        with self.lock:
            region = self.dirty.get(number) or self._find(number)
            self.recovering.pop(number, None)
            self._distrust(region)
            delayed, region.delayed = region.delayed, []
            return delayed

    # Recovery.

    def next_to_recover(self, most: int) -> list[HashedRegion]:
        """Up to so many adjoining regions to be copied now: no write to them is under way, and none begins.

        Only once each. The first of them is waited for, until the writes to it have ended.
        """
        with self.lock:
            if not self.recovering and self.may_recover:
                self._take(self._next_number())
            if not self.recovering or self._copying:
                return []
            (first,) = self.recovering.values()
            if first.pending or first.quick:
                return []
            while len(self.recovering) < most and (number := self._next_number()) is not None:
                if number != first.number + len(self.recovering) or self._is_busy(number):
                    self._ahead = number
                    break
                self._take(number)
            self._copying = True
            return list(self.recovering.values())

    def recovered(self, each: Sequence[bool]) -> None:
        """The copy has ended: whether it went well, region by region. For any thread."""
        self._ended = each

    def settle(self, *, errors_handled: bool) -> list[Bio]:
        """Tells the log of the recovery that has ended, if one has; returns the writes that waited for it."""
        with self.lock:
            ended, self._ended = self._ended, None
            if ended is None:
                return []
            delayed: list[Bio] = []
            for region, ok in zip(self.recovering.values(), ended, strict=True):
                if ok:
                    self.log.clear_region(region.number)
                # Whoever does not handle errors takes what was copied for good.
                self.log.set_region_sync(region.number, ok or not errors_handled)
                del self._others[region.number]
                delayed += region.delayed
            self.recovering.clear()
            self._copying = False
            return delayed

    def stop_recovering(self) -> None:
        """No region more is taken from the log, until `may_recover` again."""
        with self.lock:
            self.may_recover = False
            if self._ahead is not None:
                self.log.set_region_sync(self._ahead, False)
                # The suspend may be taken back, and then no resume begins the search anew.
                self.log.rewind(self._ahead)
                self._ahead = None

    def _next_number(self) -> int | None:
        number, self._ahead = self._ahead, None
        return self.log.get_resync_work() if number is None else number

    def _is_busy(self, number: int) -> bool:
        region = self._others.get(number)
        return number in self.dirty or (region is not None and (region.pending > 0 or bool(region.quick)))

    def _take(self, number: int | None) -> None:
        if number is not None:
            region = self.dirty.pop(number, None) or self._find(number)
            region.state = RegionState.RECOVERING
            region.marked = False
            self.recovering[number] = self._others[number] = region

    def _find(self, number: int) -> HashedRegion:
        region = self._others.get(number)
        if region is None:
            region = self._others[number] = HashedRegion(number, self.state(number))
        return region

    def _distrust(self, region: HashedRegion) -> None:
        # The kernel does not tell its log after a failed flush, and then reads from legs that lack later writes.
        self.log.set_region_sync(region.number, False)
        region.state = RegionState.NOSYNC
        region.marked = False
        self.dirty.pop(region.number, None)
        self._others[region.number] = region
