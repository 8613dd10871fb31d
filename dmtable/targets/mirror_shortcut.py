"""The quick way through a mirror: plain reads and writes at once, on the thread that asks, without bios.

It does what `Mirrord` would do with them while all is well: a read goes to the default leg where the log calls the
region in sync; a write goes to all legs where the log has the region marked. Anything else it leaves to the bios.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

from dmtable.core.extents import Flatten, Shortcut, whole_device
from dmtable.io.device import BlockDevice, Buffer
from dmtable.runtime.runtime import Runtime
from dmtable.targets.mirrord import Mirrord
from dmtable.units import SECTOR_SHIFT

_UNKNOWN = -1
_TOKEN = (None,)


def mirror_shortcut(mirrord: Mirrord, runtime: Runtime, length: int, flatten: Flatten) -> Shortcut | None:
    """The shortcut, where each leg's `length` sectors lie in one piece on a device that is no md."""
    legs, log, dirty = mirrord.legs, mirrord.regions.log, mirrord.regions.dirty
    region_bytes = log.region_size << SECTOR_SHIFT
    readers: dict[object, tuple[Callable[[int, int], bytes], int]] = {}
    writers: list[tuple[int, Callable[[Buffer, int], int], int, BlockDevice]] = []
    for bit, leg in enumerate(legs):
        place = whole_device(flatten(leg.dm_dev.device), leg.offset, length)
        if place is None:
            return None
        device, at = place[0], place[1] << SECTOR_SHIFT
        fd = device.fileno()
        readers[leg] = device.pread if fd is None else partial(os.pread, fd), at
        writers.append((1 << bit, device.pwrite if fd is None else partial(os.pwrite, fd), at, device))

    def pread(length: int, offset: int) -> bytes:
        if legs.any_failed:
            return b""
        for number in range(offset // region_bytes, (offset + length - 1) // region_bytes + 1):
            if not log.in_sync(number):
                return b""
        read, at = readers[legs.default]
        try:
            return read(length, offset + at)
        except OSError:
            return b""

    def write_all(data: Buffer, offset: int, length: int) -> int:
        """Writes to every leg, whatever happens to the others. Returns the bits of those that failed."""
        failed = 0
        for bit, write, at, device in writers:
            try:
                moved = write(data, offset + at)
                if moved != length:
                    device.pwrite(memoryview(data)[moved:], offset + at + moved)
            except OSError:
                failed |= bit
        return failed

    def in_one(data: Buffer, offset: int, number: int) -> int:
        """Writes within a region; 0 where bios must do it."""
        region = dirty.get(number) or mirrord.mark_at_once(number)
        if region is None:
            return 0
        length = len(data)
        tokens = region.quick
        # An operator and no call: behind a call a signal could come before `try`.
        tokens += _TOKEN
        failed = 0
        try:
            if not region.marked:
                return 0
            region.used = True
            # Until it is known: an interrupt leaves the legs as they may be.
            failed = _UNKNOWN
            failed = write_all(data, offset, length)
        finally:
            if failed:
                stand_in = mirrord.quick_write_failed(region, max(failed, 0))
            del tokens[-1]
            if not region.marked:
                mirrord.wake()
        if not failed:
            return length
        if legs.handle_errors and not legs.keep_log:
            # Perhaps the write is held back, and nobody may wait for that here: its second try will be.
            return 0
        runtime.wait(stand_in)
        if stand_in.error:
            raise OSError(stand_in.error, os.strerror(stand_in.error))
        return length

    def pwrite(data: Buffer, offset: int) -> int:
        number = offset // region_bytes
        last = (offset + len(data) - 1) // region_bytes
        if number == last:
            return in_one(data, offset, number)
        view = memoryview(data)
        done = 0
        for each in range(number, last + 1):
            until = min((each + 1) * region_bytes - offset, len(view))
            if in_one(view[done:until], offset + done, each) != until - done:
                return 0
            done = until
        return done

    return Shortcut(pread, pwrite)
