"""How the lines of a table must lie, and how the areas they use must fit their devices.

Source: dm_table_add_target, device_area_is_invalid and validate_hardware_logical_block_alignment of
Linux 6.1. Both the loader and `check` judge by these functions.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from enum import Enum, auto

from dmtable.core.devices import DmDev
from dmtable.language.diagnostics import Refusal, refused
from dmtable.units import SECTOR_SHIFT

MAX_SECTORS = ((1 << 63) - 1) >> SECTOR_SHIFT


class LayoutFault(Enum):
    """What can be wrong with a line before its words are looked at."""

    ZERO_LENGTH = auto()
    TOO_LARGE = auto()
    UNKNOWN_TARGET = auto()
    NOT_ADJOINING = auto()


def layout_faults(
    start: int, length: int, target: str, *, is_known: bool, expected_start: int
) -> Iterator[tuple[LayoutFault, Refusal]]:
    """Every fault of a line's place, in the kernel's order; the line should begin at `expected_start`."""
    if length == 0:
        yield LayoutFault.ZERO_LENGTH, Refusal(errno.EINVAL, "zero-length target")
    if start + length > MAX_SECTORS:
        yield LayoutFault.TOO_LARGE, Refusal(errno.EINVAL, "too large device")
    if not is_known:
        yield LayoutFault.UNKNOWN_TARGET, Refusal(errno.EINVAL, f"{target}: unknown target type")
    if start != expected_start:
        yield LayoutFault.NOT_ADJOINING, refused(target, errno.EINVAL, "Gap in table")


def size_refusal(dm_dev: DmDev, start: int, length: int) -> Refusal | None:
    """Whether the kernel would find the device too small. A device of size 0 is never judged."""
    size = dm_dev.size_sectors
    if size == 0 or (start < size and start + length <= size):
        return None
    return Refusal(
        errno.EINVAL,
        f"{dm_dev.kernel_name} too small for target: start={start}, len={length}, dev_size={size}",
        at_limits=True,
    )


def area_block_refusals(dm_dev: DmDev, start: int, length: int, block_sectors: int) -> Iterator[Refusal]:
    """Where an area is off the logical blocks of its line, the largest of all the line's devices: start, length."""
    for what, value in (("start", start), ("len", length)):
        if value % block_sectors:
            block_bytes = block_sectors << SECTOR_SHIFT
            text = f"{what}={value} not aligned to h/w logical block size {block_bytes} of {dm_dev.kernel_name}"
            yield Refusal(errno.EINVAL, text, at_limits=True)


def line_block_refusals(lines: Iterable[tuple[int, int, int]], table_block: int) -> Iterator[tuple[int, Refusal]]:
    """(line's index, refusal) wherever a block of the table's devices would be cut by the end of a line.

    `lines` are (start, length, block of the line's own devices); blocks are sectors, and `table_block`
    the largest of them. A line that begins inside a block must hold the rest of it in whole blocks of
    its own; the last line must end with a block.
    """
    index, start, length = -1, 0, 0
    for index, (start, length, block) in enumerate(lines):
        left_over = -start % table_block
        if left_over < length and left_over % block:
            yield index, _cut_block(index, start, length, table_block)
    if (start + length) % table_block:
        yield index, _cut_block(index + 1, start, length, table_block)


def _cut_block(number: int, start: int, length: int, block_sectors: int) -> Refusal:
    # Behind the last line the kernel's counter has moved on by one, while start and length are still the line's.
    text = (
        f"table line {number} (start sect {start} len {length}) not aligned to h/w logical block size "
        f"{block_sectors << SECTOR_SHIFT}"
    )
    return Refusal(errno.EINVAL, text, at_limits=True)
