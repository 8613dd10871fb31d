"""The log is full: entries that only slow sites are owed are given up, and the dirty logs take their place.

Order matters: the dirty logs say durably that the regions differ, or the log does where a dirty log cannot, and the
site is shown as resynchronising, before a bit is cleared. Source: slides of 2008 ("old entries are being dropped");
specification section 5.1.
"""

from __future__ import annotations

from collections.abc import Generator

from dmtable.core.steps import Steps
from dmtable.replog.log import Entry, Membership
from dmtable.runtime.runtime import Completion
from dmtable.slink.link import SiteDevice
from dmtable.targets.replicator.group import Group
from dmtable.targets.replicator.site import Site

GRACE_SECONDS = 1.0
"""So long writers wait for a site that can be reached, before it loses its entries."""


class Takeover:
    """What the log's Worker does about a full log."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._held: list[Site] = []
        """They take nothing from the log until it is decided what they lose."""

    def make_room(self) -> Generator[Completion, None, bool]:
        """Steps whose value says whether anything was given up. A slow site must come to rest first: what it has under
        way it ends, and meanwhile the log goes on."""
        with self._group.lock:
            slow = self._slow_sites()
            for site in slow:
                site.held = True
            released = [site for site in self._held if site not in slow]
            self._held = slow
        self._release(released)
        for site in slow:
            site.wake()
        if not slow or not all(site.rests for site in slow):
            return False
        given_up = 0
        for site in slow:
            given_up += yield from self._give_up(site, sum(1 << each.number for each in slow))
        self.release()
        return given_up > 0

    def release(self) -> None:
        """Nobody loses anything for now."""
        released, self._held = self._held, []
        self._release(released)

    @staticmethod
    def _release(sites: list[Site]) -> None:
        for site in sites:
            site.held = site.rests = False
            site.wake()

    def _slow_sites(self) -> list[Site]:
        """Those that keep the oldest entry in the log, if all of them may be dropped from, and it is time."""
        group = self._group
        head = group.log.entries.get(group.log.head)
        if head is None or head.number > group.log.committed or not head.owed or head.owed & 1:
            return []
        slow = [site for number, site in group.sites.items() if head.owed >> number & 1]
        if any(site.link.policy.stall or site.link.policy.synchronous for site in slow):
            group.runtime.sometimes("replicator: writers stall")
            return []
        since = group.blocked_since
        waited = 0.0 if since is None else group.runtime.now() - since
        if waited < GRACE_SECONDS and any(site.link.accessible for site in slow):
            return []
        return slow

    def _give_up(self, site: Site, slow: int) -> Generator[Completion, None, int]:
        """Steps whose value is the number of entries that the site is not owed any more."""
        group = self._group
        with group.lock:
            entries = self._oldest_of(slow)
            entries = [entry for entry in entries if entry.owed >> site.number & 1]
            unstored = site.note_missing(entries)
        if not entries:
            return 0
        # Everybody may know it before anything is missing.
        group.tell_order(site)
        try:
            for at in list(unstored):
                yield from self._storing(site, at)
                del unstored[at]
        except OSError:
            if group.log.failed:
                raise
            # The site keeps its entries, and the writers wait. Whoever saw a region out of sync that no dirty log
            # knows of would drop the entries all the same.
            with group.lock:
                site.take_back(unstored)
            group.tell_order(site)
            group.runtime.sometimes("replicator: a dirty log fails at a takeover")
            return 0
        with group.lock:
            bios = group.on_done(site, entries)
            # Whoever waits for what the site lacks need not wait until its Worker looks.
            site.at = max(site.at, entries[-1].number + 1)
        for bio in bios:
            bio.complete()
        group.runtime.sometimes("replicator: entries are dropped")
        group.say(
            f"replicator: the log is full: site {site.number} lost entries {entries[0].number} to "
            f"{entries[-1].number}, their regions will be resynchronised"
        )
        return len(entries)

    def _oldest_of(self, slow: int) -> list[Entry]:
        """The oldest entries, as long as nobody else is owed them and their devices are there."""
        group = self._group
        log = group.log
        found: list[Entry] = []
        for number in range(log.head, log.committed + 1):
            entry = log.entries[number]
            if entry.owed & ~slow or (entry.owed and entry.device not in group.devices):
                break
            if entry.owed:
                found.append(entry)
        return found

    def _storing(self, site: Site, at: SiteDevice) -> Steps:
        """Makes what the dirty log says of regions out of sync outlive a power loss."""
        group, log = self._group, at.dirty_log
        assert log is not None
        if log.persistent:
            yield from log.flushing()
            return
        with group.lock:
            group.log.remember((site.number, at.number), Membership.RESYNC_OWED)
        yield from group.log.committing()
