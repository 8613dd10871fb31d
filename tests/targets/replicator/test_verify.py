"""Comparing a group's copies at work: what differs, what is owed, and what comes in between."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator

import pytest

from dmtable import DeviceMapper, MappedDevice, MemoryDevice
from dmtable.targets.replicator.running import RunningGroup
from dmtable.targets.replicator.target import Replicator
from dmtable.targets.replicator.verify import Outcome, RegionCheck, verify

SECTORS = 4 * 2048
TABLE = (
    f"0 {SECTORS} replicator ringbuffer 4 /log 0 create 8192 blockdev 2 0 asynchronous 2 0 /local - 0 "
    "blockdev 2 1 asynchronous 2 0 /remote disk 3 /dirty 2048 nosync"
)
MANY = 10_000


class Watched(MemoryDevice):
    """A device that calls somebody before it is read, and that may fail."""

    def __init__(self) -> None:
        super().__init__(SECTORS * 512)
        self.before_read: Callable[[int], None] = lambda offset: None

    def pread_into(self, buffer: bytearray | memoryview, offset: int) -> int:
        self.before_read(offset)
        return super().pread_into(buffer, offset)


class Machine:
    """A group of one device and two sites, at work."""

    def __init__(self) -> None:
        self.local, self.remote = Watched(), Watched()
        self.dm = DeviceMapper()
        for name, device in (("local", self.local), ("remote", self.remote)):
            self.dm.add(device, f"/{name}")
        self.dm.add(MemoryDevice(8192 * 512), "/log")
        self.dm.add(MemoryDevice(1 << 16), "/dirty")
        self.md: MappedDevice = self.dm.create("vol", TABLE)

    @property
    def running(self) -> RunningGroup:
        assert self.md.live is not None
        (target,) = self.md.live.targets()
        assert isinstance(target, Replicator)
        return target.running

    def settle(self) -> None:
        for _ in range(MANY):
            if self.running.settled:
                return
            self.dm.runtime.sleep(0.001)
        raise AssertionError("never settled")

    def pause(self) -> None:
        self.dm.message(self.md, 0, ["slink", "pause", "1"])

    def checks(self) -> list[RegionCheck]:
        return list(verify(self.running))

    def outcomes(self) -> list[Outcome]:
        return [check.outcome for check in self.checks()]


@pytest.fixture
def machine() -> Iterator[Machine]:
    there = Machine()
    with there.dm:
        there.md.pwrite(b"a" * 4096, 2048 * 512)
        there.settle()
        yield there


def test_what_is_equal_is_equal(machine: Machine) -> None:
    assert machine.outcomes() == [Outcome.EQUAL] * 4


def test_what_differs_though_nothing_is_owed_is_told_by_place(machine: Machine) -> None:
    machine.remote.pwrite(b"x" * 512, 4100 * 512)
    machine.remote.pwrite(b"x" * 5120, 5000 * 512)
    checks = machine.checks()
    assert [check.outcome for check in checks] == [Outcome.EQUAL, Outcome.EQUAL, Outcome.DIFFERS, Outcome.EQUAL]
    check = checks[2]
    assert (check.site, check.device, check.region, check.first, check.sectors) == (1, 0, 2, 4096, 2048)
    assert check.runs == ((4096, 8), (5000, 16))


def test_what_is_owed_is_skipped(machine: Machine) -> None:
    machine.pause()
    machine.md.pwrite(b"b" * 512, 0)
    machine.md.flush()
    machine.remote.pwrite(b"x" * 512, 2048 * 512)
    assert machine.outcomes() == [Outcome.OWED, Outcome.DIFFERS, Outcome.EQUAL, Outcome.EQUAL]


def test_a_region_out_of_sync_is_skipped(machine: Machine) -> None:
    machine.pause()
    for number in range(6):
        machine.md.pwrite(bytes([number]) * (1 << 20), 3 * 2048 * 512)
    machine.md.flush()
    assert not machine.running.group.sites[1].ordered
    assert machine.outcomes() == [Outcome.EQUAL, Outcome.EQUAL, Outcome.EQUAL, Outcome.OWED]


def test_a_write_that_comes_between_two_reads_is_no_difference(machine: Machine) -> None:
    came: list[int] = []

    def write(offset: int) -> None:
        if offset == 0 and not came:
            came.append(offset)
            machine.md.pwrite(b"b" * 512, 0)
            machine.settle()

    machine.remote.before_read = write
    assert machine.outcomes() == [Outcome.EQUAL] * 4
    assert came


def test_a_write_that_stays_owed_is_no_difference(machine: Machine) -> None:
    machine.pause()

    def write(offset: int) -> None:
        machine.local.before_read = lambda offset: None
        machine.md.pwrite(b"b" * 512, 0)
        while machine.running.group.sites[0].link.outstanding_ios:
            machine.dm.runtime.sleep(0.001)

    machine.local.before_read = write
    assert machine.outcomes()[0] is Outcome.OWED


@pytest.mark.parametrize("sector", [0, 4096], ids=["there", "elsewhere"])
def test_where_entries_come_and_go_all_the_time_nobody_can_know(machine: Machine, sector: int) -> None:
    """Whether it was there that they wrote is not known any more when they have left the log."""
    machine.remote.pwrite(b"x" * 512, 4095 * 512)

    def write(offset: int) -> None:
        machine.md.pwrite(b"b" * 512, sector * 512)
        machine.settle()

    machine.remote.before_read = write
    assert machine.outcomes()[1] is Outcome.BUSY


def test_entries_elsewhere_that_are_still_there_hinder_nobody(machine: Machine) -> None:
    machine.pause()
    machine.remote.pwrite(b"x" * 512, 4095 * 512)

    def write(offset: int) -> None:
        machine.md.pwrite(b"b" * 512, 0)

    machine.remote.before_read = write
    assert machine.outcomes()[1] is Outcome.DIFFERS


def test_what_cannot_be_read_is_told(machine: Machine) -> None:
    def fail(offset: int) -> None:
        if offset == 0:
            raise OSError(errno.EIO, "dead")

    machine.remote.before_read = fail
    checks = machine.checks()
    assert [check.outcome for check in checks] == [Outcome.UNREADABLE] + [Outcome.EQUAL] * 3
    assert "Input/output error" in checks[0].why
