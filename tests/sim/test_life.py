"""A device-mapper on the simulated runtime: blocking I/O while tables are swapped, over many orders of events."""

from __future__ import annotations

from functools import partial

import pytest

from dmtable.core.device_mapper import DeviceMapper
from dmtable.io.device import Buffer
from dmtable.io.memory import MemoryDevice
from dmtable.language.parser import parse
from dmtable.sim.choices import Choices, Seeded, exhaustive
from dmtable.sim.runtime import SimRuntime
from dmtable.units import SECTOR_BYTES

SECTORS = 8
WRITES = 4


class Busy(MemoryDevice):
    """Others may run while a request is under way."""

    def __init__(self, runtime: SimRuntime) -> None:
        super().__init__(SECTORS * SECTOR_BYTES)
        self._runtime = runtime

    def pread(self, length: int, offset: int) -> bytes:
        self._runtime.checkpoint()
        return super().pread(length, offset)

    def pwrite(self, data: Buffer, offset: int) -> int:
        self._runtime.checkpoint()
        if offset:
            self._runtime.sleep(0.01)
        written = super().pwrite(data, offset)
        self._runtime.checkpoint()
        return written


def swap_under_load(choices: Choices, *, preemptions: int | None, writers: int, swaps: int, stacked: bool) -> str:
    """Processes write and read back while another swaps the table between two disks. Returns the run's digest."""
    runtime = SimRuntime(choices, preemptions=preemptions)
    disks = [Busy(runtime), Busy(runtime)]
    written = [0] * writers
    with DeviceMapper(runtime=runtime) as dm:
        for disk, name in zip(disks, "ab", strict=True):
            dm.add(disk, f"/dev/{name}")
        md = dm.create("md", f"0 {SECTORS} linear /dev/a 0")
        top = dm.create("top", f"0 {SECTORS} linear /dev/mapper/md 0") if stacked else md
        left = [(disks[1], disks[1].pread(disks[1].size_bytes, 0))]

        def write(number: int) -> None:
            for count in range(1, WRITES + 1):
                assert top.pwrite(count.to_bytes(2, "big") * 256, number * SECTOR_BYTES) == SECTOR_BYTES
                written[number] = count
                runtime.checkpoint()
                # The copy of a swap may have been made before the write, but never after it came back.
                assert int.from_bytes(top.pread(SECTOR_BYTES, number * SECTOR_BYTES)[:2], "big") == count

        def swap() -> None:
            for turn in range(swaps):
                old, new = disks[turn % 2], disks[1 - turn % 2]
                dm.load(md, parse(f"0 {SECTORS} linear /dev/{'ba'[turn % 2]} 0"))
                dm.suspend(md)
                image = old.pread(old.size_bytes, 0)
                runtime.checkpoint()
                assert new.pread(new.size_bytes, 0) == left[-1][1], "a write landed on the disk that is not in use"
                assert old.pread(old.size_bytes, 0) == image, "a write landed while the md was suspended"
                new.pwrite(image, 0)
                left.append((old, image))
                dm.resume(md)
                runtime.sleep(0.01)

        processes = [runtime.spawn(partial(write, number), f"writer {number}") for number in range(writers)]
        processes.append(runtime.spawn(swap, "swapper"))
        runtime.run()
        for process in processes:
            process.result()
        disk, image = left[-1]
        assert disk.pread(disk.size_bytes, 0) == image
        for number in range(writers):
            assert (
                int.from_bytes(top.pread(SECTOR_BYTES, number * SECTOR_BYTES)[:2], "big") == written[number] == WRITES
            )
        return runtime.digest()


@pytest.mark.parametrize("stacked", [False, True])
def test_swaps_under_load_lose_and_misplace_nothing_whatever_the_order(stacked: bool) -> None:
    digests = [
        swap_under_load(Seeded(seed), preemptions=None, writers=3, swaps=3, stacked=stacked) for seed in range(60)
    ]
    assert len(set(digests)) > 50
    assert swap_under_load(Seeded(7), preemptions=None, writers=3, swaps=3, stacked=stacked) == digests[7]


def test_a_swap_under_load_in_every_order_with_one_preemption() -> None:
    digests = [swap_under_load(choices, preemptions=1, writers=1, swaps=1, stacked=False) for choices in exhaustive()]
    assert len(set(digests)) == len(digests) > 10
