"""Where a sector of a stack comes from, layer by layer, and what stands on a sector of a disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dmtable.core.extents import AnyExtent, StripedExtent, extent_sector
from dmtable.core.paper import Layer, OpaqueDevice
from dmtable.errors import DmtableError
from dmtable.io.device import BlockDevice


@dataclass(frozen=True, slots=True)
class Step:
    """One layer on the way down: its sector is sector `at` of a device. `leg` counts the legs of stripes from 0."""

    layer: Layer
    sector: int
    target: str
    leg: int | None
    device: BlockDevice
    at: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """Sectors of a device. Where they are `exact` all of them are meant, else some of them, nobody knows which."""

    start: int
    length: int
    exact: bool = True

    def within(self, start: int, length: int) -> Stretch | None:
        """The part in a range, counted from the range's start."""
        first = max(self.start, start)
        end = min(self.start + self.length, start + length)
        return Stretch(first - start, end - first, self.exact) if first < end else None


def way_down(layer: Layer, sector: int) -> list[Step]:
    """The steps from a sector of a layer, which must be below its size, to the lowest device known."""
    steps: list[Step] = []
    device: BlockDevice = layer
    while isinstance(device, Layer):
        target = device.table.target_at(sector)
        assert target is not None, "the layers above it were checked against its size"
        leg, below, at = _below(target.name, target.extents() or (), sector)
        steps.append(Step(device, sector, target.name, leg, below, at))
        device, sector = below, at
    return steps


def standing_on(layers: Iterable[Layer], device: BlockDevice, sector: int) -> Iterator[tuple[Layer, Stretch]]:
    """Everything that stands on a sector of a disk or a layer, lowest layer first.

    `layers` come in the order of a stack, each behind those that it stands on. Stretches are single
    sectors, unless an opaque line lies between.
    """
    reached: dict[BlockDevice, list[Stretch]] = {device: [Stretch(sector, 1)]}
    for layer in layers:
        found = {stretch for extent in _extents(layer) for stretch in _stretches(extent, reached)}
        if found:
            reached[layer] = sorted(found, key=lambda stretch: (stretch.start, stretch.length))
            for stretch in reached[layer]:
                yield layer, stretch


def _below(target: str, extents: Iterable[AnyExtent], sector: int) -> tuple[int | None, BlockDevice, int]:
    for extent in extents:
        skipped = sector - extent.start
        if not 0 <= skipped < extent.length:
            continue
        if not isinstance(extent, StripedExtent):
            return None, extent.device, extent.offset + skipped
        number, within = divmod(skipped, extent.chunk)
        row, leg = divmod(number, len(extent.legs))
        device, offset = extent.legs[leg]
        return leg, device, offset + row * extent.chunk + within
    raise DmtableError(f"target {target} does not say where sector {sector} goes")


def _extents(layer: Layer) -> Iterator[AnyExtent]:
    for target in layer.table.targets():
        yield from target.extents() or ()


def _stretches(extent: AnyExtent, reached: dict[BlockDevice, list[Stretch]]) -> Iterator[Stretch]:
    """The sectors of an extent that stand on what was reached so far."""
    if isinstance(extent, StripedExtent):
        stripe, width = extent.chunk * len(extent.legs), extent.length // len(extent.legs)
        for leg, (device, offset) in enumerate(extent.legs):
            for stretch in _within(reached.get(device), offset, width):
                first = extent_sector(stretch.start, leg, extent.chunk, stripe)
                last = extent_sector(stretch.start + stretch.length - 1, leg, extent.chunk, stripe)
                yield Stretch(extent.start + first, last - first + 1, stretch.exact)
    elif isinstance(extent.device, OpaqueDevice):
        for used in extent.device.ranges:
            on_device = reached.get(used.dm_dev.device)
            if on_device and (not used.length or any(_within(on_device, used.start, used.length))):
                yield Stretch(extent.start, extent.length, exact=False)
    else:
        for stretch in _within(reached.get(extent.device), extent.offset, extent.length):
            yield Stretch(extent.start + stretch.start, stretch.length, stretch.exact)


def _within(stretches: Iterable[Stretch] | None, start: int, length: int) -> Iterator[Stretch]:
    return (inside for stretch in stretches or () if (inside := stretch.within(start, length)))
