"""Entries on their way to the device: in as few and as large writes as possible.

Neighbours share one write, header, data and what fills them up. A device with a descriptor takes the pieces as they
are (pwritev); others get them joined, but large data, which is written on its own instead of being copied.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable
from zlib import crc32

from dmtable.core.bio import Bio, Op
from dmtable.core.steps import DONE, Steps, request
from dmtable.io.device import BlockDevice
from dmtable.replog.format import (
    ENTRY_CRC_AT,
    ENTRY_PART,
    ENTRY_PART_AT,
    FORMAT,
    HEADER_SECTORS,
    MARK,
    OP_NUMBERS,
    OWED_AT,
    U32,
    entry_template,
    owed_bytes,
)
from dmtable.replog.log import Entry
from dmtable.runtime.runtime import Completion
from dmtable.units import SECTOR_BYTES, SECTOR_SHIFT

Run = tuple[int, list[bytes | bytearray]]
"""(first sector, pieces one behind the other)."""

_MOST_PIECES = 960
"""In a run; the kernel takes 1024 (IOV_MAX)."""
_MOST_BYTES = 4 << 20
_COPIED_BYTES = 32 << 10
"""Larger pieces are not copied to join them with others."""
_ZEROES = bytes(HEADER_SECTORS << SECTOR_SHIFT)
_BEHIND_HEADER = bytes((HEADER_SECTORS - 1) << SECTOR_SHIFT)
_FIRST_SITES = (1 << 64) - 1
"""The sites of the bitmap's first word; groups with more are slower."""
_TEMPLATE = entry_template()


def pack_header(entry: Entry, log_id: bytes, owed: int) -> bytearray:
    """The sector that says what the entry is, and which sites are owed it. Its slot holds the rest."""
    slot = entry.slot
    sectors = entry.sectors
    at, data_at, wrap = slot.place
    header = bytearray(_TEMPLATE)
    ENTRY_PART.pack_into(
        header, ENTRY_PART_AT, entry.device, entry.sector << SECTOR_SHIFT, sectors << SECTOR_SHIFT,
        at << SECTOR_SHIFT, data_at << SECTOR_SHIFT, 1, wrap, 0,
        0, MARK, FORMAT, OP_NUMBERS[entry.op], slot.void, log_id, slot.generation, entry.number,
        sectors, slot.checksum, entry.time, owed & _FIRST_SITES,
    )  # fmt: skip
    if owed > _FIRST_SITES:
        header[OWED_AT:] = owed_bytes(owed)
    U32.pack_into(header, ENTRY_CRC_AT, crc32(header))
    return header


def runs_of(entries: Iterable[Entry], log_id: bytes, generation: int) -> list[Run]:
    """The writes of new entries, as they are now."""
    runs: list[Run] = []
    pieces: list[bytes | bytearray] = []
    expected = -1
    size = 0
    for entry in entries:
        slot = entry.slot
        at, data_at, _ = slot.place
        data = entry.data if entry.op is Op.WRITE else None
        slot.generation = generation
        if data is not None:
            slot.checksum = crc32(data)
        slot.stored = owed = entry.owed
        if at != expected or len(pieces) > _MOST_PIECES or size > _MOST_BYTES:
            pieces = []
            size = 0
            runs.append((at, pieces))
        pieces.append(pack_header(entry, log_id, owed))
        pieces.append(_BEHIND_HEADER)
        expected = at + HEADER_SECTORS
        if data is not None:
            if data_at != expected:
                pieces = []
                runs.append((data_at, pieces))
            pieces.append(data)
            length = len(data)
            size += length
            if length & 4095:
                pieces.append(_ZEROES[length & 4095 :])
                length = (length + 4095) & ~4095
            expected = data_at + (length >> SECTOR_SHIFT)
    return runs


def writing(device: BlockDevice, runs: Iterable[Run]) -> Steps:
    """Writes them all; nothing is durable yet. Raises OSError."""
    descriptor = device.fileno()
    for sector, pieces in runs:
        if descriptor is None:
            yield from _writing_joined(device, sector, pieces)
            continue
        done = os.pwritev(descriptor, pieces, sector << SECTOR_SHIFT)
        if done < sum(map(len, pieces)):
            # Almost full, perhaps, or interrupted: the plain call goes on, or says why not.
            yield DONE
            device.pwrite(b"".join(pieces)[done:], (sector << SECTOR_SHIFT) + done)
        yield DONE


def _writing_joined(device: BlockDevice, sector: int, pieces: Iterable[bytes | bytearray]) -> Steps:
    small: list[bytes | bytearray] = []
    for piece in pieces:
        if len(piece) < _COPIED_BYTES or len(piece) & 4095:
            small.append(piece)
            continue
        if small:
            sector = yield from _writing_one(device, sector, b"".join(small))
            small = []
        sector = yield from _writing_one(device, sector, piece)
    if small:
        yield from _writing_one(device, sector, b"".join(small))


def _writing_one(device: BlockDevice, sector: int, data: bytes | bytearray) -> Generator[Completion, None, int]:
    """The value is the sector behind it."""
    yield from request(device, Bio(Op.WRITE, sector, len(data) >> SECTOR_SHIFT, memoryview(data)))
    return sector + (len(data) >> SECTOR_SHIFT)


def block(device: BlockDevice, header: bytes | bytearray) -> bytes:
    """A header filled up to what the device can write."""
    return bytes(header).ljust(max(SECTOR_BYTES, device.logical_block_size), b"\0")
