"""What a block device may say of its holes."""

from __future__ import annotations

from dmtable.io.device import BlockDevice


def check_data_ranges(device: BlockDevice, offset: int, length: int, when: str) -> None:
    """Asks for the data of a range: what lies between the answers reads as zeroes."""
    at, end = offset, offset + length
    asked = f"{when}, data_ranges({offset}, {length})"
    ranges = list(device.data_ranges(offset, length))
    for begin, count in [*ranges, (end, 0)]:
        assert at <= begin <= begin + count <= end, (
            f"{asked} answers {ranges}: ranges ascend, do not overlap, and stay within what was asked for"
        )
        assert not any(device.pread(begin - at, at)), (
            f"{asked} calls the {begin - at} bytes from {at} on a hole, and they do not read as zeroes"
        )
        at = begin + count
    assert all(count for _, count in ranges), f"{asked} answers {ranges}: a range has one byte at least"
