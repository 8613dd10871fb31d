"""What stat(2) and statx(2) say of a node, and the bytes that say it."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

from dmtable.control.exec.syscalls import STATX, Architecture
from dmtable.control.exec.sysfs import CONTROL_NUMBER
from dmtable.core.numbers import Number

_STATX_BASIC = 0x7FF
_BLOCK_SIZE = 4096
_INODES = 1 << 40
"""Inodes of nodes begin here, one for each number: a path and a descriptor of it then are the same file."""


@dataclass(frozen=True, slots=True)
class Status:
    """The fields of struct stat, times in nanoseconds."""

    dev: int
    ino: int
    mode: int
    nlink: int
    uid: int
    gid: int
    rdev: int
    size: int
    blksize: int
    blocks: int
    times: tuple[int, int, int]
    """Access, modification, change."""

    def as_stat(self, architecture: Architecture) -> bytes:
        values = [getattr(self, field) for field in architecture.stat_fields]
        for time in self.times:
            values += divmod(time, 1_000_000_000)
        return architecture.stat_layout.pack(*values)

    def as_statx(self) -> bytes:
        accessed, modified, changed = (divmod(time, 1_000_000_000) for time in self.times)
        return STATX.pack(
            *(_STATX_BASIC, self.blksize, 0, self.nlink, self.uid, self.gid, self.mode),
            *(self.ino, self.size, self.blocks, 0),
            *(*accessed, 0, 0, *changed, *modified),
            *(os.major(self.rdev), os.minor(self.rdev), os.major(self.dev), os.minor(self.dev), 0),
        )


def status_of(file: os.stat_result) -> Status:
    """As it is."""
    times = (file.st_atime_ns, file.st_mtime_ns, file.st_ctime_ns)
    return Status(
        *(file.st_dev, file.st_ino, file.st_mode, file.st_nlink, file.st_uid, file.st_gid, file.st_rdev),
        *(file.st_size, file.st_blksize, file.st_blocks, times),
    )


def node_status(file: os.stat_result | None, number: Number, device: int) -> Status:
    """Of a block device's node: owner and mode are those of the file it is, if it is one. `device` is /dev's."""
    return _special(file, stat.S_IFBLK | 0o660, number, device)


def control_status(device: int) -> Status:
    """Of /dev/mapper/control."""
    return _special(None, stat.S_IFCHR | 0o600, CONTROL_NUMBER, device)


def _special(file: os.stat_result | None, mode: int, number: Number, device: int) -> Status:
    uid, gid, times = os.geteuid(), os.getegid(), (0, 0, 0)
    if file is not None:
        mode = stat.S_IFMT(mode) | stat.S_IMODE(file.st_mode)
        uid, gid, times = file.st_uid, file.st_gid, (file.st_atime_ns, file.st_mtime_ns, file.st_ctime_ns)
    inode = _INODES | number[0] << 20 | number[1]
    return Status(device, inode, mode, 1, uid, gid, os.makedev(*number), 0, _BLOCK_SIZE, 0, times)
