"""The disks of recorded cases: files whose every sector tells where it is, until somebody writes it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from dmtable.core.device_mapper import DeviceMapper
from dmtable.io.file import FileDevice
from tests.kernel.patterns import SECTOR_BYTES, content


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


_content = cache(content)
