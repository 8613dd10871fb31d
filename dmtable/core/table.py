"""A table at work: targets and columns of like lines, in order.

Source: dm_table_add_target, dm_table_complete and dm_calculate_queue_limits of Linux 6.1.
"""

from __future__ import annotations

import errno
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from operator import sub
from typing import Protocol

from dmtable.core.devices import DmDev, Lookup
from dmtable.core.extents import ExtentMap, ExtentMapBuilder, Flatten
from dmtable.core.layout import (
    MAX_SECTORS,
    area_block_refusals,
    layout_faults,
    line_block_refusals,
    size_refusal,
)
from dmtable.core.numbers import Number
from dmtable.core.registry import Registry
from dmtable.core.target import Context, Target
from dmtable.errors import CtrError, DeviceLookupError
from dmtable.io.device import BlockDevice
from dmtable.language.diagnostics import Refusal
from dmtable.language.tree import Columns, Line
from dmtable.units import SECTOR_SHIFT


@dataclass(frozen=True, slots=True)
class TargetSpec:
    """One line as the kernel's interface gets it (struct dm_target_spec): words split, nothing judged."""

    start: int
    length: int
    target: str
    words: tuple[str, ...]


Lines = Iterable[Line | Columns | TargetSpec]


class TableContext(Context, Protocol):
    """What a table under construction needs of its md, beyond what each target does."""

    @property
    def lookup(self) -> Lookup: ...

    @property
    def registry(self) -> Registry: ...

    def close_devices(self) -> None:
        """Closes everything that `get_device` opened for this table."""


class ColumnTarget(Protocol):
    """A target class whose lines are `device offset` and map straight onto it, so that they may live in columns."""

    name: str

    @classmethod
    def column(cls, context: Context, begin: int, length: int, dm_dev: DmDev, offset: int) -> Target: ...


@dataclass(frozen=True, slots=True)
class ColumnRun:
    """Many adjoining lines of one column target. Row i maps starts[i]…starts[i + 1] onto a device.

    The columns are the extent map's own where nothing below needs flattening. `ends` has the first sector
    behind all that the rows use, for each device.
    """

    target: type[Target]
    starts: array[int]
    deltas: array[int]
    slots: array[int]
    dm_devs: tuple[DmDev, ...]
    ends: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.deltas)

    def row(self, context: Context, row: int) -> Target:
        """One line as the target it stands for, made on demand."""
        begin = self.starts[row]
        dm_dev = self.dm_devs[self.slots[row]]
        column_target: ColumnTarget = self.target  # type: ignore[assignment]
        return column_target.column(context, begin, self.starts[row + 1] - begin, dm_dev, begin + self.deltas[row])


class TableRefused(Exception):
    """Construction failed; `refusal` is the kernel's, for its log. Nothing stays open."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text)
        self.refusal = refusal


class LiveTable:
    """The targets of an md, constructed, with their devices open. `read_only` is the md's mode."""

    def __init__(self, context: TableContext, lines: Lines, *, read_only: bool = False) -> None:
        """Constructs every target in order. Raises TableRefused with what the kernel would say first."""
        self.context = context
        self.read_only = read_only
        self._pieces: list[Target | ColumnRun] = []
        self._begins: list[int] = []
        self.size = 0
        try:
            for line in lines:
                if not (isinstance(line, Columns) and self._add_columns(line)):
                    self._add_lines(line)
        except BaseException:
            self.destroy()
            raise

    def __len__(self) -> int:
        return sum(len(piece) if isinstance(piece, ColumnRun) else 1 for piece in self._pieces)

    def targets(self) -> Iterator[Target]:
        """Every target in order; those of columns are made on demand."""
        for piece in self._pieces:
            if isinstance(piece, ColumnRun):
                for row in range(len(piece)):
                    yield piece.row(self.context, row)
            else:
                yield piece

    def stateful_targets(self) -> Iterator[Target]:
        """The targets that may care for suspend and resume: all but those of columns."""
        return (piece for piece in self._pieces if isinstance(piece, Target))

    def target_at(self, sector: int) -> Target | None:
        """The target that maps a sector, None behind the end."""
        if not 0 <= sector < self.size:
            return None
        piece = self._pieces[bisect_right(self._begins, sector) - 1]
        if isinstance(piece, ColumnRun):
            return piece.row(self.context, bisect_right(piece.starts, sector, 0, len(piece)) - 1)
        return piece

    def devices(self) -> list[DmDev]:
        """Each device that the table uses, once, in the order of first use."""
        seen: dict[Number, DmDev] = {}
        for piece in self._pieces:
            for dm_dev in _used_by(piece):
                seen.setdefault(dm_dev.number, dm_dev)
        return list(seen.values())

    def flush_plan(self) -> tuple[list[BlockDevice], list[Target]]:
        """(devices to flush for the static targets, targets that take a flush themselves)."""
        static: dict[Number, BlockDevice] = {}
        dynamic: list[Target] = []
        for piece in self._pieces:
            if isinstance(piece, Target) and piece.extents() is None:
                dynamic.append(piece)
                continue
            static.update((dm_dev.number, dm_dev.device) for dm_dev in _used_by(piece))
        return list(static.values()), dynamic

    @property
    def block_sectors(self) -> int:
        """The largest logical block of the devices, which is the md's own."""
        return max((dm_dev.block_sectors for dm_dev in self.devices()), default=1)

    def limits_refusal(self) -> Refusal | None:
        """What the kernel would refuse when it calculates the queue limits: sizes, and logical blocks."""
        table_block = self.block_sectors
        for piece in self._pieces:
            if isinstance(piece, ColumnRun) and table_block == 1 and not _reaches_too_far(piece):
                continue
            rows = (piece.row(self.context, i) for i in range(len(piece))) if isinstance(piece, ColumnRun) else (piece,)
            for target in rows:
                if refusal := _areas_refusal(target):
                    return refusal
        if table_block > 1:
            lines = ((t.begin, t.length, _block_sectors(t)) for t in self.targets())
            for _index, refusal in line_block_refusals(lines, table_block):
                return refusal
        return None

    def extent_map(self, flatten: Flatten) -> ExtentMap:
        """The whole table as one static map, everything flattened that can be."""
        if len(self._pieces) == 1 and isinstance(run := self._pieces[0], ColumnRun) and _is_leaf(run, flatten):
            return ExtentMap(run.starts, run.deltas, run.slots, [d.device for d in run.dm_devs])
        builder = ExtentMapBuilder(flatten)
        for piece in self._pieces:
            if isinstance(piece, ColumnRun):
                _add_run(builder, piece)
                continue
            extents = piece.extents()
            if extents is None:
                builder.add_dynamic(piece.length, piece.shortcut(flatten))
            else:
                for extent in extents:
                    builder.add(extent)
        return builder.build()

    def destroy(self) -> None:
        """Undoes the construction, last target first, and closes the devices (kernel: dm_table_destroy)."""
        for target in reversed(list(self.stateful_targets())):
            target.dtr()
        self._pieces.clear()
        self._begins.clear()
        self.context.close_devices()

    def _append(self, piece: Target | ColumnRun, end: int) -> None:
        self._begins.append(self.size)
        self._pieces.append(piece)
        self.size = end

    def _add_lines(self, line: Line | Columns | TargetSpec) -> None:
        if isinstance(line, Columns):
            for row in range(len(line)):
                start, length, device, offset = line.values(row)
                self._add_line(start, length, line.target, [device, str(offset)])
        elif isinstance(line, Line):
            self._add_line(line.start, line.length, line.target, line.texts())
        else:
            self._add_line(line.start, line.length, line.target, line.words)

    def _add_line(self, start: int, length: int, name: str, words: Iterable[str]) -> None:
        target_class = self.context.registry.target(name)
        faults = layout_faults(start, length, name, is_known=target_class is not None, expected_start=self.size)
        for _fault, refusal in faults:
            raise TableRefused(refusal)
        assert target_class is not None
        params, findings = target_class.params.inspect(list(words), start, length, self.context.lookup)
        for finding in findings:
            if finding.refusal is not None:
                raise TableRefused(finding.refusal)
        try:
            self._append(target_class.construct(self.context, start, length, params), start + length)
        except (CtrError, DeviceLookupError) as error:
            raise TableRefused(Refusal(error.errno, f"{name}: {error.text} (-{error.name})")) from error

    def _add_columns(self, columns: Columns) -> bool:
        """Adds a run as columns; False where a line of it is wrong, so that they are to be tried one by one."""
        target_class = self.context.registry.target(columns.target)
        if target_class is None or not hasattr(target_class, "column"):
            return False
        starts = columns.starts
        if starts[0] != self.size or starts[-1] > MAX_SECTORS:
            return False
        try:
            dm_devs = tuple(map(self.context.get_device, columns.devices))
        except DeviceLookupError:
            return False
        deltas = array("q", map(sub, columns.offsets, starts))
        ends = _device_ends(starts, deltas, columns.device_index, len(dm_devs))
        run = ColumnRun(target_class, starts, deltas, columns.device_index, dm_devs, ends)
        self._append(run, starts[-1])
        return True


def _used_by(piece: Target | ColumnRun) -> Iterable[DmDev]:
    return piece.dm_devs if isinstance(piece, ColumnRun) else (used.dm_dev for used in piece.iterate_devices())


def _device_ends(starts: array[int], deltas: array[int], slots: array[int], devices: int) -> tuple[int, ...]:
    ends = [0] * devices
    for slot, behind, delta in zip(slots, islice(starts, 1, None), deltas, strict=True):
        if behind + delta > ends[slot]:
            ends[slot] = behind + delta
    return tuple(ends)


def _reaches_too_far(run: ColumnRun) -> bool:
    """Whether some row lies behind its device's end, as far as sizes are known."""
    return any(0 < dm_dev.size_sectors < end for dm_dev, end in zip(run.dm_devs, run.ends, strict=True))


def _areas_refusal(target: Target) -> Refusal | None:
    block = _block_sectors(target)
    for used in target.iterate_devices():
        refusal = size_refusal(used.dm_dev, used.start, used.length)
        if refusal is None and block > 1:
            refusal = next(area_block_refusals(used.dm_dev, used.start, used.length, block), None)
        if refusal is not None:
            return refusal
    return None


def _block_sectors(target: Target) -> int:
    return max((used.dm_dev.block_sectors for used in target.iterate_devices()), default=1)


def _is_leaf(run: ColumnRun, flatten: Flatten) -> bool:
    return all(
        isinstance(flatten(dm_dev.device), BlockDevice) and dm_dev.size_sectors for dm_dev in run.dm_devs
    ) and not _reaches_too_far(run)


def _add_run(builder: ExtentMapBuilder, run: ColumnRun) -> None:
    for row in range(len(run)):
        start = run.starts[row]
        device = run.dm_devs[run.slots[row]].device
        builder.add_linear(start, run.starts[row + 1] - start, device, start + run.deltas[row])


def no_targets() -> Refusal:
    """What an empty table gets (kernel: populate_table)."""
    return Refusal(errno.EINVAL, "populate_table: no targets specified")


def size_bytes(table: LiveTable | None) -> int:
    """The size of an md with this table."""
    return table.size << SECTOR_SHIFT if table is not None else 0
