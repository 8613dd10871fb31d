"""I/O in flight while tables change: on files, through targets that keep bios, and behind the ends of devices."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dmtable.core.bio import Bio, Op
from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.registry import Registry
from dmtable.core.target import Context, MapResult, StatusKind, Target
from dmtable.io.file import FileDevice
from dmtable.io.memory import MemoryDevice
from dmtable.language.parser import parse
from dmtable.targets.zero import ZeroParams
from dmtable.units import SECTOR_BYTES

SWAPS = 80


class Keep(Target):
    """Keeps each bio until it is told to let go."""

    name = "keep"
    version = (1, 0, 0)
    params = ZeroParams

    def __init__(self, context: Context, begin: int, length: int, params: ZeroParams) -> None:
        super().__init__(context, begin, length)
        self.kept: list[Bio] = []

    def map(self, bio: Bio) -> MapResult:
        self.kept.append(bio)
        return MapResult.SUBMITTED

    def status(self, kind: StatusKind) -> str:
        return ""


def test_suspend_waits_for_bios_that_a_target_keeps() -> None:
    registry = Registry()
    registry.add(Keep)
    with DeviceMapper(registry=registry) as dm:
        md = dm.create("md", "0 8 keep")
        assert md.live is not None
        target = md.live.target_at(0)
        assert isinstance(target, Keep)
        bio = Bio(Op.READ, 0, 1, memoryview(bytearray(SECTOR_BYTES)))
        md.submit(bio)
        suspending = threading.Thread(target=dm.suspend, args=(md,))
        suspending.start()
        while md.running:
            pass
        assert suspending.is_alive()
        assert not md.suspended
        target.kept.pop().complete()
        suspending.join()
        assert (bio.done, md.suspended) == (True, True)
        dm.resume(md)


@pytest.fixture
def files(tmp_path: Path) -> Iterator[list[FileDevice]]:
    paths = [tmp_path / name for name in ("a", "b")]
    for path in paths:
        path.write_bytes(bytes(16 * SECTOR_BYTES))
    devices = [FileDevice(path) for path in paths]
    yield devices
    for device in devices:
        device.close()


@pytest.mark.parametrize("lines", ["0 16 linear {0} 0", "0 8 linear {0} 0\n8 8 linear {0} 8"])
def test_no_write_lands_on_a_file_that_was_swapped_away(lines: str, files: list[FileDevice]) -> None:
    with DeviceMapper() as dm:
        for name, device in zip("ab", files, strict=True):
            dm.add(device, f"/dev/{name}")
        md = dm.create("md", lines.format("/dev/a"))
        written, stop = 0, False

        def writer() -> None:
            nonlocal written
            while not stop:
                # The closure itself, as a caller may keep it, over many swaps.
                assert write((written + 1).to_bytes(8, "big") * 64, 0) == SECTOR_BYTES
                assert int.from_bytes(read(SECTOR_BYTES, 0)[:8], "big") in (written + 1, left_behind)
                written += 1

        read, write, left_behind = md.pread, md.pwrite, 0
        thread = threading.Thread(target=writer)
        thread.start()
        for swap in range(SWAPS):
            old, new = files[swap % 2], "ba"[swap % 2]
            dm.load(md, parse(lines.format(f"/dev/{new}")))
            dm.suspend(md)
            # What the reader may see once after the swap, if its write still went to the old file.
            left_behind = int.from_bytes(files[1 - swap % 2].pread(8, 0), "big")
            image = old.pread(16 * SECTOR_BYTES, 0)
            dm.resume(md)
            before = written
            while thread.is_alive() and written < before + 2:
                pass
            assert old.pread(16 * SECTOR_BYTES, 0) == image
            read, write = md.pread, md.pwrite
        stop = True
        thread.join()
        assert int.from_bytes(md.pread(8 * 64, 0)[:8], "big") == written


def test_an_empty_file_is_not_judged_and_never_grows(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.write_bytes(b"")
    with DeviceMapper() as dm:
        device = FileDevice(path)
        dm.add(device, "/dev/empty")
        dm.add(MemoryDevice(8 * SECTOR_BYTES), "/dev/full")
        md = dm.create("md", "0 8 linear /dev/empty 0\n8 8 linear /dev/full 0")
        for call in (lambda: md.pread(SECTOR_BYTES, 0), lambda: md.pwrite(bytes(SECTOR_BYTES), 0)):
            with pytest.raises(OSError, match="Errno 5"):
                call()
        assert md.pwrite(bytes(SECTOR_BYTES), 8 * SECTOR_BYTES) == SECTOR_BYTES
        assert md.compiled is not None
        assert list(md.compiled.map.starts) == [0, 8, 16]
        device.close()
    assert path.stat().st_size == 0
