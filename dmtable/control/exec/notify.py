"""The supervisor's end of seccomp user notification (linux/seccomp.h, seccomp_unotify(2)).

A call that has been received is not interrupted but by what kills its thread (WAIT_KILLABLE_RECV). One that has not is
made again after a signal whose handler says SA_RESTART, and else ends with EINTR, whatever call it is.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from dataclasses import dataclass

_NOTIFICATION = struct.Struct("<QIIiIQ6Q")
_RESPONSE = struct.Struct("<QqiI")
_ADD_FD = struct.Struct("<QIIII")
assert (_NOTIFICATION.size, _RESPONSE.size, _ADD_FD.size) == (80, 24, 24)

_RECV, _SEND, _ID_VALID, _ADDFD = 0xC0502100, 0xC0182101, 0x40082102, 0x40182103
_CONTINUE = 1
_ADDFD_SEND = 2


@dataclass(frozen=True, slots=True)
class Trapped:
    """A system call that waits for its answer, made by the thread `tid`."""

    id: int
    tid: int
    number: int
    arguments: tuple[int, ...]


class Listener:
    """The descriptor that seccomp(2) gave. Answers to a thread that is gone go nowhere, and are no error."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def receive(self) -> Trapped | None:
        """The next call; None where the thread that made it was killed meanwhile."""
        buffer = bytearray(_NOTIFICATION.size)  # The kernel refuses one that is not all zeroes.
        try:
            fcntl.ioctl(self.fd, _RECV, buffer)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINTR):
                return None
            raise
        call_id, tid, _flags, number, _architecture, _pointer, *arguments = _NOTIFICATION.unpack(buffer)
        return Trapped(call_id, tid, number, tuple(arguments))

    def is_waiting(self, call: Trapped) -> bool:
        """Whether the call still waits: then its thread's number is nobody else's."""
        try:
            fcntl.ioctl(self.fd, _ID_VALID, struct.pack("<Q", call.id))
        except OSError:
            return False
        return True

    def go_on(self, call: Trapped) -> None:
        """The kernel carries the call out as if nothing had been."""
        self._send(_SEND, _RESPONSE.pack(call.id, 0, 0, _CONTINUE))

    def answer(self, call: Trapped, value: int) -> None:
        self._send(_SEND, _RESPONSE.pack(call.id, value, 0, 0))

    def fail(self, call: Trapped, error: int) -> None:
        self._send(_SEND, _RESPONSE.pack(call.id, 0, -error, 0))

    def give(self, call: Trapped, fd: int, *, close_on_exec: bool) -> None:
        """Answers with a new descriptor of the file behind `fd`, which stays ours to close."""
        flags = os.O_CLOEXEC if close_on_exec else 0
        try:
            fcntl.ioctl(self.fd, _ADDFD, _ADD_FD.pack(call.id, _ADDFD_SEND, fd, 0, flags))
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self.fail(call, error.errno)
            elif error.errno not in (errno.ENOENT, errno.EINPROGRESS):
                raise

    def copy(self) -> Listener:
        """Another, to be closed apart from this one: for who answers later."""
        return Listener(os.dup(self.fd))

    def close(self) -> None:
        os.close(self.fd)

    def _send(self, request: int, response: bytes) -> None:
        try:
            fcntl.ioctl(self.fd, request, response)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.EINPROGRESS):
                raise
