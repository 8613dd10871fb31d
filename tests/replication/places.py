"""Two places with image files, the example tables over them, and what tests do with both."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dmtable import DeviceMapper, FileDevice, MappedDevice
from dmtable.io.device import Buffer
from dmtable.targets.replicator.running import RunningGroup
from dmtable.targets.replicator.target import Replicator, ReplicatorDev

EXAMPLES = Path(__file__).parent.parent.parent / "examples" / "replication"
VOLUME_BYTES = 8 << 20
REGION_BYTES = 2048 * 512
_SIZES = {"vol": VOLUME_BYTES, "disk": VOLUME_BYTES, "log": 4 << 20, "dirty": 64 << 10, "mirror": 64 << 10}
_POLLS = 4000


class CountingFile(FileDevice):
    """A file that knows where it was written: (offset, bytes)."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.writes: list[tuple[int, int]] = []

    def fileno(self) -> int | None:
        return None

    def pwrite(self, data: Buffer, offset: int) -> int:
        self.writes.append((offset, len(memoryview(data).cast("B"))))
        return super().pwrite(data, offset)

    def write_zeroes(self, offset: int, length: int) -> None:
        self.writes.append((offset, length))
        super().write_zeroes(offset, length)

    @property
    def written_bytes(self) -> int:
        return sum(count for _, count in self.writes)


def make(root: Path, *images: str) -> Path:
    """A root folder with image files, whose names tell their sizes."""
    for image in images:
        path = root / image
        path.parent.mkdir(parents=True, exist_ok=True)
        size = next(size for name, size in _SIZES.items() if path.name.startswith(name))
        # Full volumes: what is a hole on both sides would not be copied at all.
        path.write_bytes((b"\xa5" if size == VOLUME_BYTES else b"\0") * size)
    return root


def example(use: str, *names: str) -> dict[str, str]:
    """Tables of an example, by name."""
    return {name: (EXAMPLES / use / f"{name}.table").read_text() for name in names}


def load(dm: DeviceMapper, tables: Mapping[str, str]) -> list[MappedDevice]:
    return [dm.create(name, text) for name, text in tables.items()]


def opening(tables: Mapping[str, str]) -> dict[str, str]:
    """The tables as they are loaded from the second time on."""
    return {name: text.replace("4 /berlin/log 0 create 8192", "3 /berlin/log 0 open") for name, text in tables.items()}


def running(dm: DeviceMapper) -> RunningGroup:
    """The group at work."""
    for md in dm:
        assert md.live is not None
        for target in md.live.targets():
            if isinstance(target, Replicator | ReplicatorDev):
                return target.running
    raise AssertionError("there is no group")


def settle(dm: DeviceMapper) -> None:
    """Waits until every site has everything."""
    group = running(dm)
    for _ in range(_POLLS):
        if group.settled:
            return
        dm.runtime.sleep(0.005)
    raise AssertionError(f"never settled: {[dm.status(md) for md in dm]}")


def written(md: MappedDevice, sector: int, text: str, sectors: int = 8) -> None:
    """Writes something that tells it from everything else."""
    md.pwrite(text.encode().ljust(512, b".") * sectors, sector * 512)


def content(root: Path, image: str) -> bytes:
    return (root / image).read_bytes()
