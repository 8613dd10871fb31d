"""The slides' group over image files in a process that is killed again and again: its tables, its writes, its life.

Each entry has a number, which is in all its sectors.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from dmtable import DeviceMapper, FileDevice, MappedDevice
from dmtable.cli.main import main as command
from dmtable.io.device import Buffer
from dmtable.runtime.runtime import Timer
from dmtable.runtime.threads import ThreadRuntime
from dmtable.sim.ink import stamp, tags_of_bytes

DEVICE_SECTORS = 4096
WINDOW_SECTORS = 192
WINDOW_BEGINS = (DEVICE_SECTORS - WINDOW_SECTORS) // 2
"""All writes go there: across a border between regions."""
_HASTE = 200
"""The process' time passes so much faster: what waits a second for a dead link waits no longer than a test may."""
_LOG_SECTORS = 4096

_SEED = Path(__file__).parent.parent.parent / "fixtures" / "seed"
_SMALLER = {"209715200": DEVICE_SECTORS, "2097152": _LOG_SECTORS, "32768": 2048, "16384": 1024}
"""The slides' volumes have 100 GiB, and their log one."""

LOCAL = ("dev/local_vg/lvol0", "dev/local_vg/lvol1")
REMOTE = ("dev/remote_vg/lvol0", "dev/remote_vg/lvol1")
_LOG = "dev/local_vg/replog_store"
_DIRTY = tuple(f"dev/local_vg/slink1_lvol{device}_dirty_log" for device in range(2))


def make_images(root: Path) -> None:
    """Empty images for all devices of the group."""
    for name in (*LOCAL, *REMOTE, _LOG, *_DIRTY):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.truncate(4 << 20 if name == _LOG else DEVICE_SECTORS << 9)


def write_tables(root: Path, dialect: str) -> None:
    """Puts the tables of the group where its lives find them: those that create the log, and those that open it."""
    created = {"2008": _slides, "2009": _pair}[dialect](root)
    create = f"4 /{_LOG} 32 create {_LOG_SECTORS}"
    opened = {name: text.replace(create, f"3 /{_LOG} 32 open") for name, text in created.items()}
    (root / "first.json").write_text(json.dumps(created))
    (root / "later.json").write_text(json.dumps(opened))


def _slides(root: Path) -> dict[str, str]:
    return {
        f"lvol{device}": _mended(root, f"replicator-{which}.dm") for device, which in enumerate(("first", "second"))
    }


def _mended(root: Path, name: str) -> str:
    """A table of the slides as `dmtable check --fix` leaves it, but for its sizes."""
    copy = root / name
    copy.write_text((_SEED / name).read_text())
    command(["check", "--fix", str(copy)])
    text = copy.read_text()
    for large, small in _SMALLER.items():
        text = text.replace(large, str(small))
    return text


def _pair(root: Path) -> dict[str, str]:
    """The same group in the dialect of 2009, where all regions have one size."""
    group = f"0 {_LOG_SECTORS} replicator ringbuffer 4 /{_LOG} 32 create {_LOG_SECTORS} "
    made = {"group": group + "blockdev 4 0 async ios 0 blockdev 4 1 async ios 100"}
    for device in range(2):
        local, remote, dirty = LOCAL[device], REMOTE[device], _DIRTY[device]
        line = f"0 {DEVICE_SECTORS} replicator-dev /dev/mapper/group {device} 0 1 /{local} nolog 0 "
        made[f"lvol{device}"] = line + f"1 1 /{remote} disk 3 /{dirty} 2048 sync"
    return made


@dataclass(frozen=True, slots=True)
class Part:
    """An entry of the log: `sectors` from `sector` of the window of a device."""

    number: int
    device: int
    sector: int
    sectors: int


@dataclass(frozen=True, slots=True)
class Write:
    """What is written in one go: an entry, or two where it crosses the border between regions. A flush may follow."""

    parts: Sequence[Part]
    flush: bool

    @property
    def data(self) -> bytes:
        return b"".join([stamp(part.number, part.device, part.sector, part.sectors) for part in self.parts])


def writes(seed: int, number: int) -> Iterator[Write]:
    """The writes of one life, the first of which has that number."""
    chosen = random.Random(seed)
    border = WINDOW_SECTORS // 2
    while True:
        device, sectors = chosen.randrange(2), chosen.choice((1, 8, 64, 64))
        begin = chosen.randrange(WINDOW_SECTORS - sectors + 1)
        end = begin + sectors
        spans = [(begin, border), (border, end)] if begin < border < end else [(begin, end)]
        parts = [Part(number + at, device, first, last - first) for at, (first, last) in enumerate(spans)]
        yield Write(parts, chosen.random() < 0.02)
        number += len(parts)


def shown(read: Callable[[int, int, int], bytes]) -> list[int]:
    """Which write each sector of the windows shows; `read` gets device, bytes, and byte offset."""
    images = [read(device, WINDOW_SECTORS << 9, WINDOW_BEGINS << 9) for device in range(2)]
    return [tag for device, image in enumerate(images) for tag in tags_of_bytes(image, device)]


def shown_by_images(root: Path, names: tuple[str, ...]) -> list[int]:
    """The same of image files. Nothing was ever written outside the windows."""
    images = [(root / name).read_bytes() for name in names]
    begin, end = WINDOW_BEGINS << 9, WINDOW_BEGINS + WINDOW_SECTORS << 9
    for image in images:
        assert not (image[:begin] + image[end:]).strip(b"\0")
    return shown(lambda device, count, at: images[device][at : at + count])


class Hasty(ThreadRuntime):
    """Time passes faster."""

    def now(self) -> float:
        return super().now() * _HASTE

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds / _HASTE)

    def call_later(self, delay_seconds: float, call: Callable[[], None]) -> Timer:
        return super().call_later(delay_seconds / _HASTE, call)


class _Far(FileDevice):
    """An image at the other place: while there is a file named `cut`, nothing gets there."""

    def __init__(self, path: Path, cut: Path) -> None:
        super().__init__(path)
        self._cut = cut

    def fileno(self) -> int | None:
        return None

    def pread_into(self, buffer: bytearray | memoryview, offset: int) -> int:
        self._need_link()
        return super().pread_into(buffer, offset)

    def pwrite(self, data: Buffer, offset: int) -> int:
        self._need_link()
        return super().pwrite(data, offset)

    def flush(self) -> None:
        self._need_link()
        super().flush()

    def _need_link(self) -> None:
        if self._cut.exists():
            raise OSError("the link is cut")


def _open(dm: DeviceMapper, root: Path, *, first: bool) -> list[MappedDevice]:
    """The two devices of the group."""
    for name in REMOTE:
        dm.add(_Far(root / name, root / "cut"), f"/{name}")
    tables = json.loads((root / ("first.json" if first else "later.json")).read_text())
    mds = {name: dm.create(name, text) for name, text in tables.items()}
    return [mds["lvol0"], mds["lvol1"]]


def _backlog(dm: DeviceMapper) -> str:
    """What the group's first device says of the sites' backlog and order."""
    return dm.status(next(iter(dm)))[0]


def drained(dm: DeviceMapper) -> bool:
    status = _backlog(dm)
    return " 0/0/" in status and "unordered" not in status


def live(pipe: Connection, root: Path, seed: int, number: int, first: bool, drain: bool) -> None:
    """One life, which ends by being killed. What it tells: that it opens the group; what that holds, and whether the
    remote site is in order; with `drain` that all sites have everything, and then it waits for a word; then each write
    and each flush by the number of its last entry."""
    dm = DeviceMapper(root, runtime=Hasty())
    pipe.send("opening")
    mds = _open(dm, root, first=first)
    tags = shown(lambda device, count, at: mds[device].pread(count, at))
    pipe.send((tags, "unordered" not in _backlog(dm)))
    if drain:
        while not drained(dm):
            time.sleep(0.002)
        pipe.send("drained")
        pipe.recv()
    for write in writes(seed, number):
        first_part, last_part = write.parts[0], write.parts[-1]
        mds[first_part.device].pwrite(write.data, WINDOW_BEGINS + first_part.sector << 9)
        pipe.send(("wrote", last_part.number))
        if write.flush:
            mds[first_part.device].flush()
            pipe.send(("flushed", last_part.number))
