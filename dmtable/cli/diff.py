"""Compare two tables, or two sets of tables, by where each sector goes.

    dmtable diff old.table new.table
    dmtable diff --root disks old/ new/

A folder is a set of tables, each named by its file; so is a file in the concise form, with --concise. What
does not matter to a sector is ignored: how lines are cut, comments, which of its names a device is called
by. Devices need not exist. Exit status: 0 the same, 1 different, 2 a table cannot be used, or usage.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from dmtable.cli.files import display_name, write_out
from dmtable.cli.stack import open_disks, paper_stack, read_folder, read_table, read_tables
from dmtable.core.equivalence import Place, differences
from dmtable.core.paper import Disks, Layer, OpaqueDevice, PaperStack
from dmtable.errors import DmtableError, UsageError
from dmtable.io.constant import ERROR, ZERO

_LIMIT = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `dmtable diff`."""
    parser.add_argument("one", metavar="A", help="a table, or a folder of tables; `-` for standard input")
    parser.add_argument("other", metavar="B", help="likewise")
    parser.add_argument(
        "--concise", action="store_true", help="A and B are in the form of `dmsetup table --concise`, many tables each"
    )
    parser.add_argument("--root", metavar="DIR", help="the folder that stands in for / to find files in")
    parser.add_argument(
        "--limit", type=int, default=_LIMIT, metavar="N", help=f"differences to show of a table, 0 for all ({_LIMIT})"
    )


def run(arguments: argparse.Namespace) -> int:
    """Prints `same`, or what differs."""
    if arguments.limit < 0:
        raise UsageError("--limit takes a number of differences, 0 for all")
    different = False
    try:
        with open_disks(arguments.root) as disks:
            one = _read(arguments.one, arguments.concise, disks)
            other = _read(arguments.other, arguments.concise, disks)
            for line in _report(one, other, arguments.limit or None):
                write_out([line + "\n"])
                different = True
    except DmtableError as error:
        # 1 would say that they differ.
        raise UsageError(str(error)) from error
    if not different:
        write_out(["same\n"])
    return int(different)


@dataclass(frozen=True, slots=True)
class _Side:
    """A or B: what it is called, and its tables. `single` is a table that is compared whatever its name."""

    name: str
    stack: PaperStack
    single: Layer | None


def _read(argument: str, concise: bool, disks: Disks) -> _Side:
    name = display_name(argument)
    if concise or os.path.isdir(argument):
        tables = read_tables((), [argument]) if concise else read_folder(argument)
        return _Side(name, paper_stack(tables, disks), None)
    stack = paper_stack([read_table(argument)], disks)
    return _Side(name, stack, *stack.layers.values())


def _report(one: _Side, other: _Side, limit: int | None) -> Iterator[str]:
    """A line for each thing that differs."""
    if one.single and other.single:
        of = f" of {one.single.name}" if one.single.name == other.single.name else ""
        yield from _differing(one, one.single, other, other.single, of, limit)
        return
    if one.single or other.single:
        table, many = (one, other) if one.single else (other, one)
        raise UsageError(f"{table.name} is one table and {many.name} a set of tables; compare like with like")
    ours, theirs = one.stack.layers, other.stack.layers
    for name in [*ours, *(name for name in theirs if name not in ours)]:
        if name not in theirs or name not in ours:
            yield f"{name} is only in {(one if name in ours else other).name}"
        else:
            yield from _differing(one, ours[name], other, theirs[name], f" of {name}", limit)


def _differing(one: _Side, a: Layer, other: _Side, b: Layer, of: str, limit: int | None) -> Iterator[str]:
    if a.sectors != b.sectors:
        name = of.removeprefix(" of ") or "the table"
        yield f"{name} has {a.sectors} sectors in {one.name}, {b.sectors} in {other.name}"
    found = differences(a.map, b.map)
    for difference in islice(found, limit):
        start, many = difference.start, difference.length > 1
        sectors = f"sectors {start}-{start + difference.length - 1}" if many else f"sector {start}"
        left, right = (_place(one.stack.disks, place, many) for place in (difference.one, difference.other))
        hint = " (the lines differ in their words)" if left == right else ""
        yield f"{sectors}{of}: {left} in {one.name}, {right} in {other.name}{hint}"
    if next(found, None):
        yield f"more differences{of} follow; --limit 0 shows all"


def _place(disks: Disks, place: Place, many: bool) -> str:
    device, at = place
    if device is ZERO or device is ERROR:
        return "zero" if device is ZERO else "error"
    name = disks.name(device)
    if isinstance(device, OpaqueDevice):
        # Its words are not shown: those of crypt hold the key.
        on = ", ".join(disks.name(dm_dev.device) for dm_dev in device.used.values())
        name = f"{name} on {on}," if on else f"{name},"
    return f"{name} from {at}" if many else f"{name} {at}"
