"""ringbuffer: a replication log on a device, in the original's format.

What is written when, and why it is right whatever of it a power loss leaves:

* A commit writes, in any order, the entries appended since the last one, changed headers where marks are asked for,
  and the buffer header; then one flush. New entries lie only where no durable head says that there are others. The
  head moves over entries that are owed to nobody, and only over durable ones, so it may become durable before their
  marks or after them. The stored tail is that of the commit *before*: it must never be behind an entry that a power
  loss may take, for what is missing before the tail is damage.
* Space that the head freed is used when the head is durable: until then a recovery may begin at the old one.
* A site's bit is cleared in memory when the site holds the entry durably. On the device the header says so only after
  a commit with marks, and until its flush both answers are possible: `settled` counts them as owed. Of several
  headers any may be cleared first, so recovery takes an entry as owed to a site as soon as one before it is.
* Recovery flushes what it read, and what it owes anew, before the new generation: after the death of the process
  alone all of it may sit in the device's cache, and behind the new generation it counts as durable.
* The log header says 0.1.1, durably, before the first entry without data is written, and 0.0.1 again when a commit
  with marks finds none and nothing else to do: that is an orderly end, and the stored tail is exact.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Self, TypeVar
from zlib import crc32

from dmtable.core.bio import Bio, Op
from dmtable.core.steps import Steps, request
from dmtable.core.target import Context, StatusKind
from dmtable.errors import CorruptLogError, CtrError, DeviceLookupError, IoctlError
from dmtable.io.device import BlockDevice
from dmtable.language.numbers import scan_sector
from dmtable.replog.entries import RingEntries
from dmtable.replog.format import (
    BUFFER_SECTOR,
    DATALESS_VERSION,
    HEADER_SECTORS,
    ID_BYTES,
    PLAIN_VERSION,
    BufferHeader,
    LogHeader,
    State,
)
from dmtable.replog.log import Entry, Member, Membership, RecoveryReport
from dmtable.replog.members import MemberTable
from dmtable.replog.opening import Headers, create, read_headers
from dmtable.replog.recovery import SIGHTINGS, Walk, report_of
from dmtable.replog.ring import Ring
from dmtable.replog.ring_words import MIN_SECTORS, Mode, RingParams, too_small
from dmtable.replog.writing import pack_header, runs_of, writing
from dmtable.runtime.runtime import Completion
from dmtable.units import SECTOR_SHIFT

_T = TypeVar("_T")


@dataclass(slots=True)
class _Batch:
    """What one commit makes durable."""

    last: int
    head: int
    buffer: BufferHeader
    entries: list[Entry]
    marks: list[tuple[Entry, int]]
    """Entries whose header is written anew, and who is owed them then."""
    log: LogHeader | None
    """The log header, where it changes."""
    members: list[tuple[int, bytes]]


class RingBufferLog(RingEntries):
    """A log at `start` of a device. Tables make it by `construct`; `create` and `open` need no words."""

    name = "ringbuffer"
    params = RingParams

    def __init__(
        self,
        context: Context,
        lock: AbstractContextManager[object],
        device: BlockDevice,
        start: int,
        headers: Headers,
        words: tuple[str, ...] = (),
    ) -> None:
        super().__init__(context, lock, Ring.of(start, headers.log.size))
        self._ring.head = headers.buffer.head
        self._device = device
        self._block_sectors = device.logical_block_size >> SECTOR_SHIFT
        self._start = start
        self._where = f"log at sector {start} of {words[0]}" if words else f"log at sector {start}"
        self._words = words
        self._log = headers.log
        self._buffer = headers.buffer
        """As they are on the device, durably."""
        self._id = headers.buffer.id or b""
        self._table = MemberTable(self._id, headers.members if self._id else ())
        self.members.update(self._table.members())
        self._generation = 0
        self._since = 1
        self._ours_from = 1
        self._suspect = headers.buffer.suspect
        self._new_size: int | None = None
        self._report: RecoveryReport | None = None

    # Making.

    @classmethod
    def create(
        cls,
        context: Context,
        lock: AbstractContextManager[object],
        device: BlockDevice,
        start: int,
        size: int,
        words: tuple[str, ...] = (),
    ) -> Self:
        """A new log of `size` sectors, whatever is there. Raises OSError."""
        found = device.pread(HEADER_SECTORS << SECTOR_SHIFT, start << SECTOR_SHIFT)
        return cls(context, lock, device, start, create(device, start, size, _new_id(context, found)), words)

    @classmethod
    def open(
        cls,
        context: Context,
        lock: AbstractContextManager[object],
        device: BlockDevice,
        start: int,
        words: tuple[str, ...] = (),
    ) -> Self | None:
        """The log that is there; None where there is nothing like one. Raises CorruptLogError, and OSError.

        Raises CtrError (EPERM) where it is retired.
        """
        headers = read_headers(device, start, f"log at sector {start}")
        if headers is None:
            return None
        if headers.log.state is State.RETIRED:
            raise CtrError(errno.EPERM, "the log is retired: another one took its place")
        return cls(context, lock, device, start, headers, words)

    @classmethod
    def construct(cls, context: Context, params: RingParams, lock: AbstractContextManager[object]) -> Self:
        try:
            return cls._construct(context, params, lock)
        except CorruptLogError as error:
            raise _refused(context, errno.EINVAL, str(error)) from error
        except CtrError as error:
            raise _refused(context, error.errno, error.text) from error
        except OSError as error:
            raise _refused(context, error.errno or errno.EIO, f"I/O to the log's device failed: {error}") from error

    @classmethod
    def _construct(cls, context: Context, params: RingParams, lock: AbstractContextManager[object]) -> Self:
        try:
            dm_dev = context.get_device(params.device)
        except DeviceLookupError as error:
            raise CtrError(error.errno, error.text, 0) from error
        if params.start % dm_dev.block_sectors:
            raise CtrError(errno.EINVAL, f"sector {params.start} is not at the begin of a block of {dm_dev.name}")
        if text := too_small(dm_dev, params.start, params.size or MIN_SECTORS):
            raise CtrError(errno.EINVAL, text)
        given = [params.mode.value if params.mode else None, params.size]
        words = (dm_dev.name, str(params.start), *(str(word) for word in given if word is not None))
        if params.mode is not Mode.CREATE:
            log = cls.open(context, lock, dm_dev.device, params.start, words)
            if log is not None:
                return log
            if params.mode is not Mode.AUTO:
                raise CtrError(errno.EINVAL, f"there is no log at sector {params.start} of {dm_dev.name}")
        assert params.size is not None
        return cls.create(context, lock, dm_dev.device, params.start, params.size, words)

    # Life.

    def recovering(self) -> Steps:
        yield from self._failing(self._recovering())

    @property
    def report(self) -> RecoveryReport:
        assert self._report is not None, "the log is not recovered"
        return self._report

    def damage_handled(self) -> None:
        self._suspect = False

    def retiring(self) -> Steps:
        yield from self._failing(self._writing_log_header(replace(self._log, state=State.RETIRED)))

    def _recovering(self) -> Generator[Completion, None, None]:
        walk = Walk(self._device, self._buffer, Ring.of(self._start, self._log.size))
        yield from walk.reading()
        adopted = not self._id
        if adopted:
            self._id = _new_id(self.context, self._log.pack() + self._buffer.pack())
            self._table = MemberTable(self._id)
        self._tell(walk)
        with self.lock:
            self._take_up(walk)
        for entry in walk.reowed:
            yield from self._writing_header(entry, entry.owed)
            entry.slot.stored = entry.owed
        if adopted:
            # While it says so the buffer header may be the original's or ours: whichever it is, that is the log.
            yield from self._writing_log_header(replace(self._log, id=self._id, state=State.ADOPTING))
            # Sectors of a table that cannot be read wait for the first commit: that they are lost is not durable yet.
            with self.lock:
                members = self._pack_members()
            yield from self._writing_front(None, members)
        yield from self._flushing()
        with self.lock:
            buffer = self._buffer_header(self.last, self._ring.next)
        yield from self._writing_sector(self._start + BUFFER_SECTOR, buffer.pack())
        yield from self._flushing()
        if self._log.state is not State.LIVE:
            yield from self._writing_log_header(replace(self._log, state=State.LIVE))
        with self.lock:
            self._set_durable(self.head, buffer.head)
            self._buffer = buffer

    def _take_up(self, walk: Walk) -> None:
        """Makes what was found the log's content; the lock is held."""
        first = walk.buffer.head_number
        self.entries.update((entry.number, entry) for entry in walk.entries)
        self.head, self.last = first, walk.next_number - 1
        self.committed = self.last
        self._durable_head = first
        self._ring.next = walk.next_at
        self._dataless = sum(entry.op is not Op.WRITE for entry in walk.entries)
        self._generation = walk.buffer.generation + 1
        self._since = self.last + 1
        self._ours_from = self._since if walk.buffer.id is None else walk.buffer.ours_from
        self._report = report_of(walk, self._table, self._start)
        self._suspect = bool(self._report.damage)
        self._advance()

    def _tell(self, walk: Walk) -> None:
        """What a search of states should come across."""
        sometimes = self.context.runtime.sometimes
        if state := SIGHTINGS.get(walk.last_look):
            sometimes(state)
        if walk.reowed:
            sometimes("replay over a later entry")
        if walk.damage:
            sometimes("damaged log")
        if any(entry.owed and entry.slot.stored != walk.entries[0].slot.stored for entry in walk.entries):
            sometimes("recovery with one site ahead")

    # Entries.

    def committing(self, *, marks: bool = False) -> Steps:
        yield from self._failing(self._committing(marks))

    def reading(self, entry: Entry) -> Generator[Completion, None, bytes]:
        return (yield from self._failing(self._reading(entry)))

    def _reading(self, entry: Entry) -> Generator[Completion, None, bytes]:
        slot = entry.slot
        data = bytearray(entry.sectors << SECTOR_SHIFT)
        _, data_at, _ = slot.place
        data += bytes((-entry.sectors % self._block_sectors) << SECTOR_SHIFT)
        yield from request(self._device, Bio(Op.READ, data_at, len(data) >> SECTOR_SHIFT, memoryview(data)))
        self._statistics.reads += 1
        content = bytes(data[: entry.sectors << SECTOR_SHIFT])
        if crc32(content) != slot.checksum:
            offset = (data_at - self._start) << SECTOR_SHIFT
            raise CorruptLogError(self._where, offset, f"the data of entry {entry.number} is rotten")
        return content

    @property
    def marks_pending(self) -> bool:
        return bool(self._changed) or self._buffer.tail_number <= self.committed or self._is_plain_late

    @property
    def commit_pending(self) -> bool:
        return bool(
            self._appended
            or self.head > self._durable_head
            or self._table.changed
            or self._rewind
            or (self._new_size is not None and self._can_resize)
            or self._suspect != self._buffer.suspect
        )

    # Commits.

    def _committing(self, marks: bool) -> Generator[Completion, None, None]:
        with self.lock:
            if not (self.commit_pending or (marks and self.marks_pending)):
                return
            batch = self._take(marks)
        if self._dataless and self._log.version == PLAIN_VERSION:
            yield from self._writing_log_header(replace(self._log, version=DATALESS_VERSION))
            if batch.log is not None:
                batch.log = replace(batch.log, version=DATALESS_VERSION)
        yield from writing(self._device, runs_of(batch.entries, self._id, self._generation))
        for entry, owed in batch.marks:
            yield from self._writing_header(entry, owed)
        yield from self._writing_front(batch.log, batch.members)
        yield from self._writing_sector(self._start + BUFFER_SECTOR, batch.buffer.pack())
        yield from self._flushing()
        with self.lock:
            self._settle(batch)
            plain = marks and self._is_plain_late
        if plain:
            # The original may read the log again: the tail is exact, so nothing is left that it would misread.
            yield from self._writing_log_header(replace(self._log, version=PLAIN_VERSION))

    def _take(self, marks: bool) -> _Batch:
        """What is to be made durable, as it is now; the lock is held."""
        entries, self._appended = self._appended, []
        if self._rewind and not entries and self.head > self.last:
            self._ring.next = self._ring.start
            self.context.runtime.sometimes("rewind")
        self._rewind = False
        changed: list[tuple[Entry, int]] = []
        if marks:
            changed = [(entry, entry.owed) for entry in self._changed.values() if entry.number <= self.committed]
            self._changed.clear()
        tail = entries[0].slot.place[0] if entries else self._ring.next
        log = self._resized()
        members = self._pack_members()
        if len(entries) > 1:
            self.context.runtime.sometimes("group commit")
        return _Batch(self.last, self.head, self._buffer_header(self.committed, tail), entries, changed, log, members)

    def _pack_members(self) -> list[tuple[int, bytes]]:
        members = [(index, self._table.pack(index)) for index in sorted(self._table.changed)]
        self._table.changed.clear()
        return members

    def _settle(self, batch: _Batch) -> None:
        """The batch is durable; the lock is held."""
        for entry, owed in batch.marks:
            entry.slot.stored = owed
        self.committed = batch.last
        self._set_durable(batch.head, batch.buffer.head)
        self._buffer = batch.buffer
        if batch.log is not None:
            self._log = batch.log
            self._new_size = None
            self._ring.end = self._start + batch.log.size
        self._advance()
        statistics, count = self._statistics, len(batch.entries)
        statistics.writes += count
        statistics.single += count == 1
        statistics.multi += count > 1
        statistics.most_entries = max(statistics.most_entries, len(self.entries))

    def _buffer_header(self, committed: int, tail: int) -> BufferHeader:
        """With the head as it is now, and the tail at this sector, behind entry `committed`."""
        first = self.entries.get(self.head)
        head = first.slot.place[0] if first and self.head <= committed else tail
        return BufferHeader(
            self._ring.start, head, tail, 0, self._id, self._suspect, self._generation, self._since,
            self.head, committed + 1, self._ours_from,
        )  # fmt: skip

    @property
    def _is_plain_late(self) -> bool:
        """Whether the log header says that there may be entries without data, and there are none any more."""
        exact = self._buffer.tail_number == self.last + 1
        return self._log.version == DATALESS_VERSION and not self._dataless and exact

    # Resizing.

    def message(self, args: Sequence[str]) -> str:
        """`statistics on|off|reset` and `resize SECTORS`; words may be shortened, in any case of letters."""
        keyword, *rest = [word.lower() for word in args] or [""]
        if keyword and "statistics".startswith(keyword) and len(rest) == 1 and rest[0]:
            switch = next((name for name in ("on", "off", "reset") if name.startswith(rest[0])), None)
            if switch == "reset":
                self._statistics.reset()
                return ""
            if switch is not None:
                self._statistics.enabled = switch == "on"
                return ""
        elif keyword and "resize".startswith(keyword) and len(rest) == 1:
            self._resize(rest[0])
            return ""
        raise IoctlError(errno.EINVAL, f"the ringbuffer log takes no message {' '.join(args)!r}")

    def _resize(self, word: str) -> None:
        """The ring has its new end when the next commits are done. Raises IoctlError."""
        size, device = scan_sector(word), self._device.size_bytes >> SECTOR_SHIFT
        if size is None or not MIN_SECTORS <= size <= device - self._start:
            room = f"from {MIN_SECTORS} to {device - self._start}"
            raise IoctlError(errno.EINVAL, f"{word!r} is no size that the log can have: {room} sectors")
        if self._new_size is not None:
            raise IoctlError(errno.EPERM, "the log is being resized")
        self._new_size = size
        if not self._can_resize:
            self._new_size = None
            raise IoctlError(errno.EBUSY, f"the log cannot be shrunk to {size} sectors: entries lie behind")

    @property
    def _can_resize(self) -> bool:
        """Whether the new size can be had now, or once an empty ring begins at its start."""
        if self._new_size is None or self.head > self.last:
            return self._new_size is not None
        end = self._start + self._new_size
        return end >= self._ring.end or self._ring.fits(end)

    def _resized(self) -> LogHeader | None:
        """The log header with the new size, where it can be had in this batch.

        A smaller ring ends there at once: the entries know where they wrapped, so a recovery may still go by the old
        end. A larger one does not before the header is durable, for an entry behind the end is none.
        """
        if self._new_size is None:
            return None
        end = self._start + self._new_size
        if end < self._ring.end:
            if not self._ring.fits(end):
                self._rewind = self.head > self.last
                return None
            self._ring.end = end
        return replace(self._log, size=self._new_size)

    # Beyond entries.

    def remember(self, member: Member, membership: Membership | None) -> None:
        self._table.put(member, membership)
        if membership is None:
            self.members.pop(member, None)
        else:
            self.members[member] = membership

    @property
    def size_sectors(self) -> int:
        return self._log.size

    def status(self, kind: StatusKind) -> str:
        if kind is StatusKind.TABLE:
            return " ".join([self.name, str(len(self._words)), *self._words, ""])
        if not self._statistics.enabled:
            return ""
        return self._statistics.text(self._ring, self._buffer.tail, len(self._appended), len(self.entries))

    # Device calls.

    def _failing(self, steps: Generator[Completion, None, _T]) -> Generator[Completion, None, _T]:
        """The steps; whatever cuts them short, but a content that is not what it was, is the log's end."""
        try:
            return (yield from steps)
        except CorruptLogError:
            raise
        except BaseException:
            self.failed = True
            raise

    def _writing_sector(self, sector: int, content: bytes | bytearray) -> Steps:
        """A header; where the device has larger blocks, with what is behind it and nobody's."""
        if self._block_sectors > 1:
            content = content.ljust(HEADER_SECTORS << SECTOR_SHIFT, b"\0")
        return writing(self._device, [(sector, [content])])

    def _writing_front(self, log: LogHeader | None, members: Sequence[tuple[int, bytes]]) -> Steps:
        """The log header, where there is a new one, and sectors of the table of members: the changed ones, or where
        the device has larger blocks, all."""
        if self._block_sectors > 1 and (log or members):
            yield from self._writing_sector(self._start, (log or self._log).pack() + b"".join(self._table.sectors))
            return
        if log is not None:
            yield from self._writing_sector(self._start, log.pack())
        for index, sector in members:
            yield from self._writing_sector(self._start + 1 + index, sector)

    def _writing_header(self, entry: Entry, owed: int) -> Generator[Completion, None, None]:
        yield from self._writing_sector(entry.slot.place[0], pack_header(entry, self._id, owed))

    def _writing_log_header(self, header: LogHeader) -> Generator[Completion, None, None]:
        yield from self._writing_front(header, ())
        yield from self._flushing()
        self._log = header

    def _flushing(self) -> Steps:
        return request(self._device, Bio(Op.FLUSH, 0, 0))


def _new_id(context: Context, found: bytes) -> bytes:
    """Random, and another than that of the log that is there, even where the same is drawn again (as in a
    simulation after a power loss): or its entries would count as this one's."""
    return hashlib.sha256(context.runtime.random_bytes(ID_BYTES) + found).digest()[:ID_BYTES]


def _refused(context: Context, number: int, text: str) -> CtrError:
    context.log(f"ringbuffer log: {text}")
    return CtrError(number, text)
