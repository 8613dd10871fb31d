"""The copy service, and a mirror that resynchronises, against a plain loop of reads and writes of the same chunks."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.measure import Row, Seconds, ratio
from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.kcopyd import CopyResult, CopyService
from dmtable.core.regions import Region
from dmtable.io.file import FileDevice
from dmtable.runtime.threads import ThreadRuntime

BYTES = 64 << 20
CHUNK_SECTORS = 1024
REGION_SECTORS = 1024
GIB = 1 << 30


@contextmanager
def _image(data: bytes, size: int) -> Iterator[FileDevice]:
    folder = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        file.write(data)
        file.flush()
        os.truncate(file.name, size)
        device = FileDevice(file.name)
        yield device
        device.close()


def _loop(source: FileDevice, other: FileDevice) -> Seconds:
    """What anyone would write: read a chunk, write it, go on."""

    def run() -> float:
        begin = time.perf_counter()
        for at in range(0, BYTES, CHUNK_SECTORS << 9):
            other.pwrite(source.pread(CHUNK_SECTORS << 9, at), at)
        return time.perf_counter() - begin

    return run


def _mirror(source: FileDevice, other: FileDevice) -> Seconds:
    """A new mirror, from its table to its last region in sync."""

    def run() -> float:
        with DeviceMapper() as dm:
            dm.add(source, "/dev/source")
            dm.add(other, "/dev/other")
            begin = time.perf_counter()
            md = dm.create("m", f"0 {BYTES >> 9} mirror core 2 {REGION_SECTORS} sync 2 /dev/source 0 /dev/other 0")
            md.wait_event(0)
            return time.perf_counter() - begin

    return run


def _service(service: CopyService, source: FileDevice, other: FileDevice, size: int, step: int) -> Seconds:
    """A job for each step of so many sectors, the next one submitted when the one before is done."""
    client = service.client()

    def run() -> float:
        ended = threading.Event()
        left = iter(range(0, size >> 9, step))

        def next_one(_result: CopyResult) -> None:
            at = next(left, None)
            if at is None:
                ended.set()
            else:
                client.copy(Region(source, at, step), [Region(other, at, step)], next_one)

        begin = time.perf_counter()
        next_one(CopyResult())
        ended.wait()
        return time.perf_counter() - begin

    return run


def rows() -> list[Row]:
    data = os.urandom(1 << 20) * (BYTES >> 20)
    runtime = ThreadRuntime()
    with _image(data, BYTES) as source, _image(data, BYTES) as other:
        loop = _loop(source, other)
        service = CopyService(runtime, chunk_sectors=CHUNK_SECTORS)
        one = ratio(loop, _service(service, source, other, BYTES, BYTES >> 9))
        mirror = ratio(loop, _mirror(source, other))
    with _image(b"", 40 * GIB) as source, _image(b"", 40 * GIB) as other:
        seconds = _service(service, source, other, 40 * GIB, REGION_SECTORS)()
    service.close()
    runtime.close()
    what = "a read-write loop of 512 KiB chunks, its speed"
    return [
        Row("copy of 64 MiB in one job", what, one, 0.8, at_least=True),
        Row("resync of a mirror of 64 MiB, regions of 512 KiB", what, mirror, 0.8, at_least=True),
        Row("seconds for a copy of 40 GiB of nothing, a job for each 512 KiB", "", seconds, 10.0, unit=" s"),
    ]
