"""A mirror of two legs in sync, against the bare system calls on one file."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Row, ratio, raw_writes, writes
from dmtable.core.device_mapper import DeviceMapper

IMAGE_BYTES = 64 << 20
SMALL, LARGE = 4096, 1 << 20
RAW = "one `os.pwrite`"
_CHANCE = random.Random(13)


def rows() -> list[Row]:
    folder = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=folder) as root, DeviceMapper(root) as dm:
        for name in ("raw", "leg0", "leg1", "log"):
            Path(root, name).write_bytes(bytes(IMAGE_BYTES))
        fd = os.open(Path(root, "raw"), os.O_RDWR)
        try:
            return list(_rows(dm, fd))
        finally:
            os.close(fd)


def _rows(dm: DeviceMapper, fd: int) -> Iterator[Row]:
    for log, goals in (("core 2 1024 nosync", (4.0, 2.3)), ("disk 3 /log 1024 nosync", (4.0, 2.3))):
        md = dm.create("m", f"0 {IMAGE_BYTES >> 9} mirror {log} 2 /leg0 0 /leg1 0 1 handle_errors")
        kind = log.split()[0]
        for size, calls, goal in ((SMALL, 2_000, goals[0]), (LARGE, 24, goals[1])):
            data = os.urandom(size)
            # Within 16 MiB: as many regions as a log keeps marked under a steady load.
            offsets = [_CHANCE.randrange((16 << 20) // size) * size for _ in range(calls)]
            name = f"{size >> 10:,} KiB write to two legs in sync, {kind} log"
            yield Row(name, RAW, ratio(writes(md.pwrite, data, offsets), raw_writes(fd, data, offsets)), goal)
        dm.remove(md)
