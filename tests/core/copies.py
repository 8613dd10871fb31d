"""What the tests of the copy service copy."""

from __future__ import annotations

from dmtable.core.kcopyd import CopyResult
from dmtable.sim.disk import SimDisk

SECTORS = 48
OK = CopyResult()


def image(name: str, sectors: int = SECTORS) -> tuple[bytes, ...]:
    return tuple(f"{name}{at:4}".encode().ljust(512, b".") for at in range(sectors))


def content(disk: SimDisk) -> bytes:
    return b"".join(disk.image)
