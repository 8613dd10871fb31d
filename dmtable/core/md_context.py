"""What the tables of an md get from it: devices, opened once for each table and counted once for the md."""

from __future__ import annotations

import errno
from contextlib import AbstractContextManager
from typing import Any

from dmtable.core.devices import DmDev, Lookup
from dmtable.core.kernel_log import KernelLog
from dmtable.core.mapped_device import MappedDevice
from dmtable.core.numbers import Number
from dmtable.core.registry import Registry
from dmtable.core.stack import stands_on
from dmtable.errors import DeviceLookupError
from dmtable.io.device import BlockDevice
from dmtable.runtime.runtime import Runtime


class MdContext:
    """One for each table. `lookup` finds any device; a word that leads back to the md is refused here.

    `lock` guards what mds have open: held from the look-up to the open, it keeps a device from being removed
    between the two, and two mds from being loaded onto each other at the same time.
    """

    def __init__(
        self,
        md: MappedDevice,
        lookup: Lookup,
        registry: Registry,
        runtime: Runtime,
        log: KernelLog,
        lock: AbstractContextManager[object],
        shared: dict[object, Any],
    ) -> None:
        self.registry = registry
        self.runtime = runtime
        self._md = md
        self._lookup = lookup
        self.log = log.write
        self.log_limited = log.write_limited
        self.shared = shared
        self._lock = lock
        self._opened: dict[Number, DmDev] = {}

    def lookup(self, word: str) -> DmDev:
        with self._lock:
            dm_dev = self._lookup(word)
            used = dm_dev.device is self._md or self._md.open_count > 0
            if used and isinstance(dm_dev.device, MappedDevice) and stands_on(dm_dev.device, self._md):
                raise DeviceLookupError(errno.EINVAL, f"{word} is {self._md.name} itself, or mapped onto it")
            return dm_dev

    @property
    def owner(self) -> object:
        return self._md

    def get_device(self, word: str) -> DmDev:
        with self._lock:
            dm_dev = self.lookup(word)
            if dm_dev.number not in self._opened:
                _, tables = self._md.opened.get(dm_dev.number, (dm_dev, 0))
                if not tables:
                    self._claim(dm_dev, word)
                self._opened[dm_dev.number] = dm_dev
                self._md.opened[dm_dev.number] = dm_dev, tables + 1
            return dm_dev

    def close_devices(self) -> None:
        closed: list[BlockDevice] = []
        with self._lock:
            for number, dm_dev in self._opened.items():
                _, tables = self._md.opened[number]
                if tables > 1:
                    self._md.opened[number] = dm_dev, tables - 1
                    continue
                del self._md.opened[number]
                closed.append(dm_dev.device)
            self._opened.clear()
        # Without the lock: the last close may remove the md, and that waits for I/O.
        for device in closed:
            device.release()

    def event(self) -> None:
        self._md.event()

    def _claim(self, dm_dev: DmDev, word: str) -> None:
        try:
            dm_dev.device.claim()
        except OSError as error:
            raise DeviceLookupError(error.errno or errno.EBUSY, f"{word} cannot be opened: {error.strerror}") from error
