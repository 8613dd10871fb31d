"""A table as plain lines: what dmsetup takes, and what `dmsetup table` prints.

One line for each mapping, single blanks, numbers in plain decimals, continued lines joined, comments gone.
(`dmsetup table` itself prints devices as major:minor, and a blank behind a target that has no words.)
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, repeat
from operator import sub

from dmtable.language.tree import Columns, Line, Table


def write_kernel_text(table: Table) -> Iterator[str]:
    """The lines in order, each with its newline, made as they are asked for: a large table needs no memory."""
    for piece in table.pieces:
        if isinstance(piece, Columns):
            yield from _rows(piece)
        else:
            yield kernel_line(piece) + "\n"


def kernel_line(line: Line) -> str:
    """One mapping without its newline."""
    return " ".join([str(line.start), str(line.length), line.target, *line.texts()])


def _rows(columns: Columns) -> Iterator[str]:
    # A million rows: nothing here runs Python code for a row.
    lengths = map(sub, islice(columns.starts, 1, None), columns.starts)
    devices = map(columns.devices.__getitem__, columns.device_index)
    return map("{} {} {} {} {}\n".format, columns.starts, lengths, repeat(columns.target), devices, columns.offsets)
