"""A group with its Workers: one for the log, one for each site, and those of the copy service."""

from __future__ import annotations

from collections.abc import Callable

from dmtable.core.kcopyd import CopyService
from dmtable.core.target import Context
from dmtable.replog.log import ReplicationLog
from dmtable.runtime.runtime import Condition, Runtime
from dmtable.slink.link import SiteLink
from dmtable.targets.replicator.group import Group
from dmtable.targets.replicator.logd import LogWorker
from dmtable.targets.replicator.reads import Reads
from dmtable.targets.replicator.sender import Sender
from dmtable.targets.replicator.site import Site
from dmtable.targets.replicator.status import Traffic


class RunningGroup:
    """What the tables of a group share. `recover` of its `logd` must come before any I/O is served."""

    def __init__(self, runtime: Runtime, lock: Condition, log: ReplicationLog, say: Callable[[str], None]) -> None:
        self.group = Group(runtime, lock, log, say)
        self.reads = Reads(self.group)
        self.logd = LogWorker(self.group, self.reads)
        self.traffic: Traffic | None = None
        """What came from applications, while that is counted."""
        self._copies = CopyService(runtime)
        self._senders: dict[int, Sender] = {}

    def add_site(self, link: SiteLink, context: Context) -> None:
        """A new site; it gets no entries that are older."""
        site = Site(link)
        self.group.add_site(site)
        self._senders[link.number] = Sender(self.group, site, self._copies, context)
        site.wake()

    def remove_site(self, number: int) -> None:
        """A site without devices leaves the group."""
        self._senders.pop(number).stop()
        self.group.remove_site(number)

    def count_traffic(self, switch: str) -> None:
        """Counts it (`on`), no more (`off`), or from 0 on (`reset`)."""
        if switch == "off":
            self.traffic = None
        elif switch == "reset" or self.traffic is None:
            self.traffic = Traffic()

    @property
    def settled(self) -> bool:
        """Whether every site holds everything that was written: nothing waits, is owed, or out of sync."""
        group = self.group
        with group.lock:
            if group.queue or not group.recovered or any(entry.owed for entry in group.log.entries.values()):
                return False
            return all(site.ordered for site in group.sites.values())

    def close(self) -> None:
        """Ends the Workers. The log keeps what it holds."""
        self.logd.stop()
        for sender in self._senders.values():
            sender.stop()
        self._copies.close()
        self.group.log.dtr()
