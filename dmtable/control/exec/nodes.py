"""Block devices behind descriptors: opening a node, and telling which one a descriptor of a program is.

An md is opened by its FUSE file, whose inode is the minor number and 2; a disk by its image file.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
from contextlib import suppress
from dataclasses import dataclass

from dmtable.control.calls import BlockDeviceInfo
from dmtable.control.exec.devices import BlockDevices
from dmtable.control.folder import MachineFolder
from dmtable.core.numbers import DM_MAJOR, Number

FIRST_INODE = 2
_FLAGS_IN_FDINFO = re.compile(rb"^flags:\s*([0-7]+)$", re.MULTILINE)
_NOT_FOR_NODES = os.O_CREAT | os.O_EXCL | os.O_TRUNC | os.O_DIRECT | os.O_NOFOLLOW | os.O_NOATIME | os.O_ASYNC
_ALONE = os.O_NOATIME
"""What O_EXCL is called on its way to the file system of the mds."""
_MARK = os.O_ASYNC
"""Opened as a device and not as the image file it also is: a flag that says nothing for files, but is remembered."""


@dataclass(frozen=True, slots=True)
class OpenNode:
    """What a descriptor is: the control device where it has no number."""

    number: Number | None
    size_bytes: int


class Nodes:
    """Lives as long as the supervisor."""

    def __init__(self, folder: MachineFolder, devices: BlockDevices) -> None:
        self._folder = folder
        self._devices = devices
        self._fuse = _mounted(folder)
        # A pipe, as it has an inode of its own and poll() finds nothing in it. It lives as long as this object.
        self._control_read, self._control_write = os.pipe2(os.O_CLOEXEC)
        self._control = _file_of(os.fstat(self._control_read))

    def close(self) -> None:
        os.close(self._control_read)
        os.close(self._control_write)

    def open_control(self) -> int:
        return os.open(f"/proc/self/fd/{self._control_read}", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)

    def open(self, number: Number, flags: int) -> int:
        """A descriptor of the device, with the flags of open(2). Raises OSError as the kernel does."""
        device = self._now(number)
        exclusive = bool(flags & os.O_EXCL)
        flags = flags & ~_NOT_FOR_NODES | os.O_CLOEXEC
        if device.path is None:
            return self._open_md(device, flags | (_ALONE if exclusive else 0))
        fd = os.open(device.path, flags | _MARK)
        if exclusive:
            try:
                # Tables that use it hold it shared. This belongs to what is open and not to us: the last close ends it.
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                os.close(fd)
                raise _error(errno.EBUSY) from error
        return fd

    def of_fd(self, tid: int, fd: int) -> OpenNode | None:
        """What a descriptor of a thread is, None where it is nothing of the emulated machine."""
        try:
            status = os.stat(f"/proc/{tid}/fd/{fd}")
        except OSError:
            return None
        file = _file_of(status)
        if file == self._control:
            return OpenNode(None, 0)
        if file[0] == self._fuse and status.st_ino >= FIRST_INODE:
            return OpenNode((DM_MAJOR, status.st_ino - FIRST_INODE), status.st_size)
        number = self._devices.of_image(file)
        if number is None or not fd_flags(tid, fd) & _MARK:
            return None
        return OpenNode(number, status.st_size & ~511)

    def number_of_fd(self, tid: int, fd: int) -> Number | None:
        """The block device that a descriptor of a thread is."""
        node = self.of_fd(tid, fd)
        return node.number if node is not None else None

    def releases_seen(self) -> None:
        """Returns when the file system was told of all descriptors that are closed by now.

        close(2) does not wait for that; but requests are taken in their order, and this one waits.
        """
        with suppress(OSError):
            os.stat(f"{self._folder.mapper}/.")
            os.stat(f"{self._folder.mapper}/ no device has this name")

    def _open_md(self, device: BlockDeviceInfo, flags: int) -> int:
        while True:
            try:
                fd = os.open(f"{self._folder.mapper}/{device.dm_name}", flags)
            except FileNotFoundError as error:
                raise _error(errno.ENXIO) from error  # It has no table.
            status = os.fstat(fd)
            if status.st_ino == device.number[1] + FIRST_INODE:
                self._fuse = status.st_dev
                return fd
            # It was renamed in between, and another one has its name.
            os.close(fd)
            device = self._now(device.number)

    def _now(self, number: Number) -> BlockDeviceInfo:
        device = self._devices.get(number)
        if device is None:
            raise _error(errno.ENXIO)
        return device


def fd_flags(tid: int, fd: int) -> int:
    """The flags of an open file, as open(2) has them; 0 where there is none."""
    try:
        with open(f"/proc/{tid}/fdinfo/{fd}", "rb", buffering=0) as info:
            match = _FLAGS_IN_FDINFO.search(info.read())
    except OSError:
        return 0
    return int(match[1], 8) if match else 0


def _mounted(folder: MachineFolder) -> int | None:
    """The file system of the mds' files; None as long as nobody serves it."""
    try:
        device = os.stat(folder.mapper).st_dev
        return device if device != os.stat(folder.path).st_dev else None
    except OSError:
        return None


def _file_of(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
