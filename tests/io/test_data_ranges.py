"""What a device calls a hole reads as zeroes, and large holes are found."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dmtable.io.constant import ERROR, ZERO
from dmtable.io.device import BlockDevice
from dmtable.io.file import FileDevice
from dmtable.io.memory import MemoryDevice

SIZE = 4 << 20
GRAIN = 64 << 10

_steps = st.lists(
    st.tuples(st.booleans(), st.integers(0, SIZE // 512 - 1), st.sampled_from([1, 8, 100, 1000, 3000])), max_size=8
)


@pytest.fixture(name="make", params=["file", "memory"])
def _make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], BlockDevice]:
    def make() -> BlockDevice:
        if request.param == "memory":
            return MemoryDevice(SIZE)
        path = tmp_path / "image"
        path.unlink(missing_ok=True)
        path.touch()
        os.truncate(path, SIZE)
        return FileDevice(path)

    return make


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_steps, first=st.integers(0, SIZE // 512), count=st.integers(0, SIZE // 512))
def test_outside_of_the_ranges_all_is_zero(
    make: Callable[[], BlockDevice], steps: list[tuple[bool, int, int]], first: int, count: int
) -> None:
    device = make()
    for write, sector, sectors in steps:
        length = min(sectors * 512, SIZE - sector * 512)
        if write:
            device.pwrite(b"x" * length, sector * 512)
        else:
            device.write_zeroes(sector * 512, length)
    offset = first * 512
    length = min(count * 512, SIZE - offset)
    at = offset
    for begin, size in device.data_ranges(offset, length):
        assert size > 0
        assert begin % 512 == size % 512 == 0
        assert at <= begin <= begin + size <= offset + length
        assert not any(device.pread(begin - at, at))
        at = begin + size
    assert not any(device.pread(offset + length - at, at))
    device.close()


def test_holes_of_two_grains_are_found(make: Callable[[], BlockDevice]) -> None:
    device = make()
    for at in (0, 5 * GRAIN, 6 * GRAIN, 20 * GRAIN):
        device.pwrite(b"x" * 4096, at)
    ranges = list(device.data_ranges(0, SIZE))
    # Behind a range there may be a block of zeroes; in front there is none.
    assert [begin for begin, _ in ranges] == [0, 5 * GRAIN, 20 * GRAIN]
    assert [-(-size // GRAIN) for _, size in ranges] == [1, 2, 1]
    assert list(device.data_ranges(7 * GRAIN, GRAIN)) == []
    assert list(device.data_ranges(0, 0)) == []
    device.close()


def test_behind_the_end_is_no_hole(make: Callable[[], BlockDevice]) -> None:
    device = make()
    with pytest.raises(OSError, match="Errno 5"):
        list(device.data_ranges(SIZE - 512, 1024))
    device.close()


def test_a_file_without_holes_is_data(tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(b"x" * SIZE)
    device = FileDevice(path)
    assert list(device.data_ranges(512, SIZE - 512)) == [(512, SIZE - 512)]
    device.close()


def test_zero_is_one_hole_and_error_all_data() -> None:
    assert list(ZERO.data_ranges(0, 1 << 50)) == []
    assert list(ERROR.data_ranges(0, 1 << 50)) == [(0, 1 << 50)]


def test_written_zeroes_take_no_space(tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(b"x" * SIZE)
    device = FileDevice(path)
    device.write_zeroes(0, SIZE)
    device.flush()
    assert os.stat(path).st_blocks * 512 < SIZE // 2
    assert device.size_bytes == SIZE
    assert not any(device.pread(SIZE, 0))
    device.close()
