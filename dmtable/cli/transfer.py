"""Bytes in and out of an md for `read` and `write`: any range, 1 MiB at a time, errors told to the sector."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from dmtable.cli.stack import add_stack_arguments, read_tables, running_stack
from dmtable.errors import DmtableError, UsageError
from dmtable.io.device import Buffer
from dmtable.units import SECTOR_BYTES, SECTOR_SHIFT, parse_bytes

if TYPE_CHECKING:
    from dmtable.core.device_mapper import DeviceMapper
    from dmtable.core.mapped_device import MappedDevice

PIECE_BYTES = 1 << 20


class Stopped(DmtableError):
    """A transfer that ended early; the text says where and how far it got."""


def add_transfer_arguments(parser: argparse.ArgumentParser) -> None:
    """What `read` and `write` have in common, NAME aside."""
    parser.add_argument(
        "--table",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="a table; once for each md of the stack, in any order",
    )
    add_stack_arguments(parser, "to find the files that tables name")


def open_stack(arguments: argparse.Namespace) -> tuple[DeviceMapper, MappedDevice]:
    """The stack at work, and the md that is meant; the caller closes the former."""
    tables = read_tables(arguments.table, arguments.concise)
    if arguments.name not in {table.name for table in tables}:
        known = ", ".join(table.name for table in tables) or "none; give --table NAME=FILE"
        raise UsageError(f"no table is called {arguments.name}; there are {known}")
    mapper = running_stack(tables, arguments.root)
    return mapper, mapper[arguments.name]


def byte_range(md: MappedDevice, offset: str, length: str | None) -> tuple[int, int]:
    """(first byte, byte behind the last) of what the arguments mean, up to the md's end where no length is given.

    Raises UsageError where that is not on the md.
    """
    size = md.size_bytes
    first = parse_bytes(offset)
    end = max(first, size) if length is None else first + parse_bytes(length)
    if end > size:
        raise UsageError(f"{md.name} ends at byte {size}, sector {size >> SECTOR_SHIFT}; that is short of byte {end}")
    return first, end


def read_range(md: MappedDevice, first: int, end: int) -> Iterator[bytes]:
    """The bytes from `first` up to `end`, in pieces. Raises Stopped behind the last that can be read."""
    at, step = first, PIECE_BYTES
    while at < end:
        start = _down(at)
        count = min(step, _up(end) - start)
        try:
            data = md.pread(count, start)
        except OSError as error:
            if count > SECTOR_BYTES:
                # What lies before the bad sector can still be had.
                step = _up(count // 2)
                continue
            raise Stopped(_failed("read", md, error, at, at - first)) from error
        yield data[at - start : end - start]
        at = start + count


def write_stream(md: MappedDevice, first: int, end: int, source: BinaryIO) -> int:
    """Writes what the source gives from byte `first` on, up to `end`, and how many bytes that were.

    A sector that is written in part keeps the rest: it is read before. Raises Stopped where a sector cannot
    be written, or the source be read.
    """
    at = first
    while at < end:
        data = _take(source, min(PIECE_BYTES - at % SECTOR_BYTES, end - at), md, at - first)
        if not data:
            break
        _write(md, _whole_sectors(md, at, data, first), _down(at), first)
        at += len(data)
    return at - first


def flush(md: MappedDevice, written: int) -> None:
    """Returns when everything is durable. Raises Stopped where it never will be."""
    try:
        md.flush()
    except OSError as error:
        raise Stopped(f"{md.name}: {error.strerror} at the flush behind {written} bytes: they may be lost") from error


def _take(source: BinaryIO, count: int, md: MappedDevice, written: int) -> bytes:
    """`count` bytes, fewer only at the source's end: a pipe gives them in dribs and drabs."""
    pieces = []
    try:
        while count and (piece := source.read(count)):
            pieces.append(piece)
            count -= len(piece)
    except OSError as error:
        raise Stopped(f"the input cannot be read: {error.strerror}; {md.name} has {written} bytes of it") from error
    return b"".join(pieces)


def _whole_sectors(md: MappedDevice, at: int, data: bytes, first: int) -> Buffer:
    """The data with what its first and last sector hold beside it."""
    start, end = _down(at), _up(at + len(data))
    if (start, end) == (at, at + len(data)):
        return data
    whole = bytearray(end - start)
    edges = {start} if start < at else set()
    edges |= {end - SECTOR_BYTES} if end > at + len(data) else set()
    for edge in edges:
        try:
            whole[edge - start : edge - start + SECTOR_BYTES] = md.pread(SECTOR_BYTES, edge)
        except OSError as error:
            raise Stopped(_failed("read", md, error, edge, at - first)) from error
    whole[at - start : at - start + len(data)] = data
    return whole


def _write(md: MappedDevice, data: Buffer, start: int, first: int) -> None:
    view = memoryview(data)
    done, step = 0, len(view)
    while done < len(view):
        count = min(step, len(view) - done)
        try:
            md.pwrite(view[done : done + count], start + done)
        except OSError as error:
            if count > SECTOR_BYTES:
                step = _up(count // 2)
                continue
            raise Stopped(_failed("written", md, error, start + done, max(start + done - first, 0))) from error
        done += count


def _failed(what: str, md: MappedDevice, error: OSError, at: int, done: int) -> str:
    where = f"{md.name}: {error.strerror} at byte {at} (sector {at >> SECTOR_SHIFT})"
    return f"{where}; {done} bytes before it were {what}"


def _down(at: int) -> int:
    return at & -SECTOR_BYTES


def _up(at: int) -> int:
    return at + SECTOR_BYTES - 1 & -SECTOR_BYTES
