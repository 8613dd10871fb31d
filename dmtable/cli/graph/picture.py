"""What is to be drawn of a stack: its tables and disks, the segments of each table, and where they lead."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice

from dmtable.core.paper import Layer, PaperStack, UnknownDevice
from dmtable.io.device import BlockDevice
from dmtable.io.file import FileDevice
from dmtable.units import SECTOR_SHIFT, human_size

_SLICES = 8


@dataclass(frozen=True, slots=True)
class Use:
    """The sectors of a node that a segment stands on; a length of 0 says that nobody knows which."""

    node: str
    start: int
    length: int

    @property
    def sectors(self) -> str:
        """`8-15`, or nothing where it is not known."""
        return f"{self.start}-{self.start + self.length - 1}" if self.length else ""


@dataclass(frozen=True, slots=True)
class Segment:
    """Adjoining lines of a table drawn as one. `targets` counts their lines by target; `uses` has no node twice
    if there is more than one line."""

    start: int
    length: int
    targets: tuple[tuple[str, int], ...]
    uses: tuple[Use, ...]

    @property
    def sectors(self) -> str:
        return f"{self.start}-{self.start + self.length - 1}"

    @property
    def lines(self) -> int:
        return sum(count for _, count in self.targets)

    @property
    def target(self) -> str:
        """The target of all its lines, or `mixed`."""
        return self.targets[0][0] if len(self.targets) == 1 else "mixed"

    @property
    def label(self) -> str:
        """`linear`, or `linear ×1,000`."""
        return self.target if self.lines == 1 else f"{self.target} ×{self.lines:,}"


@dataclass(frozen=True, slots=True)
class Node:
    """A table or a disk. `sectors` is 0 where the size is not known; only tables have segments."""

    id: str
    name: str
    sectors: int
    file: str = ""
    segments: tuple[Segment, ...] = ()

    @property
    def size(self) -> str:
        return human_size(self.sectors) if self.sectors else "size unknown"

    @property
    def below(self) -> list[str]:
        """The nodes that it stands on, each once."""
        return list(dict.fromkeys(use.node for segment in self.segments for use in segment.uses))


@dataclass(frozen=True, slots=True)
class Picture:
    """All nodes by id: the tables, each before those that it stands on, then the disks."""

    nodes: dict[str, Node]

    @property
    def tops(self) -> list[Node]:
        """The tables that none stands on."""
        used = {below for node in self.nodes.values() for below in node.below}
        return [node for node in self.nodes.values() if node.segments and node.id not in used]


def picture(stack: PaperStack, limit: int) -> Picture:
    """The stack with at most `limit` segments for each table."""
    layers = list(stack.layers.values())[::-1]
    ids: dict[BlockDevice, str] = {layer: f"t{number}" for number, layer in enumerate(layers)}
    nodes = {}
    for layer in layers:
        segments = tuple(_summed_up(layer, ids, limit))
        nodes[ids[layer]] = Node(ids[layer], _shown(layer.name), layer.sectors, segments=segments)
    for device, node in ids.items():
        if not isinstance(device, Layer):
            file = _shown(os.path.relpath(device.path)) if isinstance(device, FileDevice) else ""
            sectors = 0 if isinstance(device, UnknownDevice) else device.size_bytes >> SECTOR_SHIFT
            nodes[node] = Node(node, _shown(stack.disks.name(device)), sectors, file)
    return Picture(nodes)


def _summed_up(layer: Layer, ids: dict[BlockDevice, str], limit: int) -> Iterator[Segment]:
    """The segments one for each line where there are few; else for lines in a row with the same target and
    devices, or with the same target; else for slices of the table."""
    if len(layer.table) <= limit:
        return _segments(layer, ids)
    for key in (_kind, _target):
        alike = list(islice(_merged(_segments(layer, ids), key), limit + 1))
        if len(alike) <= limit:
            return iter(alike)
    return _merged(_segments(layer, ids), lambda segment: segment.start * _SLICES // layer.sectors)


def _segments(layer: Layer, ids: dict[BlockDevice, str]) -> Iterator[Segment]:
    for target in layer.table.targets():
        uses = tuple(
            Use(ids.setdefault(used.dm_dev.device, f"d{len(ids)}"), used.start, used.length)
            for used in target.iterate_devices()
        )
        yield Segment(target.begin, target.length, ((target.name, 1),), uses)


def _kind(segment: Segment) -> Hashable:
    return segment.target, tuple(use.node for use in segment.uses)


def _target(segment: Segment) -> Hashable:
    return segment.target


def _merged(segments: Iterable[Segment], key: Callable[[Segment], Hashable]) -> Iterator[Segment]:
    for _, group in groupby(segments, key):
        targets: Counter[str] = Counter()
        uses: dict[str, Use] = {}
        start = end = -1
        for segment in group:
            start = segment.start if start < 0 else start
            end = segment.start + segment.length
            targets.update(dict(segment.targets))
            for use in segment.uses:
                uses[use.node] = _hull(uses.get(use.node, use), use)
        yield Segment(start, end - start, tuple(targets.items()), tuple(uses.values()))


def _hull(one: Use, other: Use) -> Use:
    start = min(one.start, other.start)
    end = max(one.start + one.length, other.start + other.length)
    return Use(one.node, start, end - start if one.length and other.length else 0)


def _shown(name: str) -> str:
    """The name without characters that a picture cannot hold; those that stand for bytes become the bytes again."""
    return "".join(char if char.isprintable() else f"\\x{_code(char):02x}" for char in name)


def _code(char: str) -> int:
    return ord(char) - 0xDC00 if "\udc80" <= char <= "\udcff" else ord(char)
