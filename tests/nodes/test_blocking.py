"""What is suspended, slow or hanging keeps those waiting who asked for it, and nobody else; and they can be killed."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.nodes.conftest import ZERO, Machine, allocate, fails, until
from tests.nodes.devices import Disk

MANY = 64
Call = Callable[[], object]


@contextmanager
def many(calls: list[Call]) -> Iterator[list[Future[object]]]:
    with ThreadPoolExecutor(len(calls)) as pool:
        yield [pool.submit(call) for call in calls]


@pytest.fixture
def other(machine: Machine) -> int:
    """An open file of an md on a disk of its own."""
    machine.add(Disk(1 << 20), 9)
    machine.linear("other", 2048, "7:9")
    return machine.open("other")


def answers(fd: int) -> bool:
    """Whether an md serves I/O of all kinds."""
    for at in range(20):
        os.pwrite(fd, bytes([at]) * 512, at * 512)
        assert os.pread(fd, 512, at * 512) == bytes([at]) * 512
    os.pwrite(fd, b"part", 3)
    os.fsync(fd)
    allocate(fd, ZERO, 0, 512)
    return True


def calls_of_all_kinds(fd: int) -> list[Call]:
    reads: list[Call] = [partial(os.pread, fd, 512, at * 512) for at in range(24)]
    writes: list[Call] = [partial(os.pwrite, fd, b"w" * 512, at * 512) for at in range(24)]
    parts: list[Call] = [partial(os.pwrite, fd, b"p" * 100, 50_000 + at * 100) for at in range(15)]
    return [*reads, *writes, *parts, partial(os.fsync, fd)]


@contextmanager
def blocked(node: Path, action: str) -> Iterator[subprocess.Popen[str]]:
    """A process that does this with an open file `fd` of the node, and waits there; killed at the end."""
    code = f"""if True:
        import os, signal, sys
        signal.signal(signal.SIGUSR1, lambda *_: None)
        signal.siginterrupt(signal.SIGUSR1, True)
        fd = os.open(sys.argv[1], os.O_RDWR)
        print("open", flush=True)
        {action}
        print("done", flush=True)
    """
    words = [sys.executable, "-c", code, str(node)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
            until(lambda: Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] in "SD")
            yield process
        finally:
            process.kill()


def test_a_suspended_md_keeps_nobody_else_waiting(machine: Machine, other: int) -> None:
    md = machine.linear()
    fd = machine.open()
    calls = calls_of_all_kinds(fd)
    assert len(calls) == MANY
    assert os.pread(fd, 512, 0) == bytes(512)
    machine.dm.suspend(md)
    with many(calls) as futures:
        assert answers(other)
        assert os.listdir(machine.folder) == ["other", "vol"]
        assert machine.node().stat().st_size == md.size_bytes
        os.close(machine.open())
        assert not any(future.done() for future in futures)
        machine.dm.resume(md)
        results = [future.result() for future in futures]
    assert results[24:48] == [512] * 24
    assert os.pread(fd, 512 * 24, 0) == b"w" * 512 * 24
    assert os.pread(fd, 1500, 50_000) == b"p" * 1500
    os.close(fd)
    os.close(other)


def test_a_device_that_hangs_keeps_nobody_else_waiting(machine: Machine, other: int) -> None:
    """The device's calls themselves wait, as in a read of a disk that does not answer."""
    machine.linear()
    fd = machine.open()
    assert os.pread(fd, 512, 0) == bytes(512)
    machine.disk.hang()
    with many(calls_of_all_kinds(fd)) as futures:
        until(lambda: machine.disk.inside >= 8)
        assert answers(other)
        assert not any(future.done() for future in futures)
        assert 0 < machine.disk.inside < MANY
        machine.disk.let_go()
        assert [future.result() for future in futures][24:48] == [512] * 24
    assert os.pread(fd, 512 * 24, 0) == b"w" * 512 * 24
    os.close(fd)
    os.close(other)


def test_devices_that_hang_do_not_add_up(machine: Machine, other: int) -> None:
    disks = [Disk(1 << 20) for _ in range(8)]
    fds = []
    for number, disk in enumerate(disks, 1):
        machine.add(disk, number)
        machine.linear(f"slow{number}", 2048, f"7:{number}")
        fds.append(machine.open(f"slow{number}"))
        disk.hang()
    with many([partial(os.pread, fd, 512, 0) for fd in fds * 3]) as futures:
        until(lambda: all(disk.inside for disk in disks))
        assert answers(other)
        assert not any(future.done() for future in futures)
        for disk in disks:
            disk.let_go()
        assert [future.result() for future in futures] == [bytes(512)] * 24
    for fd in [*fds, other]:
        os.close(fd)


def test_a_delay_keeps_nobody_else_waiting(machine: Machine, other: int) -> None:
    machine.dm.create("vol", "0 4096 delay 7:0 0 3600000")
    fd = machine.open()
    with many([partial(os.pread, fd, 512, 0)] * MANY) as futures:
        assert answers(other)
        assert not any(future.done() for future in futures)
        machine.dm.suspend(machine.dm["vol"])
        assert [future.result() for future in futures] == [bytes(512)] * MANY
    machine.dm.resume(machine.dm["vol"])
    os.close(fd)
    os.close(other)


def test_io_goes_on_where_a_table_is_swapped_under_it(machine: Machine) -> None:
    md = machine.linear("vol", 1024)
    fd = machine.open()
    going = True

    def write(thread: int) -> int:
        rounds = 0
        while going or not rounds:
            for at in range(thread, 64, 4):
                os.pwrite(fd, bytes([rounds % 256]) * 512, at * 512)
                assert os.pread(fd, 512, at * 512) == bytes([rounds % 256]) * 512
            rounds += 1
        return rounds

    with many([partial(write, thread) for thread in range(4)]) as futures:
        for _ in range(30):
            machine.dm.suspend(md)
            machine.dm.resume(md)
        going = False
        assert all(future.result() for future in futures)
    os.close(fd)


@pytest.mark.parametrize("kind", ["read", "write", "part", "flush"])
def test_who_waits_for_a_suspended_md_can_be_killed(machine: Machine, kind: str) -> None:
    md = machine.linear()
    machine.dm.suspend(md)
    action = {
        "read": "os.pread(fd, 4096, 0)",
        "write": "os.pwrite(fd, bytes(4096), 0)",
        "part": "os.pwrite(fd, b'part', 0)",
        "flush": "os.fsync(fd)",
    }[kind]
    with blocked(machine.node(), action) as process:
        process.kill()
        assert process.wait() == -signal.SIGKILL
    until(lambda: md.open_count == 0)
    machine.dm.resume(md)
    fd = machine.open()
    assert os.pwrite(fd, b"x" * 512, 512) == 512
    assert os.pread(fd, 512, 512) == b"x" * 512
    os.close(fd)


def test_who_waits_for_a_device_that_hangs_can_be_killed(machine: Machine) -> None:
    machine.linear()
    machine.disk.hang()
    with blocked(machine.node(), "os.pread(fd, 512, 0)") as process:
        until(lambda: machine.disk.inside)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert machine.disk.inside
    machine.disk.let_go()
    fd = machine.open()
    assert os.pread(fd, 512, 0) == bytes(512)
    os.close(fd)


def test_a_signal_that_kills_nobody_interrupts_nothing(machine: Machine) -> None:
    """As a disk's I/O goes on; and after it a deadly signal still ends the wait."""
    md = machine.linear()
    machine.dm.suspend(md)
    with blocked(machine.node(), "assert os.pread(fd, 512, 0) == bytes(512)") as process:
        for _ in range(3):
            process.send_signal(signal.SIGUSR1)
        os.listdir(machine.folder)
        machine.dm.resume(md)
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
        assert process.wait() == 0
    machine.dm.suspend(md)
    with blocked(machine.node(), "os.pread(fd, 512, 0)") as process:
        process.send_signal(signal.SIGUSR1)
        os.listdir(machine.folder)
        process.send_signal(signal.SIGTERM)
        assert process.wait() == -signal.SIGTERM
    machine.dm.resume(md)


def test_closing_ends_all_waits(machine: Machine) -> None:
    suspended, hanging = machine.linear("vol"), Disk(1 << 20)
    machine.add(hanging, 1)
    machine.linear("hanging", 2048, "7:1")
    fds = [machine.open("vol"), machine.open("hanging")]
    machine.dm.suspend(suspended)
    hanging.hang()
    with many([partial(os.pread, fd, 512, 0) for fd in fds * 4]) as futures:
        until(lambda: hanging.inside)
        machine.nodes.close()
        for future in futures:
            assert isinstance(future.exception(), OSError)
    assert not os.path.ismount(machine.folder)
    for fd in fds:
        with fails(errno.ENOTCONN):
            os.pread(fd, 512, 0)
        os.close(fd)
    assert suspended.open_count == 0
    hanging.let_go()
    machine.dm.resume(suspended)
    machine.nodes.close()


def test_a_removal_that_waits_for_a_device_keeps_nobody_else_waiting(machine: Machine, other: int) -> None:
    """The last close begins it, be it by the program or by the end of the nodes."""
    disk = Disk(1 << 20)
    machine.add(disk, 1)
    mds = [machine.linear(name, 2048, device) for name, device in (("one", "7:0"), ("two", "7:1"))]
    fds = [machine.open(name) for name in ("one", "two")]
    machine.disk.hang()
    disk.hang()
    for name, hanging in (("one", machine.disk), ("two", disk)):
        with blocked(machine.node(name), "os.pread(fd, 512, 0)"):
            until(partial(getattr, hanging, "inside"))
    until(lambda: [md.open_count for md in mds] == [1, 1])
    for md in mds:
        machine.dm.remove(md, deferred=True)
    os.close(fds[0])
    assert answers(other)
    machine.nodes.close()
    assert not any(md.removed for md in mds)
    machine.disk.let_go()
    disk.let_go()
    until(lambda: all(md.removed for md in mds))
    os.close(fds[1])
    os.close(other)


def test_a_defect_ends_nothing_but_its_request(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.linear()
    fd = machine.open()
    told: list[type[BaseException]] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: told.append(args.exc_type))
    with monkeypatch.context() as spoilt:
        spoilt.setattr(Disk, "pread_into", lambda *_: 1 // 0)
        spoilt.setattr(Disk, "flush", lambda *_: 1 // 0)
        for _ in range(3):
            with fails(errno.EIO):
                os.pread(fd, 512, 0)
            with fails(errno.EIO):
                os.fsync(fd)
    until(lambda: told == [ZeroDivisionError] * 6)
    assert os.pread(fd, 512, 0) == bytes(512)
    os.close(fd)


class LateDisk(Disk):
    """What it reads it tells late: when `go` is set."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__(size_bytes)
        self.has_read, self.go = threading.Event(), threading.Event()

    def pread_into(self, buffer: bytearray | memoryview, offset: int) -> int:
        length = super().pread_into(buffer, offset)
        self.has_read.set()
        self.go.wait()
        return length


@pytest.mark.parametrize("line", ["linear 7:9 0", "flakey 7:9 0 1000000 0"])
@pytest.mark.parametrize("action", ["os.pwrite(fd, b'w' * 512, 512)", "os.pwrite(fd, b'w' * 600, 500)"])
def test_a_write_of_part_of_a_sector_loses_no_other_write_there(machine: Machine, line: str, action: str) -> None:
    disk = LateDisk(1 << 20)
    machine.add(disk, 9)
    machine.dm.create("vol", f"0 2048 {line}")
    fd = machine.open()
    with many([partial(os.pwrite, fd, b"p" * 100, 512)]) as futures:
        try:
            disk.has_read.wait()
            with blocked(machine.node(), action) as process:
                assert os.pwrite(fd, b"n" * 512, 8192) == 512, "the others go on"
                disk.go.set()
                assert process.stdout is not None
                assert process.stdout.readline() == "done\n"
        finally:
            disk.go.set()
        assert futures[0].result() == 100
    assert disk.pread(512, 512) == b"w" * 512
    assert disk.pread(512, 8192) == b"n" * 512
    os.close(fd)


def test_an_open_whose_process_was_killed_counts_no_more(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    md = machine.linear()
    opening, go = threading.Event(), threading.Event()
    counts: list[int] = []
    count = md.opened_by

    def opened_by(by: int, *, alone: bool = False) -> None:
        if by > 0:
            opening.set()
            go.wait()
        count(by, alone=alone)
        counts.append(by)

    monkeypatch.setattr(md, "opened_by", opened_by)
    with subprocess.Popen(["cat", str(machine.node())], stdout=subprocess.DEVNULL) as process:
        try:
            assert opening.wait(60)
            process.kill()
            assert process.wait(60) == -signal.SIGKILL
        finally:
            go.set()
    until(lambda: counts == [1, -1])
    assert md.open_count == 0
    machine.dm.remove(md)
