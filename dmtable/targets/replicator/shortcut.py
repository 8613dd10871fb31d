"""The quick way through a device of a group: plain reads and writes at once, on the thread that asks, without bios.

A write goes into the log's memory where it is acknowledged with that; a read goes to the local device where that holds
the newest content. All else it leaves to the bios.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

from dmtable.core.extents import Flatten, Shortcut, whole_device
from dmtable.io.device import Buffer
from dmtable.targets.replicator.member import Member
from dmtable.targets.replicator.running import RunningGroup
from dmtable.units import SECTOR_SHIFT


def member_shortcut(running: RunningGroup, member: Member, length: int, flatten: Flatten) -> Shortcut | None:
    """The shortcut, where the local device lies in one piece on a device that is no md; `length` is in sectors."""
    group, device = member.group, member.device
    local = device.local
    place = None if local is None else whole_device(flatten(local), 0, length)
    if place is None:
        return None
    below, at = place[0], place[1] << SECTOR_SHIFT
    fd = below.fileno()
    read: Callable[[int, int], bytes] = below.pread if fd is None else partial(os.pread, fd)
    boundary = device.boundary_sectors << SECTOR_SHIFT
    lock, log, holder = group.lock, group.log, group.sites[0]
    newest, number = group.footprint.newest, device.number
    write_at_once = group.write_at_once

    def pread(length: int, offset: int) -> bytes:
        # Before the device is read: an entry that comes meanwhile is nobody's who asked before.
        with lock:
            held = holder.done_upto
            if held < log.last and newest(number, offset >> SECTOR_SHIFT, length >> SECTOR_SHIFT, held):
                return b""
        try:
            content = read(length, offset + at)
        except OSError:
            return b""
        if (traffic := running.traffic) is not None:
            traffic.reads += 1
        return content

    def pwrite(data: Buffer, offset: int) -> int:
        length = len(data)
        if offset // boundary != (offset + length - 1) // boundary:
            return 0
        if not write_at_once(device, bytes(data), offset >> SECTOR_SHIFT):
            return 0
        if (traffic := running.traffic) is not None:
            traffic.writes += 1
        return length

    return Shortcut(pread, pwrite)
