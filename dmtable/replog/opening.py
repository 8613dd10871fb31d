"""What stands where a ring-buffer log should, and how a new one is made there.

A log is made in three durable steps: a log header that says CREATING, everything else, the log header that says LIVE.
So whatever a power loss leaves is one of: what was there before, nothing that counts, or the whole empty log.
"""

from __future__ import annotations

from dataclasses import dataclass

from dmtable.errors import CorruptLogError
from dmtable.io.device import BlockDevice
from dmtable.replog.format import (
    BUFFER_SECTOR,
    FULL_FLAG,
    HEADER_SECTORS,
    MEMBER_SECTORS,
    RING_SECTOR,
    BufferHeader,
    LogHeader,
    State,
    holds_buffer_magic,
    pack_members,
)
from dmtable.replog.ring import KEPT_SECTORS
from dmtable.units import SECTOR_BYTES, SECTOR_SHIFT

LEAST_SECTORS = RING_SECTOR + HEADER_SECTORS + HEADER_SECTORS + KEPT_SECTORS
"""Of any log: one entry of one sector fits."""


@dataclass(frozen=True, slots=True)
class Headers:
    """The first 16 sectors of a log, judged. `members` are the sectors of their table, as they are."""

    log: LogHeader
    buffer: BufferHeader
    members: tuple[bytes, ...]

    @property
    def foreign(self) -> bool:
        """Whether the original wrote the buffer header last: the entries are to be taken by its rules."""
        return self.buffer.id is None


def read_headers(device: BlockDevice, start: int, where: str) -> Headers | None:
    """The headers of the log from sector `start` on, None where nothing says that there is one, or ever was.

    Raises CorruptLogError where there is one that cannot be what it should be, and OSError.
    """
    size = device.size_bytes >> SECTOR_SHIFT
    if start + RING_SECTOR > size:
        raise CorruptLogError(where, 0, f"the device has {size} sectors: too few for a log from sector {start} on")
    head = device.pread(RING_SECTOR << SECTOR_SHIFT, start << SECTOR_SHIFT)
    sectors = [head[at : at + SECTOR_BYTES] for at in range(0, len(head), SECTOR_BYTES)]
    log = LogHeader.unpack(sectors[0], where)
    if log is None:
        if holds_buffer_magic(sectors[BUFFER_SECTOR]):
            raise CorruptLogError(where, 0, "there is a buffer header and no log header")
        return None
    if log.state is State.CREATING:
        return None
    buffer = BufferHeader.unpack(sectors[BUFFER_SECTOR], where, log.id)
    if log.id is None and buffer.id is not None:
        raise CorruptLogError(where, 64, "the log header lacks what the buffer header has of dmtable")
    _check_geometry(log, buffer, start, size, where)
    return Headers(log, buffer, tuple(sectors[1 : 1 + MEMBER_SECTORS]))


def create(device: BlockDevice, start: int, size: int, log_id: bytes) -> Headers:
    """Makes an empty log of `size` sectors, whatever is there. Raises OSError."""
    first = start + RING_SECTOR
    log = LogHeader(size, start + BUFFER_SECTOR, id=log_id)
    creating = LogHeader(size, start + BUFFER_SECTOR, id=log_id, state=State.CREATING)
    buffer = BufferHeader(first, first, first, id=log_id)
    members = (pack_members(log_id, ()),) * MEMBER_SECTORS
    gap = bytes((RING_SECTOR - BUFFER_SECTOR - 1) << SECTOR_SHIFT)
    for header in (creating, log):
        # The second time with what was made durable between them, for the sake of devices of large blocks.
        table = b"".join(members)
        device.pwrite(header.pack() + table, start << SECTOR_SHIFT)
        if header is creating:
            device.flush()
            device.pwrite(buffer.pack() + gap, (start + BUFFER_SECTOR) << SECTOR_SHIFT)
        device.flush()
    return Headers(log, buffer, members)


def _check_geometry(log: LogHeader, buffer: BufferHeader, start: int, device_sectors: int, where: str) -> None:
    """Raises CorruptLogError where sizes and positions do not fit each other or the device."""
    offset = BUFFER_SECTOR << SECTOR_SHIFT
    if log.buffer_sector != start + BUFFER_SECTOR:
        what = f"the buffer header is said to be at sector {log.buffer_sector}, not {start + BUFFER_SECTOR}"
        raise CorruptLogError(where, 34, what)
    if log.size < LEAST_SECTORS or start + log.size > device_sectors:
        what = f"the log has {log.size} sectors from {start} on, and the device has {device_sectors}"
        raise CorruptLogError(where, 26, what)
    first, last = start + RING_SECTOR, start + log.size - HEADER_SECTORS
    if buffer.start != first:
        raise CorruptLogError(where, offset + 20, f"the ring begins at sector {buffer.start}, not {first}")
    for at, what, position in ((28, "head", buffer.head), (36, "tail", buffer.tail)):
        if not first <= position <= last:
            raise CorruptLogError(where, offset + at, f"the {what} is at sector {position}, out of the ring")
    if buffer.id is None and buffer.head == buffer.tail and buffer.flags & FULL_FLAG:
        # The original takes it for empty when it opens it again.
        raise CorruptLogError(where, offset + 44, "the log is full by its flags, and empty by its head and tail")
    if buffer.id and not buffer.head_number <= buffer.tail_number:
        raise CorruptLogError(where, offset + 112, "the head is behind the tail")
