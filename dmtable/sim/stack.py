"""A subject without write order: mds over disks with volatile caches, while their tables are swapped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from dmtable.core.bio import Bio, Op
from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.mapped_device import MappedDevice
from dmtable.language.parser import parse
from dmtable.sim.cache import Image
from dmtable.sim.subject import Entered, Subject
from dmtable.sim.world import World

_LOWER = ("0 4 linear /dev/a 2\n4 4 linear /dev/b 0", "0 2 linear /dev/a 2\n2 2 linear /dev/a 4\n4 4 linear /dev/b 0")
"""Two tables that say the same."""
_TOP = "0 8 linear /dev/mapper/lower 0"
_STRIPED = "0 4 striped 2 2 /dev/a 6 /dev/b 4"
_SWAPS = 2
_SUSPENDED_SECONDS = 0.001


class Mds:
    """Two mds, one of them over a third whose table is swapped now and then."""

    def __init__(self, world: World, entered: Entered) -> None:
        self._entered = entered
        self._runtime = world.runtime
        self._busy = False
        self._dm = DeviceMapper(runtime=world.runtime)
        for name, disk in world.disks.items():
            self._dm.add(disk, f"/dev/{name}")
        self._lower = self._dm.create("lower", _LOWER[0])
        self._mds: list[MappedDevice] = [self._dm.create("top", _TOP), self._dm.create("striped", _STRIPED)]

    def submit(self, device: int, bio: Bio) -> None:
        if not self._busy:
            self._busy = True
            self._runtime.spawn(self._swap, "the operator")
        if bio.op is not Op.FLUSH:
            self._entered(device, bio)
        self._mds[device].submit(bio)
        if not bio.done:
            self._runtime.sometimes("a request waits for a suspended md")

    def _swap(self) -> None:
        for number in range(1, 1 + _SWAPS):
            self._dm.load(self._lower, parse(_LOWER[number % 2]))
            self._dm.suspend(self._lower)
            self._runtime.sometimes("a table is swapped")
            self._runtime.sleep(_SUSPENDED_SECONDS)
            self._dm.resume(self._lower)


class Stack(Subject):
    """A power loss leaves what was flushed, through however many mds, and whatever else was going on."""

    device_sectors: ClassVar = (8, 4)
    disks: ClassVar = {"a": 8, "b": 8}
    sites: ClassVar = (("a", "b"),)
    ordered = False
    sometimes: ClassVar = ("a request waits for a suspended md", "a table is swapped")

    def open(self, world: World, entered: Entered) -> Mds:
        return Mds(world, entered)

    def devices(self, site: int, images: Mapping[str, Image]) -> Sequence[Image]:
        """What the mds show, found out by hand from their tables."""
        a, b = images["a"], images["b"]
        return (*a[2:6], *b[0:4]), (*a[6:8], *b[4:6])


stack = Stack()
