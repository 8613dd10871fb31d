"""From a word of a table to a block device: numbers, paths under a root folder, and mds.

Source: dm_get_device and name_to_dev_t of Linux 6.1, as recorded from that kernel.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass

from dmtable.core.numbers import DM_MAJOR, LOOP_MAJOR, MAX_MAJOR, MAX_MINOR, Number
from dmtable.errors import DeviceLookupError, NotBlockDeviceError
from dmtable.io.device import BlockDevice
from dmtable.io.file import FileDevice
from dmtable.language.numbers import scan_u32
from dmtable.units import SECTOR_SHIFT

_MAX_LINKS = 40

_MAJOR_MINOR = re.compile(r"([0-9]+):([0-9]+)")
_MAJOR_MINOR_OFFSET = re.compile(r"([0-9]+):([0-9]+):([0-9]+):?")
_HEXADECIMAL = re.compile(r"(?:0[xX])?([0-9a-fA-F]+)")


@dataclass(frozen=True, slots=True)
class DmDev:
    """A device that a table may use (kernel: struct dm_dev): its number, kernel name, and itself."""

    number: Number
    kernel_name: str
    device: BlockDevice

    @property
    def name(self) -> str:
        """`7:0`, as the kernel prints a device in tables."""
        return f"{self.number[0]}:{self.number[1]}"

    @property
    def size_sectors(self) -> int:
        return self.device.size_bytes >> SECTOR_SHIFT

    @property
    def block_sectors(self) -> int:
        """The logical block size in sectors."""
        return self.device.logical_block_size >> SECTOR_SHIFT


Lookup = Callable[[str], DmDev]
"""Finds the device that a word names. Raises DeviceLookupError."""


def read_number(word: str) -> Number | None:
    """The device number that a word *is*: `7:0`, `7:0:1`, or one hexadecimal number as `700`.

    None where the word is to be taken for a path. Raises DeviceLookupError with EOVERFLOW where a
    part does not fit.
    """
    if match := _MAJOR_MINOR.fullmatch(word):
        major, minor = scan_u32(match[1]) or 0, scan_u32(match[2]) or 0
        if major > MAX_MAJOR or minor > MAX_MINOR:
            raise DeviceLookupError(errno.EOVERFLOW, f"{word} is no device number: the largest is 4095:1048575")
        return major, minor
    if match := _MAJOR_MINOR_OFFSET.fullmatch(word):
        return (scan_u32(match[1]) or 0) & MAX_MAJOR, (scan_u32(match[2]) or 0) & MAX_MINOR
    if match := _HEXADECIMAL.fullmatch(word):
        # new_decode_dev: 12 bits of major between the low 8 and the high 12 bits of the minor.
        packed = int(match[1], 16) & 0xFFFFFFFF
        return (packed & 0xFFF00) >> 8, (packed & 0xFF) | ((packed >> 12) & 0xFFF00)
    return None


class DeviceTable:
    """All devices that tables can name, mds aside: those added by hand, and the files below `root`.

    `root` stands in for `/`: a table's `/dev/sda1` is the file ROOT/dev/sda1. Without a root only added
    devices exist. Regular files get numbers as loop devices do, 7:0 onwards; block devices keep theirs.
    """

    def __init__(self, root: str | os.PathLike[str] | None = None) -> None:
        self.root = None if root is None else os.path.realpath(root)
        self._by_number: dict[Number, DmDev] = {}
        self._by_path: dict[str, DmDev] = {}
        self._opened: dict[str, DmDev] = {}
        """Those opened here, by their real paths."""
        self._replaced: list[DmDev] = []
        """Those opened here whose path leads to another file by now, or to none."""
        self.node_folder: str | None = None
        """Where this process itself shows mds as files, which are never opened here."""
        self.dev_folder: str | None = None
        """What stands in for `/dev`, where that has nodes."""
        self.read_node: Callable[[str], Number | None] = lambda real: None
        """The number of the node at a real path, None where there is none."""

    def node_number(self, path: str) -> Number | None:
        """The number of a device node, in what stands in for /dev or elsewhere below the root; else None."""
        number = None
        if self.dev_folder is None or not path.startswith("/"):
            return None
        if path.startswith("/dev/"):
            number = self._node_at("/", f"{self.dev_folder}{path.removeprefix('/dev')}")
        if number is None and self.root is not None:
            number = self._node_at(self.root, path)
        return number

    def _node_at(self, root: str, path: str) -> Number | None:
        try:
            real = self._real_path(root, path)
        except OSError:
            return None
        return None if self._is_ours(real) else self.read_node(real)

    def node_name(self, path: str) -> str | None:
        """The name of the file in the node folder that a path leads to; None where it leads elsewhere."""
        if self.root is None or self.node_folder is None or not path.startswith("/"):
            return None
        try:
            folder, name = os.path.split(self._real_path(self.root, path))
        except OSError:
            return None
        return name if folder == self.node_folder else None

    def add(self, device: BlockDevice, path: str, number: Number | None = None) -> DmDev:
        """Makes a device known under a path, as `/dev/loop0`. The number defaults to the next 7:N."""
        dm_dev = self._numbered(device, path, number)
        self._by_path[os.path.normpath(path)] = dm_dev
        return dm_dev

    def by_number(self, number: Number) -> DmDev:
        """The device with a number. Raises DeviceLookupError with ENXIO."""
        found = self._by_number.get(number)
        if found is None:
            raise DeviceLookupError(errno.ENXIO, f"no device has the number {number[0]}:{number[1]}")
        return found

    def by_path(self, path: str) -> DmDev:
        """The device that a path names. Raises DeviceLookupError with ENODEV."""
        if path.startswith("/") and not path.endswith("/"):
            known = self._by_path.get(os.path.normpath("/" + path.lstrip("/")))
            # Behind a link, `..` is not what it seems to be; only the files themselves tell.
            if known is not None and (self.root is None or ".." not in path.split("/")):
                return known
            if self.root is not None:
                return self._open_below_root(path)
        why = "is no absolute path" if not path.startswith("/") else "does not exist"
        raise DeviceLookupError(errno.ENODEV, f"{path} {why}")

    def all(self) -> list[DmDev]:
        """Every device, by number."""
        return [self._by_number[number] for number in sorted(self._by_number)]

    def attach(self, real: str, *, read_only: bool = False) -> DmDev:
        """The image file or block device at a real path outside any root, as the next 7:N. Raises OSError."""
        if self._is_ours(real):
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), real)
        known = self._known(real)
        if known is None:
            number = self._free_number()
            known = self.add(FileDevice(real, read_only=read_only), f"/dev/loop{number[1]}", number)
            self._opened[real] = known
        return known

    def remove(self, dm_dev: DmDev) -> None:
        """Forgets a device, and closes it where it was opened here."""
        del self._by_number[dm_dev.number]
        self._by_path = {path: known for path, known in self._by_path.items() if known is not dm_dev}
        if dm_dev in self._ours():
            dm_dev.device.close()
        self._opened = {path: known for path, known in self._opened.items() if known is not dm_dev}
        self._replaced = [known for known in self._replaced if known is not dm_dev]

    def close(self) -> None:
        """Closes what was opened here; added devices stay the caller's."""
        for dm_dev in self._ours():
            dm_dev.device.close()
        self._opened.clear()
        self._replaced.clear()

    def _ours(self) -> list[DmDev]:
        return [*self._opened.values(), *self._replaced]

    def _numbered(self, device: BlockDevice, path: str, number: Number | None) -> DmDev:
        number = number or self._free_number()
        dm_dev = self._by_number[number] = DmDev(number, _kernel_name(number, path), device)
        return dm_dev

    def _known(self, real: str) -> DmDev | None:
        """The device opened at a real path before; None where there was none, or another file stands there now.

        The one that stood there is a device by its number for as long as tables use it.
        """
        dm_dev = self._opened.get(real)
        device = dm_dev.device if dm_dev is not None else None
        if dm_dev is None or not isinstance(device, FileDevice) or device.is_block or device.is_at(real):
            return dm_dev
        if device.claimed:
            self._replaced.append(self._opened.pop(real))
        else:
            self.remove(dm_dev)
        return None

    def _open_below_root(self, path: str) -> DmDev:
        assert self.root is not None
        try:
            real = self._real_path(self.root, path)
            if (known := self._known(real)) is not None:
                return known
            if self._is_ours(real):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
            status = os.stat(real)
            if not (stat.S_ISREG(status.st_mode) or stat.S_ISBLK(status.st_mode)):
                raise NotBlockDeviceError(errno.ENODEV, f"{path} is neither a block device nor an image file")
            writable = os.access(real, os.W_OK)
            device = FileDevice(real, read_only=not writable)
        except OSError as error:
            raise DeviceLookupError(errno.ENODEV, f"{path} cannot be opened: {error.strerror}") from error
        except ValueError as error:
            # A NUL, or half of a surrogate pair: no file has such a name.
            raise DeviceLookupError(errno.ENODEV, f"{path!r} is no path") from error
        number = (os.major(status.st_rdev), os.minor(status.st_rdev)) if device.is_block else None
        dm_dev = self._by_number.get(number) if number else None
        if number and (number[0] == DM_MAJOR or (dm_dev is not None and _is_image(dm_dev))):
            number = dm_dev = None  # Numbers of this machine; on the one that it runs on they mean something else.
        if dm_dev is not None:
            device.close()
            return dm_dev
        # Not under its path, which may lead to another file one day.
        dm_dev = self._numbered(device, real, number)
        self._opened[real] = dm_dev
        return dm_dev

    def _real_path(self, root: str, path: str) -> str:
        """The path below a root, its links followed as if that were `/`. Raises OSError ELOOP."""
        resolved = root
        todo = [part for part in path.split("/") if part][::-1]
        links = 0
        while todo:
            part = todo.pop()
            if part == ".":
                continue
            if part == "..":
                resolved = resolved if resolved == root else os.path.dirname(resolved)
                continue
            at = os.path.join(resolved, part)
            if not self._is_ours(at) and os.path.islink(at):
                links += 1
                if links > _MAX_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                target = os.readlink(at)
                if target.startswith("/"):
                    resolved = root
                todo.extend(part for part in target.split("/")[::-1] if part)
            else:
                resolved = at
        return resolved

    def _is_ours(self, real: str) -> bool:
        """Whether this process would be asked what the file is, and would wait for itself."""
        return self.node_folder is not None and f"{real}/".startswith(f"{self.node_folder}/")

    def _free_number(self) -> Number:
        minor = 0
        while (LOOP_MAJOR, minor) in self._by_number:
            minor += 1
        return LOOP_MAJOR, minor


def _is_image(dm_dev: DmDev) -> bool:
    return isinstance(dm_dev.device, FileDevice) and not dm_dev.device.is_block


def _kernel_name(number: Number, path: str) -> str:
    return f"loop{number[1]}" if number[0] == LOOP_MAJOR else os.path.basename(path)
