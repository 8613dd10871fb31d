"""One md behind its file: reads, writes, flushes and zeroes, answered when they are done.

What is mapped statically and runs goes the quick way: one call on the thread that read the request. Everything else
becomes a bio, and its completion answers, so that an md which is suspended, or whose targets take their time, keeps
nobody waiting but who asked for it. A call that goes down to a device may wait there all the same, as for a disk or a
server that is slow; a node whose calls have been seen to take long makes them on other threads.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from dmtable.core.bio import Bio, Op
from dmtable.core.compiled import CompiledIo
from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.mapped_device import MappedDevice
from dmtable.nodes.channel import Channel
from dmtable.nodes.hands import Call, Hands
from dmtable.nodes.protocol import write_answer
from dmtable.nodes.writes import Writes
from dmtable.units import SECTOR_SHIFT

_ODD = (1 << SECTOR_SHIFT) - 1
_KEEP_SIZE, _PUNCH_HOLE, _ZERO_RANGE = 0x01, 0x02, 0x10
_ZEROING = (_PUNCH_HOLE | _KEEP_SIZE, _ZERO_RANGE, _ZERO_RANGE | _KEEP_SIZE)

_SMALL_BYTES = 32 << 10
_LONG_SECONDS = 0.001
_LONG_DOUBT, _TOO_MUCH_DOUBT, _MOST_DOUBT = 16, 48, 96
"""A call that takes long raises the doubt by 16, any other lowers it by 1; from 48 on other threads make the calls."""


class Node:
    """Answers each request once, through the channel. Offsets and sizes are bytes, and need not be whole sectors."""

    def __init__(self, md: MappedDevice, mapper: DeviceMapper, channel: Channel, hands: Hands) -> None:
        self.md = md
        self.opens = 0
        self._mapper = mapper
        self._now = mapper.runtime.now
        self._channel = channel
        self._hands = hands
        self._doubt = 0
        self._writes = Writes()
        self._seen: CompiledIo | None = None
        self._quick_bytes = 0
        """The size of the map that was seen, where all of it is static."""

    def read(self, unique: int, offset: int, size: int, room: memoryview) -> None:
        """As from a block device: less than `size` at the end, nothing behind it.

        `room` is for data that can be answered before this returns, and has the size of the largest read.
        """
        if self.md.compiled is not self._seen:
            self._look()
        compiled = self._seen
        quick = size > 0 and offset + size <= self._quick_bytes and not (offset | size) & _ODD
        if not quick or compiled is None or self._doubt >= _TOO_MUCH_DOUBT:
            self._read(unique, offset, size)
            return
        begin = self._now()
        try:
            data: bytes | memoryview
            if size > _SMALL_BYTES:
                # Memory for so much is the system's, and costs more than to be filled.
                data = room[: compiled.pread_into(room[:size], offset)]
            else:
                data = compiled.pread(size, offset)
        except OSError as error:
            self._channel.fail(unique, error.errno or errno.EIO)
        else:
            self._channel.answer(unique, data)
        self._weigh(self._now() - begin)

    def write(self, unique: int, offset: int, data: memoryview, *, durable: bool) -> None:
        """As to a block device: less than all at the end, ENOSPC behind it, EPERM where it is read-only.

        The data may change when this returns. With `durable` the write is that when it is answered.
        """
        if self.md.compiled is not self._seen:
            self._look()
        compiled = self._seen
        size = len(data)
        quick = size > 0 and offset + size <= self._quick_bytes and not (offset | size) & _ODD and not durable
        if not quick or compiled is None or self._doubt >= _TOO_MUCH_DOUBT:
            self._write(unique, offset, data, durable)
            return
        if not self._writes.begin(unique, offset, offset + size):
            self._writes.end(unique)
            self._write(unique, offset, data, durable)
            return
        begin = self._now()
        try:
            count = compiled.pwrite(data, offset)
        except OSError as error:
            self._channel.fail(unique, error.errno or errno.EIO)
        else:
            self._channel.answer(unique, write_answer(count))
        finally:
            self._writes.end(unique)
        self._weigh(self._now() - begin)

    def flush(self, unique: int) -> None:
        """Answers when all writes that were answered before are durable."""
        self._check()
        bio = Bio(Op.FLUSH, 0, 0)
        self._answer_when_done(unique, bio, bytes)
        # Disks take milliseconds for that.
        self._hands.do(self, lambda: self.md.submit(bio))

    def zero(self, unique: int, offset: int, length: int, mode: int) -> None:
        """fallocate: a punched hole reads as zeroes, as a zeroed range does (kernel: blkdev_fallocate)."""
        self._check()
        if mode not in _ZEROING:
            raise _os_error(errno.EOPNOTSUPP)
        room = self.md.size_bytes - offset
        if length > room > 0 and mode & _KEEP_SIZE:
            length = room
        if length > room or (offset | length) % self.md.logical_block_size:
            raise _os_error(errno.EINVAL)
        self._check_writable()
        bio = Bio(Op.WRITE_ZEROES, offset >> SECTOR_SHIFT, length >> SECTOR_SHIFT)
        self._answer_when_done(unique, bio, bytes)
        self._writes.begin(unique, offset, offset + length)
        bio.on_done(lambda: self._writes.end(unique))
        self._in_turn(unique, lambda: self.md.submit(bio))

    def hangs(self) -> None:
        """A call has been seen to wait."""
        self._doubt = _MOST_DOUBT

    # The bios' way.

    def _look(self) -> None:
        """Takes in which map is at work, and whether all of it is static."""
        compiled = self.md.compiled
        self._quick_bytes = 0
        self._seen = compiled
        if compiled is not None and None not in compiled.map.leaves:
            self._quick_bytes = compiled.map.size << SECTOR_SHIFT

    def _read(self, unique: int, offset: int, size: int) -> None:
        self._check()
        size = min(size, self.md.size_bytes - offset)
        if size <= 0:
            self._channel.answer(unique)
            return
        begin, end = self._around(offset, size)
        data = memoryview(bytearray(end - begin))
        bio = Bio(Op.READ, begin >> SECTOR_SHIFT, len(data) >> SECTOR_SHIFT, data)
        self._answer_when_done(unique, bio, lambda: data[offset - begin :][:size])
        self._submit(bio)

    def _write(self, unique: int, offset: int, data: memoryview, durable: bool) -> None:
        self._check()
        self._check_writable()
        room = self.md.size_bytes - offset
        if room <= 0 < len(data):
            raise _os_error(errno.ENOSPC)
        kept = bytes(data[:room])
        size = len(kept)
        if not size:
            self._channel.answer(unique, write_answer(0))
            return
        begin, end = self._around(offset, size)
        part = (begin, end) != (offset, offset + size)
        free = self._writes.begin(unique, begin, end, part=part)
        if part:
            self._in_turn(unique, lambda: self._write_part(unique, offset, kept, durable))
            return
        bio = Bio(Op.WRITE, offset >> SECTOR_SHIFT, size >> SECTOR_SHIFT, memoryview(kept), fua=durable)
        self._answer_when_done(unique, bio, lambda: write_answer(size))
        bio.on_done(lambda: self._writes.end(unique))
        if free:
            self._submit(bio)
        else:
            self._in_turn(unique, lambda: self.md.submit(bio))

    def _write_part(self, unique: int, offset: int, data: bytes, durable: bool) -> None:
        """Writes less than whole sectors: what is around is read before, and no other write there comes between."""
        try:
            begin, end = self._around(offset, len(data))
            whole = bytearray(self.md.pread(end - begin, begin))
            if len(whole) < end - begin:
                raise _os_error(errno.ENOSPC)
            whole[offset - begin : offset - begin + len(data)] = data
            self.md.pwrite(whole, begin)
            if durable:
                self.md.flush()
        except OSError as error:
            self._channel.fail(unique, error.errno or errno.EIO)
        else:
            self._channel.answer(unique, write_answer(len(data)))
        finally:
            self._writes.end(unique)

    def _around(self, offset: int, size: int) -> tuple[int, int]:
        """The smallest range of whole blocks around another."""
        block = self.md.logical_block_size
        return offset - offset % block, offset + size + -(offset + size) % block

    def _answer_when_done(self, unique: int, bio: Bio, body: Callable[[], bytes | memoryview]) -> None:
        def done() -> None:
            if bio.error:
                self._channel.fail(unique, bio.error)
            else:
                self._channel.answer(unique, body())

        bio.on_done(done)

    def _submit(self, bio: Bio) -> None:
        md = self.md
        if md.compiled is None and md.running:
            self._mapper.recompile(md)

        def submit() -> None:
            begin = self._now()
            md.submit(bio)
            self._weigh(self._now() - begin)

        if self._doubt >= _TOO_MUCH_DOUBT:
            self._hands.do(self, submit)
        else:
            submit()

    def _in_turn(self, unique: int, call: Call) -> None:
        """Lets another thread make the call that writes, when that write's turn has come."""
        self._writes.in_turn(unique, lambda: self._hands.do(self, call))

    def _weigh(self, seconds: float) -> None:
        if seconds > _LONG_SECONDS:
            self._doubt = min(self._doubt + _LONG_DOUBT, _MOST_DOUBT)
        elif self._doubt:
            self._doubt -= 1

    def _check(self) -> None:
        if self.md.removed:
            raise _os_error(errno.ENXIO)

    def _check_writable(self) -> None:
        if self.md.read_only:
            raise _os_error(errno.EPERM)


def _os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
