"""A mirror of two disks, and the ways in which it can go wrong."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import ClassVar

from dmtable.core.bio import Bio, Op
from dmtable.runtime.runtime import Worker
from dmtable.sim.disk import SimDisk
from dmtable.sim.subject import Entered, Subject
from dmtable.sim.world import World
from dmtable.units import SECTOR_BYTES


class Mirror(Worker):
    """One request at a time: the disk here, flushed, then the disk there, flushed. Opened, it copies all."""

    name = "mirror"

    def __init__(self, world: World, entered: Entered) -> None:
        self.runtime = world.runtime
        self.here, self.there = world.disks["here"], world.disks["there"]
        self.queue: deque[Bio] = deque()
        self.entered = entered
        self.recover()
        self._steps = self.steps()
        self.running = world.runtime.start(self)

    def recover(self) -> None:
        # What is read may be in the cache only, if nothing but the process had died.
        self.here.flush()
        for at in range(0, self.here.size_bytes, SECTOR_BYTES):
            content = self.here.pread(SECTOR_BYTES, at)
            if content != self.there.pread(SECTOR_BYTES, at):
                self.there.pwrite(content, at)
        self.there.flush()

    def submit(self, device: int, bio: Bio) -> None:
        if bio.op is not Op.FLUSH:
            self.entered(device, bio)
        self.queue.append(bio)
        self.running.wake()

    def step(self) -> bool:
        return next(self._steps)

    def steps(self) -> Iterator[bool]:
        while True:
            if not self.queue:
                yield False
                continue
            bio = self.queue.popleft()
            if bio.op is not Op.FLUSH:
                yield from self.write(self.here, bio)
                yield from self.write(self.there, bio)
            bio.complete()

    def write(self, disk: SimDisk, bio: Bio) -> Iterator[bool]:
        disk.pwrite(bytes(bio.sectors * SECTOR_BYTES) if bio.data is None else bio.data, bio.sector * SECTOR_BYTES)
        yield True
        disk.flush()
        yield True


class Tiny(Subject):
    """A subject that is a mirror; what is wrong with it is the mirror's class."""

    device_sectors = (2,)
    disks: ClassVar = {"here": 2, "there": 2}
    sites = (("here",), ("there",))
    synchronous = frozenset({1})

    def __init__(self, mirror: type[Mirror] = Mirror) -> None:
        self.mirror = mirror

    def open(self, world: World, entered: Entered) -> Mirror:
        return self.mirror(world, entered)


class Asynchronous(Tiny):
    """One that does not say when the other disk has it."""

    synchronous = frozenset()


class Raises(Mirror):
    def submit(self, device: int, bio: Bio) -> None:
        raise ValueError("no such luck")


class Spins(Mirror):
    def steps(self) -> Iterator[bool]:
        while True:
            yield True


class Deadlocks(Mirror):
    def recover(self) -> None:
        self.runtime.wait(Bio(Op.READ, 0, 1))


class Blocks(Mirror):
    def write(self, disk: SimDisk, bio: Bio) -> Iterator[bool]:
        self.runtime.wait(bio)
        yield True


class Forgets(Mirror):
    def steps(self) -> Iterator[bool]:
        while True:
            yield False


class Unentered(Mirror):
    def submit(self, device: int, bio: Bio) -> None:
        bio.complete()


class Corrupts(Mirror):
    def write(self, disk: SimDisk, bio: Bio) -> Iterator[bool]:
        disk.pwrite(b"\xff" * SECTOR_BYTES, bio.sector * SECTOR_BYTES)
        yield True


class Early(Mirror):
    """Acknowledges what the other disk does not have yet."""

    def steps(self) -> Iterator[bool]:
        while True:
            if not self.queue:
                yield False
                continue
            bio = self.queue.popleft()
            if bio.op is not Op.FLUSH:
                yield from self.write(self.here, bio)
            bio.complete()
            if bio.op is not Op.FLUSH:
                yield from self.write(self.there, bio)


class Local(Mirror):
    """Never writes to the other disk."""

    def write(self, disk: SimDisk, bio: Bio) -> Iterator[bool]:
        if disk is self.here:
            yield from super().write(disk, bio)


class Lazy(Mirror):
    """Flushes nothing, so that a later write may survive an earlier one."""

    def write(self, disk: SimDisk, bio: Bio) -> Iterator[bool]:
        assert bio.data is not None
        disk.pwrite(bio.data, bio.sector * SECTOR_BYTES)
        yield True


class RollingBack(Mirror):
    """For a device that is always written whole: the disk whose sectors are of one write wins, this one first."""

    def recover(self) -> None:
        image = self.here.pread(self.here.size_bytes, 0)
        whole = len({image[at : at + 8] for at in range(0, len(image), SECTOR_BYTES)}) == 1
        if whole:
            super().recover()
        else:
            self.here, self.there = self.there, self.here
            super().recover()
            self.here, self.there = self.there, self.here


class ForgetsAtOpening(Mirror):
    """Begins with blank disks each time."""

    def recover(self) -> None:
        for disk in (self.here, self.there):
            disk.pwrite(bytes(disk.size_bytes), 0)
            disk.flush()
