"""A line's device of a group, from ctr to dtr: its copies at the sites, with their dirty logs.

What a dirty log begins with depends on whether the replication log has seen its copy before: the words' `sync` or
`nosync` is for a copy that is new; later what is stored holds, in the dirty log or, where that forgets, in the
replication log.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence

from dmtable.core.bio import Bio, Op
from dmtable.core.steps import Steps, carry_out
from dmtable.core.target import Context, StatusKind
from dmtable.dirtylog.kinds import KINDS as DIRTY_LOGS
from dmtable.dirtylog.log import DirtyLog
from dmtable.errors import CtrError, DeviceLookupError, IoctlError
from dmtable.replog.log import MAX_ENTRY_SECTORS, UNLISTED, Membership
from dmtable.slink.link import DeviceError, SiteDevice, SiteLink
from dmtable.targets.replicator.group import Area, GroupDevice
from dmtable.targets.replicator.parts import CopyWords
from dmtable.targets.replicator.running import RunningGroup
from dmtable.targets.replicator.site import membership_when_whole

_REFUSED = "Failed to add device to site link"


class Member:
    """The device that a line brings into its group. Raises CtrError where the group cannot have it."""

    def __init__(
        self, context: Context, running: RunningGroup, number: int, length: int, copies: Sequence[tuple[int, CopyWords]]
    ) -> None:
        self.group = group = running.group
        self.number = number
        self.length = length
        self._running = running
        self.context = context
        self._copies: list[tuple[SiteLink, CopyWords, SiteDevice]] = []
        self._before: dict[int, SiteDevice] = {}
        """By site: the copy that the md's table before this one has there, until this one takes it up."""
        known = group.devices.get(number)
        if known is not None and known.context.owner is not context.owner:
            context.log(f"replicator: device {number} of the group is another mapped device's")
            raise CtrError(errno.EBUSY, _REFUSED)
        boundary = MAX_ENTRY_SECTORS
        for site_number, words in copies:
            boundary = min(boundary, self._connect(site_number, words))
        self.device = GroupDevice(number, length, context, boundary)

    def _connect(self, site_number: int, words: CopyWords) -> int:
        """Reaches the device at a site; the value is the size in sectors that no entry may cross there."""
        site = self.group.sites.get(site_number)
        if site is None:
            raise CtrError(errno.ENOENT, "Cannot find site link context")
        at = SiteDevice(self.number, words.device, self.length, None)
        at.context = self.context
        if self.number in site.link.devices:
            self._before[site_number] = site.link.devices[self.number]
        boundary = MAX_ENTRY_SECTORS
        if words.dirty_log.params is not None:
            # To be judged, and printed; which states it begins with shows when the log is recovered.
            dirty_log = self._dirty_log(site.link, words, at, None)
            boundary = min(boundary, dirty_log.region_size)
            at.region_sectors = dirty_log.region_size
            at.dirty_log_words = dirty_log.status(StatusKind.TABLE)
        self._copies.append((site.link, words, at))
        try:
            at.device, at.name = site.link.connect(self.context, words.device)
        except (OSError, DeviceLookupError) as error:
            self.context.log(f"replicator: site {site_number}: {words.device}: {error}; it will be tried again")
        return boundary

    @property
    def copies(self) -> list[tuple[SiteLink, SiteDevice]]:
        """Where the device is, in the order of the line."""
        return [(link, at) for link, _, at in self._copies]

    @property
    def io_boundary(self) -> int:
        return self.device.boundary_sectors

    def dtr(self) -> None:
        """The line is no more."""
        group = self.group
        self.presuspend_undo()
        group.remove_device(self.device)
        with group.lock:
            for link, _, at in self._copies:
                if link.devices.get(self.number) is at:
                    group.sites[link.number].forget(self.number)
                    link.remove(self.number)
                elif at.device is not None:
                    link.disconnect(at.device)
                if at.dirty_log is not None:
                    at.dirty_log.dtr()

    # I/O.

    def submit(self, bio: Bio) -> None:
        """Takes a bio; `bio.sector` counts from the device's begin."""
        traffic = self._running.traffic
        if bio.op is Op.READ:
            if traffic is not None:
                traffic.reads += 1
            self._running.reads.read(self.device, bio)
            return
        if traffic is not None:
            traffic.writes += 1
        self.group.submit(self.device, bio)

    # Life. These block.

    def preresume(self) -> None:
        """The device comes into use. Raises IoctlError where the log cannot be read, or another md has the number."""
        group = self.group
        self._running.logd.recover()
        if group.log.failed:
            raise IoctlError(errno.EIO, "the replication log cannot be used; see the kernel log")
        if group.devices.get(self.number) is self.device:
            return
        known = group.devices.get(self.number)
        if known is not None:
            if known.context.owner is not self.context.owner:
                raise IoctlError(errno.EBUSY, f"device {self.number} of the group is another mapped device's")
            group.remove_device(known)
        for link, words, at in self._copies:
            self._begin(link, words, at)
        self._forget_others()
        self._running.logd.store()
        group.add_device(self.device)
        for link, _, _ in self._copies:
            group.tell_order(group.sites[link.number])

    def presuspend(self) -> None:
        """The md is about to suspend. Bios that wait for a site that cannot be reached would keep it from that for
        ever: they are given back; the log has their entries all the same."""
        with self.group.lock:
            self.group.leaving.add(self.number)
        self.group.wake_log()

    def presuspend_undo(self) -> None:
        """It does not suspend after all."""
        with self.group.lock:
            self.group.leaving.discard(self.number)

    def resume(self) -> None:
        """I/O comes from now on."""
        with self.group.lock:
            self.group.leaving.discard(self.number)
            self.device.suspended = False
        self.group.wake_all()

    def postsuspend(self) -> None:
        """No I/O is in flight: what is known of the device's entries and regions is made durable."""
        group = self.group
        with group.lock:
            self.device.suspended = True
            while any(site.works_on(self.number) for site in group.sites.values()):
                group.lock.wait()
        # Others that are about to suspend may wait behind the device's entries.
        group.wake_log()
        for _, _, at in self._copies:
            if at.dirty_log is None:
                continue
            try:
                at.dirty_log.postsuspend()
            except OSError as error:
                self.context.log(f"replicator: the dirty log of {at.word} was not stored: {error}")
        self._running.logd.store()

    # Changes while the line is at work.

    def stop_sending(self, stopped: bool) -> None:
        """Keeps the device's entries, and all behind them, in the log; or lets them go again."""
        with self.group.lock:
            self.device.suspended = stopped
            while stopped and any(site.works_on(self.number) for site in self.group.sites.values()):
                self.group.lock.wait()

    def add_copy(self, site_number: int, words: CopyWords) -> None:
        """Brings the device to a site more. Raises IoctlError."""
        group = self.group
        site = group.sites.get(site_number)
        if site is None:
            raise IoctlError(errno.ENOENT, f"the group has no site {site_number}")
        if self.number in site.link.devices:
            raise IoctlError(errno.EBUSY, f"site {site_number} has device {self.number} already")
        boundary = self._connect(site_number, words)
        link, words, at = self._copies[-1]
        if boundary < self.device.boundary_sectors:
            self._copies.pop()
            if at.device is not None:
                link.disconnect(at.device)
            raise IoctlError(errno.EINVAL, f"a region has {self.device.boundary_sectors} sectors or more in this table")
        self._begin(link, words, at)
        self._running.logd.store()
        group.tell_order(site)

    def remove_copy(self, site_number: int) -> None:
        """Takes the device away from a remote site, and with it what the site is owed of it. Raises IoctlError."""
        group = self.group
        found = next((each for each in self._copies if each[0].number == site_number), None)
        if found is None:
            raise IoctlError(errno.ENOENT, f"site {site_number} does not have device {self.number}")
        link, _, at = found
        site = group.sites[site_number]
        stopped = self.device.suspended
        self.stop_sending(True)
        with group.lock:
            self._copies.remove(found)
            owed = [entry for entry in group.log.entries.values() if entry.device == self.number]
            bios = group.on_done(site, [entry for entry in owed if entry.owed >> site_number & 1])
            site.forget(self.number)
            link.remove(self.number)
            group.update_sites(self.device)
            group.log.remember((site_number, self.number), None)
            self.device.suspended = stopped
        for bio in bios:
            bio.complete()
        if at.dirty_log is not None:
            at.dirty_log.dtr()
        self._running.logd.store()
        group.tell_order(site)

    # Dirty logs.

    def _forget_others(self) -> None:
        """Sites that this line leaves out miss what comes: if they come back, nothing of before holds."""
        group, mine = self.group, {link.number for link, _, _ in self._copies}
        with group.lock:
            known = [(site, device) for site, device in group.log.members if site and device == self.number]
            group.owe_resyncs([member for member in known if member[0] not in mine])

    def _begin(self, link: SiteLink, words: CopyWords, at: SiteDevice) -> None:
        """Takes up what is known of a copy."""
        group, member = self.group, (link.number, self.number)
        if at.device is None:
            link.failed(self.number, DeviceError.READ)
        lost: Sequence[Area] = ()
        owed = False
        before = self._before.pop(link.number, None)
        if words.dirty_log.params is not None:
            membership = group.log.members.get(member)
            if membership is None and (group.log.report.damage or UNLISTED in group.log.members):
                # Nobody can say what a copy has that the log does not know.
                membership = Membership.RESYNC_OWED
            lost = group.lost_areas(member)
            if lost:
                # The log took the whole device for lost, to be safe; here it is known what was.
                membership = group.known_before[member]
            if before is not None and _is_another(before, at):
                membership = Membership.RESYNC_OWED
            at.dirty_log = log = self._dirty_log(link, words, at, _first_state(words, membership))
            try:
                carry_out(log.resuming(), self.context.runtime)
            except OSError as error:
                # What it stores may be of another time.
                owed = True
                self.context.log(f"replicator: the dirty log of {at.word}: {error}")
        differing = [*lost]
        if before is not None and before.length < at.length and at.dirty_log is not None:
            differing.append((before.length, at.length - before.length))
        with group.lock:
            link.devices[self.number] = at
            site = group.sites[link.number]
            # At one moment, or what comes between would be owed to the local site alone.
            site.joined[self.number] = group.log.last
            group.update_sites(self.device)
            for first, sectors in differing:
                site.note_differs(at, first, sectors)
        if at.dirty_log is None:
            return
        if differing and at.dirty_log.persistent:
            try:
                carry_out(at.dirty_log.flushing(), self.context.runtime)
            except OSError:
                owed = True
        owed |= not at.dirty_log.persistent and at.dirty_log.sync_count < at.dirty_log.region_count
        # Once: what is out of sync later is no part of that damage.
        group.known_before.pop(member, None)
        with group.lock:
            group.log.remember(member, Membership.RESYNC_OWED if owed else membership_when_whole(at))

    def _dirty_log(self, link: SiteLink, words: CopyWords, at: SiteDevice, sync: str | None) -> DirtyLog:
        kind = DIRTY_LOGS.find(words.dirty_log.kind)
        params = words.dirty_log.params
        assert kind is not None
        assert params is not None
        if sync is not None:
            params = params.beginning(sync)

        def flush_data() -> Steps:
            return link.flushing(self.number)

        return kind.construct(self.context, at.length, params, flush_data)


def _first_state(words: CopyWords, membership: Membership | None) -> str | None:
    """The word for what a dirty log begins with; None leaves it to its own words."""
    kind = DIRTY_LOGS.find(words.dirty_log.kind)
    assert kind is not None
    match membership:
        case None:
            return None
        case Membership.RESYNC_OWED:
            return "sync"
        case Membership.STORED:
            # What it lacks stands in a dirty log that this one may know nothing of.
            return "" if kind.persistent else "sync"
        case Membership.KNOWN:
            return "" if kind.persistent else "nosync"


def _is_another(before: SiteDevice, at: SiteDevice) -> bool:
    """Whether nothing that is known of the copy of the table before says anything of this one: it is another device,
    or its dirty log counts in other regions."""
    return before.region_sectors != at.region_sectors or (before.word != at.word and before.name != at.name)
