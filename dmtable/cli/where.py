"""Follow a sector down through a stack of tables, or up from a disk.

    dmtable where --root disks lv=lv.table top=top.table top 123
    dmtable where --reverse lv.table top.table /dev/sdb 4099

DEVICE is a table's name, or any device that a table names; devices need not exist. SECTOR counts 512
bytes; with a unit it is a byte position (4k, 1m, 512b). With --reverse every sector that stands on the one
given is printed, lowest table first. Exit status: 0 found, 1 nothing stands there or a table cannot be
used, 2 usage.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import suppress

from dmtable.cli.files import write_out
from dmtable.cli.stack import add_stack_arguments, open_disks, paper_stack, read_tables
from dmtable.core.paper import Layer, OpaqueDevice, PaperStack
from dmtable.core.provenance import Stretch, standing_on, way_down
from dmtable.core.target import DeviceRange
from dmtable.errors import DeviceLookupError, UsageError
from dmtable.io.constant import ERROR, ZERO
from dmtable.io.device import BlockDevice
from dmtable.io.file import FileDevice
from dmtable.units import SECTOR_BYTES, parse_bytes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `dmtable where`."""
    parser.add_argument("tables", nargs="*", metavar="TABLE", help="NAME=FILE, or FILE, `-` for standard input")
    parser.add_argument("device", metavar="DEVICE")
    parser.add_argument("sector", metavar="SECTOR")
    parser.add_argument("--reverse", action="store_true", help="what stands on a sector of DEVICE, through all tables")
    add_stack_arguments(parser, "to find files in")


def run(arguments: argparse.Namespace) -> int:
    """Prints the way down, or with --reverse everything above."""
    position = parse_bytes(arguments.sector)
    tables = read_tables(arguments.tables, arguments.concise)
    with open_disks(arguments.root) as disks:
        stack = paper_stack(tables, disks)
        device = _device(stack, arguments.device)
        if arguments.reverse:
            return _print_up(stack, device, position // SECTOR_BYTES)
        if not isinstance(device, Layer):
            raise UsageError(f"{arguments.device} is none of the tables; with --reverse you see what stands on it")
        return _print_down(stack, device, position)


def _device(stack: PaperStack, word: str) -> BlockDevice:
    known: dict[BlockDevice, str] = {layer: layer.name for layer in stack.layers.values()}
    for layer in stack.layers.values():
        known |= {dm_dev.device: stack.disks.name(dm_dev.device) for dm_dev in layer.table.devices()}
    device = None
    with suppress(DeviceLookupError):
        device = stack.lookup(word).device
    if device is None or device not in known:
        raise UsageError(f"no table is called {word} or names it; there are {', '.join(known.values()) or 'no tables'}")
    return device


def _print_down(stack: PaperStack, layer: Layer, position: int) -> int:
    sector, rest = divmod(position, SECTOR_BYTES)
    if sector >= layer.sectors:
        raise UsageError(f"{layer.name} has {layer.sectors} sectors, so the last is {layer.sectors - 1}")
    way = [f"{layer.name} {sector}"]
    for step in way_down(layer, sector):
        way.append(step.target if step.leg is None else f"{step.target}, leg {step.leg}")
        if isinstance(step.device, Layer):
            way.append(f"{step.device.name} {step.at}")
        elif step.device not in (ZERO, ERROR):
            way.append(_bottom(stack, step.device, step.at, rest))
    write_out([" -> ".join(way) + "\n"])
    return 0


def _bottom(stack: PaperStack, device: BlockDevice, at: int, rest: int) -> str:
    if isinstance(device, OpaqueDevice):
        areas = ", ".join(_area(stack, used) for used in device.ranges)
        return f"somewhere on {areas}" if areas else "nobody knows where"
    file = f"{_short(device.path)}, " if isinstance(device, FileDevice) else ""
    return f"{stack.disks.name(device)} sector {at} ({file}byte {at * SECTOR_BYTES + rest})"


def _area(stack: PaperStack, used: DeviceRange) -> str:
    name = stack.disks.name(used.dm_dev.device)
    return f"{name} {used.start}-{used.start + used.length - 1}" if used.length else name


def _short(path: str) -> str:
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative


def _print_up(stack: PaperStack, device: BlockDevice, sector: int) -> int:
    found = list(standing_on(stack.layers.values(), device, sector))
    write_out(f"{layer.name} {_stretch(stretch)}\n" for layer, stretch in found)
    if not found:
        print(f"nothing stands on {stack.disks.name(device)} sector {sector}", file=sys.stderr)
    return 0 if found else 1


def _stretch(stretch: Stretch) -> str:
    if stretch.exact:
        return str(stretch.start)
    return f"{stretch.start}-{stretch.start + stretch.length - 1} (one of these, perhaps)"
