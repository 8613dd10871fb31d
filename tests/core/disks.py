"""Disks whose every sector tells where it is, and the naive mapping that stacks are compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dmtable.core.device_mapper import DeviceMapper
from dmtable.io.memory import MemoryDevice
from dmtable.units import SECTOR_BYTES

Origin = tuple[str, int]
"""(disk, sector), ("zero", 0) or ("error", 0)."""


def sector(name: str, number: int) -> bytes:
    """The content of a sector that nobody has written yet."""
    return f"{name}:{number}\n".encode().ljust(16, b".") * (SECTOR_BYTES // 16)


def disk(name: str, sectors: int, *, logical_block_size: int = SECTOR_BYTES) -> MemoryDevice:
    device = MemoryDevice(sectors * SECTOR_BYTES, logical_block_size=logical_block_size)
    device.pwrite(b"".join(sector(name, number) for number in range(sectors)), 0)
    return device


def mapper_with(disks: dict[str, int]) -> tuple[DeviceMapper, dict[str, MemoryDevice]]:
    """A device-mapper over disks d0, d1 … (name: sectors), numbered 7:0, 7:1 … and named /dev/d0 …"""
    dm = DeviceMapper()
    devices = {name: disk(name, sectors) for name, sectors in disks.items()}
    for name, device in devices.items():
        dm.add(device, f"/dev/{name}")
    return dm, devices


@dataclass(frozen=True, slots=True)
class NaiveLine:
    """A line as the oracle sees it: legs are (device, offset), a chunk of 0 means no striping."""

    start: int
    length: int
    target: str
    chunk: int
    legs: tuple[tuple[str, int], ...]

    def text(self) -> str:
        words = [str(word) for leg in self.legs for word in leg]
        if self.target == "striped":
            words = [str(len(self.legs)), str(self.chunk), *words]
        return " ".join([str(self.start), str(self.length), self.target, *words])


def naive_origin(tables: Mapping[str, Sequence[NaiveLine]], device: str, at: int) -> Origin:
    """Where a sector of a device comes from, found the slow and obvious way."""
    name = device.removeprefix("/dev/mapper/")
    if name not in tables:
        return device.removeprefix("/dev/"), at
    line = next(line for line in tables[name] if line.start <= at < line.start + line.length)
    if line.target in ("zero", "error"):
        return line.target, 0
    within = at - line.start
    chunk = line.chunk or line.length
    number, rest = divmod(within, chunk)
    leg, offset = line.legs[number % len(line.legs)]
    return naive_origin(tables, leg, offset + number // len(line.legs) * chunk + rest)
