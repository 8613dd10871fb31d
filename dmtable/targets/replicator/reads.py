"""Reads: from the local device, under what it does not hold yet.

A write is acknowledged when it is in the log, so the newest content may be there alone. What a read meets of such
entries is laid over what the local device has, in their order.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Sequence
from functools import partial

from dmtable.core.bio import Bio, Op, submit
from dmtable.core.steps import Steps
from dmtable.errors import CorruptLogError
from dmtable.replog.log import Entry
from dmtable.targets.replicator.group import Group, GroupDevice
from dmtable.units import SECTOR_SHIFT

_Layer = tuple[Entry, "bytes | None"]
"""An entry that a read must see, and its content, None for zeroes."""


class Reads:
    """The reads of a group. Those that need content from the log's device are left to the log's Worker."""

    def __init__(self, group: Group) -> None:
        self._group = group
        group.on_fail.append(self._fail)
        self._waiting: deque[tuple[GroupDevice, Bio]] = deque()

    def read(self, device: GroupDevice, bio: Bio) -> None:
        """Takes a read; `bio.sector` counts from the device's begin."""
        group = self._group
        with group.lock:
            layers: list[_Layer] | None = None
            failed = group.log.failed
            if group.recovered:
                entries = group.pending(device, bio.sector, bio.sectors)
                layers = [(entry, entry.data) for entry in entries]
            if layers is None or any(data is None and entry.op is Op.WRITE for entry, data in layers):
                if not failed:
                    self._waiting.append((device, bio))
                    group.wake_log()
                    return
                layers = None
        if layers is None:
            bio.complete(errno.EIO)
            return
        self._serve(device, bio, layers)

    def serving(self) -> Steps:
        """The log's Worker serves what waits for it; space that entries take is not used anew meanwhile."""
        group = self._group
        while True:
            with group.lock:
                if not self._waiting:
                    return
                device, bio = self._waiting.popleft()
                entries = group.pending(device, bio.sector, bio.sectors)
            layers: list[_Layer] = []
            try:
                for entry in entries:
                    data = entry.data
                    if data is None and entry.op is Op.WRITE:
                        group.runtime.sometimes("replicator: a read from the log")
                        data = yield from group.log.reading(entry)
                    layers.append((entry, data))
            except (OSError, CorruptLogError):
                bio.complete(errno.EIO)
                if group.log.failed:
                    raise
                continue
            self._serve(device, bio, layers)

    def _fail(self) -> None:
        """The log failed: what only it could serve cannot be served."""
        with self._group.lock:
            waiting, self._waiting = self._waiting, deque()
        for _, bio in waiting:
            bio.complete(errno.EIO)

    def _serve(self, device: GroupDevice, bio: Bio, layers: Sequence[_Layer]) -> None:
        end = bio.sector + bio.sectors
        for at in reversed(range(len(layers))):
            entry = layers[at][0]
            if entry.sector <= bio.sector and end <= entry.sector + entry.sectors:
                self._group.runtime.sometimes("replicator: a read from memory")
                self._lay_over(bio, layers[at:])
                bio.complete()
                return
        local = device.local
        if local is None:
            bio.complete(errno.EIO)
            return
        below = Bio(Op.READ, bio.sector, bio.sectors, bio.data)
        below.on_done(partial(self._was_read, bio, below, layers))
        submit(local, below)

    def _was_read(self, bio: Bio, below: Bio, layers: Sequence[_Layer]) -> None:
        if not below.error:
            self._lay_over(bio, layers)
        bio.complete(below.error)

    @staticmethod
    def _lay_over(bio: Bio, layers: Sequence[_Layer]) -> None:
        assert bio.data is not None
        for entry, data in layers:
            first = max(entry.sector, bio.sector)
            end = min(entry.sector + entry.sectors, bio.sector + bio.sectors)
            into = slice((first - bio.sector) << SECTOR_SHIFT, (end - bio.sector) << SECTOR_SHIFT)
            if data is None:
                bio.data[into] = bytes((end - first) << SECTOR_SHIFT)
            else:
                bio.data[into] = data[(first - entry.sector) << SECTOR_SHIFT : (end - entry.sector) << SECTOR_SHIFT]
