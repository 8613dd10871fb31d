"""Mounting a FUSE file system: root asks the kernel itself, others let fusermount3 do it."""

from __future__ import annotations

import array
import errno
import os
import re
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from dmtable.errors import UsageError

_DEVICE = "/dev/fuse"
_SOURCE = "dmtable"
_KIND = f"fuse.{_SOURCE}"
_MS_NOSUID, _MS_NODEV = 2, 4
_MNT_DETACH = 2
_MOST_STALE = 64
_HELPER = "fusermount3"


def mount(folder: Path) -> int:
    """Mounts on a folder, which is made where there is none, and returns the connection: /dev/fuse, not blocking.

    What a server that died left there is cleared away. Raises UsageError where the platform lacks something, and
    where somebody serves the folder already.
    """
    clear_stale(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make {folder}: {error.strerror}") from error
    if str(folder.resolve()) in _ours():
        raise UsageError(f"{folder} is served already; end that one first, or take another folder")
    fd = _mount_as_root(folder) if os.geteuid() == 0 else None
    if fd is None:
        fd = _mount_by_helper(folder)
    os.set_blocking(fd, False)
    return fd


def unmount(folder: Path) -> None:
    """Takes a mount away, from those too who have files open there. None is fine."""
    if _libc().umount2(os.fsencode(folder), _MNT_DETACH) and _last_errno() == errno.EPERM:
        with suppress(OSError):
            subprocess.run([_HELPER, "-u", "-z", "-q", "--", str(folder)], capture_output=True, check=False)


def clear_stale(folder: Path) -> None:
    """Takes away mounts whose server is dead, which answer ENOTCONN. Raises UsageError where that fails."""
    for _ in range(_MOST_STALE):
        try:
            os.stat(folder)
            return
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                return
        unmount(folder)
    raise UsageError(f"{folder} is the mount of a dead server, and cannot be unmounted: fusermount3 -uz {folder}")


def _mount_as_root(folder: Path) -> int | None:
    """The connection; None where even root may not mount, as in a container."""
    try:
        fd = os.open(_DEVICE, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise _no_device(error) from error
    options = f"fd={fd},rootmode={stat.S_IFDIR:o},user_id={os.geteuid()},group_id={os.getegid()},default_permissions"
    flags = _MS_NOSUID | _MS_NODEV
    libc = _libc()
    if libc.mount(_SOURCE.encode(), os.fsencode(folder), _KIND.encode(), flags, options.encode()) == 0:
        return fd
    number = _last_errno()
    os.close(fd)
    if number == errno.EPERM:
        return None
    raise UsageError(f"cannot mount on {folder}: {os.strerror(number)}")


def _mount_by_helper(folder: Path) -> int:
    """fusermount3 mounts, and sends the connection through a socket."""
    if not os.path.exists(_DEVICE):
        raise _no_device(FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    options = f"fsname={_SOURCE},subtype={_SOURCE},default_permissions,nosuid,nodev"
    with ours, theirs:
        try:
            done = subprocess.run(
                [_HELPER, "-o", options, "--", str(folder)],
                env={**os.environ, "_FUSE_COMMFD": str(theirs.fileno())},
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
        except OSError as error:
            raise UsageError(f"device nodes need Debian's package fuse3 unless you are root: {error}") from error
        theirs.close()
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()
            raise UsageError(f"cannot mount on {folder}: {said or 'fusermount3 failed'}")
        numbers = array.array("i")
        _, ancillary, _, _ = ours.recvmsg(1, socket.CMSG_SPACE(numbers.itemsize), socket.MSG_CMSG_CLOEXEC)
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            numbers.frombytes(data[: numbers.itemsize])
            return numbers[0]
    raise UsageError(f"cannot mount on {folder}: fusermount3 sent no connection")


def _ours() -> Iterator[str]:
    """The mount points of all dmtables that this process can see."""
    try:
        lines = Path("/proc/self/mountinfo").read_text("utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return
    for line in lines:
        before, _, behind = line.partition(" - ")
        if behind.startswith(f"{_KIND} "):
            yield re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), before.split(" ")[4])


def _no_device(error: OSError) -> UsageError:
    return UsageError(f"device nodes need {_DEVICE} (modprobe fuse): {error.strerror}")


def _libc() -> Any:
    import ctypes

    libc: Any = ctypes.CDLL(None, use_errno=True)
    libc.mount.argtypes = [ctypes.c_char_p] * 3 + [ctypes.c_ulong, ctypes.c_char_p]
    libc.umount2.argtypes = [ctypes.c_char_p, ctypes.c_int]
    return libc


def _last_errno() -> int:
    import ctypes

    return ctypes.get_errno()
