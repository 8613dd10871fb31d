"""The disks of recorded cases: files whose every sector tells where it is, until somebody writes it."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from dmtable.core.device_mapper import DeviceMapper
from dmtable.io.file import FileDevice
from dmtable.units import SECTOR_BYTES

_MARK = re.compile(rb"(d\d):(\d+)\n")


class Disks:
    """Disk dN is the device 7:N, known as /dev/loopN, over a file in a folder.

    The files may be `blank` where nobody looks at what is in them: that is most of the work of many cases.
    """

    def __init__(self, sectors: Mapping[str, int], folder: Path, *, blank: bool) -> None:
        self._folder = folder
        self._devices: dict[str, FileDevice] = {}
        for name, count in sectors.items():
            path = self.path(name)
            path.write_bytes(b"" if blank else _content(name, count))
            os.truncate(path, count * SECTOR_BYTES)
            self._devices[name] = FileDevice(path)

    def path(self, name: str) -> Path:
        """The file behind a disk."""
        return self._folder / name

    def add_to(self, mapper: DeviceMapper) -> None:
        for name, device in self._devices.items():
            mapper.add(device, f"/dev/loop{name[1:]}", (7, int(name[1:])))

    def close(self) -> None:
        for device in self._devices.values():
            device.close()


def substitute(text: str) -> str:
    """`{d0}` is the disk's number, `{path:d0}` its path."""
    return re.sub(r"\{path:d(\d)\}", r"/dev/loop\1", re.sub(r"\{d(\d)\}", r"7:\1", text))


def payload(seed: str, length: int) -> bytes:
    """What a recorded write wrote."""
    blocks = range(-(-length // hashlib.sha256().digest_size))
    return b"".join(hashlib.sha256(f"{seed}/{block}".encode()).digest() for block in blocks)[:length]


def origin(sector: bytes) -> tuple[str, int]:
    """The disk that a sector came from and its number there, or what else it is."""
    mark = _MARK.match(sector)
    if mark and sector == _pattern(mark[1].decode(), int(mark[2])):
        return mark[1].decode(), int(mark[2])
    if not any(sector):
        return "zero", 0
    return f"data:{hashlib.sha256(sector).hexdigest()[:12]}", 0


def _pattern(name: str, sector: int) -> bytes:
    return f"{name}:{sector}\n".encode().ljust(16, b".") * (SECTOR_BYTES // 16)


@cache
def _content(name: str, sectors: int) -> bytes:
    return b"".join(_pattern(name, sector) for sector in range(sectors))
