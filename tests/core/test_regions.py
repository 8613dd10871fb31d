"""One request to many regions: what it does equals a loop over them, and each error is its region's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtable.core.bio import Op
from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.regions import MAX_BIO_SECTORS, Region, RegionsRequest, submit_regions
from dmtable.errors import UsageError
from dmtable.io.memory import MemoryDevice
from dmtable.sim.choices import Seeded
from dmtable.sim.faults import Call, Fault, Ill, every_call
from dmtable.sim.world import World

SECTORS = 32


def image(name: str, sectors: int = SECTORS) -> tuple[bytes, ...]:
    return tuple(f"{name}{at:4}".encode().ljust(512, b".") for at in range(sectors))


_regions = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, SECTORS - 8), st.integers(0, 8)), min_size=1, max_size=4
)


@given(
    _regions,
    st.sampled_from([Op.READ, Op.WRITE, Op.DISCARD, Op.WRITE_ZEROES, Op.FLUSH]),
    st.sampled_from([0.0, 0.5]),
    st.booleans(),
)
def test_it_does_what_a_loop_over_the_regions_does(
    places: list[tuple[int, int, int]], op: Op, latency: float, fua: bool
) -> None:
    world = World(Seeded(len(places)))
    disks = [world.disk(name, image=image(name), latency_seconds=latency) for name in "abc"]
    wanted = [b"".join(disk.image) for disk in disks]
    # Regions of one request that overlap have no order.
    used: set[tuple[int, int]] = set()
    chosen = []
    for disk, sector, sectors in places:
        mine = {(disk, at) for at in range(sector, sector + sectors)}
        if not mine & used:
            used |= mine
            chosen.append((disk, sector, sectors))
    chosen = chosen[:1] if op is Op.READ else chosen
    data = memoryview(bytearray(b"".join(image("x", 10))))
    for disk, sector, sectors in chosen:
        begin, end = sector * 512, (sector + sectors) * 512
        if op is Op.WRITE:
            wanted[disk] = wanted[disk][:begin] + bytes(data[: end - begin]) + wanted[disk][end:]
        elif op in (Op.DISCARD, Op.WRITE_ZEROES):
            wanted[disk] = wanted[disk][:begin] + bytes(end - begin) + wanted[disk][end:]
    ends: list[int] = []
    regions = [Region(disks[disk], sector, sectors) for disk, sector, sectors in chosen]
    submit_regions(op, regions, data, fua=fua, on_done=ends.append)
    world.runtime.run()
    assert ends == [0]
    assert [b"".join(disk.image) for disk in disks] == wanted
    if op is Op.READ:
        disk, sector, sectors = chosen[0]
        assert bytes(data) == b"".join((*image("abc"[disk])[sector : sector + sectors], *image("x", 10)[sectors:]))
    if op is Op.WRITE and fua:
        assert not any(disk.unflushed for disk in disks)


def test_an_error_is_its_regions_whichever_call_fails() -> None:
    for faults in every_call(Fault(Ill.ERROR)):
        world = World(faults=faults)
        names = "abcd"
        disks = [world.disk(name, 4, latency_seconds=0.1) for name in names]
        ends: list[int] = []
        data = memoryview(b"\1" * 2048)
        submit_regions(Op.WRITE, [Region(disk, 0, 4) for disk in disks], data, on_done=ends.append)
        world.runtime.run()
        failed = {strike.disk for strike in faults.struck}
        assert ends == [sum(1 << at for at, name in enumerate(names) if name in failed)]
        for name, disk in zip(names, disks, strict=True):
            assert (b"".join(disk.image) == bytes(data)) == (name not in failed)


def test_all_regions_may_fail_and_a_lasting_error_of_one_is_one_bit() -> None:
    for faults in every_call(Fault(Ill.ERROR, lasting=True), lambda disk, call: disk == "b"):
        world = World(faults=faults)
        regions = [Region(world.disk(name, 8192), 0, 8192) for name in "ab"]
        ends: list[int] = []
        submit_regions(Op.WRITE, regions, memoryview(bytes(8192 * 512)), on_done=ends.append)
        assert ends == [0b10 if faults.struck else 0]
    world = World()
    ends = []
    submit_regions(Op.DISCARD, [Region(world.disk(name, 8), 7, 2) for name in "abc"], on_done=ends.append)
    assert ends == [0b111]


def test_large_requests_are_cut() -> None:
    device = MemoryDevice(8 << 20)
    request = RegionsRequest(
        Op.WRITE, [Region(device, 1, 5000), Region(device, 8000, 0)], memoryview(b"x" * (5000 * 512)), on_done=print
    )
    assert request.left == -(-5000 // MAX_BIO_SECTORS)
    whole = RegionsRequest(Op.WRITE_ZEROES, [Region(device, 1, 5000)], on_done=print)
    assert whole.left == 1


def test_bios_may_be_submitted_one_by_one() -> None:
    device = MemoryDevice(4096)
    ends: list[int] = []
    regions = [Region(device, at, 1) for at in range(3)]
    request = RegionsRequest(Op.WRITE, regions, memoryview(b"x" * 512), on_done=ends.append)
    for written in range(3):
        assert (request.left, ends) == (3 - written, [])
        assert device.pread(4096, 0).count(b"x") == written * 512
        request.submit_next()
    assert (request.left, ends) == (0, [0])


def test_a_suspended_md_is_waited_for_without_blocking() -> None:
    world = World()
    with DeviceMapper(runtime=world.runtime) as dm:
        dm.add(world.disk("a", 64), "/dev/a")
        md = dm.create("md", "0 64 linear /dev/a 0")
        dm.suspend(md)
        ends: list[int] = []
        submit_regions(Op.WRITE, [Region(md, 8, 1)], memoryview(b"x" * 512), on_done=ends.append)
        world.runtime.settle()
        assert ends == []
        dm.resume(md)
        assert ends == [0]
        assert md.pread(512, 4096) == b"x" * 512


def test_what_makes_no_sense_is_refused() -> None:
    device = MemoryDevice(1 << 20)
    with pytest.raises(UsageError, match="one region"):
        submit_regions(Op.READ, [Region(device, 0, 1)] * 2, memoryview(bytearray(512)), on_done=print)
    with pytest.raises(UsageError, match="less memory"):
        submit_regions(Op.WRITE, [Region(device, 0, 2)], memoryview(bytes(512)), on_done=print)
    with pytest.raises(UsageError, match="less memory"):
        submit_regions(Op.READ, [Region(device, 0, 2)], on_done=print)


def test_nothing_to_do_is_done_at_once() -> None:
    ends: list[int] = []
    submit_regions(Op.WRITE, [], on_done=ends.append)
    submit_regions(Op.WRITE, [Region(MemoryDevice(512), 0, 0)], on_done=ends.append)
    assert ends == [0, 0]


def test_a_flush_goes_to_every_device() -> None:
    flushed: list[int] = []
    for faults in every_call(Fault(Ill.ERROR), lambda _disk, call: call is Call.FLUSH):
        world = World(faults=faults)
        disks = [world.disk(name, 4) for name in "ab"]
        for disk in disks:
            disk.pwrite(b"x" * 512, 0)
        submit_regions(Op.FLUSH, [Region(disk, 0, 0) for disk in disks], on_done=flushed.append)
        assert [bool(disk.unflushed) for disk in disks] == [bool(flushed[-1] & 1), bool(flushed[-1] & 2)]
    assert flushed == [1, 2, 0]
