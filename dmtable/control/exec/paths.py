"""Where a program's path leads: to a node, to the machine's own /dev, to what it sees of /proc and /sys, or elsewhere.

Not followed: a program's own root and mount namespaces, and links outside the machine's folder to what is redirected.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from dataclasses import dataclass

from dmtable.control.exec.devices import BlockDevices
from dmtable.control.exec.sysfs import ShadowTree
from dmtable.control.folder import MachineFolder, read_node
from dmtable.core.numbers import DM_MAJOR, LOOP_MAJOR, Number

AT_FDCWD = -100
_FD = re.compile(r"/(?:proc/(self|thread-self|[0-9]+)|dev)/fd/([0-9]+)")
_STANDARD = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
_KERNEL_NODE = re.compile(r"/dev/(dm-|loop)(0|[1-9][0-9]{0,6})")
_REDIRECTED = ("/proc/devices", "/proc/misc", "/proc/partitions", "/sys/block", "/sys/dev/block")


@dataclass(frozen=True, slots=True)
class Place:
    """What a path stands for. `path` is where the supervisor finds it."""

    path: str
    moved: bool = False
    """Whether that is somewhere else than where the kernel would look."""
    number: Number | None = None
    """Of the block device whose node this is."""
    control: bool = False
    """Whether it is /dev/mapper/control."""

    @property
    def ordinary(self) -> bool:
        """Whether the kernel finds there what it should."""
        return not (self.moved or self.control or self.number)


class Paths:
    """Finds places. `shadow` holds what replaces parts of /proc and /sys."""

    def __init__(
        self,
        folder: MachineFolder,
        shadow: ShadowTree,
        devices: BlockDevices,
        number_of_fd: Callable[[int, int], Number | None],
    ) -> None:
        self._folder = folder
        self._shadow = shadow
        self._devices = devices
        self._number_of_fd = number_of_fd

    def find(self, tid: int, dirfd: int, path: str, *, follow: bool = True, new: bool = False) -> Place:
        """The place of a path of a thread. `new` is for a path that is about to be made.

        Raises OSError EBADF where the path begins nowhere.
        """
        if path.startswith("/"):
            absolute = _tidy(path)
        else:
            base = f"/proc/{tid}/cwd" if dirfd == AT_FDCWD else f"/proc/{tid}/fd/{dirfd}"
            try:
                absolute = _tidy(f"{os.readlink(base)}/{path}")
            except FileNotFoundError as error:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF)) from error
            path = f"{base}/{path}"
        if absolute.endswith("/mapper/control") and (control := self._control(absolute)):
            return control
        if absolute.startswith(("/dev", "/proc/", "/sys/")):
            place = self._redirected(tid, absolute, follow, new)
            if place is not None:
                return place
        number = read_node(path) if follow or not os.path.islink(path) else None
        if number is None and absolute.startswith(f"{self._folder.dev}/"):
            number = self._kernel_node(absolute.removeprefix(self._folder.path))
        return Place(path, number=number)

    def outward(self, target: str) -> str:
        """What a link of the machine's /dev says to programs."""
        return target.removeprefix(self._folder.path) if target.startswith(f"{self._folder.dev}/") else target

    def inward(self, target: str) -> str:
        """What a link of the machine's /dev has to be, to lead where a program wants it to."""
        return f"{self._folder.path}{target}" if target.startswith("/dev/") else target

    def _control(self, path: str) -> Place | None:
        if path == "/dev/mapper/control":
            path = f"{self._folder.dev_mapper}/control"
        return Place(path, control=True) if os.path.isdir(os.path.dirname(path)) else None

    def _redirected(self, tid: int, path: str, follow: bool, new: bool) -> Place | None:
        for prefix in _REDIRECTED:
            if path == prefix or path.startswith(f"{prefix}/"):
                self._shadow.update(self._devices.all())
                return Place(self._shadow.path + path, moved=True)
        if path in _STANDARD:
            return self._open_file(tid, _STANDARD[path], follow)
        if match := _FD.fullmatch(path):
            return self._open_file(int(match[1]) if (match[1] or "").isdecimal() else tid, int(match[2]), follow)
        path = os.path.normpath(path)
        if path == "/dev" or path.startswith("/dev/"):
            return self._in_dev(path, follow, new)
        return None

    def _open_file(self, tid: int, fd: int, follow: bool) -> Place:
        return Place(f"/proc/{tid}/fd/{fd}", number=self._number_of_fd(tid, fd) if follow else None)

    def _in_dev(self, path: str, follow: bool, new: bool) -> Place | None:
        """In the machine's /dev, where it has that; what it has not is the real one's, such as /dev/null."""
        ours = f"{self._folder.path}{path}"
        above = os.path.dirname(path)
        if os.path.lexists(ours):
            return Place(ours, moved=True, number=read_node(ours) if follow or not os.path.islink(ours) else None)
        if number := self._kernel_node(path):
            return Place(ours, moved=True, number=number)
        # The machine's own folders are its own, whatever the real ones hold.
        there = os.path.isdir(os.path.dirname(ours)) and (above != "/dev" or (new and not os.path.lexists(path)))
        return Place(ours, moved=True) if there else None

    def _kernel_node(self, path: str) -> Number | None:
        """The number of /dev/dm-N and /dev/loopN, which are there as soon as the device is."""
        match = _KERNEL_NODE.fullmatch(path)
        if match is None:
            return None
        number = (DM_MAJOR if match[1] == "dm-" else LOOP_MAJOR, int(match[2]))
        return number if self._devices.get(number) else None


def _tidy(path: str) -> str:
    """Without what changes nothing; `..` stays, as the links before it decide where it leads."""
    while "//" in path:
        path = path.replace("//", "/")
    while "/./" in path:
        path = path.replace("/./", "/")
    return path
