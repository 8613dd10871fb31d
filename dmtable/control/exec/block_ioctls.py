"""The ioctls of block devices, answered for nodes (linux/fs.h; block/ioctl.c of Linux 6.1)."""

from __future__ import annotations

import errno
import os
import struct
from contextlib import closing
from typing import TYPE_CHECKING

from dmtable.control.exec.memory import Memory
from dmtable.control.exec.nodes import OpenNode, fd_flags
from dmtable.units import SECTOR_BYTES

if TYPE_CHECKING:
    from dmtable.io.file import FileDevice

_ULONG, _U64, _INT, _U16 = struct.Struct("<Q"), struct.Struct("<Q"), struct.Struct("<i"), struct.Struct("<H")
_RANGE = struct.Struct("<QQ")
_PAGE_BYTES = 4096
_READ_AHEAD_SECTORS = 256

_BLKGETSIZE, _BLKGETSIZE64 = 0x1260, 0x80081272
_BLKDISCARD, _BLKZEROOUT = 0x1277, 0x127F
_CONSTANTS = {
    0x1268: _INT.pack(SECTOR_BYTES),  # BLKSSZGET
    0x127B: _INT.pack(SECTOR_BYTES),  # BLKPBSZGET
    0x1278: _INT.pack(SECTOR_BYTES),  # BLKIOMIN
    0x1279: _INT.pack(0),  # BLKIOOPT
    0x127A: _INT.pack(0),  # BLKALIGNOFF
    0x127C: _INT.pack(0),  # BLKDISCARDZEROES
    0x127E: _U16.pack(0),  # BLKROTATIONAL
    0x1263: _ULONG.pack(_READ_AHEAD_SECTORS),  # BLKRAGET
    0x1264: _ULONG.pack(_READ_AHEAD_SECTORS),  # BLKFRAGET
    0x1267: _U16.pack(2560),  # BLKSECTGET
    0x80081270: _ULONG.pack(_PAGE_BYTES),  # BLKBSZGET
}
_BLKROGET, _BLKFLSBUF = 0x125E, 0x1261
_ACCEPTED = {0x1262, 0x1265, 0x40081271, 0x125D}
"""BLKRASET, BLKFRASET, BLKBSZSET, BLKROSET: taken, and without effect."""


def answer(memory: Memory, tid: int, fd: int, node: OpenNode, command: int, argument: int, read_only: bool) -> int:
    """Carries an ioctl out for a node and returns what it returns. Raises OSError, ENOTTY where it is unknown."""
    if command == _BLKGETSIZE64:
        memory.write(argument, _U64.pack(node.size_bytes))
    elif command == _BLKGETSIZE:
        memory.write(argument, _ULONG.pack(node.size_bytes // SECTOR_BYTES))
    elif command == _BLKROGET:
        memory.write(argument, _INT.pack(read_only))
    elif command in _CONSTANTS:
        memory.write(argument, _CONSTANTS[command])
    elif command == _BLKFLSBUF:
        with closing(_same_file(tid, fd, read_only=True)) as device:
            device.flush()
    elif command in (_BLKDISCARD, _BLKZEROOUT):
        start, length = _RANGE.unpack(memory.read(argument, _RANGE.size))
        _clear(tid, fd, node, start, length, zeroes=command == _BLKZEROOUT)
    elif command not in _ACCEPTED:
        raise _error(errno.ENOTTY)
    return 0


def may_wait(command: int) -> bool:
    """Whether it is I/O, for which a suspended device makes its caller wait."""
    return command in (_BLKDISCARD, _BLKZEROOUT, _BLKFLSBUF)


def _clear(tid: int, fd: int, node: OpenNode, start: int, length: int, *, zeroes: bool) -> None:
    if fd_flags(tid, fd) & os.O_ACCMODE == os.O_RDONLY:
        raise _error(errno.EBADF)
    if (start | length) % SECTOR_BYTES or start + length > node.size_bytes:
        raise _error(errno.EINVAL)
    with closing(_same_file(tid, fd, read_only=False)) as device:
        (device.write_zeroes if zeroes else device.discard)(start, length)


def _same_file(tid: int, fd: int, *, read_only: bool) -> FileDevice:
    from dmtable.io.file import FileDevice

    return FileDevice(f"/proc/{tid}/fd/{fd}", read_only=read_only)


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
