"""Static mappings: what a target says of itself, and the compiled map of a whole table.

An ExtentMap flattens every md below it, so a read through eight stacked linears costs what a read
through one costs. All numbers are sectors.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from dmtable.io.constant import ERROR
from dmtable.io.device import BlockDevice, Buffer
from dmtable.units import SECTOR_SHIFT

_DEEPEST_NESTING = 32


@dataclass(frozen=True, slots=True)
class Extent:
    """Sectors `start`… of an md lie on a device from `offset` on, one after the other."""

    start: int
    length: int
    device: BlockDevice
    offset: int


@dataclass(frozen=True, slots=True)
class StripedExtent:
    """Sectors `start`… of an md go round the legs, (device, offset) pairs, a chunk at a time."""

    start: int
    length: int
    chunk: int
    legs: tuple[tuple[BlockDevice, int], ...]


AnyExtent = Extent | StripedExtent

Piece = tuple[BlockDevice | None, int, int]
"""(device, its first sector, sectors); the device is None where only the targets themselves know."""


@dataclass(frozen=True, slots=True)
class Stripes:
    """A striped extent with its legs flattened: arithmetic, never a list of chunks."""

    chunk: int
    legs: tuple[tuple[BlockDevice | ExtentMap, int], ...]
    nesting: int

    def pieces(self, sector: int, count: int) -> Iterator[Piece]:
        """Where `count` sectors from `sector` of the extent lie, in order."""
        chunk, legs = self.chunk, self.legs
        while count:
            number, within = divmod(sector, chunk)
            row, leg = divmod(number, len(legs))
            here = min(count, chunk - within)
            device, offset = legs[leg]
            at = offset + row * chunk + within
            if isinstance(device, ExtentMap):
                yield from device.pieces(at, here)
            else:
                yield device, at, here
            sector += here
            count -= here

    def leg_ranges(self, sector: int, count: int) -> Iterator[Piece]:
        """The same sectors grouped by leg: each leg's part is one range, however many chunks it has."""
        chunk, legs = self.chunk, self.legs
        stripe = chunk * len(legs)
        for leg, (device, offset) in enumerate(legs):
            begin = leg_sector(sector, leg, chunk, stripe)
            here = leg_sector(sector + count, leg, chunk, stripe) - begin
            if not here:
                continue
            if isinstance(device, ExtentMap):
                yield from device.ranges(offset + begin, here)
            else:
                yield device, offset + begin, here


def leg_sector(sector: int, leg: int, chunk: int, stripe: int) -> int:
    """How many sectors of a leg lie before a sector of the extent; `stripe` is a chunk of each leg."""
    row, within = divmod(sector, stripe)
    return row * chunk + min(max(within - leg * chunk, 0), chunk)


def extent_sector(at: int, leg: int, chunk: int, stripe: int) -> int:
    """The inverse: which sector of the extent lies on a sector of a leg."""
    row, within = divmod(at, chunk)
    return row * stripe + leg * chunk + within


@dataclass(frozen=True, slots=True, eq=False)
class Shortcut:
    """How a target that is not static does its most frequent I/O at once, without bios. Offsets are bytes of the line.

    Either does all of it, or b"" and 0 say that it must take the bios' way. It may block as a device may, never
    on another md, and raises OSError where the I/O is over and has failed.
    """

    pread: Callable[[int, int], bytes]
    pwrite: Callable[[Buffer, int], int]


Backend = BlockDevice | Stripes | Shortcut | None
"""What a row of an ExtentMap leads to; the mapping is static where that is neither a shortcut nor None."""


class ExtentMap:
    """Rows of adjoining sectors, each on one backend; row i begins at starts[i] and ends at starts[i + 1].

    Sector s of row i is sector s + deltas[i] of backends[slots[i]]. Columns, not objects: a million
    rows take 26 bytes each at most. `buckets` holds the row of every 2^shift-th sector, so that a lookup
    searches a handful of rows and not the whole column.
    """

    __slots__ = ("backends", "buckets", "deltas", "leaves", "nesting", "shift", "slots", "starts")

    def __init__(self, starts: array[int], deltas: array[int], slots: array[int], backends: Sequence[Backend]) -> None:
        self.starts = starts
        self.deltas = deltas
        self.slots = slots
        self.backends = tuple(backends)
        self.leaves = _leaves(self.backends)
        """Every device that a row may lead to, once; None among them stands for what is not static."""
        self.nesting = max((b.nesting for b in backends if isinstance(b, Stripes)), default=0)
        self.shift, self.buckets = _bucket_index(starts)

    def __len__(self) -> int:
        return len(self.deltas)

    @property
    def size(self) -> int:
        """Sectors in all."""
        return self.starts[-1]

    def row_of(self, sector: int) -> int:
        """The row that holds a sector, which must be below `size`."""
        bucket = sector >> self.shift
        return bisect_right(self.starts, sector, self.buckets[bucket], self.buckets[bucket + 1] + 1) - 1

    def rows(self, sector: int, count: int) -> Iterator[tuple[Backend, int, int]]:
        """(backend, its first sector, sectors) for the range, row by row; ERROR behind the end."""
        end = min(sector + count, self.size)
        if sector < end:
            row = self.row_of(sector)
            while sector < end:
                here = min(self.starts[row + 1], end) - sector
                yield self.backends[self.slots[row]], sector + self.deltas[row], here
                sector += here
                count -= here
                row += 1
        if count:
            yield ERROR, 0, count

    def pieces(self, sector: int, count: int) -> Iterator[Piece]:
        """Where a range lies, in order, what adjoins on a device joined."""
        return _joined(self._pieces(sector, count))

    def ranges(self, sector: int, count: int) -> Iterator[Piece]:
        """As pieces, but a striped row gives one range for each leg: for what needs no order, as discards."""
        for backend, at, here in self.rows(sector, count):
            if isinstance(backend, Stripes):
                yield from backend.leg_ranges(at, here)
            else:
                yield None if isinstance(backend, Shortcut) else backend, at, here

    def _pieces(self, sector: int, count: int) -> Iterator[Piece]:
        for backend, at, here in self.rows(sector, count):
            if isinstance(backend, Stripes):
                yield from backend.pieces(at, here)
            else:
                yield None if isinstance(backend, Shortcut) else backend, at, here


def _leaves(backends: Iterable[Backend]) -> tuple[BlockDevice | None, ...]:
    found: dict[int, BlockDevice | None] = {}
    for backend in backends:
        if isinstance(backend, Stripes):
            for leg, _offset in backend.legs:
                found.update((id(leaf), leaf) for leaf in (leg.leaves if isinstance(leg, ExtentMap) else (leg,)))
        else:
            leaf = None if isinstance(backend, Shortcut) else backend
            found[id(leaf)] = leaf
    return tuple(found.values())


def _joined(pieces: Iterator[Piece]) -> Iterator[Piece]:
    last: Piece | None = None
    for device, at, count in pieces:
        if last is not None and last[0] is device and last[1] + last[2] == at:
            last = (device, last[1], last[2] + count)
        else:
            if last is not None:
                yield last
            last = (device, at, count)
    if last is not None:
        yield last


def _bucket_index(starts: array[int]) -> tuple[int, array[int]]:
    """(shift, rows): rows[k] is the row of sector k << shift, and the last entry closes the last bucket."""
    rows, size = len(starts) - 1, starts[-1]
    # A bucket for each row or two, whatever the lengths: most rows are found without a search.
    shift = (size // rows).bit_length() - 1
    index = array("I", bytes(4 * ((size >> shift) + 2)))
    bucket = first_sector = 0
    for row, end in enumerate(islice(starts, 1, None)):
        if end > first_sector:
            behind = ((end - 1) >> shift) + 1
            if behind == bucket + 1:
                index[bucket] = row
            else:
                index[bucket:behind] = array("I", (row,)) * (behind - bucket)
            bucket, first_sector = behind, behind << shift
    index[bucket] = rows - 1
    del index[bucket + 1 :]
    return shift, index


Flatten = Callable[[BlockDevice], "BlockDevice | ExtentMap | None"]
"""Says what a device is to a map above it: itself, or an md's own map, or nothing static (None)."""


class ExtentMapBuilder:
    """Collects extents in rising order and flattens the mds among their devices."""

    def __init__(self, flatten: Flatten) -> None:
        self._flatten = flatten
        self._starts = array("q", (0,))
        self._deltas = array("q")
        self._slots = array("I")
        self._backends: list[Backend] = []
        self._slot_of: dict[int, int] = {}

    def add(self, extent: AnyExtent) -> None:
        """Adds a static extent; it begins where the last one ended."""
        if isinstance(extent, StripedExtent):
            self._row(self._stripes(extent), -extent.start, extent.length)
        else:
            self.add_linear(extent.start, extent.length, extent.device, extent.offset)

    def add_linear(self, start: int, length: int, device: BlockDevice, offset: int) -> None:
        """Adds `length` sectors on a device from `offset` on."""
        for backend, at, here in _below(self._flatten(device), offset, length):
            self._row(backend, at - start, here)
            start += here

    def add_dynamic(self, length: int, shortcut: Shortcut | None = None) -> None:
        """Adds sectors whose way only the target knows."""
        self._row(shortcut, -self._starts[-1] if shortcut else 0, length)

    def build(self) -> ExtentMap:
        slots = array("H", self._slots) if len(self._backends) <= 0x10000 else self._slots
        return ExtentMap(self._starts, self._deltas, slots, self._backends)

    def _stripes(self, extent: StripedExtent) -> Stripes | None:
        width = extent.length // len(extent.legs)
        legs: list[tuple[BlockDevice | ExtentMap, int]] = []
        nesting = 0
        for device, offset in extent.legs:
            below = self._flatten(device)
            # Two rows are enough to know that there is not only one.
            rows = list(islice(_below(below, offset, width), 2))
            if len(rows) == 1 and isinstance(rows[0][0], BlockDevice):
                legs.append((rows[0][0], rows[0][1]))
                continue
            if not isinstance(below, ExtentMap) or None in below.leaves:
                return None
            legs.append((below, offset))
            nesting = max(nesting, below.nesting + 1)
        # Nested stripes are walked by recursion; beyond this the bios' own way, which has none, is taken.
        return Stripes(extent.chunk, tuple(legs), nesting) if nesting <= _DEEPEST_NESTING else None

    def _row(self, backend: Backend, delta: int, length: int) -> None:
        slot = self._slot_of.get(id(backend))
        if slot is None:
            slot = self._slot_of[id(backend)] = len(self._backends)
            self._backends.append(backend)
        start = self._starts[-1]
        joins = self._slots and self._slots[-1] == slot and self._deltas[-1] == delta
        if joins:
            self._starts[-1] = start + length
        else:
            self._starts.append(start + length)
            self._deltas.append(delta)
            self._slots.append(slot)


def whole_device(below: BlockDevice | ExtentMap | None, offset: int, length: int) -> tuple[BlockDevice, int] | None:
    """(device, its first sector) where sectors of a lower device lie in one piece on one that is no md, else None."""
    rows = list(islice(_below(below, offset, length), 2))
    backend, at, _ = rows[0]
    return (backend, at) if len(rows) == 1 and isinstance(backend, BlockDevice) else None


def _below(below: BlockDevice | ExtentMap | None, offset: int, length: int) -> Iterator[tuple[Backend, int, int]]:
    """The rows that `length` sectors of a lower device from `offset` on become."""
    if isinstance(below, ExtentMap):
        yield from below.rows(offset, length)
        return
    if below is None:
        yield None, 0, length
        return
    # A device that shrank, or had no size when it was checked: what lies behind its end fails.
    inside = min(max((below.size_bytes >> SECTOR_SHIFT) - offset, 0), length)
    if inside:
        yield below, offset, inside
    if inside < length:
        yield ERROR, 0, length - inside
