"""A group: all devices that share a replication log, and the way of their writes into it.

A write takes its place in the group's order on the thread that asks, in memory, and is acknowledged there and then
unless somebody must have it first: the log's device for FUA, a site for synchronous policy or one that is too far
behind. The log's Worker makes entries durable in groups; then the sites' Workers may send them.

Source: slides of 2008 (dm-replicator architecture); truths of the design, "The replicator".
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence

from dmtable.core.bio import Bio, Op
from dmtable.core.target import Context
from dmtable.io.device import BlockDevice
from dmtable.replog.log import Entry, LogFullError, Member, Membership, ReplicationLog
from dmtable.runtime.runtime import Condition, Runtime
from dmtable.targets.replicator.footprint import Footprint
from dmtable.targets.replicator.site import Site
from dmtable.units import SECTOR_SHIFT

UNCOMMITTED_BYTES = 4 << 20
"""Writers wait while more than this is acknowledged, or to be, and not yet on its way to the log's device."""
KEPT_BYTES = 64 << 20
"""So much content of entries stays in memory for the sites; what is more they read from the log again."""

_MANY_BOUNDARIES = 1024

Area = tuple[int, int]
"""(first sector, sectors) of a device."""
Entered = Callable[[int, Bio], None]
"""Is told the device's number and the bio when a write takes its place in the group's order."""


class GroupDevice:
    """A device of the group in use: `number` in the group, `length` in sectors."""

    __slots__ = ("boundary_sectors", "context", "length", "number", "owed_mask", "sites", "suspended")

    def __init__(self, number: int, length: int, context: Context, boundary_sectors: int) -> None:
        self.number = number
        self.length = length
        self.context = context
        self.boundary_sectors = boundary_sectors
        self.sites: list[Site] = []
        """The sites that have this device."""
        self.owed_mask = 0
        self.suspended = True

    @property
    def local(self) -> BlockDevice | None:
        """The device at site 0, if it is open."""
        at = self.sites[0].link.devices.get(self.number) if self.sites and not self.sites[0].number else None
        return None if at is None else at.device


class _Waiting:
    """A bio that is not acknowledged: `sites` has a bit for each site that must have its entry, and with `commit`
    the log's device must."""

    __slots__ = ("bio", "commit", "sites")

    def __init__(self, bio: Bio, sites: int, commit: bool) -> None:
        self.bio = bio
        self.sites = sites
        self.commit = commit


class Group:
    """The devices, the sites and the log. `lock` guards all that they have in memory; it is also a condition that is
    notified when something ended that somebody may wait for."""

    def __init__(self, runtime: Runtime, lock: Condition, log: ReplicationLog, say: Callable[[str], None]) -> None:
        self.runtime = runtime
        self.start_worker = runtime.crew()
        self.lock = lock
        self.log = log
        self.say = say
        self.devices: dict[int, GroupDevice] = {}
        self.sites: dict[int, Site] = {}
        self.recovered = False
        self.known_before: dict[Member, Membership] = {}
        """What the log remembered before it was recovered."""
        self.on_entered: Entered | None = None
        self.footprint = Footprint()
        """Of all entries that some site does not hold for good: those that come may have to wait for them, and reads
        must see what the local devices do not hold."""
        self.queue: deque[tuple[GroupDevice, Bio]] = deque()
        """Writes and flushes that wait for space in the log, or for its recovery, in their order."""
        self.blocked_since: float | None = None
        """When the first of the queue found the log full."""
        self.boundaries: set[int] = set()
        """Behind these entries the application flushed: an epoch ends."""
        self._waiting: dict[int, _Waiting] = {}
        """By the numbers of their entries."""
        self._commits: deque[tuple[int, _Waiting]] = deque()
        """Those that wait for a commit, each with the number that must be durable; flushes are among them."""
        self._uncommitted_bytes = 0
        self._kept_bytes = 0
        self._may_have_strangers = True
        self.stopped = False
        """A message stopped the group: nothing enters the log, and nothing is sent."""
        self.commit_wanted = False
        self.marks_wanted = False
        """Somebody waits for a commit, or one with marks."""
        self.wake_log: Callable[[], None] = _nobody
        """Wakes the log's Worker."""
        self.leaving: set[int] = set()
        """Devices whose mds are about to suspend: nobody there may wait for what need not happen."""
        self.log_rests = False
        """The log's Worker found nothing to do; until then it looks once more for what came, without being woken."""
        self.on_fail: list[Callable[[], None]] = []
        """To be called when the log failed."""
        self._out_of_order: set[Site] = set()

    # Members.

    def add_site(self, site: Site) -> None:
        """A new site of the group; it gets no entries that are older."""
        with self.lock:
            self.sites[site.number] = site

    def remove_site(self, number: int) -> None:
        """A site leaves the group; nothing is owed to it any more. It has no devices."""
        with self.lock:
            site = self.sites[number]
            bios = self.on_done(site, [each for each in self.log.entries.values() if each.owed >> number & 1])
            del self.sites[number]
        for bio in bios:
            bio.complete()

    def give_up(self, entry: Entry) -> None:
        """No site is to have the entry. The caller holds the lock."""
        for site in self.sites.values():
            if entry.owed >> site.number & 1:
                site.link.done(1, entry.sectors)
        if entry.data is not None:
            self._kept_bytes -= len(entry.data)
            entry.data = None
        self.log.void(entry)

    def owe_resyncs(self, members: Iterable[Member]) -> None:
        """These copies lack what the log forgets, or never has for them; that must be durable first. Nothing less is
        enough, whatever else was found lost. The caller holds the lock."""
        for member in members:
            self.known_before.pop(member, None)
            if member in self.log.members:
                self.log.remember(member, Membership.RESYNC_OWED)

    def lost_areas(self, member: Member) -> Sequence[Area]:
        """What this recovery found to be lost of a device at a remote site, where it is known in full and the site
        lacked nothing else before; else nothing."""
        report = self.log.report
        if report.everything_suspect or self.known_before.get(member) in (None, Membership.RESYNC_OWED):
            return ()
        lost = [damage for damage in report.damage if damage.device == member[1]]
        return [(each.first, each.sectors) for each in lost if each.first is not None and each.sectors is not None]

    def add_device(self, device: GroupDevice) -> None:
        """A device comes into use: what the log holds for it can be sent."""
        with self.lock:
            self.devices[device.number] = device
            self.update_sites(device)
        self.wake_all()

    def strangers(self) -> list[int]:
        """The devices that entries wait for and that no table has. The caller holds the lock."""
        if not self._may_have_strangers:
            return []
        strangers = {entry.device for entry in self.log.entries.values() if entry.owed} - self.devices.keys()
        self._may_have_strangers = bool(strangers)
        return sorted(strangers)

    def update_sites(self, device: GroupDevice) -> None:
        """The sites of a device changed."""
        device.sites = [site for _, site in sorted(self.sites.items()) if device.number in site.link.devices]
        device.owed_mask = sum(1 << site.number for site in device.sites)

    def remove_device(self, device: GroupDevice) -> None:
        """The device goes out of use; its entries wait for it."""
        with self.lock:
            if self.devices.get(device.number) is device:
                del self.devices[device.number]
                self._may_have_strangers = True
        self.wake_all()

    def wake_all(self) -> None:
        self.wake_log()
        for site in list(self.sites.values()):
            site.wake()

    def want_commit(self, *, marks: bool) -> None:
        """Somebody waits until it is durable how far the log's head is, or with `marks` who is owed what. The caller
        holds the lock."""
        self.commit_wanted = True
        self.marks_wanted |= marks
        self.wake_log()

    def is_copied(self, entry: Entry, site: int) -> bool:
        """Whether the region that the entry wrote is being copied, from the local site to this one, or from here."""
        sites = self.sites.values() if not site else (self.sites[site],)
        return any(each.copy is not None and each.copy.touches(entry) for each in sites)

    def tell_order(self, site: Site) -> None:
        """Raises an event where the site lost or regained its order. The caller does not hold the lock."""
        with self.lock:
            ordered = site.ordered
            if ordered != (site in self._out_of_order):
                return
            if ordered:
                self._out_of_order.discard(site)
            else:
                self._out_of_order.add(site)
        self.runtime.sometimes(f"replicator: a site {'regains' if ordered else 'loses'} its order")
        self.event()

    def event(self) -> None:
        """Something happened that people wait for, at any device of the group."""
        for device in list(self.devices.values()):
            device.context.event()

    # Writes.

    def submit(self, device: GroupDevice, bio: Bio) -> None:
        """Takes a write, discard, write_zeroes or flush; `bio.sector` counts from the device's begin."""
        with self.lock:
            failed, acknowledged = self.log.failed, None
            if self.recovered and not (failed or self.stopped or self.queue):
                acknowledged = self._admit(device, bio)
            if acknowledged is None and not failed:
                self.queue.append((device, bio))
        if failed:
            bio.complete(errno.EIO)
            return
        self.wake_log()
        if acknowledged:
            bio.complete()

    def write_at_once(self, device: GroupDevice, data: bytes, sector: int) -> bool:
        """A plain write that is acknowledged when this returns; False where it must go the bios' way."""
        with self.lock:
            if self.log.failed or self.stopped or not self.recovered or self.on_entered is not None:
                return False
            if self.queue or self._uncommitted_bytes > UNCOMMITTED_BYTES:
                return False
            sectors = len(data) >> SECTOR_SHIFT
            if self._must_wait(device, sectors):
                return False
            try:
                self._append(device, Op.WRITE, sector, sectors, data)
            except LogFullError:
                return False
            rests, self.log_rests = self.log_rests, False
        if rests:
            self.wake_log()
        return True

    def admit_queued(self) -> list[Bio]:
        """Lets in what waited, while there is space: the bios to be acknowledged now. The caller holds the lock."""
        acknowledged: list[Bio] = []
        while self.queue and not self.stopped:
            device, bio = self.queue[0]
            admitted = self._admit(device, bio)
            if admitted is None:
                return acknowledged
            self.queue.popleft()
            if admitted:
                acknowledged.append(bio)
        self.blocked_since = None
        return acknowledged

    def _admit(self, device: GroupDevice, bio: Bio) -> bool | None:
        """Lets a bio into the log: whether it is acknowledged with that. None where there is no space."""
        if bio.op is Op.FLUSH:
            self.boundaries.add(self.log.last)
            if self.log.committed == self.log.last:
                return True
            self._commits.append((self.log.last, _Waiting(bio, 0, True)))
            return False
        if self._uncommitted_bytes > UNCOMMITTED_BYTES:
            return None
        waits = self._must_wait(device, bio.sectors)
        try:
            data = None if bio.data is None else bytes(bio.data)
            entry = self._append(device, bio.op, bio.sector, bio.sectors, data)
        except LogFullError:
            if self.blocked_since is None:
                self.blocked_since = self.runtime.now()
                self.runtime.sometimes("replicator: log full")
            return None
        if self.on_entered is not None:
            self.on_entered(device.number, bio)
        if not waits and not bio.fua:
            return True
        waiting = self._waiting[entry.number] = _Waiting(bio, waits, bio.fua)
        if bio.fua:
            self.boundaries.add(entry.number)
            self._commits.append((entry.number, waiting))
        return False

    def _must_wait(self, device: GroupDevice, sectors: int) -> int:
        """A bit for each site that a new entry must reach before it is acknowledged."""
        waits = 0
        for site in device.sites:
            link = site.link
            if (link.policy.synchronous or link.fall_behind) and site.must_wait(sectors, self.runtime.now()):
                waits |= 1 << site.number
        return waits

    def _append(self, device: GroupDevice, op: Op, sector: int, sectors: int, data: bytes | None) -> Entry:
        entry = Entry(device.number, op, sector, sectors, data, device.owed_mask, self.runtime.date())
        self.log.append(entry)
        if data is not None:
            self._uncommitted_bytes += len(data)
            self._kept_bytes += len(data)
        entry.after = self.footprint.add(entry)
        for site in device.sites:
            if site.link.fall_behind is None:
                site.link.queued(sectors)
            else:
                site.queued(entry, self.runtime.now())
        return entry

    # What became of entries. The caller holds the lock; the bios that come back are to be completed without it.

    @property
    def uncommitted_bytes(self) -> int:
        """What entries hold that no commit made durable."""
        return self._uncommitted_bytes

    def on_committed(self, taken_bytes: int) -> list[Bio]:
        """The log's device has everything up to `log.committed`."""
        # The commit may have taken more than was counted when it began.
        self._uncommitted_bytes = 0 if self.log.last == self.log.committed else self._uncommitted_bytes - taken_bytes
        committed, head = self.log.committed, self.log.head
        if len(self.boundaries) > _MANY_BOUNDARIES:
            self.boundaries = {number for number in self.boundaries if number >= head}
        done: list[Bio] = []
        while self._commits and self._commits[0][0] <= committed:
            number, waiting = self._commits.popleft()
            waiting.commit = False
            if not waiting.sites:
                # A flush has the number of the entry before it, whose own bio may wait for a site.
                if self._waiting.get(number) is waiting:
                    del self._waiting[number]
                done.append(waiting.bio)
        return done

    def on_done(self, site: Site, entries: Collection[Entry]) -> list[Bio]:
        """A site holds entries durably, or its dirty log says that it does not."""
        number = site.number
        self.log.mark_all_done(number, entries)
        site.link.done(len(entries), sum([entry.sectors for entry in entries]))
        for entry in entries:
            if not entry.owed and entry.data is not None:
                self._kept_bytes -= len(entry.data)
                entry.data = None
        bios: list[Bio] = []
        if self._waiting:
            for entry in entries:
                waiting = self._waiting.get(entry.number)
                if waiting is not None:
                    waiting.sites &= ~(1 << number)
                    if not (waiting.sites or waiting.commit):
                        del self._waiting[entry.number]
                        bios.append(waiting.bio)
        return bios

    def pending(self, device: GroupDevice, sector: int, sectors: int) -> list[Entry]:
        """The entries that the local device does not hold and that wrote to these sectors, in their order, as far as
        they are not hidden by one that wrote to all of them."""
        local, entries, end = self.sites[0], self.log.entries, sector + sectors
        held = local.done_upto
        newest = self.footprint.newest(device.number, sector, sectors, held)
        found: list[Entry] = []
        for number in range(newest, held, -1):
            entry = entries.get(number)
            if entry is None or entry.device != device.number or not entry.owed & 1:
                continue
            if entry.sector < end and sector < entry.sector + entry.sectors:
                found.append(entry)
                if entry.sector <= sector and end <= entry.sector + entry.sectors:
                    break
        found.reverse()
        return found

    def take_stuck(self) -> list[Bio]:
        """The bios of leaving devices that wait for a site that gets nothing: they are to be given back."""
        if not self.leaving:
            return []
        still = sum(1 << number for number, site in self.sites.items() if self._stands_still(site))
        stuck: list[Bio] = []
        for number, waiting in list(self._waiting.items()):
            entry = self.log.entries.get(number)
            if entry is None or entry.device not in self.leaving:
                continue
            if waiting.sites & still and not waiting.commit:
                del self._waiting[number]
                stuck.append(waiting.bio)
        head = self.log.entries.get(self.log.head)
        if self.queue and (self.stopped or (head is not None and head.owed & still)):
            stuck += [bio for device, bio in self.queue if device.number in self.leaving]
            self.queue = deque(each for each in self.queue if each[0].number not in self.leaving)
        return stuck

    def _stands_still(self, site: Site) -> bool:
        """Whether the site gets nothing until somebody does something about it."""
        if self.stopped or not site.link.accessible:
            return True
        entry = self.log.entries.get(site.at)
        if entry is None or not entry.owed >> site.number & 1:
            return False
        device, at = self.devices.get(entry.device), site.link.devices.get(entry.device)
        if device is None or device.suspended:
            return True
        if at is None or not entry.owed & 1 or site.covers(at, entry):
            return False
        # It waits until the local site has the entry.
        return self._stands_still(self.sites[0])

    @property
    def somebody_waits(self) -> bool:
        """Whether a bio is answered when a site has its entry."""
        return bool(self._waiting)

    def release_waiting(self, site: Site) -> list[Bio]:
        """The site's policy is asynchronous from now on: nobody waits for it any more."""
        bios: list[Bio] = []
        for number, waiting in list(self._waiting.items()):
            waiting.sites &= ~(1 << site.number)
            if not (waiting.sites or waiting.commit):
                del self._waiting[number]
                bios.append(waiting.bio)
        return bios

    def release_content(self, entries: Iterable[Entry]) -> None:
        """Keeps of committed entries only so much content in memory as there may be."""
        for entry in entries:
            if self._kept_bytes <= KEPT_BYTES:
                return
            if entry.data is not None:
                self._kept_bytes -= len(entry.data)
                entry.data = None

    def fail(self, why: str) -> None:
        """The log failed: nothing can be promised any more until there is a new table."""
        with self.lock:
            self.log.failed = True
            bios = [waiting.bio for waiting in self._waiting.values()]
            bios += [waiting.bio for _, waiting in self._commits if waiting.bio not in bios]
            bios += [bio for _, bio in self.queue]
            self._waiting.clear()
            self._commits.clear()
            self.queue.clear()
            self.lock.notify_all()
        self.say(f"replicator: the log failed: {why}")
        for bio in bios:
            bio.complete(errno.EIO)
        for call in self.on_fail:
            call()
        self.event()


def _nobody() -> None:
    """There is no Worker yet."""
