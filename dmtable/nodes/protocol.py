"""The kernel's FUSE protocol, as far as it is used here (linux/fuse.h, version 7.31).

A request is a header of 40 bytes and what the opcode asks for behind it; READ and WRITE have 40 bytes there, and the
data of a WRITE follows. An answer is a header of 16 bytes, with 0 or a negative errno, and the body. All numbers are
the machine's own, sizes and offsets are bytes.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from struct import Struct

from dmtable.units import SECTOR_BYTES

MAJOR, MINOR = 7, 31
ROOT = 1
"""The inode of the folder itself."""
MAX_BYTES = 1 << 20
"""No READ or WRITE moves more."""
_MAX_PAGES = 256
_MAX_BACKGROUND = 0xFFFF
"""Requests that the kernel has under way at the same time for nobody who waits, as asynchronous I/O has; the kernel's
own 12 would let a few that are blocked keep all others waiting."""
_BLOCK_BYTES = 4096
_NAME_BYTES = 127
_MOST_SIZE = (1 << 63) - SECTOR_BYTES


class Opcode(IntEnum):
    """What a request asks for."""

    LOOKUP = 1
    FORGET = 2
    GETATTR = 3
    SETATTR = 4
    SYMLINK = 6
    MKNOD = 8
    MKDIR = 9
    UNLINK = 10
    RMDIR = 11
    RENAME = 12
    LINK = 13
    OPEN = 14
    READ = 15
    WRITE = 16
    STATFS = 17
    RELEASE = 18
    FSYNC = 20
    INIT = 26
    OPENDIR = 27
    READDIR = 28
    RELEASEDIR = 29
    FSYNCDIR = 30
    CREATE = 35
    INTERRUPT = 36
    DESTROY = 38
    BATCH_FORGET = 42
    FALLOCATE = 43
    RENAME2 = 45
    TMPFILE = 51


class Init(IntFlag):
    """What kernel and server agree on."""

    ASYNC_READ = 1 << 0
    BIG_WRITES = 1 << 5
    ASYNC_DIO = 1 << 15
    PARALLEL_DIROPS = 1 << 18
    MAX_PAGES = 1 << 22


class Open(IntFlag):
    """How the kernel treats an open file: past the page cache, several writers at a time, a close told only once."""

    DIRECT_IO = 1 << 0
    NOFLUSH = 1 << 5
    PARALLEL_DIRECT_WRITES = 1 << 6


class Change(IntFlag):
    """The fields of a SETATTR that count."""

    MODE = 1 << 0
    UID = 1 << 1
    GID = 1 << 2
    SIZE = 1 << 3
    FH = 1 << 6


GETATTR_FH = 1 << 0
"""The file handle of a GETATTR counts."""

HEAD = Struct("=IIQQIIII")
"""length with the header, opcode, unique, inode, uid, gid, pid, padding: in front of each request."""
READING = Struct("=QQIIQII")
"""READ, READDIR and WRITE: fh, offset, size, flags, lock owner, the file's flags, padding."""
REQUEST = Struct(HEAD.format + READING.format[1:])
"""The header, and that behind it."""
ANSWER = Struct("=IiQ")
"""length with the header, minus errno, unique."""
OPEN = Struct("=I4x")
"""The flags of open(2), without those that the kernel deals with."""
ALONE = os.O_NOATIME
"""Opened with this flag, a file is as a block device that is opened with O_EXCL, which the kernel does not pass on:
who opens it so has it alone, but for those who open it without."""
FH = Struct("=Q")
"""RELEASE and FSYNC begin with the file handle; all of an INTERRUPT is the unique of another request."""
GETATTR = Struct("=IIQ")
"""flags, padding, fh."""
SETATTR = Struct("=IIQQ32x12xIIIII")
"""what counts, padding, fh, size, mode, unused, uid, gid, unused; the times between size and mode are not read."""
FALLOCATE = Struct("=QQQII")
"""fh, offset, length, mode, padding."""
_INIT_IN = Struct("=IIII")
_INIT_OUT = Struct("=IIIIHHIIHH32x")
_ATTR = Struct("=6Q10I")
_ENTRY = Struct("=4QII")
_ATTR_OUT = Struct("=QII")
_OPEN_OUT = Struct("=QII")
_WRITE_OUT = Struct("=II")
_STATFS = Struct("=5Q4I24x")
_DIRENT = Struct("=QQII")

assert (HEAD.size, REQUEST.size, ANSWER.size) == (40, 80, 16)
assert (GETATTR.size, SETATTR.size, FALLOCATE.size) == (16, 88, 32)
assert (_INIT_IN.size, _INIT_OUT.size, _ATTR.size, _ENTRY.size, _ATTR_OUT.size) == (16, 64, 88, 40, 16)
assert (_OPEN_OUT.size, _WRITE_OUT.size, _STATFS.size, _DIRENT.size) == (16, 8, 80, 24)


@dataclass(frozen=True, slots=True)
class Attributes:
    """What stat() shows of an inode; `mode` has the kind of file in it, `date` is in seconds since 1970."""

    inode: int
    mode: int
    size_bytes: int
    uid: int
    gid: int
    date: int

    def encoded(self) -> bytes:
        size = min(self.size_bytes, _MOST_SIZE)
        links = 2 if stat.S_ISDIR(self.mode) else 1
        return _ATTR.pack(
            *(self.inode, size, size // SECTOR_BYTES, self.date, self.date, self.date, 0, 0, 0),
            *(self.mode, links, self.uid, self.gid, 0, _BLOCK_BYTES, 0),
        )


def init_answer(request: bytes | memoryview) -> bytes:
    """The answer to INIT. Raises OSError EPROTO where the kernel is too old."""
    major, minor, max_readahead, offered = _INIT_IN.unpack_from(request)
    if (major, minor) < (MAJOR, MINOR):
        raise OSError(errno.EPROTO, f"the kernel speaks version {major}.{minor} of FUSE, {MAJOR}.{MINOR} is needed")
    wanted = Init.ASYNC_READ | Init.BIG_WRITES | Init.ASYNC_DIO | Init.PARALLEL_DIROPS | Init.MAX_PAGES
    limits = (_MAX_BACKGROUND, _MAX_BACKGROUND, MAX_BYTES, 1, _MAX_PAGES, 0)
    return _INIT_OUT.pack(MAJOR, MINOR, max_readahead, offered & wanted, *limits)


def entry_answer(attributes: Attributes, generation: int) -> bytes:
    """A name's inode. The kernel asks again each time: names, sizes and mds change without it."""
    return _ENTRY.pack(attributes.inode, generation, 0, 0, 0, 0) + attributes.encoded()


def attributes_answer(attributes: Attributes) -> bytes:
    return _ATTR_OUT.pack(0, 0, 0) + attributes.encoded()


def open_answer(fh: int, flags: Open) -> bytes:
    return _OPEN_OUT.pack(fh, flags, 0)


def write_answer(count: int) -> bytes:
    return _WRITE_OUT.pack(count, 0)


def statfs_answer() -> bytes:
    """A file system without any room of its own."""
    return _STATFS.pack(0, 0, 0, 0, 0, _BLOCK_BYTES, _NAME_BYTES, _BLOCK_BYTES, 0)


def directory_entry(inode: int, following: int, name: bytes, mode: int) -> bytes:
    """One name in a folder; a later READDIR goes on behind it by the offset `following`."""
    head = _DIRENT.pack(inode, following, len(name), stat.S_IFMT(mode) >> 12)
    return head + name + bytes(-len(name) % 8)
