"""The layout of a disk log, and what is said of one that is damaged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtable.core.target import StatusKind
from dmtable.dirtylog.format import MAGIC, Header, clean_bits, log_bytes, read_clean
from dmtable.errors import CorruptLogError
from dmtable.io.memory import MemoryDevice
from tests.dirtylog.logs import Host, in_sync

_REGIONS = 40
_CLEAN = {0, 1, 5, 8, 31, 32, 39}


def stored(version: int = 2, regions: int = _REGIONS, magic: int = MAGIC) -> MemoryDevice:
    """A disk with a log, written without the code that it is to test."""
    disk = MemoryDevice(16 * 512)
    header = magic.to_bytes(4, "little") + version.to_bytes(4, "little") + regions.to_bytes(8, "little")
    bits = sum(1 << region for region in _CLEAN).to_bytes(8, "little")
    disk.pwrite(header.ljust(1024, b"\xee") + bits.ljust(512, b"\xaa"), 0)
    return disk


@pytest.mark.parametrize(
    ("regions", "block", "size"),
    [(1, 512, 1536), (4096, 512, 1536), (4097, 512, 2048), (1, 4096, 4096), (24_576, 4096, 4096), (24_577, 4096, 8192)],
)
def test_a_log_takes_whole_blocks(regions: int, block: int, size: int) -> None:
    assert log_bytes(regions, block) == size


@pytest.mark.parametrize("version", [1, 2])
def test_a_sound_log_is_read(version: int) -> None:
    clean = read_clean(stored(version), "7:3")
    assert [region for region in range(len(clean)) if clean[region]] == sorted(_CLEAN)
    assert len(clean) == _REGIONS


@pytest.mark.parametrize(
    ("disk", "offset", "says"),
    [
        (MemoryDevice(1024), 0, "1024 bytes are too few"),
        (stored(magic=0x12345678), 0, "0x12345678"),
        (stored(version=3), 4, "the version is 3"),
        (stored(regions=0), 8, "there are no regions"),
        (stored(regions=1 << 60), 8, "and the device has 8192"),
        (stored(regions=39), 1028, "bit 39 is set"),
    ],
)
def test_a_damaged_log_is_told_by_what_and_where(disk: MemoryDevice, offset: int, says: str) -> None:
    with pytest.raises(CorruptLogError, match=says) as caught:
        read_clean(disk, "7:3")
    assert (caught.value.where, caught.value.offset) == ("7:3", offset)
    assert str(caught.value).startswith(f"7:3, byte {offset}: ")


@given(bit=st.integers(0, 127))
def test_no_bit_of_the_header_can_turn_and_make_a_region_clean(bit: int) -> None:
    disk = stored()
    data = bytearray(disk.pread(16, 0))
    data[bit // 8] ^= 1 << bit % 8
    disk.pwrite(bytes(data) + disk.pread(496, 16), 0)
    log = Host(disk).construct("disk 2 7:3 16", 16 * _REGIONS)
    log.resume()
    assert in_sync(log) <= _CLEAN


@given(bit=st.integers(0, 63))
def test_a_bit_that_turned_concerns_its_own_region(bit: int) -> None:
    disk = stored()
    block = bytearray(disk.pread(512, 1024))
    block[bit // 8] ^= 1 << bit % 8
    disk.pwrite(block, 1024)
    log = Host(disk).construct("disk 2 7:3 16", 16 * _REGIONS)
    log.resume()
    assert in_sync(log) == _CLEAN ^ ({bit} & {*range(_REGIONS)})


def test_bytes_that_are_nobodys_are_kept() -> None:
    disk = stored()
    log = Host(disk).construct("disk 2 7:3 16", 16 * _REGIONS)
    log.resume()
    assert disk.pread(1008, 16) == b"\xee" * 1008
    assert disk.pread(504, 1032) == b"\xaa" * 504


def test_an_unknown_version_is_never_read_and_stays_unknown() -> None:
    disk = stored(version=3)
    host = Host(disk)
    log = host.construct("disk 2 7:3 16", 16 * _REGIONS)
    log.resume()
    assert host.lines == [
        "dirty region log: incompatible disk log version",
        "dirty region log: 7:3: Failed to read header on dirty region log device",
    ]
    assert (log.sync_count, log.status(StatusKind.INFO), host.events) == (0, "3 disk 7:3 D", 1)
    assert Header.unpack(disk.pread(16, 0)) == Header(MAGIC, 3, _REGIONS)


def test_the_bitmap_in_memory_is_the_log_itself() -> None:
    log = bytearray(1536)
    clean_bits(log, 40)[9] = 1
    assert log[1025] == 2
    assert sum(log) == 2
