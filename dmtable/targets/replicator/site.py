"""A site of a group, in memory: its link, how far it is in the log, and which regions of its devices differ.

Everything here is for those who hold the group's lock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dmtable.core.kcopyd import CopyResult
from dmtable.replog.log import Entry, Membership
from dmtable.slink.link import Measure, SiteDevice, SiteLink


@dataclass(slots=True, eq=False)
class RegionCopy:
    """A region of a device that is copied from the local site. It begins when that has nothing under way there.

    `void`: the site lost entries for it meanwhile, so it must be copied again.
    """

    at: SiteDevice
    region: int
    first: int
    sectors: int
    begun: bool = False
    failures: int = 0
    """Of the link, when it began: what was written before one and is flushed behind it may be lost."""
    result: CopyResult | None = None
    void: bool = False

    def touches(self, entry: Entry) -> bool:
        """Whether the entry wrote to the region."""
        end = entry.sector + entry.sectors
        return entry.device == self.at.number and entry.sector < self.first + self.sectors and self.first < end


class Site:
    """One site of a group.

    `at` is the number of the next entry to look at; all before it the site holds, or they are in the `batch` under
    way. `held`: the log's Worker is about to decide what the site loses; when it `rests` it touches nothing of its own.
    """

    def __init__(self, link: SiteLink) -> None:
        self.link = link
        self.number = link.number
        self.wake: Callable[[], None] = _nobody
        """Wakes the site's Worker."""
        self.at = 1
        self.held = False
        self.rests = False
        self.batch: list[Entry] = []
        self.copy: RegionCopy | None = None
        self.awaiting: dict[tuple[int, int], int] = {}
        """Copied regions, as (device, region), and the newest entry that their copies may hold: when the site has
        that too, they are in sync."""
        self.settling: set[int] = set()
        """Devices of which it is being stored that copied regions are in sync."""
        self.joined: dict[int, int] = {}
        """By device: the newest entry when it came here. Those up to it may be owed to the local site alone."""
        self.resync_released = False
        """A message lets a resync begin that the policy holds back."""
        self._times: deque[tuple[int, float]] = deque()
        """When the entries that the site lacks came, where that matters."""

    # How far it is.

    def queued(self, entry: Entry, now_seconds: float) -> None:
        """An entry for the site is in the log."""
        self.link.queued(entry.sectors)
        limit = self.link.fall_behind
        if limit is not None and limit.measure is Measure.TIMEOUT:
            self._times.append((entry.number, now_seconds))

    def must_wait(self, sectors: int, now_seconds: float) -> bool:
        """Whether a new entry may be acknowledged only when the site has it."""
        return self.link.must_wait(sectors, self._oldest_waits(now_seconds))

    def count_times(self, entries: Iterable[Entry], now_seconds: float, date_seconds: float) -> None:
        """From now on it matters how long entries wait: those that the site lacks have since they were logged."""
        self._times.clear()
        for entry in entries:
            if entry.owed >> self.number & 1:
                self._times.append((entry.number, now_seconds - max(date_seconds - entry.time, 0.0)))

    def is_behind(self, now_seconds: float) -> bool:
        """Whether writers wait for the site because it is too far behind."""
        return self.link.is_behind(self._oldest_waits(now_seconds))

    def _oldest_waits(self, now_seconds: float) -> float:
        """How long, where that matters."""
        while self._times and self._times[0][0] <= self.done_upto:
            self._times.popleft()
        return now_seconds - self._times[0][1] if self._times else 0.0

    @property
    def done_upto(self) -> int:
        """The site is owed nothing up to this number."""
        for entry in self.batch:
            if entry.owed >> self.number & 1:
                return entry.number - 1
        return self.at - 1

    def works_on(self, device: int) -> bool:
        """Whether something of a device is under way."""
        copied = self.copy is not None and self.copy.at.number == device
        return copied or device in self.settling or any(entry.device == device for entry in self.batch)

    # What differs.

    @property
    def ordered(self) -> bool:
        """Whether the site holds entries 1 to p whole, perhaps some of the next, and nothing later."""
        return all(is_whole(at) for at in list(self.link.devices.values()))

    @property
    def resync_is_held(self) -> bool:
        """Whether regions would be copied if the policy did not hold that back."""
        return self.link.policy.hold and not (self.resync_released or self.ordered)

    def covers(self, at: SiteDevice, entry: Entry) -> bool:
        """Whether the site has what the entry's region held before it: the entry is to be sent."""
        log = at.dirty_log
        if log is None or log.sync_count == log.region_count:
            return True
        region = entry.sector // log.region_size
        if region >= log.region_count:
            # The device was larger once.
            return True
        if log.in_sync(region):
            return True
        # What was there before the device joined is in the copy, and what followed it may be owed to others alone.
        return (at.number, region) in self.awaiting and entry.number > self.joined[at.number]

    def note_missing(self, entries: Iterable[Entry]) -> dict[SiteDevice, list[int]]:
        """The site will not be sent these: their regions are out of sync. The devices whose dirty logs changed, each
        with those of its regions that were in sync."""
        changed: dict[SiteDevice, list[int]] = {}
        for entry in entries:
            at = self.link.devices.get(entry.device)
            if at is not None and at.dirty_log is not None and entry.sector < at.length:
                were_in_sync = changed.setdefault(at, [])
                region = entry.sector // at.dirty_log.region_size
                if at.dirty_log.in_sync(region):
                    were_in_sync.append(region)
                self.note_differs(at, entry.sector, entry.sectors)
        return changed

    def take_back(self, missing: dict[SiteDevice, list[int]]) -> None:
        """No dirty log could store it: the site will be sent the entries, and these regions are in sync again."""
        for at, regions in missing.items():
            assert at.dirty_log is not None
            for region in regions:
                at.dirty_log.set_region_sync(region, True)
                at.dirty_log.clear_region(region)

    def note_differs(self, at: SiteDevice, sector: int, sectors: int) -> None:
        """These sectors of a device are out of sync; what is being copied of them is copied again."""
        log = at.dirty_log
        assert log is not None
        end = min(sector + sectors, at.length)
        for region in range(sector // log.region_size, -(-end // log.region_size)):
            log.mark_region(region)
            if self.copy is not None and (self.copy.at, self.copy.region) == (at, region):
                self.copy.void = True
            else:
                log.set_region_sync(region, False)
                log.rewind(region)
                self.awaiting.pop((at.number, region), None)

    def ripe(self) -> list[tuple[int, int]]:
        """The copied regions whose entries the site has by now."""
        done = self.done_upto
        return [place for place, upto in self.awaiting.items() if upto <= done]

    def forget(self, device: int) -> None:
        """The device goes out of use here; nothing of it is under way."""
        for place in [place for place in self.awaiting if place[0] == device]:
            del self.awaiting[place]


def is_whole(at: SiteDevice) -> bool:
    """Whether all regions of a copy are in sync."""
    return at.dirty_log is None or at.dirty_log.sync_count == at.dirty_log.region_count


def membership_when_whole(at: SiteDevice) -> Membership:
    """What the log remembers of a copy that lacks nothing but what its dirty log may store."""
    persistent = at.dirty_log is not None and at.dirty_log.persistent
    return Membership.STORED if persistent else Membership.KNOWN


def _nobody() -> None:
    """There is no Worker yet."""
