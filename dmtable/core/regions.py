"""One request to many regions, with an error set by region (kernel: dm-io.c).

It stands in core and not in io, since it speaks bios: an md below is reached without blocking.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from dmtable.core.bio import Bio, Op, submit
from dmtable.errors import UsageError
from dmtable.io.device import BlockDevice
from dmtable.units import SECTOR_SHIFT

MAX_BIO_SECTORS = 2048
"""Requests that move data are cut into bios of at most 1 MiB."""

_MOVES_DATA = (Op.READ, Op.WRITE)


@dataclass(frozen=True, slots=True)
class Region:
    """`sectors` sectors of a device from `sector` on (kernel: struct dm_io_region)."""

    device: BlockDevice
    sector: int
    sectors: int

    def part(self, skip_sectors: int, sectors: int) -> Region:
        """Some sectors of this one."""
        return Region(self.device, self.sector + skip_sectors, sectors)


class RegionsRequest:
    """The bios of a request to regions, for a Worker that may submit only one of them in a step.

    `on_done` is called once, with bit i set where region i failed, on whatever thread ends the last bio; it must
    not block. A request without bios, as one to no region, is done when it is made.
    """

    __slots__ = ("_bios", "_failed", "_on_done", "_others")

    def __init__(
        self,
        op: Op,
        regions: Sequence[Region],
        data: memoryview | None = None,
        *,
        fua: bool = False,
        on_done: Callable[[int], None],
    ) -> None:
        """`data` is what every region gets from its beginning on, or the memory that one region is read into.

        It may be longer than a region, the rest is then left alone, but not shorter: that is a UsageError, as is
        a read of other than one region.
        """
        if op is Op.READ and len(regions) != 1:
            raise UsageError(f"a read takes one region, and not {len(regions)}")
        self._on_done = on_done
        self._failed: list[int] = []
        self._bios: deque[tuple[int, BlockDevice, Bio]] = deque()
        for index, region in enumerate(regions):
            for bio in _bios(op, region, data, fua):
                self._bios.append((index, region.device, bio))
        # One token fewer than bios: popping is a single step, and whoever finds none is the last.
        self._others = [None] * (len(self._bios) - 1)
        if not self._bios:
            on_done(0)

    @property
    def left(self) -> int:
        """How many bios are still to be submitted."""
        return len(self._bios)

    def submit_next(self) -> None:
        """Submits one bio more; only while there are any left."""
        index, device, bio = self._bios.popleft()
        bio.on_done(partial(self._bio_done, index, bio))
        submit(device, bio)

    def _bio_done(self, index: int, bio: Bio) -> None:
        if bio.error:
            self._failed.append(index)
        try:
            self._others.pop()
        except IndexError:
            bits = 0
            for failed in self._failed:
                bits |= 1 << failed
            self._on_done(bits)


def submit_regions(
    op: Op,
    regions: Sequence[Region],
    data: memoryview | None = None,
    *,
    fua: bool = False,
    on_done: Callable[[int], None],
) -> None:
    """Sends a request to regions: see RegionsRequest. Regions of a FLUSH are whole devices, whatever they say."""
    request = RegionsRequest(op, regions, data, fua=fua, on_done=on_done)
    while request.left:
        request.submit_next()


def _bios(op: Op, region: Region, data: memoryview | None, fua: bool) -> Iterator[Bio]:
    if op is Op.FLUSH:
        yield Bio(op, 0, 0)
    elif op not in _MOVES_DATA:
        if region.sectors:
            yield Bio(op, region.sector, region.sectors, fua=fua)
    elif not region.sectors:
        return
    elif data is None or len(data) < region.sectors << SECTOR_SHIFT:
        raise UsageError(f"{op.name} of {region.sectors} sectors has less memory than that")
    else:
        for at in range(0, region.sectors, MAX_BIO_SECTORS):
            count = min(MAX_BIO_SECTORS, region.sectors - at)
            yield Bio(op, region.sector + at, count, data[at << SECTOR_SHIFT : (at + count) << SECTOR_SHIFT], fua=fua)
