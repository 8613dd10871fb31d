"""The entries of a ring-buffer log in memory: their places, who is owed them, and what of that is durable."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager

from dmtable.core.bio import Op
from dmtable.core.target import Context
from dmtable.replog.format import HEADER_SECTORS
from dmtable.replog.log import Entry, LogFullError, ReplicationLog
from dmtable.replog.recovery import Slot
from dmtable.replog.ring import KEPT_SECTORS, Ring, data_sectors
from dmtable.replog.statistics import Statistics


class RingEntries(ReplicationLog):
    """The part of the log that does no I/O: all of it is called with the lock held."""

    def __init__(self, context: Context, lock: AbstractContextManager[object], ring: Ring) -> None:
        super().__init__(context, lock)
        self._ring = ring
        """In use from the durable head on, to where the next entry goes."""
        self._durable_head = 1
        self._passed: dict[int, Entry] = {}
        """What the head passed since it was durable."""
        self._appended: list[Entry] = []
        """What no commit has taken yet."""
        self._changed: dict[int, Entry] = {}
        """Committed entries that are owed to fewer sites than their headers say."""
        self._settled: dict[int, int] = {}
        self._dataless = 0
        """How many entries without data have space in the ring."""
        self._rewind = False
        """An empty ring is to begin at its start: else a large entry might fit neither before its end nor behind."""
        self._statistics = Statistics()

    def append(self, entry: Entry) -> None:
        ring = self._ring
        is_write = entry.op is Op.WRITE
        place = ring.place((entry.sectors + 7) & ~7 if is_write else 0)
        if place is None:
            self._stall()
            raise LogFullError
        at, data_at, wrap, ring.next = place
        if wrap:
            self._statistics.wraps += 1
            self.context.runtime.sometimes("wrap")
        if not is_write:
            self._dataless += 1
        self.last = entry.number = number = self.last + 1
        entry.slot = Slot((at, data_at, wrap), entry.owed)
        self.entries[number] = entry
        self._appended.append(entry)

    def _stall(self) -> None:
        self._statistics.stalls += 1
        ring = self._ring
        self._rewind = not self.entries and (ring.next != ring.start or self.head > self._durable_head)
        self.context.runtime.sometimes("log full")

    def mark_done(self, site: int, entry: Entry) -> None:
        owed = entry.owed & ~(1 << site)
        if owed != entry.owed:
            entry.owed = owed
            self._changed[entry.number] = entry
            if not owed and entry.number == self.head:
                self._advance()

    def mark_all_done(self, site: int, entries: Iterable[Entry]) -> None:
        bit, changed = 1 << site, self._changed
        for entry in entries:
            owed = entry.owed
            if owed & bit:
                entry.owed = owed ^ bit
                changed[entry.number] = entry
        if self.head in changed:
            self._advance()

    def void(self, entry: Entry) -> None:
        if entry.number in self.entries:
            entry.owed = 0
            entry.slot.void = True
            self._changed[entry.number] = entry
            self._advance()

    def settled(self, site: int) -> int:
        number = max(self._settled.get(site, 0), self._durable_head - 1)
        entries, passed, bit = self.entries, self._passed, 1 << site
        while number < self.committed:
            entry = entries.get(number + 1) or passed[number + 1]
            if entry.slot.stored & bit:
                break
            number += 1
        self._settled[site] = number
        return number

    def _advance(self) -> None:
        """Moves the head over durable entries that are owed to nobody."""
        entries, head = self.entries, self.head
        while head <= self.committed and not entries[head].owed:
            self._passed[head] = entries.pop(head)
            self._changed.pop(head, None)
            head += 1
        self.head = head

    def _set_durable(self, head: int, sector: int) -> None:
        """Entry `head`, at this sector, is durably the first: the space of those before is free."""
        for number in range(self._durable_head, head):
            self._dataless -= self._passed.pop(number).op is not Op.WRITE
        self._durable_head = head
        self._ring.head = sector

    # Space.

    @property
    def free_sectors(self) -> int:
        return max(self._ring.free - KEPT_SECTORS, 0)

    def cost_sectors(self, op: Op, sectors: int) -> int:
        return HEADER_SECTORS + (data_sectors(sectors) if op is Op.WRITE else 0)
