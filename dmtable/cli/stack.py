"""A stack of tables from the command line: read, put in order, and built on paper or to be run."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dmtable.cli.files import STDIN, check_root, display_name, read_text, show_refusal
from dmtable.core.devices import Lookup
from dmtable.core.paper import Disks, PaperStack
from dmtable.errors import DmtableError, IoctlError, UsageError
from dmtable.language.diagnostics import Severity, TableError
from dmtable.language.parser import parse
from dmtable.language.tree import Columns, Role, Table

if TYPE_CHECKING:
    from dmtable.core.device_mapper import DeviceMapper

_DM_MAJOR = 253


@dataclass(frozen=True, slots=True)
class NamedTable:
    """A table and the md that it is meant for. `source` is its file, as messages call it."""

    name: str
    table: Table
    source: str
    uuid: str = ""
    minor: int | None = None
    read_only: bool = False


def add_stack_arguments(parser: argparse.ArgumentParser, root: str) -> None:
    """The options `--concise` and `--root`; `root` says what the command wants it for."""
    parser.add_argument(
        "--concise", action="append", default=[], metavar="FILE", help="tables in the form of `dmsetup table --concise`"
    )
    parser.add_argument("--root", metavar="DIR", help=f"the folder that stands in for / {root}")


def read_tables(arguments: Iterable[str], concise: Iterable[str] = ()) -> list[NamedTable]:
    """The tables of `NAME=FILE` arguments, or `FILE` where the name is the file's, and of concise files.

    Raises UsageError for files that cannot be read and names or numbers that occur twice, DmtableError for
    a text that is no table, of which the user has been shown the faults.
    """
    tables = [read_table(argument) for argument in arguments]
    for path in concise:
        tables += _read_concise(path)
    return _distinct(tables)


def read_table(argument: str) -> NamedTable:
    """The table of one argument; see read_tables."""
    name, equals, path = argument.partition("=")
    if not equals or "/" in name:
        return _read_file(_stem(argument), argument)
    if not name:
        raise UsageError(f"{argument!r} names no table; write NAME=FILE")
    return _read_file(name, path)


def read_folder(path: str) -> list[NamedTable]:
    """The tables of a folder: one in each file, save the hidden ones. Raises as read_tables does."""
    try:
        with os.scandir(path) as entries:
            files = sorted(entry.path for entry in entries if entry.is_file() and not entry.name.startswith("."))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    return _distinct([_read_file(_stem(file), file) for file in files])


def in_order(tables: Iterable[NamedTable]) -> list[NamedTable]:
    """Each table behind those whose mds it names. Raises UsageError where they stand on one another in a circle."""
    from graphlib import CycleError, TopologicalSorter

    by_word: dict[str, NamedTable] = {}
    by_name = {table.name: table for table in tables}
    for table in by_name.values():
        by_word[f"/dev/mapper/{table.name}"] = table
        if table.minor is not None:
            by_word[f"/dev/dm-{table.minor}"] = by_word[f"{_DM_MAJOR}:{table.minor}"] = table
    sorter = TopologicalSorter(
        {name: sorted(_names_used(table.table, by_name, by_word)) for name, table in by_name.items()}
    )
    try:
        return [by_name[name] for name in sorter.static_order()]
    except CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        raise UsageError(f"the tables stand on one another in a circle: {circle}") from error


def open_disks(root: str | None) -> Disks:
    """What a stack on paper stands on; closed by its context manager. Raises UsageError where the root is no folder."""
    check_root(root)
    return Disks(root)


def paper_stack(tables: Iterable[NamedTable], disks: Disks) -> PaperStack:
    """The stack on paper. Raises UsageError for a circle, DmtableError where the kernel would refuse a table."""
    stack = PaperStack(disks)
    for table in in_order(tables):
        number = None if table.minor is None else (_DM_MAJOR, table.minor)
        try:
            stack.add(table.name, table.table.pieces, number)
        except IoctlError as error:
            raise _refused(table, error, stack.lookup) from error
    return stack


def running_stack(tables: Iterable[NamedTable], root: str | None) -> DeviceMapper:
    """The stack as mds that do I/O; the caller closes it. Raises as paper_stack does."""
    from itertools import count

    from dmtable.core.device_mapper import DeviceMapper

    check_root(root)
    ordered = in_order(tables)
    taken = {table.minor for table in ordered}
    free = (minor for minor in count() if minor not in taken)
    mapper = DeviceMapper(root)
    try:
        for table in ordered:
            try:
                md = mapper.create_device(table.name, table.uuid, next(free) if table.minor is None else table.minor)
                mapper.load(md, table.table, read_only=table.read_only)
                mapper.resume(md)
            except IoctlError as error:
                raise _refused(table, error, mapper.lookup) from error
    except BaseException:
        mapper.close()
        raise
    return mapper


def _distinct(tables: list[NamedTable]) -> list[NamedTable]:
    names: dict[str, NamedTable] = {}
    minors: dict[int, NamedTable] = {}
    for table in tables:
        if (other := names.setdefault(table.name, table)) is not table:
            hint = "give one another name: NAME=FILE"
            raise UsageError(f"{other.source} and {table.source} are both called {table.name}; {hint}")
        if table.minor is not None and (other := minors.setdefault(table.minor, table)) is not table:
            raise UsageError(f"{other.name} and {table.name} have the same minor number {table.minor}")
    return tables


def _stem(path: str) -> str:
    return "stdin" if path == STDIN else os.path.splitext(os.path.basename(path))[0]


def _read_file(name: str, path: str) -> NamedTable:
    source = display_name(path)
    return NamedTable(name, _parse(read_text(path), source), source)


def _read_concise(path: str) -> Iterator[NamedTable]:
    from dmtable.language.concise import ConciseError, read_concise

    source = display_name(path)
    try:
        for device in read_concise(read_text(path)):
            table = _parse(device.table, f"{source}, device {device.name}")
            yield NamedTable(device.name, table, source, device.uuid, device.minor, device.read_only)
    except ConciseError as error:
        raise DmtableError(f"{source}: {error}") from error


def _parse(text: str, source: str) -> Table:
    try:
        return parse(text, source)
    except TableError as error:
        show_refusal(error, text)
        raise DmtableError(f"{source} is no table that can be read") from error


def _names_used(table: Table, by_name: dict[str, NamedTable], by_word: dict[str, NamedTable]) -> set[str]:
    used = set()
    for piece in table.pieces:
        if isinstance(piece, Columns):
            words = devices = list(piece.devices)
        else:
            words, devices = piece.texts(), [word.text for word in piece.words if word.role is Role.DEVICE]
        used |= {by_word[word].name for word in words if word in by_word}
        used |= {word for word in devices if word in by_name}
    return used


def _refused(table: NamedTable, error: IoctlError, lookup: Lookup) -> DmtableError:
    """What to raise; the user is shown where the table is wrong."""
    from dmtable.checks import check
    from dmtable.cli.render import render_text

    source = table.table.source
    if errors := [found for found in check(source.text, lookup, name=source.name) if found.severity is Severity.ERROR]:
        print(render_text(errors, source), file=sys.stderr)
    return DmtableError(f"{table.source}: the kernel would refuse {table.name}: {error.text}")
