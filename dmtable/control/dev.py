"""What libdm reads and writes beside the ioctls: the nodes of the machine's /dev, and what sysfs says of devices.

The kernel makes no node in /dev/mapper: libdm does, where no udev is there to do it.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING

from dmtable.control.folder import MachineFolder, read_node, write_node
from dmtable.core.numbers import DM_MAJOR, Number
from dmtable.errors import DeviceLookupError

if TYPE_CHECKING:
    from dmtable.control.calls import Calls
    from dmtable.core.device_mapper import DeviceMapper


class Dev(ABC):
    """The /dev of a machine, and its sysfs."""

    @property
    @abstractmethod
    def nodes(self) -> MutableMapping[str, Number]:
        """The block device nodes in /dev/mapper by name."""

    @abstractmethod
    def number(self, path: str) -> Number | None:
        """The device number of a node below /dev, as stat() tells it; None where there is none."""

    @abstractmethod
    def block_name(self, dev: Number) -> str | None:
        """The name of a block device in sysfs, as `dm-0`; an md has one from its first table on."""

    @abstractmethod
    def read_ahead(self, dev: Number) -> int | None:
        """How far the kernel reads ahead on a device, in sectors; None where sysfs has no such device."""

    @abstractmethod
    def set_read_ahead(self, dev: Number, sectors: int) -> None:
        """Sets that, in whole pages, until the next table of the md is chosen for. Nothing where there is no device."""

    @abstractmethod
    def path(self, name: str) -> str:
        """The path at which a program finds the node with a name."""


class LocalDev(Dev):
    """The nodes of a DeviceMapper in this process: they are remembered, and nobody else can open them."""

    def __init__(self, mapper: DeviceMapper) -> None:
        from dmtable.control.read_ahead import ReadAhead

        self._mapper = mapper
        self._nodes: dict[str, Number] = {}
        self._read_ahead = ReadAhead(mapper)

    @property
    def nodes(self) -> MutableMapping[str, Number]:
        return self._nodes

    def number(self, path: str) -> Number | None:
        if not path.startswith("/"):
            return None  # The emulated machine has no working folder.
        folder, name = os.path.split(os.path.normpath("/" + path.lstrip("/")))
        if folder == "/dev/mapper":
            return self._nodes.get(name)
        if folder == "/dev" and name.startswith("dm-"):
            minor = name.removeprefix("dm-")
            dev = (DM_MAJOR, int(minor)) if minor.isdecimal() else None
            return dev if dev is not None and self.block_name(dev) == name else None
        try:
            return self._mapper.lookup(path).number
        except DeviceLookupError:
            return None

    def block_name(self, dev: Number) -> str | None:
        if dev[0] == DM_MAJOR:
            md = self._mapper.by_number(dev)
            return md.dm_dev.kernel_name if md is not None and md.limits_known else None
        try:
            return self._mapper.lookup(f"{dev[0]}:{dev[1]}").kernel_name
        except DeviceLookupError:
            return None

    def read_ahead(self, dev: Number) -> int | None:
        return self._read_ahead.of(dev) if self.block_name(dev) else None

    def set_read_ahead(self, dev: Number, sectors: int) -> None:
        self._read_ahead.tell(dev, sectors)

    def path(self, name: str) -> str:
        return f"/dev/mapper/{name}"


class FolderDev(Dev):
    """The /dev of a machine's folder: its nodes are small files, and its daemon knows what would be in sysfs."""

    def __init__(self, folder: MachineFolder, calls: Calls) -> None:
        self._folder = folder
        self._calls = calls
        self._nodes = _NodeFiles(folder.dev_mapper)

    @property
    def nodes(self) -> MutableMapping[str, Number]:
        return self._nodes

    def number(self, path: str) -> Number | None:
        at = os.path.abspath(path)
        if os.path.dirname(at) == self._folder.mapper:
            return self._nodes.get(os.path.basename(at))
        if not at.startswith("/dev/"):
            return read_node(at)
        node = read_node(self._folder.dev + at.removeprefix("/dev"))
        named = (device.number for device in self._calls.block_devices() if f"/dev/{device.kernel_name}" == at)
        return node or next(named, None)

    def block_name(self, dev: Number) -> str | None:
        device = self._calls.block_device(dev)
        return None if device is None else device.kernel_name

    def read_ahead(self, dev: Number) -> int | None:
        device = self._calls.block_device(dev)
        return None if device is None else device.read_ahead_sectors

    def set_read_ahead(self, dev: Number, sectors: int) -> None:
        self._calls.set_read_ahead(dev, sectors)

    def path(self, name: str) -> str:
        return f"{self._folder.mapper}/{name}"


class _NodeFiles(MutableMapping[str, Number]):
    """The nodes in a folder, by name. What else stands there is not seen."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def __getitem__(self, name: str) -> Number:
        number = read_node(f"{self._folder}/{name}")
        if number is None:
            raise KeyError(name)
        return number

    def __setitem__(self, name: str, number: Number) -> None:
        """Raises OSError."""
        if self.get(name) != number:
            self.pop(name, None)
            write_node(f"{self._folder}/{name}", number)

    def __delitem__(self, name: str) -> None:
        """Raises OSError."""
        try:
            os.unlink(f"{self._folder}/{name}")
        except FileNotFoundError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        try:
            names = os.listdir(self._folder)
        except FileNotFoundError:
            names = []
        return (name for name in sorted(names, key=os.fsencode) if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)
