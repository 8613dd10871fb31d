"""Files, memory and the two that hold no data, by one set of rules."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtable.io.constant import ERROR, ZERO
from dmtable.io.device import BlockDevice
from dmtable.io.file import FileDevice
from dmtable.io.memory import MemoryDevice

SIZE = 256 << 10
Make = Callable[[], BlockDevice]


@pytest.fixture(params=["file", "direct", "memory"])
def device(request: pytest.FixtureRequest, tmp_path: Path) -> BlockDevice:
    if request.param == "memory":
        return MemoryDevice(SIZE)
    path = tmp_path / "image"
    path.write_bytes(bytes(SIZE))
    return FileDevice(path, direct=request.param == "direct" and can_be_direct(path))


def can_be_direct(path: Path) -> bool:
    """Some file systems have no direct I/O."""
    try:
        FileDevice(path, direct=True).close()
    except OSError as error:
        return error.errno != errno.EINVAL
    return True


def test_what_was_written_is_read(device: BlockDevice) -> None:
    assert device.size_bytes == SIZE
    assert device.pwrite(b"a" * 4096, 4096) == 4096
    assert device.pwrite(memoryview(b"b" * 4096), 8192) == 4096
    device.flush()
    assert device.pread(12288, 0) == bytes(4096) + b"a" * 4096 + b"b" * 4096
    buffer = bytearray(4096)
    assert device.pread_into(buffer, 4096) == 4096
    assert buffer == b"a" * 4096
    if (fd := device.fileno()) is not None:
        assert os.pwrite(fd, b"c" * 4096, 0) == 4096
        assert device.pread(4096, 0) == b"c" * 4096
    device.close()
    device.close()


def test_zeroes_and_discards(device: BlockDevice) -> None:
    device.pwrite(b"x" * SIZE, 0)
    device.write_zeroes(4096, 8192)
    device.discard(65536, 131072)
    expected = bytearray(b"x" * SIZE)
    expected[4096:12288] = bytes(8192)
    expected[65536:196608] = bytes(131072)
    assert device.pread(SIZE, 0) == expected
    assert device.size_bytes == SIZE
    device.discard(0, 0)
    device.write_zeroes(0, 0)


def test_nothing_lies_behind_the_end(device: BlockDevice) -> None:
    for call in (
        lambda: device.pread_into(bytearray(8192), SIZE - 4096),
        lambda: device.pwrite(b"x" * 8192, SIZE - 4096),
        lambda: device.write_zeroes(SIZE - 4096, 8192),
        lambda: device.discard(SIZE - 4096, 8192),
    ):
        with pytest.raises(OSError, match="Errno 5"):
            call()
    assert device.size_bytes == SIZE
    assert device.pread(4096, SIZE - 4096) == bytes(4096)


@given(st.lists(st.tuples(st.sampled_from(["write", "zero"]), st.integers(0, 400), st.integers(1, 300)), max_size=12))
def test_memory_is_a_bytearray(steps: list[tuple[str, int, int]]) -> None:
    device, model = MemoryDevice(700 * 512), bytearray(700 * 512)
    for number, (kind, sector, count) in enumerate(steps, 1):
        at, length = sector * 512, count * 512
        if kind == "write":
            device.pwrite(bytes([number]) * length, at)
            model[at : at + length] = bytes([number]) * length
        else:
            device.write_zeroes(at, length)
            model[at : at + length] = bytes(length)
    assert device.pread(700 * 512, 0) == model


def test_memory_takes_space_only_where_something_was_written() -> None:
    device = MemoryDevice(1 << 60)
    device.pwrite(b"end", (1 << 60) - 3)
    assert device.pread(4, (1 << 60) - 4) == b"\0end"
    with pytest.raises(OSError, match="Errno 5"):
        device.pwrite(b"xx", (1 << 60) - 1)


def test_a_read_only_device_takes_no_writes(tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(bytes(SIZE))
    devices: list[BlockDevice] = [FileDevice(path, read_only=True), MemoryDevice(SIZE, read_only=True)]
    for device in devices:
        assert device.pread(512, 0) == bytes(512)
        with pytest.raises(OSError, match="Errno 30"):
            device.pwrite(b"x" * 512, 0)
        with pytest.raises(OSError, match="Errno 30"):
            device.write_zeroes(0, 512)
        with pytest.raises(OSError, match="Errno 30"):
            device.discard(0, 512)
        device.close()


def test_a_file_ends_with_its_last_whole_sector(tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(bytes(1000))
    device = FileDevice(path)
    assert device.size_bytes == 512
    device.close()


def test_a_discard_gives_space_back(tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(b"x" * (4 << 20))
    device = FileDevice(path)
    before = os.stat(path).st_blocks
    device.discard(0, 2 << 20)
    device.close()
    # Where the file system cannot punch holes, a discard does nothing.
    assert os.stat(path).st_blocks <= before


def test_what_is_no_device_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Errno 15"):
        FileDevice("/dev/null")
    with pytest.raises(FileNotFoundError):
        FileDevice(tmp_path / "nope")


def test_zero_and_error() -> None:
    assert ZERO.pread(512, 1 << 50) == bytes(512)
    buffer = bytearray(b"x" * 512)
    ZERO.pread_into(buffer, 0)
    assert buffer == bytes(512)
    assert ZERO.pwrite(b"gone", 0) == 4
    ERROR.flush()
    for call in (
        lambda: ERROR.pread(512, 0),
        lambda: ERROR.pwrite(b"x", 0),
        lambda: ERROR.discard(0, 512),
        lambda: ERROR.write_zeroes(0, 512),
    ):
        with pytest.raises(OSError, match="Errno 5"):
            call()
