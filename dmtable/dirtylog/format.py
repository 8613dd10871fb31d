"""The layout of a disk log, byte for byte the kernel's (dm-log.c of Linux 6.1), from sector 0 of its device:

    byte     0   u32   magic, 0x4D695272: the letters r R i M
             4   u32   version, 2; 1 is the same, from machines that are little endian
             8   u64   number of regions
            16         nobody's, and kept as it was found
          1024         the bitmap: region n is bit n % 8 of byte 1024 + n // 8, and 1 means clean;
                       filled up with 0 to whole 64 bits
                       nobody's, up to the end of the logical block, and kept as it was found

All numbers are little endian. The kernel reads and writes all of it as one request.
"""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass

from bitarray import bitarray

from dmtable.errors import CorruptLogError
from dmtable.io.device import BlockDevice

MAGIC = 0x4D695272
VERSION = 2
BITMAP_OFFSET = 1024

_HEADER = struct.Struct("<IIQ")
_WORD_BITS = 64
_REGIONS_OFFSET = 8

assert _HEADER.size == 16
assert MAGIC.to_bytes(4, "little") == b"rRiM"
assert BITMAP_OFFSET % 512 == 0


@dataclass(frozen=True, slots=True)
class Header:
    """The first bytes, whatever they say."""

    magic: int
    version: int
    regions: int

    @classmethod
    def unpack(cls, log: bytes | bytearray) -> Header:
        return cls(*_HEADER.unpack_from(log))

    def pack_into(self, log: bytearray) -> None:
        _HEADER.pack_into(log, 0, self.magic, self.version, self.regions)


def bitmap_bytes(regions: int) -> int:
    """The size of the bitmap, in bytes."""
    return -(-regions // _WORD_BITS) * _WORD_BITS // 8


def log_bytes(regions: int, logical_block_size: int) -> int:
    """The size of the whole log, in bytes."""
    size = BITMAP_OFFSET + bitmap_bytes(regions)
    return -(-size // logical_block_size) * logical_block_size


def clean_bits(log: bytearray, regions: int) -> bitarray:
    """The bitmap of a log in memory, sharing its bytes: a bit for each region, and those that fill it up."""
    bits = memoryview(log)[BITMAP_OFFSET : BITMAP_OFFSET + bitmap_bytes(regions)]
    return bitarray(buffer=bits, endian="little")


def read_clean(device: BlockDevice, name: str) -> bitarray:
    """The regions that a log on a device calls clean: one bit each.

    For those who look into a log without a table for it, and so with nothing to hold it against. Raises
    CorruptLogError, with `name`, where the device holds no whole, sound log; OSError where it cannot be read.
    """
    block = device.logical_block_size
    if device.size_bytes < log_bytes(1, block):
        raise CorruptLogError(name, 0, f"{device.size_bytes} bytes are too few for any dirty log")
    header = Header.unpack(device.pread(block, 0))
    if header.magic != MAGIC:
        raise CorruptLogError(name, 0, f"the magic number is {header.magic:#010x}, and a dirty log's {MAGIC:#010x}")
    if header.version not in (1, VERSION):
        raise CorruptLogError(name, 4, f"the version is {header.version}, and known are 1 and {VERSION}")
    size = log_bytes(header.regions, block)
    if not header.regions or size > device.size_bytes:
        what = f"{header.regions} regions take {size} bytes, and the device has {device.size_bytes}"
        raise CorruptLogError(name, _REGIONS_OFFSET, what if header.regions else "there are no regions")
    bits = clean_bits(bytearray(device.pread(size, 0)), header.regions)
    stray = bits.find(1, header.regions)
    if stray >= 0:
        what = f"bit {stray} is set, behind the last of {header.regions} regions"
        raise CorruptLogError(name, BITMAP_OFFSET + stray // 8, what)
    return bits[: header.regions]


def write_clean(device: BlockDevice, clean: bitarray) -> None:
    """Makes a log of these regions, whatever is there, durably. Raises OSError, with ENOSPC where it does not fit."""
    log = bytearray(log_bytes(len(clean), device.logical_block_size))
    if len(log) > device.size_bytes:
        raise OSError(errno.ENOSPC, f"a dirty log of {len(clean)} regions takes {len(log)} bytes")
    Header(MAGIC, VERSION, len(clean)).pack_into(log)
    clean_bits(log, len(clean))[: len(clean)] = clean
    device.pwrite(log, 0)
    device.flush()
