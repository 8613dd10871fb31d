"""A ring-buffer log looked at from outside: what it holds, and what recovery would make of it. Nothing is written.

The decisions are recovery's own. A log that is in use changes under the eyes of who looks; what is seen then is a
moment of it, and its newest entries may be missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from zlib import crc32

from dmtable.core.bio import Op
from dmtable.core.steps import carry_out
from dmtable.errors import CorruptLogError, DmtableError
from dmtable.io.device import BlockDevice
from dmtable.replog.format import BufferHeader, LogHeader, State
from dmtable.replog.log import Entry, Member, Membership, RecoveryReport
from dmtable.replog.members import MemberTable
from dmtable.replog.opening import Headers, read_headers
from dmtable.replog.recovery import Walk, report_of
from dmtable.replog.ring import Ring
from dmtable.runtime.runtime import Runtime
from dmtable.units import SECTOR_SHIFT

USUAL_STARTS = (0, 32)
"""Where a log is looked for: at the begin of its device, and where the slides' tables put it."""
POLL_SECONDS = 1.0
_TRIES = 20


@dataclass(frozen=True, slots=True)
class LoggedEntry:
    """An entry of a log on a device.

    `entry.owed` are the sites that recovery takes it to be owed to, `owed` those that its header names: a site that
    is owed an entry is owed all behind it. `sector` is the log device's, where the header stands. `generation` is
    None where the original wrote the entry, which then has neither time nor checksum. `void`: given up for all sites.
    """

    entry: Entry
    owed: int
    sector: int
    data_sector: int
    generation: int | None
    checksum: int
    void: bool

    @property
    def checked(self) -> bool:
        """Whether a checksum says that the content is what was written; it is, or the entry would be damage."""
        return self.generation is not None


@dataclass(frozen=True, slots=True)
class LogImage:
    """A log as it stands on its device: the entries that recovery would take, and what it would say."""

    device: BlockDevice
    where: str
    start: int
    log: LogHeader
    buffer: BufferHeader
    entries: Sequence[LoggedEntry]
    members: Sequence[tuple[Member, Membership]]
    report: RecoveryReport
    end_sector: int
    """Of the log device: where the next entry goes."""

    @property
    def retired(self) -> bool:
        return self.log.state is State.RETIRED

    @property
    def owed(self) -> list[Entry]:
        """The entries that some site is owed."""
        return [logged.entry for logged in self.entries if logged.entry.owed]

    def owed_to(self, site: int) -> list[Entry]:
        return [entry for entry in self.owed if entry.owed >> site & 1]

    def content(self, logged: LoggedEntry) -> bytes | None:
        """What the entry wrote, None for zeroes. Raises CorruptLogError where that changed meanwhile, and OSError."""
        if logged.entry.op is not Op.WRITE:
            return None
        offset = logged.data_sector << SECTOR_SHIFT
        data = self.device.pread(logged.entry.sectors << SECTOR_SHIFT, offset)
        if crc32(data) != logged.checksum:
            offset -= self.start << SECTOR_SHIFT
            raise CorruptLogError(self.where, offset, f"the data of entry {logged.entry.number} is not what it was")
        return data


def find_start(device: BlockDevice, where: str) -> int:
    """The sector where the log begins, of the usual ones. Raises CorruptLogError where there is none, and OSError."""
    for start in USUAL_STARTS:
        if read_headers(device, start, where) is not None:
            return start
    raise CorruptLogError(where, 0, "there is no replication log at sector 0 or 32; give its start")


def inspect(device: BlockDevice, start: int, where: str, runtime: Runtime) -> LogImage:
    """Looks at the log from sector `start` on; `where` names its device in messages.

    Raises CorruptLogError where there is no log that recovery could begin with, and OSError.
    """
    for _ in range(_TRIES):
        headers = _headers(device, start, where)
        walk = _walk(device, start, headers, headers.buffer, runtime)
        # What seems to be damage may have been overwritten when the head had left it.
        if not walk.damage or _headers(device, start, where).buffer == headers.buffer:
            break
    table = MemberTable(headers.buffer.id or b"", headers.members if headers.buffer.id else ())
    report = report_of(walk, table, start)
    members = sorted(table.members(), key=lambda member: member[0])
    return LogImage(device, where, start, headers.log, headers.buffer, _logged(walk), members, report, walk.next_at)


class Tail:
    """Follows a log that somebody uses: `next_number` is the first entry that was not seen yet."""

    def __init__(self, image: LogImage, runtime: Runtime) -> None:
        self._image = image
        self._runtime = runtime
        self.next_number = image.report.last + 1
        self.missed = 0
        """How many entries came and went unseen."""
        self._at = image.end_sector

    def poll(self) -> list[LoggedEntry]:
        """The entries that came since. Raises CorruptLogError where the log is not what it was any more."""
        image = self._image
        headers = _headers(image.device, image.start, image.where)
        buffer = headers.buffer
        if buffer.id != image.buffer.id:
            raise CorruptLogError(image.where, 80, "another log took this one's place")
        if buffer.head_number > self.next_number:
            self.missed += buffer.head_number - self.next_number
            self.next_number, self._at = buffer.head_number, buffer.head
        begin = replace(buffer, head=self._at, head_number=self.next_number)
        walk = _walk(image.device, image.start, headers, begin, self._runtime)
        if walk.damage and _headers(image.device, image.start, image.where).buffer.head_number <= walk.next_number:
            raise CorruptLogError(image.where, (walk.next_at - image.start) << SECTOR_SHIFT, walk.end)
        self.next_number, self._at = walk.next_number, walk.next_at
        return _logged(walk)

    def follow(self) -> Iterator[LoggedEntry]:
        """Entries as they come, for ever."""
        while True:
            yield from self.poll()
            self._runtime.sleep(POLL_SECONDS)


def entries_between(image: LogImage, at: int, as_of: int) -> list[LoggedEntry]:
    """The entries that lead from the state at entry `at` to that at `as_of`; those that were given up are left out.

    Raises DmtableError where that cannot be known.
    """
    first, last = image.report.first, image.report.last
    if as_of < at:
        raise DmtableError(f"the image is at entry {at} already: that is behind entry {as_of}, and nothing is undone")
    if as_of > last:
        lost = f" (the log is damaged there: {image.report.end})" if image.report.damage else ""
        raise DmtableError(f"entry {as_of} is not in the log, which ends with entry {last}{lost}")
    if at < first - 1:
        gone = f"entries {at + 1} to {min(first - 1, as_of)} are gone from the ring, which begins with entry {first}"
        raise DmtableError(f"{gone}: give an image at entry {first - 1} or later")
    return [logged for logged in image.entries if at < logged.entry.number <= as_of and not logged.void]


def replay(image: LogImage, entries: Sequence[LoggedEntry], device: int, onto: BlockDevice) -> int:
    """Writes what the entries wrote to a device of the group onto its image, in their order: how many they were.

    Raises DmtableError where one lies behind the image's end, or its content cannot be had; OSError.
    """
    mine = [logged for logged in entries if logged.entry.device == device]
    for logged in mine:
        entry = logged.entry
        if entry.sector + entry.sectors > onto.size_bytes >> SECTOR_SHIFT:
            what = f"entry {entry.number} ends at sector {entry.sector + entry.sectors}, behind the image's end"
            raise DmtableError(f"{what}: it is not device {device}'s, or not all of it")
        content = image.content(logged)
        if content is None:
            onto.write_zeroes(entry.sector << SECTOR_SHIFT, entry.sectors << SECTOR_SHIFT)
        else:
            onto.pwrite(content, entry.sector << SECTOR_SHIFT)
    return len(mine)


def _headers(device: BlockDevice, start: int, where: str) -> Headers:
    headers = read_headers(device, start, where)
    if headers is None:
        raise CorruptLogError(where, 0, f"there is no replication log at sector {start}")
    return headers


def _walk(device: BlockDevice, start: int, headers: Headers, buffer: BufferHeader, runtime: Runtime) -> Walk:
    walk = Walk(device, buffer, Ring.of(start, headers.log.size))
    carry_out(walk.reading(), runtime)
    return walk


def _logged(walk: Walk) -> list[LoggedEntry]:
    found = []
    for entry in walk.entries:
        slot = entry.slot
        at, data_at, _ = slot.place
        found.append(LoggedEntry(entry, slot.stored, at, data_at, slot.generation or None, slot.checksum, slot.void))
    return found
