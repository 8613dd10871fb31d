"""The memory of a thread whose system call waits."""

from __future__ import annotations

import errno
import os

from dmtable.control.exec.notify import Listener, Trapped

_PATH_MAX = 4096


class Memory:
    """Opened for one call. Raises OSError EFAULT for an address that is none, as the call itself would."""

    def __init__(self, listener: Listener, call: Trapped) -> None:
        self._fd = os.open(f"/proc/{call.tid}/mem", os.O_RDWR | os.O_CLOEXEC)
        # Only now: what was opened is that thread's memory and stays so, whoever gets its number later.
        if not listener.is_waiting(call):
            os.close(self._fd)
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))

    def __enter__(self) -> Memory:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def read(self, address: int, length: int) -> bytes:
        data = self.read_some(address, length)
        if len(data) < length:
            raise _fault()
        return data

    def path(self, address: int) -> bytes:
        """A path with no NUL. Raises OSError ENAMETOOLONG."""
        data = self.read_some(address, _PATH_MAX)
        end = data.find(0)
        if end < 0:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG)) if len(data) == _PATH_MAX else _fault()
        return data[:end]

    def write(self, address: int, data: bytes) -> None:
        try:
            written = os.pwrite(self._fd, data, address)
        except (OSError, OverflowError) as error:
            raise _fault() from error
        if written < len(data):
            raise _fault()

    def read_some(self, address: int, length: int) -> bytes:
        """Fewer bytes than asked for where the memory ends."""
        try:
            return os.pread(self._fd, length, address)
        except (OSError, OverflowError) as error:
            raise _fault() from error


def _fault() -> OSError:
    return OSError(errno.EFAULT, os.strerror(errno.EFAULT))
