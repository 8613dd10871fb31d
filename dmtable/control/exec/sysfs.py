"""What programs see in place of /proc/devices, /proc/misc, /sys/block and /sys/dev/block.

Real devices are links into the real /sys; those of the emulated machine are folders with what programs
read, and hide real ones with the same number.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import count

from dmtable.control.calls import BlockDeviceInfo
from dmtable.core.numbers import DM_MAJOR, LOOP_MAJOR
from dmtable.units import SECTOR_SHIFT

CONTROL_NUMBER = (10, 236)
"""/dev/mapper/control is this character device."""
_READ_AHEAD_KB = 128
_QUEUE = {
    "logical_block_size": 512,
    "physical_block_size": 512,
    "hw_sector_size": 512,
    "minimum_io_size": 512,
    "optimal_io_size": 0,
    "discard_granularity": 512,
    "discard_max_bytes": 1 << 30,
    "max_sectors_kb": 1280,
    "rotational": 0,
    "dax": 0,
    "zoned": "none",
    "scheduler": "none",
}

_trees = count()


class ShadowTree:
    """A folder below `above`, kept like the machine's devices by `update`. It is made at the first one."""

    def __init__(self, above: str) -> None:
        self._above = above
        self.path = f"{above}/{os.getpid()}-{next(_trees)}"
        self._lock = threading.Lock()
        self._last: Sequence[BlockDeviceInfo] | None = None
        self._shown: dict[str, BlockDeviceInfo] = {}

    def update(self, devices: Sequence[BlockDeviceInfo]) -> None:
        with self._lock:
            if devices is self._last:
                return
            if self._last is None:
                self._make()
            now = {device.kernel_name: device for device in devices}
            for name in self._shown.keys() - now.keys():
                self._hide(self._shown[name])
            for name, device in now.items():
                if self._shown.get(name) != device:
                    self._show(device)
            self._shown = now
            _write(f"{self.path}/proc/partitions", _partitions_file(_read("/proc/partitions"), devices))
            self._last = devices

    def remove(self) -> None:
        _remove_tree(self.path)

    def _make(self) -> None:
        for name in os.listdir(self._above):
            # Its owner was killed.
            if not os.path.exists(f"/proc/{name.partition('-')[0]}"):
                _remove_tree(f"{self._above}/{name}")
        for folder in ("proc", "sys/block", "sys/dev/block"):
            os.makedirs(f"{self.path}/{folder}", exist_ok=True)
        _write(f"{self.path}/proc/devices", _devices_file(_read("/proc/devices")))
        _write(f"{self.path}/proc/misc", _misc_file(_read("/proc/misc")))
        for folder in ("/sys/block", "/sys/dev/block"):
            with suppress(OSError):
                for name in os.listdir(folder):
                    if not name.startswith((f"{DM_MAJOR}:", "dm-")):
                        os.symlink(f"{folder}/{name}", f"{self.path}{folder}/{name}")

    def _show(self, device: BlockDeviceInfo) -> None:
        major, minor = device.number
        folder = f"{self.path}/sys/block/{device.kernel_name}"
        if os.path.islink(folder):
            os.unlink(folder)
        if not os.path.isdir(folder):
            for part in ("bdi", "queue", "holders", "slaves", *(["dm"] if major == DM_MAJOR else [])):
                os.makedirs(f"{folder}/{part}")
            # What is written here stays, as `dmsetup --readahead` does.
            _write(f"{folder}/bdi/read_ahead_kb", f"{_READ_AHEAD_KB}\n")
            _write(f"{folder}/queue/read_ahead_kb", f"{_READ_AHEAD_KB}\n")
            for name, value in _QUEUE.items():
                _write(f"{folder}/queue/{name}", f"{value}\n")
        files = {
            "dev": f"{major}:{minor}",
            "size": device.size_bytes >> SECTOR_SHIFT,
            "ro": int(device.read_only),
            "removable": 0,
            "range": 1,
            "uevent": f"MAJOR={major}\nMINOR={minor}\nDEVNAME={device.kernel_name}\nDEVTYPE=disk",
        }
        if major == DM_MAJOR:
            files |= {"dm/name": device.dm_name, "dm/uuid": device.dm_uuid, "dm/suspended": int(device.suspended)}
        for name, value in files.items():
            _write(f"{folder}/{name}", f"{value}\n")
        for kind, others in (("holders", device.holders), ("slaves", device.slaves)):
            self._link_others(f"{folder}/{kind}", others)
        _link(f"../../block/{device.kernel_name}", f"{self.path}/sys/dev/block/{major}:{minor}")

    def _link_others(self, folder: str, names: Iterable[str]) -> None:
        wanted, there = set(names), set(os.listdir(folder))
        for name in there - wanted:
            os.unlink(f"{folder}/{name}")
        for name in wanted - there:
            os.symlink(f"../../{name}", f"{folder}/{name}")

    def _hide(self, device: BlockDeviceInfo) -> None:
        major, minor = device.number
        with suppress(FileNotFoundError):
            os.unlink(f"{self.path}/sys/dev/block/{major}:{minor}")
        _remove_tree(f"{self.path}/sys/block/{device.kernel_name}")


def _devices_file(real: str) -> str:
    """/proc/devices with device-mapper and loop, and without what has their numbers here."""
    characters, _, blocks = real.partition("Block devices:\n")
    majors: dict[int, str] = {}
    for line in blocks.splitlines():
        major, _, name = line.strip().partition(" ")
        if major.isdecimal() and name != "device-mapper":
            majors[int(major)] = name
    majors |= {LOOP_MAJOR: "loop", DM_MAJOR: "device-mapper"}
    return f"{characters}Block devices:\n" + "".join(f"{major:3} {majors[major]}\n" for major in sorted(majors))


def _misc_file(real: str) -> str:
    others = [line for line in real.splitlines() if not line.endswith(" device-mapper")]
    return "\n".join([f"{CONTROL_NUMBER[1]:3} device-mapper", *others, ""])


def _partitions_file(real: str, devices: Sequence[BlockDeviceInfo]) -> str:
    head, _, lines = real.partition("\n\n")
    ours = {device.number for device in devices}
    others = [line for line in lines.splitlines() if (*map(int, line.split()[:2]),) not in ours]
    for device in devices:
        major, minor = device.number
        if device.size_bytes:
            others.append(f"{major:4}  {minor:7} {device.size_bytes >> 10:10} {device.kernel_name}")
    return "\n".join([head, "", *others, ""])


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""


def _write(path: str, text: str) -> None:
    """At once whole: somebody may be reading it."""
    new = f"{path}.new"
    with open(new, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
    os.replace(new, path)


def _link(target: str, path: str) -> None:
    if not os.path.islink(path) or os.readlink(path) != target:
        with suppress(FileNotFoundError):
            os.unlink(path)
        os.symlink(target, path)


def _remove_tree(path: str) -> None:
    """Links are removed and not followed."""
    for folder, folders, files in os.walk(path, topdown=False):
        for name in files:
            os.unlink(f"{folder}/{name}")
        for name in folders:
            inner = f"{folder}/{name}"
            (os.unlink if os.path.islink(inner) else os.rmdir)(inner)
    with suppress(OSError):
        os.rmdir(path)
