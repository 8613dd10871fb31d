"""Dirty logs of ten million regions: marking, counting, searching, storing, and the memory that they take."""

from __future__ import annotations

import statistics
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from benchmarks.measure import Row
from dmtable.core.devices import DmDev
from dmtable.dirtylog.core import CoreLog, CoreParams
from dmtable.dirtylog.disk import DiskLog, DiskParams
from dmtable.dirtylog.log import DirtyLog
from dmtable.dirtylog.words import Sync
from dmtable.io.memory import MemoryDevice
from dmtable.runtime.threads import ThreadRuntime

_REGIONS = 10_000_000
_REGION_SECTORS = 1024
_STEP = 9973
"""Regions far from one another, so that no cache helps."""
_BITMAPS = 3
_ROUNDS = 5
_NANO, _MICRO = 1e9, 1e6


class _Host:
    """The Context of a log."""

    def __init__(self) -> None:
        self.runtime = ThreadRuntime()
        self.owner = self
        self.shared: dict[object, Any] = {}
        self._log_dev = DmDev((7, 3), "loop3", MemoryDevice(4 << 20))

    def get_device(self, word: str) -> DmDev:
        return self._log_dev

    def event(self) -> None:
        return

    def log(self, text: str) -> None:
        return

    def log_limited(self, form: str, *values: object) -> None:
        self.log(form.format(*values))


def rows() -> list[Row]:
    host = _Host()
    length = _REGIONS * _REGION_SECTORS
    core, disk = CoreParams(_REGION_SECTORS, Sync.ALL), DiskParams("7:3", _REGION_SECTORS, Sync.ALL)
    found = [
        *_rows_of(lambda: CoreLog.construct(host, length, core)),
        *_rows_of(lambda: DiskLog.construct(host, length, disk)),
    ]
    host.runtime.close()
    return found


def _rows_of(make: Callable[[], DirtyLog]) -> list[Row]:
    tracemalloc.start()
    log = make()
    memory = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    log.resume()
    regions = range(0, _REGIONS, _STEP)
    mark, clear = _each(log.mark_region, regions), _each(log.clear_region, regions)
    figures = (
        ("mark a region", mark * _NANO, 2000, " ns"),
        ("clear a region", clear * _NANO, 2000, " ns"),
        ("count", _seconds(lambda: log.sync_count) * _MICRO, 5000, " µs"),
        ("resume: read, count, store", _seconds(log.resume) * _MICRO, 20_000, " µs"),
        ("next to resync, the last of all", _search(log) * _MICRO, 5000, " µs"),
        ("mark a region and flush", _flush(log) * _MICRO, 5000, " µs"),
        ("memory of a bitmap", memory / _BITMAPS / 1000, 4000, " kB"),
    )
    return [
        Row(f"{log.name} log: {what}", "10 M regions", figure, goal, unit=unit) for what, figure, goal, unit in figures
    ]


def _each(call: Callable[[int], None], regions: range) -> float:
    def run() -> None:
        for region in regions:
            call(region)

    return _seconds(run) / len(regions)


def _search(log: DirtyLog) -> float:
    """All but the last are in sync: the search has the whole bitmap before it."""

    def run() -> None:
        log.set_region_sync(_REGIONS - 1, False)
        log.rewind(0)
        assert log.get_resync_work() == _REGIONS - 1

    return _seconds(run)


def _flush(log: DirtyLog) -> float:
    def run() -> None:
        log.mark_region(_REGIONS // 2)
        log.flush()

    return _seconds(run)


def _seconds(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(_ROUNDS):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)
