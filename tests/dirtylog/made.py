"""Dirty logs that are written here and were read by the kernel: fixtures/kernel/dirtylog_made.json."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dmtable.dirtylog.log import DirtyLog
from tests.dirtylog.logs import Host, loop_disk

DISK_SECTORS = 64
REGION_SECTORS = 2


@dataclass(frozen=True, slots=True)
class Made:
    """A log, and how many of its regions are clean. The kernel opened it with a line of `regions`."""

    log: bytes
    regions: int
    clean: int


def made_logs() -> dict[str, Made]:
    """Each by the id of its case."""
    return {
        "made-new": _made(lambda host: _resumed(host, "disk 2 7:3 2", 40), 0),
        "made-nosync": _made(lambda host: _resumed(host, "disk 3 7:3 2 nosync", 40), 40),
        "made-dirty": _made(lambda host: _dirty(host, 100), 97),
        "made-of-several-sectors": _made(lambda host: _dirty(host, 9000), 8997),
        "made-after-growth": _made(_grown, 95),
        "made-after-shrinkage": _made(_shrunk, 22),
        "made-after-recovery": _made(_recovered, 40),
    }


def _made(make: Callable[[Host], DirtyLog], clean: int) -> Made:
    host = Host(loop_disk("d3", DISK_SECTORS))
    regions = make(host).region_count
    return Made(host.disk.pread(4096, 0), regions, clean)


def _resumed(host: Host, words: str, regions: int) -> DirtyLog:
    log = host.construct(words, regions * REGION_SECTORS)
    log.resume()
    return log


def _dirty(host: Host, regions: int) -> DirtyLog:
    log = _resumed(host, "disk 3 7:3 2 nosync", regions)
    for region in (0, regions // 2, regions - 1):
        log.mark_region(region)
    log.flush()
    return log


def _grown(host: Host) -> DirtyLog:
    _dirty(host, 98)
    return _resumed(host, "disk 2 7:3 2", 130)


def _shrunk(host: Host) -> DirtyLog:
    _dirty(host, 46)
    return _resumed(host, "disk 2 7:3 2", 24)


def _recovered(host: Host) -> DirtyLog:
    log = _resumed(host, "disk 3 7:3 2 sync", 40)
    for region in iter(log.get_resync_work, None):
        log.set_region_sync(region, True)
        log.clear_region(region)
    log.postsuspend()
    return log
