"""How a site gets what it lacks beyond entries: regions are copied from the local device.

While a region is copied, entries for it wait, at the local site and at this one. What is copied then is newer than
what the site holds elsewhere: only when the site has all entries that the local device had when the copy ended is
the region in sync, and the site ordered.

Source: specification section 5.4; truth 6 of the design.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable

from dmtable.core.kcopyd import CopyResult, CopyService
from dmtable.core.regions import Region
from dmtable.core.steps import Steps
from dmtable.replog.log import Membership
from dmtable.runtime.runtime import Completion
from dmtable.slink.link import DeviceError, SiteDevice
from dmtable.targets.replicator.group import Group
from dmtable.targets.replicator.site import RegionCopy, Site, is_whole, membership_when_whole


class Resync:
    """The copying for one site, in steps of its Worker."""

    def __init__(self, group: Group, site: Site, copies: CopyService) -> None:
        self._group = group
        self._site = site
        self._client = copies.client()

    def close(self) -> None:
        """Gives the copy under way up."""
        self._client.close()

    def going_on(self) -> Generator[Completion, None, bool]:
        """One piece of the work; the value of the steps says whether there was any."""
        copy = self._site.copy
        changed = self._take_ripe()
        if changed:
            yield from self._settle(changed)
            return True
        if copy is None:
            copy = self._claim()
        if copy is None or copy.begun or not self._local_rests(copy):
            return False
        self._begin(copy)
        return True

    def wind_up(self, *, rests: bool) -> Generator[Completion, None, bool]:
        """Ends a copy that is over; where the site rests, gives up one that has not begun: others wait for it."""
        copy = self._site.copy
        if copy is not None and copy.result is not None:
            yield from self._end_copy(copy, copy.result)
            return True
        if copy is not None and rests and not copy.begun:
            assert copy.at.dirty_log is not None
            with self._group.lock:
                self._site.copy = None
                copy.at.dirty_log.set_region_sync(copy.region, False)
                copy.at.dirty_log.rewind(copy.region)
                self._group.lock.notify_all()
            self._group.wake_all()
        return False

    def _claim(self) -> RegionCopy | None:
        """The next region to be copied, if any may be: from now on no entry for it goes to the local device."""
        group, site = self._group, self._site
        with group.lock:
            local = group.sites.get(0)
            if local is None or not local.link.accessible or site.resync_is_held:
                return None
            for at in list(site.link.devices.values()):
                if (copy := self._next_of(at, local.link.devices.get(at.number))) is not None:
                    site.copy = copy
                    return copy
            return None

    def _next_of(self, at: SiteDevice, local: SiteDevice | None) -> RegionCopy | None:
        device, log = self._group.devices.get(at.number), at.dirty_log
        if log is None or device is None or device.suspended or log.sync_count == log.region_count:
            return None
        if at.device is None or local is None or local.device is None:
            return None
        if self._group.sites[0].done_upto < self._site.joined.get(at.number, 0):
            # The local device lacks entries that this site will never be sent.
            self._group.runtime.sometimes("replicator: a resync waits for the local site")
            return None
        region = log.get_resync_work()
        if region is None:
            return None
        first = region * log.region_size
        return RegionCopy(at, region, first, min(log.region_size, at.length - first))

    def _local_rests(self, copy: RegionCopy) -> bool:
        """Whether the local site has no entry under way for the region."""
        with self._group.lock:
            return not any(copy.touches(entry) for entry in self._group.sites[0].batch)

    def _begin(self, copy: RegionCopy) -> None:
        group = self._group
        source, destination = group.sites[0].link.devices[copy.at.number].device, copy.at.device
        assert source is not None
        assert destination is not None
        copy.begun, copy.failures = True, self._site.link.failures
        group.runtime.sometimes("replicator: a region is copied")
        to = Region(destination, copy.first, copy.sectors)
        self._client.copy(Region(source, copy.first, copy.sectors), [to], lambda result: self._copied(copy, result))

    def _copied(self, copy: RegionCopy, result: CopyResult) -> None:
        copy.result = result
        self._site.wake()

    def _end_copy(self, copy: RegionCopy, result: CopyResult) -> Steps:
        group, site, at = self._group, self._site, copy.at
        good = result.ok
        if good:
            try:
                yield from site.link.flushing(at.number)
            except OSError:
                good = False
        lost = copy.failures != site.link.failures
        log = at.dirty_log
        assert log is not None
        with group.lock:
            site.copy = None
            if good and not (lost or copy.void):
                # What the local device may hold by now.
                site.awaiting[at.number, copy.region] = group.sites[0].at - 1
            else:
                log.set_region_sync(copy.region, False)
                log.rewind(copy.region)
            if not good:
                failed_site = group.sites[0] if result.read_error else site
                error = DeviceError.READ if result.read_error else DeviceError.WRITE
                failed_site.link.failed(at.number, error)
            group.lock.notify_all()
        if not good:
            group.event()
        group.wake_all()

    def _take_ripe(self) -> list[SiteDevice]:
        """Calls copied regions in sync whose entries the site has by now: the devices whose dirty logs changed."""
        group, site = self._group, self._site
        changed: dict[int, SiteDevice] = {}
        with group.lock:
            for number, region in site.ripe():
                device, at = group.devices.get(number), site.link.devices[number]
                # With a suspended device nothing is begun: what is known of it may be about to change.
                if device is None or device.suspended:
                    continue
                del site.awaiting[number, region]
                assert at.dirty_log is not None
                at.dirty_log.set_region_sync(region, True)
                at.dirty_log.clear_region(region)
                changed[number] = at
            site.settling = {*changed}
        return [*changed.values()]

    def _settle(self, changed: Iterable[SiteDevice]) -> Steps:
        """Stores that regions are in sync."""
        group, site = self._group, self._site
        try:
            for at in changed:
                yield from self._store(at)
        finally:
            with group.lock:
                site.settling = set()
                group.lock.notify_all()
        if site.ordered:
            site.resync_released = False
        group.tell_order(site)

    def _store(self, at: SiteDevice) -> Steps:
        group, member = self._group, (self._site.number, at.number)
        assert at.dirty_log is not None
        try:
            yield from at.dirty_log.flushing()
        except OSError:
            # The regions are copied once more after a power loss, and that is all.
            group.runtime.sometimes("replicator: a dirty log does not hear of regions in sync")
            return
        with group.lock:
            if is_whole(at) and group.log.members.get(member) is Membership.RESYNC_OWED:
                group.log.remember(member, membership_when_whole(at))
                group.want_commit(marks=True)
