"""The life of mds: loads that fail, suspend and resume, swaps under load, opens, removal, loops."""

from __future__ import annotations

import errno
import threading

import pytest

from dmtable.core.bio import Bio, Op
from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.table import TargetSpec
from dmtable.errors import IoctlError
from dmtable.io.memory import MemoryDevice
from dmtable.language.diagnostics import TableError
from dmtable.language.parser import parse
from dmtable.units import SECTOR_BYTES
from tests.core.disks import mapper_with, sector


def write_bio(at: int, content: bytes) -> Bio:
    return Bio(Op.WRITE, at, len(content) // SECTOR_BYTES, memoryview(content))


def test_a_failed_load_changes_nothing() -> None:
    dm, _ = mapper_with({"d0": 64})
    with dm:
        lower = dm.create("lower", "0 32 linear /dev/d0 0")
        md = dm.create("md", "0 8 zero")
        dm.load(md, parse("0 8 linear /dev/mapper/lower 0"))
        inactive, opens = md.inactive, lower.open_count
        one_bad_line = "0 8 linear /dev/mapper/lower 0\n8 8 linear /dev/mapper/lower x"
        for bad in (one_bad_line, "0 8 linear /dev/nope 0", "4 8 zero"):
            with pytest.raises(IoctlError):
                dm.load(md, parse(bad))
            assert (md.inactive, lower.open_count) == (inactive, opens)
        assert md.pread(SECTOR_BYTES, 0) == bytes(SECTOR_BYTES)
        dm.clear(md)
        assert lower.open_count == 0


def test_a_failed_create_leaves_no_md() -> None:
    dm, _ = mapper_with({"d0": 64})
    with dm:
        with pytest.raises(IoctlError) as refused:
            dm.create("md", "0 65 linear /dev/d0 0")
        assert refused.value.errno == errno.EINVAL
        assert "d0" not in dm
        with pytest.raises(TableError):
            dm.create("md", "0 eight zero")
        assert len(dm) == 0


def test_the_first_refusal_is_the_kernels() -> None:
    dm, _ = mapper_with({"d0": 64})
    with dm:
        md = dm.create_device("md")
        with pytest.raises(IoctlError) as refused:
            dm.load(md, [TargetSpec(0, 8, "linear", ("/dev/d0", "99")), TargetSpec(8, 8, "linear", ("/dev/d0", "x"))])
        assert refused.value.log[0] == "device-mapper: table: 253:0: linear: Invalid device sector (-EINVAL)"
        with pytest.raises(IoctlError) as refused:
            dm.load(md, [])
        assert refused.value.log == ("device-mapper: ioctl: populate_table: no targets specified",)


@pytest.mark.parametrize("stacked", [False, True])
def test_io_on_a_suspended_md_waits_and_lands_in_the_new_table(stacked: bool) -> None:
    dm, devices = mapper_with({"d0": 64, "d1": 64})
    with dm:
        md = dm.create("md", "0 32 linear /dev/d0 0")
        top = dm.create("top", "0 32 linear /dev/mapper/md 0") if stacked else md
        top.pwrite(b"a" * SECTOR_BYTES, 0)
        dm.suspend(md)
        bio = write_bio(1, b"b" * SECTOR_BYTES)
        top.submit(bio)
        assert not bio.done
        dm.load(md, parse("0 32 linear /dev/d1 0"))
        dm.resume(md)
        assert bio.done
        assert bio.error == 0
        assert devices["d0"].pread(2 * SECTOR_BYTES, 0) == b"a" * SECTOR_BYTES + sector("d0", 1)
        assert devices["d1"].pread(2 * SECTOR_BYTES, 0) == sector("d1", 0) + b"b" * SECTOR_BYTES
        assert top.pread(SECTOR_BYTES, SECTOR_BYTES) == b"b" * SECTOR_BYTES


def test_a_suspended_md_holds_its_own_callers_only() -> None:
    dm, _ = mapper_with({"d0": 64, "d1": 64})
    with dm:
        a = dm.create("a", "0 16 linear /dev/d0 0")
        b = dm.create("b", "0 16 linear /dev/d1 0")
        both = dm.create("both", "0 16 linear /dev/mapper/a 0\n16 16 linear /dev/mapper/b 0")
        dm.suspend(a)
        assert both.pread(SECTOR_BYTES, 16 * SECTOR_BYTES) == sector("d1", 0)
        held = Bio(Op.READ, 0, 1, memoryview(bytearray(SECTOR_BYTES)))
        both.submit(held)
        assert not held.done
        # The held bio is in flight on `both`, and must not keep `b` from suspending.
        dm.suspend(b)
        dm.resume(b)
        dm.resume(a)
        assert held.done
        assert held.data == sector("d0", 0)


@pytest.mark.parametrize("stacked", [False, True])
def test_swaps_under_load_lose_and_misplace_nothing(stacked: bool) -> None:
    dm, devices = mapper_with({"d0": 64, "d1": 64})
    threads, swaps = 4, 60
    with dm:
        md = dm.create("md", "0 32 linear /dev/d0 0")
        top = dm.create("top", "0 16 linear /dev/mapper/md 0\n16 16 linear /dev/mapper/md 16") if stacked else md
        stop = threading.Event()
        written = [0] * threads
        failures: list[BaseException] = []

        def writer(number: int) -> None:
            try:
                while not stop.is_set():
                    content = (written[number] + 1).to_bytes(8, "big") * (SECTOR_BYTES // 8)
                    # Sectors 15 and 16 lie on two lines of `top`.
                    top.pwrite(content * 2 if number else content, 15 * SECTOR_BYTES if number == 1 else number * 1024)
                    written[number] += 1
            except BaseException as error:
                failures.append(error)

        workers = [threading.Thread(target=writer, args=(number,)) for number in range(threads)]
        for worker in workers:
            worker.start()
        names = ["d1", "d0"]
        for swap in range(swaps):
            dm.load(md, parse(f"0 32 linear /dev/{names[swap % 2]} 0"))
            dm.resume(md)
            left = devices[names[1 - swap % 2]]
            image = left.pread(left.size_bytes, 0)
            before = list(written)
            while not failures and any(now <= then for now, then in zip(written, before, strict=True)):
                pass
            assert left.pread(left.size_bytes, 0) == image, "a write landed on the device that was swapped away"
        stop.set()
        for worker in workers:
            worker.join()
        assert not failures
        for number in range(threads):
            at = 15 * SECTOR_BYTES if number == 1 else number * 1024
            assert int.from_bytes(top.pread(SECTOR_BYTES, at)[:8], "big") == written[number]


def test_suspend_waits_for_io_in_flight() -> None:
    entered, go = threading.Event(), threading.Event()

    class SlowDisk(MemoryDevice):
        def pwrite(self, data: bytes | bytearray | memoryview, offset: int) -> int:
            entered.set()
            go.wait()
            return super().pwrite(data, offset)

    slow = SlowDisk(64 * SECTOR_BYTES)
    with DeviceMapper() as dm:
        dm.add(slow, "/dev/slow")
        lower = dm.create("lower", "0 64 linear /dev/slow 0")
        top = dm.create("top", "0 64 linear /dev/mapper/lower 0")
        writer = threading.Thread(target=top.pwrite, args=(b"w" * SECTOR_BYTES, 0))
        writer.start()
        entered.wait()
        suspender = threading.Thread(target=dm.suspend, args=(lower,))
        suspender.start()
        while lower.running:
            pass
        assert not lower.suspended
        go.set()
        suspender.join()
        writer.join()
        assert lower.suspended
        assert slow.pread(SECTOR_BYTES, 0) == b"w" * SECTOR_BYTES
        dm.resume(lower)


@pytest.mark.parametrize("word", ["253:0", "/dev/mapper/a", "/dev/dm-0", "253:1"])
def test_a_table_that_would_make_a_loop_is_refused(word: str) -> None:
    dm, _ = mapper_with({"d0": 64})
    with dm:
        a = dm.create("a", "0 32 linear /dev/d0 0")
        dm.create("b", "0 32 linear /dev/mapper/a 0")
        with pytest.raises(IoctlError) as refused:
            dm.load(a, parse(f"0 32 linear {word} 0"))
        assert refused.value.errno == errno.EINVAL
        assert "Device lookup failed (-EINVAL)" in refused.value.text
        assert a.inactive is None


def test_loops_through_inactive_tables_are_refused_too() -> None:
    with DeviceMapper() as dm:
        a, b = dm.create("a", "0 8 zero"), dm.create("b", "0 8 zero")
        dm.load(a, parse("0 8 linear /dev/mapper/b 0"))
        with pytest.raises(IoctlError):
            dm.load(b, parse("0 8 linear /dev/mapper/a 0"))


def test_opens_and_removal() -> None:
    dm, _ = mapper_with({"d0": 64})
    with dm:
        a = dm.create("a", "0 32 linear /dev/d0 0")
        dm.create("b", "0 32 linear /dev/mapper/a 0")
        with pytest.raises(IoctlError) as refused:
            dm.remove(a)
        assert refused.value.errno == errno.EBUSY
        with dm["b"].open() as file:
            assert dm["b"].open_count == 1
            assert file.read(SECTOR_BYTES) == sector("d0", 0)
            dm.remove(dm["b"], deferred=True)
            assert "b" in dm
        assert "b" not in dm
        dm.remove(a)
        with pytest.raises(OSError, match="Errno 6"):
            a.pread(SECTOR_BYTES, 0)


def test_a_shrunk_md_below_fails_what_lies_behind_its_end() -> None:
    dm, _ = mapper_with({"d0": 64})
    with dm:
        lower = dm.create("lower", "0 32 linear /dev/d0 0")
        top = dm.create("top", "0 32 linear /dev/mapper/lower 0")
        dm.load(lower, parse("0 16 linear /dev/d0 0"))
        dm.resume(lower)
        assert top.size_bytes == 32 * SECTOR_BYTES
        assert top.pread(SECTOR_BYTES, 15 * SECTOR_BYTES) == sector("d0", 15)
        with pytest.raises(OSError, match="Errno 5"):
            top.pread(2 * SECTOR_BYTES, 15 * SECTOR_BYTES)
        dm.load(top, parse("0 32 linear /dev/mapper/lower 0"))
        with pytest.raises(IoctlError) as refused:
            dm.resume(top)
        assert refused.value.text == "table: 253:1: dm-0 too small for target: start=0, len=32, dev_size=16"
        assert (top.suspended, top.inactive) == (True, None)
        dm.resume(top)
        assert top.pread(SECTOR_BYTES, 0) == sector("d0", 0)


def test_the_edges_of_a_device() -> None:
    dm, devices = mapper_with({"d0": 64})
    with dm:
        md = dm.create("md", "0 8 linear /dev/d0 0")
        end = 8 * SECTOR_BYTES
        assert md.pread(2 * SECTOR_BYTES, end - SECTOR_BYTES) == sector("d0", 7)
        assert md.pread(SECTOR_BYTES, end) == b""
        assert md.pread(0, end) == b""
        assert md.pwrite(b"x" * (2 * SECTOR_BYTES), end - SECTOR_BYTES) == SECTOR_BYTES
        assert devices["d0"].pread(SECTOR_BYTES, end) == sector("d0", 8)
        for call in (
            lambda: md.pread(1, 0),
            lambda: md.pread(SECTOR_BYTES, 1),
            lambda: md.pread(-SECTOR_BYTES, 0),
            lambda: md.pread(SECTOR_BYTES, -SECTOR_BYTES),
            lambda: md.pwrite(b"x", 0),
            lambda: md.discard(end - SECTOR_BYTES, 2 * SECTOR_BYTES),
        ):
            with pytest.raises(OSError, match="Errno 22"):
                call()
        with pytest.raises(OSError, match="Errno 28"):
            md.pwrite(b"x" * SECTOR_BYTES, end)


def test_any_buffer_can_be_written() -> None:
    dm, _ = mapper_with({"d0": 64})
    with dm:
        md = dm.create("md", "0 8 linear /dev/d0 0")
        wide = memoryview(b"0123" * 256).cast("I")
        assert md.pwrite(wide, 0) == 1024
        assert md.pread(1024, 0) == b"0123" * 256
        assert md.pwrite(bytearray(b"z" * 512), 512) == 512
        assert md.pread(512, 512) == b"z" * 512


def test_a_read_only_table_takes_no_writes() -> None:
    dm, _ = mapper_with({"d0": 64})
    with dm:
        md = dm.create("md", "0 8 linear /dev/d0 0", read_only=True)
        for call in (
            lambda: md.pwrite(b"x" * 512, 0),
            lambda: md.discard(0, 512),
            lambda: md.write_zeroes(0, 512),
        ):
            with pytest.raises(OSError, match="Errno 1]"):
                call()
        dm.load(md, parse("0 8 linear /dev/d0 0"))
        dm.resume(md)
        assert md.pwrite(b"x" * 512, 0) == 512


def test_closing_fails_io_that_waits_for_a_suspended_md() -> None:
    dm, _ = mapper_with({"d0": 64})
    lower = dm.create("lower", "0 8 linear /dev/d0 0")
    top = dm.create("top", "0 8 linear /dev/mapper/lower 0")
    dm.suspend(lower)
    bio = write_bio(0, b"x" * SECTOR_BYTES)
    top.submit(bio)
    assert not bio.done
    dm.close()
    assert (bio.done, bio.error) == (True, errno.EIO)


@pytest.mark.parametrize("request_name", ["suspend", "resume"])
def test_an_interrupted_suspend_leaves_the_md_as_it_was(request_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    dm, _ = mapper_with({"d0": 64, "d1": 64})
    with dm:
        md = dm.create("md", "0 8 linear /dev/d0 0")
        dm.load(md, parse("0 8 linear /dev/d1 0"))
        with monkeypatch.context() as patch:
            patch.setattr(md, "wait_idle", interrupted)
            with pytest.raises(KeyboardInterrupt):
                getattr(dm, request_name)(md)
        assert md.pread(SECTOR_BYTES, 0) == sector("d0", 0)
        dm.resume(md)
        assert md.pread(SECTOR_BYTES, 0) == sector("d1", 0)
