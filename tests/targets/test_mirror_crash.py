"""A mirror with a disk log loses its power: every moment of small workloads, every subset of what was not flushed."""

from __future__ import annotations

from contextlib import suppress
from typing import ClassVar

import pytest

from dmtable.core.bio import Bio, Op
from dmtable.core.device_mapper import DeviceMapper
from dmtable.dirtylog.format import log_bytes, read_clean
from dmtable.sim import Explorer, Flawed, Ordinary, PowerLoss, Seeded, World
from dmtable.sim.subject import Entered, Subject
from dmtable.sim.workload import Flush, Workload, Write, Zero
from dmtable.units import SECTOR_BYTES, SECTOR_SHIFT

_REGION, _REGIONS = 2, 4
_SECTORS = _REGION * _REGIONS
_LOG_SECTORS = log_bytes(_REGIONS, SECTOR_BYTES) >> SECTOR_SHIFT


def _mapper(world: World) -> DeviceMapper:
    dm = DeviceMapper(runtime=world.runtime)
    for name, disk in world.disks.items():
        dm.add(disk, f"/dev/{name}")
    return dm


def _table(log_words: str) -> str:
    return f"0 {_SECTORS} mirror disk {log_words} 2 /dev/a 0 /dev/b 0"


class Opened:
    """The mirror at work."""

    def __init__(self, world: World, entered: Entered) -> None:
        self._entered = entered
        self.md = _mapper(world).create("m", _table(f"2 /dev/log {_REGION}"))

    def submit(self, device: int, bio: Bio) -> None:
        if bio.op is not Op.FLUSH:
            self._entered(device, bio)
        self.md.submit(bio)


class TwoLegs(Subject):
    """Each leg is a site: at rest they are equal, and hold what was flushed."""

    device_sectors: ClassVar = (_SECTORS,)
    boundary_sectors = _REGION
    disks: ClassVar = {"a": _SECTORS, "b": _SECTORS, "log": _LOG_SECTORS}
    sites: ClassVar = (("a",), ("b",))
    ordered = False
    patience_seconds = 2.0

    def create(self, world: World) -> None:
        with _mapper(world) as dm:
            dm.create("m", _table(f"3 /dev/log {_REGION} nosync"))
            dm.remove(dm["m"])

    def open(self, world: World, entered: Entered) -> Opened:
        clean = read_clean(world.disks["log"], "log")
        one, other = world.disks["a"].image, world.disks["b"].image
        for region in range(_REGIONS):
            here = slice(region * _REGION, (region + 1) * _REGION)
            assert one[here] == other[here] or not clean[region], f"region {region} differs, and is not to be recovered"
        return Opened(world, entered)


WORKLOADS: dict[str, Workload] = {
    "a write": ((Write(0, 1),),),
    "a write and a flush": ((Write(0, 1, 1), Flush(0)),),
    "two sectors, written again": ((Write(0, 2, 2), Write(0, 3), Flush(0)),),
    "zeroes over a write": ((Write(0, 4), Zero(0, 4, 2), Flush(0)),),
    "two clients in one region": ((Write(0, 6), Flush(0)), (Write(0, 7),)),
    "two clients in two regions": ((Write(0, 0),), (Write(0, 5), Flush(0))),
}


@pytest.mark.parametrize("name", WORKLOADS)
def test_no_power_loss_leaves_legs_that_differ_unmarked_nor_loses_what_was_flushed(name: str) -> None:
    explorer = Explorer(TwoLegs())
    explorer.explore(WORKLOADS[name], departures=2)
    assert explorer.visited > 1


class Forgetful(TwoLegs):
    """What a mirror would be whose log calls everything clean."""

    def open(self, world: World, entered: Entered) -> Opened:
        world.disks["log"].pwrite(b"\x0f".ljust(SECTOR_BYTES, b"\0"), 1024)
        return super().open(world, entered)


def test_a_log_that_forgets_is_found_out() -> None:
    with pytest.raises(Flawed, match="differs, and is not to be recovered"):
        Explorer(Forgetful()).run(((Write(0, 1),),), Ordinary())


def _quick_writer(world: World, flushed: list[int]) -> None:
    """Writes 1, 2, 3 … to all sectors in turn, by pwrite; pauses let regions become clean in between."""
    md = Opened(world, lambda device, bio: None).md
    world.runtime.pass_time(1.0)

    def write() -> None:
        for number in range(1, 13):
            md.pwrite(bytes([number]) * SECTOR_BYTES, number * 3 % _SECTORS * SECTOR_BYTES)
            if number % 4 == 0:
                md.flush()
                flushed.append(number)
                world.runtime.sleep(0.15 * number)

    world.runtime.spawn(write)
    world.runtime.pass_time(60.0)


def test_writes_without_bios_are_as_safe() -> None:
    subject, call, ended = TwoLegs(), 0, False
    blank = World(traced=False)
    for name, sectors in subject.disks.items():
        blank.disk(name, sectors)
    subject.create(blank)
    formatted = {name: disk.image for name, disk in blank.disks.items()}
    while not ended:
        call += 1
        for seed in range(6):
            choices = Seeded(1000 * call + seed)
            world = World(choices, traced=False)
            for name, image in formatted.items():
                world.disk(name, image=image)
            world.power.calls, world.power.cut_at = 0, call
            flushed = [0]
            with suppress(PowerLoss):
                _quick_writer(world, flushed)
                ended = True
            after = world.after_power_loss()
            md = subject.open(after, lambda device, bio: None).md
            after.runtime.pass_time(2.0)
            assert after.disks["a"].image == after.disks["b"].image
            shown = md.pread(_SECTORS * SECTOR_BYTES, 0)
            for number in range(1, flushed[-1] + 1):
                assert shown[number * 3 % _SECTORS * SECTOR_BYTES] >= number
    assert call > 30
