"""A replicator that is as simple as a sound one can be, and nine ways to spoil it.

Two devices, two sites, one log. A write enters the queue, is appended to the log, and is acknowledged then, or
with FUA when the log was flushed. Each site is sent the durable entries one by one: write, flush, clear the site's
bit in the entry's header, flush the log. When no site is owed the oldest entry any more the head moves over it.

The log: sector 0 says from which sequence on entries are owed; the generation, which is raised whenever the log is
opened; and from which sequence on entries are of this generation or abandoned. Entry `s` is in slot `s mod SLOTS`: a
header sector and two of data.
"""

from __future__ import annotations

import errno
import itertools
import struct
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import ClassVar

from dmtable.core.bio import Bio, Op
from dmtable.io.device import BlockDevice
from dmtable.runtime.runtime import Worker
from dmtable.sim.link import LinkedDevice
from dmtable.sim.subject import Entered, Subject
from dmtable.sim.world import World
from dmtable.units import SECTOR_BYTES

SLOTS = 3
DATA_SECTORS = 2
SLOT_SECTORS = 1 + DATA_SECTORS
_START = struct.Struct("<QQQ")  # sequence of the head, generation, sequence from which on entries are of it
_HEADER = struct.Struct("<QQQQQI")  # sequence, generation, device, sector, sectors, checksum
_OWED_AT = 64
_RETRY_SECONDS = 1.0


class Defect(Enum):
    """What can be done wrong."""

    REORDER = "sends entry 2 before entry 1"
    EARLY_ACK = "acknowledges before the log is durable"
    EARLY_CLEAR = "clears the bit before the flush"
    EARLY_HEAD = "moves the head too early"
    STALE_LAP = "replays a stale lap"
    DEVICE_BLIND = "ignores the device number"
    TORN_HEADER = "trusts a torn header"
    REPLAY_OVER = "replays an entry over a later one whose bit was cleared"
    ABANDONED_TAIL = "takes an abandoned tail for its own"


class Entry:
    """One logged write, while any site is owed it."""

    __slots__ = ("bio", "content", "device", "durable", "generation", "owed", "sector", "sequence")

    def __init__(
        self, sequence: int, generation: int, device: int, sector: int, content: bytes, owed: set[int]
    ) -> None:
        self.sequence = sequence
        self.generation = generation
        self.device = device
        self.sector = sector
        self.content = content
        self.owed = owed
        self.durable = False
        self.bio: Bio | None = None

    def header(self) -> bytes:
        sectors = len(self.content) // SECTOR_BYTES
        fields = (self.sequence, self.generation, self.device, self.sector, sectors)
        head = _HEADER.pack(*fields, _checksum(fields, self.content)).ljust(_OWED_AT, b"\0")
        return (head + bytes([sum(1 << site for site in self.owed)])).ljust(SECTOR_BYTES, b"\0")


class Replicator:
    """The group at work; its Workers are the log's and one for each site."""

    def __init__(self, world: World, entered: Entered, sites: list[list[BlockDevice]], defect: Defect | None) -> None:
        self._runtime = world.runtime
        self._log = world.disks["log"]
        self._entered = entered
        self._sites = sites
        self._defect = defect
        self._queue: deque[tuple[int, Bio]] = deque()
        self._flushes: deque[tuple[int, Bio]] = deque()
        """Flushes, each with the sequence that the log must have durable first."""
        self._recover()
        self._log_worker = self._runtime.start(_Steps("log", self._run_log()))
        self._site_workers = [
            self._runtime.start(_Steps(f"site {site}", self._run_site(site))) for site in range(len(sites))
        ]

    def submit(self, device: int, bio: Bio) -> None:
        if bio.op is Op.FLUSH:
            self._flushes.append((self._next + len(self._queue), bio))
        elif bio.op is Op.READ or bio.sectors > DATA_SECTORS:
            bio.complete(errno.EOPNOTSUPP)
            return
        else:
            self._entered(device, bio)
            self._queue.append((device, bio))
        self._log_worker.wake()

    def _recover(self) -> None:
        """Reads the log from its head to its end, and raises the generation before anything is appended."""
        self._head, generation, since = _START.unpack_from(self._log.pread(SECTOR_BYTES, 0))
        self._entries: deque[Entry] = deque()
        sequence = self._head
        while len(self._entries) < SLOTS:
            entry = self._read(sequence, generation if sequence >= since else 0)
            if entry is None:
                break
            entry.durable = True
            self._entries.append(entry)
            sequence += 1
        if self._defect is not Defect.REPLAY_OVER:
            self._owe_all_behind_the_first()
        self._durable_head = self._head
        self._next = self._since = sequence
        self._generation = generation + 1
        self._log.pwrite(self._start(), 0)
        self._log.flush()

    def _owe_all_behind_the_first(self) -> None:
        """A site that is owed an entry has none of those behind it, whatever their bits say."""
        for site in range(len(self._sites)):
            owed = itertools.dropwhile(lambda entry: site not in entry.owed, self._entries)  # noqa: B023
            for entry in owed:
                entry.owed.add(site)

    def _start(self) -> bytes:
        return _START.pack(self._head, self._generation, self._since).ljust(SECTOR_BYTES, b"\0")

    def _read(self, sequence: int, generation: int) -> Entry | None:
        """The entry in the slot of that sequence, where it is one of ours and whole."""
        at = self._slot(sequence)
        header = self._log.pread(SECTOR_BYTES, at)
        *fields, checksum = _HEADER.unpack_from(header)
        number, its_generation, device, sector, sectors = fields
        if not sectors or sectors > DATA_SECTORS:
            return None
        content = self._log.pread(sectors * SECTOR_BYTES, at + SECTOR_BYTES)
        if checksum != _checksum(tuple(fields), content) and self._defect is not Defect.TORN_HEADER:
            self._runtime.sometimes("torn entry")
            return None
        if number != sequence and self._defect is not Defect.STALE_LAP:
            if number < sequence:
                self._runtime.sometimes("stale lap")
            return None
        if its_generation < generation and self._defect is not Defect.ABANDONED_TAIL:
            self._runtime.sometimes("abandoned tail")
            return None
        owed = {site for site in range(len(self._sites)) if header[_OWED_AT] >> site & 1}
        if len(owed) not in (0, len(self._sites)):
            self._runtime.sometimes("recovery with one site ahead")
        return Entry(sequence, its_generation, device, sector, content, owed)

    def _slot(self, sequence: int) -> int:
        return (1 + sequence % SLOTS * SLOT_SECTORS) * SECTOR_BYTES

    def _run_log(self) -> Iterator[bool]:
        """Appends what is queued, flushes, and moves the head when entries are owed to nobody."""
        while True:
            while self._queue and self._next - self._durable_head < SLOTS:
                yield from self._append(*self._queue.popleft())
            if self._queue:
                self._runtime.sometimes("log full")
            if not all(entry.durable for entry in self._entries) or self._may_flush():
                yield from self._commit()
            elif self._head < self._done_upto():
                yield from self._move_head()
            else:
                yield False

    def _append(self, device: int, bio: Bio) -> Iterator[bool]:
        content = bytes(bio.sectors * SECTOR_BYTES) if bio.data is None else bytes(bio.data)
        entry = Entry(self._next, self._generation, device, bio.sector, content, set(range(len(self._sites))))
        if self._next and not self._next % SLOTS:
            self._runtime.sometimes("wrap")
        self._next += 1
        self._entries.append(entry)
        self._log.pwrite(entry.header() + content, self._slot(entry.sequence))
        yield True
        if bio.fua and self._defect is not Defect.EARLY_ACK:
            entry.bio = bio
        else:
            bio.complete()

    def _commit(self) -> Iterator[bool]:
        entries = [entry for entry in self._entries if not entry.durable]
        flushed = self._next
        if len(entries) > 1:
            self._runtime.sometimes("group commit")
        self._log.flush()
        yield True
        for entry in entries:
            entry.durable = True
            if entry.bio is not None:
                entry.bio.complete()
        while self._may_flush() and self._flushes[0][0] <= flushed:
            self._flushes.popleft()[1].complete()
        for worker in self._site_workers:
            worker.wake()

    def _may_flush(self) -> bool:
        """Whether everything that the first flush waits for is in the log."""
        return bool(self._flushes) and self._flushes[0][0] <= self._next

    def _done_upto(self) -> int:
        """The sequence of the first entry that is owed to any site."""
        needed = {0} if self._defect is Defect.EARLY_HEAD else set(range(len(self._sites)))
        return next((entry.sequence for entry in self._entries if entry.owed & needed), self._next)

    def _move_head(self) -> Iterator[bool]:
        self._head = self._done_upto()
        self._log.pwrite(self._start(), 0)
        yield True
        head = self._head
        self._log.flush()
        yield True
        self._durable_head = head
        while self._entries and self._entries[0].sequence < head:
            self._entries.popleft()

    def _run_site(self, site: int) -> Iterator[bool]:
        """Sends the site what it is owed, in order."""
        while True:
            owed = [entry for entry in self._entries if entry.durable and site in entry.owed]
            if not owed:
                yield False
                continue
            if len(owed) > 1:
                self._runtime.sometimes("a site falls behind")
            entry = owed[-1 if self._defect is Defect.REORDER else 0]
            device = self._sites[site][0 if self._defect is Defect.DEVICE_BLIND else entry.device]
            try:
                device.pwrite(entry.content, entry.sector * SECTOR_BYTES)
                yield True
                if self._defect is not Defect.EARLY_CLEAR:
                    device.flush()
                    yield True
            except OSError:
                self._runtime.sometimes("link down")
                self._runtime.sleep(_RETRY_SECONDS)
                yield True
                continue
            entry.owed.discard(site)
            self._log.pwrite(entry.header(), self._slot(entry.sequence))
            yield True
            if self._defect is not Defect.REPLAY_OVER:
                self._log.flush()
                yield True
            self._log_worker.wake()


class _Steps(Worker):
    """A Worker whose steps are those of a generator; it yields whether there was something to do."""

    def __init__(self, name: str, steps: Iterator[bool]) -> None:
        self.name = name
        self._steps = steps

    def step(self) -> bool:
        return next(self._steps)


class Reference(Subject):
    """The replicator, sound or with one defect, on five disks."""

    device_sectors = (2, 2)
    disks: ClassVar = {"log": 1 + SLOTS * SLOT_SECTORS, "here 0": 2, "here 1": 2, "there 0": 2, "there 1": 2}
    sites: ClassVar[Sequence[Sequence[str]]] = (("here 0", "here 1"), ("there 0", "there 1"))
    sometimes = ("log full", "wrap", "torn entry", "abandoned tail", "stale lap", "group commit", "a site falls behind")

    def __init__(self, defect: Defect | None = None) -> None:
        self._defect = defect

    def open(self, world: World, entered: Entered) -> Replicator:
        link = world.link("site 1")
        here: list[BlockDevice] = [world.disks[name] for name in self.sites[0]]
        there: list[BlockDevice] = [LinkedDevice(world.disks[name], link) for name in self.sites[1]]
        return Replicator(world, entered, [here, there], self._defect)


def _checksum(fields: tuple[int, ...], content: bytes) -> int:
    return zlib.crc32(content, zlib.crc32(repr(fields).encode()))


sound = Reference()
