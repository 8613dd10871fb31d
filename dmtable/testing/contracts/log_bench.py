"""A machine for one dirty log, and the naive log that it is held against: sets of region numbers."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any, Protocol

from dmtable.core.devices import DmDev
from dmtable.core.steps import Steps
from dmtable.dirtylog.log import DirtyLog, Place, nothing_to_flush
from dmtable.errors import DeviceLookupError
from dmtable.language.diagnostics import refused
from dmtable.runtime.runtime import Runtime
from dmtable.sim.cache import Image, blank
from dmtable.sim.disk import SimDisk
from dmtable.sim.faults import Faults
from dmtable.sim.world import World

REFUSAL = refused("mirror", errno.EINVAL, "Error creating mirror dirty log")
AT = 2


class LogUnderTest(Protocol):
    """What of a contract the machine needs."""

    words: str
    region_size: int
    log_sectors: int

    def log_class(self) -> type[DirtyLog]: ...

    def make_disk(self, world: World, image: Image) -> SimDisk: ...


class LogModel:
    """The naive log: sets of region numbers."""

    def __init__(self, count: int, state: str, persistent: bool) -> None:
        self.count, self.state, self.persistent = count, state, persistent
        every = {*range(count)}
        self.in_sync = every if state == "nosync" else set()
        self.dirty = every - self.in_sync if persistent else set()
        self.recovering: set[int] = set()
        self.cursor = 0

    def set_sync(self, region: int, in_sync: bool) -> None:
        self.recovering.discard(region)
        (self.in_sync.add if in_sync else self.in_sync.discard)(region)

    def work(self) -> int | None:
        open_regions = (at for at in range(self.cursor, self.count) if at not in self.in_sync | self.recovering)
        region = next(open_regions, None)
        self.cursor = self.count if region is None else region + 1
        if region is not None:
            self.recovering.add(region)
        return region

    def resume(self) -> None:
        self.cursor = 0
        if not self.persistent:
            return
        if self.state:
            self.dirty = {*range(self.count)} if self.state == "sync" else set()
        self.in_sync = {*range(self.count)} - self.dirty

    def compare(self, log: DirtyLog, when: str) -> None:
        dirty = {region for region in range(self.count) if not log.is_clean(region)}
        assert dirty == self.dirty, f"{when}, regions {sorted(dirty ^ self.dirty)} are clean or dirty, and should not"
        found = regions_in_sync(log)
        assert found == self.in_sync, f"{when}, regions {sorted(found ^ self.in_sync)} are in or out of sync wrongly"
        assert log.sync_count == len(found), f"{when}, sync_count is {log.sync_count}, and {len(found)} are in sync"


class LogMachine:
    """What logs are given: a runtime, the device /dev/log, and somebody who counts events. A Context."""

    def __init__(self, contract: LogUnderTest, world: World) -> None:
        self.contract = contract
        self.world = world
        self.disk = world.disks.get("log") or contract.make_disk(world, blank(contract.log_sectors))
        self.events = 0
        self.lines: list[str] = []
        self.data_flushes = 0
        self.data_fails = False
        self._log_dev = DmDev((7, 3), "loop3", self.disk)

    @property
    def runtime(self) -> Runtime:
        return self.world.runtime

    def lookup(self, word: str) -> DmDev:
        if word not in ("/dev/log", "7:3"):
            raise DeviceLookupError(errno.ENODEV, f"{word} does not exist")
        return self._log_dev

    @property
    def owner(self) -> object:
        return self

    @property
    def shared(self) -> dict[object, Any]:
        return {}

    def get_device(self, word: str) -> DmDev:
        return self.lookup(word)

    def event(self) -> None:
        self.events += 1

    def log(self, text: str) -> None:
        self.lines.append(text)

    def log_limited(self, form: str, *values: object) -> None:
        self.log(form.format(*values))

    def flush_data(self) -> Steps:
        self.data_flushes += 1
        if self.data_fails:
            raise OSError(errno.EIO, "the data cannot be flushed")
        return iter(())

    def with_faults(self, faults: Faults) -> LogMachine:
        self.disk.faults = faults
        self.events = 0
        return self

    def open(self, state: str, regions: int, flush_data: Callable[[], Steps] = nothing_to_flush) -> DirtyLog:
        """A log made and resumed. Raises OSError where that fails."""
        return self.open_length(state, regions * self.contract.region_size, flush_data)

    def open_length(self, state: str, length: int, flush_data: Callable[[], Steps] = nothing_to_flush) -> DirtyLog:
        log = self._construct(state, length, flush_data)
        log.resume()
        return log

    def try_open(self, state: str, regions: int) -> tuple[DirtyLog, OSError | None]:
        log = self._construct(state, regions * self.contract.region_size, nothing_to_flush)
        try:
            log.resume()
        except OSError as error:
            return log, error
        return log, None

    def _construct(self, state: str, length: int, flush_data: Callable[[], Steps]) -> DirtyLog:
        log_class = self.contract.log_class()
        words = [*self.contract.words.split(), *state.split()]
        params, findings = log_class.params.inspect(words, Place(length, AT, REFUSAL, self.lookup))
        assert params is not None, f"inspect refuses {words}: {[finding.what for finding in findings]}"
        return log_class.construct(self, length, params, flush_data)


def regions_in_sync(log: DirtyLog) -> set[int]:
    return {region for region in range(log.region_count) if log.in_sync(region)}
