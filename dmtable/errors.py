"""Every error that dmtable raises on purpose descends from DmtableError.

Bad input of any kind (text, files, device sizes, requests) ends in one of these and never in a
traceback of something else. I/O that a device fails is the exception: it stays the OSError it is,
so that callers handle an emulated disk as they handle a real one. TableError stands with the
diagnostics that it carries.
"""

from __future__ import annotations

import errno as _errno
from collections.abc import Sequence


class DmtableError(Exception):
    """The root: `except DmtableError` catches whatever dmtable refuses."""


class UsageError(DmtableError):
    """A call or a command line that makes no sense; the text says what to do instead."""


class DmsetupError(DmtableError):
    """What dmsetup itself refuses, before any request: the text is what it writes to stderr, perhaps in lines.

    Its last line, `Command failed.`, is left to whoever prints it.
    """


class ErrnoError(DmtableError):
    """An error that the kernel would report as a number: `errno` is positive, as in `errno.EINVAL`."""

    def __init__(self, errno: int, text: str) -> None:
        self.errno = errno
        self.text = text
        super().__init__(text)

    @property
    def name(self) -> str:
        """The symbol of the number, `EINVAL` for 22."""
        return errno_name(self.errno)


class DeviceLookupError(ErrnoError):
    """A word of a table names no block device that can be used (kernel: dm_get_device)."""


class NotBlockDeviceError(DeviceLookupError):
    """The word leads to something that is no block device, as a folder or a terminal."""


class NoLiveTableError(DeviceLookupError):
    """The word names a mapped device that never had a table: the kernel makes its disk with the first one."""


class CtrError(ErrnoError):
    """A target refuses its line (kernel: the target's ctr sets ti->error).

    `text` is the kernel's message, as it would stand in its log behind `device-mapper: table: M:m: `;
    `word` is the index of the parameter at fault, None where it is the line as a whole.
    """

    def __init__(self, errno: int, text: str, word: int | None = None) -> None:
        super().__init__(errno, text)
        self.word = word


class CorruptLogError(DmtableError):
    """A log on a device that cannot be what it should be: `offset` is the byte at fault, from the log's first on."""

    def __init__(self, where: str, offset: int, what: str) -> None:
        super().__init__(f"{where}, byte {offset}: {what}")
        self.where = where
        self.offset = offset
        self.what = what


class IoctlError(ErrnoError):
    """A request to the device-mapper that it refuses, with the number that the ioctl would set.

    `log` holds the lines that the kernel would write to its log, the reason among them.
    """

    def __init__(self, errno: int, text: str, log: Sequence[str] = ()) -> None:
        super().__init__(errno, text)
        self.log = tuple(log)


def errno_name(number: int) -> str:
    """`EINVAL` for 22; the number itself where it has no name."""
    # Linux has two names for one number, and Python remembers the one that the kernel never prints.
    return "EOPNOTSUPP" if number == _errno.EOPNOTSUPP else _errno.errorcode.get(number, str(number))
