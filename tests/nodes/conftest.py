"""A device-mapper whose mds are files in a folder."""

from __future__ import annotations

import ctypes
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.mapped_device import MappedDevice
from dmtable.errors import UsageError
from dmtable.nodes.nodes import Nodes
from tests.nodes.devices import Disk


def _why_not() -> str:
    with tempfile.TemporaryDirectory() as folder, DeviceMapper() as dm:
        try:
            Nodes(dm, Path(folder) / "mapper").close()
        except UsageError as error:
            return str(error)
    return ""


WHY_NOT = _why_not()
"""Why there can be no nodes here; empty where there can."""
SECTORS = 4096
ZERO, PUNCH, KEEP_SIZE = 0x10, 0x02, 0x01
"""Modes of fallocate."""
_PATIENCE_SECONDS = 120
_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


class Machine:
    """`disk` is 7:0 and starts as zeroes; `node` is where an md's file is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.dm = DeviceMapper()
        self.disk = Disk(SECTORS << 9)
        self._disks: list[Disk] = []
        self.add(self.disk, 0)
        self.nodes = Nodes(self.dm, folder)

    def add(self, disk: Disk, number: int) -> None:
        self._disks.append(disk)
        self.dm.add(disk, f"/dev/loop{number}", (7, number))

    def close(self) -> None:
        for disk in self._disks:
            disk.let_go()
        self.nodes.close()
        self.dm.close()

    def linear(self, name: str = "vol", sectors: int = SECTORS, device: str = "7:0") -> MappedDevice:
        return self.dm.create(name, f"0 {sectors} linear {device} 0")

    def node(self, name: str = "vol") -> Path:
        return self.folder / name

    def open(self, name: str = "vol", flags: int = os.O_RDWR) -> int:
        return os.open(self.node(name), flags)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    if WHY_NOT:
        pytest.skip(WHY_NOT)
    made = Machine(tmp_path / "mapper")
    yield made
    made.close()
    assert not os.path.ismount(made.folder)


def until(happened: Callable[[], object]) -> None:
    """Returns when that is so; it may take as long as it takes on a busy machine."""
    for _ in range(_PATIENCE_SECONDS * 100):
        if happened():
            return
        time.sleep(0.01)
    pytest.fail("it never happened")


def allocate(fd: int, mode: int, offset: int, length: int) -> None:
    """fallocate(2), which Python does not have."""
    if _libc.fallocate(fd, mode, offset, length):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@contextmanager
def fails(number: int) -> Iterator[None]:
    """What is done inside raises an OSError with this errno."""
    with pytest.raises(OSError, match=re.escape(os.strerror(number))) as caught:
        yield
    assert caught.value.errno == number
