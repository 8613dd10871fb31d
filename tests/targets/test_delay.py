"""delay: the contract of all targets, and how long requests wait."""

from __future__ import annotations

import errno

from dmtable.core.bio import Op
from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.mapped_device import MappedDevice
from dmtable.core.target import StatusKind
from dmtable.io.memory import MemoryDevice
from dmtable.runtime.threads import ThreadRuntime
from dmtable.testing.contracts import Example, Refused
from tests.contracts import OnOneDevice
from tests.targets.machine import Machine


class TestDelay(OnOneDevice):
    target = "delay"
    examples = (
        Example("/dev/a 8 0", 64),
        Example("/dev/a 8 50", 64),
        Example("/dev/a 0 0 /dev/a 0 20", 32),
        Example("/dev/a 4 10 /dev/a 4 20 /dev/a 4 30", 16),
    )
    refused = (
        Refused("/dev/a 0", 64, errno.EINVAL),
        Refused("/dev/a x 1", 64, errno.EINVAL),
        Refused("/dev/a 0 -1", 64, errno.EINVAL),
        Refused("/dev/a 0 1 /dev/none 0 1", 64, errno.ENODEV),
        Refused("/dev/a 200 1", 64, errno.EINVAL),
    )


def test_each_kind_of_request_waits_for_its_own_time(make: type[Machine]) -> None:
    machine = make("0 64 delay /dev/a 0 1000 /dev/b 8 2000 /dev/b 0 3000")
    read = machine.sent(Op.READ, 0, bytes(512))
    write, zero = machine.sent(Op.WRITE, 1, b"n" * 512), machine.sent(Op.WRITE_ZEROES, 2)
    flush = machine.sent(Op.FLUSH, 0)
    done: list[tuple[float, str]] = []
    for name, bio in (("read", read), ("write", write), ("flush", flush)):
        bio.on_done(lambda name=name: done.append((machine.runtime.now(), name)))  # type: ignore[misc]
    assert zero.done, "a request for nothing is over at once"
    assert machine.target.status(StatusKind.INFO) == "1 1 1"
    machine.runtime.pass_time(2.5)
    assert machine.target.status(StatusKind.INFO) == "0 0 1"
    machine.runtime.run()
    assert done == [(1.0, "read"), (2.0, "write"), (3.0, "flush")]
    assert bytes(read.data or b"").startswith(b"a0 ")
    assert machine.world.disks["b"].image[9] == b"n" * 512
    assert machine.target.status(StatusKind.TABLE) == "7:0 0 1000 7:1 8 2000 7:1 0 3000"


def test_a_suspend_lets_go_what_waits_in_the_order_of_its_coming(make: type[Machine]) -> None:
    machine = make("0 64 delay /dev/a 0 0 /dev/a 0 5000")
    ends: list[int] = []
    bios = [machine.sent(Op.WRITE, at, f"{at}".encode().ljust(512)) for at in (3, 1, 2)]
    for bio in bios:
        bio.on_done(lambda bio=bio: ends.append(bio.sector))  # type: ignore[misc]
    machine.runtime.pass_time(1)
    assert ends == []
    machine.dm.suspend(machine.md)
    assert (ends, machine.runtime.now()) == ([3, 1, 2], 1.0)
    late = machine.sent(Op.WRITE, 0, bytes(512))
    machine.dm.resume(machine.md)
    machine.runtime.settle()
    assert machine.target.status(StatusKind.INFO) == "0 1 0"
    machine.runtime.run()
    assert late.done
    assert machine.runtime.now() == 6.0


def test_a_suspend_that_is_taken_back_leaves_the_delay(make: type[Machine]) -> None:
    machine = make("0 64 delay /dev/a 0 1000")
    machine.target.presuspend()
    machine.target.presuspend_undo()
    read = machine.sent(Op.READ, 0, bytes(512))
    machine.runtime.settle()
    assert not read.done


def test_overlapping_waits_do_not_add_up(make: type[Machine]) -> None:
    machine = make("0 64 delay /dev/a 0 1000")
    bios = [machine.sent(Op.READ, at, bytes(512)) for at in range(20)]
    machine.runtime.run()
    assert all(bio.done and not bio.error for bio in bios)
    assert machine.runtime.now() == 1.0


def test_a_delay_on_threads(make: type[Machine]) -> None:
    runtime = ThreadRuntime()
    with DeviceMapper(runtime=runtime) as dm:
        dm.add(MemoryDevice(1 << 16), "/dev/a")
        md = dm.create("md", "0 64 delay /dev/a 0 1")
        _write_and_read(md)
        begin = runtime.now()
        md.pread(512, 0)
        assert runtime.now() - begin >= 0.001
        dm.suspend(md)
        dm.resume(md)
        _write_and_read(md)
    runtime.close()


def _write_and_read(md: MappedDevice) -> None:
    for at in range(8):
        md.pwrite(bytes([at]) * 512, at * 512)
    assert [md.pread(512, at * 512)[0] for at in range(8)] == [*range(8)]
