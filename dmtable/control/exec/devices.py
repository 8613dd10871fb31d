"""The block devices of the machine as its daemon tells them, asked anew whenever it matters.

Its disks have their nodes in /dev made and removed here, as devtmpfs does it; those of mds are libdm's affair.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from dmtable.control.calls import BlockDeviceInfo, Calls
from dmtable.control.folder import MachineFolder, read_node, write_node
from dmtable.core.numbers import LOOP_MAJOR, Number

_DISK_NODE = re.compile(r"loop[0-9]+")


class BlockDevices:
    """`ask` gives the machine's list, as bytes of JSON; it is read again only where it changed."""

    def __init__(self, folder: MachineFolder, ask: Callable[[], bytes]) -> None:
        self._folder = folder
        self._ask = ask
        self._lock = threading.Lock()
        self._last = b""
        self._devices: Sequence[BlockDeviceInfo] = ()
        self._by_number: dict[Number, BlockDeviceInfo] = {}
        self._images: dict[tuple[int, int], Number] = {}

    def all(self) -> Sequence[BlockDeviceInfo]:
        """As they are now. Raises OSError where there is no daemon any more."""
        with self._lock:
            told = self._ask()
            if told != self._last:
                self._read(told)
                self._last = told
            return self._devices

    def get(self, number: Number) -> BlockDeviceInfo | None:
        """One, as it is now."""
        self.all()
        return self._by_number.get(number)

    def of_image(self, file: tuple[int, int]) -> Number | None:
        """The disk that the file with this st_dev and st_ino is, as last told: nobody has an older one open."""
        return self._images.get(file)

    def _read(self, told: bytes) -> None:
        self._devices = Calls(lambda _command, _buffer: (0, told)).block_devices()
        self._by_number = {device.number: device for device in self._devices}
        self._images = {}
        disks: dict[str, Number] = {}
        for device in self._devices:
            if device.path is not None:
                disks[device.kernel_name] = device.number
                with suppress(OSError):
                    status = os.stat(device.path)
                    self._images[status.st_dev, status.st_ino] = device.number
        self._make_nodes(disks)

    def _make_nodes(self, disks: dict[str, Number]) -> None:
        dev = self._folder.dev
        for name in filter(_DISK_NODE.fullmatch, os.listdir(dev)):
            number = read_node(f"{dev}/{name}")
            if number is not None and number[0] == LOOP_MAJOR and disks.get(name) != number:
                with suppress(OSError):
                    os.unlink(f"{dev}/{name}")
        for name, number in disks.items():
            with suppress(FileExistsError):
                write_node(f"{dev}/{name}", number)
