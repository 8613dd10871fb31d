"""What must hold when a thread is interrupted, a target or a callback raises, or two requests meet."""

from __future__ import annotations

import errno
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dmtable.core.bio import Bio, Op
from dmtable.core.compiled import CompiledIo, SlowWay, compile_io
from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.extents import ExtentMapBuilder
from dmtable.core.mapped_device import MappedDevice
from dmtable.core.registry import Registry
from dmtable.core.target import Context, MapResult, StatusKind, Target
from dmtable.errors import IoctlError
from dmtable.io.file import FileDevice
from dmtable.io.memory import MemoryDevice
from dmtable.language.parser import parse
from dmtable.runtime.threads import ThreadRuntime
from dmtable.targets.zero import ZeroParams
from dmtable.units import SECTOR_BYTES
from tests.core.disks import mapper_with

INTERRUPTS = 300


def read_bio(at: int = 0) -> Bio:
    return Bio(Op.READ, at, 1, memoryview(bytearray(SECTOR_BYTES)))


class SlowDisk(MemoryDevice):
    """A disk whose writes wait for `go`."""

    def __init__(self) -> None:
        super().__init__(64 * SECTOR_BYTES)
        self.entered, self.go = threading.Event(), threading.Event()

    def pwrite(self, data: bytes | bytearray | memoryview, offset: int) -> int:
        self.entered.set()
        self.go.wait()
        return super().pwrite(data, offset)


@pytest.fixture
def timer() -> Iterator[None]:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def read_until_interrupted(compiled: CompiledIo, seconds: float) -> None:
    signal.setitimer(signal.ITIMER_REAL, seconds)
    while True:
        compiled.pread(SECTOR_BYTES, 0)


def test_an_interrupt_anywhere_in_the_quick_way_leaves_the_gate(timer: None, tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(bytes(4096))
    device = FileDevice(path)
    builder = ExtentMapBuilder(lambda device: device)
    builder.add_linear(0, 8, device, 0)
    slow = SlowWay(*[lambda *_: pytest.fail("no slow way")] * 6)
    for number in range(INTERRUPTS):
        compiled = compile_io(builder.build(), slow, ThreadRuntime().condition(), read_only=False)
        with pytest.raises(KeyboardInterrupt):
            read_until_interrupted(compiled, 50e-6 + number * 1e-7)
        compiled.kill()
        waiting = threading.Thread(target=compiled.wait_empty, daemon=True)
        waiting.start()
        waiting.join(10)
        assert not waiting.is_alive()
    device.close()


def test_an_interrupted_bio_is_over() -> None:
    class Interrupted(MemoryDevice):
        def pread_into(self, buffer: bytearray | memoryview, offset: int) -> int:
            raise KeyboardInterrupt

    with DeviceMapper() as dm:
        dm.add(Interrupted(4096), "/dev/x")
        md = dm.create("md", "0 8 linear /dev/x 0")
        bio = read_bio()
        with pytest.raises(KeyboardInterrupt):
            md.submit(bio)
        assert (bio.done, bio.error) == (True, errno.EIO)
        dm.suspend(md)


def test_a_target_that_raises_leaves_nothing_in_flight() -> None:
    class Stumbles(Target):
        name = "stumbles"
        version = (1, 0, 0)
        params = ZeroParams

        def __init__(self, context: Context, begin: int, length: int, params: ZeroParams) -> None:
            super().__init__(context, begin, length)

        def map(self, bio: Bio) -> MapResult:
            raise ValueError("stumbled")

        def status(self, kind: StatusKind) -> str:
            return ""

    registry = Registry()
    registry.add(Stumbles)
    with DeviceMapper(registry=registry) as dm:
        md = dm.create("md", "0 8 stumbles\n8 8 zero")
        bio = Bio(Op.READ, 7, 2, memoryview(bytearray(1024)))
        with pytest.raises(ValueError, match="stumbled"):
            md.submit(bio)
        assert (bio.done, bio.error) == (True, errno.EIO)
        dm.suspend(md)


def test_a_callback_that_raises_does_not_lose_the_bios_behind_it() -> None:
    def raises() -> None:
        raise ValueError("callback")

    with DeviceMapper() as dm:
        md = dm.create("md", "0 8 zero")
        dm.suspend(md)
        first, second = read_bio(), read_bio()
        first.on_done(raises)
        md.submit(first)
        md.submit(second)
        with pytest.raises(ValueError, match="callback"):
            dm.resume(md)
        assert (first.done, second.done) == (True, True)


@pytest.mark.parametrize("at", [-1, 8, 1 << 60])
def test_bios_outside_of_the_md_fail(at: int) -> None:
    with DeviceMapper() as dm:
        bio = read_bio(at)
        dm.create("md", "0 8 zero").submit(bio)
        assert (bio.done, bio.error) == (True, errno.EIO)


def test_an_interrupted_removal_leaves_the_md_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with DeviceMapper() as dm:
        md = dm.create("md", "0 8 zero")
        with monkeypatch.context() as patch:
            patch.setattr(md, "wait_idle", interrupted)
            with pytest.raises(KeyboardInterrupt):
                dm.remove(md)
        assert dm["md"] is md
        assert md.pread(SECTOR_BYTES, 0) == bytes(SECTOR_BYTES)
        md.open().close()
        dm.remove(md)
        assert "md" not in dm


def test_an_md_that_is_being_removed_can_be_neither_opened_nor_used_nor_removed_again() -> None:
    slow = SlowDisk()
    with DeviceMapper() as dm:
        dm.add(slow, "/dev/slow")
        md = dm.create("md", "0 8 linear /dev/slow 0")
        upper = dm.create_device("upper")
        writer = threading.Thread(target=md.pwrite, args=(b"w" * SECTOR_BYTES, 0))
        writer.start()
        slow.entered.wait()
        remover = threading.Thread(target=dm.remove, args=(md,))
        remover.start()
        while md.running:
            pass
        with pytest.raises(OSError, match="Errno 6"):
            md.open()
        with pytest.raises(IoctlError, match="ENXIO"):
            dm.load(upper, parse("0 8 linear /dev/mapper/md 0"))
        with pytest.raises(IoctlError) as refused:
            dm.remove(md)
        assert refused.value.errno == errno.ENXIO
        slow.go.set()
        writer.join()
        remover.join()
        assert md.removed
        assert "md" not in dm


def suspended_in_vain(dm: DeviceMapper, md: MappedDevice, disk: SlowDisk) -> list[threading.Thread]:
    """A writer that is stuck in the disk below the md, and who waits for it to resume the md."""
    writer = threading.Thread(target=md.pwrite, args=(b"w" * SECTOR_BYTES, 0))
    writer.start()
    disk.entered.wait()
    resumer = threading.Thread(target=dm.resume, args=(md,))
    resumer.start()
    while md.running:
        pass
    return [writer, resumer]


def test_who_waits_for_one_md_does_not_hold_up_the_others() -> None:
    slow = SlowDisk()
    with DeviceMapper() as dm:
        dm.add(slow, "/dev/slow")
        stuck, other = dm.create("stuck", "0 8 linear /dev/slow 0"), dm.create("other", "0 8 zero")
        dm.load(stuck, parse("0 8 zero"))
        threads = suspended_in_vain(dm, stuck, slow)
        request = threading.Thread(target=dm.suspend, args=(other,), daemon=True)
        request.start()
        request.join(10)
        assert other.suspended
        slow.go.set()
        for thread in threads:
            thread.join()


def test_a_table_on_its_way_to_be_live_counts_when_loops_are_looked_for() -> None:
    slow = SlowDisk()
    with DeviceMapper() as dm:
        dm.add(slow, "/dev/slow")
        a, b = dm.create("a", "0 8 linear /dev/slow 0"), dm.create("b", "0 8 zero")
        dm.load(a, parse("0 8 linear /dev/mapper/b 0"))
        threads = suspended_in_vain(dm, a, slow)
        with pytest.raises(IoctlError) as refused:
            dm.load(b, parse("0 8 linear /dev/mapper/a 0"))
        assert "Device lookup failed (-EINVAL)" in refused.value.text
        slow.go.set()
        for thread in threads:
            thread.join()
        assert a.pread(SECTOR_BYTES, 0) == bytes(SECTOR_BYTES)


def test_what_stood_on_an_md_is_forgotten_when_it_is_removed() -> None:
    dm, _ = mapper_with({"d0": 64})
    with dm:
        lower = dm.create("lower", "0 8 linear /dev/d0 0")
        for _ in range(3):
            dm.remove(dm.create("upper", "0 8 linear /dev/mapper/lower 0"))
        assert not lower.built_over


def test_a_flush_that_fails_does_not_keep_the_other_devices_from_being_flushed() -> None:
    class Flushed(MemoryDevice):
        fails = False
        flushes = 0

        def flush(self) -> None:
            self.flushes += 1
            if self.fails:
                raise OSError(errno.EIO, "no")

    disks = [Flushed(4096), Flushed(4096)]
    disks[0].fails = True
    with DeviceMapper() as dm:
        for name, disk in zip("ab", disks, strict=True):
            dm.add(disk, f"/dev/{name}")
        md = dm.create("md", "0 8 linear /dev/a 0\n8 8 linear /dev/b 0")
        with pytest.raises(OSError, match="Errno 5"):
            md.flush()
        assert [disk.flushes for disk in disks] == [1, 1]


@pytest.mark.parametrize(("name", "uuid"), [("\ud800", ""), ("md", "\ud800")])
def test_names_without_a_form_in_bytes_are_refused(name: str, uuid: str) -> None:
    with DeviceMapper() as dm, pytest.raises(IoctlError) as refused:
        dm.create_device(name, uuid)
    assert refused.value.errno == errno.EINVAL


def test_only_the_kernels_spelling_of_a_minor_is_a_path() -> None:
    with DeviceMapper() as dm:
        dm.create("md", "0 8 zero")
        assert dm.lookup("/dev/dm-0").name == "253:0"
        for digits in ("00", "٠", "1" * 5000):
            with pytest.raises(Exception, match="does not exist"):
                dm.lookup(f"/dev/dm-{digits}")


def test_a_closed_file_does_nothing_more() -> None:
    with DeviceMapper() as dm:
        file = dm.create("md", "0 8 zero").open()
        with pytest.raises(OSError, match="Errno 22"):
            file.seek(0, 9)
        file.close()
        for call in (lambda: file.read(512), lambda: file.write(bytes(512)), file.fsync):
            with pytest.raises(ValueError, match="closed file"):
                call()
