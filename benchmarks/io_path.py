"""Random reads and writes through mds, against the bare system calls on the same file."""

from __future__ import annotations

import os
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from benchmarks.measure import Row, Seconds, ratio, raw_writes, writes
from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.mapped_device import MappedDevice
from dmtable.core.table import TargetSpec
from dmtable.io.file import FileDevice

IMAGE_BYTES = 64 << 20
SECTORS = IMAGE_BYTES >> 9
CALLS = 4_000
SMALL, LARGE = 4096, 1 << 20
RAW = "`os.pread`/`os.pwrite`"

_CHANCE = random.Random(11)


@contextmanager
def _image() -> Iterator[str]:
    folder = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        file.write(os.urandom(1 << 20) * (IMAGE_BYTES >> 20))
        file.flush()
        yield file.name


def _offsets(length: int, calls: int) -> list[int]:
    return [_CHANCE.randrange((IMAGE_BYTES - length) // SMALL) * SMALL for _ in range(calls)]


def _create(dm: DeviceMapper, name: str, specs: list[TargetSpec]) -> MappedDevice:
    md = dm.create_device(name)
    dm.load(md, specs)
    dm.resume(md)
    return md


def _segments(dm: DeviceMapper, name: str, count: int, sectors: int) -> MappedDevice:
    """An md of equal segments in random order over the file; large counts reuse the file's sectors."""
    places = SECTORS // sectors
    offsets = [_CHANCE.randrange(places) * sectors for _ in range(count)]
    lines = "".join(f"{i * sectors} {sectors} linear 7:0 {at}\n" for i, at in enumerate(offsets))
    return dm.create(name, lines)


def _reads(read: Callable[[int, int], bytes], length: int, offsets: list[int]) -> Seconds:
    def run() -> float:
        begin = time.perf_counter()
        for offset in offsets:
            read(length, offset)
        return time.perf_counter() - begin

    return run


def _raw_reads(fd: int, length: int, offsets: list[int]) -> Seconds:
    pread = os.pread

    def run() -> float:
        begin = time.perf_counter()
        for offset in offsets:
            pread(fd, length, offset)
        return time.perf_counter() - begin

    return run


def _together(loops: list[Seconds]) -> Seconds:
    """All loops at once, each on its own thread."""

    def run() -> float:
        threads = [threading.Thread(target=loop) for loop in loops]
        begin = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - begin

    return run


def rows() -> list[Row]:
    with _image() as path, DeviceMapper() as dm:
        device = FileDevice(path)
        dm.add(device, "/dev/loop0")
        fd = os.open(path, os.O_RDWR)
        try:
            return list(_rows(dm, fd))
        finally:
            os.close(fd)


def _rows(dm: DeviceMapper, fd: int) -> Iterator[Row]:
    one = _create(dm, "one", [TargetSpec(0, SECTORS, "linear", ("7:0", "0"))])
    for level in range(8):
        below = f"/dev/mapper/{'one' if level == 0 else f'level{level}'}"
        eighth = _create(dm, f"level{level + 1}", [TargetSpec(0, SECTORS, "linear", (below, "0"))])
    data, megabyte = os.urandom(SMALL), os.urandom(LARGE)
    small, large = _offsets(SMALL, CALLS), _offsets(LARGE, 60)
    raw_read, raw_write = _raw_reads(fd, SMALL, small), raw_writes(fd, data, small)
    yield Row("4 KiB read through one linear", RAW, ratio(_reads(one.pread, SMALL, small), raw_read), 1.5)
    yield Row("4 KiB write through one linear", RAW, ratio(writes(one.pwrite, data, small), raw_write), 1.5)
    yield Row("1 MiB read", RAW, ratio(_reads(one.pread, LARGE, large), _raw_reads(fd, LARGE, large)), 1.1)
    yield Row("1 MiB write", RAW, ratio(writes(one.pwrite, megabyte, large), raw_writes(fd, megabyte, large)), 1.1)
    through_one = _reads(one.pread, SMALL, small)
    stacked = ratio(_reads(eighth.pread, SMALL, small), through_one)
    yield Row("4 KiB read through 8 stacked linears", "one linear", stacked, 1.1)
    many = _segments(dm, "many", 4096, SECTORS // 4096)
    many_reads = _reads(many.pread, SMALL, small)
    yield Row("4 KiB read, table of 4,096 segments", RAW, ratio(many_reads, raw_read), 1.9)
    yield Row("4 KiB write, table of 4,096 segments", RAW, ratio(writes(many.pwrite, data, small), raw_write), 1.9)
    million = _segments(dm, "million", 1_000_000, 8)
    wide = [_CHANCE.randrange(1_000_000) * SMALL for _ in range(CALLS)]
    million_reads = _reads(million.pread, SMALL, wide)
    yield Row("4 KiB read, 1,000,000 segments", "4,096 segments", ratio(million_reads, many_reads), 1.4)
    four = ratio(_together([raw_read] * 4), _together([_reads(one.pread, SMALL, small)] * 4))
    yield Row("4 threads together, share of four raw threads", RAW, four, 0.6, at_least=True)
