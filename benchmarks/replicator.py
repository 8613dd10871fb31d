"""A group of one device and one remote site, against the bare system call on one file; and how a log commits."""

from __future__ import annotations

import gc
import os
import random
import resource
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Row, Seconds, ratio, raw_writes
from dmtable.core.bio import Bio, Op
from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.mapped_device import MappedDevice
from dmtable.io.device import Buffer
from dmtable.io.memory import MemoryDevice

IMAGE_BYTES = 64 << 20
RING_SECTORS = 32 << 11
"""A ring of 32 MiB."""
RINGS = 4
FLUSH_SECONDS = 0.002
RAW = "one `os.pwrite` stream, its speed"
_CHANCE = random.Random(17)


def rows() -> list[Row]:
    folder = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=folder) as root:
        for name in ("raw", "local", "remote", "log"):
            Path(root, name).write_bytes(bytes(IMAGE_BYTES))
        return [*_streams(root), _commits(), *_recovery(root)]


def _streams(root: str) -> Iterator[Row]:
    fd = os.open(Path(root, "raw"), os.O_RDWR)
    for size, goal in ((65536, 0.20), (4096, 0.10)):
        count = RINGS * RING_SECTORS // (size // 512 + 8)
        offsets = [_CHANCE.randrange(IMAGE_BYTES // size) * size for _ in range(count)]
        data = os.urandom(size)
        with DeviceMapper(root) as dm:
            md = dm.create("r", _table("create"))
            share = ratio(raw_writes(fd, data, offsets), _replicated(dm, md, data, offsets), rounds=5)
        yield Row(f"{size >> 10} KiB asynchronous writes until all sites are equal", RAW, share, goal, at_least=True)
    os.close(fd)


def _table(mode: str) -> str:
    log = f"default 4 /log 0 {mode} {RING_SECTORS}"
    remote = "local 2 1 async+stall 2 0 /remote core 2 32768 nosync"
    return f"0 {IMAGE_BYTES >> 9} replicator {log} local 2 0 async 2 0 /local - 0 {remote}"


def _replicated(dm: DeviceMapper, md: MappedDevice, data: bytes, offsets: list[int]) -> Seconds:
    def run() -> float:
        write = md.pwrite
        begin = time.perf_counter()
        for offset in offsets:
            write(data, offset)
        while not _idle(dm, md):
            time.sleep(0.002)
        return time.perf_counter() - begin

    return run


def _idle(dm: DeviceMapper, md: MappedDevice) -> bool:
    return " 0/0/" in dm.status(md)[0]


class _SlowFlush(MemoryDevice):
    """A log's device that takes its time to make things durable."""

    def flush(self) -> None:
        time.sleep(FLUSH_SECONDS)


def _commits() -> Row:
    with DeviceMapper() as dm:
        for name in ("local", "remote"):
            dm.add(MemoryDevice(IMAGE_BYTES), f"/{name}")
        dm.add(_SlowFlush(IMAGE_BYTES), "/log")
        md = dm.create("r", _table("create"))
        gain = ratio(_writers(dm, md, 1), _writers(dm, md, 16), rounds=5)
    return Row("commits a second of 16 writers, FUA, flushes of 2 ms", "one writer", gain, 6.0, at_least=True)


def _writers(dm: DeviceMapper, md: MappedDevice, count: int) -> Seconds:
    """Seconds for each durable write."""
    each = 24

    def writer(number: int) -> None:
        data: Buffer = bytes(4096)
        for turn in range(each):
            bio = Bio(Op.WRITE, (number * each + turn) * 8, 8, memoryview(data), fua=True)
            md.submit(bio)
            dm.runtime.wait(bio)

    def run() -> float:
        threads = [threading.Thread(target=writer, args=(number,)) for number in range(count)]
        begin = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return (time.perf_counter() - begin) / (count * each)

    return run


def _recovery(root: str) -> Iterator[Row]:
    """A ring of 1 GiB, full of entries of 4 KiB that the remote site lacks."""
    sectors = 1 << 21
    with open(Path(root, "log"), "r+b") as file:
        file.truncate((1 << 30) + IMAGE_BYTES)
    table = _table("create").replace(str(RING_SECTORS), str(sectors))
    with DeviceMapper(root) as dm:
        md = dm.create("r", table)
        dm.message(md, 0, ["slink", "pause", "1"])
        data = os.urandom(4096)
        for number in range((sectors - 64) // 16):
            md.pwrite(data, number % (IMAGE_BYTES >> 12) << 12)
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with DeviceMapper(root) as dm:
        begin = time.perf_counter()
        dm.create("r", table.replace("create", "open").replace(f" {sectors} ", " ").replace("default 4", "default 3"))
        seconds = time.perf_counter() - begin
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield Row("seconds for the recovery of a full ring of 1 GiB, entries of 4 KiB", "", seconds, 10.0, unit=" s")
    yield Row("memory for that", "", (after - before) / 1024, 200.0, unit=" MiB")
