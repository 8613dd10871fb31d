"""Dirty logs on disks in memory, with what a target would give them."""

from __future__ import annotations

import errno
from typing import Any

from dmtable.core.devices import DmDev
from dmtable.dirtylog import kinds
from dmtable.dirtylog.log import DirtyLog, Place
from dmtable.errors import DeviceLookupError
from dmtable.io.device import BlockDevice
from dmtable.io.memory import MemoryDevice
from dmtable.language.diagnostics import refused
from dmtable.runtime.runtime import Runtime
from dmtable.sim.runtime import SimRuntime

MIRROR_REFUSES = refused("mirror", errno.EINVAL, "Error creating mirror dirty log")


class Host:
    """The Context of a dirty log, whose disk is 7:3."""

    def __init__(self, disk: BlockDevice, runtime: Runtime | None = None) -> None:
        self.disk = disk
        self.events = 0
        self.lines: list[str] = []
        self._runtime = runtime or SimRuntime()

    @property
    def runtime(self) -> Runtime:
        return self._runtime

    @property
    def owner(self) -> object:
        return self

    @property
    def shared(self) -> dict[object, Any]:
        return {}

    def get_device(self, word: str) -> DmDev:
        if word != "7:3":
            raise DeviceLookupError(errno.ENODEV, f"{word} does not exist")
        return DmDev((7, 3), "loop3", self.disk)

    def event(self) -> None:
        self.events += 1

    def log(self, text: str) -> None:
        self.lines.append(text)

    def log_limited(self, form: str, *values: object) -> None:
        self.log(form.format(*values))

    def construct(self, words: str, length: int) -> DirtyLog:
        """The log of `disk 2 7:3 16` in a line of so many sectors, not yet resumed."""
        kind, _count, *rest = words.split()
        params, findings = kinds.inspect(kind, rest, Place(length, 2, MIRROR_REFUSES, self.get_device))
        assert params is not None, findings
        log_class = kinds.KINDS.find(kind)
        assert log_class is not None
        return log_class.construct(self, length, params)


def loop_disk(name: str, sectors: int) -> MemoryDevice:
    """A disk as those of the recordings are: each sector says which it is."""
    disk = MemoryDevice(sectors * 512)
    for sector in range(sectors):
        disk.pwrite(f"{name}:{sector}\n".encode().ljust(16, b".") * 32, sector * 512)
    return disk


def in_sync(log: DirtyLog) -> set[int]:
    return {region for region in range(log.region_count) if log.in_sync(region)}
