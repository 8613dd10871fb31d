"""What becomes of a mirror when its legs or its log fail, and come back."""

from __future__ import annotations

import errno
import os
import threading
from functools import partial
from pathlib import Path

import pytest

from dmtable.core.bio import Bio, Op
from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.mapped_device import MappedDevice
from dmtable.core.target import StatusKind
from dmtable.dirtylog.format import read_clean
from dmtable.language.parser import parse
from dmtable.sim import Call, Fault, Faults, Ill, SimDisk, World
from dmtable.units import SECTOR_BYTES

SECTORS, REGION = 64, 8


class Machine:
    """Two legs of 8 regions behind mds that can be made to fail, and a log."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.world = World(faults=faults)
        self.dm = DeviceMapper(runtime=self.world.runtime)
        self.legs = [self.disk("a", SECTORS), self.disk("b", SECTORS)]
        self.log = self.disk("log", 8)
        for leg in ("a", "b"):
            self.dm.create(f"leg-{leg}", f"0 {SECTORS} linear /dev/{leg} 0")

    def disk(self, name: str, sectors: int) -> SimDisk:
        disk = self.world.disk(name, sectors)
        self.dm.add(disk, f"/dev/{name}")
        return disk

    def table(self, log: str = "disk 2 /dev/log 8", features: str = "") -> str:
        return f"0 {SECTORS} mirror {log} 2 /dev/mapper/leg-a 0 /dev/mapper/leg-b 0{features}"

    def create(self, log: str = "disk 2 /dev/log 8", features: str = "") -> MappedDevice:
        md = self.dm.create("m", self.table(log, features))
        self.world.runtime.pass_time(1.0)
        return md

    def reload(self, leg: str, target: str) -> None:
        """Swaps the table of a leg, as when a disk goes and comes."""
        self.dm.load(self.dm[leg], parse(f"0 {SECTORS} {target}"))
        self.dm.resume(self.dm[leg])

    def restart(self, log: str = "disk 2 /dev/log 8", features: str = "") -> None:
        """Loads the mirror's table anew, which forgets which legs failed."""
        self.dm.load(self.dm["m"], parse(self.table(log, features)))
        self.dm.resume(self.dm["m"])
        self.world.runtime.pass_time(1.0)

    def status(self) -> str:
        live = self.dm["m"].live
        target = live.target_at(0) if live is not None else None
        assert target is not None
        return target.status(StatusKind.INFO).removeprefix("2 253:0 253:1 ")

    def writes_to(self, disk: SimDisk) -> list[str]:
        return [what for _, who, what in self.world.trace or () if who == disk.name and what.startswith("write")]

    def start_write(self, sector: int, fill: bytes = b"x") -> Bio:
        bio = Bio(Op.WRITE, sector, 1, memoryview(bytearray(fill * SECTOR_BYTES)))
        self.dm["m"].submit(bio)
        self.world.runtime.settle()
        return bio


def sectors(disk: SimDisk, first: int, count: int = 1) -> bytes:
    return b"".join(disk.image[first : first + count])


@pytest.mark.parametrize("features", ["", " 1 handle_errors", " 2 handle_errors keep_log"])
def test_a_leg_that_comes_back_gets_what_it_missed_and_only_that(features: str) -> None:
    machine = Machine()
    md = machine.create(features=features)
    assert machine.status() == "8/8 1 AA 3 disk 7:2 A"
    machine.reload("leg-b", "error")
    bio = machine.start_write(2 * REGION + 3)
    assert bio.done == (features != " 1 handle_errors")
    assert machine.status() == "7/8 1 AD 3 disk 7:2 A"
    assert sectors(machine.legs[1], 2 * REGION + 3) == bytes(SECTOR_BYTES)

    machine.reload("leg-b", "linear /dev/b 0")
    before = len(machine.writes_to(machine.legs[1]))
    machine.dm.load(md, parse(machine.table(features=features)))
    machine.dm.suspend(md, noflush=True)
    machine.dm.resume(md)
    machine.world.runtime.pass_time(1.0)
    assert (bio.done, bio.error) == (True, 0)
    assert machine.status() == "8/8 1 AA 3 disk 7:2 A"
    assert machine.legs[0].image == machine.legs[1].image
    assert sectors(machine.legs[1], 2 * REGION + 3) == b"x" * SECTOR_BYTES
    after = machine.writes_to(machine.legs[1])[before:]
    assert after
    assert all(2 * REGION <= int(what.split()[1].split("+")[0]) < 3 * REGION for what in after)


def test_a_held_write_fails_when_the_md_suspends_and_not_before() -> None:
    machine = Machine()
    md = machine.create(features=" 1 handle_errors")
    machine.reload("leg-b", "error")
    bio = machine.start_write(0)
    machine.world.runtime.pass_time(60.0)
    assert not bio.done
    machine.dm.suspend(md)
    assert bio.error == errno.EIO
    machine.dm.resume(md)
    assert machine.status().startswith("7/8")


def test_removal_and_the_end_of_the_machine_end_held_writes() -> None:
    for end in ("remove", "close"):
        machine = Machine()
        md = machine.create(features=" 1 handle_errors")
        machine.reload("leg-b", "error")
        bio = machine.start_write(0)
        if end == "remove":
            machine.dm.remove(md)
        machine.dm.close()
        assert bio.error == errno.EIO


def test_the_quick_way_fails_as_the_bios_do() -> None:
    """A write by pwrite goes straight to plain disks; a fault there is dealt with as for a bio."""
    for features, letters, blocked in (("", "AD", False), (" 1 handle_errors", "AD", True)):
        machine = Machine()
        log = "core 2 8 nosync"
        text = f"0 {SECTORS} mirror {log} 2 /dev/a 0 /dev/b 0{features}"
        md = machine.dm.create("m", text)
        machine.world.runtime.settle()
        data = b"q" * SECTOR_BYTES
        assert md.pwrite(data, 0) == SECTOR_BYTES
        machine.legs[1].faults = Faults({1: Fault(Ill.ERROR, lasting=True)})
        process = machine.world.runtime.spawn(partial(md.pwrite, data, 9 * SECTOR_BYTES))
        machine.world.runtime.settle()
        assert process.done != blocked
        assert letters in machine.status()
        assert "7/8" in machine.status()
        machine.world.close()


def test_a_steady_writer_needs_no_worker_and_the_log_forgets_nothing() -> None:
    machine = Machine()
    md = machine.dm.create("m", f"0 {SECTORS} mirror disk 3 /dev/log 8 nosync 2 /dev/a 0 /dev/b 0")
    machine.world.runtime.settle()
    before = len(machine.writes_to(machine.log))
    for at in range(REGION):
        md.pwrite(bytes([at + 1]) * SECTOR_BYTES, at * SECTOR_BYTES)
    assert len(machine.writes_to(machine.log)) == before + 1, "one mark for all writes"
    assert not read_clean(machine.log, "log")[0]
    machine.world.runtime.pass_time(1.0)
    assert read_clean(machine.log, "log").all()
    assert machine.legs[0].image == machine.legs[1].image
    assert not any(leg.unflushed for leg in machine.legs), "what is called clean is durable"


def test_a_suspend_leaves_a_clean_log() -> None:
    machine = Machine()
    md = machine.create()
    md.pwrite(b"w" * SECTOR_BYTES, 0)
    machine.dm.suspend(md)
    assert read_clean(machine.log, "log").all()


def test_a_flush_reaches_every_leg() -> None:
    machine = Machine()
    md = machine.create()
    md.pwrite(b"w" * SECTOR_BYTES * SECTORS, 0)
    md.flush()
    assert not any(leg.unflushed for leg in machine.legs)


def test_reads_go_on_without_the_default_leg() -> None:
    machine = Machine()
    md = machine.create(features=" 1 handle_errors")
    md.pwrite(b"r" * SECTOR_BYTES, 0)
    machine.reload("leg-a", "error")
    assert md.pread(SECTOR_BYTES, 0) == b"r" * SECTOR_BYTES
    assert "RA" in machine.status()
    assert "device-mapper: raid1: Mirror read failed from 253:0. Trying alternative device." in machine.dm.klog
    machine.reload("leg-b", "error")
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        md.pread(SECTOR_BYTES, 0)
    assert "RR" in machine.status()


def test_writes_wait_while_their_region_is_recovered() -> None:
    machine = Machine()
    machine.legs[0].latency_seconds = 1.0
    machine.dm.create("m", machine.table("core 1 8"))
    machine.world.runtime.pass_time(0.5)
    bio = machine.start_write(0)
    machine.world.runtime.pass_time(0.1)
    assert not bio.done
    assert machine.status().startswith("0/8")
    machine.world.runtime.pass_time(30.0)
    assert (bio.done, bio.error) == (True, 0)
    assert machine.status() == "8/8 1 AA 1 core"
    assert machine.legs[0].image == machine.legs[1].image


def test_a_log_that_fails_holds_writes_back_or_is_ignored() -> None:
    for features, state in (("", "done"), (" 1 handle_errors", "held"), (" 2 handle_errors keep_log", "failed")):
        machine = Machine()
        machine.create(features=features)
        machine.log.faults = Faults({1: Fault(Ill.ERROR, lasting=True)})
        bio = machine.start_write(0)
        assert ("held" if not bio.done else "failed" if bio.error else "done") == state
        assert machine.status() == "8/8 1 AA 3 disk 7:2 D"
        assert sectors(machine.legs[0], 0) == (b"x" if state == "done" else b"\0") * SECTOR_BYTES


def test_after_a_failed_flush_no_leg_is_read_that_lacks_a_later_write() -> None:
    for features in ("", " 1 handle_errors", " 2 handle_errors keep_log"):
        machine = Machine()
        md = machine.create(features=features)
        machine.start_write(0, b"o")
        machine.legs[1].faults = Faults({1: Fault(Ill.ERROR)})
        flush = Bio(Op.FLUSH, 0, 0)
        md.submit(flush)
        machine.world.runtime.pass_time(1.0)
        assert machine.status() == "7/8 1 AD 3 disk 7:2 A"
        bio = machine.start_write(0, b"n")
        assert bio.done == (features != " 1 handle_errors")
        machine.reload("leg-a", "error")
        if bio.done:
            with pytest.raises(OSError, match=os.strerror(errno.EIO)):
                md.pread(SECTOR_BYTES, 0)


def test_a_log_that_failed_once_holds_every_later_write_back() -> None:
    machine = Machine()
    machine.create(features=" 1 handle_errors")
    machine.log.faults = Faults({1: Fault(Ill.ERROR)})
    bios = [machine.start_write(sector) for sector in (0, 0, 1)]
    assert not any(bio.done for bio in bios)
    assert sectors(machine.legs[0], 0, 2) == bytes(2 * SECTOR_BYTES)


def test_each_call_fails_once_and_no_leg_is_wrongly_called_in_sync() -> None:
    number = 1
    while True:
        faults = Faults({number: Fault(Ill.ERROR)})
        machine = Machine(faults)
        machine.create()
        for at in (0, 20, 21, 40):
            machine.start_write(at, bytes([at + 1]))
            machine.world.runtime.pass_time(0.3)
        if not faults.struck:
            break
        machine.world.runtime.pass_time(1.0)
        machine.restart("disk 2 /dev/log 8")
        if machine.status() == "8/8 1 AA 3 disk 7:2 A" and faults.struck[0].call is not Call.READ:
            assert machine.legs[0].image == machine.legs[1].image
        number += 1
    assert number > 10


def test_threads_write_while_the_md_suspends_and_resumes(tmp_path: Path) -> None:
    names = ("a", "b", "log")
    for name in names:
        (tmp_path / name).write_bytes(bytes(1 << 20))
    with DeviceMapper(tmp_path) as dm:
        md = dm.create("m", "0 2048 mirror disk 2 /log 64 2 /a 0 /b 0 1 handle_errors")
        failed: list[BaseException] = []

        def write(thread: int) -> None:
            try:
                for turn in range(150):
                    # Places of its own: overlapping writes at the same time may reach the legs in any order.
                    block = thread * 80 + turn * 37 % 80
                    md.pwrite(bytes([turn + 1]) * 4096, block * 4096)
                    if turn % 50 == 0:
                        md.flush()
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=write, args=(thread,)) for thread in range(3)]
        for each in threads:
            each.start()
        for _ in range(8):
            dm.suspend(md)
            dm.resume(md)
        for each in threads:
            each.join()
        dm.suspend(md)
        assert not failed
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
        dm.resume(md)


def test_the_slides_mirror_over_sparse_files(tmp_path: Path) -> None:
    sectors_of_40_gib = 83_886_080
    for name in ("a", "b"):
        with open(tmp_path / name, "wb") as file:
            file.truncate(sectors_of_40_gib * SECTOR_BYTES)
    with open(tmp_path / "a", "r+b") as file:
        file.seek(20 << 30)
        file.write(b"data" * 1024)
    with DeviceMapper(tmp_path) as dm:
        md = dm.create("m", f"0 {sectors_of_40_gib} mirror core 1 1024 2 /a 0 /b 0")
        md.wait_event(0)
        assert md.live is not None
        target = md.live.target_at(0)
        assert target is not None
        assert target.status(StatusKind.INFO) == "2 7:0 7:1 81920/81920 1 AA 1 core"
        assert os.stat(tmp_path / "b").st_blocks * SECTOR_BYTES < 1 << 20
        assert md.pread(SECTOR_BYTES, 20 << 30) == b"data" * 128
        with open(tmp_path / "b", "rb") as file:
            file.seek(20 << 30)
            assert file.read(4096) == b"data" * 1024


def test_what_lies_over_a_mirror_takes_the_quick_way_too() -> None:
    machine = Machine()
    machine.dm.create("m", f"0 {SECTORS} mirror core 2 8 nosync 2 /dev/a 0 /dev/b 0")
    top = machine.dm.create("top", "0 4 zero\n4 32 linear /dev/mapper/m 3\n36 4 zero")
    data = bytes(range(1, 33)) * 16 * 20
    woken = _turns(machine, "kmirrord")
    assert top.pwrite(data, 8 * SECTOR_BYTES) == len(data)
    assert top.pread(len(data), 8 * SECTOR_BYTES) == data
    assert _turns(machine, "kmirrord") == woken
    for leg in machine.legs:
        assert sectors(leg, 7, 20) == data
    machine.dm.suspend(machine.dm["m"])
    process = machine.world.runtime.spawn(partial(top.pwrite, data, 8 * SECTOR_BYTES))
    machine.world.runtime.settle()
    assert not process.done
    machine.dm.resume(machine.dm["m"])
    machine.world.runtime.settle()
    assert process.result() == len(data)


def _turns(machine: Machine, worker: str) -> int:
    return [who for _, who, what in machine.world.trace or () if what == "runs"].count(worker)


def test_an_interrupted_suspend_leaves_the_mirror_at_work() -> None:
    machine = Machine()
    md = machine.create(features=" 1 handle_errors")
    lower = machine.dm["leg-b"]
    machine.dm.suspend(lower)
    machine.start_write(0)
    process = machine.world.runtime.spawn(partial(machine.dm.suspend, md))
    machine.world.runtime.settle()
    assert not process.done
    process.kill()
    machine.dm.resume(lower)
    machine.reload("leg-b", "error")
    bio = machine.start_write(16)
    machine.world.runtime.settle()
    assert not bio.done, "it is held, as by any mirror that is not about to suspend"
    assert not md.suspended


def test_an_interrupted_suspend_forgets_no_region_that_was_to_be_recovered() -> None:
    machine = Machine()
    md = machine.create()
    machine.reload("leg-b", "error")
    for region in (0, 4):
        machine.start_write(region * REGION)
    machine.reload("leg-b", "linear /dev/b 0")
    machine.legs[0].latency_seconds = 1.0
    machine.dm.load(md, parse(machine.table()))
    machine.dm.resume(md)
    machine.world.runtime.settle()
    process = machine.world.runtime.spawn(partial(machine.dm.suspend, md))
    machine.world.runtime.settle()
    assert not process.done
    process.kill()
    machine.world.runtime.pass_time(30.0)
    assert machine.status() == "8/8 1 AA 3 disk 7:2 A"
    assert machine.legs[0].image == machine.legs[1].image
