"""What is known about the devices that a table names: all of it, sizes only, or nothing."""

from __future__ import annotations

import errno
import os.path
from collections.abc import Mapping
from functools import cache
from typing import Protocol, runtime_checkable

from dmtable.core.devices import DeviceTable, DmDev, Lookup, read_number
from dmtable.core.numbers import LOOP_MAJOR
from dmtable.core.registry import Registry
from dmtable.errors import DeviceLookupError, UsageError
from dmtable.io.constant import ErrorDevice
from dmtable.units import SECTOR_BYTES, SECTOR_SHIFT

_NO_MAJOR = -1
"""A major number that no word means, for devices of which only a path is known."""

Sizes = Mapping[str, int | tuple[int, int]]
"""The size in sectors of each device by path or MAJOR:MINOR, or a pair (sectors, bytes in a logical block)."""


@runtime_checkable
class Mapper(Protocol):
    """What a DeviceMapper knows; it is not named here so that it need not be imported."""

    registry: Registry

    def lookup_for(self, name: str | None) -> Lookup: ...


Devices = Mapper | Sizes | Lookup | None


def lookup_of(devices: Devices, md: str | None) -> Lookup:
    """Finds the devices of a table that is meant for the md of this name, where it has one.

    With None every device exists, and its size is not known: 0, which nothing judges.
    """
    if isinstance(devices, Mapper):
        return cache(devices.lookup_for(md))
    if devices is None:
        lookup = _anything()
    elif isinstance(devices, Mapping):
        lookup = lookup_in(_table_of(devices))
    else:
        lookup = devices
    return cache(lookup if md is None else _without(lookup, _normal(f"/dev/mapper/{md}")))


def lookup_in(devices: DeviceTable) -> Lookup:
    """Finds a word's device among these."""

    def lookup(word: str) -> DmDev:
        number = read_number(word)
        return devices.by_path(word) if number is None else devices.by_number(number)

    return lookup


class _SizeOnly(ErrorDevice):
    """A device that is a size: there is nothing in it to read."""

    def __init__(self, size_sectors: int, logical_block_size: int = SECTOR_BYTES) -> None:
        self._size_sectors = size_sectors
        self.logical_block_size = logical_block_size

    @property
    def size_bytes(self) -> int:
        return self._size_sectors << SECTOR_SHIFT


def _anything() -> Lookup:
    unknown = _SizeOnly(0)
    paths: dict[str, DmDev] = {}

    def lookup(word: str) -> DmDev:
        number = read_number(word)
        if number is not None:
            return DmDev(number, word, unknown)
        path = _normal(word)
        return paths.setdefault(path, DmDev((_NO_MAJOR, len(paths)), path, unknown))

    return lookup


def _table_of(sizes: Sizes) -> DeviceTable:
    table = DeviceTable()
    for minor, (word, size) in enumerate(sizes.items()):
        sectors, block = size if isinstance(size, tuple) else (size, SECTOR_BYTES)
        if sectors < 0 or block < SECTOR_BYTES or block & (block - 1):
            raise UsageError(f"{word} cannot have {sectors} sectors in blocks of {block} bytes")
        try:
            number = read_number(word)
        except DeviceLookupError as error:
            raise UsageError(error.text) from error
        path = word if number is None else f"/dev/loop{number[1]}" if number[0] == LOOP_MAJOR else f"/dev/{word}"
        table.add(_SizeOnly(sectors, block), path, number or (_NO_MAJOR, minor))
    return table


def _without(lookup: Lookup, path: str) -> Lookup:
    """The same, but for the device at this path, which must not be used."""

    def guarded(word: str) -> DmDev:
        if _normal(word) == path:
            raise DeviceLookupError(errno.EINVAL, f"{word} is the device that this table is for")
        return lookup(word)

    return guarded


def _normal(path: str) -> str:
    """One spelling for a path; normpath alone keeps two slashes at the beginning."""
    return os.path.normpath("/" + path.lstrip("/") if path.startswith("/") else path)
