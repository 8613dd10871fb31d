"""Holes stay holes in a copy, wherever the devices tell of them."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from dmtable.core.kcopyd import CopyResult, CopyService
from dmtable.core.regions import Region
from dmtable.io.constant import ZERO
from dmtable.io.device import BlockDevice
from dmtable.io.file import FileDevice
from dmtable.io.memory import MemoryDevice
from dmtable.runtime.threads import ThreadRuntime
from dmtable.sim.runtime import SimRuntime
from dmtable.sim.world import World
from tests.core.copies import OK


class Spotted(MemoryDevice):
    """A device whose holes are as small as one sector, and which notes what is done to it."""

    def __init__(self, data: bytes) -> None:
        super().__init__(len(data))
        self.moved: list[tuple[str, int, int]] = []
        super().pwrite(data, 0)

    def data_ranges(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        for at in range(offset, offset + length, 512):
            if any(self.pread(512, at)):
                yield at, 512

    def pread_into(self, buffer: bytearray | memoryview, offset: int) -> int:
        if len(buffer) != 512:
            self.moved.append(("read", offset >> 9, len(buffer) >> 9))
        return super().pread_into(buffer, offset)

    def pwrite(self, data: bytes | bytearray | memoryview, offset: int) -> int:
        self.moved.append(("write", offset >> 9, len(data) >> 9))
        return super().pwrite(data, offset)

    def write_zeroes(self, offset: int, length: int) -> None:
        self.moved.append(("zero", offset >> 9, length >> 9))
        super().write_zeroes(offset, length)


@given(st.lists(st.booleans(), min_size=24, max_size=24), st.lists(st.booleans(), min_size=24, max_size=24))
def test_holes_stay_holes(source_has: list[bool], other_has: list[bool]) -> None:
    """Only what the source has is written, only what the destination has too much is zeroed."""
    runtime = SimRuntime(traced=False)
    sectors = range(24)
    source = Spotted(b"".join((b"s" if source_has[at] else b"\0") * 512 for at in sectors))
    other = Spotted(b"".join((b"o" if other_has[at] else b"\0") * 512 for at in sectors))
    results: list[CopyResult] = []
    client = CopyService(runtime, chunk_sectors=4).client()
    client.copy(Region(source, 0, 24), [Region(other, 0, 24)], results.append)
    runtime.run()
    assert results == [OK]
    assert other.pread(24 * 512, 0) == source.pread(24 * 512, 0)
    touched = {
        what: {at for kind, begin, count in other.moved if kind == what for at in range(begin, begin + count)}
        for what in ("write", "zero")
    }
    assert touched["write"] == {at for at in sectors if source_has[at]}
    assert touched["zero"] == {at for at in sectors if other_has[at] and not source_has[at]}


def test_a_hole_is_looked_for_when_its_turn_comes() -> None:
    """Not when the job was submitted: what is written while it waits is copied."""
    runtime = SimRuntime()
    source, other = MemoryDevice(1 << 20), MemoryDevice(1 << 20)
    client = CopyService(runtime).client()
    results: list[CopyResult] = []
    client.copy(Region(source, 0, 2048), [Region(other, 0, 2048)], results.append)
    source.pwrite(b"x" * 512, 4096)
    runtime.run()
    assert results == [OK]
    assert other.pread(512, 4096) == b"x" * 512


def test_a_hole_behind_the_end_is_an_error() -> None:
    for device in (MemoryDevice(4096), World().disk("short", 8)):
        runtime = SimRuntime()
        results: list[CopyResult] = []
        client = CopyService(runtime).client()
        client.copy(Region(device, 4, 8), [Region(MemoryDevice(1 << 20), 0, 8)], results.append)
        client.copy(Region(ZERO, 4, 8), [Region(ZERO, 0, 8), Region(device, 4, 8)], results.append)
        runtime.run()
        assert results == [CopyResult(read_error=True), CopyResult(write_errors=0b10)]


GIB = 1 << 30


def test_a_sparse_file_of_40_gib_is_copied_in_no_time_and_no_space(tmp_path: Path) -> None:
    devices = []
    for name in "ab":
        path = tmp_path / name
        path.touch()
        os.truncate(path, 40 * GIB)
        devices.append(FileDevice(path))
    source, other = devices
    source.pwrite(b"x" * 4096, 39 * GIB)
    other.pwrite(b"y" * 4096, 12345 * 4096)
    runtime = ThreadRuntime()
    done = threading.Event()
    service = CopyService(runtime)
    service.client().copy(
        Region(source, 0, 40 * GIB >> 9),
        [Region(other, 0, 40 * GIB >> 9)],
        lambda result: done.set() if result.ok else None,
    )
    assert done.wait(30)
    assert other.pread(8192, 39 * GIB - 4096) == bytes(4096) + b"x" * 4096
    assert other.pread(4096, 12345 * 4096) == bytes(4096)
    for name in "ab":
        assert os.stat(tmp_path / name).st_blocks * 512 < 4 << 20
    service.close()
    runtime.close()


class Odd(MemoryDevice):
    def data_ranges(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        raise OSError(errno.ENOTSUP, "it cannot say")


def test_a_device_that_cannot_tell_its_holes_is_copied_whole() -> None:
    runtime = SimRuntime()
    devices: list[BlockDevice] = [Odd(1 << 20), Odd(1 << 20)]
    devices[1].pwrite(b"x" * (1 << 20), 0)
    results: list[CopyResult] = []
    client = CopyService(runtime).client()
    client.copy(Region(devices[0], 0, 2048), [Region(devices[1], 0, 2048)], results.append)
    runtime.run()
    assert results == [OK]
    assert not any(devices[1].pread(1 << 20, 0))
