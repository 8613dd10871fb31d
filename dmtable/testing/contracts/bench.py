"""The bench on which a target is tried: a simulated machine whose disks note every call, and an md with the target."""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import Self

from dmtable.core.bio import Bio, Op, run_flat, submit
from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.mapped_device import MappedDevice
from dmtable.core.registry import Registry
from dmtable.core.table import TargetSpec
from dmtable.core.target import MapResult, Target
from dmtable.io.constant import ERROR
from dmtable.io.device import BlockDevice
from dmtable.runtime.runtime import Worker
from dmtable.sim.choices import Choices
from dmtable.sim.deadlock import Deadlock, WouldBlock
from dmtable.sim.disk import SimDisk
from dmtable.sim.faults import Call, Fault, Faults, Ill
from dmtable.sim.world import World
from dmtable.units import SECTOR_BYTES, SECTOR_SHIFT

LEAD, TRAIL = 24, 8
"""Sectors of zero before and behind the target, so that one that counts from the md's beginning is found out."""

Place = tuple[BlockDevice, int]
"""(device, its sector)."""


class CountedBio(Bio):
    """A bio that counts how often it is completed."""

    __slots__ = ("ends",)

    def __init__(self, op: Op, sector: int, sectors: int, data: memoryview | None = None, *, fua: bool = False) -> None:
        super().__init__(op, sector, sectors, data, fua=fua)
        self.ends = 0

    @classmethod
    def to(cls, op: Op, first: int, sectors: int, *, fua: bool = False) -> Self:
        """One for the target of a bench, whose first sector is 0 here, with memory where it moves data."""
        data = memoryview(bytearray(fill(0, sectors))) if op in (Op.READ, Op.WRITE) else None
        return cls(op, LEAD + first, sectors, data, fua=fua)

    def complete(self, error: int = 0) -> None:
        self.ends += 1
        super().complete(error)


class Bench:
    """A simulated machine with the disks that a contract names, each sector of which tells where it is.

    `placed` faults strike the calls to its disks, by number from 1.
    """

    def __init__(
        self,
        devices: Mapping[str, int],
        registry: Registry,
        *,
        choices: Choices | None = None,
        placed: Mapping[int, Fault] | None = None,
    ) -> None:
        self.calls: list[tuple[str, Call]] = []
        """Every call to a disk so far, by the disk's path."""
        self.calls_in_map: list[tuple[str, Call]] = []
        self._mapping = False
        self.faults = Faults(placed, concerns=self._note)
        self._world = World(choices, faults=self.faults, traced=False)
        self.runtime = self._world.runtime
        self._sender = _Sender()
        self._sending = self.runtime.start(self._sender)
        self.dm = DeviceMapper(runtime=self.runtime, registry=registry)
        self.disks: dict[str, SimDisk] = {}
        for path, sectors in devices.items():
            self.disks[path] = disk = self._world.disk(path, image=first_image(path, sectors))
            self.dm.add(disk, path)

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        self.faults.healed = True
        # Where a check has failed there may be bios that never end; it has been told already.
        with suppress(Deadlock) if failed else told_as_contract():
            self.dm.close()
        self._world.close()

    def create(self, name: str, target: str, words: Sequence[str], length: int) -> MappedDevice:
        """An md with the target between two lines of zero, running. Raises IoctlError, and then there is no md."""
        md = self.dm.create_device(name)
        try:
            self.load(md, target, words, length)
        except BaseException:
            self.dm.remove(md)
            raise
        return md

    def load(self, md: MappedDevice, target: str, words: Sequence[str], length: int) -> None:
        """Gives an md such a table, and resumes it."""
        specs = [
            TargetSpec(0, LEAD, "zero", ()),
            TargetSpec(LEAD, length, target, tuple(words)),
            TargetSpec(LEAD + length, TRAIL, "zero", ()),
        ]
        self.dm.load(md, specs)
        self.dm.resume(md)

    def fail_all(self) -> None:
        """From now on every call to a disk fails."""
        for disk in self.disks.values():
            disk.faults = Faults(dict.fromkeys(range(1, 10_000), Fault(Ill.ERROR)), concerns=self._note)

    def place(self, target: Target, op: Op, first: int, sectors: int) -> Place | None:
        """Where the target sends a bio, which then goes nowhere; None where it takes the bio itself."""
        bio = CountedBio.to(op, first, sectors)
        bio.on_done(lambda: target.end_io(bio))
        result = target.map(bio)
        place = (bio.device, bio.sector) if result is MapResult.REMAPPED and bio.device is not None else None
        if result is MapResult.SUBMITTED:
            with told_as_contract():
                self.runtime.wait(bio)
        else:
            bio.complete()
        return (ERROR, 0) if result is MapResult.KILL else place

    def give(self, target: Target, bio: CountedBio) -> None:
        """Gives the target one bio as an md does, from where nobody may block; returns when it is done."""
        bio.on_done(lambda: target.end_io(bio))

        def send() -> None:
            self._mapping = True
            try:
                result = target.map(bio)
            finally:
                self._mapping = False
            if result is MapResult.REMAPPED:
                assert bio.device is not None, "map returned REMAPPED and set no bio.device"
                submit(bio.device, bio)
            elif result is MapResult.KILL:
                bio.complete(errno.EIO)
            elif result is MapResult.REQUEUE:
                bio.give_back()

        self._sender.todo.append(lambda: run_flat(send))
        self._sending.wake()
        with told_as_contract():
            self.runtime.wait(bio)
            self.runtime.settle()

    def _note(self, disk: str, call: Call) -> bool:
        self.calls.append((disk, call))
        if self._mapping:
            self.calls_in_map.append((disk, call))
        return True


class _Sender(Worker):
    """Runs what it is given in a step, where waiting for anything is an error."""

    name = "whoever submits"

    def __init__(self) -> None:
        self.todo: deque[Callable[[], None]] = deque()

    def step(self) -> bool:
        if not self.todo:
            return False
        self.todo.popleft()()
        return True


@contextmanager
def told_as_contract() -> Iterator[None]:
    """What a simulation calls a deadlock is a broken promise of the target's."""
    try:
        yield
    except WouldBlock as error:
        raise AssertionError(
            f"the target waits for something in map: {error}; map decides where a bio goes, submits it or leaves "
            "it to a Worker, and returns"
        ) from error
    except Deadlock as error:
        raise AssertionError(
            f"a bio is lost: {error}; each bio that map answers with SUBMITTED must be completed, with an error if "
            "need be"
        ) from error


@cache
def first_image(path: str, sectors: int) -> tuple[bytes, ...]:
    """What a disk holds that nobody has written: every sector is another."""
    return tuple(f"{path}:{number}\n".encode().ljust(SECTOR_BYTES, b".") for number in range(sectors))


def fill(tag: int, sectors: int) -> bytes:
    """Content that no other tag has, and no other sector."""
    return b"".join(f"write {tag}, sector {at}\n".encode().ljust(SECTOR_BYTES, b"#") for at in range(sectors))


def cut(data: bytes) -> list[bytes]:
    """The sectors of some bytes."""
    return [data[at << SECTOR_SHIFT :][:SECTOR_BYTES] for at in range(len(data) >> SECTOR_SHIFT)]
