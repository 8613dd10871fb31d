"""The groups of a device-mapper: tables that name the same log share one."""

from __future__ import annotations

import errno
from collections.abc import Iterable

from dmtable.core.target import Context
from dmtable.errors import CtrError
from dmtable.replog.kinds import KINDS as REPLOGS
from dmtable.slink.kinds import KINDS as SLINKS
from dmtable.slink.link import SiteLink
from dmtable.targets.replicator.parts import LogWords, SiteWords
from dmtable.targets.replicator.running import RunningGroup


class SharedGroup:
    """A group, and the tables that use it; the last one that gives it up ends it."""

    def __init__(self, running: RunningGroup, key: object) -> None:
        self.running = running
        self.users = 0
        self._key = key

    @classmethod
    def of_log(cls, context: Context, words: LogWords) -> SharedGroup:
        """The group of a log, a new one if nobody uses the log. Raises CtrError; else `release` must follow."""
        kind = REPLOGS.find(words.kind)
        assert kind is not None
        key = ("replication log", kind, words.params.key(context))
        shared: SharedGroup | None = context.shared.get(key)
        if shared is None:
            lock = context.runtime.condition()
            log = kind.construct(context, words.params, lock)
            shared = context.shared[key] = cls(RunningGroup(context.runtime, lock, log, context.log), key)
        elif words.params.creates:
            context.log("replicator: the log is in use; only its first table may create it, the others say `open`")
            raise CtrError(errno.EPERM, "Cannot create replication log context")
        shared.users += 1
        return shared

    @classmethod
    def of_control(cls, context: Context, control: object) -> SharedGroup:
        """The group of a control device, given by its md. Raises CtrError; else `release` must follow."""
        shared: SharedGroup | None = context.shared.get(("replication control", control))
        if shared is None:
            raise CtrError(errno.ENOENT, "Failed to find replication log")
        shared.users += 1
        return shared

    def release(self, context: Context) -> None:
        """A table gives the group up."""
        self.users -= 1
        if not self.users:
            del context.shared[self._key]
            self.running.close()

    def add_control(self, context: Context) -> None:
        """The md of this table is the group's control device."""
        context.shared["replication control", context.owner] = self

    def remove_control(self, context: Context) -> None:
        """It is no more, unless a newer table of its took over."""
        key = ("replication control", context.owner)
        if context.shared.get(key) is self and self.users == 1:
            del context.shared[key]

    def add_sites(self, context: Context, sites: Iterable[SiteWords]) -> list[int]:
        """The sites that a table names, where they are new: their numbers. Raises CtrError where a site is known with
        another policy or limit; then none was added."""
        added: list[int] = []
        for words in sites:
            known = self.running.group.sites.get(words.number)
            if known is None:
                self.running.add_site(_link(words), context)
                added.append(words.number)
            elif not _agrees(known.link, words):
                self.remove_sites(added)
                context.log(f"replicator: site link {words.number} is known with other parameters in this group")
                raise CtrError(errno.EINVAL, "Cannot create site link context")
        return added

    def remove_sites(self, numbers: Iterable[int]) -> None:
        """Takes sites out again that have no device."""
        for number in numbers:
            self.running.remove_site(number)


def _link(words: SiteWords) -> SiteLink:
    kind = SLINKS.find(words.kind)
    assert kind is not None
    return kind(words.number, words.policy, words.fall_behind)


def _agrees(link: SiteLink, words: SiteWords) -> bool:
    kind = SLINKS.find(words.kind)
    return (type(link), link.policy, link.fall_behind) == (kind, words.policy, words.fall_behind)
