"""Putting a process under the filter, and handing its listener to the supervisor."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct

from dmtable.control.exec.bpf import filter_program
from dmtable.control.exec.notify import Listener
from dmtable.control.exec.syscalls import this_architecture
from dmtable.errors import UsageError

_PR_SET_NO_NEW_PRIVS = 38
_SET_MODE_FILTER = 1
_NEW_LISTENER, _WAIT_KILLABLE_RECV = 1 << 3, 1 << 5
_INSTRUCTION_BYTES = 8
_FD = struct.Struct("i")
_NO_ERROR, _FAILED = b"listener", b"failed"


class Filter:
    """Prepared by the parent: between the filter and the supervisor's first answer, the child can load nothing."""

    def __init__(self, *, as_root: bool = False) -> None:
        architecture = this_architecture()
        program = filter_program(architecture, as_root=as_root)
        self._instructions = ctypes.create_string_buffer(program, len(program))
        # struct sock_fprog: a count in 16 bits, and a pointer where it belongs.
        count, address = len(program) // _INSTRUCTION_BYTES, ctypes.addressof(self._instructions)
        self._program = ctypes.create_string_buffer(struct.pack("H6xQ", count, address))
        self._seccomp = ctypes.c_long(architecture.seccomp)
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)

    def install(self) -> None:
        """Puts this process, a child of the supervisor's, under the filter; raises nothing."""
        fd = self._install()
        if fd == -errno.EACCES:
            # Who is not root gives up the privileges of programs that are root's.
            self._libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            fd = self._install()
        if fd < 0:
            self._theirs.send(_FAILED + _FD.pack(-fd))
        else:
            self._theirs.sendmsg([_NO_ERROR], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, _FD.pack(fd))])
            os.close(fd)

    def listener(self) -> Listener:
        """What `install` in the child gave. Raises UsageError where the platform lacks something."""
        said, ancillary, _, _ = self._ours.recvmsg(32, socket.CMSG_SPACE(_FD.size), socket.MSG_CMSG_CLOEXEC)
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                return Listener(_FD.unpack(data[: _FD.size])[0])
        number = _FD.unpack_from(said, len(_FAILED))[0] if said.startswith(_FAILED) else 0
        raise UsageError(_lacking(number))

    def close(self) -> None:
        self._ours.close()
        self._theirs.close()

    def close_child_end(self) -> None:
        """In the parent, that `listener` learns of a child that died."""
        self._theirs.close()

    def _install(self) -> int:
        """The listener, or minus errno."""
        flags = _NEW_LISTENER | _WAIT_KILLABLE_RECV
        fd: int = self._libc.syscall(self._seccomp, _SET_MODE_FILTER, flags, self._program)
        return fd if fd >= 0 else -ctypes.get_errno()


def _lacking(number: int) -> str:
    release = os.uname().release
    return {
        errno.EINVAL: f"needs Linux 5.19 or later for seccomp's WAIT_KILLABLE_RECV; this is {release}",
        errno.ENOSYS: "needs seccomp, and this kernel has none, or a container forbids it",
        errno.EPERM: "needs seccomp, which a container's own profile forbids here",
        errno.EBUSY: "these programs are under another seccomp supervisor, and there can be one only",
    }.get(number, f"needs seccomp's user notification: {os.strerror(number) if number else 'the command was killed'}")
