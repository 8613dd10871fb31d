"""What libdm reads and writes beside the ioctls: the nodes of the machine's /dev, and what sysfs says of devices.

The kernel makes no node in /dev/mapper: libdm does, where no udev is there to do it.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import MutableMapping

from dmtable.core.device_mapper import DM_MAJOR, DeviceMapper
from dmtable.core.devices import Number
from dmtable.errors import DeviceLookupError

READ_AHEAD_SECTORS = 256
"""What the kernel gives every disk (VM_READAHEAD_PAGES)."""


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


class LocalDev(Dev):
    """The nodes of a DeviceMapper in this process: they are remembered, and nobody else can open them."""

    def __init__(self, mapper: DeviceMapper) -> None:
        self._mapper = mapper
        self._nodes: dict[str, Number] = {}

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
