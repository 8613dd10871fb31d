"""Who serves a machine's folder: the process that holds the folder's pid file locked, for as long as it lives.

The lock is POSIX's: the kernel tells whose it is to who does not take it, and lets it go however the process ends.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
from types import TracebackType

from dmtable.control.folder import MachineFolder

_LOCK = struct.Struct("hhqqi")
"""struct flock: type, whence, start, length, pid."""
_WHOLE_FILE = (os.SEEK_SET, 0, 0, 0)


class Serving:
    """A process that served a folder a moment ago, held by a descriptor: no other can take its number."""

    def __init__(self, pid: int, fd: int) -> None:
        self.pid = pid
        self._fd = fd

    def __enter__(self) -> Serving:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self._fd)

    def tell_to_end(self) -> None:
        """Nothing to be told where it has ended."""
        if not self.wait(0):
            signal.pidfd_send_signal(self._fd, signal.SIGTERM)

    def wait(self, seconds: float) -> bool:
        """Waits until it has ended; False where it has not after so many seconds."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        return bool(poll.poll(seconds * 1000))


def serving(folder: MachineFolder) -> Serving | None:
    """The process that serves a folder, None where there is none."""
    while (pid := serving_pid(folder)) is not None:
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        if serving_pid(folder) == pid:
            return Serving(pid, fd)
        os.close(fd)
    return None


def serving_pid(folder: MachineFolder) -> int | None:
    """The number of the process that serves a folder, None where there is none."""
    try:
        fd = os.open(folder.pid, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        asked = _LOCK.pack(fcntl.F_RDLCK, *_WHOLE_FILE)
        kind, _, _, _, pid = _LOCK.unpack(fcntl.fcntl(fd, fcntl.F_GETLK, asked))
    finally:
        os.close(fd)
    return None if kind == fcntl.F_UNLCK else int(pid)


def serve_alone(folder: MachineFolder) -> bool:
    """Makes this process the one that serves a folder, until it ends. False where another does.

    The process must not open the pid file again: to close it would give the lock away.
    """
    fd = os.open(folder.pid, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return False
    os.ftruncate(fd, 0)
    os.write(fd, b"%d\n" % os.getpid())
    return True
