"""Hypothesis strategies for devices and for tables that are right: every one loads, and `check` finds no error in it.

    @given(tables())
    def test_my_loader(table: ValidTable) -> None:
        with DeviceMapper() as dm:
            table.devices.add_to(dm)
            my_loader(dm, table.text)

Needs the extra `dmtable[testing]`, which is Hypothesis. Tables that are wrong in one place are in `damage`.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.mapped_device import MappedDevice
from dmtable.core.table import TargetSpec
from dmtable.errors import UsageError
from dmtable.io.memory import MemoryDevice
from dmtable.units import SECTOR_BYTES, SECTOR_SHIFT

TARGETS = ("linear", "striped", "zero", "error")
"""The targets that `tables` mixes."""

_MAX_STRIPES = 4
_MAX_UNITS = 64
"""Of a line that is on no device."""


@dataclass(frozen=True, slots=True)
class NamedDevice:
    """A device by its path: its size in sectors, and the bytes in a logical block."""

    path: str
    sectors: int
    logical_block_size: int = SECTOR_BYTES

    def __post_init__(self) -> None:
        block = self.logical_block_size
        if not self.path.startswith("/") or block < SECTOR_BYTES or block & (block - 1):
            raise UsageError(f"{self.path!r} with blocks of {block} bytes is no device: give a path from / on, and 2^n")
        if self.sectors < self.block_sectors or self.sectors % self.block_sectors:
            raise UsageError(f"{self.path}: {self.sectors} sectors are not one or more blocks of {block} bytes")

    @property
    def block_sectors(self) -> int:
        """The sectors in a logical block."""
        return self.logical_block_size >> SECTOR_SHIFT


@dataclass(frozen=True, slots=True)
class DeviceSet:
    """The devices that a table may name."""

    devices: tuple[NamedDevice, ...]

    def __post_init__(self) -> None:
        if len({device.path for device in self.devices}) < max(len(self.devices), 1):
            raise UsageError("a device set has one device or more, each with a path of its own")

    @property
    def sizes(self) -> dict[str, int | tuple[int, int]]:
        """(sectors, bytes in a block) by path, as `dmtable.check(devices=…)` takes them."""
        return {device.path: (device.sectors, device.logical_block_size) for device in self.devices}

    @property
    def block_sectors(self) -> int:
        """The largest logical block, in sectors."""
        return max(device.block_sectors for device in self.devices)

    def add_to(self, dm: DeviceMapper) -> dict[str, MemoryDevice]:
        """Adds them all, in memory and zeroed, to a device-mapper; they come back by path."""
        added = {}
        for device in self.devices:
            memory = MemoryDevice(device.sectors << SECTOR_SHIFT, logical_block_size=device.logical_block_size)
            dm.add(memory, device.path)
            added[device.path] = memory
        return added


@dataclass(frozen=True, slots=True)
class ValidTable:
    """A table without an error, for the md `name`: as text, and as the lines that the text says."""

    name: str
    text: str
    lines: tuple[TargetSpec, ...]
    devices: DeviceSet
    """What it may name; in a stack the mds below are among these."""

    @property
    def sectors(self) -> int:
        """The size of the md."""
        return self.lines[-1].start + self.lines[-1].length


@dataclass(frozen=True, slots=True)
class Stack:
    """Tables of which each may name the devices and the mds of those before it."""

    devices: DeviceSet
    tables: tuple[ValidTable, ...]

    def create(self, dm: DeviceMapper) -> dict[str, MappedDevice]:
        """Creates all mds, lowest first, on devices that are there already; they come back by name."""
        return {table.name: dm.create(table.name, table.text) for table in self.tables}


Devices = DeviceSet | st.SearchStrategy[DeviceSet] | None
"""A set, or a strategy that draws one; None is `device_sets()`."""


def device_sets(
    *,
    min_devices: int = 1,
    max_devices: int = 3,
    min_sectors: int = 64,
    max_sectors: int = 4096,
    block_sizes: Sequence[int] = (512, 4096),
    prefix: str = "/dev/sd",
) -> st.SearchStrategy[DeviceSet]:
    """Draws devices /dev/sda, /dev/sdb …, each with a size in sectors and one of the logical block sizes in bytes."""
    if not 1 <= min_devices <= max_devices <= len(string.ascii_lowercase):
        raise UsageError(f"{min_devices} to {max_devices} devices: there are from 1 to 26, the fewest first")
    if not block_sizes or any(size < SECTOR_BYTES or size & (size - 1) for size in block_sizes):
        raise UsageError(f"{block_sizes} are no block sizes: give bytes, 512 times a power of two")
    largest = max(block_sizes) >> SECTOR_SHIFT
    if not largest <= min_sectors <= max_sectors or max_sectors // largest * largest < min_sectors:
        raise UsageError(f"{min_sectors} to {max_sectors} sectors leave no size in blocks of {largest} sectors")
    if not prefix.startswith("/"):
        raise UsageError(f"{prefix!r} is no beginning of a path: begin with /")

    @st.composite
    def drawn(draw: st.DrawFn) -> DeviceSet:
        count = draw(st.integers(min_devices, max_devices))
        devices = []
        for letter in string.ascii_lowercase[:count]:
            block_size = draw(st.sampled_from(block_sizes))
            block = block_size >> SECTOR_SHIFT
            blocks = draw(st.integers(-(-min_sectors // block), max_sectors // block))
            devices.append(NamedDevice(prefix + letter, blocks * block, block_size))
        return DeviceSet(tuple(devices))

    return drawn()


def tables(
    *,
    devices: Devices = None,
    targets: Sequence[str] = TARGETS,
    min_lines: int = 1,
    max_lines: int = 6,
    tidy: bool = False,
    name: str = "vol",
) -> st.SearchStrategy[ValidTable]:
    """Draws a table of any mix of the targets over the devices.

    It loads, and `check` finds no error in it; it may find warnings, for lines may share sectors and chunks
    have odd sizes. Unless `tidy`, blanks, tabs, comments and empty lines stand wherever they may.
    """
    check_mix(targets, min_lines, max_lines)
    sets = devices_of(devices)

    @st.composite
    def drawn(draw: st.DrawFn) -> ValidTable:
        return draw(_table(name, draw(sets), targets, min_lines, max_lines, tidy))

    return drawn()


def stacks(
    *,
    devices: Devices = None,
    targets: Sequence[str] = TARGETS,
    min_tables: int = 1,
    max_tables: int = 4,
    max_lines: int = 4,
    tidy: bool = False,
    prefix: str = "vol",
) -> st.SearchStrategy[Stack]:
    """Draws tables for the mds vol0, vol1 …, each over the devices and /dev/mapper/ of the mds before it."""
    check_mix(targets, 1, max_lines)
    if not 1 <= min_tables <= max_tables:
        raise UsageError(f"{min_tables} to {max_tables} tables: give at least 1, the fewest first")
    sets = devices_of(devices)

    @st.composite
    def drawn(draw: st.DrawFn) -> Stack:
        base = draw(sets)
        known = base
        made: list[ValidTable] = []
        for index in range(draw(st.integers(min_tables, max_tables))):
            table = draw(_table(f"{prefix}{index}", known, targets, 1, max_lines, tidy))
            made.append(table)
            known = DeviceSet((*known.devices, _as_device(table)))
        return Stack(base, tuple(made))

    return drawn()


# ---- what damage.py builds on


def devices_of(devices: Devices) -> st.SearchStrategy[DeviceSet]:
    """The strategy behind a `devices` argument. Raises UsageError."""
    if devices is None:
        return device_sets()
    if isinstance(devices, DeviceSet):
        return st.just(devices)
    if isinstance(devices, st.SearchStrategy):
        return devices
    raise UsageError(f"devices are a DeviceSet or a strategy for one, not {devices!r}")


def check_mix(targets: Sequence[str], min_lines: int, max_lines: int) -> None:
    """Raises UsageError where a table cannot be made of these."""
    if isinstance(targets, str) or not targets or not set(targets) <= set(TARGETS):
        raise UsageError(f"{targets!r}: give a sequence of targets among {', '.join(TARGETS)}")
    if not 1 <= min_lines <= max_lines:
        raise UsageError(f"{min_lines} to {max_lines} lines: give at least 1, the fewest first")


@st.composite
def lines(
    draw: st.DrawFn,
    start: int,
    target: str,
    devices: DeviceSet,
    unit: int,
    *,
    min_stripes: int = 1,
    min_chunks: int = 1,
) -> TargetSpec:
    """Draws a line that is right: everything is a multiple of `unit` sectors.

    Of a striped line, `min_stripes` and `min_chunks` are the smallest number of stripes, and of units in a chunk.
    """
    if target not in ("linear", "striped"):
        return TargetSpec(start, draw(st.integers(1, _MAX_UNITS)) * unit, target, ())
    large = [device for device in devices.devices if device.sectors >= unit * min_chunks]
    count = draw(st.integers(min_stripes, _MAX_STRIPES)) if target == "striped" else 1
    legs = draw(st.lists(st.sampled_from(large), min_size=count, max_size=count))
    room = min(leg.sectors for leg in legs) // unit
    chunk = draw(_chunks(min_chunks, room)) if target == "striped" else 1
    width = chunk * draw(st.integers(1, room // chunk))
    words: list[str] = []
    for leg in legs:
        words += leg.path, str(unit * draw(st.integers(0, leg.sectors // unit - width)))
    if target == "striped":
        words = [str(count), str(chunk * unit), *words]
    return TargetSpec(start, width * count * unit, target, tuple(words))


def _chunks(least: int, most: int) -> st.SearchStrategy[int]:
    """Chunk sizes in units: powers of two, as nearly all are, and any others."""
    powers = [1 << bits for bits in range(most.bit_length()) if 1 << bits >= least]
    return st.sampled_from(powers) | st.integers(least, most)


def tokens(line: TargetSpec) -> list[str]:
    """Every word of a line."""
    return [str(line.start), str(line.length), line.target, *line.words]


@st.composite
def layouts(
    draw: st.DrawFn, rows: Sequence[Sequence[str]], tidy: bool, tails: dict[int, str] | None = None
) -> tuple[str, list[int]]:
    """Draws the text of rows of words, and the number (from 1) of the line on which each begins.

    `tails` are what ends a row, by its index, in place of what would be drawn.
    """
    text = ""
    numbers = []
    for index, row in enumerate(rows):
        before, indent, blank, tail = ("", "", " ", "") if tidy else draw(_DRESSES)
        text += before + indent
        numbers.append(text.count("\n") + 1)
        text += blank.join(row) + (tails or {}).get(index, tail) + "\n"
    return (text if tidy else text + draw(st.sampled_from(["", "\n", "# the end\n"]))), numbers


_OFTEN_NOTHING = [""] * 4
_DRESSES = st.tuples(
    st.sampled_from([*_OFTEN_NOTHING, "\n", "# a comment\n", " \t\n", "\t# 0 8 zero\n\n"]),
    st.sampled_from([*_OFTEN_NOTHING, " ", "\t"]),
    st.sampled_from([" ", " ", "  ", "\t", " \t "]),
    st.sampled_from([*_OFTEN_NOTHING, " ", "\t", " # why", "\t#"]),
)
"""What stands before a line, its indent, what parts its words, and what ends it."""


@st.composite
def _table(
    draw: st.DrawFn, name: str, devices: DeviceSet, targets: Sequence[str], min_lines: int, max_lines: int, tidy: bool
) -> ValidTable:
    # Only what the table uses sets its block size, so a choice of devices comes first.
    chosen = draw(st.lists(st.sampled_from(devices.devices), min_size=1, unique=True))
    used = DeviceSet(tuple(chosen))
    made: list[TargetSpec] = []
    start = 0
    for target in draw(st.lists(st.sampled_from(targets), min_size=min_lines, max_size=max_lines)):
        made.append(draw(lines(start, target, used, used.block_sectors)))
        start += made[-1].length
    text, _ = draw(layouts([tokens(line) for line in made], tidy))
    return ValidTable(name, text, tuple(made), devices)


def _as_device(table: ValidTable) -> NamedDevice:
    """The md of a table, as a table above sees it."""
    sizes = {device.path: device.logical_block_size for device in table.devices.devices}
    block_size = max(
        (sizes[word] for line in table.lines for word in line.words if word in sizes), default=SECTOR_BYTES
    )
    return NamedDevice(f"/dev/mapper/{table.name}", table.sectors, block_size)
