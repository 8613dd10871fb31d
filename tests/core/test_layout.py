"""What the kernel says of logical blocks, as it said it of disks with blocks of 4,096 bytes."""

from __future__ import annotations

import pytest

from dmtable.core.device_mapper import DeviceMapper
from dmtable.errors import IoctlError
from tests.core.disks import disk

SMALL, BIG = 512, 4096
DISKS = {"loop0": (4096, SMALL), "loop1": (4096, SMALL), "loop2": (2048, BIG), "loop3": (1024, BIG)}


def of(name: str, what: str) -> str:
    return f"{what} not aligned to h/w logical block size 4096 of {name}"


def line(number: int, start: int, length: int) -> str:
    return f"table line {number} (start sect {start} len {length}) not aligned to h/w logical block size 4096"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0 64 linear 7:2 4", of("loop2", "start=4")),
        ("0 60 linear 7:2 8", of("loop2", "len=60")),
        ("0 60 linear 7:2 4", of("loop2", "start=4")),
        ("0 4 linear 7:0 0\n4 64 linear 7:2 8", line(1, 4, 64)),
        ("0 8 linear 7:2 0\n8 4 linear 7:0 0\n12 64 linear 7:2 8", line(2, 12, 64)),
        ("0 8 linear 7:2 0\n8 4 linear 7:0 0", line(2, 8, 4)),
        ("0 8 linear 7:2 0\n8 4 zero", line(2, 8, 4)),
        ("0 4 zero\n4 4 zero\n8 8 linear 7:2 0", None),
        ("0 4 zero\n4 8 linear 7:2 0", line(1, 4, 8)),
        ("0 64 striped 2 8 7:2 0 7:3 4", of("loop3", "start=4")),
        ("0 64 striped 2 4 7:0 4 7:2 0", of("loop0", "start=4")),
        ("0 4096 linear 7:2 4", "loop2 too small for target: start=4, len=4096, dev_size=2048"),
        ("0 64 linear 7:2 8\n64 8 zero\n72 8 linear 7:0 1", None),
        ("0 64 linear 7:2 8\n64 7 linear 7:0 1", line(2, 64, 7)),
    ],
)
def test_logical_blocks(text: str, said: str | None) -> None:
    with DeviceMapper() as dm:
        for name, (sectors, block) in DISKS.items():
            dm.add(disk(name, sectors, logical_block_size=block), f"/dev/{name}")
        if said is None:
            dm.create("t", text)
            return
        with pytest.raises(IoctlError) as refused:
            dm.create("t", text)
        assert refused.value.log == (
            f"device-mapper: table: 253:0: {said}",
            "device-mapper: core: Cannot calculate initial queue limits",
            "device-mapper: ioctl: unable to set up device queue for new table.",
        )


def test_an_md_has_the_largest_block_of_what_is_below() -> None:
    with DeviceMapper() as dm:
        dm.add(disk("loop2", 64, logical_block_size=BIG), "/dev/loop2")
        lower = dm.create("lower", "0 64 linear /dev/loop2 0")
        assert lower.logical_block_size == BIG
        with pytest.raises(IoctlError) as refused:
            dm.create("upper", "0 4 linear /dev/mapper/lower 0")
        assert refused.value.text.endswith(of("dm-0", "len=4"))
