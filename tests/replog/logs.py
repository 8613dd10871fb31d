"""Logs on disks in memory, and what the tests of this folder do with them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

from dmtable.core.bio import Op
from dmtable.core.devices import DmDev
from dmtable.core.steps import Steps, carry_out
from dmtable.io.device import BlockDevice
from dmtable.io.memory import MemoryDevice
from dmtable.replog.log import Entry, ReplicationLog
from dmtable.replog.ringbuffer import RingBufferLog
from dmtable.runtime.runtime import Runtime
from dmtable.sim.runtime import SimRuntime
from dmtable.units import SECTOR_BYTES


class Host:
    """The Context of a log, whose disk is 7:3."""

    def __init__(self, disk: BlockDevice) -> None:
        self.disk = disk
        self.lines: list[str] = []
        self._runtime = SimRuntime(traced=False)
        self.lock: AbstractContextManager[object] = self._runtime.lock()

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
        return DmDev((7, 3), "loop3", self.disk)

    def event(self) -> None:
        return

    def log(self, text: str) -> None:
        self.lines.append(text)

    def log_limited(self, form: str, *values: object) -> None:
        self.log(form.format(*values))

    def go(self, steps: Steps) -> None:
        carry_out(steps, self._runtime)

    def create(self, size: int, start: int = 0) -> RingBufferLog:
        """A new log, recovered."""
        log = RingBufferLog.create(self, self.lock, self.disk, start, size)
        self.go(log.recovering())
        return log

    def open(self, start: int = 0) -> RingBufferLog:
        """The log that is there, recovered."""
        log = RingBufferLog.open(self, self.lock, self.disk, start)
        assert log is not None, "there is no log"
        self.go(log.recovering())
        return log

    def commit(self, log: ReplicationLog, *, marks: bool = False) -> None:
        self.go(log.committing(marks=marks))

    def append(self, log: ReplicationLog, sectors: int, owed: int = 3, op: Op = Op.WRITE, device: int = 0) -> Entry:
        data = content(log.last + 1, sectors) if op is Op.WRITE else None
        entry = Entry(device, op, 100 * (log.last + 1), sectors, data, owed, 1234.5)
        log.append(entry)
        return entry

    def read(self, log: ReplicationLog, entry: Entry) -> bytes:
        found: list[bytes] = []

        def all_of_it() -> Iterator[Any]:
            found.append((yield from log.reading(entry)))

        self.go(all_of_it())
        return found[0]


def content(number: int, sectors: int) -> bytes:
    """What entry `number` writes."""
    return f"entry {number} ".encode().ljust(32, b".") * (sectors * SECTOR_BYTES // 32)


def host(sectors: int) -> Host:
    return Host(MemoryDevice(sectors * SECTOR_BYTES))
