"""The calls that name a file, and what a descriptor's status is: answered for nodes and for what is redirected."""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Callable
from dataclasses import dataclass

from dmtable.control.exec.memory import Memory
from dmtable.control.exec.nodes import Nodes
from dmtable.control.exec.paths import AT_FDCWD, Paths, Place
from dmtable.control.exec.status import Status, control_status, node_status, status_of
from dmtable.control.exec.syscalls import Architecture
from dmtable.control.exec.sysfs import CONTROL_NUMBER
from dmtable.control.folder import write_node
from dmtable.core.numbers import DM_MAJOR, LOOP_MAJOR

_AT_SYMLINK_NOFOLLOW, _AT_EACCESS, _AT_REMOVEDIR, _AT_EMPTY_PATH = 0x100, 0x200, 0x200, 0x1000
_RENAME_NOREPLACE = 1
_HOW = struct.Struct("<QQQ")
_OURS = (DM_MAJOR, LOOP_MAJOR)


@dataclass(frozen=True, slots=True)
class GiveFd:
    """The answer is a new descriptor. `fd` is closed when it has been given."""

    fd: int
    close_on_exec: bool


@dataclass(frozen=True, slots=True)
class GoOn:
    """The kernel carries the call out."""


GO_ON = GoOn()
Answer = int | GiveFd | GoOn


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes the call, and its memory."""

    tid: int
    memory: Memory


class Files:
    """A method for each call, with its arguments as the kernel has them. Raises OSError where the call fails."""

    def __init__(self, paths: Paths, nodes: Nodes, architecture: Architecture, device: int) -> None:
        self._paths = paths
        self._nodes = nodes
        self._architecture = architecture
        self._device = device
        """st_dev of the machine's /dev."""
        self.calls: dict[str, Callable[..., Answer]] = {
            "open": lambda caller, path, flags, mode, *_: self.openat(caller, AT_FDCWD, path, flags, mode),
            "creat": lambda caller, path, mode, *_: self.openat(
                caller, AT_FDCWD, path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, mode
            ),
            "openat": self.openat,
            "openat2": self.openat2,
            "stat": lambda caller, path, buffer, *_: self.newfstatat(caller, AT_FDCWD, path, buffer, 0),
            "lstat": lambda caller, path, buffer, *_: self.newfstatat(
                caller, AT_FDCWD, path, buffer, _AT_SYMLINK_NOFOLLOW
            ),
            "fstat": lambda caller, fd, buffer, *_: self.newfstatat(caller, fd, 0, buffer, _AT_EMPTY_PATH),
            "newfstatat": self.newfstatat,
            "statx": self.statx,
            "access": lambda caller, path, mode, *_: self.faccessat2(caller, AT_FDCWD, path, mode, 0),
            "faccessat": lambda caller, dirfd, path, mode, *_: self.faccessat2(caller, dirfd, path, mode, 0),
            "faccessat2": self.faccessat2,
            "readlink": lambda caller, path, buffer, size, *_: self.readlinkat(caller, AT_FDCWD, path, buffer, size),
            "readlinkat": self.readlinkat,
            "mknod": lambda caller, path, mode, device, *_: self.mknodat(caller, AT_FDCWD, path, mode, device),
            "mknodat": self.mknodat,
            "mkdir": lambda caller, path, mode, *_: self.mkdirat(caller, AT_FDCWD, path, mode),
            "mkdirat": self.mkdirat,
            "rmdir": lambda caller, path, *_: self.unlinkat(caller, AT_FDCWD, path, _AT_REMOVEDIR),
            "unlink": lambda caller, path, *_: self.unlinkat(caller, AT_FDCWD, path, 0),
            "unlinkat": self.unlinkat,
            "symlink": lambda caller, target, path, *_: self.symlinkat(caller, target, AT_FDCWD, path),
            "symlinkat": self.symlinkat,
            "rename": lambda caller, old, new, *_: self.renameat2(caller, AT_FDCWD, old, AT_FDCWD, new, 0),
            "renameat": lambda caller, old_dirfd, old, new_dirfd, new, *_: self.renameat2(
                caller, old_dirfd, old, new_dirfd, new, 0
            ),
            "renameat2": self.renameat2,
            "chmod": lambda caller, path, mode, *_: self.fchmodat(caller, AT_FDCWD, path, mode),
            "fchmodat": self.fchmodat,
            "chown": lambda caller, path, uid, gid, *_: self.fchownat(caller, AT_FDCWD, path, uid, gid, 0),
            "lchown": lambda caller, path, uid, gid, *_: self.fchownat(
                caller, AT_FDCWD, path, uid, gid, _AT_SYMLINK_NOFOLLOW
            ),
            "fchownat": self.fchownat,
            "getxattr": lambda caller, path, *_: self.getxattr(caller, path, follow=True),
            "lgetxattr": lambda caller, path, *_: self.getxattr(caller, path, follow=False),
            "listxattr": lambda caller, path, *_: self.listxattr(caller, path, follow=True),
            "llistxattr": lambda caller, path, *_: self.listxattr(caller, path, follow=False),
        }

    def openat(self, caller: Caller, dirfd: int, path: int, flags: int, mode: int, *_: int) -> Answer:
        place = self._place(caller, dirfd, path, follow=not flags & os.O_NOFOLLOW, new=bool(flags & os.O_CREAT))
        if place.ordinary or (flags & os.O_PATH and not place.moved):
            return GO_ON
        if flags & os.O_PATH:
            # Such a descriptor cannot be handed over; one for reading can do what it can.
            flags = flags & (os.O_CLOEXEC | os.O_DIRECTORY) | os.O_RDONLY
        mode &= ~_umask(caller.tid) if flags & os.O_CREAT else 0
        return GiveFd(self._open(place, flags, mode), bool(flags & os.O_CLOEXEC))

    def openat2(self, caller: Caller, dirfd: int, path: int, how: int, size: int, *_: int) -> Answer:
        if size < _HOW.size:
            return GO_ON
        flags, mode, _resolve = _HOW.unpack(caller.memory.read(how, _HOW.size))
        return self.openat(caller, dirfd, path, flags, mode)

    def newfstatat(self, caller: Caller, dirfd: int, path: int, buffer: int, flags: int, *_: int) -> Answer:
        status = self._status(caller, dirfd, path, flags)
        if status is None:
            return GO_ON
        caller.memory.write(buffer, status.as_stat(self._architecture))
        return 0

    def statx(self, caller: Caller, dirfd: int, path: int, flags: int, mask: int, buffer: int, *_: int) -> Answer:
        status = self._status(caller, dirfd, path, flags)
        if status is None:
            return GO_ON
        caller.memory.write(buffer, status.as_statx())
        return 0

    def faccessat2(self, caller: Caller, dirfd: int, path: int, mode: int, flags: int, *_: int) -> Answer:
        place = self._place(caller, dirfd, path, follow=not flags & _AT_SYMLINK_NOFOLLOW)
        if place.control or (place.number and not os.path.exists(place.path)):
            if mode & os.X_OK:
                raise _error(errno.EACCES)
            return 0
        if not place.moved:
            return GO_ON
        os.stat(place.path, follow_symlinks=not flags & _AT_SYMLINK_NOFOLLOW)  # For its errno.
        if not os.access(place.path, mode, effective_ids=bool(flags & _AT_EACCESS)):
            raise _error(errno.EACCES)
        return 0

    def readlinkat(self, caller: Caller, dirfd: int, path: int, buffer: int, size: int, *_: int) -> Answer:
        place = self._place(caller, dirfd, path, follow=False)
        if place.ordinary:
            return GO_ON
        if place.control or place.number:
            raise _error(errno.EINVAL)
        target = os.fsencode(self._paths.outward(os.readlink(place.path)))[: size & 0x7FFFFFFF]
        caller.memory.write(buffer, target)
        return len(target)

    def mknodat(self, caller: Caller, dirfd: int, path: int, mode: int, device: int, *_: int) -> Answer:
        number = (os.major(device), os.minor(device))
        if stat.S_ISBLK(mode) and number[0] in _OURS:
            place = self._place(caller, dirfd, path, follow=False, new=True)
            write_node(place.path, number, stat.S_IMODE(mode) & ~_umask(caller.tid))
            return 0
        if stat.S_ISCHR(mode) and number == CONTROL_NUMBER:
            place = self._place(caller, dirfd, path, follow=False, new=True)
            if place.control:
                raise _error(errno.EEXIST)
        return GO_ON

    def mkdirat(self, caller: Caller, dirfd: int, path: int, mode: int, *_: int) -> Answer:
        place = self._place(caller, dirfd, path, follow=False, new=True)
        if not place.moved:
            return GO_ON
        os.mkdir(place.path, stat.S_IMODE(mode) & ~_umask(caller.tid))
        return 0

    def unlinkat(self, caller: Caller, dirfd: int, path: int, flags: int, *_: int) -> Answer:
        place = self._place(caller, dirfd, path, follow=False)
        if not place.moved:
            return GO_ON
        (os.rmdir if flags & _AT_REMOVEDIR else os.unlink)(place.path)
        return 0

    def symlinkat(self, caller: Caller, target: int, dirfd: int, path: int, *_: int) -> Answer:
        place = self._place(caller, dirfd, path, follow=False, new=True)
        if not place.moved:
            return GO_ON
        os.symlink(self._paths.inward(os.fsdecode(caller.memory.path(target))), place.path)
        return 0

    def renameat2(
        self, caller: Caller, old_dirfd: int, old: int, new_dirfd: int, new: int, flags: int, *_: int
    ) -> Answer:
        source = self._place(caller, old_dirfd, old, follow=False)
        target = self._place(caller, new_dirfd, new, follow=False, new=source.moved)
        if not (source.moved or target.moved):
            return GO_ON
        if source.moved != target.moved:
            raise _error(errno.EXDEV)
        if flags & ~_RENAME_NOREPLACE:
            raise _error(errno.EINVAL)
        if flags and os.path.lexists(target.path):
            raise _error(errno.EEXIST)
        os.rename(source.path, target.path)
        return 0

    def fchmodat(self, caller: Caller, dirfd: int, path: int, mode: int, *_: int) -> Answer:
        place = self._place(caller, dirfd, path, follow=True)
        if not place.moved:
            return GO_ON
        os.chmod(place.path, stat.S_IMODE(mode))
        return 0

    def fchownat(self, caller: Caller, dirfd: int, path: int, uid: int, gid: int, flags: int, *_: int) -> Answer:
        place = self._place(caller, dirfd, path, follow=not flags & _AT_SYMLINK_NOFOLLOW)
        if place.ordinary:
            return GO_ON
        if not place.control and os.path.lexists(place.path):
            try:
                os.chown(place.path, _signed(uid), _signed(gid), follow_symlinks=not flags & _AT_SYMLINK_NOFOLLOW)
            except PermissionError:
                if not place.number:
                    raise
                # To whom a node belongs matters to nobody, and libdm would have root's.
        return 0

    def getxattr(self, caller: Caller, path: int, *, follow: bool) -> Answer:
        if self._place(caller, AT_FDCWD, path, follow=follow).ordinary:
            return GO_ON
        raise _error(errno.ENODATA)

    def listxattr(self, caller: Caller, path: int, *, follow: bool) -> Answer:
        return GO_ON if self._place(caller, AT_FDCWD, path, follow=follow).ordinary else 0

    def _place(self, caller: Caller, dirfd: int, path: int, *, follow: bool, new: bool = False) -> Place:
        name = os.fsdecode(caller.memory.path(path))
        if not name:
            return Place("")
        return self._paths.find(caller.tid, as_fd(dirfd), name, follow=follow, new=new)

    def _open(self, place: Place, flags: int, mode: int) -> int:
        if not (place.number or place.control):
            return os.open(place.path, flags | os.O_CLOEXEC, mode)
        if flags & os.O_CREAT and flags & os.O_EXCL:
            raise _error(errno.EEXIST)
        if flags & os.O_DIRECTORY:
            raise _error(errno.ENOTDIR)
        return self._nodes.open(place.number, flags) if place.number else self._nodes.open_control()

    def _status(self, caller: Caller, dirfd: int, path: int, flags: int) -> Status | None:
        """None where the kernel knows best."""
        if flags & _AT_EMPTY_PATH and (not path or not caller.memory.read(path, 1)[0]):
            node = self._nodes.of_fd(caller.tid, as_fd(dirfd))
            if node is None:
                return None
            if node.number is None:
                return control_status(self._device)
            return node_status(None, node.number, self._device)
        follow = not flags & _AT_SYMLINK_NOFOLLOW
        place = self._place(caller, dirfd, path, follow=follow)
        if place.ordinary:
            return None
        if place.control:
            return control_status(self._device)
        if place.number is None:
            return status_of(os.stat(place.path, follow_symlinks=follow))
        file = os.stat(place.path) if os.path.exists(place.path) else None
        return node_status(file, place.number, self._device)


def as_fd(argument: int) -> int:
    """A descriptor is an int, whatever stands in the upper half of its register."""
    return (argument & 0xFFFFFFFF) - ((argument & 0x80000000) << 1)


def _signed(identity: int) -> int:
    """A user's or group's number; -1 for none."""
    identity &= 0xFFFFFFFF
    return -1 if identity == 0xFFFFFFFF else identity


def _umask(tid: int) -> int:
    try:
        with open(f"/proc/{tid}/status", "rb", buffering=0) as file:
            for line in file.read().splitlines():
                if line.startswith(b"Umask:"):
                    return int(line.split()[1], 8)
    except OSError:
        pass
    return 0o022


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
